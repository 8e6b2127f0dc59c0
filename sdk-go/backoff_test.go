package jobwire

import (
	"reflect"
	"testing"
	"time"
)

// failing is a call that goes on failing, at no time at all a try.
type failing struct {
	code       string
	u          float64
	policy     retryPolicy
	class      retryClass
	retryAfter time.Duration
}

// waits are the milliseconds before each repeat, at most count of them.
func (f failing) waits(count int) []int {
	if f.policy == (retryPolicy{}) {
		f.policy = retryPolicy{defaultRetries, defaultRetryBudget}
	}
	state := retryState{policy: f.policy, class: f.class}
	now := time.Unix(100, 0)
	found := []int{}
	for range count {
		err := errorf(f.code, "")
		err.RetryAfter = f.retryAfter
		wait, again := state.after(err, now, f.u)
		if !again {
			break
		}
		found = append(found, int(wait.Milliseconds()))
		now = now.Add(wait)
	}
	return found
}

func TestTheDelayDoublesUpToItsCap(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		attempt int
		u       float64
		want    time.Duration
	}{
		{0, 1, 100 * time.Millisecond}, {1, 1, 200 * time.Millisecond}, {4, 1, 1600 * time.Millisecond}, {5, 1, 2 * time.Second},
		{6, 1, 2 * time.Second}, {100_000, 1, 2 * time.Second}, {2, 0, 0}, {2, 0.5, 200 * time.Millisecond},
	} {
		if got := retryDelay(row.attempt, row.u, backoffBase, backoffCap); row.want != got {
			t.Errorf("attempt %d with %v: want %v, got %v", row.attempt, row.u, row.want, got)
		}
	}
}

func TestTheFirstReconnectIsMadeAtOnce(t *testing.T) {
	t.Parallel()
	var got []time.Duration
	for attempt := range 3 {
		got = append(got, reconnectDelay(attempt, 1, backoffBase, backoffCap))
	}

	if want := []time.Duration{0, 100 * time.Millisecond, 200 * time.Millisecond}; !reflect.DeepEqual(want, got) {
		t.Errorf("want %v, got %v", want, got)
	}
}

func TestRepeats(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name string
		call failing
		want []int
	}{
		{"ALostConnectionIsTriedAtOnceAndThenWithJitter", failing{code: "CONNECTION_LOST", u: 0.5}, []int{0, 50, 100, 200, 400}},
		{"ABusyServerIsNotAskedAgainAtOnce", failing{code: "OVERLOADED", u: 0.5}, []int{50, 100, 200, 400, 800}},
		{"TheServersWishIsHonouredWhenItIsLonger", failing{code: "OVERLOADED", u: 0.5, retryAfter: 5 * time.Second}, []int{5000, 5000, 5000, 5000, 5000}},
		{"AWishBeyondTheBudgetEndsTheCallAtOnce", failing{code: "RATE_LIMITED", retryAfter: 31 * time.Second}, []int{}},
		{"NoRetriesMeansNone", failing{code: "CONNECTION_FAILED", policy: retryPolicy{0, time.Minute}}, []int{}},
		{"WhatCannotHelpIsNotRepeated", failing{code: "VALIDATION_ERROR"}, []int{}},
		{"AClosedClientIsNotRepeated", failing{code: "CLIENT_CLOSED"}, []int{}},
		{"WhatMustNotHappenTwiceIsNotRepeatedBlindly", failing{code: "TIMEOUT", class: retryNever}, []int{}},
		{"NorAfterALostConnection", failing{code: "CONNECTION_LOST", class: retryNever}, []int{}},
		{"NorAfterAnInternalError", failing{code: "INTERNAL_ERROR", class: retryNever}, []int{}},
		{"ButWhenNothingWasDone", failing{code: "SHUTTING_DOWN", u: 0.5, class: retryNever}, []int{50, 100, 200, 400, 800}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			if got := row.call.waits(8); !reflect.DeepEqual(row.want, got) {
				t.Errorf("want %v, got %v", row.want, got)
			}
		})
	}
}

func TestAConnectionThatCannotBeMadeIsTriedUntilTheBudgetIsUsedUp(t *testing.T) {
	t.Parallel()
	got := failing{code: "CONNECTION_FAILED", u: 0.999, policy: retryPolicy{1, 12 * time.Second}}.waits(100)

	sum := 0
	for _, wait := range got {
		sum += wait
	}
	if len(got) <= 6 || sum > 12_000 || sum < 9_000 {
		t.Errorf("%d repeats in %d ms", len(got), sum)
	}
}

func TestNoRepeatStartsAfterTheBudget(t *testing.T) {
	t.Parallel()
	state := retryState{policy: retryPolicy{5, 10 * time.Second}}
	start := time.Unix(0, 0)
	for _, row := range []struct {
		at   time.Duration
		want bool
	}{{0, true}, {9900 * time.Millisecond, true}, {10_100 * time.Millisecond, false}} {
		if _, again := state.after(errorf("TIMEOUT", ""), start.Add(row.at), 0.5); row.want != again {
			t.Errorf("after %v: want %v", row.at, row.want)
		}
	}
}

func TestTheServersWordOnRetryableWins(t *testing.T) {
	t.Parallel()
	state := retryState{policy: retryPolicy{5, time.Second}}

	if _, again := state.after(&Error{Code: "A_NEW_CODE", Retryable: true}, time.Unix(0, 0), 0.5); !again {
		t.Error("it is not repeated")
	}
}
