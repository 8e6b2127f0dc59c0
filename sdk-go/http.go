package jobwire

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
	"time"
)

const (
	maxConnections   = 100
	maxIdleTime      = 50 * time.Second // below the keep-alive time of common servers and proxies
	maxResponseHead  = 64 << 10         // bytes
	maxResponseBody  = 64 << 20         // bytes
	httpAPI          = "/api/v1"
	contentTypeJSON  = "application/json"
	reasonUnanswered = "it ended before the answer was complete"
)

// What ended a try besides its answer; the causes of its context.
var (
	errTryTimeout  = errors.New("jobwire: the try took too long")
	errInterrupted = errors.New("jobwire: interrupted")
	errClosed      = errors.New("jobwire: closed")
)

// httpTransport carries requests over HTTP/1.1, over connections that are kept.
//
// A connection carries one request at a time, so an answer cannot reach another caller; one on which a call timed out, failed or
// was cancelled is closed. No redirect is followed: that would carry the token, or repeat the work, where nobody asked for it.
type httpTransport struct {
	endpoint *endpoint
	silence  time.Duration // the longest try: nothing can be asked beside a request (JW-SDK-13); 0 is no limit
	pool     *http.Transport

	mu     sync.Mutex
	closed bool
	calls  map[*httpCall]struct{}
	conns  map[net.Conn]struct{}
}

var _ transport = (*httpTransport)(nil)

// httpCall is a try under way. end gives its context a cause.
type httpCall struct {
	waits bool // whether the server holds the answer back by design
	end   context.CancelCauseFunc
	conn  atomic.Pointer[trackedConn] // nil until the request has one, so that the server may have seen it
}

func newHTTPTransport(where *endpoint, silence time.Duration) *httpTransport {
	t := &httpTransport{
		endpoint: where, silence: silence, calls: map[*httpCall]struct{}{}, conns: map[net.Conn]struct{}{},
	}
	t.pool = &http.Transport{
		DialContext:            t.dial,
		DialTLSContext:         t.dial,
		DisableCompression:     true,
		IdleConnTimeout:        maxIdleTime,
		MaxConnsPerHost:        maxConnections,
		MaxIdleConns:           maxConnections,
		MaxIdleConnsPerHost:    maxConnections,
		MaxResponseHeaderBytes: maxResponseHead,
	}
	return t
}

func (t *httpTransport) polls() bool { return false }

func (t *httpTransport) subscribe(noticeFunc) func() { return func() {} }

func (t *httpTransport) send(ctx context.Context, r *request, timeout time.Duration) (reply, error) {
	sent, err := t.newRequest(r)
	if err != nil {
		return reply{}, err
	}
	if t.silence > 0 {
		timeout = min(timeout, t.silence)
	}
	answer, err := t.exchange(ctx, sent, timeout, r.wait > 0)
	if errors.Is(err, errInterrupted) {
		return t.send(ctx, r.withoutWait(), timeout)
	}
	return answer, err
}

func (t *httpTransport) newRequest(r *request) (*http.Request, error) {
	target, err := r.target()
	if err != nil {
		return nil, err
	}
	body, err := r.httpBody()
	if err != nil {
		return nil, err
	}
	e := t.endpoint
	sent, err := http.NewRequest(r.route.method, e.String()+httpAPI+target, nil)
	if err != nil {
		return nil, invalid("", "the URL of the request cannot be read")
	}
	header := map[string]string{
		"Accept": contentTypeJSON, "Accept-Encoding": "identity", "User-Agent": e.clientName + "/" + Version,
	}
	if token := e.token.reveal(); token != "" {
		header["Authorization"] = "Bearer " + token
	}
	if body != nil {
		header["Content-Type"] = contentTypeJSON
		sent.ContentLength = int64(len(body))
		sent.Body = io.NopCloser(bytes.NewReader(body)) // without GetBody, so that net/http repeats nothing
	}
	for name, value := range header {
		sent.Header.Set(name, value)
	}
	return sent, nil
}

// exchange sends a request once and reads its answer. The error is an *Error, errInterrupted, or that of ctx.
func (t *httpTransport) exchange(ctx context.Context, sent *http.Request, timeout time.Duration, waits bool) (reply, error) {
	trying, end := context.WithCancelCause(ctx)
	defer end(nil)
	defer time.AfterFunc(timeout, func() { end(errTryTimeout) }).Stop()
	call := &httpCall{waits: waits, end: end}
	if !t.enter(call) {
		return reply{}, clientClosed()
	}
	defer t.leave(call)
	trace := &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) {
		conn := info.Conn.(*trackedConn)
		conn.expect()
		call.conn.Store(conn)
	}}
	response, err := t.pool.RoundTrip(sent.WithContext(httptrace.WithClientTrace(trying, trace)))
	if err != nil {
		return reply{}, t.failure(ctx, trying, call, timeout, err)
	}
	defer response.Body.Close()
	body, err := readBody(response)
	if err != nil {
		return reply{}, t.failure(ctx, trying, call, timeout, err)
	}
	return replyOf(response, body)
}

// readBody is the whole body, or a PROTOCOL_ERROR when it is over the limit, which is found out before it is kept.
func readBody(response *http.Response) ([]byte, error) {
	over := errorf("PROTOCOL_ERROR", "the body of the response is over %d bytes", maxResponseBody)
	if response.ContentLength > maxResponseBody {
		return nil, over
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxResponseBody+1))
	if len(body) > maxResponseBody {
		return nil, over
	}
	return body, err
}

// failure is what err, with which a try ended, means for the caller.
func (t *httpTransport) failure(ctx, trying context.Context, call *httpCall, timeout time.Duration, err error) error {
	var known *Error
	switch cause := context.Cause(trying); {
	case cause == errClosed:
		return clientClosed()
	case cause == errInterrupted:
		return errInterrupted
	case ctx.Err() != nil:
		return ctx.Err()
	case cause == errTryTimeout && call.conn.Load() == nil:
		return connectionFailed(t.endpoint, "timed out", cause)
	case cause == errTryTimeout:
		return timedOut(t.endpoint, timeout, cause)
	case errors.As(err, &known):
		return known
	case isConnectionError(err) || err.Error() == serverClosedIdle || call.conn.Load().wasCut():
		return connectionLost(t.endpoint, reasonUnanswered, err)
	}
	failed := errorf("PROTOCOL_ERROR", "the peer does not answer in HTTP/1.1; is this the HTTP port?")
	failed.cause = err
	return failed
}

// serverClosedIdle is the text of an error that net/http does not export.
const serverClosedIdle = "http: server closed idle connection"

func (t *httpTransport) enter(call *httpCall) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.closed {
		t.calls[call] = struct{}{}
	}
	return !t.closed
}

func (t *httpTransport) leave(call *httpCall) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.calls, call)
}

func (t *httpTransport) interrupt() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for call := range t.calls {
		if call.waits {
			call.end(errInterrupted)
		}
	}
}

func (t *httpTransport) closeIdle() { t.pool.CloseIdleConnections() }

func (t *httpTransport) close() {
	t.mu.Lock()
	t.closed = true
	for call := range t.calls {
		call.end(errClosed)
	}
	open := make([]net.Conn, 0, len(t.conns))
	for conn := range t.conns {
		open = append(open, conn)
	}
	t.mu.Unlock()
	t.pool.CloseIdleConnections()
	for _, conn := range open {
		conn.Close()
	}
}
