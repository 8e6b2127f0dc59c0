package jobwire

import (
	"context"
	"encoding/json"
	"time"
)

// transport carries requests, from any number of goroutines.
//
// Rule 1: an answer belongs to the request it is returned for, also after other calls timed out or were cancelled.
//
// Rule 2: errors of sockets end here; callers see an *Error, or the error of their context.
//
// Rule 3: a transport never repeats a request that may have been carried out; the client decides that.
type transport interface {
	// send returns the answer to request within timeout.
	send(ctx context.Context, r *request, timeout time.Duration) (reply, error)
	// polls is true when the server answers a waiting pull at once (RustQueue), so that the client has to ask again.
	polls() bool
	// subscribe has callback called with each notice; what comes back ends that. Over HTTP there are no notices.
	subscribe(callback noticeFunc) (stop func())
	// interrupt has requests that wait on the server's side (pull, heartbeat_batch) answered soon, as if their time were up.
	interrupt()
	// closeIdle closes the connections on which nothing is in flight; for who has found another one to the same server dead.
	closeIdle()
	// close closes every connection and ends what runs; calls in flight fail with CLIENT_CLOSED. Idempotent.
	close()
}

// newTransport is the one that the scheme of the address asks for. Its server may say nothing for silence while calls are in flight,
// or for ever when that is 0.
func newTransport(where *endpoint, silence time.Duration, logf func(format string, args ...any)) transport {
	if where.isTCP() {
		return newTCPTransport(where, silence, logf)
	}
	return newHTTPTransport(where, silence)
}

// notice is a line that the server sent by itself: job.cancel or lease.lost with an id and a lease, goaway, or one of a newer
// server.
type notice struct {
	name  string
	id    string
	lease string
	// fields is the members of the line, verbatim.
	fields map[string]json.RawMessage
}

// noticeFunc must return at once and must not call the client: it runs where the answers of all other calls are read.
type noticeFunc func(notice)

func clientClosed() *Error { return errorf("CLIENT_CLOSED", "the client was closed") }

func timedOut(where *endpoint, timeout time.Duration, cause error) *Error {
	err := errorf("TIMEOUT", "no answer from %s within %v", where, timeout.Round(time.Millisecond))
	err.cause = cause
	return err
}

func connectionLost(where *endpoint, why string, cause error) *Error {
	return newError("CONNECTION_LOST", "the connection to "+where.String()+" was lost: "+why, cause)
}

func connectionFailed(where *endpoint, why string, cause error) *Error {
	return newError("CONNECTION_FAILED", "cannot connect to "+where.String()+": "+why, cause)
}
