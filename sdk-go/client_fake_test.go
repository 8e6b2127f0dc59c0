package jobwire

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/jobwire/jobwire/sdk-go/internal/seam"
	"github.com/jobwire/jobwire/sdk-go/internal/wire"
)

// scripted is a transport that answers in order: with the JSON of an answer, or with an error. The last one stays.
type scripted struct {
	mu      sync.Mutex
	answers []any
	sent    []string // what was asked: the operation and the JSON of its fields
	polling bool
	closed  bool
}

var _ transport = (*scripted)(nil)

func (s *scripted) send(_ context.Context, r *request, _ time.Duration) (reply, error) {
	payload, err := r.payload()
	if err != nil {
		return reply{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent = append(s.sent, r.op+" "+string(payload))
	answer := s.answers[0]
	if len(s.answers) > 1 {
		s.answers = s.answers[1:]
	}
	if err, isError := answer.(error); isError {
		return reply{}, err
	}
	return reply{body: wire.ParseObject([]byte(answer.(string)))}, nil
}

func (s *scripted) polls() bool                 { return s.polling }
func (s *scripted) subscribe(noticeFunc) func() { return func() {} }
func (s *scripted) interrupt()                  {}
func (s *scripted) closeIdle()                  {}
func (s *scripted) close()                      { s.closed = true }

// slept is a runtime whose sleeps are noted, and end at once; its clock moves by them.
type slept struct {
	mu     sync.Mutex
	lasted []time.Duration
	now    time.Time
}

func (s *slept) runtime() *seam.Runtime {
	return &seam.Runtime{Now: s.clock, Sleep: s.sleep, Random: func() float64 { return 0.5 }}
}

func (s *slept) clock() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

func (s *slept) sleep(ctx context.Context, d time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lasted = append(s.lasted, d)
	s.now = s.now.Add(d)
	return ctx.Err()
}

// setup is a client over a transport that answers so, and what it sleeps.
func setup(t *testing.T, config *Config, answers ...any) (*Client, *scripted, *slept) {
	t.Helper()
	if config == nil {
		config = &Config{}
	}
	sleeps := &slept{now: time.Unix(0, 0)}
	seam.Attach(config, sleeps.runtime())
	client, err := NewClient("tcp://example.org", config)
	if err != nil {
		t.Fatal(err)
	}
	client.transport.close()
	server := &scripted{answers: answers}
	client.transport = server
	return client, server, sleeps
}

func pushed(client *Client) error {
	_, err := client.Push(context.Background(), "q", "n", nil, nil)
	return err
}

const ms = time.Millisecond
