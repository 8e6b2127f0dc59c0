package jobwire

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestHandleGivesTypedDataAndDiscardsAMisfit(t *testing.T) {
	t.Parallel()
	type welcome struct {
		To string `json:"to"`
	}
	server := newFakeServer()
	server.start(t, WorkerConfig{}, func(w *Worker) {
		Handle(w, "job", func(_ context.Context, job *JobOf[welcome]) (any, error) {
			return job.ID + " " + job.Data.To + " " + string(job.Job.Data), nil
		})
	})

	server.push(job("good", "job", `{"to":"ada"}`), job("bad", "job", `{"to":3}`))

	server.waitEnded(t, "good", `ack "good ada {\"to\":\"ada\"}"`)
	server.wait(t, "the misfit", func() bool {
		return strings.HasPrefix(server.ended["bad"], "fail the job's data does not fit jobwire.welcome: ") &&
			strings.HasSuffix(server.ended["bad"], " discard")
	})
}

func TestHandlePanicsForASecondHandlerAndAfterTheStart(t *testing.T) {
	t.Parallel()
	server := newFakeServer()
	w := server.start(t, WorkerConfig{}, func(w *Worker) {
		w.Handle("job", newGate().handle)
		if text := panicOf(func() { w.Handle("job", newGate().handle) }); !strings.Contains(text, `handler for "job" already`) {
			t.Errorf("want a panic about the second handler, got %q", text)
		}
		if text := panicOf(func() { w.Handle("nil", nil) }); !strings.Contains(text, "nil handler") {
			t.Errorf("want a panic about the nil handler, got %q", text)
		}
	})

	if text := panicOf(func() { w.Handle("late", newGate().handle) }); !strings.Contains(text, "before the worker starts") {
		t.Errorf("want a panic about the late handler, got %q", text)
	}
}

func panicOf(call func()) (text string) {
	defer func() { text = fmt.Sprint(recover()) }()
	call()
	return ""
}

func TestWrapGoesAroundEveryHandlerOnce(t *testing.T) {
	t.Parallel()
	server := newFakeServer()
	var mu sync.Mutex
	var seen []string
	wrapped := 0
	wrap := func(handler HandlerFunc) HandlerFunc {
		wrapped++
		return func(ctx context.Context, job *Job) (any, error) {
			mu.Lock()
			seen = append(seen, job.Name)
			mu.Unlock()
			return handler(ctx, job)
		}
	}
	server.start(t, WorkerConfig{Wrap: wrap}, func(w *Worker) {
		w.Handle("a", func(context.Context, *Job) (any, error) { return 1, nil })
		w.Handle("b", func(context.Context, *Job) (any, error) { return 2, nil })
	})

	server.push(job("j", "a", "1"), job("k", "b", "1"), job("l", "b", "1"))

	server.waitEnded(t, "j", "ack 1")
	server.waitEnded(t, "k", "ack 2")
	server.waitEnded(t, "l", "ack 2")
	mu.Lock()
	defer mu.Unlock()
	slices.Sort(seen)
	if !slices.Equal([]string{"a", "b", "b"}, seen) || wrapped != 2 {
		t.Errorf("want two handlers wrapped and three jobs seen, got %d, %v", wrapped, seen)
	}
}

func TestProgressAndLogReachTheJob(t *testing.T) {
	t.Parallel()
	server := newFakeServer()
	started := time.Now()
	server.start(t, WorkerConfig{}, func(w *Worker) {
		w.Handle("job", func(ctx context.Context, job *Job) (any, error) {
			end := LeaseExpiresAt(ctx).Sub(started)
			if end < 29*time.Second || end > time.Minute {
				return nil, fmt.Errorf("the lease ends %v after the start", end)
			}
			err := errors.Join(Log(ctx, "at first"), Progress(ctx, 40, "resizing"), Log(ctx, "still there"))
			return "told", err
		})
	})
	before := 7

	server.push(&Job{ID: "j", Name: "job", Progress: &before})

	server.waitEnded(t, "j", `ack "told"`)
	var got []string
	for _, call := range server.callsOf("progress") {
		got = append(got, call.what)
	}
	if want := []string{"j 7 at first", "j 40 resizing", "j 40 still there"}; !slices.Equal(want, got) {
		t.Errorf("want %q, got %q", want, got)
	}
}

func TestProgressPassesOverAnOutageAndTellsOtherErrors(t *testing.T) {
	t.Parallel()
	server := newFakeServer()
	server.fail("progress", fakeFault{err: coded("CONNECTION_LOST")}, fakeFault{err: coded("VALIDATION_ERROR")}, fakeFault{err: coded("LEASE_LOST")})
	results := make(chan error, 4)
	server.start(t, WorkerConfig{}, func(w *Worker) {
		w.Handle("job", func(ctx context.Context, job *Job) (any, error) {
			for percent := range 3 {
				results <- Progress(ctx, percent, "")
			}
			<-ctx.Done()
			results <- Progress(ctx, 4, "")
			return nil, nil
		})
	})

	server.push(job("j", "job", "1"))

	if err := receive(t, results); err != nil {
		t.Errorf("want nil where the server cannot be reached, got %v", err)
	}
	if err := receive(t, results); !errors.Is(err, ErrValidation) {
		t.Errorf("want the mistake, got %v", err)
	}
	for range 2 {
		if err := receive(t, results); !errors.Is(err, ErrLeaseLost) {
			t.Errorf("want ErrLeaseLost, got %v", err)
		}
	}
	if server.logged("progress of job j lost") != 1 {
		t.Errorf("want one line about the outage, got %q", server.lines)
	}
}

func TestOutsideOfAHandlerThereIsNoJob(t *testing.T) {
	t.Parallel()
	ctx := context.Background()

	if err := Progress(ctx, 1, ""); !errors.Is(err, errNoJob) {
		t.Errorf("got %v", err)
	}
	if err := Log(ctx, "x"); !errors.Is(err, errNoJob) {
		t.Errorf("got %v", err)
	}
	if got := LeaseExpiresAt(ctx); !got.IsZero() {
		t.Errorf("got %v", got)
	}
	if got := ClientFromContext(ctx); got != nil {
		t.Errorf("got %v", got)
	}
}

func TestHandlersSeeTheValuesOfTheWorkersContextAndTheirDeadline(t *testing.T) {
	t.Parallel()
	type key struct{}
	server := newFakeServer()
	w := server.worker(t, WorkerConfig{})
	w.Handle("job", func(ctx context.Context, job *Job) (any, error) {
		_, has := ctx.Deadline()
		return fmt.Sprint(ctx.Value(key{}), has), nil
	})
	if err := w.Start(context.WithValue(context.Background(), key{}, "value")); err != nil {
		t.Fatal(err)
	}

	server.push(job("j", "job", "1"), &Job{ID: "k", Name: "job", Timeout: time.Hour})

	server.waitEnded(t, "j", `ack "valuefalse"`)
	server.waitEnded(t, "k", `ack "valuetrue"`)
	if err := w.Stop(context.Background()); err != nil {
		t.Error(err)
	}
}
