package jobwire

import (
	"encoding/json"
	"time"
)

// What a worker asks and tells: pull, ack, fail, release, heartbeat, progress, and their batches.

func pullOp(queues []string, options *PullOptions, newID func() string) (operation[[]*Job], error) {
	o := PullOptions{}
	if options != nil {
		o = *options
	}
	if o.Count == 0 {
		o.Count = 1
	}
	if o.RequestID == "" {
		o.RequestID = newID()
	}
	b := &builder{}
	switch {
	case len(queues) == 0:
		b.fail(invalid("queues", "queues must name at least one queue"))
	case len(queues) == 1 && o.Weights == nil:
		b.add("queue", queues[0]) // RustQueue knows queue alone; weights belong to queues
	default:
		b.add("queues", queues)
	}
	b.add("count", o.Count)
	b.wait(o.Wait)
	b.lease(o.Lease)
	b.texts("names", o.Names)
	b.text("worker_id", o.WorkerID)
	b.text("request_id", o.RequestID)
	if o.Weights != nil {
		b.add("weights", o.Weights)
	}
	op, err := build("pull", b, parsePull)
	if err == nil {
		op.request.wait = max(o.Wait, 0)
	}
	return op, err
}

func parsePull(f *fields) []*Job {
	if _, many := f.members["jobs"]; many {
		f.required("jobs")
		return parseJobs(f)
	}
	if _, one := f.members["job"]; !one {
		f.fail("job", "there")
	}
	if job := f.raw("job"); job != nil {
		return []*Job{parseJob(f, job)}
	}
	return nil
}

func ackOp(job *Job, result any) (operation[bool], error) {
	b := &builder{}
	b.ackItem(job, result)
	return build("ack", b, parseAlready)
}

func (b *builder) ackItem(job *Job, result any) {
	b.jobRef(job)
	if result != nil {
		b.json("result", result)
	}
}

// batch adds the items of a batch, each of which add fills.
func batch[T any](b *builder, items []T, add func(*builder, T)) {
	listed := make([]members, len(items))
	for i, item := range items {
		one := &builder{}
		add(one, item)
		b.fail(one.err)
		listed[i] = one.fields
	}
	b.add("items", listed)
}

func ackBatchOp(items []AckItem) (operation[[]ItemResult], error) {
	b := &builder{}
	batch(b, items, func(b *builder, item AckItem) { b.ackItem(item.Job, item.Result) })
	return build("ack_batch", b, parseResults)
}

func failOp(item FailItem) (operation[*FailResult], error) {
	b := &builder{}
	b.failItem(item)
	return build("fail", b, parseFail)
}

func (b *builder) failItem(item FailItem) {
	b.jobRef(item.Job)
	text := "unknown error"
	if item.Err != nil {
		text = item.Err.Error()
	}
	b.add("error", cutUTF8(text, limitErrorBytes))
	b.duration("retry_in_ms", item.RetryIn)
	b.flag("discard", item.Discard)
}

func parseFail(f *fields) *FailResult {
	retry := f.raw("retry")
	if retry == nil {
		retry = f.required("will_retry") // of RustQueue
	}
	return &FailResult{
		Retry: string(retry) == "true", NextAttemptAt: f.instant("next_attempt_at"), Already: f.isTrue("already"),
	}
}

func failBatchOp(items []FailItem) (operation[[]ItemResult], error) {
	b := &builder{}
	batch(b, items, (*builder).failItem)
	return build("fail_batch", b, parseResults)
}

func releaseOp(job *Job, delay time.Duration) (operation[*StateResult], error) {
	b := &builder{}
	b.jobRef(job)
	b.duration("delay_ms", delay)
	return build("release", b, parseState)
}

func parseState(f *fields) *StateResult {
	return &StateResult{State: JobState(f.text("state")), Already: f.isTrue("already")} // RustQueue's cancel has no state
}

func heartbeatOp(item HeartbeatItem) (operation[*HeartbeatResult], error) {
	b := &builder{}
	b.heartbeatItem(item)
	return build("heartbeat", b, parseHeartbeat)
}

func (b *builder) heartbeatItem(item HeartbeatItem) {
	b.jobRef(item.Job)
	b.lease(item.Lease)
}

func parseHeartbeat(f *fields) *HeartbeatResult {
	return &HeartbeatResult{LeaseExpiresAt: f.instant("lease_expires_at"), Cancelled: f.isTrue("cancelled")}
}

func heartbeatBatchOp(items []HeartbeatItem, options *HeartbeatBatchOptions) (operation[*HeartbeatBatchResult], error) {
	o := HeartbeatBatchOptions{}
	if options != nil {
		o = *options
	}
	b := &builder{}
	batch(b, items, (*builder).heartbeatItem)
	if o.Wait != 0 && o.Worker == nil {
		b.fail(invalid("wait_ms", "Wait needs Worker"))
	}
	if o.Worker != nil {
		b.workerReport(o.Worker)
	}
	b.wait(o.Wait)
	op, err := build("heartbeat_batch", b, parseHeartbeatBatch)
	if err == nil {
		op.request.wait = max(o.Wait, 0)
	}
	return op, err
}

func (b *builder) workerReport(report *WorkerReport) {
	one := &builder{}
	one.add("id", report.ID)
	one.add("queues", append([]string{}, report.Queues...))
	one.number("concurrency", report.Concurrency)
	if report.Free != nil {
		one.add("free", *report.Free)
	}
	state := report.State
	if state == "" {
		state = "running"
	}
	one.add("state", state)
	if report.LastPull != nil {
		ms, err := milliseconds("last_pull", *report.LastPull)
		b.fail(err)
		one.add("last_pull_ms", ms)
	}
	b.add("worker", one.fields)
}

func parseHeartbeatBatch(f *fields) *HeartbeatBatchResult {
	return &HeartbeatBatchResult{
		Results: parseResults(f), Lost: f.texts("lost"), Cancelled: f.texts("cancelled"), Deaf: f.isTrue("deaf"),
	}
}

func progressOp(job *Job, percent int, message string) (operation[struct{}], error) {
	b := &builder{}
	b.jobRef(job)
	b.add("progress", percent)
	b.text("message", cutUTF8(message, limitMessageBytes))
	return build("progress", b, parseNothing)
}

func parseResults(f *fields) []ItemResult {
	f.required("results")
	return parseItems(f)
}

func parseItems(f *fields) []ItemResult {
	var results []ItemResult
	for _, raw := range f.list("results") {
		results = append(results, parseItem(f, raw))
	}
	return results
}

func parseItem(f *fields, raw json.RawMessage) ItemResult {
	item := fieldsOf(raw)
	item.required("ok")
	result := ItemResult{
		ID: item.text("id"), OK: item.isTrue("ok"), Already: item.isTrue("already"),
		Outcome: item.text("outcome"), State: JobState(item.text("state")),
		NextAttemptAt: item.instant("next_attempt_at"), LeaseExpiresAt: item.instant("lease_expires_at"),
		Cancelled: item.isTrue("cancelled"),
	}
	if !result.OK {
		result.Err = errorFrom(item.raw("error"), answerInfo{})
	}
	for _, name := range []string{"will_retry", "retry"} {
		if given := item.raw(name); given != nil {
			retry := string(given) == "true"
			result.Retry = &retry
		}
	}
	f.adopt(item)
	return result
}

// adopt takes over what is wrong with a part of the answer.
func (f *fields) adopt(part *fields) {
	if f.err == nil {
		f.err = part.err
	}
}
