package doors

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/jobwire/jobwire/sdk-go/jobwiretest/internal/fake"
)

const prefix = "/api/v1"

// routes are those of the HTTP door, as spec/wire.yaml lists them; a test compares the two.
var routes = map[string]string{
	"POST /queues/{queue}/jobs":        "push",
	"POST /queues/{queue}/jobs/batch":  "push_batch",
	"POST /pull":                       "pull",
	"POST /queues/{queue}/pull":        "pull",
	"GET /queues/{queue}/jobs":         "pull",
	"POST /jobs/{id}/ack":              "ack",
	"POST /jobs/ack":                   "ack_batch",
	"POST /jobs/{id}/fail":             "fail",
	"POST /jobs/fail":                  "fail_batch",
	"POST /jobs/{id}/release":          "release",
	"POST /jobs/{id}/heartbeat":        "heartbeat",
	"POST /jobs/heartbeat":             "heartbeat_batch",
	"POST /jobs/{id}/progress":         "progress",
	"POST /jobs/{id}/cancel":           "cancel",
	"POST /jobs/{id}/retry":            "retry",
	"POST /jobs/{id}/promote":          "promote",
	"GET /jobs/{id}":                   "get",
	"DELETE /jobs/{id}":                "delete",
	"GET /jobs":                        "find",
	"GET /queues":                      "queues",
	"GET /queues/{queue}":              "queue",
	"PATCH /queues/{queue}":            "queue_update",
	"GET /queues/{queue}/stats":        "stats",
	"POST /queues/{queue}/pause":       "queue_pause",
	"POST /queues/{queue}/resume":      "queue_resume",
	"GET /queues/{queue}/dlq":          "dlq",
	"POST /queues/{queue}/dlq/retry":   "dlq_retry",
	"POST /queues/{queue}/dlq/discard": "dlq_discard",
	"GET /flows/{flow_id}":             "flow",
	"GET /workers":                     "workers",
	"GET /health":                      "health",
	"GET /health/ready":                "ready",
	"GET /health/live":                 "live",
	"GET /capabilities":                "capabilities",
}

type compiledRoute struct {
	method, operation string
	pattern           *regexp.Regexp
}

// compiled has fixed paths before those with fields, so that /jobs/ack is no job's id.
var compiled = compile()

func compile() []compiledRoute {
	var table []compiledRoute
	for line, operation := range routes {
		method, path, _ := strings.Cut(line, " ")
		source := regexp.MustCompile(`{(\w+)}`).ReplaceAllString(path, `(?P<$1>[^/]+)`)
		table = append(table, compiledRoute{method, operation, regexp.MustCompile("^" + prefix + source + "$")})
	}
	slices.SortFunc(table, func(a, b compiledRoute) int { return a.pattern.NumSubexp() - b.pattern.NumSubexp() })
	return table
}

// routeOf is the operation of a method on a path, still quoted, and the fields that the path says.
func routeOf(method, path string) (operation string, fields map[string]string, err error) {
	var allowed []string
	for _, route := range compiled {
		found := route.pattern.FindStringSubmatch(path)
		if found == nil {
			continue
		}
		if route.method == method {
			fields, err = pathFields(route.pattern.SubexpNames(), found)
			return route.operation, fields, err
		}
		allowed = append(allowed, route.method)
	}
	if allowed == nil {
		return "", nil, &fake.Refused{
			Code: "ROUTE_NOT_FOUND", Message: "No operation has the path " + path, Details: fake.Answer{"path": path},
		}
	}
	slices.Sort(allowed)
	allow := strings.Join(slices.Compact(allowed), ", ")
	return "", nil, &fake.Refused{Code: "METHOD_NOT_ALLOWED", Message: "Use " + allow, Details: fake.Answer{"allow": allow}}
}

func pathFields(names, texts []string) (map[string]string, error) {
	fields := make(map[string]string)
	for i, name := range names[1:] {
		text, err := url.PathUnescape(texts[i+1])
		if err != nil || !utf8.ValidString(text) {
			return nil, fake.Invalid("/"+name, name+" is no percent-encoded UTF-8", nil)
		}
		fields[name] = text
	}
	return fields, nil
}

var wholeNumber = regexp.MustCompile(`^\d+$`)

// addQuery sets the fields of a query: count and limit are numbers, state is a list.
func addQuery(fields *fake.Object, query string) error {
	for _, pair := range strings.Split(query, "&") {
		if pair == "" {
			continue
		}
		quotedName, quoted, _ := strings.Cut(pair, "=")
		name, _ := url.QueryUnescape(quotedName) // a name that is none is no field's
		text, err := url.QueryUnescape(quoted)
		switch {
		case err != nil || !utf8.ValidString(text):
			return fake.Invalid("/"+name, name+" is no percent-encoded UTF-8", nil)
		case name == "state":
			var states []any
			for _, state := range strings.Split(text, ",") {
				states = append(states, state)
			}
			fields.Set(name, states)
		case name != "count" && name != "limit":
			fields.Set(name, text)
		case !wholeNumber.MatchString(text):
			return fake.Invalid("/"+name, fmt.Sprintf("%s must be a whole number", name), nil)
		default:
			fields.Set(name, fake.Number(text))
		}
	}
	return nil
}
