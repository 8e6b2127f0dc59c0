package fake

import (
	"cmp"
	"slices"
	"strings"
)

// accepted is which states an operation moves, and in which it answers "already" (spec/lifecycle.yaml).
var accepted = map[string]struct{ moves, already []string }{
	"cancel":  {[]string{"waiting", "delayed", "blocked", "active"}, []string{"cancelled"}},
	"retry":   {[]string{"dlq", "cancelled"}, nil},
	"promote": {[]string{"delayed"}, []string{"waiting"}},
	"delete":  {[]string{"waiting", "delayed", "blocked", "completed", "dlq", "cancelled"}, nil},
}

var stateNames = []string{"waiting", "delayed", "blocked", "active", "completed", "dlq", "cancelled"}

// Cancel stops the job, or asks its worker to (JW-CANCEL).
func (s *State) Cancel(id string) (job *Job, already bool, err error) {
	job, already, err = s.asked("cancel", id)
	switch {
	case err != nil:
		return nil, false, err
	case already || job.CancelRequestedAt != nil:
		return job, true, nil
	case job.State != "active":
		s.finish(job, "cancelled", "cancelled", job.SettledBy)
		return job, false, nil
	}
	job.CancelRequestedAt, job.UpdatedAt = ptr(s.Now), s.Now
	if worker := s.workerOf(job); worker != nil {
		worker.cancelled = addOnce(worker.cancelled, id)
	}
	s.notify("job.cancel", job)
	return job, false, nil
}

// Retry runs a dead letter or a cancelled job again, attempts from the start (JW-RETRY).
func (s *State) Retry(id string) (*Job, error) {
	job, _, err := s.asked("retry", id)
	if err != nil {
		return nil, err
	}
	if holder := s.holder(job.Queue, job.UniqueKey); holder != nil && holder != job {
		return nil, keyTaken(holder, "/id")
	}
	isParentFailed := job.Reason != nil && *job.Reason == "parent_failed"
	if job.State == "cancelled" && job.PendingParents > 0 && !isParentFailed {
		job.State = "blocked"
	} else {
		job.State = "waiting"
	}
	job.RunAt, job.UpdatedAt, job.Attempt = s.Now, s.Now, 0
	job.Reason, job.TTL, job.CompletedAt, job.EndedAt, job.CancelRequestedAt = nil, nil, nil, nil, nil
	job.SettledBy = ""
	s.takeKey(job)
	return job, nil
}

// Promote makes a delayed job ready now.
func (s *State) Promote(id string) (job *Job, already bool, err error) {
	job, already, err = s.asked("promote", id)
	if err == nil && !already {
		job.State, job.RunAt, job.UpdatedAt = "waiting", s.Now, s.Now
	}
	return job, already, err
}

// Remove forgets the job; whoever waits for it is cancelled (JW-DEL).
func (s *State) Remove(id string) error {
	job, _, err := s.asked("delete", id)
	if err != nil {
		return err
	}
	wasFinished := job.isFinished()
	job.State, job.EndedAt, job.UpdatedAt = "removed", ptr(s.Now), s.Now
	if !wasFinished {
		s.takeDownChildren(job, "cancelled")
	}
	return nil
}

// oldestDead is the dead letters of a queue, oldest first.
func (s *State) oldestDead(queue string) []*Job {
	dead := s.filter(func(job *Job) bool { return job.Queue == queue && job.State == "dlq" })
	slices.SortFunc(dead, func(a, b *Job) int {
		return cmp.Or(cmp.Compare(*a.EndedAt, *b.EndedAt), cmp.Compare(a.Sequence, b.Sequence))
	})
	return dead
}

// checkDeadLetter refuses an id that is none of a dead letter of this queue (JW-DLQ-4).
func (s *State) checkDeadLetter(queue, id string) error {
	job, err := s.find(id)
	switch {
	case err != nil:
		return err
	case job.Queue != queue:
		return jobNotFound(id)
	case job.State != "dlq":
		return invalidState(job, "Dlq")
	}
	return nil
}

func (s *State) asked(operation, id string) (job *Job, already bool, err error) {
	job, err = s.find(id)
	if err != nil {
		return nil, false, err
	}
	states := accepted[operation]
	if slices.Contains(states.already, job.State) {
		return job, true, nil
	}
	if slices.Contains(states.moves, job.State) {
		return job, false, nil
	}
	var allowed []string
	for _, name := range stateNames {
		if slices.Contains(states.moves, name) || slices.Contains(states.already, name) {
			allowed = append(allowed, capitalized(name))
		}
	}
	return nil, false, invalidState(job, strings.Join(allowed, " or "))
}
