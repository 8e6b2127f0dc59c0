package fake

import (
	"fmt"
	"math/rand/v2"
	"slices"
)

// State is what the server knows.
type State struct {
	// Now is where the clock stands.
	Now int64
	// Random is uniform in [0, 1); it decides jitter, weighted pulls and ids.
	Random func() float64

	jobs     []*Job // in the order of acceptance
	byID     map[string]*Job
	queues   map[string]*queueState
	workers  map[string]*workerState
	keys     map[queueKey]string // the job that took a unique key last
	claims   map[string][]claim  // what a pull with a request_id took
	notices  []notice            // what sessions should hear
	sequence int64               // of the job that was accepted last
}

type queueKey struct{ queue, key string }

type claim struct {
	id       string
	delivery int64
}

type notice struct {
	to   Listener
	line Answer
}

// settingNames are the settings of a queue.
var settingNames = []string{"lease_ms", "max_length", "retention_completed_ms", "retention_dlq_ms", "retention_cancelled_ms"}

// queueState is what a person set for a queue. paused is "" when it is not; a setting that is not there has its default.
type queueState struct {
	paused   string
	settings map[string]int64
}

func (q *queueState) pauses(what string) bool { return q.paused == what || q.paused == "both" }

// workerState is what a worker last reported, and the jobs it lost or should stop and has not been told of.
type workerState struct {
	id, transport   string
	client          *string
	firstSeenAt     int64
	lastSeenAt      int64
	lastPullAt      *int64
	report          Fields
	deaf            bool
	lost, cancelled []string
}

// NewState is an empty server whose clock stands at now. One seed makes one sequence of chance.
func NewState(now int64, seed uint64) *State {
	return &State{
		Now: now, Random: rand.New(rand.NewPCG(seed, 0)).Float64, byID: make(map[string]*Job),
		queues: make(map[string]*queueState), workers: make(map[string]*workerState), keys: make(map[queueKey]string),
		claims: make(map[string][]claim),
	}
}

// newID is a UUID of version 7.
func (s *State) newID() string {
	high, low := uint64(s.Random()*(1<<30)), uint64(s.Random()*(1<<32))
	return fmt.Sprintf("%08x-%04x-7%03x-%04x-%04x%08x",
		s.Now>>16&0xFFFFFFFF, s.Now&0xFFFF, s.sequence&0xFFF, 0x8000|high>>16, high&0xFFFF, low)
}

// Job is nil for one that is not there, or was removed.
func (s *State) Job(id string) *Job {
	if job := s.byID[id]; job != nil && job.State != "removed" {
		return job
	}
	return nil
}

func (s *State) find(id string) (*Job, error) {
	if job := s.Job(id); job != nil {
		return job, nil
	}
	return nil, jobNotFound(id)
}

func (s *State) insert(job *Job) {
	s.jobs = append(s.jobs, job)
	s.byID[job.ID] = job
	s.takeKey(job)
}

// ofQueue is every job of a queue that was not removed, in the order of acceptance.
func (s *State) ofQueue(name string) []*Job {
	return s.filter(func(job *Job) bool { return job.Queue == name && job.State != "removed" })
}

func (s *State) filter(want func(*Job) bool) []*Job {
	var found []*Job
	for _, job := range s.jobs {
		if want(job) {
			found = append(found, job)
		}
	}
	return found
}

// queue is the settings of a queue, to be read.
func (s *State) queue(name string) *queueState {
	if found := s.queues[name]; found != nil {
		return found
	}
	return &queueState{}
}

// queueToChange is the settings of a queue, to be changed.
func (s *State) queueToChange(name string) *queueState {
	if s.queues[name] == nil {
		s.queues[name] = &queueState{settings: make(map[string]int64)}
	}
	return s.queues[name]
}

// seenWorker is the worker of this name, seen now.
func (s *State) seenWorker(id, transport string, client *string) *workerState {
	worker := s.workers[id]
	if worker == nil {
		worker = &workerState{id: id, firstSeenAt: s.Now}
		s.workers[id] = worker
	}
	worker.lastSeenAt, worker.transport = s.Now, transport
	if client != nil {
		worker.client = client
	}
	return worker
}

// MakeDeaf has this worker told `deaf: true` until its next pull.
func (s *State) MakeDeaf(id string) { s.seenWorker(id, "http", nil).deaf = true }

func (s *State) workerOf(job *Job) *workerState {
	if job.WorkerID == nil {
		return nil
	}
	return s.workers[*job.WorkerID]
}

func (s *State) heldBy(workerID string) int {
	return len(s.filter(func(job *Job) bool { return job.State == "active" && job.WorkerID != nil && *job.WorkerID == workerID }))
}

// holder is the job that holds a unique key now: unfinished, or within its window; nil when the key is free.
func (s *State) holder(queue string, key *string) *Job {
	if key == nil {
		return nil
	}
	job := s.byID[s.keys[queueKey{queue, *key}]]
	if job == nil || (job.isFinished() && job.keyHeldUntil() <= s.Now) {
		return nil
	}
	return job
}

// keyHeldUntil is the end of the window of the job's unique key.
func (j *Job) keyHeldUntil() int64 {
	if j.UniqueFor == nil {
		return j.CreatedAt
	}
	return j.CreatedAt + *j.UniqueFor
}

func (s *State) takeKey(job *Job) {
	if job.UniqueKey != nil {
		s.keys[queueKey{job.Queue, *job.UniqueKey}] = job.ID
	}
}

// notify has the session that pulled job hear of this.
func (s *State) notify(name string, job *Job) {
	if job.Owner != nil {
		s.notices = append(s.notices, notice{job.Owner, Answer{"notice": name, "id": job.ID, "lease": job.LeaseText()}})
	}
}

// SendNotices tells the sessions what they should hear.
func (s *State) SendNotices() {
	notices := s.notices
	s.notices = nil
	for _, each := range notices {
		each.to.Notify(each.line)
	}
}

func addOnce(list []string, id string) []string {
	if slices.Contains(list, id) {
		return list
	}
	return append(list, id)
}
