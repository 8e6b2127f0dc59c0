package jobwire

import (
	"net/http"
	"regexp"
	"strconv"
	"time"

	"github.com/jobwire/jobwire/sdk-go/internal/wire"
)

// replyOf is the reply in a response. The error is a PROTOCOL_ERROR for a redirect or a success without a Jobwire body, and an
// HTTP_ERROR for an error without one.
func replyOf(response *http.Response, text []byte) (reply, error) {
	info := answerInfo{
		status: response.StatusCode, requestID: response.Header.Get("X-Request-Id"),
		retryAfter: parseRetryAfter(response.Header.Get("Retry-After")),
	}
	var body wire.Object
	if wire.Valid(text) {
		body = wire.ParseObject(text)
	}
	if agrees(body, info.status) {
		return reply{body, info}, nil
	}
	return reply{}, notAnswered(info)
}

// agrees says whether body and status tell the same story; ok false with 200 is a batch of which a part failed.
func agrees(body wire.Object, status int) bool {
	switch string(body["ok"]) {
	case "true":
		return status >= 200 && status < 300
	case "false":
		return status < 300 || status >= 400
	}
	return false
}

func notAnswered(info answerInfo) *Error {
	var err *Error
	switch {
	case info.status >= 400:
		err = errorf("HTTP_ERROR", "HTTP %d without a Jobwire error in its body", info.status)
		err.Retryable = info.status >= 500 || mayGoAway[info.status]
		err.RetryAfter = info.retryAfter
	case info.status >= 300:
		err = errorf("PROTOCOL_ERROR", "the peer redirects (HTTP %d), which is not followed; use its final URL", info.status)
	default:
		err = errorf("PROTOCOL_ERROR", "HTTP %d without a Jobwire answer; is this a Jobwire server?", info.status)
	}
	err.RequestID, err.Status = info.requestID, info.status
	return err
}

// mayGoAway are statuses below 500 of a proxy that may go away by themselves.
var mayGoAway = map[int]bool{
	http.StatusRequestTimeout: true, http.StatusTooEarly: true, http.StatusTooManyRequests: true,
}

var wholeSeconds = regexp.MustCompile(`^[0-9]{1,9}$`)

// parseRetryAfter reads whole seconds; the date form is not used by Jobwire servers and counts as absent.
func parseRetryAfter(text string) time.Duration {
	if !wholeSeconds.MatchString(text) {
		return 0
	}
	seconds, _ := strconv.Atoi(text) // at most nine digits
	return time.Duration(seconds) * time.Second
}
