package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	jobwire "github.com/jobwire/jobwire/sdk-go"
)

// worker is a worker whose handlers do what the runner says.
func (d *driver) worker(obj string, args arguments) (any, error) {
	client := d.object(args.text("client")).(*jobwire.Client)
	worker, err := jobwire.NewWorker(client, &jobwire.WorkerConfig{
		Queues: get[[]string](args, "queues"), Weights: get[[]int](args, "weights"), Names: get[[]string](args, "names"),
		Concurrency: args.integer("concurrency"), Lease: args.duration("lease_ms"), Heartbeat: args.duration("heartbeat_ms"),
		Wait: args.duration("wait_ms"), Grace: args.duration("grace_ms"), WorkerID: args.text("worker_id"), NoSignals: true,
	})
	if err != nil {
		return nil, err
	}
	for _, name := range get[[]string](args, "handlers") {
		worker.Handle(name, func(ctx context.Context, job *jobwire.Job) (any, error) { return d.run(ctx, obj, job) })
	}
	return worker, nil
}

func callWorker(ctx context.Context, target any, m message) (any, error) {
	worker := target.(*jobwire.Worker)
	switch m.Method {
	case "run":
		return nil, worker.Run(ctx)
	case "start":
		return nil, worker.Start(context.Background()) // not that of the call, which is over soon
	case "stop":
		if m.Args.has("timeout_ms") {
			limited, cancel := context.WithTimeout(ctx, milliseconds(get[float64](m.Args, "timeout_ms")))
			defer cancel()
			ctx = limited
		}
		err := worker.Stop(ctx)
		if errors.Is(err, jobwire.ErrHandlersRunning) {
			return false, nil
		}
		return err == nil, err
	}
	return nil, fmt.Errorf("a worker has no method %q", m.Method)
}

// run is a handler: it does as job.resolve says, step by step, until one ends it.
func (d *driver) run(ctx context.Context, obj string, job *jobwire.Job) (any, error) {
	script := make(chan message, 16)
	d.mu.Lock()
	d.names++
	token := fmt.Sprintf("%s.%d", obj, d.names)
	d.scripts[token] = script
	d.mu.Unlock()
	defer func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.scripts, token)
	}()
	d.say("job", reply{"worker": obj, "token": token, "job": canonical(job)})
	for how := range script {
		if result, err, ended := step(ctx, how); ended {
			return result, err
		}
		d.say("event", reply{"obj": obj, "event": "done", "token": token, "reason": reason(ctx)})
	}
	return nil, nil
}

// reason is why the handler was told to stop, nil when it was not.
func reason(ctx context.Context) any {
	var stopped *jobwire.StopError
	if errors.As(context.Cause(ctx), &stopped) {
		return string(stopped.Reason)
	}
	return nil
}

// step does one thing in a handler; ended when the handler returns then.
func step(ctx context.Context, how message) (result any, err error, ended bool) {
	switch how.As {
	case "ok":
		if how.Value == nil {
			return nil, nil, true
		}
		return load(how.Value), nil, true
	case "fail":
		return nil, errors.New(value[string](how, 0)), true
	case "discard":
		return nil, jobwire.Discard(errors.New(value[string](how, 0))), true
	case "retry_in":
		return nil, jobwire.RetryIn(milliseconds(value[float64](how, 0)), errors.New("in a while")), true
	case "release":
		return nil, jobwire.Release(milliseconds(value[float64](how, 0))), true
	case "progress":
		err = jobwire.Progress(ctx, value[int](how, 0), value[string](how, 1))
	case "log":
		err = jobwire.Log(ctx, value[string](how, 0))
	case "burn": // as a handler does that computes: without a break
		for end := time.Now().Add(milliseconds(value[float64](how, 0))); time.Now().Before(end); {
		}
	case "hang":
		<-ctx.Done()
	case "check":
		err = context.Cause(ctx)
	}
	return nil, err, err != nil
}

// value is the value of a message, or its element at when that is a list; a zero value when there is none.
func value[T any](m message, at int) T {
	var found T
	var listed []json.RawMessage
	if json.Unmarshal(m.Value, &listed) == nil && at < len(listed) {
		must(json.Unmarshal(listed[at], &found))
	} else if listed == nil && at == 0 {
		must(json.Unmarshal(m.Value, &found))
	}
	return found
}
