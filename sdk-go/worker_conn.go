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
	// closeIdle has the next call make a new connection, where nothing is in flight on the one that there is.
	closeIdle()
}

var _ workerConn = (*Client)(nil)

// callTimeout is how long an answer to a worker may be overdue. A worker would rather ask again than wait for an answer that got
// lost: its calls are small, and repeating them is free.
const callTimeout = 10 * time.Second

// connTimes is how long a worker waits on one of its connections.
type connTimes struct {
	connect time.Duration // for the connection to be made, at most
	answer  time.Duration // for an answer that is overdue, before it counts as lost
	silence time.Duration // for a sign of life while calls are in flight, before the connection counts as lost; 0 is for ever
}

// workerConn is a connection of its own to the server of c.
func (c *Client) workerConn(times connTimes) workerConn {
	own := &connection{endpoint: c.endpoint, transport: c.own(times), runtime: c.runtime, logf: c.logf, newID: c.newID}
	own.closed, own.end = context.WithCancel(context.Background())
	return &Client{own, min(times.answer, c.timeout), retryPolicy{}}
}

// connectFunc makes a connection.
type connectFunc func(connTimes) workerConn

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
