package jobwiretest

import (
	"context"
	"encoding/json"
	"time"

	"github.com/jobwire/jobwire/sdk-go"
	"github.com/jobwire/jobwire/sdk-go/internal/inside"
)

// OutcomeKind says what the server was told of a job.
type OutcomeKind string

// The ways in which a job is settled. KindDiscard is a fail that is not tried again; KindRelease is also the outcome of a job whose
// lease was lost meanwhile, of which nobody is told.
const (
	KindAck     OutcomeKind = "ack"
	KindFail    OutcomeKind = "fail"
	KindDiscard OutcomeKind = "discard"
	KindRelease OutcomeKind = "release"
)

// Outcome is what a handler made of a job, and what the server was told.
type Outcome struct {
	// Job is the job as it was pulled.
	Job  *jobwire.Job
	Kind OutcomeKind
	// Result is the JSON text of what the handler returned, after an ack; nil when that was nothing.
	Result json.RawMessage
	// Failure is the text of a fail; empty after anything else.
	Failure string
	// Err is the error that the handler returned, a *jobwire.PanicError when it panicked.
	Err error
}

// WorkOne pulls at most one job with the settings of worker, runs its handler in this goroutine, and tells the server how it ended.
//
// The worker need not be started; its client may be one of a [Server] or of a real server. wait is how long to wait for a job; 0
// is not at all.
//
// It returns nil when there was no job. What a handler returns is in the outcome; the error is that of the worker's client. The
// handler's context is as in a worker, but that there are no heartbeats.
func WorkOne(ctx context.Context, worker *jobwire.Worker, wait time.Duration) (*Outcome, error) {
	pulled, err := inside.PullOne(ctx, worker, wait)
	if err != nil {
		return nil, err
	}
	job := pulled.(*jobwire.Job)
	if job == nil {
		return nil, nil
	}
	return run(ctx, worker, job)
}

func run(ctx context.Context, worker *jobwire.Worker, job *jobwire.Job) (*Outcome, error) {
	found, err := inside.Run(ctx, worker, job)
	if err != nil {
		return nil, err
	}
	return &Outcome{Job: job, Kind: OutcomeKind(found.Kind), Result: found.Result, Failure: found.Text, Err: found.Err}, nil
}
