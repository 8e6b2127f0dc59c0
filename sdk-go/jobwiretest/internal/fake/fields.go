package fake

import (
	"maps"
	"math"
)

// operationFields is every operation, and the fields that it accepts, as spec/wire.yaml lists them; a test compares the two.
func operationFields() map[string]fieldTable {
	id, lease, key := required(uuid), optional(integer(leaseMSMin, leaseMSMax)), optional(text(keyBytes))
	queue, anyQueue := required(name(queueBytes)), required(text(queueBytes))
	duration, wait, isSet := optional(integer(0, durationMS)), optional(integer(0, waitMS)), optional(flag)
	ackItem := fieldTable{"id": id, "lease": key, "result": optional(payload(dataBytes))}
	failItem := fieldTable{"id": id, "lease": key, "error": optional(text(errorBytes)), "retry_in_ms": duration, "discard": isSet}
	beatItem := fieldTable{"id": id, "lease": key, "lease_ms": lease}
	report := optional(record(workerReport()))
	dead := fieldTable{"queue": anyQueue, "ids": optional(list(uuid, batchItems)), "limit": optional(integer(1, batchItems))}
	onlyID, none := fieldTable{"id": id}, fieldTable{}
	batch := func(item fieldTable) check { return list(record(item), batchItems) }
	return map[string]fieldTable{
		"push":       with(pushItem, "queue", queue),
		"push_batch": {"queue": queue, "jobs": required(list(checkPushItem, batchItems)), "atomic": isSet},
		"pull": {
			"queue": optional(text(queueBytes)), "queues": optional(list(text(queueBytes), queuesPerPull)),
			"weights": optional(list(integer(1, 1_000_000), queuesPerPull)), "count": optional(integer(0, pullCount)),
			"wait_ms": wait, "lease_ms": lease, "names": optional(list(text(nameBytes), namesPerPull)),
			"worker_id": key, "request_id": key,
		},
		"ack":             ackItem,
		"ack_batch":       {"items": optional(batch(ackItem)), "ids": optional(list(uuid, batchItems))},
		"fail":            failItem,
		"fail_batch":      {"items": required(batch(failItem))},
		"release":         {"id": id, "lease": key, "delay_ms": duration},
		"heartbeat":       beatItem,
		"heartbeat_batch": {"items": optional(batch(beatItem)), "worker": report, "wait_ms": wait},
		"progress": {
			"id": id, "lease": key, "progress": required(integer(0, 255)), "message": optional(text(messageBytes)),
		},
		"cancel": onlyID, "retry": onlyID, "promote": onlyID, "get": onlyID, "delete": onlyID,
		"find": {
			"queue": optional(text(queueBytes)), "state": optional(list(oneOf(stateNames...), len(stateNames))),
			"name": optional(text(nameBytes)), "tag": optional(text(tagBytes)), "group_id": key, "flow_id": key, "custom_id": key,
			"created_after": optional(moment), "created_before": optional(moment), "limit": optional(integer(1, findLimit)),
			"cursor": key,
		},
		"queues": none,
		"queue":  {"queue": anyQueue},
		"queue_update": {
			"queue": queue, "lease_ms": lease, "max_length": optional(integer(1, 1_000_000_000)),
			"retention_completed_ms": duration, "retention_dlq_ms": duration, "retention_cancelled_ms": duration,
		},
		"stats":        {"queue": anyQueue},
		"queue_pause":  {"queue": queue, "mode": optional(oneOf("push", "pull", "both"))},
		"queue_resume": {"queue": queue},
		"dlq":          {"queue": anyQueue, "limit": optional(integer(0, findLimit)), "cursor": key},
		"dlq_retry":    dead, "dlq_discard": dead,
		"flow":    {"flow_id": required(text(keyBytes))},
		"workers": none, "health": none, "ready": none, "live": none, "capabilities": none, "ping": none, "bye": none,
		"hello": {
			"v": required(list(integer(0, 1<<31), 16)), "token": key, "worker": report,
			"client": optional(record(fieldTable{"name": key, "version": key})),
		},
		"auth":  {"token": required(text(keyBytes))},
		"abort": {"target": required(integer(0, RIDMax))},
	}
}

func workerReport() fieldTable {
	return fieldTable{
		"id": required(workerID), "queues": optional(list(text(queueBytes), queuesPerPull)),
		"concurrency": optional(integer(1, 100_000)), "free": optional(integer(0, 100_000)),
		"state": optional(oneOf("running", "quiet")), "last_pull_ms": optional(integer(0, durationMS)),
	}
}

func jobOptions() fieldTable {
	duration, key, isSet := optional(integer(0, durationMS)), optional(text(keyBytes)), optional(flag)
	return fieldTable{
		"priority": optional(integer(math.MinInt32, math.MaxInt32)), "delay_ms": duration, "run_at": optional(moment),
		"max_attempts": optional(integer(0, attemptsMax)), "backoff": optional(oneOf("fixed", "linear", "exponential")),
		"backoff_delay_ms": duration, "backoff_schedule_ms": optional(list(integer(0, durationMS), scheduleMax)),
		"backoff_max_ms": duration, "jitter": optional(fraction(0, 1)), "ttl_ms": duration,
		"timeout_ms": optional(integer(1, durationMS)), "unique_key": key, "unique_for_ms": optional(integer(1, durationMS)),
		"on_conflict": optional(oneOf("reject", "ignore", "replace")), "tags": optional(list(text(tagBytes), tagsMax)),
		"group_id": key, "lifo": isSet, "remove_on_complete": isSet, "remove_on_fail": isSet, "custom_id": key,
		"metadata": optional(metadata), "depends_on": optional(parentIDs), "flow_id": key,
	}
}

var (
	pushItem = pushItemFields()
	// fieldsOf is the fields of each operation.
	fieldsOf = operationFields()
)

func pushItemFields() fieldTable {
	table := jobOptions()
	table["options"] = optional(record(jobOptions()))
	table["id"] = optional(uuid)
	table["name"] = required(name(nameBytes))
	table["data"] = optional(payload(dataBytes))
	return table
}

func with(table fieldTable, name string, more field) fieldTable {
	all := maps.Clone(table)
	all[name] = more
	return all
}

// checkPushItem is a PushItem with its options flat, and the rules between its fields.
func checkPushItem(value any, pointer string) (any, error) {
	checked, err := record(pushItem)(value, pointer)
	if err != nil {
		return nil, err
	}
	flat := checked.(Fields)
	options, _ := flat["options"].(Fields)
	delete(flat, "options")
	for name, each := range options {
		if flat.has(name) {
			return nil, Invalid(pointer+"/options/"+name, "'"+name+"' is given twice", nil)
		}
		flat[name] = each
	}
	if flat.has("delay_ms") && flat.has("run_at") {
		return nil, Invalid(pointer+"/run_at", "run_at and delay_ms exclude each other", nil)
	}
	for _, name := range []string{"unique_for_ms", "on_conflict"} {
		if flat.has(name) && !flat.has("unique_key") {
			return nil, Invalid(pointer+"/"+name, name+" needs unique_key", nil)
		}
	}
	return flat, nil
}
