package jobwire

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jobwire/jobwire/sdk-go/internal/wire"
)

const (
	// lately: a connection on which a call timed out is trusted further only if the server was heard this recently.
	lately = 5 * time.Second
	// lastWords is how long the server's last lines may take once nothing can be written any more.
	lastWords  = time.Second
	readBuffer = 64 << 10 // bytes a read
)

// errDraining: the connection takes no more requests. It is never seen outside of the transport.
var errDraining = errors.New("jobwire: draining")

// tcpCall is one caller and what it waits for. body and err are set before done is closed, once.
type tcpCall struct {
	rid    int64
	waits  bool // whether the server holds the answer back by design
	sentAt time.Time
	done   chan struct{}
	body   wire.Object
	err    error
}

func (c *tcpCall) finish(body wire.Object, err error) {
	c.body, c.err = body, err
	close(c.done)
}

func (c *tcpCall) reply() (reply, error) { return reply{body: c.body}, c.err }

// tcpLink is a connection, from its handshake to its end.
type tcpLink struct {
	conn     net.Conn
	endpoint *endpoint
	notices  *subscribers
	takes    atomic.Bool   // whether it takes requests: after the handshake, until goaway or the end
	version  atomic.Int32  // 0 before the handshake is over
	shaken   chan struct{} // closed when the handshake is over
	ended    chan struct{} // closed when the connection is given up
	wake     chan struct{} // has room for one: there is something to write

	mu      sync.Mutex
	session *wire.Session
	calls   map[int64]*tcpCall
	unsent  []byte
	heardAt time.Time
	silence wire.Silence // without a limit, nobody looks
	watch   *time.Timer  // runs while calls are in flight; nil before the first, and where nobody looks
	err     error        // why it was given up
}

// newTCPLink is a link on which the server may say nothing for silence while calls are in flight, or for ever when that is 0.
func newTCPLink(conn net.Conn, where *endpoint, silence time.Duration, notices *subscribers) *tcpLink {
	hello := wire.Hello{Name: where.clientName, Version: Version, Token: where.token.reveal()}
	return &tcpLink{
		conn: conn, endpoint: where, notices: notices,
		shaken: make(chan struct{}), ended: make(chan struct{}), wake: make(chan struct{}, 1),
		session: wire.NewSession(hello, limitLineBytes, wire.MaxAnswer), calls: map[int64]*tcpCall{},
		silence: wire.Silence{Limit: silence},
	}
}

// run reads and writes until the connection is given up.
func (l *tcpLink) run() {
	var writer sync.WaitGroup
	writer.Add(1)
	go func() {
		defer writer.Done()
		l.write()
	}()
	l.read()
	writer.Wait()
}

// shakeHands says hello and waits until the handshake is over. What failed before a request could be sent is CONNECTION_FAILED.
func (l *tcpLink) shakeHands(ctx context.Context) error {
	l.mu.Lock()
	l.queue(l.session.Hello())
	l.mu.Unlock()
	select {
	case <-l.shaken:
		return nil
	case <-l.ended:
	case <-ctx.Done():
		l.end(connectionFailed(l.endpoint, "no answer to hello in time", ctx.Err()))
	}
	var failed *Error
	if err := l.reason(); !errors.As(err, &failed) || failed.Code != "CONNECTION_LOST" {
		return err
	}
	return connectionFailed(l.endpoint, failed.Message, failed)
}

// submit sends a request. The error is errDraining, or PAYLOAD_TOO_LARGE; nothing was sent then.
func (l *tcpLink) submit(cmd string, payload []byte, waits bool) (*tcpCall, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil || l.session.Draining() {
		return nil, errDraining
	}
	rid, unsent, err := l.session.Send(l.unsent, cmd, payload)
	var large *wire.TooLarge
	if errors.As(err, &large) {
		refused := errorf("PAYLOAD_TOO_LARGE", "%v", large)
		refused.Details = map[string]any{"limit": large.Limit}
		return nil, refused
	}
	call := &tcpCall{rid: rid, waits: waits, sentAt: time.Now(), done: make(chan struct{})}
	if len(l.calls) == 0 {
		l.startWatch(call.sentAt)
	}
	l.calls[rid] = call
	l.unsent = unsent
	l.wakeWriter()
	return call, nil
}

// wait is the answer to a call; a caller that leaves without it is forgotten, and its answer is not given to another.
func (l *tcpLink) wait(ctx context.Context, call *tcpCall, timer *time.Timer, timeout time.Duration) (reply, error) {
	select {
	case <-call.done:
		return call.reply()
	case <-timer.C:
		if l.expire(call) {
			return reply{}, timedOut(l.endpoint, timeout, nil)
		}
	case <-ctx.Done():
		if l.leave(call, errors.Is(ctx.Err(), context.DeadlineExceeded)) {
			return reply{}, ctx.Err()
		}
	}
	<-call.done // its answer came at the last moment
	return call.reply()
}

// expire forgets a call whose time is up; false when its answer came at the last moment.
func (l *tcpLink) expire(call *tcpCall) bool {
	l.mu.Lock()
	if l.calls[call.rid] != call {
		l.mu.Unlock()
		return false
	}
	l.drop(call.rid)
	poisoned := l.session.Abandon(call.rid, false) || l.isSilent(call)
	l.mu.Unlock()
	if poisoned {
		l.end(connectionLost(l.endpoint, "the server stopped answering", nil))
	}
	return true
}

// isSilent says whether nothing was heard since call was sent, or lately: the connection may be half open, and is given up.
func (l *tcpLink) isSilent(call *tcpCall) bool {
	return !l.heardAt.After(call.sentAt) || time.Since(l.heardAt) > lately
}

// leave forgets a call whose caller's context has ended; jobs in its answer are given back. A pull that waits is called off, so that
// it takes no job with it. It is false when the answer came at the last moment.
func (l *tcpLink) leave(call *tcpCall, late bool) bool {
	l.mu.Lock()
	if l.calls[call.rid] != call {
		l.mu.Unlock()
		return false
	}
	l.drop(call.rid)
	poisoned := l.session.Abandon(call.rid, true)
	if call.waits && !poisoned {
		l.queue(l.session.Abort(nil, call.rid))
	} else if late {
		poisoned = poisoned || l.isSilent(call)
	}
	l.mu.Unlock()
	if poisoned {
		l.end(connectionLost(l.endpoint, "a call in flight was cancelled", nil))
	}
	return true
}

func (l *tcpLink) interrupt() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, call := range l.calls {
		if call.waits {
			l.queue(l.session.Abort(nil, call.rid))
		}
	}
}

// end gives the connection up; all calls fail with err.
func (l *tcpLink) end(err error) { l.endWith(err, false) }

// endIfIdle gives the connection up unless a call is in flight.
func (l *tcpLink) endIfIdle() {
	l.endWith(connectionLost(l.endpoint, "it was idle, and another one dead", nil), true)
}

func (l *tcpLink) endWith(err error, onlyIdle bool) {
	l.mu.Lock()
	if l.err != nil || (onlyIdle && len(l.calls) > 0) {
		l.mu.Unlock()
		return
	}
	l.err = err
	l.takes.Store(false)
	calls := l.calls
	l.calls = nil
	l.stopWatch()
	close(l.ended)
	l.mu.Unlock()
	abort(l.conn)
	for _, call := range calls {
		call.finish(nil, err)
	}
}

// abort closes a connection at once: the goodbye of TLS could wait for a peer that reads nothing.
func abort(conn net.Conn) {
	if secured, ok := conn.(*tls.Conn); ok {
		conn = secured.NetConn()
	}
	conn.Close()
}

// reason is why the connection was given up, nil before that.
func (l *tcpLink) reason() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}
