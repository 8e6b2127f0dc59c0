package jobwire

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jobwire/jobwire/sdk-go/internal/wire"
)

// retryClass is what may be done after a lost answer.
type retryClass string

const (
	retrySafe   retryClass = "safe"
	retryWithID retryClass = "with_id"
	retryNever  retryClass = "never"
)

// route is a row of spec/wire.yaml: where an operation lives. cmd is empty where it is the operation's name.
type route struct {
	method string
	path   string
	retry  retryClass
}

// routes is what a test compares with spec/wire.yaml.
var routes = map[string]route{
	"push":            {"POST", "/queues/{queue}/jobs", retryWithID},
	"push_batch":      {"POST", "/queues/{queue}/jobs/batch", retryWithID},
	"pull":            {"POST", "/pull", retryWithID},
	"ack":             {"POST", "/jobs/{id}/ack", retryWithID},
	"ack_batch":       {"POST", "/jobs/ack", retryWithID},
	"fail":            {"POST", "/jobs/{id}/fail", retryWithID},
	"fail_batch":      {"POST", "/jobs/fail", retryWithID},
	"release":         {"POST", "/jobs/{id}/release", retryWithID},
	"heartbeat":       {"POST", "/jobs/{id}/heartbeat", retrySafe},
	"heartbeat_batch": {"POST", "/jobs/heartbeat", retrySafe},
	"progress":        {"POST", "/jobs/{id}/progress", retrySafe},
	"cancel":          {"POST", "/jobs/{id}/cancel", retrySafe},
	"retry":           {"POST", "/jobs/{id}/retry", retryNever},
	"promote":         {"POST", "/jobs/{id}/promote", retrySafe},
	"get":             {"GET", "/jobs/{id}", retrySafe},
	"delete":          {"DELETE", "/jobs/{id}", retryNever},
	"find":            {"GET", "/jobs", retrySafe},
	"queues":          {"GET", "/queues", retrySafe},
	"queue":           {"GET", "/queues/{queue}", retrySafe},
	"queue_update":    {"PATCH", "/queues/{queue}", retrySafe},
	"stats":           {"GET", "/queues/{queue}/stats", retrySafe},
	"queue_pause":     {"POST", "/queues/{queue}/pause", retrySafe},
	"queue_resume":    {"POST", "/queues/{queue}/resume", retrySafe},
	"dlq":             {"GET", "/queues/{queue}/dlq", retrySafe},
	"dlq_retry":       {"POST", "/queues/{queue}/dlq/retry", retrySafe},
	"dlq_discard":     {"POST", "/queues/{queue}/dlq/discard", retrySafe},
	"flow":            {"GET", "/flows/{flow_id}", retrySafe},
	"workers":         {"GET", "/workers", retrySafe},
	"health":          {"GET", "/health", retrySafe},
	"capabilities":    {"GET", "/capabilities", retrySafe},
	"ping":            {"GET", "/health/live", retrySafe}, // over HTTP the nearest thing to a ping
}

// member is one field of a request. value is a string, bool, int, int64, float64, json.RawMessage, members, or a slice of
// strings, of whole numbers or of members.
type member struct {
	name  string
	value any
}

type members []member

// request is one call, for either wire. Sending it again sends the same ids, leases and request_id.
type request struct {
	op     string
	route  route
	fields members // of the TCP command
	body   members // of the HTTP request, where it has another shape; else it is fields without those in the path
	wait   time.Duration
}

func newRequest(op string, fields members) *request {
	return &request{op: op, route: routes[op], fields: fields}
}

// withoutWait is the same request, answered at once.
func (r *request) withoutWait() *request {
	copied := *r
	copied.wait = 0
	copied.fields = nil
	for _, field := range r.fields {
		if field.name != "wait_ms" {
			copied.fields = append(copied.fields, field)
		}
	}
	return &copied
}

// payload is the JSON object of the TCP command's fields.
func (r *request) payload() ([]byte, error) { return appendObject(nil, r.fields) }

// httpBody is the JSON of the HTTP request; nil for GET and DELETE.
func (r *request) httpBody() ([]byte, error) {
	switch {
	case r.route.method == "GET" || r.route.method == "DELETE":
		return nil, nil
	case r.body != nil:
		return appendObject(nil, r.body)
	}
	return appendObject(nil, r.beyondPath())
}

// beyondPath is the fields that are not in the path.
func (r *request) beyondPath() members {
	var rest members
	for _, field := range r.fields {
		if !r.isInPath(field) {
			rest = append(rest, field)
		}
	}
	return rest
}

// checkPath refuses what cannot stand in a path, also where the request goes over TCP.
func (r *request) checkPath() error {
	for _, field := range r.fields {
		text, isText := field.value.(string)
		switch {
		case !isText || !r.isInPath(field):
		case text == "" || text == "." || text == "..":
			return invalid(field.name, "%s must be a name that can stand in a path, got %q", field.name, text)
		case !utf8.ValidString(text):
			return notUTF8(field.name)
		}
	}
	return nil
}

func (r *request) isInPath(field member) bool {
	return strings.Contains(r.route.path, "{"+field.name+"}")
}

// target is path and query below /api/v1, quoted.
func (r *request) target() (string, error) {
	path := r.route.path
	for _, field := range r.fields {
		if text, isText := field.value.(string); isText && r.isInPath(field) {
			path = strings.Replace(path, "{"+field.name+"}", url.PathEscape(text), 1)
		}
	}
	if r.route.method != "GET" && r.route.method != "DELETE" {
		return path, nil
	}
	query, err := r.query()
	if query != "" {
		path += "?" + query
	}
	return path, err
}

func (r *request) query() (string, error) {
	var query strings.Builder
	for _, field := range r.beyondPath() {
		text := queryText(field.value)
		if !utf8.ValidString(text) {
			return "", notUTF8(field.name)
		}
		if query.Len() > 0 {
			query.WriteByte('&')
		}
		query.WriteString(field.name + "=" + strings.ReplaceAll(url.QueryEscape(text), "+", "%20"))
	}
	return query.String(), nil
}

func queryText(value any) string {
	switch value := value.(type) {
	case string:
		return value
	case int:
		return strconv.Itoa(value)
	case []string:
		return strings.Join(value, ",")
	}
	return fmt.Sprint(value)
}

func notUTF8(name string) *Error { return invalid(name, "%s is not UTF-8", name) }

func appendObject(dst []byte, fields members) ([]byte, error) {
	dst = append(dst, '{')
	for i, field := range fields {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = wire.AppendString(dst, field.name)
		dst = append(dst, ':')
		var err error
		if dst, err = appendValue(dst, field); err != nil {
			return nil, err
		}
	}
	return append(dst, '}'), nil
}

func appendValue(dst []byte, field member) ([]byte, error) {
	switch value := field.value.(type) {
	case string:
		if !utf8.ValidString(value) {
			return nil, notUTF8(field.name)
		}
		return wire.AppendString(dst, value), nil
	case json.RawMessage:
		return append(dst, value...), nil
	case bool:
		return strconv.AppendBool(dst, value), nil
	case int:
		return strconv.AppendInt(dst, int64(value), 10), nil
	case int64:
		return strconv.AppendInt(dst, value, 10), nil
	case float64:
		return strconv.AppendFloat(dst, value, 'g', -1, 64), nil
	case members:
		return appendObject(dst, value)
	case []members:
		return appendList(dst, field.name, value)
	case []string:
		return appendList(dst, field.name, value)
	case []int:
		return appendList(dst, field.name, value)
	case []int64:
		return appendList(dst, field.name, value)
	}
	panic(fmt.Sprintf("jobwire: %s has a value of type %T", field.name, field.value))
}

func appendList[T any](dst []byte, name string, values []T) ([]byte, error) {
	dst = append(dst, '[')
	for i, value := range values {
		if i > 0 {
			dst = append(dst, ',')
		}
		var err error
		if dst, err = appendValue(dst, member{name, value}); err != nil {
			return nil, err
		}
	}
	return append(dst, ']'), nil
}

// reply is what came back: the members of the answer, and over HTTP what came besides.
type reply struct {
	body wire.Object
	info answerInfo
}

// check is the error of a refused request; a partial failure of a batch is an answer, not an error.
func (r reply) check() error {
	_, partial := r.body["results"]
	switch ok := string(r.body["ok"]); {
	case ok == "true" || (ok == "false" && partial):
		return nil
	case ok == "false":
		return errorFrom(r.body["error"], r.info)
	}
	err := errorf("PROTOCOL_ERROR", "the answer has no 'ok'")
	err.Status = r.info.status
	return err
}
