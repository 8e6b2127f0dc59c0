package jobwire

import (
	"context"
	"sync"
	"time"
)

// heldJob is one lease of one job, from its pull until its settlement is answered.
type heldJob struct {
	job *Job
	// stopWith ends the handler's context; the first cause counts. Its context is handed to the goroutine that runs the job.
	stopWith context.CancelCauseFunc

	// Guarded by the worker's mutex. abandoned: given back while the handler still runs, so that what it returns is dropped; done: its
	// slot is free.
	abandoned, done bool

	mu        sync.Mutex
	expiresAt time.Time // by our clock; a little early, never late
	lost      bool      // the lease; nothing may be sent after that
	sent      bool      // its settlement has left, from when on the server decides
}

// newHeldJob is a job just pulled, and the context that its handler gets.
func newHeldJob(base context.Context, job *Job, expiresAt time.Time) (context.Context, *heldJob) {
	ctx, cancel := context.WithCancelCause(base)
	return ctx, &heldJob{job: job, stopWith: cancel, expiresAt: expiresAt}
}

// stop asks the handler to stop. The first cause stays, only a lost lease overrides it.
func (h *heldJob) stop(cause *StopError) {
	if cause == ErrLeaseLost {
		h.mu.Lock()
		h.lost = true
		h.mu.Unlock()
	}
	h.stopWith(cause)
}

// loseLease asks the handler to stop since the lease is lost, unless its settlement is on its way: the answer to that says
// whether the lease was still good. True when that is news.
func (h *heldJob) loseLease() bool {
	h.mu.Lock()
	isNews := !h.lost && !h.sent
	h.lost = h.lost || isNews
	h.mu.Unlock()
	if isNews {
		h.stopWith(ErrLeaseLost)
	}
	return isNews
}

func (h *heldJob) isLost() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.lost
}

// reason is why the handler with this context was asked to stop; "" when it was not.
func (h *heldJob) reason(ctx context.Context) StopReason {
	if h.isLost() {
		return StopLeaseLost
	}
	if stop, ok := context.Cause(ctx).(*StopError); ok {
		return stop.Reason
	}
	return ""
}

// markSent notes that a settlement is about to leave; false when the lease was lost before one could.
func (h *heldJob) markSent() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.lost && !h.sent {
		return false
	}
	h.sent = true
	return true
}

func (h *heldJob) renew(expiresAt time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.expiresAt = expiresAt
}

func (h *heldJob) leaseEnd() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.expiresAt
}

// leaseKey names a lease: a job that was lost may come back under a new lease while its old handler still runs.
type leaseKey struct {
	id, lease string
}

func keyOf(job *Job) leaseKey { return leaseKey{job.ID, job.Lease} }

// heldJobs are all jobs that a worker holds. Safe for concurrent use.
type heldJobs struct {
	mu   sync.Mutex
	jobs map[leaseKey]*heldJob
}

func newHeldJobs() *heldJobs { return &heldJobs{jobs: make(map[leaseKey]*heldJob)} }

// add returns the job that was held by the same name; else nil. That happens where leases have no names (wire version 1): a job
// that was lost unnoticed comes back while its old handler still runs.
func (h *heldJobs) add(held *heldJob) (before *heldJob) {
	h.mu.Lock()
	defer h.mu.Unlock()
	before = h.jobs[keyOf(held.job)]
	h.jobs[keyOf(held.job)] = held
	return before
}

// remove takes held out, if it is there.
func (h *heldJobs) remove(held *heldJob) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.jobs[keyOf(held.job)] == held {
		delete(h.jobs, keyOf(held.job))
	}
}

// get is nil for a lease that is not held.
func (h *heldJobs) get(key leaseKey) *heldJob {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.jobs[key]
}

// of is nil for a job that is not held any more, also when another lease of the same name has taken its place.
func (h *heldJobs) of(job *Job) *heldJob {
	if held := h.get(keyOf(job)); held != nil && held.job == job {
		return held
	}
	return nil
}

func (h *heldJobs) len() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.jobs)
}

func (h *heldJobs) all() []*heldJob {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := make([]*heldJob, 0, len(h.jobs))
	for _, held := range h.jobs {
		all = append(all, held)
	}
	return all
}

// leased are those whose lease is to be kept alive.
func (h *heldJobs) leased() []*heldJob {
	var leased []*heldJob
	for _, held := range h.all() {
		if !held.isLost() {
			leased = append(leased, held)
		}
	}
	return leased
}
