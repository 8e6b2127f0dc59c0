package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"time"

	jobwire "github.com/jobwire/jobwire/sdk-go"
)

// Values between the messages of the runner and the SDK: units, instants, and numbers that the JSON of some languages loses.
//
// Messages speak the words of the wire: durations are *_ms, instants RFC 3339, a held job {"$job": {id, lease}}.

// arguments are those of a call, by name. What is left out or null is a zero value.
type arguments map[string]json.RawMessage

func (a arguments) has(name string) bool { return a[name] != nil && string(a[name]) != "null" }

// read fills v, a pointer, when the argument is there. Arguments that do not fit are a fault of the runner.
func (a arguments) read(name string, v any) {
	if !a.has(name) {
		return
	}
	if err := json.Unmarshal(a[name], v); err != nil {
		panic(fmt.Sprintf("%s: %v", name, err))
	}
}

func get[T any](a arguments, name string) T {
	var value T
	a.read(name, &value)
	return value
}

func (a arguments) text(name string) string { return get[string](a, name) }

func (a arguments) integer(name string) int { return get[int](a, name) }

func (a arguments) flag(name string) bool { return get[bool](a, name) }

// duration is an argument in milliseconds; one that is 0, and not left out, is NoDelay.
func (a arguments) duration(name string) time.Duration {
	if a.has(name) && get[float64](a, name) == 0 {
		return jobwire.NoDelay
	}
	return milliseconds(get[float64](a, name))
}

func milliseconds(ms float64) time.Duration { return time.Duration(ms * float64(time.Millisecond)) }

func (a arguments) durations(name string) []time.Duration {
	var values []time.Duration
	for _, ms := range get[[]float64](a, name) {
		values = append(values, milliseconds(ms))
	}
	return values
}

// instant is {"$time": …}.
func (a arguments) instant(name string) time.Time { return get[map[string]time.Time](a, name)["$time"] }

// job is an id, or {"$job": {id, lease}}, to which an argument lease adds.
func (a arguments) job() *jobwire.Job {
	held := &jobwire.Job{Lease: a.text("lease")}
	if bytes.HasPrefix(a["job"], []byte("{")) {
		inner := get[map[string]arguments](a, "job")["$job"]
		held.ID, held.Lease = inner.text("id"), inner.text("lease")
	} else {
		held.ID = a.text("job")
	}
	return held
}

// data is what a user gives, as JSON text; nil when it is left out.
func (a arguments) data(name string) any {
	if a[name] == nil {
		return nil
	}
	return load(a[name])
}

// load is the JSON text that a value of a message stands for: objects with a $ stand where the JSON of some languages is too weak.
func load(raw json.RawMessage) json.RawMessage {
	raw = bytes.TrimSpace(raw)
	var elements []json.RawMessage
	var members map[string]json.RawMessage
	switch {
	case bytes.HasPrefix(raw, []byte("[")):
		must(json.Unmarshal(raw, &elements))
		for i := range elements {
			elements[i] = load(elements[i])
		}
		return encode(elements)
	case !bytes.HasPrefix(raw, []byte("{")):
		return raw
	}
	must(json.Unmarshal(raw, &members))
	for _, number := range []string{"$int", "$float"} {
		if len(members) == 1 && members[number] != nil {
			return json.RawMessage(strings.Trim(string(members[number]), `"`))
		}
	}
	if len(members) == 1 && members["$lit"] != nil {
		inner := map[string]json.RawMessage{}
		must(json.Unmarshal(members["$lit"], &inner))
		members = inner
	}
	for name := range members {
		members[name] = load(members[name])
	}
	return encode(members)
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func encode(value any) json.RawMessage {
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	must(encoder.Encode(value))
	return bytes.TrimSpace(buffer.Bytes())
}

// dump is the inverse of load.
func dump(raw json.RawMessage) any {
	if raw == nil {
		return nil
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var value any
	must(decoder.Decode(&value))
	return packed(value)
}

func packed(value any) any {
	switch value := value.(type) {
	case []any:
		for i := range value {
			value[i] = packed(value[i])
		}
	case map[string]any:
		literal := false
		for name := range value {
			value[name] = packed(value[name])
			literal = literal || strings.HasPrefix(name, "$")
		}
		if literal {
			return reply{"$lit": value}
		}
	case json.Number:
		if strings.ContainsAny(string(value), ".eE") {
			return reply{"$float": string(value)}
		}
		if whole, err := value.Int64(); err != nil || whole > 1<<53 || whole < -1<<53 {
			return reply{"$int": string(value)}
		}
	}
	return value
}

// --- what the SDK gave, in the words and units of the wire ---

var (
	wordStart = regexp.MustCompile(`([a-z0-9])([A-Z])`)
	// Durations of which 0 means that there is none.
	absent = map[string]bool{"UniqueFor": true, "TTL": true, "Timeout": true}
)

func canonical(value any) any {
	switch value := value.(type) {
	case nil:
		return nil
	case jobwire.PushResult:
		if value.Err != nil {
			return reply{"error": failure(value.Err)}
		}
	case json.RawMessage:
		return dump(value)
	case time.Time:
		if value.IsZero() {
			return nil
		}
		return value.Format("2006-01-02T15:04:05.000Z07:00")
	case time.Duration:
		return value.Round(time.Millisecond).Milliseconds()
	case error:
		return reply{"error": failure(value)}
	}
	return reflected(reflect.ValueOf(value))
}

func reflected(value reflect.Value) any {
	switch value.Kind() {
	case reflect.Pointer, reflect.Interface:
		if value.IsNil() {
			return nil
		}
		return canonical(value.Elem().Interface())
	case reflect.Slice:
		listed := make([]any, value.Len())
		for i := range listed {
			listed[i] = canonical(value.Index(i).Interface())
		}
		return listed
	case reflect.String:
		if value.Len() == 0 {
			return nil
		}
		return value.String()
	case reflect.Map:
		return value.Interface()
	case reflect.Struct:
		return members(value)
	}
	return value.Interface()
}

func members(value reflect.Value) reply {
	found := reply{}
	for i := range value.NumField() {
		name, field := value.Type().Field(i).Name, value.Field(i)
		words := strings.ToLower(wordStart.ReplaceAllString(name, "${1}_${2}"))
		switch _, isDuration := field.Interface().(time.Duration); {
		case name == "Err":
			found["error"] = canonical(field.Interface())
		case absent[name] && field.IsZero():
			found[words+"_ms"] = nil
		case isDuration || strings.HasSuffix(field.Type().String(), "time.Duration"):
			found[words+"_ms"] = canonical(field.Interface())
		default:
			found[words] = canonical(field.Interface())
		}
	}
	if job, ok := value.Interface().(jobwire.Job); ok {
		result := "null"
		if job.Result != nil {
			result = string(job.Result)
		}
		found["raw"] = reply{"data": string(job.Data), "result": result}
	}
	return found
}

// classes are the names that cases have for errors; Go has sentinels in their place.
var classes = []struct {
	sentinel error
	name     string
}{
	{jobwire.ErrValidation, "ValidationError"}, {jobwire.ErrNotFound, "NotFoundError"},
	{jobwire.ErrConflict, "ConflictError"}, {jobwire.ErrAuth, "AuthError"},
	{jobwire.ErrRateLimited, "RateLimitedError"}, {jobwire.ErrUnavailable, "UnavailableError"},
	{jobwire.ErrProtocol, "ProtocolError"}, {jobwire.ErrTransport, "TransportError"},
	{jobwire.ErrTimeout, "RequestTimeout"}, {context.Canceled, "CancelledError"},
}

func failure(err error) reply {
	told := reply{
		"class": fmt.Sprintf("%T", err), "code": nil, "message": err.Error(), "retryable": nil, "http_status": nil,
		"details": reply{}, "retry_after_ms": nil, "shown": fmt.Sprintf("%v %+v %#v", err, err, err),
	}
	for _, class := range classes {
		if errors.Is(err, class.sentinel) {
			told["class"] = class.name
			break
		}
	}
	var known *jobwire.Error
	if !errors.As(err, &known) {
		return told
	}
	told["code"], told["message"], told["retryable"] = known.Code, known.Message, known.Retryable
	if known.Status != 0 {
		told["http_status"] = known.Status
	}
	if known.Details != nil {
		told["details"] = known.Details
	}
	if known.RetryAfter != 0 {
		told["retry_after_ms"] = canonical(known.RetryAfter)
	}
	return told
}
