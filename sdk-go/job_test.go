package jobwire

import (
	"encoding/json"
	"testing"
	"time"
)

const wholeJob = `{
	"id":"j","queue":"q","name":"n","data":{"b": 1.10, "a":2},"state":"active","priority":-5,"attempt":1,"max_attempts":7,"delivery":2,
	"lease":"2-a","lease_expires_at":"2026-01-01T00:00:01.123456789Z","run_at":"2026-01-01T00:00:02Z",
	"delay_until":"2026-01-01T00:00:03+01:00","created_at":"2026-01-01T00:00:04Z","updated_at":"2026-01-01T00:00:05Z",
	"started_at":"2026-01-01T00:00:06Z","completed_at":"2026-01-01T00:00:07Z","last_heartbeat":"2026-01-01T00:00:08Z",
	"cancel_requested_at":"2026-01-01T00:00:09Z","reason":"r","last_error":"e",
	"errors":[{"attempt":1,"at":"2026-01-01T00:00:00Z","kind":"timeout","message":"m","worker_id":"w"},{"message":"old"}],
	"logs":[{"timestamp":"2026-01-01T00:00:00Z","message":"l"}],"progress":0,"result":[ 1 ],"metadata":{"m":1},"tags":["t"],
	"depends_on":["d"],"group_id":"g","flow_id":"f","custom_id":"c","unique_key":"u","unique_for_ms":1500,"backoff":"fixed",
	"backoff_delay_ms":0,"backoff_schedule_ms":[1,2000],"backoff_max_ms":60000,"jitter":0.5,"ttl_ms":1,"timeout_ms":2,"lifo":true,
	"remove_on_complete":true,"remove_on_fail":true,"worker_id":"w","a_new_member":{"x":[1]}}`

func second(n int) time.Time { return time.Date(2026, 1, 1, 0, 0, n, 0, time.UTC) }

func TestAJobKeepsEveryField(t *testing.T) {
	t.Parallel()
	f, zero := &fields{}, 0

	got := parseJob(f, json.RawMessage(wholeJob))

	want := &Job{
		ID: "j", Queue: "q", Name: "n", Data: json.RawMessage(`{"b": 1.10, "a":2}`), State: StateActive, Priority: -5, Attempt: 1,
		MaxAttempts: 7, Delivery: 2, Lease: "2-a", LeaseExpiresAt: second(1).Add(123456789), RunAt: second(2),
		DelayUntil: second(3).Add(-time.Hour), CreatedAt: second(4), UpdatedAt: second(5), StartedAt: second(6),
		CompletedAt: second(7), LastHeartbeat: second(8), CancelRequestedAt: second(9), Reason: "r", LastError: "e",
		Errors: []JobFailure{{1, second(0), "timeout", "m", "w"}, {Kind: "error", Message: "old"}}, Logs: []LogLine{{second(0), "l"}},
		Progress: &zero, Result: json.RawMessage(`[ 1 ]`), Metadata: json.RawMessage(`{"m":1}`), Tags: []string{"t"},
		DependsOn: []string{"d"}, GroupID: "g", FlowID: "f", CustomID: "c", UniqueKey: "u", UniqueFor: 1500 * time.Millisecond,
		Backoff: "fixed", BackoffDelay: 0, BackoffSchedule: []time.Duration{time.Millisecond, 2 * time.Second}, BackoffMax: time.Minute,
		Jitter: 0.5, TTL: time.Millisecond, Timeout: 2 * time.Millisecond, LIFO: true, RemoveOnComplete: true, RemoveOnFail: true,
		WorkerID: "w",
	}
	same(t, nil, f.err)
	same(t, want, got)
}

func TestAJobOfRustQueueHasTheDefaultsAndNoLease(t *testing.T) {
	t.Parallel()
	f := &fields{}

	got := parseJob(f, json.RawMessage(`{"id":"j","lease":null,"progress":null,"result":null,"state":"hibernating"}`))

	same(t, nil, f.err)
	same(t, &Job{
		ID: "j", Data: json.RawMessage("null"), State: "hibernating", MaxAttempts: 3, Backoff: "exponential",
		BackoffDelay: time.Second, BackoffMax: time.Hour,
	}, got)
}

func TestAJobDoesNotKeepTheAnswerInMemory(t *testing.T) {
	t.Parallel()
	text := []byte(`{"id":"j","data":{"a":1}}`)
	job := parseJob(&fields{}, text)

	clear(text)

	same(t, `{"a":1}`, string(job.Data))
}

func TestJobDataIsReadIntoAValue(t *testing.T) {
	t.Parallel()
	job := &Job{Data: json.RawMessage(`{"to":"x"}`)}
	var read mail

	same(t, nil, job.Unmarshal(&read))
	same(t, mail{"x"}, read)
	if job.Unmarshal(new(int)) == nil {
		t.Error("an object is no number")
	}
}

func TestAJobIsFinishedInAFinalState(t *testing.T) {
	t.Parallel()
	finished := map[JobState]bool{StateCompleted: true, StateDLQ: true, StateCancelled: true}
	for _, state := range append(knownStates, "hibernating") {
		same(t, finished[state], (&Job{State: state}).IsFinished())
	}
	same(t, []JobState{StateWaiting, StateDelayed, StateBlocked, StateActive, StateCompleted, StateDLQ, StateCancelled}, knownStates)
}

func TestInstantsAreReadInEverySpellingOfTheWire(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Time{
		"2026-01-01T00:00:00Z": second(0), "2026-01-01T00:00:00.5Z": second(0).Add(time.Second / 2),
		"2026-01-01T02:30:00+02:30": second(0), "2025-12-31T23:00:00.000000001-01:00": second(0).Add(1),
	} {
		got, ok := asInstant(json.RawMessage(`"` + text + `"`))
		if !ok || got != want {
			t.Errorf("%s became %v", text, got)
		}
	}
	for _, text := range []string{`"yesterday"`, `"2026-01-01T00:00:00"`, `"2026-13-01T00:00:00Z"`, `5`, ``} {
		if got, ok := asInstant(json.RawMessage(text)); ok {
			t.Errorf("%s became %v", text, got)
		}
	}
}
