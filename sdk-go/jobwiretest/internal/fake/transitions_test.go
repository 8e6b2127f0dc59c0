package fake

import (
	"errors"
	"slices"
	"testing"

	_ "github.com/jobwire/jobwire/sdk-go" // knows the error codes
	"github.com/jobwire/jobwire/sdk-go/jobwiretest/internal/spectest"
)

const (
	start = int64(1_000_000_000_000)
	soon  = int64(1000)
	later = int64(1_000_000)
)

type transition struct {
	ID, Operation, State, Lease, Effect string
	SettledBy                           string `json:"settled_by"`
	To                                  []string
	Error                               string
}

// jobFor is a job in the state that a row asks for, with a parent in another queue, and deadlines that are far away.
func jobFor(t *testing.T, s *State, row transition) *Job {
	t.Helper()
	parent, err := s.push("parents", Fields{"name": "parent"}, "")
	if err != nil {
		t.Fatal(err)
	}
	pushed, err := s.push("q", Fields{"name": "job", "depends_on": []any{parent.id}}, "")
	if err != nil {
		t.Fatal(err)
	}
	job := s.Job(pushed.id)
	job.State, job.SettledBy, job.Delivery, job.StartedAt = row.State, row.SettledBy, 2, ptr(start)
	switch row.State {
	case "delayed":
		job.RunAt = start + later
	case "active":
		job.LeaseExpiresAt = ptr(start + later)
	case "completed", "dlq", "cancelled":
		job.EndedAt = ptr(start)
	}
	return job
}

// carryOut says whether the answer was "already".
func carryOut(s *State, job *Job, row transition, lease Fields) (already bool, err error) {
	switch row.Operation {
	case "pull":
		s.Pull(Fields{"queues": []any{"q"}}, nil)
	case "ack":
		return s.Ack(lease)
	case "fail":
		return s.Fail(lease)
	case "release":
		return s.Release(lease)
	case "heartbeat":
		_, err = s.Heartbeat(lease)
	case "progress":
		err = s.Progress(merge(lease, Fields{"progress": int64(1)}))
	case "cancel":
		_, already, err = s.Cancel(job.ID)
	case "retry":
		_, err = s.Retry(job.ID)
	case "promote":
		_, already, err = s.Promote(job.ID)
	case "delete":
		err = s.Remove(job.ID)
	default:
		err = passTime(s, job, row.Operation)
	}
	return already, err
}

func merge(one, other Fields) Fields { return Fields(merged(Answer(one), Answer(other))) }

// passTime is what happens to a job without anybody asking for it.
func passTime(s *State, job *Job, what string) error {
	switch what {
	case "due":
		job.RunAt = start + soon
	case "ttl":
		job.TTL = ptr(soon)
	case "lease_expired":
		if job.State == "active" {
			job.LeaseExpiresAt = ptr(start + soon)
		}
	case "timeout":
		job.Timeout = ptr(soon)
	case "parents_completed", "parent_failed":
		parent := s.Pull(Fields{"queues": []any{"parents"}}, nil)[0]
		end := s.Ack
		if what == "parent_failed" {
			end = s.Fail
		}
		_, err := end(Fields{"id": parent.ID, "discard": true})
		return err
	default:
		return errors.New("no such operation: " + what)
	}
	s.Advance(soon)
	return nil
}

func TestEveryOperationDoesToAJobInEveryStateWhatTheVectorsSay(t *testing.T) {
	t.Parallel()
	for _, row := range spectest.Vectors[transition](t, "transitions", 200) {
		t.Run(row.ID, func(t *testing.T) {
			s := NewState(start, 0)
			job := jobFor(t, s, row)
			lease := Fields{"id": job.ID}
			switch row.Lease {
			case "current":
				lease["lease"] = job.LeaseText()
			case "stale":
				lease["lease"] = (&Job{ID: job.ID, Delivery: 1}).LeaseText()
			}

			already, err := carryOut(s, job, row, lease)

			expectEffect(t, row, job, already, err)
		})
	}
}

func expectEffect(t *testing.T, row transition, job *Job, already bool, err error) {
	t.Helper()
	allowed := []string{row.State}
	if row.Effect == "move" {
		allowed = row.To
	}
	if row.Effect == "move" && row.Operation == "delete" {
		allowed = []string{"removed"}
	}
	var refusal *Refused
	code := ""
	if errors.As(err, &refusal) {
		code = refusal.Code
	} else if err != nil {
		t.Fatal(err)
	}
	if (row.Effect == "refuse") != (code != "") || code != row.Error {
		t.Errorf("want %s %q, got %v", row.Effect, row.Error, err)
	}
	if !slices.Contains(allowed, job.State) || already != (row.Effect == "already") {
		t.Errorf("want %s to %v, got %s, already %v", row.Effect, allowed, job.State, already)
	}
}

func TestAFailureWaitsAsLongAsTheVectorsSay(t *testing.T) {
	t.Parallel()
	type backoffRow struct {
		ID, Backoff string
		N           int64
		U, Jitter   float64
		Delay       int64   `json:"delay_ms"`
		Base        int64   `json:"backoff_delay_ms"`
		Max         int64   `json:"backoff_max_ms"`
		Schedule    []int64 `json:"backoff_schedule_ms"`
	}
	for _, row := range spectest.Vectors[backoffRow](t, "backoff", 50) {
		s := NewState(start, 0)
		s.Random = func() float64 { return row.U }
		job := &Job{
			Attempt: row.N - 1, Backoff: row.Backoff, BackoffDelay: row.Base, BackoffMax: row.Max, BackoffSchedule: row.Schedule,
			Jitter: row.Jitter,
		}
		if got := s.BackoffOf(job); got != row.Delay {
			t.Errorf("%s: want %d, got %d", row.ID, row.Delay, got)
		}
	}
}
