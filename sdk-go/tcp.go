package jobwire

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/jobwire/jobwire/sdk-go/internal/wire"
)

// tcpTransport carries requests over one TCP connection at a time, which all goroutines share.
//
//	caller ── submit ──▶ writer goroutine ──▶ server
//	  ▲                                         │
//	  └── call.finish ◀── reader goroutine ◀────┘
//
// Rule 1: which answer belongs to which call is decided by the session alone, under the connection's lock.
//
// Rule 2: a connection is not mended. It is given up, and the next call makes a new one, of which all callers that arrive meanwhile
// wait for the same.
type tcpTransport struct {
	endpoint *endpoint
	silence  time.Duration // how long the server may say nothing while calls are in flight; 0 is for ever
	logf     func(format string, args ...any)
	notices  subscribers
	stopped  context.Context // ends when the transport is closed
	stop     context.CancelFunc
	running  sync.WaitGroup // attempts and links

	mu      sync.Mutex
	closed  bool
	attempt *tcpAttempt
	current *tcpLink
	links   map[*tcpLink]struct{} // the current one, and those that finish what is in flight
}

var _ transport = (*tcpTransport)(nil)

// minAttempt is the time that an attempt to connect has at least, however soon the call that began it is over.
const minAttempt = time.Second

// tcpAttempt is a connection in the making, for which any number of callers wait. link and err are set before done is closed.
type tcpAttempt struct {
	done chan struct{}
	link *tcpLink
	err  error
}

func newTCPTransport(where *endpoint, silence time.Duration, logf func(string, ...any)) *tcpTransport {
	t := &tcpTransport{endpoint: where, silence: silence, logf: logf, links: map[*tcpLink]struct{}{}}
	t.stopped, t.stop = context.WithCancel(context.Background())
	return t
}

func (t *tcpTransport) polls() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.current != nil && t.current.version.Load() == 1
}

func (t *tcpTransport) subscribe(callback noticeFunc) func() { return t.notices.add(callback) }

func (t *tcpTransport) send(ctx context.Context, r *request, timeout time.Duration) (reply, error) {
	payload, err := r.payload()
	if err != nil {
		return reply{}, err
	}
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	end := time.Now().Add(timeout)
	for {
		link, err := t.usable(ctx, timer, end)
		if err != nil {
			return reply{}, err
		}
		call, err := link.submit(r.op, payload, r.wait > 0)
		if errors.Is(err, errDraining) {
			continue // it ended in this very moment; nothing was sent
		}
		if err != nil {
			return reply{}, err
		}
		return link.wait(ctx, call, timer, timeout)
	}
}

// usable is a connection that takes requests. timer fires at end, when the call's time is over.
func (t *tcpTransport) usable(ctx context.Context, timer *time.Timer, end time.Time) (*tcpLink, error) {
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		return nil, clientClosed()
	}
	if t.current != nil && t.current.takes.Load() {
		defer t.mu.Unlock()
		return t.current, nil
	}
	attempt := t.attempt
	if attempt == nil {
		attempt = &tcpAttempt{done: make(chan struct{})}
		t.attempt = attempt
		t.running.Add(1)
		go t.make(attempt, attemptTime(t.endpoint.connectTimeout, timeLeft(ctx, end)))
	}
	t.mu.Unlock()
	select {
	case <-attempt.done:
		return attempt.link, attempt.err
	case <-timer.C:
		return nil, connectionFailed(t.endpoint, "timed out", nil)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// timeLeft is how long a call has until end, or until its context's deadline where that comes first.
func timeLeft(ctx context.Context, end time.Time) time.Duration {
	if deadline, has := ctx.Deadline(); has && deadline.Before(end) {
		end = deadline
	}
	return time.Until(end)
}

// attemptTime is how long an attempt to connect may take that a call begins with left of its own time. Its peer may have gone
// silent in the handshake: calls that come after this one need not wait for the same attempt.
func attemptTime(limit, left time.Duration) time.Duration { return min(limit, max(minAttempt, left)) }

// make fills an attempt within timeout, for whoever waits for it.
func (t *tcpTransport) make(attempt *tcpAttempt, timeout time.Duration) {
	defer t.running.Done()
	ctx, cancel := context.WithTimeout(t.stopped, timeout)
	defer cancel()
	link, err := t.connect(ctx)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed && link != nil {
		link.end(clientClosed())
	}
	if t.closed {
		link, err = nil, clientClosed()
	}
	t.attempt = nil
	if link != nil {
		t.current = link
		t.links[link] = struct{}{}
	}
	attempt.link, attempt.err = link, err
	close(attempt.done)
}

// connect makes a connection and shakes hands on it.
func (t *tcpTransport) connect(ctx context.Context) (*tcpLink, error) {
	conn, err := t.endpoint.dial(ctx)
	if err != nil {
		return nil, err
	}
	link := newTCPLink(conn, t.endpoint, t.silence, &t.notices)
	t.running.Add(1)
	go func() {
		defer t.running.Done()
		link.run()
		t.forget(link)
	}()
	if err := link.shakeHands(ctx); err != nil {
		return nil, err
	}
	return link, nil
}

func (t *tcpTransport) forget(link *tcpLink) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.links, link)
	if !t.closed {
		t.logf("jobwire: the connection ended: %v", link.reason())
	}
}

func (t *tcpTransport) interrupt() {
	for _, link := range t.open() {
		link.interrupt()
	}
}

func (t *tcpTransport) closeIdle() {
	for _, link := range t.open() {
		link.endIfIdle()
	}
}

func (t *tcpTransport) open() []*tcpLink {
	t.mu.Lock()
	defer t.mu.Unlock()
	open := make([]*tcpLink, 0, len(t.links))
	for link := range t.links {
		open = append(open, link)
	}
	return open
}

func (t *tcpTransport) close() {
	t.mu.Lock()
	t.closed = true
	t.current = nil
	t.mu.Unlock()
	t.stop()
	for _, link := range t.open() {
		link.end(clientClosed())
	}
	t.running.Wait()
}

// subscribers are the callbacks for notices of a transport.
type subscribers struct {
	mu        sync.Mutex
	callbacks []*noticeFunc // replaced, never changed
}

func (s *subscribers) add(callback noticeFunc) (stop func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.callbacks = append(s.callbacks[:len(s.callbacks):len(s.callbacks)], &callback)
	return func() { s.remove(&callback) }
}

func (s *subscribers) remove(callback *noticeFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var kept []*noticeFunc
	for _, one := range s.callbacks {
		if one != callback {
			kept = append(kept, one)
		}
	}
	s.callbacks = kept
}

func (s *subscribers) tell(line wire.Noticed) {
	s.mu.Lock()
	callbacks := s.callbacks
	s.mu.Unlock()
	if len(callbacks) == 0 {
		return
	}
	f := &fields{members: line.Fields}
	told := notice{name: line.Name, id: f.text("id"), lease: f.text("lease"), fields: line.Fields}
	for _, callback := range callbacks {
		(*callback)(told)
	}
}
