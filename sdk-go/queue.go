package jobwire

import "time"

// FindOptions are the filters of a Find; all must match, and the zero value of a field does not filter.
type FindOptions struct {
	Queue    string
	States   []JobState
	Name     string
	Tag      string
	GroupID  string
	FlowID   string
	CustomID string
	// CreatedAfter is inclusive, CreatedBefore exclusive.
	CreatedAfter  time.Time
	CreatedBefore time.Time
	// PageSize is the number of jobs a request, 1–1,000; 50 when left out.
	PageSize int
}

// PageOptions say which page of dead letters is wanted.
type PageOptions struct {
	// Limit is 1–1,000; 50 when left out.
	Limit int
	// Cursor is the NextCursor of the page before; empty for the first.
	Cursor string
}

// Page is some jobs, and where the next page starts.
type Page struct {
	// Jobs may be fewer than asked for, even none, before the end.
	Jobs []*Job
	// NextCursor is empty on the last page.
	NextCursor string
}

// BulkOptions say which dead letters are meant.
type BulkOptions struct {
	// IDs are those of the jobs; nil means the oldest.
	IDs []string
	// Limit is how many at most; 1,000 when left out.
	Limit int
}

// BulkResult is what a dead-letter operation did: how many, each one's outcome, and how many dead letters remain.
type BulkResult struct {
	Count     int
	Results   []ItemResult
	Remaining int
}

// QueueCounts are jobs by state. Failed is always 0; RustQueue's clients expect it.
type QueueCounts struct {
	Waiting   int
	Active    int
	Delayed   int
	Completed int
	Failed    int
	DLQ       int
	Blocked   int
	Cancelled int
}

// PauseMode is what a paused queue refuses.
type PauseMode string

// A paused queue delivers nothing, accepts nothing, or neither.
const (
	PausePull PauseMode = "pull"
	PausePush PauseMode = "push"
	PauseBoth PauseMode = "both"
)

// QueueStats are the counts of a queue.
type QueueStats struct {
	Counts QueueCounts
	// Paused is empty when the queue runs.
	Paused PauseMode
	// OldestWaiting is the age of the oldest waiting job; nil when none waits.
	OldestWaiting *time.Duration
}

// QueueInfo is a queue, and what was set for it; nil means the server's default.
//
// ListQueues fills Name, Counts and Paused only.
type QueueInfo struct {
	Name               string
	Counts             QueueCounts
	Paused             PauseMode
	OldestWaiting      *time.Duration
	Lease              *time.Duration
	MaxLength          *int
	RetentionCompleted *time.Duration
	RetentionDLQ       *time.Duration
	RetentionCancelled *time.Duration
}

// Setting is a change of one setting of a queue. The zero value leaves it as it is; see Set and Reset.
type Setting[T any] struct {
	given bool
	value *T
}

// Set is a setting with a value of its own.
func Set[T any](value T) Setting[T] { return Setting[T]{given: true, value: &value} }

// Reset is a setting that goes back to the server's default.
func Reset[T any]() Setting[T] { return Setting[T]{given: true} }

// QueueUpdate is what UpdateQueue changes.
type QueueUpdate struct {
	// Lease is the default length of a lease.
	Lease Setting[time.Duration]
	// MaxLength is the number of unfinished jobs that the queue may hold.
	MaxLength Setting[int]
	// How long ended jobs are kept.
	RetentionCompleted Setting[time.Duration]
	RetentionDLQ       Setting[time.Duration]
	RetentionCancelled Setting[time.Duration]
}

// Flow is the jobs of a flow, oldest first, at most 1,000; Summary counts all of them by state, and in total.
type Flow struct {
	FlowID  string
	Jobs    []*Job
	Summary map[string]int
}

// WorkerInfo is a worker as the server sees it.
type WorkerInfo struct {
	ID          string
	Queues      []string
	Concurrency *int
	Free        *int
	Held        int
	// State is alive, quiet, deaf or lost.
	State       string
	Client      string
	Transport   string
	FirstSeenAt time.Time
	LastSeenAt  time.Time
	LastPullAt  time.Time
}

// Health is the server's state.
type Health struct {
	// Status is healthy, degraded or draining.
	Status  string
	Version string
	Uptime  time.Duration
	// Durability is what an acknowledged push survives: fsync (a power cut), os-crash-loss (a killed process), memory (nothing).
	Durability string
	Storage    string
}

// Capabilities is what the server can do. Limits and Defaults are in the units of the wire.
type Capabilities struct {
	Name         string
	Version      string
	Wire         []int
	Capabilities []string
	Limits       map[string]any
	Defaults     map[string]any
}
