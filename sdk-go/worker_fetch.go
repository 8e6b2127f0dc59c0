package jobwire

import (
	"context"
	"time"
)

// fetch pulls until the worker drains, over one connection after another. base is what the contexts of handlers come from.
func (w *Worker) fetch(base context.Context) {
	for w.draining.Err() == nil {
		w.fetchOver(base)
	}
	w.recoverLastPull(base)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fetching = false
	w.mu.tell()
}

// fetchAnew leaves a connection that brings nothing. The open pull is asked again over a new one, with the same request id.
func (w *Worker) fetchAnew() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.leaveConn != nil && w.draining.Err() == nil {
		w.leaveConn()
	}
}

// fetchOver pulls over one connection, until that is left or the worker drains.
func (w *Worker) fetchOver(base context.Context) {
	conn := w.connect(w.options.calls(callTimeout))
	defer conn.Close()
	defer conn.notices(w.onNotice)()
	// A drain ends the waiting at once, but not the pull that is on its way: that is interrupted, and may bring jobs.
	waiting, stopWaiting := context.WithCancel(w.draining)
	pulling, stopPulling := context.WithCancel(base)
	leave := func() { stopWaiting(); stopPulling() }
	defer leave()
	w.mu.Lock()
	w.leaveConn, w.interrupt = leave, conn.interruptWaits
	w.mu.Unlock()
	for {
		plan := w.nextPlan(waiting)
		if plan == nil {
			return
		}
		pause := w.fetchOnce(pulling, base, conn, plan)
		_ = w.runtime.Sleep(waiting, pause) // an error means that it has ended, which nextPlan sees
	}
}

// nextPlan is the pull to make, when there is a slot for its job; nil when ctx ends.
func (w *Worker) nextPlan(ctx context.Context) *pullPlan {
	var plan *pullPlan
	canAsk := func() bool { // under the mutex
		if w.plan == nil && w.slots.free() > 0 && ctx.Err() == nil {
			w.plan = &pullPlan{count: w.slots.ask(), requestID: w.newID()}
		}
		plan = w.plan
		return plan != nil
	}
	if !w.mu.await(ctx, canAsk) || ctx.Err() != nil {
		return nil
	}
	return plan
}

// fetchOnce makes one pull; how long to wait before the next one.
func (w *Worker) fetchOnce(ctx, base context.Context, conn workerConn, plan *pullPlan) time.Duration {
	wait := w.link.hold(channelFetch, w.options.wait)
	started := w.runtime.Now()
	w.mu.Lock()
	w.lastPull = started
	w.mu.Unlock()
	jobs, err := w.pull(ctx, conn, plan, wait)
	switch {
	case err == nil:
		w.link.answered(channelFetch)
		w.accept(base, plan, jobs)
		return w.pacer.after(len(jobs), w.runtime.Now().Sub(started), wait, w.runtime.Random())
	case ctx.Err() != nil || w.draining.Err() != nil: // we left ourselves
		return 0
	}
	w.settler.doubt()
	return w.link.failed(channelFetch, err)
}

func (w *Worker) pull(ctx context.Context, conn workerConn, plan *pullPlan, wait time.Duration) ([]*Job, error) {
	return conn.Pull(ctx, w.options.queues, &PullOptions{
		Count: plan.count, Wait: wait, Lease: w.options.lease, Names: w.options.names, WorkerID: w.options.workerID,
		RequestID: plan.requestID, Weights: w.options.weights,
	})
}

// accept fills the slots of plan; while draining, the jobs are given back at once.
func (w *Worker) accept(base context.Context, plan *pullPlan, jobs []*Job) {
	jobs = jobs[:min(len(jobs), plan.count)]
	leaseEnd := w.runtime.Now().Add(w.options.lease)
	var late []*heldJob
	w.mu.Lock()
	w.plan = nil
	w.slots.answered(plan.count, len(jobs))
	isDraining := w.draining.Err() != nil
	for _, job := range jobs {
		ctx, held := newHeldJob(base, job, leaseEnd)
		w.replace(w.held.add(held))
		if isDraining {
			late = append(late, held)
			continue
		}
		w.active[held] = true
		w.runners.Add(1)
		go w.runJob(ctx, held)
	}
	w.mu.tell()
	w.mu.Unlock()
	for _, held := range late {
		w.settle(held, &settlement{kind: settleRelease, job: held.job})
	}
}

// replace gives up a job that has come back, if any: its old handler is told, and its outcome dropped. The mutex is held.
func (w *Worker) replace(before *heldJob) {
	if before == nil {
		return
	}
	before.stop(ErrLeaseLost)
	if !w.active[before] { // its settlement is on its way, and will be dropped; else its handler's end frees the slot
		w.vacate(before)
	}
}

// recoverLastPull asks once more for the jobs of a pull that got no answer before the drain, so that they do not wait for the end
// of their lease.
func (w *Worker) recoverLastPull(base context.Context) {
	w.mu.Lock()
	plan := w.plan
	w.mu.Unlock()
	if plan == nil {
		return
	}
	select {
	case <-w.fatal:
		return
	default:
	}
	ctx, cancel := context.WithTimeout(base, fetchNotice)
	defer cancel()
	conn := w.connect(w.options.calls(fetchNotice))
	defer conn.Close()
	jobs, err := w.pull(ctx, conn, plan, 0)
	if err != nil {
		w.logf("the last pull stays unanswered: %v", err)
		return
	}
	w.accept(base, plan, jobs)
}

// onNotice hears what the server says by itself over TCP. It runs where answers are read, and must not block.
func (w *Worker) onNotice(said notice) {
	held := w.held.get(leaseKey{said.id, said.lease})
	switch {
	case held == nil:
	case said.name == "job.cancel":
		held.stop(ErrJobCancelled)
	case said.name == "lease.lost":
		held.loseLease()
	}
}
