package jobwire

// operation is a call and how its answer is read: one function below an operation of spec/wire.yaml, from Go arguments to a
// request and back.
//
// Rule 1: no I/O, no clock, no chance; ids that must be made come as arguments.
//
// Rule 2: what can be refused before sending is refused here.
type operation[T any] struct {
	request *request
	parse   func(*fields) T
}

func build[T any](op string, b *builder, parse func(*fields) T) (operation[T], error) {
	made := newRequest(op, b.fields)
	b.fail(made.checkPath())
	return operation[T]{made, parse}, b.err
}

// read is what the caller gets for an answer, which has been checked; an answer that lacks what it is for is a protocol error.
func (o operation[T]) read(answer reply) (T, error) {
	f := &fields{members: answer.body}
	value := o.parse(f)
	if f.err == nil {
		return value, nil
	}
	err := errorf("PROTOCOL_ERROR", "the answer to %s is malformed: %v", o.request.op, f.err)
	err.RequestID, err.Status = answer.info.requestID, answer.info.status
	var zero T
	return zero, err
}

func parseNothing(*fields) struct{} { return struct{}{} }

func parseAlready(f *fields) bool { return f.isTrue("already") }

// jobRef adds the id, and the lease when the job was pulled.
func (b *builder) jobRef(job *Job) {
	if job == nil {
		b.fail(invalid("id", "the job is nil"))
		return
	}
	b.add("id", job.ID)
	b.text("lease", job.Lease)
}

// --- pushing ---

func pushOp(queue, name string, data any, options *PushOptions, newID string) (operation[*PushResult], error) {
	head, settings := &builder{}, &builder{}
	id := newID
	if options != nil {
		settings.pushOptions(options)
		if options.ID != "" {
			id = options.ID
		}
	}
	head.add("id", id)
	head.add("name", name)
	head.json("data", data)
	head.fail(settings.err)
	b := &builder{fields: append(members{{"queue", queue}}, head.fields...), err: head.err}
	if len(settings.fields) > 0 {
		b.add("options", settings.fields)
	}
	op, err := build("push", b, parsePush)
	if err == nil {
		// RustQueue reads options flat over HTTP and nested over TCP; Jobwire reads both on both.
		op.request.body = append(head.fields, settings.fields...)
	}
	return op, err
}

func parsePush(f *fields) *PushResult {
	f.required("id")
	return &PushResult{ID: f.text("id"), Outcome: outcomeOf(f.text("outcome"))}
}

func outcomeOf(text string) string {
	if text == "" {
		return "created" // RustQueue does not say
	}
	return text
}

// pushOptions adds the JobOptions of o, without those that were left out.
func (b *builder) pushOptions(o *PushOptions) {
	if o.Delay != 0 && !o.RunAt.IsZero() {
		b.fail(invalid("run_at", "give Delay or RunAt, not both"))
	}
	b.number("priority", o.Priority)
	b.duration("delay_ms", o.Delay)
	b.instant("run_at", o.RunAt)
	b.number("max_attempts", o.MaxAttempts)
	b.text("backoff", o.Backoff)
	b.duration("backoff_delay_ms", o.BackoffDelay)
	b.durations("backoff_schedule_ms", o.BackoffSchedule)
	b.duration("backoff_max_ms", o.BackoffMax)
	b.fraction("jitter", o.Jitter)
	b.duration("ttl_ms", o.TTL)
	b.duration("timeout_ms", o.Timeout)
	b.text("unique_key", o.UniqueKey)
	b.duration("unique_for_ms", o.UniqueFor)
	b.text("on_conflict", o.OnConflict)
	b.texts("tags", o.Tags)
	b.text("group_id", o.GroupID)
	b.flag("lifo", o.LIFO)
	b.flag("remove_on_complete", o.RemoveOnComplete)
	b.flag("remove_on_fail", o.RemoveOnFail)
	b.text("custom_id", o.CustomID)
	if o.Metadata != nil {
		b.json("metadata", o.Metadata)
	}
	b.texts("depends_on", o.DependsOn)
	b.text("flow_id", o.FlowID)
}

func pushBatchOp(queue string, jobs []PushItem, options *PushBatchOptions, newID func() string) (operation[[]PushResult], error) {
	b := &builder{}
	items := make([]members, len(jobs))
	for i, job := range jobs {
		items[i] = b.pushItem(job, newID)
	}
	b.add("queue", queue)
	b.add("jobs", items)
	b.add("atomic", options == nil || !options.Partial)
	return build("push_batch", b, parsePushBatch)
}

func (b *builder) pushItem(job PushItem, newID func() string) members {
	item, settings := &builder{}, &builder{}
	id := ""
	if job.Options != nil {
		settings.pushOptions(job.Options)
		id = job.Options.ID
	}
	if id == "" {
		id = newID()
	}
	item.add("id", id)
	item.add("name", job.Name)
	item.json("data", job.Data)
	if len(settings.fields) > 0 {
		item.add("options", settings.fields)
	}
	b.fail(item.err)
	b.fail(settings.err)
	return item.fields
}

func parsePushBatch(f *fields) []PushResult {
	ids, outcomes, results := f.list("ids"), f.list("outcomes"), f.list("results")
	f.required("ids")
	if (outcomes != nil && len(outcomes) != len(ids)) || (results != nil && len(results) != len(ids)) {
		f.fail("ids", "as long as what belongs to it")
		return nil
	}
	pushed := make([]PushResult, len(ids))
	for i, id := range ids {
		pushed[i].ID, _ = asText(id)
		if outcomes != nil {
			pushed[i].Outcome, _ = asText(outcomes[i])
		}
		if results != nil && !fieldsOf(results[i]).isTrue("ok") {
			pushed[i] = PushResult{Err: errorFrom(fieldsOf(results[i]).raw("error"), answerInfo{})}
		} else {
			pushed[i].Outcome = outcomeOf(pushed[i].Outcome)
		}
	}
	return pushed
}
