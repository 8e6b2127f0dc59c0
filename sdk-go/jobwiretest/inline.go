package jobwiretest

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jobwire/jobwire/sdk-go"
	"github.com/jobwire/jobwire/sdk-go/internal/inside"
	"github.com/jobwire/jobwire/sdk-go/jobwiretest/internal/fake"
)

// Inline is a client without a server: Push and PushBatch run the job's handler before they return.
//
//	inline := jobwiretest.NewInline(t)
//	inline.Use(newWorker(inline.Client)) // whatever makes the program's worker
//	inline.Push(ctx, "emails", "welcome", data, nil)
//	fmt.Println(inline.Outcomes()[0].Kind) // ack
//
// Everything else of a client works too, on a queue in memory: GetJob shows the result, Find and Stats the rest. Delayed jobs and
// retries run in [Inline.Advance]. Jobs without a handler stay waiting. What a handler returns is in its outcome, and its worker's
// OnError hears of a failure.
type Inline struct {
	*jobwire.Client

	// mu guards what follows; no handler runs with it held.
	mu         sync.Mutex
	operations *fake.Operations
	workers    map[string]*jobwire.Worker // by the name of a job
	running    map[string]chan struct{}   // by the id of a job whose handler runs; closed when it is settled
	outcomes   []*Outcome
}

// NewInline is an inline client, which is closed when the test ends. Its clock starts at the real time, and stands still.
func NewInline(t testing.TB) *Inline {
	i := StartInline(time.Now())
	t.Cleanup(func() { i.Close() })
	return i
}

// StartInline is an inline client whose clock starts at now; the caller closes it.
func StartInline(now time.Time) *Inline {
	i := &Inline{
		operations: fake.NewOperations(fake.NewState(now.UnixMilli(), 0)), workers: make(map[string]*jobwire.Worker),
		running: make(map[string]chan struct{}),
	}
	i.Client = inside.NewClient(i.answer).(*jobwire.Client)
	return i
}

// Use has the jobs that worker has handlers for run by these, whatever their queue. The worker must not be started.
//
// It panics when the worker was made with another client than this one.
func (i *Inline) Use(worker *jobwire.Worker) {
	if !inside.Serves(i.Client, worker) {
		panic("jobwiretest: the worker was made with another client than the inline one")
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, name := range inside.Names(worker) {
		i.workers[name] = worker
	}
}

// Outcomes is what every handler did, in the order in which they ended.
func (i *Inline) Outcomes() []*Outcome {
	i.mu.Lock()
	defer i.mu.Unlock()
	return slices.Clone(i.outcomes)
}

// Advance moves the clock on by d, and runs what has become ready: delayed jobs, and retries after their backoff. The error is one of
// settling a job.
func (i *Inline) Advance(ctx context.Context, d time.Duration) error {
	i.mu.Lock()
	i.operations.Advance(max(d, 0).Round(time.Millisecond).Milliseconds())
	i.mu.Unlock()
	return i.runReady(ctx)
}

// answer is what stands in for the server.
func (i *Inline) answer(ctx context.Context, op string, payload json.RawMessage) ([]byte, error) {
	parsed, err := fake.Parse(payload)
	if err != nil {
		return fake.Text(fake.Answer{"ok": false, "error": fake.ErrorView(err)}), nil
	}
	i.mu.Lock()
	answer, err := i.operations.Run(op, parsed.(*fake.Object), fake.Caller{Door: "inline", Version: 2})
	if err != nil {
		answer = fake.Answer{"ok": false, "error": fake.ErrorView(err)}
	} else {
		answer["ok"] = true
	}
	text, made := fake.Text(answer), fake.NewIDs(answer)
	i.mu.Unlock()
	if op != "push" && op != "push_batch" {
		return text, nil
	}
	if err := i.runReady(ctx); err != nil {
		return nil, err
	}
	return text, i.join(ctx, made)
}

// join waits for jobs that another goroutine is running: they are part of the push that made them, too.
func (i *Inline) join(ctx context.Context, ids []string) error {
	for _, id := range ids {
		i.mu.Lock()
		settled := i.running[id]
		i.mu.Unlock()
		if settled == nil {
			continue
		}
		select {
		case <-settled:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// runReady runs every ready job that has a handler; a handler that pushes runs those jobs first.
func (i *Inline) runReady(ctx context.Context) error {
	for {
		taken := i.take()
		if taken == nil {
			return nil
		}
		if err := i.run(ctx, taken); err != nil {
			return fmt.Errorf("jobwiretest: job %s: %w", taken.job.ID, err)
		}
	}
}

// leased is a job whose handler is about to run.
type leased struct {
	job     *jobwire.Job
	worker  *jobwire.Worker
	settled chan struct{}
}

// take leases the next job that has a handler; nil when there is none.
func (i *Inline) take() *leased {
	i.mu.Lock()
	defer i.mu.Unlock()
	names := make([]string, 0, len(i.workers))
	for name := range i.workers {
		names = append(names, name)
	}
	view := i.operations.PullNamed(names)
	if view == nil {
		return nil
	}
	job := parsedJob(view)
	taken := &leased{job, i.workers[job.Name], make(chan struct{})}
	i.running[job.ID] = taken.settled
	return taken
}

func (i *Inline) run(ctx context.Context, taken *leased) error {
	defer func() { // also when the handler ends its goroutine
		i.mu.Lock()
		delete(i.running, taken.job.ID)
		i.mu.Unlock()
		close(taken.settled)
	}()
	outcome, err := run(ctx, taken.worker, taken.job)
	if err != nil {
		return err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.outcomes = append(i.outcomes, outcome)
	return nil
}
