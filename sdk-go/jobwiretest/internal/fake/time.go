package fake

import "slices"

// Advance moves the clock on by d milliseconds; what falls due on the way happens in order, each at its instant (JW-TIME).
func (s *State) Advance(d int64) {
	target := s.Now + d
	for job := s.nextDue(target); job != nil; job = s.nextDue(target) {
		s.Now = max(s.Now, job.dueAt())
		s.elapse(job)
	}
	s.Now = target
	s.prune()
}

// Grace gives every active lease its whole length again, as a start does (C6).
func (s *State) Grace() {
	for _, job := range s.jobs {
		if job.State == "active" {
			job.LeaseExpiresAt = ptr(max(*job.LeaseExpiresAt, s.Now+job.Lease))
		}
	}
}

// nextDue is, of jobs that are due at the same instant, the one that was accepted first; nil when none is due until then.
func (s *State) nextDue(until int64) *Job {
	var first *Job
	for _, job := range s.jobs {
		if at := job.dueAt(); at <= until && (first == nil || at < first.dueAt()) {
			first = job
		}
	}
	return first
}

func (s *State) elapse(job *Job) {
	switch {
	case job.State == "active":
		s.overdue(job)
	case job.expiresAt() <= s.Now:
		s.finish(job, "cancelled", "expired", job.SettledBy)
	default:
		job.State, job.UpdatedAt = "waiting", s.Now
	}
}

// overdue ends a delivery. Of lease and timeout, the one that ended first counts (JW-TIME-4).
func (s *State) overdue(job *Job) {
	if worker := s.workerOf(job); worker != nil {
		worker.lost = addOnce(worker.lost, job.ID)
	}
	s.notify("lease.lost", job)
	if timeout := job.timeoutAt(); timeout <= s.Now && timeout < job.leaseEnd() {
		s.failAttempt(job, failing{kind: "timeout", message: "job timed out", wait: s.BackoffOf(job), settledBy: "timeout"})
		return
	}
	s.failAttempt(job, failing{kind: "lease_expired", message: "lease expired (no heartbeat)", settledBy: "lease_expired"})
}

// prune forgets tombstones, and finished jobs past the retention of their queue.
func (s *State) prune() {
	s.jobs = slices.DeleteFunc(s.jobs, func(job *Job) bool {
		isPast := job.EndedAt != nil && *job.EndedAt+s.kept(job) <= s.Now && job.keyHeldUntil() <= s.Now
		if isPast {
			delete(s.byID, job.ID)
		}
		return isPast
	})
}

// kept is how long a job is kept after its end.
func (s *State) kept(job *Job) int64 {
	if job.State == "removed" {
		return byDefault("tombstone_ms")
	}
	name := "retention_" + job.State + "_ms"
	if set, has := s.queue(job.Queue).settings[name]; has {
		return set
	}
	return byDefault(name)
}
