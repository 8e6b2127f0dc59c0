package fake

import (
	"cmp"
	"math"
	"slices"
)

// Pull leases up to `count` jobs (JW-PULL); a request_id that comes again gets those of its leases that still live. fields are
// those of a checked pull.
func (s *State) Pull(fields Fields, owner Listener) []*Job {
	requestID, named := fields.text("request_id")
	if again := s.claimed(requestID); named && len(again) > 0 {
		for _, job := range again {
			job.Owner = owner
		}
		return again
	}
	jobs := s.ready(s.draw(fields), fields.texts("names"))
	jobs = jobs[:min(int64(len(jobs)), fields.integer("count", 1))]
	var claims []claim
	for _, job := range jobs {
		s.startLease(job, fields, owner)
		claims = append(claims, claim{job.ID, job.Delivery})
	}
	if named && len(jobs) > 0 {
		s.claims[requestID] = claims
	}
	return jobs
}

func (s *State) claimed(requestID string) []*Job {
	var jobs []*Job
	for _, each := range s.claims[requestID] {
		if job := s.byID[each.id]; job != nil && job.State == "active" && job.Delivery == each.delivery {
			jobs = append(jobs, job)
		}
	}
	return jobs
}

// draw is the queues in the order in which this pull tries them.
func (s *State) draw(fields Fields) []string {
	queues, weights := fields.texts("queues"), fields.integers("weights")
	if weights == nil {
		return queues
	}
	// Efraimidis and Spirakis: sorting by u^(1/w) draws without replacement in proportion to w.
	type ticket struct {
		queue string
		u     float64
	}
	tickets := make([]ticket, len(queues))
	for i, queue := range queues {
		tickets[i] = ticket{queue, math.Pow(s.Random(), 1/float64(weights[i]))}
	}
	slices.SortStableFunc(tickets, func(a, b ticket) int { return cmp.Compare(b.u, a.u) })
	drawn := make([]string, len(queues))
	for i, each := range tickets {
		drawn[i] = each.queue
	}
	return drawn
}

// ready is the jobs that wait in these queues, in the order in which they go; no names means all.
func (s *State) ready(queues, names []string) []*Job {
	var found []*Job
	for i, queue := range queues {
		if slices.Contains(queues[:i], queue) || s.queue(queue).pauses("pull") {
			continue
		}
		waiting := slices.DeleteFunc(s.ofQueue(queue), func(job *Job) bool {
			return job.State != "waiting" || (len(names) > 0 && !slices.Contains(names, job.Name))
		})
		slices.SortFunc(waiting, inOrder)
		found = append(found, waiting...)
	}
	return found
}

// inOrder is priority, then ready time (lifo ahead, newest first), then acceptance.
func inOrder(a, b *Job) int {
	return cmp.Or(cmp.Compare(b.Priority, a.Priority), cmp.Compare(a.readyOrder(), b.readyOrder()), cmp.Compare(a.Sequence, b.Sequence))
}

func (j *Job) readyOrder() int64 {
	if j.LIFO {
		return -j.RunAt
	}
	return j.RunAt
}

func (s *State) startLease(job *Job, fields Fields, owner Listener) {
	lease, has := s.queue(job.Queue).settings["lease_ms"]
	if !has {
		lease = byDefault("lease_ms")
	}
	job.State = "active"
	job.Delivery++
	job.Lease = fields.integer("lease_ms", lease)
	job.LeaseExpiresAt = ptr(s.Now + job.Lease)
	job.StartedAt = ptr(s.Now)
	job.UpdatedAt = s.Now
	job.LastHeartbeat = nil
	job.SettledBy = ""
	job.WorkerID = fields.textOrNil("worker_id")
	job.Owner = owner
}

// The operations below take the checked fields `id` and, unless the worker means whichever lease there is, `lease`. The answer
// "already" is true when this lease had said the same before (JW-ACK, JW-FAIL, JW-LEASE).

// Ack completes the job.
func (s *State) Ack(fields Fields) (already bool, err error) {
	job, already, err := s.speaking("ack", fields)
	if already || err != nil {
		return already, err
	}
	job.Result, _ = fields["result"].(*Payload)
	job.CompletedAt = ptr(s.Now)
	s.finish(job, "completed", "", "ack")
	return false, nil
}

// Fail ends this attempt.
func (s *State) Fail(fields Fields) (already bool, err error) {
	job, already, err := s.speaking("fail", fields)
	if already || err != nil {
		return already, err
	}
	message, given := fields.text("error")
	if !given {
		message = "unknown error"
	}
	wait, given := fields["retry_in_ms"].(int64)
	if !given {
		wait = s.BackoffOf(job)
	}
	s.failAttempt(job, failing{kind: "error", message: message, wait: wait, settledBy: "fail", giveUp: fields.isTrue("discard")})
	return false, nil
}

// Release gives the job back without burning an attempt.
func (s *State) Release(fields Fields) (already bool, err error) {
	job, already, err := s.speaking("release", fields)
	if already || err != nil {
		return already, err
	}
	if job.CancelRequestedAt != nil {
		s.finish(job, "cancelled", "cancelled", "release")
		return false, nil
	}
	s.endLease(job, "release")
	job.State = "waiting"
	if delay := fields.integer("delay_ms", 0); delay > 0 {
		job.State, job.RunAt = "delayed", s.Now+delay
	}
	return false, nil
}

// Heartbeat has the lease last its length from now on (JW-HB).
func (s *State) Heartbeat(fields Fields) (*Job, error) {
	job, _, err := s.speaking("heartbeat", fields)
	if err != nil {
		return nil, err
	}
	job.Lease = fields.integer("lease_ms", job.Lease)
	job.LeaseExpiresAt, job.LastHeartbeat, job.UpdatedAt = ptr(s.Now+job.Lease), ptr(s.Now), s.Now
	return job, nil
}

// Progress notes how far the handler is, and a line for the log (JW-PROG).
func (s *State) Progress(fields Fields) error {
	job, _, err := s.speaking("progress", fields)
	if err != nil {
		return err
	}
	job.Progress = ptr(min(fields.integer("progress", 0), 100))
	job.UpdatedAt = s.Now
	if message, given := fields.text("message"); given {
		job.Logs = lastOf(append(slices.Clone(job.Logs), logLine{s.Now, message}), logsKept)
	}
	return nil
}

// speaking is the job, and whether this lease has said the same before. The error is for a lease that may not speak (JW-LEASE).
func (s *State) speaking(operation string, fields Fields) (job *Job, already bool, err error) {
	id, _ := fields.text("id")
	lease, named := fields.text("lease")
	job = s.byID[id]
	if job == nil {
		return nil, false, jobNotFound(id)
	}
	isOurs := !named || lease == job.LeaseText()
	isRepeatable := operation == "ack" || operation == "fail" || operation == "release"
	switch {
	case job.State == "active" && isOurs:
		return job, false, nil
	case named && isOurs && isRepeatable && job.SettledBy == operation:
		return job, true, nil
	case job.State == "removed":
		return nil, false, jobNotFound(id)
	case named:
		return nil, false, leaseLost(job)
	}
	return nil, false, invalidState(job, "Active")
}

// PullNamed leases the first ready job of these names, of any queue, and is its Job object; nil when there is none.
func (s *State) PullNamed(names []string) []byte {
	if len(names) == 0 {
		return nil
	}
	queues := make(map[string]bool)
	for _, job := range s.jobs {
		queues[job.Queue] = true
	}
	jobs := s.Pull(Fields{"queues": anys(sortedKeys(queues)), "names": anys(names)}, nil)
	if len(jobs) == 0 {
		return nil
	}
	return Text(jobs[0].leasedView())
}
