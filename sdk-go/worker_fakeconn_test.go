package jobwire

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// fakeConn is one connection to a fakeServer.
type fakeConn struct {
	server *fakeServer
	number int

	// Guarded by the server's lock.
	waits       bool // a pull does
	interrupted bool
}

var _ workerConn = (*fakeConn)(nil)

// serve carries out one call, do, under the lock, with the fault that is next for its operation.
func (c *fakeConn) serve(ctx context.Context, call fakeCall, do func()) error {
	call.conn = c.number
	var fault fakeFault
	c.server.update(func() {
		c.server.calls = append(c.server.calls, call)
		if waiting := c.server.faults[call.op]; len(waiting) > 0 {
			fault, c.server.faults[call.op] = waiting[0], waiting[1:]
			if fault.err == nil {
				fault.err = context.Canceled
			}
		} else if c.server.away {
			fault = fakeFault{err: newError("CONNECTION_FAILED", "", nil)}
		}
	})
	if c.server.hook != nil {
		c.server.hook(call.op)
	}
	if fault.err == context.Canceled {
		<-ctx.Done()
	}
	if fault.err == nil || fault.after {
		c.server.update(do)
	}
	return fault.err
}

func (c *fakeConn) Pull(ctx context.Context, queues []string, opts *PullOptions) ([]*Job, error) {
	var jobs []*Job
	call := fakeCall{op: "pull", what: fmt.Sprint(queues), pull: opts}
	err := c.serve(ctx, call, func() { jobs = c.server.give(opts) })
	if err != nil || len(jobs) > 0 || opts.Wait == 0 {
		return jobs, err
	}
	answered := c.server.mu.await(ctx, func() bool {
		jobs = c.server.give(opts)
		c.waits = len(jobs) == 0 && !c.server.away && !c.interrupted
		return !c.waits
	})
	if !answered || (len(jobs) == 0 && !c.interrupted) {
		return nil, newError("CONNECTION_LOST", "", ctx.Err())
	}
	return jobs, nil
}

// give is the jobs for a pull, the same for the same request id; the lock is held.
func (f *fakeServer) give(opts *PullOptions) []*Job {
	if given := f.given[opts.RequestID]; len(given) > 0 {
		return given
	}
	count := min(opts.Count, len(f.ready))
	f.given[opts.RequestID], f.ready = f.ready[:count], f.ready[count:]
	return f.given[opts.RequestID]
}

func (c *fakeConn) AckBatch(ctx context.Context, items []AckItem) ([]ItemResult, error) {
	results := make([]ItemResult, len(items))
	var ids []string
	for _, item := range items {
		ids = append(ids, item.Job.Lease)
	}
	err := c.serve(ctx, fakeCall{op: "ack_batch", what: fmt.Sprint(ids)}, func() {
		for i, item := range items {
			results[i] = c.server.end(item.Job, strings.TrimSpace(fmt.Sprintf("ack %s", resultText(item.Result))))
		}
	})
	return results, err
}

func resultText(result any) string {
	raw, err := encodeJSON("result", result)
	if result == nil || err != nil {
		return ""
	}
	return string(raw)
}

// end settles a job; the lock is held.
func (f *fakeServer) end(job *Job, how string) ItemResult {
	if waiting := f.faults["item "+job.ID]; len(waiting) > 0 {
		f.faults["item "+job.ID] = waiting[1:]
		return ItemResult{ID: job.ID, Err: waiting[0].err}
	}
	f.ended[job.ID] = how
	return ItemResult{ID: job.ID, OK: true}
}

func (c *fakeConn) FailBatch(ctx context.Context, items []FailItem) ([]ItemResult, error) {
	results := make([]ItemResult, len(items))
	err := c.serve(ctx, fakeCall{op: "fail_batch"}, func() {
		for i, item := range items {
			results[i] = c.server.end(item.Job, failLine(item.Err, item.RetryIn, item.Discard))
		}
	})
	return results, err
}

func failLine(err error, retryIn time.Duration, discard bool) string {
	line := "fail " + err.Error()
	if retryIn != 0 {
		line += fmt.Sprintf(" retry in %v", retryIn)
	}
	if discard {
		line += " discard"
	}
	return line
}

func (c *fakeConn) Fail(ctx context.Context, job *Job, failure error, opts *FailOptions) (*FailResult, error) {
	var result ItemResult
	err := c.serve(ctx, fakeCall{op: "fail", what: job.ID}, func() {
		result = c.server.end(job, failLine(failure, opts.RetryIn, opts.Discard))
	})
	if err == nil {
		err = result.Err
	}
	return &FailResult{}, err
}

func (c *fakeConn) Release(ctx context.Context, job *Job, delay time.Duration) (*StateResult, error) {
	var result ItemResult
	err := c.serve(ctx, fakeCall{op: "release", what: job.ID}, func() {
		result = c.server.end(job, fmt.Sprintf("release %v", delay))
	})
	if err == nil {
		err = result.Err
	}
	return &StateResult{}, err
}

func (c *fakeConn) Progress(ctx context.Context, job *Job, percent int, message string) error {
	return c.serve(ctx, fakeCall{op: "progress", what: fmt.Sprint(job.ID, " ", percent, " ", message)}, func() {})
}

func (c *fakeConn) Heartbeat(ctx context.Context, job *Job, _ time.Duration) (*HeartbeatResult, error) {
	err := c.serve(ctx, fakeCall{op: "heartbeat", what: job.ID}, func() {})
	return &HeartbeatResult{}, err
}

func (c *fakeConn) HeartbeatBatch(ctx context.Context, items []HeartbeatItem, opts *HeartbeatBatchOptions) (*HeartbeatBatchResult, error) {
	answer := HeartbeatBatchResult{}
	var leases []string
	for _, item := range items {
		leases = append(leases, item.Job.Lease)
		answer.Results = append(answer.Results, ItemResult{ID: item.Job.ID, OK: true})
	}
	if err := c.serve(ctx, fakeCall{op: "heartbeat_batch", what: fmt.Sprint(leases), beat: opts}, func() {}); err != nil {
		return nil, err
	}
	if opts == nil || opts.Wait == 0 {
		return &answer, nil
	}
	held, cancel := context.WithTimeout(ctx, opts.Wait)
	defer cancel()
	isNews := c.server.mu.await(held, func() bool {
		news := c.server.news
		c.server.news = HeartbeatBatchResult{}
		answer.Lost, answer.Cancelled, answer.Deaf = news.Lost, news.Cancelled, news.Deaf
		return len(news.Lost)+len(news.Cancelled) > 0 || news.Deaf || c.server.away
	})
	if !isNews && ctx.Err() != nil {
		return nil, newError("CONNECTION_LOST", "", ctx.Err())
	}
	return &answer, nil
}

func (c *fakeConn) notices(listen noticeFunc) func() {
	c.server.update(func() { c.server.listen[c.number] = listen })
	return func() { c.server.update(func() { delete(c.server.listen, c.number) }) }
}

func (c *fakeConn) interruptWaits() { c.server.update(func() { c.interrupted = c.waits }) }

func (c *fakeConn) closeIdle() { c.server.update(func() { c.server.idled++ }) }

func (c *fakeConn) Close() error {
	c.server.update(func() { c.server.closed++ })
	return nil
}
