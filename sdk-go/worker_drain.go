package jobwire

import (
	"context"
	"time"
)

const (
	fetchNotice  = 2 * time.Second        // for the last pull to be answered
	interruptGap = 100 * time.Millisecond // a pull may start in the moment in which waits are interrupted
	quietNotice  = time.Second            // for the server to hear that the worker ends
	stopNotice   = time.Second            // that handlers have, after the grace, to hear that they must stop
	settleNotice = 5 * time.Second        // that the last outcomes have to reach the server
)

// drainAll goes step by step: no new jobs, wait for the running ones, give back the rest, wait for the answers, end.
func (w *Worker) drainAll(ctx context.Context) {
	if _, has := ctx.Deadline(); !has {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, w.options.grace)
		defer cancel()
	}
	w.logf("worker %s draining, %d jobs held", w.options.workerID, w.held.len())
	w.drain()
	w.heart.poke() // tells the server `quiet`
	w.endFetching()
	if !w.mu.await(ctx, func() bool { return len(w.active) == 0 }) {
		w.giveBackRunning()
	}
	if !w.mu.awaitFor(settleNotice, func() bool { return w.slots.held == 0 }) {
		for _, held := range w.held.all() {
			w.logf("outcome of job %s not delivered", held.job.ID)
		}
	}
	w.awaitQuiet()
	w.endLoops()
	w.loops.Wait()
	if !w.gaveUp {
		w.runners.Wait()
	}
	w.logf("worker %s stopped", w.options.workerID)
}

// endFetching ends the pull that waits; what it had claimed after all is given back by accept.
func (w *Worker) endFetching() {
	end := w.runtime.Now().Add(fetchNotice)
	for {
		w.mu.Lock()
		interrupt, leave := w.interrupt, w.leaveConn
		w.mu.Unlock()
		if interrupt != nil && w.runtime.Now().Before(end) {
			interrupt()
		} else if leave != nil {
			leave()
		}
		if w.mu.awaitFor(interruptGap, func() bool { return !w.fetching }) {
			return
		}
	}
}

// giveBackRunning asks the handlers to stop, and releases the jobs of those that do not.
func (w *Worker) giveBackRunning() {
	w.mu.Lock()
	for held := range w.active {
		held.stop(ErrShutdown)
	}
	w.mu.Unlock()
	if w.mu.awaitFor(stopNotice, func() bool { return len(w.active) == 0 }) {
		return
	}
	for _, held := range w.abandonActive() {
		w.logf("job %s given back, its handler runs on", held.job.ID)
		if held.isLost() {
			w.settle(held, nil)
		} else {
			w.settle(held, &settlement{kind: settleRelease, job: held.job})
		}
	}
}

// abandonActive gives up the jobs whose handlers still run: what those return is dropped.
func (w *Worker) abandonActive() []*heldJob {
	w.mu.Lock()
	defer w.mu.Unlock()
	var left []*heldJob
	for held := range w.active {
		held.abandoned, w.gaveUp = true, true
		left = append(left, held)
	}
	return left
}

func (w *Worker) awaitQuiet() {
	select {
	case <-w.fatal: // it does not listen
		return
	default:
	}
	timer := time.NewTimer(quietNotice)
	defer timer.Stop()
	select {
	case <-w.heart.quiet:
	case <-timer.C:
	}
}
