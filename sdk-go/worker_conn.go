package jobwire

import (
	"context"
	"errors"
	"time"
)

// workerConn is what a worker needs of a client: a connection to the server that is its own. Calls are tried once; the loops of
// the worker repeat them, for ever, and decide what a repeat means.
type workerConn interface {
	Pull(ctx context.Context, queues []string, opts *PullOptions) ([]*Job, error)
	AckBatch(ctx context.Context, items []AckItem) ([]ItemResult, error)
	Fail(ctx context.Context, job *Job, err error, opts *FailOptions) (*FailResult, error)
	FailBatch(ctx context.Context, items []FailItem) ([]ItemResult, error)
	Release(ctx context.Context, job *Job, delay time.Duration) (*StateResult, error)
	Heartbeat(ctx context.Context, job *Job, lease time.Duration) (*HeartbeatResult, error)
	HeartbeatBatch(ctx context.Context, items []HeartbeatItem, opts *HeartbeatBatchOptions) (*HeartbeatBatchResult, error)
	Close() error
	// notices has callback called with what the server says by itself; what comes back ends that.
	notices(callback noticeFunc) (stop func())
	// interruptWaits has a pull that waits on the server's side answered soon, as if its wait had run out.
	interruptWaits()
}

var _ workerConn = (*Client)(nil)

// callTimeout is how long an answer to a worker may be overdue. A worker would rather ask again than wait for an answer that got
// lost: its calls are small, and repeating them is free.
const callTimeout = 10 * time.Second

// workerConn is a connection of its own to the server of c. An answer may be overdue for timeout.
func (c *Client) workerConn(timeout time.Duration) workerConn {
	own := &connection{endpoint: c.endpoint, transport: c.own(), runtime: c.runtime, logf: c.logf, newID: c.newID}
	own.closed, own.end = context.WithCancel(context.Background())
	return &Client{own, min(timeout, c.timeout), retryPolicy{}}
}

// connectFunc makes a connection; an answer may be overdue for timeout before it counts as lost.
type connectFunc func(timeout time.Duration) workerConn

func isRetryable(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Retryable
}

func retryAfterOf(err error) time.Duration {
	var e *Error
	if errors.As(err, &e) {
		return e.RetryAfter
	}
	return 0
}
