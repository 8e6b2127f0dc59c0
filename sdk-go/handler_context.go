package jobwire

import (
	"context"
	"errors"
	"sync"
	"time"
)

// jobContextKey is where the context of a handler keeps what belongs to its job.
type jobContextKey struct{}

// jobContext is what a handler may know and say while it runs.
type jobContext struct {
	worker *Worker
	held   *heldJob

	mu      sync.Mutex
	percent int // the last one told
}

func newJobContext(w *Worker, held *heldJob) *jobContext {
	j := &jobContext{worker: w, held: held}
	if held.job.Progress != nil {
		j.percent = *held.job.Progress
	}
	return j
}

// errNoJob is what a function says that was given another context than that of a handler.
var errNoJob = errors.New("jobwire: this is not the context of a handler, or one made from it")

func jobContextOf(ctx context.Context) (*jobContext, error) {
	if j, ok := ctx.Value(jobContextKey{}).(*jobContext); ok {
		return j, nil
	}
	return nil, errNoJob
}

// Progress tells how far the job is whose handler got ctx, 0–100, and adds message to its log, unless it is empty.
//
// Where the server cannot be reached that is logged and passed over, and nil comes back. When ctx has ended, or the lease turns
// out to be lost, which ends ctx, it returns the cause. Other errors are mistakes, such as a percent of 101.
func Progress(ctx context.Context, percent int, message string) error {
	j, err := jobContextOf(ctx)
	if err != nil {
		return err
	}
	j.mu.Lock()
	j.percent = percent
	j.mu.Unlock()
	return j.tell(ctx, percent, message)
}

// Log adds message to the log of the job whose handler got ctx; its progress stays as it is. Errors are those of [Progress].
func Log(ctx context.Context, message string) error {
	j, err := jobContextOf(ctx)
	if err != nil {
		return err
	}
	j.mu.Lock()
	percent := j.percent
	j.mu.Unlock()
	return j.tell(ctx, percent, message)
}

func (j *jobContext) tell(ctx context.Context, percent int, message string) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	err := j.worker.progress(ctx, j.held.job, percent, message)
	switch {
	case err == nil:
		return nil
	case isGone(codeOf(err)):
		j.held.loseLease()
		return ErrLeaseLost
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case isRetryable(err):
		j.worker.logf("progress of job %s lost: %v", j.held.job.ID, err)
		return nil
	}
	return err
}

// LeaseExpiresAt is when the lease of the job ends whose handler got ctx, if no further heartbeat is answered, by this machine's
// clock. The zero time for another context.
func LeaseExpiresAt(ctx context.Context) time.Time {
	j, err := jobContextOf(ctx)
	if err != nil {
		return time.Time{}
	}
	return j.held.leaseEnd()
}

// ClientFromContext is the client of the worker whose handler got ctx, for pushing more jobs; nil for another context.
func ClientFromContext(ctx context.Context) *Client {
	j, err := jobContextOf(ctx)
	if err != nil {
		return nil
	}
	return j.worker.client
}
