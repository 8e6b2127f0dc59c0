package jobwire

import (
	"context"
	"fmt"
	"time"
)

// --- what a handler returns to say how its job goes on ---

// DiscardError is what [Discard] returns.
type DiscardError struct {
	// Err is why; nil when the handler did not say.
	Err error
}

// Discard is returned by a handler: never try this job again. The job goes to the dead letters with the reason `failed`
// and err as its error. err may be nil.
func Discard(err error) error {
	return &DiscardError{Err: err}
}

func (e *DiscardError) Error() string {
	if e.Err == nil {
		return "discarded by the handler"
	}
	return e.Err.Error()
}

func (e *DiscardError) Unwrap() error { return e.Err }

// RetryInError is what [RetryIn] returns.
type RetryInError struct {
	// Delay is how long to wait before the next attempt.
	Delay time.Duration
	// Err is why; nil when the handler did not say.
	Err error
}

// RetryIn is returned by a handler: fail this attempt, and try again in d in place of the job's backoff; a negative d is
// 0, at once. It counts as a failed attempt; after the last one the job goes to the dead letters. err may be nil.
func RetryIn(d time.Duration, err error) error {
	return &RetryInError{Delay: max(d, 0), Err: err}
}

func (e *RetryInError) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("retry in %v", e.Delay)
	}
	return e.Err.Error()
}

func (e *RetryInError) Unwrap() error { return e.Err }

// ReleaseError is what [Release] returns.
type ReleaseError struct {
	// Delay is how long to wait before the job may be taken again.
	Delay time.Duration
}

// Release is returned by a handler: give the job back without burning an attempt, to be taken again after d; a negative d
// is 0, at once.
func Release(d time.Duration) error {
	return &ReleaseError{Delay: max(d, 0)}
}

func (e *ReleaseError) Error() string {
	return fmt.Sprintf("released by the handler for %v", e.Delay)
}

// --- why a handler should stop ---

// StopReason says why a handler should stop.
type StopReason string

// The reasons for which a handler's context ends.
const (
	// StopCancel: somebody cancelled the job. A handler that stops ends it cancelled.
	StopCancel StopReason = "cancel"
	// StopLeaseLost: the job belongs to somebody else. Whatever the handler returns is dropped.
	StopLeaseLost StopReason = "lease_lost"
	// StopTimeout: the job's timeout is over. A handler that stops has failed its attempt.
	StopTimeout StopReason = "timeout"
	// StopShutdown: the worker ends and its grace is over. A handler that stops gives the job back, no attempt burnt.
	StopShutdown StopReason = "shutdown"
)

// StopError is the cause with which the context of a handler ends, see [context.Cause]. It wraps [context.Canceled], or
// [context.DeadlineExceeded] after a timeout. Compare with [ErrJobCancelled], [ErrLeaseLost], [ErrJobTimeout] and
// [ErrShutdown], or look at Reason.
type StopError struct {
	Reason StopReason
}

// The four causes.
var (
	ErrJobCancelled = &StopError{Reason: StopCancel}
	ErrLeaseLost    = &StopError{Reason: StopLeaseLost}
	ErrJobTimeout   = &StopError{Reason: StopTimeout}
	ErrShutdown     = &StopError{Reason: StopShutdown}
)

func (e *StopError) Error() string {
	switch e.Reason {
	case StopCancel:
		return "the job was cancelled"
	case StopLeaseLost:
		return "the job's lease is lost"
	case StopTimeout:
		return "job timed out"
	case StopShutdown:
		return "the worker shuts down"
	}
	return "the handler was stopped: " + string(e.Reason)
}

func (e *StopError) Unwrap() error {
	if e.Reason == StopTimeout {
		return context.DeadlineExceeded
	}
	return context.Canceled
}

// --- what went wrong without an error ---

// PanicError is the error of a handler that panicked, as [WorkerConfig.OnError] gets it.
type PanicError struct {
	// Value is what the handler panicked with.
	Value any
	// Stack has a line for each function and one for its place, the innermost first, without those of this package.
	Stack string
}

func (e *PanicError) Error() string {
	return "panic: " + messageOf(e.Value)
}

// Unwrap is the value, if the handler panicked with an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}
