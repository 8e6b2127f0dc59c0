package jobwire

import (
	"context"
	"fmt"
	"testing"
	"time"
)

func TestWorkerHasASlotBeforeItAsksForAJob(t *testing.T) {
	t.Parallel()
	server := newFakeServer()
	handler := newGate()
	server.push(job("a", "job", "1"), job("b", "job", "1"), job("c", "job", "1"))
	server.start(t, WorkerConfig{Concurrency: 2}, func(w *Worker) { w.Handle("job", handler.handle) })

	receive(t, handler.entered)
	receive(t, handler.entered)
	server.mu.Lock()
	waiting := len(server.ready)
	server.mu.Unlock()
	for range 3 {
		handler.leave <- nil
	}

	if waiting != 1 {
		t.Errorf("want one job to wait while both slots are taken, got %d", waiting)
	}
	server.waitEnded(t, "c", "ack")
	for _, call := range server.callsOf("pull") {
		if call.pull.Count < 1 || call.pull.Count > 2 {
			t.Errorf("want no pull for more jobs than slots, got %d", call.pull.Count)
		}
	}
}

func TestWorkerAsksForAsManyJobsAsItHasFreeSlots(t *testing.T) {
	t.Parallel()
	server := newFakeServer()
	handler := newGate()
	server.push(job("a", "job", "1"))
	server.start(t, WorkerConfig{Concurrency: 3}, func(w *Worker) { w.Handle("job", handler.handle) })

	receive(t, handler.entered)
	pulls := server.waitCalls(t, "pull", 2)
	handler.leave <- nil

	if pulls[0].pull.Count != 3 || pulls[1].pull.Count != 2 {
		t.Errorf("want 3 and then 2, got %d and %d", pulls[0].pull.Count, pulls[1].pull.Count)
	}
}

func TestAnIdleWorkerHoldsOnePullOpen(t *testing.T) {
	t.Parallel()
	server := newFakeServer()
	server.start(t, WorkerConfig{Concurrency: 1}, func(w *Worker) {
		w.Handle("job", func(context.Context, *Job) (any, error) { return nil, nil })
	})

	server.waitCalls(t, "pull", 1)
	server.push(job("j", "job", "1"))
	server.waitEnded(t, "j", "ack")

	pulls := server.callsOf("pull")
	if pulls[0].pull.Wait != 20*time.Second || len(pulls) > 2 {
		t.Errorf("want one pull of 20 s and at most one after the job, got %d, the first of %v", len(pulls), pulls[0].pull.Wait)
	}
}

func TestWorkerSendsItsSettingsWithThePull(t *testing.T) {
	t.Parallel()
	server := newFakeServer()
	config := WorkerConfig{
		Queues: []string{"a", "b"}, Weights: []int{3, 1}, Names: []string{"job"}, Lease: 12 * time.Second, WorkerID: "w1", Concurrency: 4,
		Wait: 3 * time.Second,
	}
	w := server.start(t, config, func(*Worker) {})

	pull := server.waitCalls(t, "pull", 1)[0]

	got := fmt.Sprint(pull.what, pull.pull.Weights, pull.pull.Names, pull.pull.Lease, pull.pull.WorkerID, pull.pull.Count, pull.pull.Wait)
	if want := "[a b][3 1] [job] 12sw14 3s"; got != want || pull.pull.RequestID == "" {
		t.Errorf("want %s and a request id, got %s and %q", want, got, pull.pull.RequestID)
	}
	if w.ID() != "w1" || w.String() != "<Worker w1 a,b running>" {
		t.Errorf("got %q, %v", w.ID(), w)
	}
}

func TestAPullWhoseAnswerWasLostIsAskedAgainAndBringsTheSameJobs(t *testing.T) {
	t.Parallel()
	server := newFakeServer()
	handler := newGate()
	server.push(job("j", "job", "1"))
	server.fail("pull", fakeFault{err: coded("CONNECTION_LOST"), after: true})
	server.start(t, WorkerConfig{Concurrency: 1}, func(w *Worker) { w.Handle("job", handler.handle) })

	receive(t, handler.entered)
	pulls := server.waitCalls(t, "pull", 2)
	handler.leave <- nil
	server.waitEnded(t, "j", "ack")

	if pulls[0].pull.RequestID != pulls[1].pull.RequestID {
		t.Errorf("want one request id, got %q and %q", pulls[0].pull.RequestID, pulls[1].pull.RequestID)
	}
	if pulls[1].pull.Wait != 0 {
		t.Errorf("want the pull after a failure not to be held, got %v", pulls[1].pull.Wait)
	}
}

func TestAPullThatFailsHasTheIdleConnectionForOutcomesLeft(t *testing.T) {
	t.Parallel()
	server := newFakeServer()
	server.push(job("j", "job", "1"))
	server.start(t, WorkerConfig{Concurrency: 1}, func(w *Worker) {
		w.Handle("job", func(context.Context, *Job) (any, error) { return nil, nil })
	})
	server.waitEnded(t, "j", "ack")

	server.fail("pull", fakeFault{err: coded("CONNECTION_LOST")})
	server.push(job("k", "job", "1"))

	server.wait(t, "the end of an idle connection", func() bool { return server.idled == 1 })
}

func TestADeafWorkersPullIsAskedAgainOverANewConnection(t *testing.T) {
	t.Parallel()
	server := newFakeServer()
	server.fail("pull", fakeFault{}) // it hangs
	server.start(t, WorkerConfig{Heartbeat: 50 * time.Millisecond}, func(w *Worker) {
		w.Handle("job", func(context.Context, *Job) (any, error) { return nil, nil })
	})
	server.waitCalls(t, "pull", 1)

	server.push(job("j", "job", "1"))
	server.tell(HeartbeatBatchResult{Deaf: true})

	server.waitEnded(t, "j", "ack")
	pulls := server.callsOf("pull")
	if pulls[0].pull.RequestID != pulls[1].pull.RequestID || pulls[0].conn == pulls[1].conn {
		t.Errorf("want the same request over another connection, got %+v and %+v", pulls[0], pulls[1])
	}
	if server.logged("fetching over a new connection") != 1 {
		t.Errorf("want one line in the log, got %q", server.lines)
	}
}

func TestAnOutageIsOneLineLostAndOneLineBack(t *testing.T) {
	t.Parallel()
	server := newFakeServer()
	handler := newGate()
	server.push(job("a", "job", "1"), job("b", "job", "1"))
	server.start(t, WorkerConfig{Concurrency: 3, Heartbeat: 50 * time.Millisecond}, func(w *Worker) { w.Handle("job", handler.handle) })
	receive(t, handler.entered)
	receive(t, handler.entered)
	server.waitCalls(t, "pull", 2)
	server.waitCalls(t, "heartbeat_batch", 1)

	server.update(func() { server.away = true })
	handler.leave <- nil // both end while the server is away
	handler.leave <- nil
	server.wait(t, "every loop's failure", func() bool {
		calls := server.calls[len(server.calls)-min(len(server.calls), 100):]
		seen := map[string]bool{}
		for _, call := range calls {
			seen[call.op] = true
		}
		return seen["ack_batch"] && seen["pull"] && len(server.of("pull")) >= 4
	})
	server.update(func() { server.away = false })

	server.waitEnded(t, "a", "ack")
	server.waitEnded(t, "b", "ack")
	server.push(job("late", "job", "1"))
	receive(t, handler.entered)
	handler.leave <- nil
	server.waitEnded(t, "late", "ack")
	server.waitCalls(t, "heartbeat_batch", len(server.callsOf("heartbeat_batch"))+2)
	if lost, back := server.logged("server lost"), server.logged("server reached again"); lost != 1 || back != 1 {
		t.Errorf("want one line each, got %d and %d in %q", lost, back, server.lines)
	}
}

func TestWorkerTakesNoMoreJobsThanItAskedFor(t *testing.T) {
	t.Parallel()
	server := newFakeServer()
	w := server.worker(t, WorkerConfig{Concurrency: 1})
	w.Handle("job", func(context.Context, *Job) (any, error) { return nil, nil })
	plan := &pullPlan{count: w.slots.ask()}
	w.plan = plan

	w.accept(context.Background(), plan, []*Job{job("a", "job", "1"), job("b", "job", "1")})
	w.runners.Wait()

	if w.held.len() != 1 || w.slots.held != 1 || w.plan != nil {
		t.Errorf("want one job held, got %d in %+v", w.held.len(), w.slots)
	}
}

// Where leases have no names, a job that was lost unnoticed may come back while its old handler still runs.
func TestAJobThatComesBackUnderTheSameNameTakesThePlaceOfTheOldOne(t *testing.T) {
	t.Parallel()
	server := newFakeServer()
	handler := newListener()
	w := server.start(t, WorkerConfig{Concurrency: 2}, func(w *Worker) {
		w.Handle("job", func(ctx context.Context, job *Job) (any, error) {
			if job.Attempt > 0 {
				return "by the second", nil
			}
			return handler.handle(ctx, job)
		})
	})
	server.update(func() { server.ready = append(server.ready, &Job{ID: "j", Name: "job"}) })
	receive(t, handler.entered)

	server.update(func() { server.ready = append(server.ready, &Job{ID: "j", Name: "job", Attempt: 1}) })

	if cause := receive(t, handler.cause); cause != ErrLeaseLost {
		t.Errorf("want %v, got %v", ErrLeaseLost, cause)
	}
	server.waitEnded(t, "j", `ack "by the second"`)
	if !w.mu.awaitFor(patience, func() bool { return w.slots.held == 0 }) || w.held.len() != 0 {
		t.Errorf("want both slots free, got %+v", w.slots)
	}
}
