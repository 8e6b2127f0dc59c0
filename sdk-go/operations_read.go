package jobwire

import (
	"encoding/json"
	"time"
)

// --- jobs ---

func jobOp[T any](op, id string, parse func(*fields) T) (operation[T], error) {
	b := &builder{}
	b.add("id", id)
	return build(op, b, parse)
}

func parseOneJob(f *fields) *Job { return parseJob(f, f.required("job")) }

func findOp(options *FindOptions, cursor string) (operation[*Page], error) {
	o := FindOptions{}
	if options != nil {
		o = *options
	}
	b := &builder{}
	b.text("queue", o.Queue)
	if o.States != nil {
		states := make([]string, len(o.States))
		for i, state := range o.States {
			states[i] = string(state)
		}
		b.add("state", states)
	}
	b.text("name", o.Name)
	b.text("tag", o.Tag)
	b.text("group_id", o.GroupID)
	b.text("flow_id", o.FlowID)
	b.text("custom_id", o.CustomID)
	b.instant("created_after", o.CreatedAfter)
	b.instant("created_before", o.CreatedBefore)
	b.number("limit", o.PageSize)
	b.text("cursor", cursor)
	return build("find", b, parsePage)
}

func parsePage(f *fields) *Page {
	f.required("jobs")
	return &Page{Jobs: parseJobs(f), NextCursor: f.text("next_cursor")}
}

// --- queues ---

func queueOp[T any](op, queue string, parse func(*fields) T) (operation[T], error) {
	b := &builder{}
	b.add("queue", queue)
	return build(op, b, parse)
}

func queuesOp() (operation[[]QueueInfo], error) {
	return build("queues", &builder{}, func(f *fields) []QueueInfo {
		f.required("queues")
		var queues []QueueInfo
		for _, raw := range f.list("queues") {
			queues = append(queues, *parseQueue(f, fieldsOf(raw)))
		}
		return queues
	})
}

func parseOneQueue(f *fields) *QueueInfo { return parseQueue(f, f.object("queue")) }

func parseQueue(f, queue *fields) *QueueInfo {
	queue.required("name")
	info := &QueueInfo{
		Name: queue.text("name"), Counts: parseCounts(queue), Paused: PauseMode(queue.text("paused")),
		OldestWaiting: queue.optionalDuration("oldest_waiting_ms"),
	}
	settings := fieldsOf(queue.raw("settings"))
	info.Lease = settings.optionalDuration("lease_ms")
	info.MaxLength = settings.optionalInteger("max_length")
	info.RetentionCompleted = settings.optionalDuration("retention_completed_ms")
	info.RetentionDLQ = settings.optionalDuration("retention_dlq_ms")
	info.RetentionCancelled = settings.optionalDuration("retention_cancelled_ms")
	f.adopt(queue)
	f.adopt(settings)
	return info
}

func parseCounts(f *fields) QueueCounts {
	counts := fieldsOf(f.raw("counts"))
	if counts.members == nil && f.raw("counts") != nil {
		f.fail("counts", "an object")
	}
	parsed := QueueCounts{
		Waiting: counts.integer("waiting"), Active: counts.integer("active"), Delayed: counts.integer("delayed"),
		Completed: counts.integer("completed"), Failed: counts.integer("failed"), DLQ: counts.integer("dlq"),
		Blocked: counts.integer("blocked"), Cancelled: counts.integer("cancelled"),
	}
	f.adopt(counts)
	return parsed
}

func updateQueueOp(queue string, update QueueUpdate) (operation[*QueueInfo], error) {
	b := &builder{}
	b.add("queue", queue)
	b.setting("lease_ms", update.Lease, func(d time.Duration) {
		b.between("lease_ms", d, limitLeaseMSMin, limitLeaseMSMax)
		if d == 0 {
			b.fail(invalid("lease_ms", "lease_ms must not be 0; see Reset"))
		}
	})
	if length := update.MaxLength; length.given && length.value == nil {
		b.add("max_length", json.RawMessage("null"))
	} else if length.given {
		b.add("max_length", *length.value)
	}
	for _, retention := range []struct {
		name    string
		setting Setting[time.Duration]
	}{
		{"retention_completed_ms", update.RetentionCompleted},
		{"retention_dlq_ms", update.RetentionDLQ},
		{"retention_cancelled_ms", update.RetentionCancelled},
	} {
		b.setting(retention.name, retention.setting, func(d time.Duration) {
			ms, err := milliseconds(retention.name, d)
			b.fail(err)
			b.add(retention.name, ms)
		})
	}
	return build("queue_update", b, parseOneQueue)
}

// setting adds a setting that was given: null for a Reset, else as add does.
func (b *builder) setting(name string, setting Setting[time.Duration], add func(time.Duration)) {
	switch {
	case setting.given && setting.value == nil:
		b.add(name, json.RawMessage("null"))
	case setting.given:
		add(*setting.value)
	}
}

func parseStats(f *fields) *QueueStats {
	f.object("counts")
	return &QueueStats{
		Counts: parseCounts(f), Paused: PauseMode(f.text("paused")), OldestWaiting: f.optionalDuration("oldest_waiting_ms"),
	}
}

func pauseQueueOp(queue string, mode PauseMode) (operation[struct{}], error) {
	b := &builder{}
	b.add("queue", queue)
	b.add("mode", string(mode))
	return build("queue_pause", b, parseNothing)
}

func dlqOp(queue string, options *PageOptions) (operation[*Page], error) {
	b := &builder{}
	b.add("queue", queue)
	if options != nil {
		b.number("limit", options.Limit)
		b.text("cursor", options.Cursor)
	}
	return build("dlq", b, parsePage)
}

func bulkOp(op, queue string, options *BulkOptions) (operation[*BulkResult], error) {
	b := &builder{}
	b.add("queue", queue)
	if options != nil {
		b.texts("ids", options.IDs)
		b.number("limit", options.Limit)
	}
	return build(op, b, parseBulk)
}

func parseBulk(f *fields) *BulkResult {
	f.required("count")
	return &BulkResult{Count: f.integer("count"), Results: parseItems(f), Remaining: f.integer("remaining")}
}

// --- flows, workers, the server ---

func flowOp(id string) (operation[*Flow], error) {
	b := &builder{}
	b.add("flow_id", id)
	return build("flow", b, func(f *fields) *Flow {
		f.required("flow_id")
		f.required("jobs")
		flow := &Flow{FlowID: f.text("flow_id"), Jobs: parseJobs(f), Summary: map[string]int{}}
		summary := fieldsOf(f.raw("summary"))
		for name := range summary.members {
			flow.Summary[name] = summary.integer(name)
		}
		f.adopt(summary)
		return flow
	})
}

func workersOp() (operation[[]WorkerInfo], error) {
	return build("workers", &builder{}, func(f *fields) []WorkerInfo {
		f.required("workers")
		var workers []WorkerInfo
		for _, raw := range f.list("workers") {
			worker := fieldsOf(raw)
			workers = append(workers, parseWorker(worker))
			f.adopt(worker)
		}
		return workers
	})
}

func parseWorker(f *fields) WorkerInfo {
	f.required("id")
	state := f.text("state")
	if state == "" {
		state = "alive"
	}
	return WorkerInfo{
		ID: f.text("id"), Queues: f.texts("queues"), Concurrency: f.optionalInteger("concurrency"),
		Free: f.optionalInteger("free"), Held: f.integer("held"), State: state, Client: f.text("client"),
		Transport: f.text("transport"), FirstSeenAt: f.instant("first_seen_at"), LastSeenAt: f.instant("last_seen_at"),
		LastPullAt: f.instant("last_pull_at"),
	}
}

func healthOp() (operation[*Health], error) {
	return build("health", &builder{}, func(f *fields) *Health {
		f.required("status")
		uptime := read(f, "uptime_seconds", "a number", asNumber)
		return &Health{
			Status: f.text("status"), Version: f.text("version"), Uptime: time.Duration(uptime * float64(time.Second)),
			Durability: f.text("durability"), Storage: f.text("storage"),
		}
	})
}

func capabilitiesOp() (operation[*Capabilities], error) {
	return build("capabilities", &builder{}, func(f *fields) *Capabilities {
		server := fieldsOf(f.raw("server"))
		found := &Capabilities{
			Name: server.text("name"), Version: server.text("version"),
			Wire: each(f, "wire", "a list of whole numbers", asInteger), Capabilities: f.texts("capabilities"),
			Limits: asValues(f.raw("limits")), Defaults: asValues(f.raw("defaults")),
		}
		f.adopt(server)
		return found
	})
}

func pingOp() (operation[struct{}], error) { return build("ping", &builder{}, parseNothing) }
