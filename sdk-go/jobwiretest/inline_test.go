package jobwiretest_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jobwire/jobwire/sdk-go"
	"github.com/jobwire/jobwire/sdk-go/jobwiretest"
)

// inlineOf is an inline client with handlers.
func inlineOf(t *testing.T, handlers map[string]jobwire.HandlerFunc) *jobwiretest.Inline {
	t.Helper()
	inline := jobwiretest.NewInline(t)
	inline.Use(workerOf(t, inline.Client, handlers))
	return inline
}

func pushInline(t *testing.T, inline *jobwiretest.Inline, name string, data any, options *jobwire.PushOptions) string {
	t.Helper()
	pushed, err := inline.Push(context.Background(), "any", name, data, options)
	must(t, err)
	return pushed.ID
}

func TestAnInlinePushRunsTheHandlerBeforeItReturns(t *testing.T) {
	t.Parallel()
	inline := inlineOf(t, map[string]jobwire.HandlerFunc{"job": returning(42, nil)})

	id := pushInline(t, inline, "job", nil, nil)

	outcomes := inline.Outcomes()
	job, err := inline.GetJob(context.Background(), id)
	must(t, err)
	if len(outcomes) != 1 || outcomes[0].Kind != jobwiretest.KindAck || string(job.Result) != "42" || job.State != jobwire.StateCompleted {
		t.Errorf("got %v, %+v", outcomes, job)
	}
}

func TestAHandlerMayPushMoreJobsWhichRunFirst(t *testing.T) {
	t.Parallel()
	var order []string
	inline := inlineOf(t, map[string]jobwire.HandlerFunc{
		"parent": func(ctx context.Context, _ *jobwire.Job) (any, error) {
			_, err := jobwire.ClientFromContext(ctx).Push(ctx, "q", "child", nil, nil)
			order = append(order, "parent")
			return nil, err
		},
		"child": func(context.Context, *jobwire.Job) (any, error) {
			order = append(order, "child")
			return nil, nil
		},
	})

	pushInline(t, inline, "parent", nil, nil)

	if want := []string{"child", "parent"}; !slices.Equal(want, order) {
		t.Errorf("got %v", order)
	}
}

func TestInlinePushesAtTheSameTimeHaveEachRunTheirJob(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	ran := map[string]bool{}
	inline := inlineOf(t, map[string]jobwire.HandlerFunc{
		"job": func(_ context.Context, job *jobwire.Job) (any, error) {
			mu.Lock()
			defer mu.Unlock()
			ran[job.ID] = true
			return nil, nil
		},
	})
	var pushes sync.WaitGroup
	for range 20 {
		pushes.Add(1)
		go func() {
			defer pushes.Done()
			pushed, err := inline.Push(context.Background(), "q", "job", nil, nil)
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			if !ran[pushed.ID] {
				t.Errorf("%s has not run", pushed.ID)
			}
		}()
	}
	pushes.Wait()
}

func TestAHandlerThatPushesTheJobThatItHasDoesNotWaitForItself(t *testing.T) {
	t.Parallel()
	options := &jobwire.PushOptions{UniqueKey: "k", OnConflict: "ignore"}
	inline := inlineOf(t, map[string]jobwire.HandlerFunc{
		"job": func(ctx context.Context, _ *jobwire.Job) (any, error) {
			pushed, err := jobwire.ClientFromContext(ctx).Push(ctx, "any", "job", nil, options)
			if err != nil {
				return nil, err
			}
			return pushed.Outcome, nil
		},
	})

	pushInline(t, inline, "job", nil, options)

	if result := inline.Outcomes()[0].Result; string(result) != `"existing"` {
		t.Errorf("got %s", result)
	}
}

func TestInlineDelaysAndRetriesRunWhenTheClockMoves(t *testing.T) {
	t.Parallel()
	var attempts []int
	inline := inlineOf(t, map[string]jobwire.HandlerFunc{
		"flaky": func(_ context.Context, job *jobwire.Job) (any, error) {
			attempts = append(attempts, job.Attempt)
			if job.Attempt < 2 {
				return nil, errors.New("broken")
			}
			return nil, nil
		},
	})
	id := pushInline(t, inline, "flaky", nil, &jobwire.PushOptions{Delay: 10 * time.Second})
	if attempts != nil {
		t.Errorf("got %v", attempts)
	}

	for _, d := range []time.Duration{10 * time.Second, time.Second, 2 * time.Second} {
		must(t, inline.Advance(context.Background(), d))
	}

	job, err := inline.GetJob(context.Background(), id)
	must(t, err)
	if !slices.Equal([]int{0, 1, 2}, attempts) || job.State != jobwire.StateCompleted {
		t.Errorf("got %v, %s", attempts, job.State)
	}
}

func TestAnInlineClientRefusesWhatAServerRefusesAndKeepsPayloads(t *testing.T) {
	t.Parallel()
	inline := jobwiretest.NewInline(t)
	id := pushInline(t, inline, "job", json.RawMessage(`[1.0,18446744073709551616]`), nil)

	job, err := inline.GetJob(context.Background(), id)
	must(t, err)
	if string(job.Data) != `[1.0,18446744073709551616]` || job.State != jobwire.StateWaiting || len(inline.Outcomes()) != 0 {
		t.Errorf("got %+v", job)
	}
	_, err = inline.Push(context.Background(), "any", "job", nil, &jobwire.PushOptions{ID: id})
	expectCode(t, err, "ID_CONFLICT")
	must(t, inline.Close())
	_, err = inline.GetJob(context.Background(), id)
	expectCode(t, err, "CLIENT_CLOSED")
}

func TestAnInlineClockStartsWhereItIsTold(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 678_000_000, time.UTC)
	inline := jobwiretest.StartInline(now)
	defer inline.Close()
	inline.Use(workerOf(t, inline.Client, map[string]jobwire.HandlerFunc{"job": returning(nil, nil)}))

	_, err := inline.PushBatch(context.Background(), "q", []jobwire.PushItem{{Name: "job"}, {Name: "job"}}, nil)

	must(t, err)
	outcomes := inline.Outcomes()
	if len(outcomes) != 2 || !outcomes[0].Job.CreatedAt.Equal(now) {
		t.Errorf("got %v", outcomes)
	}
}

func TestAnInlineClientWantsItsOwnWorkers(t *testing.T) {
	t.Parallel()
	worker := workerOf(t, dial(t, jobwiretest.NewServer(t), "http"), nil)
	defer func() {
		if recover() == nil {
			t.Error("it did not panic")
		}
	}()
	jobwiretest.NewInline(t).Use(worker)
}
