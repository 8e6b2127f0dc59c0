package jobwire

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"slices"
	"time"
)

// WorkerConfig are the settings of a [Worker]. Queues is needed; the zero value of every other field means its default.
type WorkerConfig struct {
	// Queues to take jobs from, tried in order; at least one.
	Queues []string
	// Weights, one of at least 1 a queue: the order of the queues is then drawn in proportion for each pull.
	Weights []int
	// Names restricts the worker to jobs with these names; without it a job without a handler fails, and is tried again.
	Names []string
	// Concurrency is how many jobs run at a time; 8 when left out. A job is only asked for when there is a slot for it.
	Concurrency int
	// Lease is how long a job is held without a sign of life, 1 s to 12 h; 30 s when left out.
	Lease time.Duration
	// Heartbeat is how long it is between two signs of life; a third of the lease when left out. A connection with a request
	// unanswered on which the server says nothing for as long, or for a second where that is longer, is made anew.
	Heartbeat time.Duration
	// Wait is how long the server holds a pull open while nothing is ready, at most a minute; 20 s when left out. NoDelay is 0. Over
	// HTTP it is at most half of Heartbeat, or half a second where that is longer.
	Wait time.Duration
	// Grace is how long running jobs have to end when the worker stops; 30 s when left out. NoDelay is 0. What runs after that is
	// told to stop and given back, no attempt burnt.
	Grace time.Duration
	// WorkerID is how the server shows this worker; made from host, process and chance when left out.
	WorkerID string
	// NoSignals has Run leave SIGTERM and SIGINT to the program, which then ends the context of Run, or calls Stop.
	NoSignals bool
	// Wrap is called once for each handler; what it returns is run in its place.
	Wrap WrapFunc
	// OnError is called with each error of a handler that fails its attempt, a panic is a [*PanicError], and with a nil job
	// when the server refuses this worker. Calls may come at the same time. It must not wait for the worker to stop.
	OnError func(err error, job *Job)
	// Logf gets what a person should know: a line, never with a payload or a token. That of the client when left out.
	Logf func(format string, args ...any)
}

const (
	defaultConcurrency = 8
	defaultWorkerLease = 30 * time.Second
	defaultWait        = 20 * time.Second
	defaultGrace       = 30 * time.Second
	// heartbeatsALease: two may be lost before the lease is (JW-SDK-8).
	heartbeatsALease = 3
	// minSilence leaves a server that is busy the time for an answer.
	minSilence     = time.Second
	maxConcurrency = 100_000
)

type logFunc func(format string, args ...any)

// workerOptions are the checked settings of a worker, with their defaults.
type workerOptions struct {
	queues      []string
	weights     []int
	names       []string
	concurrency int
	lease       time.Duration
	heartbeat   time.Duration
	silence     time.Duration // how long the server may say nothing while a pull or an outcome is unanswered (JW-SDK-13)
	wait        time.Duration
	grace       time.Duration
	workerID    string
}

// checkOptions is the settings with their defaults, or an ErrValidation with what was expected and what came.
func checkOptions(config *WorkerConfig) (*workerOptions, error) {
	lease := orDefault(config.Lease, defaultWorkerLease)
	heartbeat := orDefault(config.Heartbeat, lease/heartbeatsALease)
	o := &workerOptions{
		queues:      slices.Clone(config.Queues),
		weights:     slices.Clone(config.Weights),
		names:       slices.Clone(config.Names),
		concurrency: orDefault(config.Concurrency, defaultConcurrency),
		lease:       lease,
		heartbeat:   heartbeat,
		silence:     max(heartbeat, minSilence),
		wait:        explicit(orDefault(config.Wait, defaultWait)),
		grace:       explicit(orDefault(config.Grace, defaultGrace)),
		workerID:    orDefault(config.WorkerID, defaultWorkerID()),
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	return o, nil
}

// calls is how long to wait on the connections for pulls and for outcomes, where an answer may be overdue for so long.
func (o *workerOptions) calls(overdue time.Duration) connTimes {
	return connTimes{connect: o.silence, answer: overdue, silence: o.silence}
}

// beats is how long to wait on the connection for heartbeats, on which every answer is due within an interval.
//
// A lease of three intervals must outlive one held heartbeat, one that gets lost, and the one that replaces it: 1 (held) + 1/2
// (overdue) leaves room; the 30 s of a client do not.
func (o *workerOptions) beats() connTimes {
	return connTimes{connect: o.silence, answer: max(o.heartbeat/2, 250*time.Millisecond)}
}

func (o *workerOptions) check() error {
	const low, high, longest = limitLeaseMSMin * time.Millisecond, limitLeaseMSMax * time.Millisecond, limitWaitMS * time.Millisecond
	switch {
	case len(o.queues) == 0 || slices.Contains(o.queues, ""):
		return invalid("", "Queues must name at least one queue, got %q", o.queues)
	case o.concurrency < 1 || o.concurrency > maxConcurrency:
		return invalid("", "Concurrency must be 1 to %d, got %d", maxConcurrency, o.concurrency)
	case o.lease < low || o.lease > high:
		return invalid("", "Lease must be %v to %v, got %v", low, high, o.lease)
	case o.wait < 0 || o.wait > longest:
		return invalid("", "Wait must be 0 to %v, got %v", longest, o.wait)
	case o.heartbeat <= 0 || o.heartbeat >= o.lease:
		return invalid("", "Heartbeat must be above 0 and below the lease of %v, got %v", o.lease, o.heartbeat)
	case o.grace < 0:
		return invalid("", "Grace must be 0 or more, got %v", o.grace)
	case o.weights != nil && (len(o.weights) != len(o.queues) || slices.Min(o.weights) < 1):
		return invalid("", "Weights needs one whole number of at least 1 a queue, got %v", o.weights)
	}
	return nil
}

func orDefault[T comparable](value, fallback T) T {
	var zero T
	if value == zero {
		return fallback
	}
	return value
}

// explicit is a duration in which NoDelay stands for 0.
func explicit(d time.Duration) time.Duration {
	if d == NoDelay {
		return 0
	}
	return d
}

// defaultWorkerID is host, process and chance: unique, and a person sees where the worker runs.
func defaultWorkerID() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown-host"
	}
	var chance [4]byte
	_, _ = rand.Read(chance[:]) // without chance the id is host and process, which is still an id
	return fmt.Sprintf("%s-%d-%s", host, os.Getpid(), hex.EncodeToString(chance[:]))
}
