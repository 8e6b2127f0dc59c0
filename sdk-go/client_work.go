package jobwire

import (
	"context"
	"time"
)

// Push puts a job in queue. When it returns, the job survives whatever the server's durability promises.
//
// queue is 1–256 characters of A-Za-z0-9._- and made by its first push; name says what kind of job it is, and a worker picks the
// handler by it. data is anything that encodes to JSON of at most 1 MiB; a json.RawMessage is sent verbatim. options may be nil.
//
// Errors match ErrValidation for a bad argument; ErrConflict for DUPLICATE_KEY (Details["existing_id"]) or ID_CONFLICT, when this
// ID has another payload; ErrRateLimited for QUEUE_FULL; ErrUnavailable for QUEUE_PAUSED, STORAGE_FULL and other passing trouble,
// after the retries.
//
// It is repeated safely after a lost answer; the outcome is then existing. Requirements JW-PUSH, JW-UNIQ, JW-DEP.
func (c *Client) Push(ctx context.Context, queue, name string, data any, options *PushOptions) (*PushResult, error) {
	op, err := pushOp(queue, name, data, options, c.newID())
	return do(ctx, c, op, err)
}

// PushBatch puts up to 1,000 jobs in queue, in one transaction. options may be nil.
//
// The results are in the order of jobs. With Partial a refused item has its Err set; without, one bad item refuses the whole batch.
// Errors are those of Push. It is repeated safely: the IDs are made before the first try.
func (c *Client) PushBatch(ctx context.Context, queue string, jobs []PushItem, options *PushBatchOptions) ([]PushResult, error) {
	op, err := pushBatchOp(queue, jobs, options, c.newID)
	return do(ctx, c, op, err)
}

// Pull claims up to Count jobs that are waiting: highest priority first, then the one that was ready first. queues are tried in
// order. options may be nil: one job, no wait.
//
// It returns no jobs when the wait ran out, and may return fewer than Count even when more are waiting. Each has its lease; renew
// it with Heartbeat. When it runs out the job is waiting again, and a late Ack fails with LEASE_LOST. After ErrTimeout and
// ErrTransport jobs may have been claimed; they come back when their leases end.
//
// Two calls claim different jobs, unless they carry the same RequestID. Requirements JW-PULL, JW-LEASE.
func (c *Client) Pull(ctx context.Context, queues []string, options *PullOptions) ([]*Job, error) {
	op, err := pullOp(queues, options, c.newID)
	if err != nil {
		return nil, err
	}
	end := c.runtime.Now().Add(op.request.wait)
	for {
		jobs, err := do(ctx, c, op, nil)
		left := end.Sub(c.runtime.Now())
		if err != nil || len(jobs) > 0 || left <= 0 || !c.transport.polls() {
			return jobs, err
		}
		if err := c.pause(ctx, op.request, min(pollInterval, left), nil); err != nil {
			return nil, err
		}
	}
}

// Ack reports that job is done, with a result that encodes to JSON of at most 1 MiB; nil is none.
//
// job is a pulled one, whose lease is sent along, or &Job{ID: id}, which means the current lease. It returns true when this lease
// had acked the job before. Errors match ErrConflict for LEASE_LOST (the lease ran out: drop the result) and INVALID_STATE, and
// ErrNotFound. Idempotent under one lease. Requirements JW-ACK.
func (c *Client) Ack(ctx context.Context, job *Job, result any) (already bool, err error) {
	op, err := ackOp(job, result)
	return do(ctx, c, op, err)
}

// AckBatch reports up to 1,000 jobs as done in one request.
//
// It returns an outcome per item, in order; a refused item is no error of the call. Idempotent as Ack.
func (c *Client) AckBatch(ctx context.Context, items []AckItem) ([]ItemResult, error) {
	op, err := ackBatchOp(items)
	return do(ctx, c, op, err)
}

// Fail reports that this try of job failed; it is tried again after its backoff while attempts are left. options may be nil.
//
// The text of failure is kept in the job's history, cut to 10,240 bytes. It returns whether the job will be tried again, and when.
// Errors are those of Ack. Idempotent under one lease. Requirements JW-FAIL.
func (c *Client) Fail(ctx context.Context, job *Job, failure error, options *FailOptions) (*FailResult, error) {
	item := FailItem{Job: job, Err: failure}
	if options != nil {
		item.RetryIn, item.Discard = options.RetryIn, options.Discard
	}
	op, err := failOp(item)
	return do(ctx, c, op, err)
}

// FailBatch reports up to 1,000 failed tries in one request; as AckBatch.
func (c *Client) FailBatch(ctx context.Context, items []FailItem) ([]ItemResult, error) {
	op, err := failBatchOp(items)
	return do(ctx, c, op, err)
}

// Release gives job back unfinished, without burning an attempt; it may be taken again after delay.
//
// Errors are those of Ack. Idempotent under one lease. Requirements JW-LEASE.
func (c *Client) Release(ctx context.Context, job *Job, delay time.Duration) (*StateResult, error) {
	op, err := releaseOp(job, delay)
	return do(ctx, c, op, err)
}

// Heartbeat renews the lease of job, for lease from now or, when that is 0, for its old length.
//
// It returns the new end, and whether the job is asked to stop. Errors are those of Ack; LEASE_LOST means that another worker may
// have the job. Requirements JW-HB.
func (c *Client) Heartbeat(ctx context.Context, job *Job, lease time.Duration) (*HeartbeatResult, error) {
	op, err := heartbeatOp(HeartbeatItem{job, lease})
	return do(ctx, c, op, err)
}

// HeartbeatBatch renews many leases in one request, and reports the state of a worker. options may be nil.
//
// It returns an outcome per item, and the ids that were lost or cancelled. Requirements JW-HB, JW-WORKER.
func (c *Client) HeartbeatBatch(ctx context.Context, items []HeartbeatItem, options *HeartbeatBatchOptions) (*HeartbeatBatchResult, error) {
	op, err := heartbeatBatchOp(items, options)
	return do(ctx, c, op, err)
}

// Progress sets the progress of an active job, 0–100, and appends message, cut to 1,024 bytes, to its log; an empty one is none.
//
// Errors are those of Ack. Requirements JW-PROG.
func (c *Client) Progress(ctx context.Context, job *Job, percent int, message string) error {
	op, err := progressOp(job, percent, message)
	_, err = do(ctx, c, op, err)
	return err
}
