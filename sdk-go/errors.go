package jobwire

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// Error is a request that failed. Match it with errors.Is and one of the sentinels below, which say what a caller does next, or
// with errors.As and its Code, which says what happened. Codes are API, messages are not.
//
// No error ever shows a token, a payload or a URL with credentials.
type Error struct {
	// Code is one of spec/errors.yaml, or a newer server's.
	Code    string
	Message string
	// Details is what the server adds, such as pointer or existing_id; nil when it adds nothing.
	Details map[string]any
	// RequestID is the server's name for the request, for its log; empty over TCP.
	RequestID string
	// Retryable says whether the same request may succeed later without a change.
	Retryable bool
	// RetryAfter is how long the server asks to wait first; 0 when it does not say.
	RetryAfter time.Duration
	// Status is the HTTP status; 0 over TCP and for errors of the client itself.
	Status int

	category category
	cause    error
}

// The categories of errors, for errors.Is.
var (
	// ErrValidation: the request breaks a rule; retrying cannot help. Details["pointer"] names the field when it is known.
	ErrValidation = errors.New("jobwire: the request is invalid")
	// ErrNotFound: the job or the route is not there.
	ErrNotFound = errors.New("jobwire: not found")
	// ErrConflict: someone else was first, or the job's state forbids it. After LEASE_LOST stop working on the job.
	ErrConflict = errors.New("jobwire: conflict")
	// ErrAuth: the server wants a token, and this client sent none or a wrong one.
	ErrAuth = errors.New("jobwire: not authorized")
	// ErrRateLimited: too many, for now; wait for RetryAfter.
	ErrRateLimited = errors.New("jobwire: rate limited")
	// ErrUnavailable: the server cannot do it now; try again with backoff, with the same id.
	ErrUnavailable = errors.New("jobwire: unavailable")
	// ErrProtocol: the peer's bytes are not of this protocol; check the address and the versions.
	ErrProtocol = errors.New("jobwire: protocol error")
	// ErrTransport: the connection could not be made (CONNECTION_FAILED), was lost (CONNECTION_LOST), or the client is closed
	// (CLIENT_CLOSED).
	ErrTransport = errors.New("jobwire: connection failed")
	// ErrTimeout: no answer in time. The request may have been carried out; try again with the same id.
	ErrTimeout = errors.New("jobwire: timeout")
)

var sentinels = map[category]error{
	categoryValidation:  ErrValidation,
	categoryNotFound:    ErrNotFound,
	categoryConflict:    ErrConflict,
	categoryAuth:        ErrAuth,
	categoryRateLimited: ErrRateLimited,
	categoryUnavailable: ErrUnavailable,
	categoryProtocol:    ErrProtocol,
	categoryTransport:   ErrTransport,
	categoryTimeout:     ErrTimeout,
}

// Error is the code and the message.
func (e *Error) Error() string {
	if e.Message == "" {
		return e.Code
	}
	return e.Code + ": " + e.Message
}

// Is says whether target is the sentinel of e's category.
func (e *Error) Is(target error) bool {
	sentinel := sentinels[e.categoryOf()]
	return sentinel != nil && target == sentinel
}

// Unwrap is what made the client fail: an error of a context or of a socket; nil for what a server answered.
func (e *Error) Unwrap() error { return e.cause }

func (e *Error) categoryOf() category {
	if e.category != "" {
		return e.category
	}
	return categoryFor(e.Code, e.Status, e.Retryable)
}

// SafeToRetry says whether the request that led to err was provably not carried out, and a repeat may help.
//
// True for a connection that could not be made and for refusals such as OVERLOADED or QUEUE_PAUSED; false after a timeout or a lost
// connection, where the server may have done the work.
func SafeToRetry(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Retryable && nothingDone[e.Code]
}

// nothingDone are the codes after which the server has provably not carried the request out.
var nothingDone = map[string]bool{
	"CONNECTION_FAILED": true,
	"OVERLOADED":        true,
	"QUEUE_FULL":        true,
	"QUEUE_PAUSED":      true,
	"RATE_LIMITED":      true,
	"REQUEST_TIMEOUT":   true, // the request had not arrived in full
	"SHUTTING_DOWN":     true,
	"STORAGE_FULL":      true,
}

// codeOf is the code of err, or "" when it is not an Error.
func codeOf(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

func lookUp(code string) (errorInfo, bool) {
	for _, info := range catalogue {
		if info.code == code {
			return info, true
		}
	}
	return errorInfo{}, false
}

// categoryFor is what the catalogue says of code; a code of a newer server goes by its status, or by retryable where there is none.
func categoryFor(code string, status int, retryable bool) category {
	if info, known := lookUp(code); known {
		return info.category
	}
	if status == 0 && retryable {
		return categoryUnavailable
	}
	if status >= 500 {
		return categoryUnavailable
	}
	return categoryByStatus[status]
}

var categoryByStatus = map[int]category{
	http.StatusBadRequest:            categoryValidation,
	http.StatusUnauthorized:          categoryAuth,
	http.StatusForbidden:             categoryAuth,
	http.StatusNotFound:              categoryNotFound,
	http.StatusMethodNotAllowed:      categoryValidation,
	http.StatusRequestTimeout:        categoryUnavailable,
	http.StatusConflict:              categoryConflict,
	http.StatusGone:                  categoryNotFound,
	http.StatusRequestEntityTooLarge: categoryValidation,
	http.StatusUnsupportedMediaType:  categoryValidation,
	http.StatusUnprocessableEntity:   categoryValidation,
	http.StatusTooManyRequests:       categoryRateLimited,
}

// newError is an error of the client itself, with what the catalogue says of code.
func newError(code, message string, cause error) *Error {
	info, _ := lookUp(code)
	return &Error{Code: code, Message: message, Retryable: info.retryable, category: info.category, cause: cause}
}

func errorf(code, format string, args ...any) *Error {
	return newError(code, fmt.Sprintf(format, args...), nil)
}

// invalid is a refusal before anything is sent; field is the JSON pointer of what is wrong, without its slash, or "".
func invalid(field, format string, args ...any) *Error {
	err := errorf("VALIDATION_ERROR", format, args...)
	if field != "" {
		err.Details = map[string]any{"pointer": "/" + field}
	}
	return err
}

// answerInfo is what came with an answer besides its body; all zero over TCP.
type answerInfo struct {
	status     int
	requestID  string
	retryAfter time.Duration
}

// errorFrom is the error in the `error` member of an answer: {"code", "message", "details", "retryable", "retry_after_ms"}, of
// which only code is needed. retry_after_ms is finer than the Retry-After header, and wins.
func errorFrom(raw json.RawMessage, info answerInfo) *Error {
	wire := fieldsOf(raw)
	code, ok := asText(wire.raw("code"))
	if !ok {
		err := errorf("PROTOCOL_ERROR", "the peer sent an error without a code")
		err.Status = info.status
		return err
	}
	known, _ := lookUp(code)
	retryable := known.retryable
	if given := string(wire.raw("retryable")); given == "true" || given == "false" {
		retryable = given == "true"
	}
	wait := info.retryAfter
	if given, ok := asDuration(wire.raw("retry_after_ms")); ok {
		wait = given
	}
	return &Error{
		Code: code, Message: wire.text("message"), Details: asValues(wire.raw("details")), RequestID: info.requestID,
		Retryable: retryable, RetryAfter: wait, Status: info.status,
		category: categoryFor(code, info.status, retryable),
	}
}
