package jobwire

import (
	"bytes"
	"encoding/json"
	"time"

	"github.com/jobwire/jobwire/sdk-go/internal/wire"
)

func parseJobs(f *fields) []*Job {
	var jobs []*Job
	for _, raw := range f.list("jobs") {
		jobs = append(jobs, parseJob(f, raw))
	}
	return jobs
}

// parseJob is the job of an answer's object. What the server leaves out has the value that it has when a push leaves it out.
func parseJob(f *fields, raw json.RawMessage) *Job {
	job := &Job{
		Data: json.RawMessage("null"), State: StateWaiting, MaxAttempts: defaultMaxAttempts, Backoff: defaultBackoff,
		BackoffDelay: defaultBackoffDelayMS * time.Millisecond, BackoffMax: defaultBackoffMaxMS * time.Millisecond,
	}
	one := &fields{}
	isObject := len(raw) > 0 && wire.EachMember(raw, func(name string, value json.RawMessage) {
		set := jobFields[name]
		if set != nil && string(value) != "null" && !set(job, value) {
			one.fail(name, "of its type")
		}
	})
	if !isObject || job.ID == "" {
		one.fail("job", "an object with an id")
	}
	f.adopt(one)
	return job
}

type jobField = func(*Job, json.RawMessage) bool

// jobFields sets the field of a member; false when the member is of the wrong type.
var jobFields = map[string]jobField{
	"id":                  field(asText, func(j *Job) *string { return &j.ID }),
	"queue":               field(asText, func(j *Job) *string { return &j.Queue }),
	"name":                field(asText, func(j *Job) *string { return &j.Name }),
	"data":                field(asRaw, func(j *Job) *json.RawMessage { return &j.Data }),
	"state":               field(asState, func(j *Job) *JobState { return &j.State }),
	"priority":            field(asInteger, func(j *Job) *int { return &j.Priority }),
	"attempt":             field(asInteger, func(j *Job) *int { return &j.Attempt }),
	"max_attempts":        field(asInteger, func(j *Job) *int { return &j.MaxAttempts }),
	"delivery":            field(asInteger, func(j *Job) *int { return &j.Delivery }),
	"lease":               field(asText, func(j *Job) *string { return &j.Lease }),
	"lease_expires_at":    field(asInstant, func(j *Job) *time.Time { return &j.LeaseExpiresAt }),
	"run_at":              field(asInstant, func(j *Job) *time.Time { return &j.RunAt }),
	"delay_until":         field(asInstant, func(j *Job) *time.Time { return &j.DelayUntil }),
	"created_at":          field(asInstant, func(j *Job) *time.Time { return &j.CreatedAt }),
	"updated_at":          field(asInstant, func(j *Job) *time.Time { return &j.UpdatedAt }),
	"started_at":          field(asInstant, func(j *Job) *time.Time { return &j.StartedAt }),
	"completed_at":        field(asInstant, func(j *Job) *time.Time { return &j.CompletedAt }),
	"last_heartbeat":      field(asInstant, func(j *Job) *time.Time { return &j.LastHeartbeat }),
	"cancel_requested_at": field(asInstant, func(j *Job) *time.Time { return &j.CancelRequestedAt }),
	"reason":              field(asText, func(j *Job) *string { return &j.Reason }),
	"last_error":          field(asText, func(j *Job) *string { return &j.LastError }),
	"errors":              field(listOf(asFailure), func(j *Job) *[]JobFailure { return &j.Errors }),
	"logs":                field(listOf(asLogLine), func(j *Job) *[]LogLine { return &j.Logs }),
	"progress":            field(pointerTo(asInteger), func(j *Job) **int { return &j.Progress }),
	"result":              field(asRaw, func(j *Job) *json.RawMessage { return &j.Result }),
	"metadata":            field(asRaw, func(j *Job) *json.RawMessage { return &j.Metadata }),
	"tags":                field(listOf(asText), func(j *Job) *[]string { return &j.Tags }),
	"depends_on":          field(listOf(asText), func(j *Job) *[]string { return &j.DependsOn }),
	"group_id":            field(asText, func(j *Job) *string { return &j.GroupID }),
	"flow_id":             field(asText, func(j *Job) *string { return &j.FlowID }),
	"custom_id":           field(asText, func(j *Job) *string { return &j.CustomID }),
	"unique_key":          field(asText, func(j *Job) *string { return &j.UniqueKey }),
	"unique_for_ms":       field(asDuration, func(j *Job) *time.Duration { return &j.UniqueFor }),
	"backoff":             field(asText, func(j *Job) *string { return &j.Backoff }),
	"backoff_delay_ms":    field(asDuration, func(j *Job) *time.Duration { return &j.BackoffDelay }),
	"backoff_schedule_ms": field(listOf(asDuration), func(j *Job) *[]time.Duration { return &j.BackoffSchedule }),
	"backoff_max_ms":      field(asDuration, func(j *Job) *time.Duration { return &j.BackoffMax }),
	"jitter":              field(asNumber, func(j *Job) *float64 { return &j.Jitter }),
	"ttl_ms":              field(asDuration, func(j *Job) *time.Duration { return &j.TTL }),
	"timeout_ms":          field(asDuration, func(j *Job) *time.Duration { return &j.Timeout }),
	"lifo":                field(asBool, func(j *Job) *bool { return &j.LIFO }),
	"remove_on_complete":  field(asBool, func(j *Job) *bool { return &j.RemoveOnComplete }),
	"remove_on_fail":      field(asBool, func(j *Job) *bool { return &j.RemoveOnFail }),
	"worker_id":           field(asText, func(j *Job) *string { return &j.WorkerID }),
}

func field[T any](as func(json.RawMessage) (T, bool), of func(*Job) *T) jobField {
	return func(job *Job, raw json.RawMessage) bool {
		value, ok := as(raw)
		if ok {
			*of(job) = value
		}
		return ok
	}
}

func listOf[T any](as func(json.RawMessage) (T, bool)) func(json.RawMessage) ([]T, bool) {
	return func(raw json.RawMessage) ([]T, bool) {
		elements, ok := wire.Elements(raw)
		var values []T
		for _, element := range elements {
			value, fits := as(element)
			ok = ok && fits
			values = append(values, value)
		}
		return values, ok
	}
}

func pointerTo[T any](as func(json.RawMessage) (T, bool)) func(json.RawMessage) (*T, bool) {
	return func(raw json.RawMessage) (*T, bool) {
		value, ok := as(raw)
		return &value, ok
	}
}

// asRaw is a copy, so that a job does not keep the whole answer in memory.
func asRaw(raw json.RawMessage) (json.RawMessage, bool) { return bytes.Clone(raw), true }

func asBool(raw json.RawMessage) (bool, bool) {
	return string(raw) == "true", string(raw) == "true" || string(raw) == "false"
}

func asState(raw json.RawMessage) (JobState, bool) {
	text, ok := asText(raw)
	return JobState(text), ok
}

func asFailure(raw json.RawMessage) (JobFailure, bool) {
	f := fieldsOf(raw)
	failure := JobFailure{
		Attempt: f.integer("attempt"), At: f.instant("at"), Kind: f.text("kind"), Message: f.text("message"),
		WorkerID: f.text("worker_id"),
	}
	if failure.Kind == "" {
		failure.Kind = "error"
	}
	return failure, f.members != nil && f.err == nil
}

func asLogLine(raw json.RawMessage) (LogLine, bool) {
	f := fieldsOf(raw)
	line := LogLine{At: f.instant("timestamp"), Message: f.text("message")}
	return line, f.members != nil && f.err == nil
}
