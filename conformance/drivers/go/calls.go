package main

import (
	"bytes"
	"context"
	"errors"
	"log"
	"time"

	jobwire "github.com/jobwire/jobwire/sdk-go"
)

func (a arguments) config() *jobwire.Config {
	options := a.options()
	return &jobwire.Config{
		Token: a.text("token"), ConnectTimeout: milliseconds(get[float64](a, "connect_timeout_ms")),
		ClientName: a.text("client_name"), Logf: log.Printf, Timeout: options.Timeout, Retries: options.Retries, RetryBudget: options.RetryBudget,
	}
}

// options has -1 where an argument is 0, which Go takes for left out.
func (a arguments) options() *jobwire.Options {
	options := &jobwire.Options{
		Timeout: a.duration("timeout_ms"), Retries: a.integer("retries"), RetryBudget: a.duration("retry_budget_ms"),
	}
	if a.has("retries") && options.Retries == 0 {
		options.Retries = -1
	}
	return options
}

func (a arguments) pushOptions() *jobwire.PushOptions {
	return &jobwire.PushOptions{
		ID: a.text("id"), Priority: a.integer("priority"), Delay: a.duration("delay_ms"), RunAt: a.instant("run_at"),
		MaxAttempts: a.integer("max_attempts"), Backoff: a.text("backoff"), BackoffDelay: a.duration("backoff_delay_ms"),
		BackoffMax: a.duration("backoff_max_ms"), BackoffSchedule: a.durations("backoff_schedule_ms"),
		Jitter: get[float64](a, "jitter"), TTL: a.duration("ttl_ms"), Timeout: a.duration("timeout_ms"),
		UniqueKey: a.text("unique_key"), UniqueFor: a.duration("unique_for_ms"), OnConflict: a.text("on_conflict"),
		Tags: get[[]string](a, "tags"), GroupID: a.text("group_id"), LIFO: a.flag("lifo"),
		RemoveOnComplete: a.flag("remove_on_complete"), RemoveOnFail: a.flag("remove_on_fail"), CustomID: a.text("custom_id"),
		Metadata: a.data("metadata"), DependsOn: get[[]string](a, "depends_on"), FlowID: a.text("flow_id"),
	}
}

func (a arguments) pullOptions() *jobwire.PullOptions {
	return &jobwire.PullOptions{
		Count: a.integer("count"), Wait: a.duration("wait_ms"), Lease: a.duration("lease_ms"), Names: get[[]string](a, "names"),
		WorkerID: a.text("worker_id"), RequestID: a.text("request_id"), Weights: get[[]int](a, "weights"),
	}
}

func (a arguments) findOptions(pageSize string) *jobwire.FindOptions {
	options := &jobwire.FindOptions{
		Queue: a.text("queue"), Name: a.text("name"), Tag: a.text("tag"), GroupID: a.text("group_id"), FlowID: a.text("flow_id"),
		CustomID: a.text("custom_id"), CreatedAfter: a.instant("created_after"), CreatedBefore: a.instant("created_before"),
		PageSize: a.integer(pageSize),
	}
	if bytes.HasPrefix(a["state"], []byte("[")) {
		options.States = get[[]jobwire.JobState](a, "state")
	} else if a.has("state") {
		options.States = []jobwire.JobState{get[jobwire.JobState](a, "state")}
	}
	return options
}

func (a arguments) failItem() jobwire.FailItem {
	return jobwire.FailItem{
		Job: a.job(), Err: errors.New(a.text("error")), RetryIn: a.duration("retry_in_ms"), Discard: a.flag("discard"),
	}
}

func (a arguments) worker() *jobwire.WorkerReport {
	report := get[map[string]arguments](a, "worker")["$worker"]
	if report == nil {
		return nil
	}
	found := &jobwire.WorkerReport{
		ID: report.text("id"), Queues: get[[]string](report, "queues"), Concurrency: report.integer("concurrency"),
		Free: get[*int](report, "free"), State: report.text("state"),
	}
	if report.has("last_pull_ms") {
		last := milliseconds(get[float64](report, "last_pull_ms"))
		found.LastPull = &last
	}
	return found
}

func (a arguments) update() jobwire.QueueUpdate {
	return jobwire.QueueUpdate{
		Lease: a.setting("lease_ms"), MaxLength: setting(a, "max_length", get[int](a, "max_length")),
		RetentionCompleted: a.setting("retention_completed_ms"), RetentionDLQ: a.setting("retention_dlq_ms"),
		RetentionCancelled: a.setting("retention_cancelled_ms"),
	}
}

func (a arguments) setting(name string) jobwire.Setting[time.Duration] {
	return setting(a, name, milliseconds(get[float64](a, name)))
}

// setting is no change when the argument is left out, and a reset when it is null.
func setting[T any](a arguments, name string, value T) jobwire.Setting[T] {
	switch {
	case a[name] == nil:
		return jobwire.Setting[T]{}
	case !a.has(name):
		return jobwire.Reset[T]()
	}
	return jobwire.Set(value)
}

func (a arguments) bulk() *jobwire.BulkOptions {
	return &jobwire.BulkOptions{IDs: get[[]string](a, "ids"), Limit: a.integer("limit")}
}

// items is the elements of a batch.
func items[T any](a arguments, name string, make func(arguments) T) []T {
	listed := []T{}
	for _, each := range get[[]arguments](a, name) {
		listed = append(listed, make(each))
	}
	return listed
}

type method = func(context.Context, *jobwire.Client, arguments) (any, error)

// methods are those of a client, by the names that the SDKs share.
var methods = map[string]method{
	"push": func(ctx context.Context, c *jobwire.Client, a arguments) (any, error) {
		return c.Push(ctx, a.text("queue"), a.text("name"), a.data("data"), a.pushOptions())
	},
	"push_batch": func(ctx context.Context, c *jobwire.Client, a arguments) (any, error) {
		jobs := items(a, "jobs", func(a arguments) jobwire.PushItem {
			return jobwire.PushItem{Name: a.text("name"), Data: a.data("data"), Options: a.pushOptions()}
		})
		partial := a.has("atomic") && !a.flag("atomic")
		return c.PushBatch(ctx, a.text("queue"), jobs, &jobwire.PushBatchOptions{Partial: partial})
	},
	"pull": func(ctx context.Context, c *jobwire.Client, a arguments) (any, error) {
		return c.Pull(ctx, get[[]string](a, "queues"), a.pullOptions())
	},
	"ack": func(ctx context.Context, c *jobwire.Client, a arguments) (any, error) {
		return c.Ack(ctx, a.job(), a.data("result"))
	},
	"ack_batch": func(ctx context.Context, c *jobwire.Client, a arguments) (any, error) {
		return c.AckBatch(ctx, items(a, "items", func(a arguments) jobwire.AckItem {
			return jobwire.AckItem{Job: a.job(), Result: a.data("result")}
		}))
	},
	"fail": func(ctx context.Context, c *jobwire.Client, a arguments) (any, error) {
		item := a.failItem()
		return c.Fail(ctx, item.Job, item.Err, &jobwire.FailOptions{RetryIn: item.RetryIn, Discard: item.Discard})
	},
	"fail_batch": func(ctx context.Context, c *jobwire.Client, a arguments) (any, error) {
		return c.FailBatch(ctx, items(a, "items", arguments.failItem))
	},
	"release": func(ctx context.Context, c *jobwire.Client, a arguments) (any, error) {
		return c.Release(ctx, a.job(), a.duration("delay_ms"))
	},
	"heartbeat": func(ctx context.Context, c *jobwire.Client, a arguments) (any, error) {
		return c.Heartbeat(ctx, a.job(), a.duration("lease_ms"))
	},
	"heartbeat_batch": func(ctx context.Context, c *jobwire.Client, a arguments) (any, error) {
		leases := items(a, "items", func(a arguments) jobwire.HeartbeatItem {
			return jobwire.HeartbeatItem{Job: a.job(), Lease: a.duration("lease_ms")}
		})
		return c.HeartbeatBatch(ctx, leases, &jobwire.HeartbeatBatchOptions{Worker: a.worker(), Wait: a.duration("wait_ms")})
	},
	"progress": func(ctx context.Context, c *jobwire.Client, a arguments) (any, error) {
		return nil, c.Progress(ctx, a.job(), a.integer("percent"), a.text("message"))
	},
	"cancel":  withID((*jobwire.Client).Cancel),
	"retry":   withID((*jobwire.Client).Retry),
	"promote": withID((*jobwire.Client).Promote),
	"get_job": withID((*jobwire.Client).GetJob),
	"delete_job": func(ctx context.Context, c *jobwire.Client, a arguments) (any, error) {
		return nil, c.DeleteJob(ctx, a.job().ID)
	},
	"find": func(ctx context.Context, c *jobwire.Client, a arguments) (any, error) {
		found, all := []*jobwire.Job{}, c.Find(a.findOptions("page_size"))
		for all.Next(ctx) {
			found = append(found, all.Job())
		}
		return found, all.Err()
	},
	"find_page": func(ctx context.Context, c *jobwire.Client, a arguments) (any, error) {
		return c.FindPage(ctx, a.findOptions("limit"), a.text("cursor"))
	},
	"list_queues": plain((*jobwire.Client).ListQueues),
	"get_queue":   named("queue", (*jobwire.Client).GetQueue),
	"update_queue": func(ctx context.Context, c *jobwire.Client, a arguments) (any, error) {
		return c.UpdateQueue(ctx, a.text("queue"), a.update())
	},
	"stats": named("queue", (*jobwire.Client).Stats),
	"pause_queue": func(ctx context.Context, c *jobwire.Client, a arguments) (any, error) {
		return nil, c.PauseQueue(ctx, a.text("queue"), get[jobwire.PauseMode](a, "mode"))
	},
	"resume_queue": func(ctx context.Context, c *jobwire.Client, a arguments) (any, error) {
		return nil, c.ResumeQueue(ctx, a.text("queue"))
	},
	"dlq": func(ctx context.Context, c *jobwire.Client, a arguments) (any, error) {
		return c.DLQ(ctx, a.text("queue"), &jobwire.PageOptions{Limit: a.integer("limit"), Cursor: a.text("cursor")})
	},
	"retry_dlq": func(ctx context.Context, c *jobwire.Client, a arguments) (any, error) {
		return c.RetryDLQ(ctx, a.text("queue"), a.bulk())
	},
	"discard_dlq": func(ctx context.Context, c *jobwire.Client, a arguments) (any, error) {
		return c.DiscardDLQ(ctx, a.text("queue"), a.bulk())
	},
	"get_flow":     named("flow_id", (*jobwire.Client).GetFlow),
	"list_workers": plain((*jobwire.Client).ListWorkers),
	"health":       plain((*jobwire.Client).Health),
	"capabilities": plain((*jobwire.Client).Capabilities),
	"ping":         func(ctx context.Context, c *jobwire.Client, _ arguments) (any, error) { return nil, c.Ping(ctx) },
}

func plain[T any](call func(*jobwire.Client, context.Context) (T, error)) method {
	return func(ctx context.Context, c *jobwire.Client, _ arguments) (any, error) { return call(c, ctx) }
}

func named[T any](name string, call func(*jobwire.Client, context.Context, string) (T, error)) method {
	return func(ctx context.Context, c *jobwire.Client, a arguments) (any, error) {
		return call(c, ctx, a.text(name))
	}
}

func withID[T any](call func(*jobwire.Client, context.Context, string) (T, error)) method {
	return func(ctx context.Context, c *jobwire.Client, a arguments) (any, error) {
		return call(c, ctx, a.job().ID)
	}
}
