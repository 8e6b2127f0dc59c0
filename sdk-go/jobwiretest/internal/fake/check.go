package fake

import (
	"errors"
	"fmt"
)

// badItem is a job of a batch that is refused for its fields, with the id that it named, if any.
type badItem struct {
	id      any
	refusal *Refused
}

// Known says whether there is such an operation.
func Known(operation string) bool {
	_, known := fieldsOf[operation]
	return known
}

// Check is the fields to use; VALIDATION_ERROR names the first bad one.
func Check(operation string, given *Object) (Fields, error) {
	switch {
	case operation == "push":
		return checkPush(given)
	case operation == "push_batch" && given.Get("atomic") == false:
		return checkEach(given)
	}
	checked, err := fieldsOf[operation].check(given, "")
	if err != nil {
		return nil, err
	}
	return checked, checkTogether(operation, checked, given)
}

// checkPush checks a push: the queue beside the fields of its job.
func checkPush(given *Object) (Fields, error) {
	head := NewObject()
	if given.Has("queue") {
		head.Set("queue", given.Get("queue"))
	}
	queue, err := fieldTable{"queue": fieldsOf["push"]["queue"]}.check(head, "")
	if err != nil {
		return nil, err
	}
	item, err := checkPushItem(given.Without("queue"), "")
	if err != nil {
		return nil, err
	}
	item.(Fields)["queue"] = queue["queue"]
	return item.(Fields), nil
}

// checkEach checks a batch that is not atomic: a bad job is its own affair, the rest of the request is not (JW-PUSH-7, JW-PUSH-18).
func checkEach(given *Object) (Fields, error) {
	asItIs := list(func(value any, _ string) (any, error) { return value, nil }, batchItems)
	checked, err := with(fieldsOf["push_batch"], "jobs", required(asItIs)).check(given, "")
	if err != nil {
		return nil, err
	}
	jobs := checked["jobs"].([]any)
	for i, job := range jobs {
		item, err := checkPushItem(job, fmt.Sprintf("/jobs/%d", i))
		if err == nil {
			jobs[i] = item
			continue
		}
		var refusal *Refused
		if !errors.As(err, &refusal) || refusal.Code != "VALIDATION_ERROR" {
			return nil, err
		}
		jobs[i] = &badItem{idIn(job), refusal}
	}
	return checked, nil
}

// idIn is the id that a bad job names; nil when that is bad as well.
func idIn(job any) any {
	object, _ := job.(*Object)
	if object == nil {
		return nil
	}
	id, err := uuid(object.Get("id"), "")
	if err != nil {
		return nil
	}
	return id
}

// checkTogether is the rules between the fields of an operation; given is how they came.
func checkTogether(operation string, checked Fields, given *Object) error {
	switch operation {
	case "pull":
		return checkPull(checked)
	case "ack_batch":
		if !checked.has("items") && !checked.has("ids") {
			return Unprocessable("/items", "missing field 'items' or 'ids'", nil)
		}
	case "heartbeat_batch":
		if checked.integer("wait_ms", 0) > 0 && !checked.has("worker") {
			return Invalid("/wait_ms", "wait_ms needs worker", nil)
		}
	case "queue_update":
		for _, name := range given.names { // here null is a value: back to the server's default (JW-QUEUE-7)
			if given.Get(name) == nil {
				checked[name] = nil
			}
		}
	}
	return nil
}

func checkPull(checked Fields) error {
	queues := checked.list("queues")
	switch weights := checked.list("weights"); {
	case checked.has("queue") == checked.has("queues"):
		return Unprocessable("/queue", "give queue or queues, and not both", nil)
	case checked.has("weights") && len(weights) != len(queues):
		return Invalid("/weights", "weights needs one weight for each entry of 'queues'", nil)
	case checked.has("queue"):
		checked["queues"] = []any{checked["queue"]}
	case len(queues) == 0:
		return Invalid("/queues", "queues must not be empty", Answer{"limit": 1})
	}
	return nil
}

// CheckRID refuses what cannot be the number of a request; nil is none.
func CheckRID(rid any) error {
	if rid == nil {
		return nil
	}
	_, err := integer(0, RIDMax)(rid, "/rid")
	return err
}
