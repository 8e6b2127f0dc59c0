package fake

import "fmt"

// newJob is a job as a push asks for it, with the defaults of what was left out.
func (s *State) newJob(id, queue string, item Fields) *Job {
	job := &Job{
		ID: id, Queue: queue, Name: item["name"].(string), Data: item.data(), CreatedAt: s.Now, UpdatedAt: s.Now, Sequence: s.sequence,
		Priority: item.integer("priority", 0), MaxAttempts: max(1, item.integer("max_attempts", byDefault("max_attempts"))),
		Backoff: Defaults["backoff"].(string), BackoffDelay: item.integer("backoff_delay_ms", byDefault("backoff_delay_ms")),
		BackoffSchedule: item.integers("backoff_schedule_ms"), BackoffMax: item.integer("backoff_max_ms", byDefault("backoff_max_ms")),
		TTL: item.integerOrNil("ttl_ms"), Timeout: item.integerOrNil("timeout_ms"), UniqueKey: item.textOrNil("unique_key"),
		UniqueFor: item.integerOrNil("unique_for_ms"), Tags: item.texts("tags"), GroupID: item.textOrNil("group_id"),
		FlowID: item.textOrNil("flow_id"), CustomID: item.textOrNil("custom_id"), DependsOn: item.texts("depends_on"),
		LIFO: item.isTrue("lifo"), RemoveOnComplete: item.isTrue("remove_on_complete"), RemoveOnFail: item.isTrue("remove_on_fail"),
		State: "waiting", RunAt: s.Now,
	}
	if backoff, given := item.text("backoff"); given {
		job.Backoff = backoff
	}
	if jitter, given := item["jitter"]; given {
		job.Jitter = jitter.(float64)
	}
	if metadata, given := item["metadata"]; given {
		job.Metadata = metadata.(*Payload)
	}
	if runAt := item.integer("run_at", s.Now+item.integer("delay_ms", 0)); runAt > s.Now {
		job.State, job.RunAt = "delayed", runAt
	}
	return job
}

// attachParents blocks a job that is about to be inserted until those that it depends on are completed.
func (s *State) attachParents(job *Job, pointer string) error {
	for index, id := range job.DependsOn {
		parent, err := s.parent(id, fmt.Sprintf("%s/depends_on/%d", pointer, index))
		if err != nil {
			return err
		}
		if !parent.isFinished() {
			job.PendingParents++
		}
		job.Depth = max(job.Depth, parent.Depth+1)
	}
	if job.Depth > dagDepth {
		message := fmt.Sprintf("Dependency chain exceeds maximum depth of %d", dagDepth)
		return Invalid(pointer+"/depends_on", message, Answer{"limit": dagDepth})
	}
	if job.PendingParents > 0 {
		job.State = "blocked"
	}
	return nil
}

func (s *State) parent(id, pointer string) (*Job, error) {
	parent := s.byID[id]
	if parent == nil || (parent.State == "removed" && parent.CompletedAt == nil) {
		return nil, Invalid(pointer, fmt.Sprintf("Dependency parent job '%s' not found", id), nil)
	}
	if parent.State == "dlq" || parent.State == "cancelled" {
		message := fmt.Sprintf("Dependency parent job '%s' is in terminal state '%s'", id, capitalized(parent.State))
		return nil, Invalid(pointer, message, nil)
	}
	return parent, nil
}
