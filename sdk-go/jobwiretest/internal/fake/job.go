// Package fake is what the server of jobwiretest knows and does: jobs, queues and workers in memory, at an instant that only
// Advance moves. It is pure: no sockets, no real time, no chance from outside.
//
// Instants are whole milliseconds since the Unix epoch, durations whole milliseconds. Nothing here is safe for concurrent use.
package fake

import (
	"fmt"
	"strings"
	"time"
)

// Listener hears of a job's cancellation and of its lost lease: a session over TCP. Notify is called with the server locked.
type Listener interface {
	Notify(notice Answer)
}

// Job is every field of the wire's Job, and what the queue needs besides. nil stands for what is not there.
type Job struct {
	ID, Queue, Name      string
	CreatedAt            int64
	Data                 *Payload
	Priority             int64
	MaxAttempts          int64
	Backoff              string
	BackoffDelay         int64
	BackoffSchedule      []int64
	BackoffMax           int64
	Jitter               float64
	Timeout              *int64
	UniqueKey            *string
	UniqueFor            *int64
	Tags                 []string
	GroupID, FlowID      *string
	CustomID             *string
	Metadata             *Payload
	DependsOn            []string
	LIFO                 bool
	RemoveOnComplete     bool
	RemoveOnFail         bool
	Sequence             int64 // its place among all jobs that were ever accepted
	State                string
	TTL                  *int64
	RunAt, UpdatedAt     int64
	Reason, LastError    *string
	Attempt              int64
	Errors               []failure
	Progress             *int64
	Logs                 []logLine
	Result               *Payload
	CompletedAt, EndedAt *int64
	Depth                int // of the chain of jobs that it waits for
	PendingParents       int

	// The lease. Owner is the session that pulled it and hears its notices; nil over HTTP.
	Delivery          int64
	Lease             int64
	LeaseExpiresAt    *int64
	StartedAt         *int64
	LastHeartbeat     *int64
	WorkerID          *string
	CancelRequestedAt *int64
	SettledBy         string
	Owner             Listener
}

type failure struct {
	attempt, at   int64
	kind, message string
	workerID      *string
}

type logLine struct {
	at      int64
	message string
}

// LeaseText is what the worker of the last delivery shows; opaque to everyone else.
func (j *Job) LeaseText() string { return fmt.Sprintf("%x-%s", j.Delivery, j.ID[len(j.ID)-12:]) }

func (j *Job) isFinished() bool {
	return j.State == "completed" || j.State == "dlq" || j.State == "cancelled" || j.State == "removed"
}

// never is an instant that does not come.
const never = int64(1) << 62

// timeoutAt is when the timeout of the delivery is over.
func (j *Job) timeoutAt() int64 {
	if j.Timeout == nil || j.StartedAt == nil {
		return never
	}
	return *j.StartedAt + *j.Timeout
}

func (j *Job) expiresAt() int64 {
	if j.TTL == nil {
		return never
	}
	return j.CreatedAt + *j.TTL
}

func (j *Job) leaseEnd() int64 {
	if j.LeaseExpiresAt == nil {
		return never
	}
	return *j.LeaseExpiresAt
}

// dueAt is the next instant at which time alone changes this job.
func (j *Job) dueAt() int64 {
	switch j.State {
	case "waiting":
		return j.expiresAt()
	case "delayed":
		return min(j.RunAt, j.expiresAt())
	case "active":
		return min(j.leaseEnd(), j.timeoutAt())
	}
	return never
}

// View is the Job object of the wire.
func (j *Job) View() Answer {
	view := Answer{
		"id": j.ID, "custom_id": orNull(j.CustomID), "name": j.Name, "queue": j.Queue, "data": j.Data, "result": j.Result,
		"state": j.State, "reason": orNull(j.Reason), "progress": orNull(j.Progress), "priority": j.Priority,
		"max_attempts": j.MaxAttempts, "attempt": j.Attempt, "delivery": j.Delivery, "backoff": j.Backoff,
		"backoff_delay_ms": j.BackoffDelay, "backoff_schedule_ms": j.BackoffSchedule, "backoff_max_ms": j.BackoffMax,
		"jitter": j.Jitter, "last_error": orNull(j.LastError), "ttl_ms": orNull(j.TTL), "timeout_ms": orNull(j.Timeout),
		"unique_key": orNull(j.UniqueKey), "unique_for_ms": orNull(j.UniqueFor), "tags": j.Tags, "group_id": orNull(j.GroupID),
		"flow_id": orNull(j.FlowID), "depends_on": j.DependsOn, "lifo": j.LIFO, "remove_on_complete": j.RemoveOnComplete,
		"remove_on_fail": j.RemoveOnFail, "worker_id": orNull(j.WorkerID),
		"run_at": instantText(&j.RunAt), "created_at": instantText(&j.CreatedAt), "updated_at": instantText(&j.UpdatedAt),
		"started_at": instantText(j.StartedAt), "completed_at": instantText(j.CompletedAt), "last_heartbeat": nil,
		"lease_expires_at": instantText(j.LeaseExpiresAt), "cancel_requested_at": instantText(j.CancelRequestedAt),
		"delay_until": nil, "logs": j.logsView(), "errors": j.errorsView(),
	}
	if j.Metadata != nil {
		view["metadata"] = j.Metadata
	}
	if j.State == "active" {
		view["last_heartbeat"] = instantText(j.LastHeartbeat)
	}
	if j.State == "delayed" || (j.State == "blocked" && j.RunAt > j.CreatedAt) { // its ready time is still to come (JW-JOB-7)
		view["delay_until"] = instantText(&j.RunAt)
	}
	return view
}

// leasedView is View with the lease, which only the answer of a pull has.
func (j *Job) leasedView() Answer {
	view := j.View()
	view["lease"] = j.LeaseText()
	return view
}

func (j *Job) logsView() []Answer {
	views := make([]Answer, len(j.Logs))
	for i, line := range j.Logs {
		views[i] = Answer{"timestamp": instantText(&line.at), "message": line.message}
	}
	return views
}

func (j *Job) errorsView() []Answer {
	views := make([]Answer, len(j.Errors))
	for i, e := range j.Errors {
		views[i] = Answer{
			"attempt": e.attempt, "at": instantText(&e.at), "kind": e.kind, "message": e.message, "worker_id": orNull(e.workerID),
		}
	}
	return views
}

// instantText is RFC 3339 in UTC with milliseconds; nil stays nil.
func instantText(at *int64) any {
	if at == nil {
		return nil
	}
	return time.UnixMilli(*at).UTC().Format("2006-01-02T15:04:05.000Z")
}

// orNull is what p points to; nil, and no pointer, when it points nowhere.
func orNull[T any](p *T) any {
	if p == nil {
		return nil
	}
	return *p
}

func ptr[T any](value T) *T { return &value }

func capitalized(word string) string { return strings.ToUpper(word[:1]) + word[1:] }
