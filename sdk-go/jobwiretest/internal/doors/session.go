package doors

import (
	"errors"
	"io"
	"net"
	"sync"

	"github.com/jobwire/jobwire/sdk-go/jobwiretest/internal/fake"
)

// session is one connection to the TCP door. In version 1 its lines are carried out one after another; in version 2 those with a
// rid side by side, and the others in their order among themselves.
//
//	reader ──▶ lines ──▶ taker ──▶ service ──▶ out ──▶ writer
//
// The service is never called with mu held: it calls back, locked itself, for answers and notices.
type session struct {
	conn    *conn
	service *Service
	running sync.WaitGroup
	lane    chan struct{} // of the taker: closed with the last request of version 2 without a rid

	// mu guards what follows; changed tells of it.
	mu              sync.Mutex
	changed         *sync.Cond
	lines           []line
	out             []byte
	holds           map[*Hold]any // the rid, or nil
	inFlight        int
	version         int
	client          *string
	lastRID         any // nil before the first
	isGreeted       bool
	isAuthenticated bool
	hasEnded        bool // the peer sends no more, or nothing more is taken: nothing waits
	isOver          bool // nothing more is answered
}

func newSession(c *conn, service *Service) *session {
	s := &session{
		conn: c, service: service, lane: make(chan struct{}), holds: make(map[*Hold]any), version: 1,
		isAuthenticated: service.Token == "",
	}
	close(s.lane)
	s.changed = sync.NewCond(&s.mu)
	return s
}

// serve returns when the connection has ended.
func (s *session) serve() {
	s.start(s.read)
	s.start(s.take)
	s.start(s.write)
	s.running.Wait()
	_ = s.conn.Close()
}

func (s *session) start(run func()) {
	s.running.Add(1)
	go func() {
		defer s.running.Done()
		run()
	}()
}

// update changes what mu guards.
func (s *session) update(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
	s.changed.Broadcast()
}

// await returns once claim holds, which is asked with mu held.
func (s *session) await(claim func() bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for !claim() {
		s.changed.Wait()
	}
}

func (s *session) read() {
	var stream stream
	buffer := make([]byte, 1<<16)
	for {
		n, err := s.conn.Read(buffer)
		if n > 0 {
			lines := stream.push(buffer[:n])
			s.update(func() { s.lines = append(s.lines, lines...) })
		}
		if err == nil {
			continue
		}
		isOrderly := errors.Is(err, io.EOF)
		s.update(func() {
			s.lines = append(s.lines, stream.end()...)
			s.hasEnded = true
			s.isOver = s.isOver || !isOrderly
		})
		s.endWaits()
		return
	}
}

func (s *session) take() {
	for {
		var next line
		isThere := false
		s.await(func() bool {
			if len(s.lines) > 0 {
				next, isThere, s.lines = s.lines[0], true, s.lines[1:]
			}
			return isThere || s.hasEnded || s.isOver
		})
		if !isThere {
			s.leave()
			return
		}
		if !s.over() {
			s.takeLine(next)
		}
	}
}

func (s *session) over() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.isOver
}

// write sends what there is to send, and in the end says that there is no more.
func (s *session) write() {
	for {
		var data []byte
		s.await(func() bool {
			data, s.out = s.out, nil
			return len(data) > 0 || s.isOver
		})
		if len(data) == 0 {
			break
		}
		if _, err := s.conn.Write(data); err != nil {
			_ = s.conn.Close() // so that the reader ends, too
			return
		}
	}
	if socket, ok := s.conn.Conn.(*net.TCPConn); ok {
		_ = socket.CloseWrite() // the reader goes on, so that what the peer still sends does not reset what it was told
	}
}

// leave answers what is in flight, and closes.
func (s *session) leave() {
	s.endWaits()
	s.settled()
	s.update(func() { s.isOver = true })
}

// settled returns when nothing is in flight.
func (s *session) settled() { s.await(func() bool { return s.inFlight == 0 }) }

// endWaits ends what is held for this session.
func (s *session) endWaits() {
	for _, hold := range keysOf(s.holds, &s.mu) {
		s.service.End(hold)
	}
}

// drain: the server stops. Answer what was taken, refuse the rest, and close (JW-TCP-33).
func (s *session) drain() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.isOver {
		return
	}
	s.notify(fake.Answer{"notice": "goaway", "last_rid": s.lastRID, "reason": "shutdown"})
	s.start(s.leave) // the taker still runs, for nothing is over
}

// Notify sends a line that nobody asked for; only a session of version 2 gets any.
func (s *session) Notify(notice fake.Answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.notify(notice)
}

func (s *session) notify(notice fake.Answer) {
	if s.version == 2 {
		s.send(notice)
	}
}

// send has the mutex held.
func (s *session) send(answer fake.Answer) {
	s.out = append(append(s.out, fake.Text(answer)...), '\n')
	s.changed.Broadcast()
}
