package jobwire

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
)

var aJob = &Job{ID: "j1", Lease: "1-a", Name: "welcome"}

func TestSettlementOfWhatAHandlerReturned(t *testing.T) {
	t.Parallel()
	boom := errors.New("boom")
	stopped := fmt.Errorf("get /: %w", context.Canceled)
	release := settlement{kind: settleRelease, job: aJob}
	timedOut := settlement{kind: settleFail, job: aJob, text: "job timed out"}
	tests := []struct {
		name   string
		value  any
		err    error
		reason StopReason
		want   settlement
	}{
		{"ANilValueIsAnAckWithoutAResult", nil, nil, "", settlement{kind: settleAck, job: aJob}},
		{"AValueIsTheResult", map[string]int{"n": 1}, nil, "", settlement{kind: settleAck, job: aJob, result: []byte(`{"n":1}`)}},
		{"AValueAfterACancelIsStillAnAck", nil, nil, StopCancel, settlement{kind: settleAck, job: aJob}},
		{"AnErrorFailsTheAttempt", nil, boom, "", settlement{kind: settleFail, job: aJob, text: "boom"}},
		{"AnErrorAfterACancelFailsTheAttempt", nil, boom, StopCancel, settlement{kind: settleFail, job: aJob, text: "boom"}},
		{"AnErrorWithoutATextIsTold", nil, errors.New(""), "", settlement{kind: settleFail, job: aJob, text: "the handler failed and did not say why"}},
		{"DiscardIsADeadLetter", nil, Discard(boom), "", settlement{kind: settleFail, job: aJob, text: "boom", discard: true}},
		{"DiscardNeedsNoReason", nil, Discard(nil), "", settlement{kind: settleFail, job: aJob, text: "discarded by the handler", discard: true}},
		{"AWrappedDiscardCounts", nil, fmt.Errorf("x: %w", Discard(boom)), "", settlement{kind: settleFail, job: aJob, text: "x: boom", discard: true}},
		{"DiscardCountsAfterAStop", nil, Discard(stopped), StopShutdown, settlement{kind: settleFail, job: aJob, text: "get /: context canceled", discard: true}},
		{"RetryInNamesItsDelay", nil, RetryIn(time.Minute, boom), "", settlement{kind: settleFail, job: aJob, text: "boom", retryIn: time.Minute}},
		{"RetryInNeedsNoReason", nil, RetryIn(time.Minute, nil), "", settlement{kind: settleFail, job: aJob, text: "retry in 1m0s", retryIn: time.Minute}},
		{"RetryInZeroIsAtOnceAndNotTheBackoff", nil, RetryIn(0, boom), "", settlement{kind: settleFail, job: aJob, text: "boom", retryIn: NoDelay}},
		{"RetryInThePastIsAtOnce", nil, RetryIn(-time.Hour, boom), "", settlement{kind: settleFail, job: aJob, text: "boom", retryIn: NoDelay}},
		{"ReleaseBurnsNoAttempt", nil, Release(5 * time.Second), "", settlement{kind: settleRelease, job: aJob, delay: 5 * time.Second}},
		{"ACancelledContextReleasesAfterACancel", nil, stopped, StopCancel, release},
		{"ACancelledContextReleasesAtShutdown", nil, stopped, StopShutdown, release},
		{"ACancelledContextFailsAfterATimeout", nil, context.DeadlineExceeded, StopTimeout, timedOut},
		{"TheCauseReleasesAfterACancel", nil, ErrJobCancelled, StopCancel, release},
		{"TheCauseFailsAfterATimeout", nil, ErrJobTimeout, StopTimeout, timedOut},
		{"WhatBreaksDuringShutdownBurnsNoAttempt", nil, boom, StopShutdown, release},
		{"ACancellationThatNobodyAskedForIsAFailure", nil, context.Canceled, "", settlement{kind: settleFail, job: aJob, text: "context canceled"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()

			got := settlementOf(aJob, test.value, test.err, test.reason)

			if fmt.Sprintf("%+v", *got) != fmt.Sprintf("%+v", test.want) {
				t.Errorf("want %+v, got %+v", test.want, *got)
			}
		})
	}
}

func TestSettlementOfALostLeaseIsNothing(t *testing.T) {
	t.Parallel()
	for _, err := range []error{nil, errors.New("boom"), Discard(nil), Release(0), context.Canceled} {
		if got := settlementOf(aJob, 1, err, StopLeaseLost); got != nil {
			t.Errorf("want nothing after %v, got %+v", err, *got)
		}
	}
}

type panicking struct{}

func (panicking) MarshalJSON() ([]byte, error) { panic("a fault of the model") }

type nilError struct{ text string }

func (e *nilError) Error() string { return e.text }

type unwrapPanics struct{}

func (unwrapPanics) Error() string { return "odd" }
func (unwrapPanics) Unwrap() error { panic("no") }

func TestSettlementOfAResultThatCannotBeKeptFailsTheJob(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		value any
		want  string
	}{
		{"AChannel", make(chan int), "cannot be kept"},
		{"NaN", math.NaN(), "cannot be kept"},
		{"TooLong", strings.Repeat("x", 1_048_577), "1048579 bytes"},
		{"APanic", panicking{}, "a fault of the model"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()

			got := settlementOf(aJob, test.value, nil, "")

			if got.kind != settleFail || !strings.Contains(got.text, test.want) {
				t.Errorf("want a failure with %q, got %+v", test.want, *got)
			}
		})
	}
}

func TestSettlementOfAnErrorWhoseMethodsPanicFailsTheJob(t *testing.T) {
	t.Parallel()
	var typedNil *nilError
	for name, err := range map[string]error{"Error": typedNil, "Unwrap": unwrapPanics{}} {
		got := settlementOf(aJob, nil, err, "")
		if got == nil || got.kind != settleFail || got.text == "" {
			t.Errorf("want a failure with a text when %s panics, got %+v", name, got)
		}
		if !isFailure(err, "") {
			t.Errorf("want an error whose %s panics to be a failure", name)
		}
	}
}

func TestIsFailureTellsFailuresFromWhatHandlersSay(t *testing.T) {
	t.Parallel()
	tests := []struct {
		err    error
		reason StopReason
		want   bool
	}{
		{nil, "", false},
		{errors.New("boom"), "", true},
		{errors.New("boom"), StopCancel, true},
		{context.Canceled, "", true},
		{context.Canceled, StopCancel, false},
		{ErrShutdown, StopShutdown, false},
		{Discard(errors.New("boom")), "", false},
		{RetryIn(0, nil), "", false},
		{Release(0), "", false},
	}
	for _, test := range tests {
		if got := isFailure(test.err, test.reason); got != test.want {
			t.Errorf("isFailure(%v, %q): want %v, got %v", test.err, test.reason, test.want, got)
		}
	}
}

func TestUnknownNameIsAFailureThatANewerWorkerCanMend(t *testing.T) {
	t.Parallel()

	got := unknownName(aJob, []string{"a", "b"})

	if want := "no handler for 'welcome' on this worker; it has: a, b"; got.text != want || got.discard {
		t.Errorf("want %q, to be tried again, got %+v", want, *got)
	}
	if want := "it has: none"; !strings.HasSuffix(unknownName(aJob, nil).text, want) {
		t.Errorf("want %q at the end, got %q", want, unknownName(aJob, nil).text)
	}
}

func TestErrorTextIsCutToTheLimitOfTheWire(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("ü", 20_000)

	plain := errorText(errors.New(long))
	panicked := errorText(&PanicError{Value: long, Stack: "innermost\n" + long})

	for _, text := range []string{plain, panicked} {
		if len(text) > limitErrorBytes || !strings.Contains(text, "üü") || strings.Contains(text, "\uFFFD") {
			t.Errorf("want whole characters within %d bytes, got %d", limitErrorBytes, len(text))
		}
	}
	if !strings.HasPrefix(panicked, "panic: üü") || !strings.Contains(panicked, "\n\ninnermost\n") {
		t.Errorf("want the head and the innermost frames, got %.200q", panicked)
	}
}

func TestStopErrorsAreWhatContextsSay(t *testing.T) {
	t.Parallel()
	for _, cause := range []*StopError{ErrJobCancelled, ErrLeaseLost, ErrShutdown} {
		if !errors.Is(cause, context.Canceled) {
			t.Errorf("want %v to be context.Canceled", cause)
		}
	}
	if !errors.Is(ErrJobTimeout, context.DeadlineExceeded) {
		t.Errorf("want %v to be context.DeadlineExceeded", ErrJobTimeout)
	}
}
