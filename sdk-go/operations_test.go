package jobwire

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
)

var pulled = &Job{ID: "j1", Lease: "L1"}

func oneID() string { return "i" }

// requestOf is the request of an operation that is right.
func requestOf[T any](op operation[T], err error) *request {
	if err != nil {
		panic(err)
	}
	return op.request
}

// requestCase is what an operation sends. tcp is empty where it is http with the fields of the path.
type requestCase struct {
	request *request
	http    string
	body    string
	tcp     string
}

func requestCases() []requestCase {
	day := time.Date(2026, 1, 2, 1, 0, 0, 0, time.FixedZone("", 3600))
	return []requestCase{
		{
			requestOf(pushOp("q", "n", map[string]int{"a": 1}, &PushOptions{Delay: 1500 * time.Millisecond, Tags: []string{"t"}}, "i")),
			"POST /queues/q/jobs", `{"id":"i","name":"n","data":{"a":1},"delay_ms":1500,"tags":["t"]}`,
			`{"queue":"q","id":"i","name":"n","data":{"a":1},"options":{"delay_ms":1500,"tags":["t"]}}`,
		},
		{
			requestOf(pushOp("a/b ü%", "n", nil, &PushOptions{ID: "mine"}, "i")),
			"POST /queues/a%2Fb%20%C3%BC%25/jobs", `{"id":"mine","name":"n","data":null}`,
			`{"queue":"a/b ü%","id":"mine","name":"n","data":null}`,
		},
		{
			requestOf(pushOp("q", "n", json.RawMessage(`{"<b>":1.10}`), &PushOptions{
				Priority: -5, RunAt: day, MaxAttempts: 7, Backoff: "linear", BackoffDelay: NoDelay, BackoffMax: time.Minute,
				BackoffSchedule: []time.Duration{time.Second, 1}, Jitter: 0.25, TTL: time.Hour, Timeout: time.Second, UniqueKey: "k",
				UniqueFor: time.Second, OnConflict: "ignore", GroupID: "g", LIFO: true, RemoveOnComplete: true, RemoveOnFail: true,
				CustomID: "c", Metadata: []int{1}, DependsOn: []string{"d"}, FlowID: "f",
			}, "i")),
			"POST /queues/q/jobs", `{"id":"i","name":"n","data":{"<b>":1.10},"priority":-5,"run_at":"2026-01-02T00:00:00.000Z",` +
				`"max_attempts":7,"backoff":"linear","backoff_delay_ms":0,"backoff_schedule_ms":[1000,1],"backoff_max_ms":60000,` +
				`"jitter":0.25,"ttl_ms":3600000,"timeout_ms":1000,"unique_key":"k","unique_for_ms":1000,"on_conflict":"ignore",` +
				`"group_id":"g","lifo":true,"remove_on_complete":true,"remove_on_fail":true,"custom_id":"c","metadata":[1],` +
				`"depends_on":["d"],"flow_id":"f"}`, "-",
		},
		{
			requestOf(pushBatchOp("q", []PushItem{{Name: "a"}, {Name: "b", Options: &PushOptions{ID: "x", Priority: 2}}},
				&PushBatchOptions{Partial: true}, oneID)),
			"POST /queues/q/jobs/batch", `{"jobs":[{"id":"i","name":"a","data":null},` +
				`{"id":"x","name":"b","data":null,"options":{"priority":2}}],"atomic":false}`, "",
		},
		{
			requestOf(pullOp([]string{"q"}, nil, oneID)),
			"POST /pull", `{"queue":"q","count":1,"request_id":"i"}`, "",
		},
		{
			requestOf(pullOp([]string{"a", "b"}, &PullOptions{
				Count: 5, Wait: 1250 * time.Millisecond, Lease: 30 * time.Second, Names: []string{"n"}, WorkerID: "w", RequestID: "r",
				Weights: []int{1, 2},
			}, oneID)),
			"POST /pull", `{"queues":["a","b"],"count":5,"wait_ms":1250,"lease_ms":30000,"names":["n"],"worker_id":"w",` +
				`"request_id":"r","weights":[1,2]}`, "",
		},
		{requestOf(ackOp(pulled, nil)), "POST /jobs/j1/ack", `{"lease":"L1"}`, `{"id":"j1","lease":"L1"}`},
		{requestOf(ackOp(&Job{ID: "j1"}, json.RawMessage("null"))), "POST /jobs/j1/ack", `{"result":null}`, `{"id":"j1","result":null}`},
		{
			requestOf(ackBatchOp([]AckItem{{Job: pulled}, {Job: &Job{ID: "j2"}, Result: map[string]int{"r": 1}}})),
			"POST /jobs/ack", `{"items":[{"id":"j1","lease":"L1"},{"id":"j2","result":{"r":1}}]}`, "",
		},
		{
			requestOf(failOp(FailItem{Job: pulled, Err: errors.New("bad"), RetryIn: 2 * time.Second, Discard: true})),
			"POST /jobs/j1/fail", `{"lease":"L1","error":"bad","retry_in_ms":2000,"discard":true}`,
			`{"id":"j1","lease":"L1","error":"bad","retry_in_ms":2000,"discard":true}`,
		},
		{
			requestOf(failBatchOp([]FailItem{{Job: &Job{ID: "j1"}}, {Job: &Job{ID: "j2"}, Err: errors.New("e"), RetryIn: NoDelay}})),
			"POST /jobs/fail", `{"items":[{"id":"j1","error":"unknown error"},{"id":"j2","error":"e","retry_in_ms":0}]}`, "",
		},
		{requestOf(releaseOp(pulled, 0)), "POST /jobs/j1/release", `{"lease":"L1"}`, `{"id":"j1","lease":"L1"}`},
		{requestOf(releaseOp(&Job{ID: "j1"}, 3*time.Second)), "POST /jobs/j1/release", `{"delay_ms":3000}`, `{"id":"j1","delay_ms":3000}`},
		{
			requestOf(heartbeatOp(HeartbeatItem{pulled, time.Minute})),
			"POST /jobs/j1/heartbeat", `{"lease":"L1","lease_ms":60000}`, `{"id":"j1","lease":"L1","lease_ms":60000}`,
		},
		{
			requestOf(heartbeatBatchOp([]HeartbeatItem{{Job: pulled}, {&Job{ID: "j2"}, 5 * time.Second}},
				&HeartbeatBatchOptions{Worker: &WorkerReport{ID: "w", Free: new(int)}, Wait: 10 * time.Second})),
			"POST /jobs/heartbeat", `{"items":[{"id":"j1","lease":"L1"},{"id":"j2","lease_ms":5000}],` +
				`"worker":{"id":"w","queues":[],"free":0,"state":"running"},"wait_ms":10000}`, "",
		},
		{
			requestOf(progressOp(pulled, 40, "half")),
			"POST /jobs/j1/progress", `{"lease":"L1","progress":40,"message":"half"}`,
			`{"id":"j1","lease":"L1","progress":40,"message":"half"}`,
		},
		{requestOf(jobOp("cancel", "j1", parseState)), "POST /jobs/j1/cancel", `{}`, `{"id":"j1"}`},
		{requestOf(jobOp("retry", "j1", parseState)), "POST /jobs/j1/retry", `{}`, `{"id":"j1"}`},
		{requestOf(jobOp("promote", "j1", parseState)), "POST /jobs/j1/promote", `{}`, `{"id":"j1"}`},
		{requestOf(jobOp("get", "j1", parseOneJob)), "GET /jobs/j1", "", `{"id":"j1"}`},
		{requestOf(jobOp("delete", "j1", parseNothing)), "DELETE /jobs/j1", "", `{"id":"j1"}`},
		{requestOf(findOp(nil, "")), "GET /jobs", "", `{}`},
		{
			requestOf(findOp(&FindOptions{States: []JobState{StateDLQ, StateActive}, Tag: "a&b +", CreatedAfter: day, PageSize: 5}, "c")),
			"GET /jobs?state=dlq%2Cactive&tag=a%26b%20%2B&created_after=2026-01-02T00%3A00%3A00.000Z&limit=5&cursor=c", "",
			`{"state":["dlq","active"],"tag":"a&b +","created_after":"2026-01-02T00:00:00.000Z","limit":5,"cursor":"c"}`,
		},
		{requestOf(queuesOp()), "GET /queues", "", `{}`},
		{requestOf(queueOp("queue", "q", parseOneQueue)), "GET /queues/q", "", `{"queue":"q"}`},
		{
			requestOf(updateQueueOp("q", QueueUpdate{
				Lease: Reset[time.Duration](), MaxLength: Set(7), RetentionDLQ: Set(1500 * time.Millisecond), RetentionCancelled: Set(time.Duration(0)),
			})),
			"PATCH /queues/q", `{"lease_ms":null,"max_length":7,"retention_dlq_ms":1500,"retention_cancelled_ms":0}`, "",
		},
		{requestOf(queueOp("stats", "q", parseStats)), "GET /queues/q/stats", "", `{"queue":"q"}`},
		{requestOf(pauseQueueOp("q", PauseBoth)), "POST /queues/q/pause", `{"mode":"both"}`, ""},
		{requestOf(queueOp("queue_resume", "q", parseNothing)), "POST /queues/q/resume", `{}`, ""},
		{
			requestOf(dlqOp("q", &PageOptions{Limit: 3, Cursor: "c+/"})),
			"GET /queues/q/dlq?limit=3&cursor=c%2B%2F", "", `{"queue":"q","limit":3,"cursor":"c+/"}`,
		},
		{requestOf(bulkOp("dlq_retry", "q", &BulkOptions{IDs: []string{"j1"}})), "POST /queues/q/dlq/retry", `{"ids":["j1"]}`, ""},
		{requestOf(bulkOp("dlq_discard", "q", &BulkOptions{Limit: 9})), "POST /queues/q/dlq/discard", `{"limit":9}`, ""},
		{requestOf(flowOp("f/1")), "GET /flows/f%2F1", "", `{"flow_id":"f/1"}`},
		{requestOf(workersOp()), "GET /workers", "", `{}`},
		{requestOf(healthOp()), "GET /health", "", `{}`},
		{requestOf(capabilitiesOp()), "GET /capabilities", "", `{}`},
		{requestOf(pingOp()), "GET /health/live", "", `{}`},
	}
}

func TestTheRequestOfAnOperation(t *testing.T) {
	t.Parallel()
	for _, row := range requestCases() {
		t.Run(row.request.op, func(t *testing.T) {
			t.Parallel()
			target, err := row.request.target()
			if err != nil {
				t.Fatal(err)
			}
			body, err := row.request.httpBody()
			if err != nil {
				t.Fatal(err)
			}
			payload, err := row.request.payload()
			if err != nil {
				t.Fatal(err)
			}

			if got := row.request.route.method + " " + target; row.http != got {
				t.Errorf("want %s, got %s", row.http, got)
			}
			if row.body != string(body) {
				t.Errorf("want %s, got %s", row.body, body)
			}
			if want := row.wantTCP(); row.tcp != "-" && want != string(payload) {
				t.Errorf("want %s, got %s", want, payload)
			}
		})
	}
}

// wantTCP is the body with the queue of the path in front.
func (c requestCase) wantTCP() string {
	switch {
	case c.tcp != "":
		return c.tcp
	case !strings.Contains(c.http, "/queues/q"):
		return c.body
	case c.body == "{}":
		return `{"queue":"q"}`
	}
	return `{"queue":"q",` + c.body[1:]
}

func TestEveryOperationHasACase(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, row := range requestCases() {
		seen[row.request.op] = true
	}
	for op := range routes {
		if !seen[op] {
			t.Errorf("%s has none", op)
		}
	}
}
