package doors

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/jobwire/jobwire/sdk-go/jobwiretest/internal/fake"
)

var httpWithoutToken = map[string]bool{"health": true, "ready": true, "live": true, "capabilities": true}

// HTTP is the HTTP door: bodies, statuses and envelopes. It knows nothing of jobs.
type HTTP struct {
	*Listener
	service *Service
	server  *http.Server
	conns   chan net.Conn
	closed  chan struct{}
	served  chan struct{}  // closed when the server takes no more connections
	running sync.WaitGroup // a connection each
}

// NewHTTP is a door that is not open yet.
func NewHTTP(service *Service) *HTTP {
	h := &HTTP{service: service, conns: make(chan net.Conn), closed: make(chan struct{}), served: make(chan struct{})}
	h.Listener = newListener(h.take, service.Tell)
	// Never listens itself: connections stay while the door refuses new ones, and for as long as a client keeps them.
	h.server = &http.Server{
		Handler: http.HandlerFunc(h.serve), ErrorLog: log.New(io.Discard, "", 0),
		ConnState: h.count, ConnContext: func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, connKey{}, c) },
	}
	go func() {
		defer close(h.served)
		_ = h.server.Serve(&handedOver{h}) // it ends with the door
	}()
	return h
}

// connKey is where the context of a request keeps its connection.
type connKey struct{}

func (h *HTTP) take(c *conn) {
	select {
	case h.conns <- c:
	case <-h.closed:
		c.cut()
	}
}

// Close refuses, cuts, and waits until nothing runs. Idempotent.
func (h *HTTP) Close() {
	h.Refuse()
	h.Cut()
	select {
	case <-h.closed:
	default:
		close(h.closed)
	}
	<-h.served
	h.running.Wait()
}

func (h *HTTP) count(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		h.running.Add(1)
	case http.StateClosed:
		h.running.Done()
	}
}

// handedOver is a listener as http.Server wants one, of the connections that the door took.
type handedOver struct{ h *HTTP }

func (l *handedOver) Accept() (net.Conn, error) {
	select {
	case c := <-l.h.conns:
		return c, nil
	case <-l.h.closed:
		return nil, net.ErrClosed
	}
}

func (l *handedOver) Close() error   { return nil }
func (l *handedOver) Addr() net.Addr { return &net.TCPAddr{} }

// response is what goes back.
type response struct {
	status  int
	text    []byte
	refusal *fake.Refused // nil for a success
	err     error         // why nothing goes back
}

func (h *HTTP) serve(w http.ResponseWriter, r *http.Request) {
	operation, fields, err := h.read(r)
	if err != nil {
		send(w, refused(err))
		return
	}
	name := r.UserAgent()
	caller := fake.Caller{Door: "http", Version: 2, Client: &name}
	if name == "" {
		caller.Client = nil
	}
	hold := &Hold{}
	defer context.AfterFunc(r.Context(), func() { h.service.End(hold) })()
	answered := make(chan response, 1)
	h.service.Do(operation, fields, caller, hold, func(answer fake.Answer, err error) { answered <- responseTo(operation, answer, err) })
	found := <-answered
	switch {
	case errors.Is(found.err, errSwallowed):
		<-r.Context().Done() // the fault is that no answer comes
		panic(http.ErrAbortHandler)
	case found.err != nil:
		r.Context().Value(connKey{}).(*conn).cut()
		panic(http.ErrAbortHandler)
	}
	send(w, found)
}

// responseTo makes the response with the service locked, while what the answer shows stands still.
func responseTo(operation string, answer fake.Answer, err error) response {
	if errors.Is(err, errDropped) || errors.Is(err, errSwallowed) {
		return response{err: err}
	}
	if err != nil {
		return refused(err)
	}
	if operation == "fail" && answer["next_attempt_at"] == nil {
		delete(answer, "next_attempt_at") // over HTTP an instant that is not there is left out
	}
	answer["ok"] = true
	return response{status: statusFor(operation, answer), text: fake.Text(answer)}
}

func refused(err error) response {
	refusal := &fake.Refused{Code: "INTERNAL_ERROR", Message: err.Error()}
	errors.As(err, &refusal)
	return response{
		status: fake.StatusOf(refusal), text: fake.Text(fake.Answer{"ok": false, "error": fake.ErrorView(refusal)}), refusal: refusal,
	}
}

func send(w http.ResponseWriter, r response) {
	header := w.Header()
	if r.refusal != nil && r.refusal.RetryAfter > 0 {
		header.Set("Retry-After", strconv.FormatInt((r.refusal.RetryAfter+999)/1000, 10))
	}
	if r.refusal != nil && r.refusal.Code == "METHOD_NOT_ALLOWED" {
		header.Set("Allow", fmt.Sprint(r.refusal.Details["allow"]))
	}
	header.Set("Content-Type", "application/json")
	header.Set("Content-Length", strconv.Itoa(len(r.text)))
	w.WriteHeader(r.status)
	_, _ = w.Write(r.text) // a client that has gone does not read it
}

func statusFor(operation string, answer fake.Answer) int {
	isNew := func(outcome any) bool { return outcome == "created" || outcome == "replaced" }
	var made bool
	switch outcomes := answer["outcomes"].(type) {
	case []string:
		for _, outcome := range outcomes {
			made = made || isNew(outcome)
		}
	case []any:
		for _, outcome := range outcomes {
			made = made || isNew(outcome)
		}
	}
	if made || (operation == "push" && isNew(answer["outcome"])) {
		return http.StatusCreated
	}
	return http.StatusOK
}

// --- requests ---

// read is the operation that a request asks for, and its fields.
func (h *HTTP) read(r *http.Request) (string, *fake.Object, error) {
	content, err := bodyOf(r) // first, so that the next request starts where this one ends
	if err != nil {
		return "", nil, err
	}
	path, query, _ := strings.Cut(r.RequestURI, "?")
	operation, inPath, err := routeOf(r.Method, path)
	if refusal := h.checkToken(r, operation); refusal != nil { // looked at before anything else, also where there is no route
		return "", nil, refusal
	}
	if err != nil {
		return "", nil, err
	}
	body, err := parsed(r, content)
	if err != nil {
		return "", nil, err
	}
	return fieldsOf(operation, body, query, inPath)
}

func fieldsOf(operation string, body any, query string, inPath map[string]string) (string, *fake.Object, error) {
	fields, isObject := body.(*fake.Object)
	if jobs, isList := body.([]any); isList && operation == "push" {
		operation, isObject, fields = "push_batch", true, fake.NewObject()
		fields.Set("jobs", jobs)
	}
	if !isObject {
		return "", nil, fake.Unprocessable("", "the body must be an object", nil)
	}
	if err := addQuery(fields, query); err != nil {
		return "", nil, err
	}
	for name, text := range inPath {
		fields.Set(name, text)
	}
	if operation == "fail" && fields.Get("error") == nil {
		return "", nil, fake.Unprocessable("/error", "missing field 'error'", nil)
	}
	return operation, fields, nil
}

func (h *HTTP) checkToken(r *http.Request, operation string) error {
	token := h.service.Token
	if token == "" || httpWithoutToken[operation] || r.Header.Get("Authorization") == "Bearer "+token {
		return nil
	}
	return &fake.Refused{Code: "UNAUTHORIZED", Message: "Invalid bearer token"}
}

func bodyOf(r *http.Request) ([]byte, error) {
	content, err := io.ReadAll(io.LimitReader(r.Body, fake.LineBytes+1))
	if err != nil {
		panic(http.ErrAbortHandler) // the client has gone
	}
	if len(content) <= fake.LineBytes {
		return content, nil
	}
	_, _ = io.Copy(io.Discard, r.Body) // so that the client reads the answer
	return nil, &fake.Refused{
		Code: "PAYLOAD_TOO_LARGE", Message: "the body is over its limit", Details: fake.Answer{"limit": fake.LineBytes},
	}
}

func parsed(r *http.Request, content []byte) (any, error) {
	if len(content) == 0 {
		return fake.NewObject(), nil
	}
	kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	if !strings.EqualFold(strings.TrimSpace(kind), "application/json") {
		return nil, &fake.Refused{Code: "UNSUPPORTED_MEDIA_TYPE", Message: "Send Content-Type: application/json."}
	}
	if len(bytes.Trim(content, " \t\r\n")) == 0 {
		return fake.NewObject(), nil
	}
	return fake.Parse(content)
}
