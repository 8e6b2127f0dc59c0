package jobwire

import (
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/jobwire/jobwire/sdk-go/internal/wire"
)

func answerOf(t *testing.T, text string) reply {
	t.Helper()
	if !wire.Valid([]byte(text)) {
		t.Fatalf("%s is not JSON", text)
	}
	return reply{body: wire.ParseObject([]byte(text))}
}

// readAnswer is what operation makes of text; it fails the test for an error.
func readAnswer[T any](t *testing.T, op operation[T], text string) T {
	t.Helper()
	answer := answerOf(t, text)
	if err := answer.check(); err != nil {
		t.Fatal(err)
	}
	value, err := op.read(answer)
	if err != nil {
		t.Fatal(err)
	}
	return value
}

func must[T any](op operation[T], err error) operation[T] {
	if err != nil {
		panic(err)
	}
	return op
}

func same(t *testing.T, want, got any) {
	t.Helper()
	if !reflect.DeepEqual(want, got) {
		t.Errorf("want %+v\n got %+v", want, got)
	}
}

func TestTheAnswerToAnOperation(t *testing.T) {
	t.Parallel()
	midnight := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	push, pull := must(pushOp("q", "n", nil, nil, "i")), must(pullOp([]string{"q"}, nil, oneID))
	fail, ack := must(failOp(FailItem{Job: pulled})), must(ackOp(pulled, nil))
	beat := must(heartbeatOp(HeartbeatItem{Job: pulled}))

	same(t, &PushResult{ID: "i", Outcome: "existing"}, readAnswer(t, push, `{"ok":true,"id":"i","outcome":"existing","new":{"x":[1]}}`))
	same(t, &PushResult{ID: "i", Outcome: "created"}, readAnswer(t, push, `{"ok":true,"id":"i"}`))
	same(t, 0, len(readAnswer(t, pull, `{"ok":true,"job":null}`)))
	same(t, "j1", readAnswer(t, pull, `{"ok":true,"job":{"id":"j1"}}`)[0].ID)
	same(t, 2, len(readAnswer(t, pull, `{"ok":true,"job":null,"jobs":[{"id":"a"},{"id":"b"}]}`)))
	same(t, false, readAnswer(t, ack, `{"ok":true}`))
	same(t, true, readAnswer(t, ack, `{"ok":true,"already":true}`))
	same(t, &FailResult{}, readAnswer(t, fail, `{"ok":true,"retry":false}`))
	same(t, &FailResult{Retry: true, NextAttemptAt: midnight},
		readAnswer(t, fail, `{"ok":true,"will_retry":true,"next_attempt_at":"2026-01-01T01:00:00+01:00"}`))
	same(t, &StateResult{State: StateActive, Already: true},
		readAnswer(t, must(releaseOp(pulled, 0)), `{"ok":true,"state":"active","already":true}`))
	same(t, &StateResult{}, readAnswer(t, must(jobOp("cancel", "j", parseState)), `{"ok":true}`))
	same(t, &HeartbeatResult{LeaseExpiresAt: midnight, Cancelled: true},
		readAnswer(t, beat, `{"ok":true,"lease_expires_at":"2026-01-01T00:00:00Z","cancelled":true}`))
	same(t, &HeartbeatResult{}, readAnswer(t, beat, `{"ok":true}`))
	same(t, &HeartbeatBatchResult{Results: []ItemResult{{ID: "a", OK: true}}, Lost: []string{"b"}, Cancelled: []string{"c"}, Deaf: true},
		readAnswer(t, must(heartbeatBatchOp(nil, nil)), `{"ok":true,"results":[{"id":"a","ok":true}],"lost":["b"],"cancelled":["c"],"deaf":true}`))
	same(t, struct{}{}, readAnswer(t, must(pingOp()), `{"ok":true,"status":"alive"}`))
}

func TestTheAnswerToAReadingOperation(t *testing.T) {
	t.Parallel()
	seconds := 1500 * time.Millisecond
	page := readAnswer(t, must(findOp(nil, "")), `{"ok":true,"jobs":[{"id":"a"}],"next_cursor":"c"}`)

	same(t, "c", page.NextCursor)
	same(t, "a", page.Jobs[0].ID)
	same(t, []QueueInfo{{Name: "q", Counts: QueueCounts{DLQ: 1}}},
		readAnswer(t, must(queuesOp()), `{"ok":true,"queues":[{"name":"q","counts":{"dlq":1,"new":2}}]}`))
	length := 7
	same(t, &QueueInfo{Name: "q", Paused: PausePull, OldestWaiting: &seconds, Lease: &seconds, MaxLength: &length},
		readAnswer(t, must(queueOp("queue", "q", parseOneQueue)),
			`{"ok":true,"queue":{"name":"q","paused":"pull","oldest_waiting_ms":1500,"settings":{"lease_ms":1500,"max_length":7,"retention_dlq_ms":null}}}`))
	same(t, &QueueStats{Counts: QueueCounts{Active: 2}, Paused: PausePull, OldestWaiting: &seconds},
		readAnswer(t, must(queueOp("stats", "q", parseStats)), `{"ok":true,"counts":{"active":2},"paused":"pull","oldest_waiting_ms":1500}`))
	same(t, &BulkResult{Count: 1, Results: []ItemResult{{ID: "a", OK: true}}, Remaining: 3},
		readAnswer(t, must(bulkOp("dlq_retry", "q", nil)), `{"ok":true,"count":1,"results":[{"id":"a","ok":true}],"remaining":3}`))
	flow := readAnswer(t, must(flowOp("f")), `{"ok":true,"flow_id":"f","jobs":[{"id":"a"}],"summary":{"total":1}}`)
	same(t, map[string]int{"total": 1}, flow.Summary)
	free := 0
	same(t, []WorkerInfo{{ID: "w", Free: &free, State: "deaf"}, {ID: "v", State: "alive"}},
		readAnswer(t, must(workersOp()), `{"ok":true,"workers":[{"id":"w","free":0,"concurrency":null,"state":"deaf"},{"id":"v"}]}`))
	same(t, &Health{Status: "healthy", Uptime: 5 * time.Second, Durability: "fsync"},
		readAnswer(t, must(healthOp()), `{"ok":true,"status":"healthy","uptime_seconds":5,"durability":"fsync"}`))
	same(t, &Capabilities{Name: "s", Version: "1", Wire: []int{1, 2}, Limits: map[string]any{"line_bytes": 5.0}},
		readAnswer(t, must(capabilitiesOp()), `{"ok":true,"server":{"name":"s","version":"1"},"wire":[1,2],"limits":{"line_bytes":5}}`))
}

func TestABatchAnswersItemByItem(t *testing.T) {
	t.Parallel()
	op := must(pushBatchOp("q", nil, &PushBatchOptions{Partial: true}, oneID))

	results := readAnswer(t, op, `{"ok":true,"ids":["a",null],"outcomes":["replaced",null],`+
		`"results":[{"id":"a","ok":true},{"ok":false,"error":{"code":"QUEUE_FULL"}}]}`)

	same(t, PushResult{ID: "a", Outcome: "replaced"}, results[0])
	same(t, true, results[0].Created())
	same(t, true, errors.Is(results[1].Err, ErrRateLimited))
	same(t, false, results[1].Created())
}

func TestAPartialFailureOfVersion1IsAnAnswer(t *testing.T) {
	t.Parallel()
	op := must(ackBatchOp([]AckItem{{Job: pulled}}))

	results := readAnswer(t, op, `{"ok":false,"error":{"code":"PARTIAL_FAILURE"},"results":[{"id":"a","ok":false,"error":{"code":"JOB_NOT_FOUND"}}]}`)

	same(t, true, errors.Is(results[0].Err, ErrNotFound))
}

func TestAMalformedAnswerIsAProtocolError(t *testing.T) {
	t.Parallel()
	op := must(pullOp([]string{"q"}, nil, oneID))
	for _, text := range []string{
		`{}`, `{"ok":1}`, `{"ok":true}`, `{"ok":true,"job":7}`, `{"ok":true,"job":{"name":"n"}}`, `{"ok":true,"jobs":null}`,
		`{"ok":true,"jobs":{}}`, `{"ok":true,"job":{"id":"x","created_at":"no time"}}`, `{"ok":true,"job":{"id":5}}`,
		`{"ok":true,"job":{"id":"x","priority":"high"}}`, `{"ok":true,"job":{"id":"x","tags":[1]}}`, `{"ok":false}`,
		`{"ok":true,"job":{"id":"x","errors":[{"attempt":"one"}]}}`, `{"ok":false,"error":"text"}`,
	} {
		answer := answerOf(t, text)
		err := answer.check()
		if err == nil {
			_, err = op.read(answer)
		}
		if !errors.Is(err, ErrProtocol) {
			t.Errorf("%s led to %v", text, err)
		}
	}
}
