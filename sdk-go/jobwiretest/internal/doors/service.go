// Package doors is what stands between the network and the queue of package fake: HTTP and TCP, requests that wait, faults, and
// the record of calls.
package doors

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/jobwire/jobwire/sdk-go/jobwiretest/internal/fake"
)

// Call is one request that reached the server: the operation, the JSON of its fields as they were sent, and the door.
type Call struct {
	Operation string
	Fields    []byte
	Door      string
}

var (
	// errDropped: the request was carried out, and its answer must not be sent: the door cuts the connection.
	errDropped = errors.New("the answer is dropped by a fault")
	// errSwallowed: the request is neither carried out nor answered, and the connection stays.
	errSwallowed = errors.New("the request is swallowed by a fault")
)

// Service carries requests out, one at a time and each as a whole. Each change is shown to all who wait, in the order in which they
// came. Safe for concurrent use.
type Service struct {
	// Token is the bearer token that the doors want; "" for none.
	Token string

	// mu guards what follows. told is closed and made anew after each request, change and end of a connection.
	mu         sync.Mutex
	operations *fake.Operations
	calls      []Call
	holds      []*Hold
	dropped    map[string]int
	swallowed  map[string]int
	refusals   map[string][]*fake.Refused
	told       chan struct{}
}

// NewService serves the jobs of state.
func NewService(state *fake.State, token string) *Service {
	return &Service{
		Token: token, operations: fake.NewOperations(state), dropped: make(map[string]int), swallowed: make(map[string]int),
		refusals: make(map[string][]*fake.Refused), told: make(chan struct{}),
	}
}

// doneFunc gets the answer to a request, or why there is none, once: before Do returns, or when a held request is over. It is called
// with the service locked, so that answers and notices keep their order, and must not block.
type doneFunc func(fake.Answer, error)

// Do carries a request out, or holds it while it may wait. hold lets the door end its wait.
func (s *Service) Do(name string, fields *fake.Object, caller fake.Caller, hold *Hold, done doneFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, Call{name, fake.Text(fields), caller.Door})
	s.tell()
	if used(s.swallowed, name) {
		done(nil, errSwallowed)
		return
	}
	if planned := s.refusals[name]; len(planned) > 0 {
		s.refusals[name] = planned[1:]
		done(nil, planned[0])
		return
	}
	answer, err := s.operations.Run(name, fields, caller)
	if name == "pull" && err == nil {
		s.sendAway(fields.Get("request_id"))
	}
	wait := waitOf(name, fields)
	if err == nil && wait > 0 && fake.IsEmptyHanded(name, answer) && !hold.isOver {
		s.changed()
		s.hold(hold, &held{name: name, fields: fields, caller: caller, answer: answer, done: done}, wait)
		return
	}
	s.finish(name, answer, err, done)
	s.changed()
}

// finish answers a request that is over.
func (s *Service) finish(name string, answer fake.Answer, err error, done doneFunc) {
	if err == nil && used(s.dropped, name) {
		err = errDropped
	}
	done(answer, err)
}

// Hello is the greeting of a TCP session, with checked fields.
func (s *Service) Hello(fields fake.Fields, caller fake.Caller) (fake.Answer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.operations.Hello(fields, caller)
}

// Change has f change what the server knows.
func (s *Service) Change(f func(*fake.Operations)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(s.operations)
	s.changed()
}

// Look has f look at what the server knows.
func (s *Service) Look(f func(*fake.Operations)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(s.operations)
}

// changed sends the notices, and asks again for all who wait. The lock is held.
func (s *Service) changed() {
	s.operations.SendNotices()
	for _, hold := range slices.Clone(s.holds) {
		s.tryAgain(hold)
	}
	s.tell()
}

// Drain refuses pulls from now on, and ends those that are held.
func (s *Service) Drain() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.operations.IsDraining = true
	s.endAll()
	s.tell()
}

// IsDraining says whether the server stops.
func (s *Service) IsDraining() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.operations.IsDraining
}

// Calls is every request so far, in order.
func (s *Service) Calls() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.calls)
}

// --- faults ---

// Drop plans to cut the connection in place of the next answers to this operation.
func (s *Service) Drop(name string, times int) { s.plan(func() { s.dropped[name] = times }) }

// Swallow plans to ignore the next requests of this operation.
func (s *Service) Swallow(name string, times int) { s.plan(func() { s.swallowed[name] = times }) }

// Refuse plans to refuse the next requests of this operation.
func (s *Service) Refuse(name, code, message string, times int) {
	s.plan(func() {
		for range times {
			s.refusals[name] = append(s.refusals[name], &fake.Refused{Code: code, Message: message})
		}
	})
}

func (s *Service) plan(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

// used says whether a fault is planned for this request; it is then used up.
func used(planned map[string]int, name string) bool {
	left := planned[name]
	if left > 0 {
		planned[name] = left - 1
	}
	return left > 0
}

// --- whoever looks on ---

// Tell has those asked again who wait for something to hold.
func (s *Service) Tell() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tell()
}

func (s *Service) tell() {
	close(s.told)
	s.told = make(chan struct{})
}

// WaitUntil returns nil once holds does, and the error of ctx when that ends first. holds is asked after each request, change and
// end of a connection, with the service not locked.
func (s *Service) WaitUntil(ctx context.Context, holds func() bool) error {
	for {
		s.mu.Lock()
		told := s.told
		s.mu.Unlock()
		if holds() {
			return nil
		}
		select {
		case <-told:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func milliseconds(n int64) time.Duration { return time.Duration(n) * time.Millisecond }
