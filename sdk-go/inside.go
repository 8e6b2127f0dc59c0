package jobwire

import (
	"context"
	"fmt"
	"time"

	"github.com/jobwire/jobwire/sdk-go/internal/inside"
	"github.com/jobwire/jobwire/sdk-go/internal/wire"
)

// This file is what package jobwiretest needs of this one.

var _ = inside.Register(inside.Hooks{
	Version: Version,
	ErrorInfo: func(code string) (int, bool) {
		info, _ := lookUp(code)
		return info.status, info.retryable
	},
	NewClient: func(answer inside.AnswerFunc) any { return newInsideClient(answer) },
	ParseJob: func(view []byte) (any, error) {
		f := &fields{}
		job := parseJob(f, view)
		return job, f.err
	},
	PullOne: func(ctx context.Context, worker any, wait time.Duration) (any, error) {
		job, err := worker.(*Worker).pullOne(ctx, wait)
		return job, err
	},
	Names: func(worker any) []string { return worker.(*Worker).names() },
	Serves: func(client, worker any) bool {
		return worker.(*Worker).client.connection == client.(*Client).connection
	},
	Run: func(ctx context.Context, worker, job any) (inside.Outcome, error) {
		return worker.(*Worker).runOne(ctx, job.(*Job))
	},
})

// newInsideClient is a client whose requests answer takes, and those of its workers, too.
func newInsideClient(answer inside.AnswerFunc) *Client {
	client, err := NewClient("tcp://in.memory", &Config{Retries: -1, RetryBudget: -1})
	if err != nil {
		panic("jobwire: " + err.Error()) // for the arguments are good
	}
	client.transport.close()
	client.own = func(connTimes) transport {
		closed, end := context.WithCancel(context.Background())
		return &insideTransport{answer, closed, end}
	}
	client.transport = client.own(connTimes{})
	return client
}

// insideTransport asks a function.
type insideTransport struct {
	answer inside.AnswerFunc
	closed context.Context
	end    context.CancelFunc
}

var _ transport = (*insideTransport)(nil)

func (t *insideTransport) send(ctx context.Context, r *request, _ time.Duration) (reply, error) {
	if t.closed.Err() != nil {
		return reply{}, clientClosed()
	}
	payload, err := r.payload() // what a real transport would refuse is refused here too
	if err != nil {
		return reply{}, err
	}
	text, err := t.answer(ctx, r.op, payload)
	switch {
	case err != nil:
		return reply{}, err
	case !wire.Valid(text):
		return reply{}, errorf("PROTOCOL_ERROR", "the answer to %s is no JSON", r.op)
	}
	return reply{body: wire.ParseObject(text)}, nil
}

// polls: nothing is held open here.
func (t *insideTransport) polls() bool                 { return true }
func (t *insideTransport) subscribe(noticeFunc) func() { return func() {} }
func (t *insideTransport) interrupt()                  {}
func (t *insideTransport) closeIdle()                  {}
func (t *insideTransport) close()                      { t.end() }

// --- one job at a time ---

// pullOne is nil when there is no job.
func (w *Worker) pullOne(ctx context.Context, wait time.Duration) (*Job, error) {
	jobs, err := w.client.Pull(ctx, w.options.queues, &PullOptions{
		Wait: wait, Lease: w.options.lease, Names: w.options.names, WorkerID: w.options.workerID, Weights: w.options.weights,
	})
	if err != nil || len(jobs) == 0 {
		return nil, err
	}
	return jobs[0], nil
}

func (w *Worker) names() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.handlers.names()
}

// handlerOf is nil for a name without a handler.
func (w *Worker) handlerOf(name string) HandlerFunc {
	w.mu.Lock()
	defer w.mu.Unlock()
	handler := w.handlers[name]
	if handler != nil && w.wrap != nil && w.state == phaseNew {
		return w.wrap(handler)
	}
	return handler
}

// runOne has the handler run job in this goroutine, and tells the server what a worker would. There are no heartbeats.
func (w *Worker) runOne(ctx context.Context, job *Job) (inside.Outcome, error) {
	base, held := newHeldJob(context.WithoutCancel(ctx), job, w.runtime.Now().Add(w.options.lease))
	base, end := w.handlerContext(base, held)
	defer end()
	handler := w.handlerOf(job.Name)
	if handler == nil {
		return w.tell(ctx, unknownName(job, w.names()))
	}
	value, failure := callHandler(base, handler, job)
	found := w.settlement(base, held, value, failure)
	outcome := inside.Outcome{Kind: "release"} // of a lease that is lost nobody is told
	var err error
	if found != nil {
		outcome, err = w.tell(ctx, found)
	}
	outcome.Err = failure
	return outcome, err
}

// tell settles a job at once.
func (w *Worker) tell(ctx context.Context, s *settlement) (inside.Outcome, error) {
	switch s.kind {
	case settleAck:
		var result any
		if s.result != nil {
			result = s.result
		}
		_, err := w.client.Ack(ctx, s.job, result)
		return inside.Outcome{Kind: "ack", Result: s.result}, err
	case settleFail:
		_, err := w.client.Fail(ctx, s.job, failText(s.text), &FailOptions{RetryIn: s.retryIn, Discard: s.discard})
		kind := "fail"
		if s.discard {
			kind = "discard"
		}
		return inside.Outcome{Kind: kind, Text: s.text}, err
	case settleRelease:
		_, err := w.client.Release(ctx, s.job, s.delay)
		return inside.Outcome{Kind: "release"}, err
	}
	panic(fmt.Sprintf("jobwire: there is no settlement %d", s.kind))
}
