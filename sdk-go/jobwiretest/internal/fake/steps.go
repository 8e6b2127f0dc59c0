package fake

import (
	"fmt"
	"math"
	"slices"
)

// failing is how an attempt failed: what its history says, and what it means for the job.
type failing struct {
	kind, message string
	wait          int64 // before the next attempt, if there is one
	settledBy     string
	giveUp        bool
}

// failAttempt has the job tried again, or makes it a dead letter, or ends it cancelled where somebody had asked for that.
func (s *State) failAttempt(job *Job, how failing) {
	job.Attempt++
	job.LastError = ptr(how.message)
	job.Errors = lastOf(append(slices.Clone(job.Errors), failure{job.Attempt, s.Now, how.kind, how.message, job.WorkerID}), errorsKept)
	switch {
	case job.CancelRequestedAt != nil:
		s.finish(job, "cancelled", "cancelled", how.settledBy)
	case how.giveUp || job.Attempt >= job.MaxAttempts:
		reason := "failed"
		if how.kind == "lease_expired" {
			reason = "poison"
		}
		s.finish(job, "dlq", reason, how.settledBy)
	default:
		s.endLease(job, how.settledBy)
		job.State = "waiting"
		if how.wait > 0 {
			job.State = "delayed"
		}
		job.RunAt = s.Now + how.wait
	}
}

func lastOf[T any](values []T, n int) []T { return values[max(len(values)-n, 0):] }

func (s *State) endLease(job *Job, settledBy string) {
	job.LeaseExpiresAt, job.SettledBy, job.UpdatedAt = nil, settledBy, s.Now
}

// finish ends the job, and what waits for it: completed releases, dlq and cancelled take down (JW-DEP). No reason is "".
func (s *State) finish(job *Job, end, reason, settledBy string) {
	s.endLease(job, settledBy)
	job.State, job.Reason, job.EndedAt = end, nil, ptr(s.Now)
	if reason != "" {
		job.Reason = ptr(reason)
	}
	if (end == "completed" && job.RemoveOnComplete) || (end == "dlq" && job.RemoveOnFail) {
		job.State = "removed"
	}
	if end == "completed" {
		s.releaseChildren(job)
	} else {
		s.takeDownChildren(job, end)
	}
}

// releaseChildren has those that waited for parent one job less to wait for.
func (s *State) releaseChildren(parent *Job) {
	for _, child := range s.childrenOf(parent) {
		child.PendingParents = max(child.PendingParents-1, 0)
		if child.State != "blocked" || child.PendingParents > 0 {
			continue
		}
		child.State = "waiting"
		if child.RunAt > s.Now {
			child.State = "delayed"
		}
		child.RunAt, child.UpdatedAt = max(child.RunAt, s.Now), s.Now
	}
}

// takeDownChildren has those that waited for parent end as it did: dlq or cancelled.
func (s *State) takeDownChildren(parent *Job, end string) {
	how := "was cancelled"
	if end == "dlq" {
		how = "moved to DLQ"
	}
	for _, child := range s.childrenOf(parent) {
		if child.State == "blocked" {
			child.LastError = ptr(fmt.Sprintf("parent job '%s' %s", parent.ID, how))
			s.finish(child, end, "parent_failed", child.SettledBy)
		}
	}
}

func (s *State) childrenOf(parent *Job) []*Job {
	return s.filter(func(job *Job) bool { return slices.Contains(job.DependsOn, parent.ID) })
}

// BackoffOf is how long the job waits after its next failure (JW-FAIL-3).
func (s *State) BackoffOf(job *Job) int64 {
	attempt, base := job.Attempt+1, float64(job.BackoffDelay)
	delay := base
	switch n := int64(len(job.BackoffSchedule)); {
	case n > 0:
		delay = float64(job.BackoffSchedule[min(attempt, n)-1])
	case job.Backoff == "linear":
		delay = base * float64(attempt)
	case job.Backoff == "exponential":
		delay = base * math.Pow(2, float64(min(attempt-1, 63)))
	}
	delay = min(delay, float64(job.BackoffMax))
	return int64(delay) - int64(delay*job.Jitter*s.Random())
}
