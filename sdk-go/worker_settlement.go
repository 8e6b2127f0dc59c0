package jobwire

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// This file decides what to tell the server about a job whose handler has ended. It is pure.

// resultBytes is the largest result that a job can have.
const resultBytes = 1 << 20

type settlementKind int

const (
	settleAck     settlementKind = iota // the job is done
	settleFail                          // the attempt failed
	settleRelease                       // somebody else may have the job; no attempt is burnt
)

// settlement is what to tell the server about one job.
type settlement struct {
	kind    settlementKind
	job     *Job
	result  json.RawMessage // of an ack; nil when there is none
	text    string          // of a fail
	retryIn time.Duration   // of a fail; as FailOptions.RetryIn: 0 leaves it to the backoff, NoDelay is 0
	discard bool            // of a fail
	delay   time.Duration   // of a release
}

// size is about how many bytes it takes in a batch.
func (s *settlement) size() int { return len(s.result) + 4*len(s.text) }

// settlementOf is what to tell the server about job, whose handler returned value and err; nil when its lease is lost, since
// then others speak for it.
//
// reason is why the handler was asked to stop, "" when it was not. A value that is returned is an ack even then: the work was
// done, and the server decides whether the ack still counts.
func settlementOf(job *Job, value any, err error, reason StopReason) (s *settlement) {
	defer func() {
		if p := recover(); p != nil { // a method of the user's error or value did, and its job must still be settled
			s = failSettlement(job, fmt.Sprintf("what the handler returned cannot be read: panic: %s", messageOf(p)))
		}
	}()
	switch {
	case reason == StopLeaseLost:
		return nil
	case err == nil:
		return ackOf(job, value)
	}
	if byOutcome := settlementByOutcome(job, err); byOutcome != nil {
		return byOutcome
	}
	if isStop(err) && reason != "" {
		return stoppedSettlement(job, reason)
	}
	if reason == StopShutdown { // whatever broke on the way out, the job did not do it
		return &settlement{kind: settleRelease, job: job}
	}
	return failSettlement(job, errorText(err))
}

// failSettlement is a fail with a text, which may be empty on the way in only.
func failSettlement(job *Job, text string) *settlement {
	if text == "" {
		text = "the handler failed and did not say why"
	}
	return &settlement{kind: settleFail, job: job, text: text}
}

func ackOf(job *Job, value any) *settlement {
	if value == nil {
		return &settlement{kind: settleAck, job: job}
	}
	result, err := encodeJSON("result", value)
	if err != nil {
		return failSettlement(job, "the handler's result cannot be kept: "+errorText(err))
	}
	if len(result) > resultBytes {
		return failSettlement(job, fmt.Sprintf("the handler's result has %d bytes, the limit is %d", len(result), resultBytes))
	}
	return &settlement{kind: settleAck, job: job, result: result}
}

// settlementByOutcome is what Discard, RetryIn or Release in err ask for, in this order; nil when none of them is there.
func settlementByOutcome(job *Job, err error) *settlement {
	var (
		discard *DiscardError
		retryIn *RetryInError
		release *ReleaseError
	)
	switch {
	case errors.As(err, &discard):
		return &settlement{kind: settleFail, job: job, text: errorText(err), discard: true}
	case errors.As(err, &retryIn):
		delay := retryIn.Delay
		if delay <= 0 {
			delay = NoDelay
		}
		return &settlement{kind: settleFail, job: job, text: errorText(err), retryIn: delay}
	case errors.As(err, &release):
		return &settlement{kind: settleRelease, job: job, delay: max(release.Delay, 0)}
	}
	return nil
}

// isStop says whether err is what a handler returns that stops because its context ended.
func isStop(err error) bool {
	var stop *StopError
	return errors.As(err, &stop) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

func stoppedSettlement(job *Job, reason StopReason) *settlement {
	if reason == StopTimeout {
		return failSettlement(job, ErrJobTimeout.Error())
	}
	return &settlement{kind: settleRelease, job: job} // after a cancel the server makes `cancelled` of it
}

// isFailure says whether err, which a handler returned, is its failure, and not a way to say how the job goes on.
func isFailure(err error, reason StopReason) (is bool) {
	defer func() {
		if recover() != nil { // a method of the error did
			is = true
		}
	}()
	if err == nil || (reason != "" && isStop(err)) {
		return false
	}
	return settlementByOutcome(nil, err) == nil
}

// unknownName is the verdict on a job without a handler: retryable, for the next worker may be of a newer deploy.
func unknownName(job *Job, known []string) *settlement {
	names := strings.Join(known, ", ")
	if names == "" {
		names = "none"
	}
	return failSettlement(job, fmt.Sprintf("no handler for '%s' on this worker; it has: %s", job.Name, names))
}
