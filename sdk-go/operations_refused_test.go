package jobwire

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestWhatAServerWouldRefuseIsRefusedHere(t *testing.T) {
	t.Parallel()
	fails := func(_ any, err error) error { return err }
	for name, err := range map[string]error{
		"DelayAndRunAt":      fails(pushOp("q", "n", nil, &PushOptions{Delay: 1, RunAt: time.Now()}, "i")),
		"NegativeTTL":        fails(pushOp("q", "n", nil, &PushOptions{TTL: -2}, "i")),
		"TooLong":            fails(pushOp("q", "n", nil, &PushOptions{Delay: 101 * 365 * 24 * time.Hour}, "i")),
		"FarRunAt":           fails(pushOp("q", "n", nil, &PushOptions{RunAt: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)}, "i")),
		"NoQueue":            fails(pushOp("", "n", nil, nil, "i")),
		"DotsForAQueue":      fails(pushOp("..", "n", nil, nil, "i")),
		"ScheduleWithMinus":  fails(pushOp("q", "n", nil, &PushOptions{BackoffSchedule: []time.Duration{-5}}, "i")),
		"BadMetadata":        fails(pushOp("q", "n", nil, &PushOptions{Metadata: make(chan int)}, "i")),
		"BadItemOfABatch":    fails(pushBatchOp("q", []PushItem{{Name: "n", Options: &PushOptions{TTL: -2}}}, nil, oneID)),
		"IDThatIsNotUTF8":    fails(jobOp("get", "\xff", parseOneJob)),
		"NoQueues":           fails(pullOp(nil, nil, oneID)),
		"LongWait":           fails(pullOp([]string{"q"}, &PullOptions{Wait: 61 * time.Second}, oneID)),
		"ShortLease":         fails(pullOp([]string{"q"}, &PullOptions{Lease: 500 * time.Millisecond}, oneID)),
		"LongLease":          fails(pullOp([]string{"q"}, &PullOptions{Lease: 43_201 * time.Second}, oneID)),
		"WaitWithoutWorker":  fails(heartbeatBatchOp(nil, &HeartbeatBatchOptions{Wait: 1})),
		"NoJob":              fails(ackOp(nil, nil)),
		"NoJobInABatch":      fails(ackBatchOp([]AckItem{{}})),
		"LeaseOfNoLength":    fails(updateQueueOp("q", QueueUpdate{Lease: Set(time.Duration(0))})),
		"NegativeLastPull":   fails(heartbeatBatchOp(nil, &HeartbeatBatchOptions{Worker: &WorkerReport{LastPull: durationOf(-2)}})),
		"ShortLeaseOfABatch": fails(heartbeatBatchOp([]HeartbeatItem{{pulled, 1}}, nil)),
	} {
		if !errors.Is(err, ErrValidation) {
			t.Errorf("%s led to %v", name, err)
		}
	}
}

func durationOf(d time.Duration) *time.Duration { return &d }

func TestTextThatIsNotUTF8IsNotSent(t *testing.T) {
	t.Parallel()
	byName := requestOf(pushOp("q", "\xff", nil, nil, "i"))
	byTag := requestOf(findOp(&FindOptions{Tag: "\xff"}, ""))

	if _, err := byName.payload(); !errors.Is(err, ErrValidation) {
		t.Errorf("over TCP: %v", err)
	}
	if _, err := byName.httpBody(); !errors.Is(err, ErrValidation) {
		t.Errorf("over HTTP: %v", err)
	}
	if _, err := byTag.target(); !errors.Is(err, ErrValidation) {
		t.Errorf("in a query: %v", err)
	}
}

func TestALongErrorIsCutBetweenCharacters(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ text, want string }{
		{strings.Repeat("ä", 10_000), strings.Repeat("ä", 5120)},
		{"x" + strings.Repeat("ä", 10_000), "x" + strings.Repeat("ä", 5119)},
		{"a\xffb", "a\uFFFDb"},
		{"short", "short"},
	} {
		if got := cutUTF8(row.text, limitErrorBytes); row.want != got {
			t.Errorf("%.10q became %.10q, %d bytes", row.text, got, len(got))
		}
	}
}
