package jobwire

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/jobwire/jobwire/sdk-go/internal/wire"
)

// fields reads the members of an object of an answer. A member that is absent or null is a zero value; one of the wrong type is an
// error, of which the first is kept.
type fields struct {
	members wire.Object
	err     error
}

func fieldsOf(raw json.RawMessage) *fields { return &fields{members: objectOf(raw)} }

// objectOf is the members of the object in raw, nil when there is none.
func objectOf(raw json.RawMessage) wire.Object {
	if len(raw) == 0 {
		return nil
	}
	return wire.ParseObject(raw)
}

func (f *fields) fail(name, wanted string) {
	if f.err == nil {
		f.err = fmt.Errorf("%s is not %s", name, wanted)
	}
}

// raw is the text of a member, nil when it is absent or null.
func (f *fields) raw(name string) json.RawMessage {
	if value := f.members[name]; string(value) != "null" {
		return value
	}
	return nil
}

// required is a member that must be there.
func (f *fields) required(name string) json.RawMessage {
	value := f.raw(name)
	if value == nil {
		f.fail(name, "there")
	}
	return value
}

// object is a member that must be an object.
func (f *fields) object(name string) *fields {
	inner := &fields{members: objectOf(f.required(name))}
	if inner.members == nil {
		f.fail(name, "an object")
	}
	return inner
}

// list is the elements of a member, nil when it is absent.
func (f *fields) list(name string) []json.RawMessage {
	value := f.raw(name)
	if value == nil {
		return nil
	}
	elements, ok := wire.Elements(value)
	if !ok {
		f.fail(name, "a list")
	}
	return elements
}

func (f *fields) text(name string) string { return read(f, name, "a string", asText) }

func (f *fields) integer(name string) int { return read(f, name, "a whole number", asInteger) }

func (f *fields) instant(name string) time.Time { return read(f, name, "an instant", asInstant) }

// duration is a member in milliseconds.
func (f *fields) duration(name string) time.Duration { return read(f, name, "a number", asDuration) }

func (f *fields) optionalInteger(name string) *int {
	return optional(f, name, "a whole number", asInteger)
}

func (f *fields) optionalDuration(name string) *time.Duration {
	return optional(f, name, "a number", asDuration)
}

// isTrue says whether a member is true; anything else is not.
func (f *fields) isTrue(name string) bool { return string(f.members[name]) == "true" }

func (f *fields) texts(name string) []string { return each(f, name, "a list of strings", asText) }

// each is the elements of a member.
func each[T any](f *fields, name, wanted string, as func(json.RawMessage) (T, bool)) []T {
	var values []T
	for _, element := range f.list(name) {
		value, ok := as(element)
		if !ok {
			f.fail(name, wanted)
		}
		values = append(values, value)
	}
	return values
}

func read[T any](f *fields, name, wanted string, as func(json.RawMessage) (T, bool)) T {
	if value := optional(f, name, wanted, as); value != nil {
		return *value
	}
	var zero T
	return zero
}

func optional[T any](f *fields, name, wanted string, as func(json.RawMessage) (T, bool)) *T {
	raw := f.raw(name)
	if raw == nil {
		return nil
	}
	value, ok := as(raw)
	if !ok {
		f.fail(name, wanted)
		return nil
	}
	return &value
}

// What a text of JSON stands for, and whether it is of that type.

func asText(raw json.RawMessage) (string, bool) {
	if len(raw) == 0 || raw[0] != '"' {
		return "", false
	}
	return wire.Unquote(raw), true
}

func asInteger(raw json.RawMessage) (int, bool) {
	value, ok := wire.Integer(raw)
	return int(value), ok
}

func asNumber(raw json.RawMessage) (float64, bool) {
	value, err := strconv.ParseFloat(string(raw), 64)
	return value, err == nil
}

// asDuration reads milliseconds. What is longer than a Duration can say is the longest.
func asDuration(raw json.RawMessage) (time.Duration, bool) {
	if ms, ok := wire.Integer(raw); ok && ms >= 0 && ms <= limitDurationMS {
		return time.Duration(ms) * time.Millisecond, true
	}
	ms, ok := asNumber(raw)
	if !ok || ms < 0 {
		return 0, false
	}
	if ms > limitDurationMS {
		return math.MaxInt64, true
	}
	return time.Duration(ms * float64(time.Millisecond)), true
}

func asInstant(raw json.RawMessage) (time.Time, bool) {
	text, ok := asText(raw)
	if !ok {
		return time.Time{}, false
	}
	instant, err := time.Parse(time.RFC3339Nano, text)
	return instant.UTC(), err == nil
}

// asValues is the members of an object as encoding/json reads them into any; nil when raw is no object.
func asValues(raw json.RawMessage) map[string]any {
	var values map[string]any
	if json.Unmarshal(raw, &values) != nil {
		return nil
	}
	return values
}
