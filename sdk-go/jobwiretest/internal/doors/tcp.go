package doors

import "sync"

// TCP is the TCP door: lines of JSON, wire versions 1 and 2, notices. It knows nothing of jobs.
type TCP struct {
	*Listener
	service *Service

	// mu guards what follows.
	mu       sync.Mutex
	sessions map[*session]bool
	running  sync.WaitGroup // a session each
}

// NewTCP is a door that is not open yet.
func NewTCP(service *Service) *TCP {
	t := &TCP{service: service, sessions: make(map[*session]bool)}
	t.Listener = newListener(t.take, service.Tell)
	return t
}

func (t *TCP) take(c *conn) {
	opened := newSession(c, t.service)
	t.mu.Lock()
	t.sessions[opened] = true
	t.mu.Unlock()
	t.running.Add(1)
	go func() {
		defer t.running.Done()
		opened.serve()
		t.mu.Lock()
		delete(t.sessions, opened)
		t.mu.Unlock()
	}()
}

// Drain tells every session that the server stops; each is closed when what it asked for is answered.
func (t *TCP) Drain() {
	for _, open := range keysOf(t.sessions, &t.mu) {
		open.drain()
	}
}

// Close refuses, cuts, and waits until nothing runs. Idempotent.
func (t *TCP) Close() {
	t.Refuse()
	t.Cut()
	t.running.Wait()
}
