package jobwire

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"
)

// job is one of the queue q; data is JSON.
func job(id, name, data string) *Job {
	return &Job{ID: id, Queue: "q", Name: name, Data: []byte(data), State: "active"}
}

// gate is a handler that says when it runs, and ends when the test lets it.
type gate struct {
	entered chan *Job
	leave   chan error
}

func newGate() *gate { return &gate{entered: make(chan *Job, 100), leave: make(chan error, 100)} }

func (g *gate) handle(_ context.Context, job *Job) (any, error) {
	g.entered <- job
	return nil, <-g.leave
}

// listener is a handler that runs until it is asked to stop, and tells the cause.
type listener struct {
	entered chan *Job
	cause   chan error
}

func newListener() *listener {
	return &listener{entered: make(chan *Job, 100), cause: make(chan error, 100)}
}

func (l *listener) handle(ctx context.Context, job *Job) (any, error) {
	l.entered <- job
	<-ctx.Done()
	l.cause <- context.Cause(ctx)
	return nil, ctx.Err()
}

// receive fails the test when nothing comes.
func receive[T any](t *testing.T, from <-chan T) T {
	t.Helper()
	select {
	case value := <-from:
		return value
	case <-time.After(patience):
		t.Fatal("nothing came")
		panic("unreachable")
	}
}

func TestWorkerRunsHandlersAndKeepsWhatTheyReturn(t *testing.T) {
	t.Parallel()
	server := newFakeServer()
	server.start(t, WorkerConfig{}, func(w *Worker) {
		w.Handle("job", func(_ context.Context, job *Job) (any, error) { return "did " + job.ID, nil })
	})

	for n := range 20 {
		server.push(job(fmt.Sprint("j", n), "job", "1"))
	}

	for n := range 20 {
		server.waitEnded(t, fmt.Sprint("j", n), fmt.Sprintf(`ack "did j%d"`, n))
	}
}

func TestWorkerSettlesAsTheHandlerAsks(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		handler func() (any, error)
		want    string
	}{
		{"AnErrorFails", func() (any, error) { return nil, errors.New("boom") }, "fail boom"},
		{"Discard", func() (any, error) { return nil, Discard(errors.New("never")) }, "fail never discard"},
		{"RetryIn", func() (any, error) { return nil, RetryIn(time.Hour, errors.New("later")) }, "fail later retry in 1h0m0s"},
		{"Release", func() (any, error) { return nil, Release(time.Hour) }, "release 1h0m0s"},
		{"Goexit", func() (any, error) { runtime.Goexit(); return nil, nil }, "fail " + errGoexit.Error()},
		{"AChannelAsResult", func() (any, error) { return make(chan int), nil },
			"fail the handler's result cannot be kept: VALIDATION_ERROR: result cannot be sent as JSON: chan int has no JSON"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			server := newFakeServer()
			server.start(t, WorkerConfig{Concurrency: 1}, func(w *Worker) {
				w.Handle("job", func(context.Context, *Job) (any, error) { return test.handler() })
				w.Handle("next", func(context.Context, *Job) (any, error) { return nil, nil })
			})

			server.push(job("j", "job", "1"), job("k", "next", "1"))

			server.waitEnded(t, "j", test.want)
			server.waitEnded(t, "k", "ack") // the slot is free again
		})
	}
}

func TestWorkerFailsAPanicWithItsStackAndReportsIt(t *testing.T) {
	t.Parallel()
	server := newFakeServer()
	reported := make(chan error, 1)
	config := WorkerConfig{OnError: func(err error, job *Job) {
		reported <- fmt.Errorf("%s: %w", job.ID, err)
		panic("a panic in OnError stops nothing")
	}}
	boom := errors.New("boom")
	server.start(t, config, func(w *Worker) {
		w.Handle("job", func(context.Context, *Job) (any, error) { panic(boom) })
	})

	server.push(job("j", "job", "1"))

	err := receive(t, reported)
	var panicked *PanicError
	if !errors.As(err, &panicked) || !errors.Is(err, boom) || err.Error() != "j: panic: boom" {
		t.Errorf("want a PanicError of boom, got %v", err)
	}
	server.wait(t, "the failure", func() bool { return strings.HasPrefix(server.ended["j"], "fail panic: boom") })
	if server.logged("OnError panicked") != 1 {
		t.Errorf("want the panic of OnError in the log, got %q", server.lines)
	}
}

func TestWorkerFailsAJobWithoutAHandler(t *testing.T) {
	t.Parallel()
	server := newFakeServer()
	server.start(t, WorkerConfig{}, func(w *Worker) { w.Handle("other", newGate().handle) })

	server.push(job("j", "job", "1"))

	server.waitEnded(t, "j", "fail no handler for 'job' on this worker; it has: other")
}
