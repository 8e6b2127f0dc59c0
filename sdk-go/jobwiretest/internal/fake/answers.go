package fake

import (
	"errors"
	"regexp"
	"strconv"
	"strings"

	"github.com/jobwire/jobwire/sdk-go/internal/inside"
)

// Caller is who asks: the door (http, tcp or inline), the wire version and session of a TCP connection, and the client's name.
type Caller struct {
	Door    string
	Version int
	Session Listener
	Client  *string
}

// asRefused is err as what can be told to a client. Operations return no other errors.
func asRefused(err error) *Refused {
	var refusal *Refused
	if errors.As(err, &refusal) {
		return refusal
	}
	return &Refused{Code: "INTERNAL_ERROR", Message: err.Error()}
}

// ErrorView is the error object of an answer.
func ErrorView(err error) Answer {
	refusal := asRefused(err)
	_, isRetryable := inside.ErrorInfo(refusal.Code)
	view := Answer{"code": refusal.Code, "message": refusal.Message, "details": nil, "retryable": isRetryable}
	if refusal.Details != nil {
		view["details"] = refusal.Details
	}
	if refusal.RetryAfter > 0 {
		view["retry_after_ms"] = refusal.RetryAfter
	}
	return view
}

// StatusOf is the HTTP status of a refusal.
func StatusOf(err error) int {
	refusal := asRefused(err)
	if refusal.Status != 0 {
		return refusal.Status
	}
	if status, _ := inside.ErrorInfo(refusal.Code); status != 0 {
		return status
	}
	return 500
}

// forEach carries operation out on each of items: an outcome each, whether it was refused or not.
func forEach(items []Fields, operation func(Fields) (Answer, error)) []Answer {
	outcomes := make([]Answer, len(items))
	for i, item := range items {
		answer, err := operation(item)
		if err != nil {
			outcomes[i] = refusedItem(item["id"], err)
			continue
		}
		outcomes[i] = merged(answer, Answer{"id": item["id"], "ok": true})
	}
	return outcomes
}

func refusedItem(id any, err error) Answer {
	return Answer{"id": id, "ok": false, "error": ErrorView(err)}
}

func merged(answer, more Answer) Answer {
	all := make(Answer, len(answer)+len(more))
	for _, each := range []Answer{answer, more} {
		for name, value := range each {
			all[name] = value
		}
	}
	return all
}

func countOK(outcomes []Answer) int {
	count := 0
	for _, outcome := range outcomes {
		if outcome["ok"] == true {
			count++
		}
	}
	return count
}

// alreadyOr is answer, saying so when the same had been said before.
func alreadyOr(already bool, answer Answer) Answer {
	if already {
		answer["already"] = true
	}
	return answer
}

// countsOf counts jobs by their state; `failed` is a state of RustQueue that no job has here.
func countsOf(jobs []*Job) Answer {
	counts := Answer{"failed": 0}
	for _, state := range stateNames {
		counts[state] = 0
	}
	for _, job := range jobs {
		counts[job.State] = counts[job.State].(int) + 1
	}
	return counts
}

var cursorRule = regexp.MustCompile(`^\d{1,18}(\.\d{1,18})*$`)

// pageOf is one page of jobs, which stand with the greatest key first.
//
// The cursor is the key of the last job of the page before, which need not match any more (JW-FIND-2).
func pageOf(jobs []*Job, fields Fields, key func(*Job) []int64) (Answer, error) {
	rest := jobs
	if cursor, given := fields.text("cursor"); given {
		if !cursorRule.MatchString(cursor) {
			return nil, Invalid("/cursor", "the cursor is not one of this server's", nil)
		}
		rest = nil
		for _, job := range jobs {
			if isBefore(key(job), keyOf(cursor)) {
				rest = append(rest, job)
			}
		}
	}
	page := rest[:min(int64(len(rest)), fields.integer("limit", byDefault("find_limit")))]
	var next any
	if len(page) > 0 && len(rest) > len(page) {
		next = cursorOf(key(page[len(page)-1]))
	}
	return Answer{"jobs": viewsOf(page), "next_cursor": next}, nil
}

func viewsOf(jobs []*Job) []Answer {
	views := make([]Answer, len(jobs))
	for i, job := range jobs {
		views[i] = job.View()
	}
	return views
}

func cursorOf(key []int64) string {
	texts := make([]string, len(key))
	for i, part := range key {
		texts[i] = strconv.FormatInt(part, 10)
	}
	return strings.Join(texts, ".")
}

func keyOf(cursor string) []int64 {
	var key []int64
	for _, text := range strings.Split(cursor, ".") {
		part, _ := strconv.ParseInt(text, 10, 64) // at most 18 digits
		key = append(key, part)
	}
	return key
}

// isBefore says whether key is the smaller one.
func isBefore(key, other []int64) bool {
	for i, part := range key {
		against := int64(-1)
		if i < len(other) {
			against = other[i]
		}
		if part != against {
			return part < against
		}
	}
	return len(key) < len(other)
}

// NewIDs is the jobs that a push made; one that was there already may be the very job whose handler pushes.
func NewIDs(answer Answer) []string {
	ids, outcomes := []any{answer["id"]}, []any{answer["outcome"]}
	switch all := answer["ids"].(type) {
	case []string:
		ids, outcomes = anys(all), anys(answer["outcomes"].([]string))
	case []any:
		ids, outcomes = all, answer["outcomes"].([]any)
	}
	var made []string
	for i, id := range ids {
		if outcomes[i] == "created" || outcomes[i] == "replaced" {
			made = append(made, id.(string))
		}
	}
	return made
}

func anys(texts []string) []any {
	values := make([]any, len(texts))
	for i, text := range texts {
		values[i] = text
	}
	return values
}
