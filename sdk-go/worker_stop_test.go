package jobwire

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

// stopping calls Stop in the background.
func stopping(w *Worker, ctx context.Context) <-chan error {
	result := make(chan error, 1)
	go func() { result <- w.Stop(ctx) }()
	return result
}

// soon is a context whose deadline has passed: the grace is over at once.
func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithDeadline(context.Background(), time.Now())
	t.Cleanup(cancel)
	return ctx
}

func (f *fakeServer) waitQuiet(t *testing.T) {
	t.Helper()
	f.wait(t, "a quiet heartbeat", func() bool {
		for _, call := range f.of("heartbeat_batch") {
			if call.beat.Worker.State == "quiet" && *call.beat.Worker.Free == 0 {
				return true
			}
		}
		return false
	})
}

func TestStopWaitsForRunningJobsAndTakesNoNewOnes(t *testing.T) {
	t.Parallel()
	server := newFakeServer()
	handler := newGate()
	w := server.start(t, WorkerConfig{Concurrency: 2}, func(w *Worker) { w.Handle("job", handler.handle) })
	server.push(job("j", "job", "1"))
	receive(t, handler.entered)

	result := stopping(w, context.Background())
	server.waitQuiet(t)
	if !w.mu.awaitFor(patience, func() bool { return !w.fetching }) {
		t.Fatal("the fetching does not end")
	}
	server.push(job("late", "job", "1"))
	handler.leave <- nil

	if err := receive(t, result); err != nil {
		t.Errorf("want nil, got %v", err)
	}
	if server.ended["j"] != "ack" || server.ended["late"] != "" {
		t.Errorf("want one job acked and the other left alone, got %v", server.ended)
	}
}

func TestStopTellsTheServerThatAnIdleWorkerEnds(t *testing.T) {
	t.Parallel()
	server := newFakeServer()
	w := server.start(t, WorkerConfig{}, func(*Worker) {})
	server.waitCalls(t, "pull", 1)

	if err := w.Stop(context.Background()); err != nil {
		t.Error(err)
	}

	server.waitQuiet(t)
}

func TestStopGivesBackWhatHearsTheEndOfTheGrace(t *testing.T) {
	t.Parallel()
	server := newFakeServer()
	handler := newListener()
	w := server.start(t, WorkerConfig{}, func(w *Worker) { w.Handle("job", handler.handle) })
	server.push(job("j", "job", "1"))
	receive(t, handler.entered)

	err := w.Stop(soon(t))

	if cause := receive(t, handler.cause); cause != ErrShutdown || err != nil {
		t.Errorf("want %v and nil, got %v and %v", ErrShutdown, cause, err)
	}
	if got := server.ended["j"]; got != "release 0s" {
		t.Errorf("want the job released, got %q", got)
	}
}

func TestStopGivesBackWhatDoesNotHearItAndDropsWhatThatReturns(t *testing.T) {
	t.Parallel()
	server := newFakeServer()
	handler := newGate()
	w := server.worker(t, WorkerConfig{Grace: NoDelay})
	w.Handle("job", handler.handle)
	if err := w.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	server.push(job("j", "job", "1"))
	receive(t, handler.entered)

	first, second := stopping(w, context.Background()), stopping(w, context.Background())

	for _, result := range []<-chan error{first, second} {
		if err := receive(t, result); !errors.Is(err, ErrHandlersRunning) {
			t.Errorf("want %v, got %v", ErrHandlersRunning, err)
		}
	}
	handler.leave <- nil
	w.runners.Wait()
	if got := server.ended["j"]; got != "release 0s" || len(server.callsOf("ack_batch")) > 0 {
		t.Errorf("want the job released and nothing else, got %q", got)
	}
}

func TestStopGivesBackTheJobsOfAPullWhoseAnswerWasLost(t *testing.T) {
	t.Parallel()
	server := newFakeServer()
	server.push(job("j", "job", "1"))
	server.fail("pull", fakeFault{err: &Error{Code: "OVERLOADED", Retryable: true, RetryAfter: time.Hour}, after: true})
	w := server.start(t, WorkerConfig{}, func(w *Worker) { w.Handle("job", newGate().handle) })
	server.wait(t, "the loss", func() bool { return len(server.lines) > 1 })

	if err := w.Stop(context.Background()); err != nil {
		t.Error(err)
	}

	if got := server.ended["j"]; got != "release 0s" {
		t.Errorf("want the job released, got %q", got)
	}
}

func TestStopDoesNotWaitForAPullThatIsNotAnswered(t *testing.T) {
	t.Parallel()
	server := newFakeServer()
	server.fail("pull", fakeFault{}, fakeFault{}) // also the one that asks again
	w := server.start(t, WorkerConfig{}, func(*Worker) {})
	server.waitCalls(t, "pull", 1)

	if err := receive(t, stopping(w, context.Background())); err != nil {
		t.Error(err)
	}

	if got := server.logged("the last pull stays unanswered"); got != 1 {
		t.Errorf("want a line in the log, got %q", server.lines)
	}
}

func TestAWorkerRunsOnceAndStopsAsOftenAsOneLikes(t *testing.T) {
	t.Parallel()
	server := newFakeServer()
	w := server.start(t, WorkerConfig{}, func(*Worker) {})

	for range 2 {
		if err := w.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	}

	for _, err := range []error{w.Start(context.Background()), w.Run(context.Background())} {
		if err == nil || !strings.Contains(err.Error(), "stopped; a worker runs once") {
			t.Errorf("want a refusal, got %v", err)
		}
	}
}

func TestAWorkerThatNeverStartedStopsAtOnce(t *testing.T) {
	t.Parallel()
	server := newFakeServer()
	w := server.worker(t, WorkerConfig{})

	if err := w.Stop(context.Background()); err != nil || w.Start(context.Background()) == nil {
		t.Errorf("want it stopped for good, got %v", err)
	}
}

func TestTheEndOfStartsContextDrains(t *testing.T) {
	t.Parallel()
	server := newFakeServer()
	handler := newGate()
	w := server.worker(t, WorkerConfig{})
	w.Handle("job", handler.handle)
	ctx, cancel := context.WithCancel(context.Background())
	if err := w.Start(ctx); err != nil {
		t.Fatal(err)
	}
	server.push(job("j", "job", "1"))
	receive(t, handler.entered)

	cancel()
	server.waitQuiet(t)
	handler.leave <- nil

	receive(t, w.over)
	if err := w.Stop(context.Background()); err != nil || server.ended["j"] != "ack" {
		t.Errorf("want the running job to end first, got %v, %v", err, server.ended)
	}
}

func TestRunEnds(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		end  func(server *fakeServer, w *Worker, cancel context.CancelFunc)
		want error
	}{
		{"WithItsContext", func(_ *fakeServer, _ *Worker, cancel context.CancelFunc) { cancel() }, nil},
		{"WithStop", func(_ *fakeServer, w *Worker, _ context.CancelFunc) { _ = w.Stop(context.Background()) }, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			server := newFakeServer()
			w := server.worker(t, WorkerConfig{NoSignals: true})
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			result := make(chan error, 1)
			go func() { result <- w.Run(ctx) }()
			server.waitCalls(t, "pull", 1)

			test.end(server, w, cancel)

			if err := receive(t, result); !errors.Is(err, test.want) {
				t.Errorf("want %v, got %v", test.want, err)
			}
		})
	}
}

func TestRunEndsWithTheErrorOfAServerThatRefusesTheWorker(t *testing.T) {
	t.Parallel()
	server := newFakeServer()
	refusal := fakeFault{err: coded("UNAUTHORIZED")}
	for range 100 {
		server.fail("pull", refusal)
		server.fail("heartbeat_batch", refusal)
	}
	var told []error
	w := server.worker(t, WorkerConfig{NoSignals: true, OnError: func(err error, job *Job) {
		if job == nil {
			told = append(told, err)
		}
	}})

	err := w.Run(context.Background())

	if !errors.Is(err, ErrAuth) || len(told) != 1 || !errors.Is(told[0], ErrAuth) {
		t.Errorf("want ErrAuth, told once, got %v, %v", err, told)
	}
}

func TestTwoWorkersOfOneProcessShareNothing(t *testing.T) {
	t.Parallel()
	servers := []*fakeServer{newFakeServer(), newFakeServer()}
	var workers []*Worker
	for n, server := range servers {
		workers = append(workers, server.start(t, WorkerConfig{}, func(w *Worker) {
			w.Handle("job", func(context.Context, *Job) (any, error) { return n, nil })
		}))
	}

	if err := workers[0].Stop(context.Background()); err != nil {
		t.Error(err)
	}
	servers[1].push(job("j", "job", "1"))

	servers[1].waitEnded(t, "j", "ack 1")
	if workers[0].ID() == workers[1].ID() {
		t.Errorf("want two ids, got %q twice", workers[0].ID())
	}
}
