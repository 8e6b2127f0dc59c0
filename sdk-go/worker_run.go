package jobwire

import (
	"context"
	"errors"
)

// errGoexit is the failure of a handler that left by runtime.Goexit, as t.FailNow of package testing does.
var errGoexit = errors.New("the handler ended its goroutine (runtime.Goexit)")

// runJob runs the handler of one job, in a goroutine of its own, and has the job settled.
func (w *Worker) runJob(ctx context.Context, held *heldJob) {
	defer w.runners.Done()
	ctx, end := w.handlerContext(ctx, held)
	defer end()
	handler := w.handlers[held.job.Name]
	if handler == nil {
		w.logf("no handler for job %s, named %q", held.job.ID, held.job.Name)
		w.ended(held, unknownName(held.job, w.handlers.names()))
		return
	}
	var value any
	err := errGoexit
	// Deferred, since runtime.Goexit runs nothing else.
	defer func() { w.ended(held, w.settlement(ctx, held, value, err)) }()
	value, err = callHandler(ctx, handler, held.job)
}

// handlerContext is what a handler gets, and what has to be called after it has ended.
func (w *Worker) handlerContext(ctx context.Context, held *heldJob) (context.Context, context.CancelFunc) {
	ctx = context.WithValue(ctx, jobContextKey{}, newJobContext(w, held))
	cancel := context.CancelFunc(func() {})
	if held.job.Timeout > 0 {
		ctx, cancel = context.WithTimeoutCause(ctx, held.job.Timeout, ErrJobTimeout)
	}
	return ctx, func() {
		cancel()
		held.stopWith(nil)
	}
}

// settlement is what to tell the server; nil when the lease is lost.
func (w *Worker) settlement(ctx context.Context, held *heldJob, value any, err error) *settlement {
	reason := held.reason(ctx)
	found := settlementOf(held.job, value, err, reason)
	if isFailure(err, reason) {
		w.logf("handler of job %s failed: %s", held.job.ID, messageOf(err))
		w.tellError(err, held.job)
	}
	return found
}

// ended notes that the handler has ended; the job of one that was given up has been released before.
func (w *Worker) ended(held *heldJob, found *settlement) {
	w.mu.Lock()
	delete(w.active, held)
	isAbandoned := held.abandoned
	w.mu.tell()
	w.mu.Unlock()
	if !isAbandoned {
		w.settle(held, found)
	}
}

// settle has the server told, or when there is nothing to tell, is done with the job.
func (w *Worker) settle(held *heldJob, found *settlement) {
	if found != nil {
		w.settler.put(found)
		return
	}
	w.held.remove(held)
	w.settled(held)
}

// settled notes that a job is done with: its slot is free. Idempotent.
func (w *Worker) settled(held *heldJob) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.vacate(held)
}

// vacate is settled with the mutex held.
func (w *Worker) vacate(held *heldJob) {
	if !held.done {
		held.done = true
		w.slots.vacate()
		w.mu.tell()
	}
}

// report is how the worker is now.
func (w *Worker) report() workerState {
	w.mu.Lock()
	defer w.mu.Unlock()
	state := workerState{free: w.slots.total - w.slots.held, lastPull: w.lastPull}
	if w.draining.Err() != nil {
		state.free, state.quiet = 0, true
	}
	return state
}

// refused notes that the server refuses this worker for good: Run ends, and in the background the worker goes on trying.
func (w *Worker) refused(err error) {
	w.mu.Lock()
	isFirst := w.fatalErr == nil
	if isFirst {
		w.fatalErr = err
	}
	w.mu.Unlock()
	if isFirst {
		w.logf("the server refuses this worker: %v", err)
		w.tellError(err, nil)
		close(w.fatal)
	}
}

func (w *Worker) tellError(err error, job *Job) {
	if w.onError == nil {
		return
	}
	defer func() {
		if p := recover(); p != nil { // it is the user's, and must not cost a job its settlement
			w.logf("OnError panicked: %s", messageOf(p))
		}
	}()
	w.onError(err, job)
}

// callHandler runs a handler; a panic becomes a *PanicError.
func callHandler(ctx context.Context, handler HandlerFunc, job *Job) (value any, err error) {
	defer func() {
		if p := recover(); p != nil {
			value, err = nil, &PanicError{Value: p, Stack: panicStack()}
		}
	}()
	return handler(ctx, job)
}
