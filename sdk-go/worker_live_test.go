package jobwire_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	jobwire "github.com/jobwire/jobwire/sdk-go"
)

// flow is a test against a real server: a client, and a queue of its own.
type flow struct {
	*testing.T
	client *jobwire.Client
	url    string
	queue  string
}

func newFlow(t *testing.T, server *serverProcess, scheme string) *flow {
	t.Helper()
	client, err := jobwire.NewClient(server.url(scheme), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return &flow{t, client, server.url(scheme), strings.ReplaceAll(t.Name(), "/", ".")}
}

// worker is started, and stopped when the test ends.
func (f *flow) worker(config jobwire.WorkerConfig, handlers map[string]jobwire.HandlerFunc) *jobwire.Worker {
	f.Helper()
	config.Queues = []string{f.queue}
	w, err := jobwire.NewWorker(f.client, &config)
	if err != nil {
		f.Fatal(err)
	}
	for name, handler := range handlers {
		w.Handle(name, handler)
	}
	if err := w.Start(context.Background()); err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = w.Stop(context.Background()) })
	return w
}

func (f *flow) push(name string, data any, options *jobwire.PushOptions) string {
	f.Helper()
	pushed, err := f.client.Push(context.Background(), f.queue, name, data, options)
	if err != nil {
		f.Fatal(err)
	}
	return pushed.ID
}

// wait is the job once it is in this state.
func (f *flow) wait(id string, state jobwire.JobState) *jobwire.Job {
	f.Helper()
	var job *jobwire.Job
	f.until(fmt.Sprintf("%s of %s", state, id), func() (bool, error) {
		found, err := f.client.GetJob(context.Background(), id)
		job = found
		return err == nil && found.State == state, err
	})
	return job
}

// until asks again and again whether something holds, and fails the test when it comes not to.
func (f *flow) until(what string, holds func() (bool, error)) {
	f.Helper()
	var last error
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		ok, err := holds()
		if ok {
			return
		}
		last = err
	}
	f.Fatalf("%s did not come: %v", what, last)
}

// One server for all, since a machine with two cores starts few of them in a second.
func TestWorkerWithARealServer(t *testing.T) {
	server := serve(t)
	for _, scheme := range []string{"http", "tcp"} { // alone, so that goroutines can be counted
		t.Run("NoGoroutineIsLeftBehind/"+scheme, func(t *testing.T) { noGoroutineIsLeftBehind(newFlow(t, server, scheme)) })
	}
	cases := map[string]func(f *flow){
		"EveryJobIsDoneOnce":             everyJobIsDoneOnce,
		"OutcomesReachTheServer":         outcomesReachTheServer,
		"APanicIsToldWithItsPlace":       aPanicIsToldWithItsPlace,
		"ACancelReachesTheHandler":       aCancelReachesTheHandler,
		"ProgressAndLogReachTheJob":      progressAndLogReachTheJob,
		"WhatHandlersPushIsWorkedOn":     whatHandlersPushIsWorkedOn,
		"AStoppedWorkerGivesItsJobsBack": aStoppedWorkerGivesItsJobsBack,
		"SIGTERMLetsRunningJobsEnd":      func(f *flow) { theFirstSignalLetsRunningJobsEnd(f, syscall.SIGTERM) },
		"SIGINTLetsRunningJobsEnd":       func(f *flow) { theFirstSignalLetsRunningJobsEnd(f, syscall.SIGINT) },
		"AfterTheGraceJobsAreGivenBack":  afterTheGraceJobsAreGivenBack,
		"TheSecondSignalEndsTheProcess":  theSecondSignalEndsTheProcess,
	}
	t.Run("all", func(t *testing.T) { // the server goes on until all of them have ended
		for name, run := range cases {
			for _, scheme := range []string{"http", "tcp"} {
				t.Run(name+"/"+scheme, func(t *testing.T) {
					t.Parallel()
					run(newFlow(t, server, scheme))
				})
			}
		}
		for _, scheme := range []string{"http", "tcp"} {
			t.Run("AHalfOpenConnectionIsLeft/"+scheme, func(t *testing.T) {
				t.Parallel()
				aHalfOpenConnectionIsLeft(newFlow(t, server, scheme), server, scheme)
			})
		}
	})
}

func everyJobIsDoneOnce(f *flow) {
	const count = 300
	items := make([]jobwire.PushItem, count)
	for n := range items {
		items[n] = jobwire.PushItem{Name: "double", Data: n}
	}
	pushed, err := f.client.PushBatch(context.Background(), f.queue, items, nil)
	if err != nil {
		f.Fatal(err)
	}
	double := func(_ context.Context, job *jobwire.Job) (any, error) {
		var n int
		err := job.Unmarshal(&n)
		return 2 * n, err
	}

	f.worker(jobwire.WorkerConfig{Concurrency: 20}, map[string]jobwire.HandlerFunc{"double": double})

	for n, one := range pushed {
		job := f.wait(one.ID, jobwire.StateCompleted)
		if string(job.Result) != fmt.Sprint(2*n) || job.Delivery != 1 {
			f.Errorf("want %d from the first delivery, got %s from delivery %d", 2*n, job.Result, job.Delivery)
		}
	}
}

func outcomesReachTheServer(f *flow) {
	returns := func(err error) jobwire.HandlerFunc {
		return func(context.Context, *jobwire.Job) (any, error) { return nil, err }
	}
	f.worker(jobwire.WorkerConfig{}, map[string]jobwire.HandlerFunc{
		"fail":    returns(errors.New("boom")),
		"discard": returns(jobwire.Discard(errors.New("never"))),
		"retry":   returns(jobwire.RetryIn(time.Hour, errors.New("later"))),
		"release": returns(jobwire.Release(time.Hour)),
	})
	late := &jobwire.PushOptions{BackoffDelay: time.Hour}
	cases := []struct {
		name, lastError string
		state           jobwire.JobState
		attempt         int
	}{
		{"fail", "boom", jobwire.StateDelayed, 1},
		{"discard", "never", jobwire.StateDLQ, 1},
		{"retry", "later", jobwire.StateDelayed, 1},
		{"release", "", jobwire.StateDelayed, 0},
		{"unknown", "no handler for 'unknown' on this worker; it has: discard, fail, release, retry", jobwire.StateDelayed, 1},
	}
	for _, one := range cases {
		job := f.wait(f.push(one.name, nil, late), one.state)

		if job.LastError != one.lastError || job.Attempt != one.attempt {
			f.Errorf("%s: want %q after %d attempts, got %q after %d", one.name, one.lastError, one.attempt, job.LastError, job.Attempt)
		}
	}
}

func panics(context.Context, *jobwire.Job) (any, error) {
	var nothing map[string]int
	nothing["x"] = 1
	return nil, nil
}

func aPanicIsToldWithItsPlace(f *flow) {
	f.worker(jobwire.WorkerConfig{}, map[string]jobwire.HandlerFunc{"panics": panics})

	job := f.wait(f.push("panics", nil, &jobwire.PushOptions{MaxAttempts: 1}), jobwire.StateDLQ)

	head, stack, _ := strings.Cut(job.LastError, "\n\n")
	if head != "panic: assignment to entry in nil map" {
		f.Errorf("want what the runtime says, got %q", head)
	}
	if !strings.HasPrefix(stack, "github.com/jobwire/jobwire/sdk-go_test.panics\n\t") || !strings.Contains(stack, "worker_live_test.go:") {
		f.Errorf("want the handler's frame first, got %q", stack)
	}
	if strings.Contains(stack, "callHandler") || strings.Contains(stack, "runtime.") {
		f.Errorf("want no frame of the worker and of the runtime, got %q", stack)
	}
}

func aCancelReachesTheHandler(f *flow) {
	entered, causes := make(chan bool, 1), make(chan error, 1)
	listens := func(ctx context.Context, _ *jobwire.Job) (any, error) {
		entered <- true
		<-ctx.Done()
		causes <- context.Cause(ctx)
		return nil, ctx.Err()
	}
	f.worker(jobwire.WorkerConfig{}, map[string]jobwire.HandlerFunc{"listens": listens}) // a heartbeat every 10 s
	id := f.push("listens", nil, nil)
	<-entered
	cancelled := time.Now()

	if _, err := f.client.Cancel(context.Background(), id); err != nil {
		f.Fatal(err)
	}

	if cause := <-causes; cause != jobwire.ErrJobCancelled {
		f.Errorf("want %v, got %v", jobwire.ErrJobCancelled, cause)
	}
	if took := time.Since(cancelled); took > 8*time.Second {
		f.Errorf("want it to hear before the next heartbeat, it took %v", took)
	}
	f.wait(id, jobwire.StateCancelled)
}

func progressAndLogReachTheJob(f *flow) {
	tells := func(ctx context.Context, _ *jobwire.Job) (any, error) {
		return nil, errors.Join(jobwire.Progress(ctx, 40, "resizing"), jobwire.Log(ctx, "still there"))
	}
	f.worker(jobwire.WorkerConfig{}, map[string]jobwire.HandlerFunc{"tells": tells})

	job := f.wait(f.push("tells", nil, nil), jobwire.StateCompleted)

	var lines []string
	for _, line := range job.Logs {
		lines = append(lines, line.Message)
	}
	if *job.Progress != 40 || !slices.Equal([]string{"resizing", "still there"}, lines) {
		f.Errorf("want 40 and two lines, got %d and %q", *job.Progress, lines)
	}
}

func whatHandlersPushIsWorkedOn(f *flow) {
	ids := make(chan string, 1)
	f.worker(jobwire.WorkerConfig{}, map[string]jobwire.HandlerFunc{
		"first": func(ctx context.Context, job *jobwire.Job) (any, error) {
			pushed, err := jobwire.ClientFromContext(ctx).Push(ctx, job.Queue, "second", nil, nil)
			if err == nil {
				ids <- pushed.ID
			}
			return nil, err
		},
		"second": func(context.Context, *jobwire.Job) (any, error) { return "done", nil },
	})

	f.wait(f.push("first", nil, nil), jobwire.StateCompleted)

	f.wait(<-ids, jobwire.StateCompleted)
}

func aStoppedWorkerGivesItsJobsBack(f *flow) {
	entered := make(chan bool, 1)
	listens := func(ctx context.Context, _ *jobwire.Job) (any, error) {
		entered <- true
		<-ctx.Done()
		return nil, fmt.Errorf("stopped: %w", ctx.Err())
	}
	w := f.worker(jobwire.WorkerConfig{Grace: jobwire.NoDelay}, map[string]jobwire.HandlerFunc{"listens": listens})
	id := f.push("listens", nil, nil)
	<-entered

	if err := w.Stop(context.Background()); err != nil {
		f.Error(err)
	}

	job, err := f.client.GetJob(context.Background(), id)
	if err != nil || job.State != jobwire.StateWaiting || job.Attempt != 0 || len(job.Errors) != 0 {
		f.Errorf("want it waiting and no attempt burnt, got %+v, %v", job, err)
	}
	workers, err := f.client.ListWorkers(context.Background())
	quiet := func(one jobwire.WorkerInfo) bool { return one.ID == w.ID() && one.State == "quiet" }
	if err != nil || !slices.ContainsFunc(workers, quiet) {
		f.Errorf("want the server to know that %s ends, got %+v, %v", w.ID(), workers, err)
	}
}
