package fake

import (
	"fmt"
	"slices"
)

// What producers and workers ask: pushing, pulling, and word of the jobs that a worker holds.

func (o *Operations) pushOne(fields Fields, _ Caller) (Answer, error) {
	outcome, err := o.push(fields["queue"].(string), fields, "")
	if err != nil {
		return nil, err
	}
	return outcome.answer(), nil
}

func (o *Operations) pushBatch(fields Fields, _ Caller) (Answer, error) {
	queue := fields["queue"].(string)
	if fields.has("atomic") && !fields.isTrue("atomic") {
		return o.pushEach(queue, fields.list("jobs")), nil
	}
	outcomes, err := o.pushAll(queue, fields.items("jobs"))
	if err != nil {
		return nil, err
	}
	ids, words := make([]string, len(outcomes)), make([]string, len(outcomes))
	for i, outcome := range outcomes {
		ids[i], words[i] = outcome.id, outcome.outcome
	}
	return Answer{"ids": ids, "outcomes": words}, nil
}

// pushEach gives each job its outcome; those with bad fields and those in a circle are refused (JW-PUSH-7).
func (o *Operations) pushEach(queue string, jobs []any) Answer {
	results := make([]Answer, len(jobs))
	var good []Fields
	var places []int
	for i, job := range jobs {
		if bad, isBad := job.(*badItem); isBad {
			results[i] = refusedItem(bad.id, bad.refusal)
			continue
		}
		good, places = append(good, job.(Fields)), append(places, i)
		results[i] = refusedItem(orNull(job.(Fields).textOrNil("id")), circular(i)) // unless it is pushed below
	}
	for _, at := range parentsFirst(good) {
		i := places[at]
		outcome, err := o.push(queue, good[at], fmt.Sprintf("/jobs/%d", i))
		if err != nil {
			results[i] = refusedItem(orNull(good[at].textOrNil("id")), err)
		} else {
			results[i] = merged(outcome.answer(), Answer{"ok": true})
		}
	}
	ids, words := make([]any, len(jobs)), make([]any, len(jobs))
	for i, result := range results {
		if words[i] = result["outcome"]; result["ok"] == true {
			ids[i] = result["id"]
		}
	}
	return Answer{"ids": ids, "outcomes": words, "results": results}
}

func (o *Operations) pull(fields Fields, caller Caller) (Answer, error) {
	if id, named := fields.text("worker_id"); named {
		worker := o.seenWorker(id, caller.Door, caller.Client)
		worker.lastPullAt, worker.deaf = ptr(o.Now), false
	}
	views := []Answer{}
	for _, job := range o.State.Pull(fields, caller.Session) {
		views = append(views, job.leasedView())
	}
	switch {
	case fields.integer("count", 1) != 1:
		return Answer{"jobs": views}, nil
	case len(views) == 0:
		return Answer{"job": nil}, nil
	}
	return Answer{"job": views[0]}, nil
}

func (o *Operations) ack(fields Fields, _ Caller) (Answer, error) {
	already, err := o.Ack(fields)
	if err != nil {
		return nil, err
	}
	return alreadyOr(already, Answer{}), nil
}

func (o *Operations) ackBatch(fields Fields, caller Caller) (Answer, error) {
	items := fields.items("items")
	if !fields.has("items") {
		for _, id := range fields.list("ids") {
			items = append(items, Fields{"id": id})
		}
	}
	results := forEach(items, func(item Fields) (Answer, error) { return o.ack(item, caller) })
	acked := countOK(results)
	return Answer{"acked": acked, "failed": len(results) - acked, "results": results}, nil
}

func (o *Operations) fail(fields Fields, _ Caller) (Answer, error) {
	already, err := o.Fail(fields)
	if err != nil {
		return nil, err
	}
	job := o.byID[fields["id"].(string)]
	isTriedAgain := job.State == "waiting" || job.State == "delayed"
	answer := Answer{"retry": isTriedAgain, "will_retry": isTriedAgain, "next_attempt_at": nil}
	if job.State == "delayed" {
		answer["next_attempt_at"] = instantText(&job.RunAt)
	}
	return alreadyOr(already, answer), nil
}

func (o *Operations) failBatch(fields Fields, caller Caller) (Answer, error) {
	results := forEach(fields.items("items"), func(item Fields) (Answer, error) {
		answer, err := o.fail(item, caller)
		if err == nil && answer["next_attempt_at"] == nil {
			delete(answer, "next_attempt_at")
		}
		return answer, err
	})
	failed := countOK(results)
	return Answer{"failed": failed, "refused": len(results) - failed, "results": results}, nil
}

func (o *Operations) release(fields Fields, _ Caller) (Answer, error) {
	already, err := o.Release(fields)
	if err != nil {
		return nil, err
	}
	return alreadyOr(already, Answer{"state": o.byID[fields["id"].(string)].State}), nil
}

func (o *Operations) heartbeat(fields Fields, _ Caller) (Answer, error) {
	job, err := o.Heartbeat(fields)
	if err != nil {
		return nil, err
	}
	answer := Answer{"lease_expires_at": instantText(job.LeaseExpiresAt)}
	if job.CancelRequestedAt != nil {
		answer["cancelled"] = true
	}
	return answer, nil
}

func (o *Operations) heartbeatBatch(fields Fields, caller Caller) (Answer, error) {
	results := forEach(fields.items("items"), func(item Fields) (Answer, error) { return o.heartbeat(item, caller) })
	lost, cancelled := []string{}, []string{}
	for _, result := range results {
		if isGone(result) {
			lost = append(lost, result["id"].(string))
		}
		if result["cancelled"] == true {
			cancelled = append(cancelled, result["id"].(string))
		}
	}
	answer := Answer{"results": results, "lost": lost, "cancelled": cancelled, "deaf": false}
	report, given := fields["worker"].(Fields)
	if !given {
		return answer, nil
	}
	worker := o.noteReport(report, caller)
	answer["deaf"] = worker.deaf
	if fields.integer("wait_ms", 0) > 0 {
		answer = o.AddNews(answer, worker.id)
	}
	return answer, nil
}

// isGone says whether this is the refusal of a job that a worker no longer holds.
func isGone(result Answer) bool {
	view, _ := result["error"].(Answer)
	return slices.Contains([]any{"LEASE_LOST", "JOB_NOT_FOUND", "INVALID_STATE"}, view["code"])
}

// noteReport keeps what a worker says of itself.
func (o *Operations) noteReport(report Fields, caller Caller) *workerState {
	worker := o.seenWorker(report["id"].(string), caller.Door, caller.Client)
	worker.report = report
	return worker
}

// AddNews is the answer to a heartbeat_batch with what else this worker should know, which is told once: jobs to stop, and leases
// it lost.
func (o *Operations) AddNews(answer Answer, workerID string) Answer {
	worker := o.workers[workerID]
	if worker == nil {
		return answer
	}
	lost, cancelled := answer["lost"].([]string), answer["cancelled"].([]string)
	for _, id := range worker.lost {
		lost = addOnce(lost, id)
	}
	for _, id := range worker.cancelled {
		cancelled = addOnce(cancelled, id)
	}
	worker.lost, worker.cancelled = nil, nil
	return merged(answer, Answer{"lost": lost, "cancelled": cancelled})
}

func (o *Operations) progress(fields Fields, _ Caller) (Answer, error) {
	return Answer{}, o.Progress(fields)
}
