package jobwire

import (
	"encoding/json"
	"time"
)

// JobState is one of the states of spec/lifecycle.yaml, or one of a newer server.
type JobState string

// The states of a job. The last three are final.
const (
	StateWaiting   JobState = "waiting"
	StateDelayed   JobState = "delayed"
	StateBlocked   JobState = "blocked"
	StateActive    JobState = "active"
	StateCompleted JobState = "completed"
	StateDLQ       JobState = "dlq"
	StateCancelled JobState = "cancelled"
)

// Job is a job as the server answered it: a snapshot, which does not change with the job.
//
// Strings are empty, instants zero and slices nil where the server has nothing to say. Instants are in UTC.
type Job struct {
	ID    string
	Queue string
	// Name says what kind of job it is; a worker picks the handler by it.
	Name string
	// Data is the JSON text of the payload, verbatim: number spellings and key order as they were pushed.
	Data  json.RawMessage
	State JobState
	// Priority: higher goes first.
	Priority int
	// Attempt counts failed tries, Delivery counts leases.
	Attempt     int
	MaxAttempts int
	Delivery    int
	// Lease is set on pulled jobs only, and is sent along by every method that speaks for a pulled job.
	Lease             string
	LeaseExpiresAt    time.Time
	RunAt             time.Time
	DelayUntil        time.Time
	CreatedAt         time.Time
	UpdatedAt         time.Time
	StartedAt         time.Time
	CompletedAt       time.Time
	LastHeartbeat     time.Time
	CancelRequestedAt time.Time
	// Reason says why a job is in the dead letters or cancelled.
	Reason    string
	LastError string
	Errors    []JobFailure
	Logs      []LogLine
	// Progress is 0–100, nil before the first report.
	Progress *int
	// Result and Metadata are JSON text, verbatim; nil when there is none.
	Result           json.RawMessage
	Metadata         json.RawMessage
	Tags             []string
	DependsOn        []string
	GroupID          string
	FlowID           string
	CustomID         string
	UniqueKey        string
	UniqueFor        time.Duration
	Backoff          string
	BackoffDelay     time.Duration
	BackoffSchedule  []time.Duration
	BackoffMax       time.Duration
	Jitter           float64
	TTL              time.Duration
	Timeout          time.Duration
	LIFO             bool
	RemoveOnComplete bool
	RemoveOnFail     bool
	WorkerID         string
}

// Unmarshal reads the job's data into v, as encoding/json does.
func (j *Job) Unmarshal(v any) error { return json.Unmarshal(j.Data, v) }

// IsFinished says whether the job has ended: completed, dlq or cancelled.
func (j *Job) IsFinished() bool { return terminalStates[j.State] }

// JobFailure is one entry of a job's error history. Kind is error, timeout or lease_expired.
type JobFailure struct {
	Attempt  int
	At       time.Time
	Kind     string
	Message  string
	WorkerID string
}

// LogLine is one progress message.
type LogLine struct {
	At      time.Time
	Message string
}

// NoDelay stands for an explicit zero in options whose zero value means "left out".
const NoDelay time.Duration = -1

// PushOptions are the settings of one pushed job. The zero value of a field leaves it to the server.
type PushOptions struct {
	// ID is a UUID. It is made by the client when left out, so that the push can be repeated. The same ID again answers with
	// that job and makes no second one.
	ID string
	// Priority: higher goes first; 0 when left out.
	Priority int
	// Delay is how long the job waits before it may run. RunAt is the same as an instant; not both.
	Delay time.Duration
	RunAt time.Time
	// MaxAttempts is the number of tries before the job is a dead letter; 3 when left out.
	MaxAttempts int
	// Backoff is fixed, linear or exponential; exponential when left out.
	Backoff string
	// BackoffDelay is the unit of Backoff, one second when left out; BackoffMax its cap, one hour when left out. NoDelay is 0.
	BackoffDelay time.Duration
	BackoffMax   time.Duration
	// BackoffSchedule is the wait before each repeat, in place of Backoff.
	BackoffSchedule []time.Duration
	// Jitter is 0–1, how much of the backoff is left to chance.
	Jitter float64
	// TTL is how long the job may wait before it is given up; for ever when left out. NoDelay is 0.
	TTL time.Duration
	// Timeout is how long one try may take.
	Timeout time.Duration
	// UniqueKey: no second unfinished job of the queue may have it. UniqueFor: nor for this long after the push.
	UniqueKey string
	UniqueFor time.Duration
	// OnConflict is what a taken key leads to: reject (when left out), ignore or replace.
	OnConflict string
	Tags       []string
	GroupID    string
	// LIFO puts the job before those of its priority.
	LIFO             bool
	RemoveOnComplete bool
	RemoveOnFail     bool
	CustomID         string
	// Metadata is anything that encodes to JSON; nil is none.
	Metadata any
	// DependsOn are ids of jobs that must be completed first. FlowID is a name that ties jobs together.
	DependsOn []string
	FlowID    string
}

// PushItem is one job of a PushBatch. Options may be nil.
type PushItem struct {
	Name    string
	Data    any
	Options *PushOptions
}

// PushBatchOptions are the settings of a PushBatch.
type PushBatchOptions struct {
	// Partial gives each item its own outcome. Without it one bad item refuses the whole batch, and the error's
	// Details["pointer"] names it.
	Partial bool
}

// PushResult is the job that a push made or found.
type PushResult struct {
	ID string
	// Outcome is created, existing (this ID was pushed before, or the unique key is held and OnConflict is ignore) or replaced.
	Outcome string
	// Err is set in the result of a PushBatch with Partial, for an item that was refused.
	Err error
}

// Created says whether this push put a new job in the queue.
func (r PushResult) Created() bool { return r.Err == nil && r.Outcome != "existing" }

// PullOptions are the settings of a Pull.
type PullOptions struct {
	// Count is 1–1,000; 0 is 1.
	Count int
	// Wait is how long, at most a minute, the request is held open while nothing is ready; 0 returns at once.
	Wait time.Duration
	// Lease is how long the claim lasts, 1 s to 12 h; 0 is the queue's setting, 30 s unless it was changed.
	Lease time.Duration
	// Names restricts the pull to jobs with these names.
	Names []string
	// WorkerID is who holds the jobs, for ListWorkers and for notices.
	WorkerID string
	// RequestID is made by the client when left out, so that a repeat after a lost answer gets the same jobs.
	RequestID string
	// Weights, one a queue, have the order of the queues drawn anew in proportion.
	Weights []int
}

// AckItem is one job of an AckBatch. A Result of nil is none.
type AckItem struct {
	Job    *Job
	Result any
}

// FailOptions are the settings of a Fail.
type FailOptions struct {
	// RetryIn is the wait before the next try, in place of the job's backoff; 0 leaves it to the backoff, NoDelay is 0.
	RetryIn time.Duration
	// Discard makes the job a dead letter, whatever tries are left.
	Discard bool
}

// FailItem is one failure of a FailBatch.
type FailItem struct {
	Job     *Job
	Err     error
	RetryIn time.Duration
	Discard bool
}

// HeartbeatItem is one lease of a HeartbeatBatch. A Lease of 0 keeps its length.
type HeartbeatItem struct {
	Job   *Job
	Lease time.Duration
}

// HeartbeatBatchOptions are the settings of a HeartbeatBatch.
type HeartbeatBatchOptions struct {
	// Worker is what ListWorkers shows, and what lets the server say "you are deaf".
	Worker *WorkerReport
	// Wait, at most a minute, holds the answer until a job of Worker is cancelled or lost; it needs Worker.
	Wait time.Duration
}

// WorkerReport is what a worker tells of itself with its heartbeats.
type WorkerReport struct {
	ID          string
	Queues      []string
	Concurrency int
	// Free is the number of slots that wait for a job.
	Free *int
	// State is running or quiet; running when left out.
	State string
	// LastPull is how long ago the worker last asked for a job.
	LastPull *time.Duration
}

// ItemResult is what became of one item of a batch: OK, or Err.
type ItemResult struct {
	ID string
	OK bool
	// Already is true when the same lease had settled the job the same way before.
	Already bool
	Err     error
	Outcome string
	State   JobState
	// Retry and NextAttemptAt are those of a FailResult; Retry is nil for other operations.
	Retry         *bool
	NextAttemptAt time.Time
	// LeaseExpiresAt and Cancelled are those of a HeartbeatResult.
	LeaseExpiresAt time.Time
	Cancelled      bool
}

// FailResult is what a fail led to. NextAttemptAt is zero when the job is ready at once, or will not be tried again.
type FailResult struct {
	Retry         bool
	NextAttemptAt time.Time
	Already       bool
}

// StateResult is the state a job is in after release, cancel, retry or promote; Already when the call changed nothing.
type StateResult struct {
	State   JobState
	Already bool
}

// HeartbeatResult is the lease's new end; Cancelled when the job is asked to stop.
type HeartbeatResult struct {
	LeaseExpiresAt time.Time
	Cancelled      bool
}

// HeartbeatBatchResult is an outcome per item, in order, and what the worker should know.
type HeartbeatBatchResult struct {
	Results []ItemResult
	// Lost and Cancelled are ids of jobs.
	Lost      []string
	Cancelled []string
	// Deaf is true when the server has work for this worker, which has free slots and does not ask.
	Deaf bool
}
