package jobwire

import (
	"slices"
	"testing"
	"time"
)

func TestLinkReconnectsAtOnceAndThenEverMoreSlowlyForEver(t *testing.T) {
	t.Parallel()
	var l serverLink
	var got []time.Duration

	for range 12 {
		l.failed(channelFetch, at(0))
		got = append(got, l.delay(channelFetch, coded("CONNECTION_LOST"), 1))
	}

	want := []time.Duration{0, secs(0.1), secs(0.2), secs(0.4), secs(0.8)}
	for range 7 {
		want = append(want, secs(1.2))
	}
	if !slices.Equal(want, got) {
		t.Errorf("want %v, got %v", want, got)
	}
}

func TestLinkWaitsForAsLongAsTheServerWishes(t *testing.T) {
	t.Parallel()
	var l serverLink
	l.failed(channelFetch, at(0))

	got := l.delay(channelFetch, &Error{Code: "OVERLOADED", Retryable: true, RetryAfter: secs(9)}, 0)

	if got != secs(9) {
		t.Errorf("want 9 s, got %v", got)
	}
}

func TestLinkTellsLossAndRecoveryOnceOverAllChannels(t *testing.T) {
	t.Parallel()
	var l serverLink
	isBack := func(on linkChannel, s float64) bool {
		_, back := l.answered(on, at(s))
		return back
	}

	told := []bool{l.failed(channelFetch, at(10)), l.failed(channelFetch, at(11)), l.failed(channelBeat, at(12))}
	told = append(told, isBack(channelSettle, 13), isBack(channelFetch, 14))
	lasted, back := l.answered(channelBeat, at(15.5))
	told = append(told, back, isBack(channelBeat, 16), l.failed(channelSettle, at(25)))

	if want := []bool{true, false, false, false, false, true, false, true}; !slices.Equal(want, told) {
		t.Errorf("want %v, got %v", want, told)
	}
	if lasted != secs(5.5) {
		t.Errorf("want a loss of 5.5 s, got %v", lasted)
	}
}

func TestLinkDoesNotTellALossAgainToAChannelThatHearsOfItLate(t *testing.T) {
	t.Parallel()
	var l serverLink
	l.failed(channelFetch, at(10))
	l.answered(channelFetch, at(10.1))

	told := []bool{l.failed(channelBeat, at(10.2))}
	l.answered(channelBeat, at(10.3))
	told = append(told, l.failed(channelBeat, at(10.4)), l.failed(channelBeat, at(10.5))) // twice in a row is a loss of its own

	if want := []bool{false, false, true}; !slices.Equal(want, told) {
		t.Errorf("want %v, got %v", want, told)
	}
}

func TestLinkGivesUpOnlyWhenTheServerHasNeverAnsweredAndNeverWill(t *testing.T) {
	t.Parallel()
	var l serverLink

	for code, want := range map[string]bool{
		"UNAUTHORIZED": true, "VALIDATION_ERROR": true, "PROTOCOL_ERROR": true, "CONNECTION_FAILED": false, "SHUTTING_DOWN": false,
		"JOB_NOT_FOUND": false,
	} {
		if got := l.isFatal(coded(code)); got != want {
			t.Errorf("%s: want %v, got %v", code, want, got)
		}
	}
	l.answered(channelBeat, at(0))
	if l.isFatal(coded("UNAUTHORIZED")) {
		t.Error("want to go on once the server has answered")
	}
}
