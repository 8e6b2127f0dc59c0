package fake

import (
	"errors"
	"maps"
	"math"
	"slices"
)

// What everybody else asks: about jobs, queues, dead letters, flows and workers.

func (o *Operations) cancel(fields Fields, _ Caller) (Answer, error) {
	job, already, err := o.Cancel(fields["id"].(string))
	if err != nil {
		return nil, err
	}
	return alreadyOr(already, Answer{"state": job.State}), nil
}

func (o *Operations) retry(fields Fields, _ Caller) (Answer, error) {
	job, err := o.Retry(fields["id"].(string))
	if err != nil {
		return nil, err
	}
	return Answer{"state": job.State}, nil
}

func (o *Operations) promote(fields Fields, _ Caller) (Answer, error) {
	job, already, err := o.Promote(fields["id"].(string))
	if err != nil {
		return nil, err
	}
	return alreadyOr(already, Answer{"state": job.State}), nil
}

func (o *Operations) get(fields Fields, caller Caller) (Answer, error) {
	job, err := o.State.find(fields["id"].(string))
	var refusal *Refused
	if errors.As(err, &refusal) && caller.Door == "tcp" && caller.Version == 1 {
		refusal.Code = "NOT_FOUND" // what RustQueue's clients look for
	}
	if err != nil {
		return nil, err
	}
	return Answer{"job": job.View()}, nil
}

func (o *Operations) remove(fields Fields, _ Caller) (Answer, error) {
	return Answer{}, o.Remove(fields["id"].(string))
}

func (o *Operations) find(fields Fields, _ Caller) (Answer, error) {
	found := o.filter(func(job *Job) bool { return job.matches(fields) })
	slices.Reverse(found) // the newest first
	return pageOf(found, fields, func(job *Job) []int64 { return []int64{job.Sequence} })
}

func (j *Job) matches(wanted Fields) bool {
	for name, is := range map[string]*string{
		"queue": &j.Queue, "name": &j.Name, "group_id": j.GroupID, "flow_id": j.FlowID, "custom_id": j.CustomID,
	} {
		if text, given := wanted.text(name); given && (is == nil || *is != text) {
			return false
		}
	}
	tag, tagged := wanted.text("tag")
	return j.State != "removed" &&
		(!wanted.has("state") || slices.Contains(wanted.texts("state"), j.State)) &&
		(!tagged || slices.Contains(j.Tags, tag)) &&
		wanted.integer("created_after", math.MinInt64) <= j.CreatedAt && j.CreatedAt < wanted.integer("created_before", math.MaxInt64)
}

// --- queues ---

func (o *Operations) listQueues(Fields, Caller) (Answer, error) {
	names := make(map[string]bool)
	for _, job := range o.jobs {
		names[job.Queue] = names[job.Queue] || job.State != "removed"
	}
	for name, queue := range o.queues {
		names[name] = names[name] || queue.paused != "" || len(queue.settings) > 0
	}
	maps.DeleteFunc(names, func(_ string, isThere bool) bool { return !isThere })
	entries := []Answer{}
	for _, name := range sortedKeys(names) {
		entries = append(entries, o.entryOf(name))
	}
	return Answer{"queues": entries}, nil
}

func sortedKeys[V any](from map[string]V) []string {
	keys := make([]string, 0, len(from))
	for key := range from {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

func (o *Operations) entryOf(name string) Answer {
	return Answer{"name": name, "counts": countsOf(o.ofQueue(name)), "paused": o.pausedOf(name)}
}

func (o *Operations) pausedOf(name string) any {
	if paused := o.State.queue(name).paused; paused != "" {
		return paused
	}
	return nil
}

func (o *Operations) showQueue(fields Fields, _ Caller) (Answer, error) {
	name := fields["queue"].(string)
	settings := make(Answer)
	for _, setting := range settingNames {
		settings[setting] = nil
		if value, has := o.State.queue(name).settings[setting]; has {
			settings[setting] = value
		}
	}
	more := Answer{"settings": settings, "oldest_waiting_ms": o.oldestWaiting(name)}
	return Answer{"queue": merged(o.entryOf(name), more)}, nil
}

// oldestWaiting is how long the oldest job of a queue has been ready; nil when there is none.
func (o *Operations) oldestWaiting(name string) any {
	oldest := never
	for _, job := range o.ofQueue(name) {
		if job.State == "waiting" {
			oldest = min(oldest, job.RunAt)
		}
	}
	if oldest == never {
		return nil
	}
	return o.Now - oldest
}

func (o *Operations) updateQueue(fields Fields, caller Caller) (Answer, error) {
	settings := o.queueToChange(fields["queue"].(string)).settings
	for _, name := range settingNames {
		if value, isSet := fields[name].(int64); isSet {
			settings[name] = value
		} else if fields.has(name) {
			delete(settings, name)
		}
	}
	return o.showQueue(fields, caller)
}

func (o *Operations) stats(fields Fields, _ Caller) (Answer, error) {
	name := fields["queue"].(string)
	counts := countsOf(o.ofQueue(name))
	return Answer{"counts": counts, "paused": o.pausedOf(name), "oldest_waiting_ms": o.oldestWaiting(name)}, nil
}

func (o *Operations) pauseQueue(fields Fields, _ Caller) (Answer, error) {
	mode, given := fields.text("mode")
	if !given {
		mode = "pull"
	}
	o.queueToChange(fields["queue"].(string)).paused = mode
	return Answer{"paused": mode}, nil
}

func (o *Operations) resumeQueue(fields Fields, _ Caller) (Answer, error) {
	o.queueToChange(fields["queue"].(string)).paused = ""
	return Answer{"paused": nil}, nil
}

// --- dead letters ---

func (o *Operations) listDead(fields Fields, _ Caller) (Answer, error) {
	newest := o.oldestDead(fields["queue"].(string))
	slices.Reverse(newest)
	return pageOf(newest, fields, func(job *Job) []int64 { return []int64{*job.EndedAt, job.Sequence} })
}

func (o *Operations) retryDead(fields Fields, caller Caller) (Answer, error) {
	return o.eachDead(fields, func(item Fields) (Answer, error) { return o.retry(item, caller) })
}

func (o *Operations) discardDead(fields Fields, caller Caller) (Answer, error) {
	return o.eachDead(fields, func(item Fields) (Answer, error) { return o.remove(item, caller) })
}

func (o *Operations) eachDead(fields Fields, operation func(Fields) (Answer, error)) (Answer, error) {
	name := fields["queue"].(string)
	ids := fields.texts("ids")
	if !fields.has("ids") {
		oldest := o.oldestDead(name)
		for _, job := range oldest[:min(int64(len(oldest)), fields.integer("limit", batchItems))] {
			ids = append(ids, job.ID)
		}
	}
	items := make([]Fields, len(ids))
	for i, id := range ids {
		items[i] = Fields{"id": id}
	}
	results := forEach(items, func(item Fields) (Answer, error) {
		if err := o.checkDeadLetter(name, item["id"].(string)); err != nil {
			return nil, err
		}
		return operation(item)
	})
	return Answer{"count": countOK(results), "results": results, "remaining": len(o.oldestDead(name))}, nil
}

// --- flows and workers ---

func (o *Operations) flow(fields Fields, _ Caller) (Answer, error) {
	jobs := o.filter(func(job *Job) bool { return job.matches(fields) })
	summary := merged(countsOf(jobs), Answer{"total": len(jobs)})
	return Answer{"flow_id": fields["flow_id"], "jobs": viewsOf(jobs[:min(len(jobs), flowLimit)]), "summary": summary}, nil
}

func (o *Operations) listWorkers(Fields, Caller) (Answer, error) {
	views := []Answer{}
	for _, id := range sortedKeys(o.workers) {
		views = append(views, o.workerView(o.workers[id]))
	}
	return Answer{"workers": views}, nil
}

func (o *Operations) workerView(worker *workerState) Answer {
	state := "alive"
	switch said, _ := worker.report.text("state"); {
	case worker.deaf:
		state = "deaf"
	case said == "quiet":
		state = "quiet"
	}
	return Answer{
		"id": worker.id, "queues": worker.report.texts("queues"), "concurrency": orNull(worker.report.integerOrNil("concurrency")),
		"free": orNull(worker.report.integerOrNil("free")), "held": o.heldBy(worker.id), "state": state,
		"client": orNull(worker.client), "transport": worker.transport, "first_seen_at": instantText(&worker.firstSeenAt),
		"last_seen_at": instantText(&worker.lastSeenAt), "last_pull_at": instantText(worker.lastPullAt),
	}
}
