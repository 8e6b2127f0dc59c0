package jobwire

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"
)

const beat = 50 * time.Millisecond

func TestHeartbeatsCarryTheLeasesAndHowTheWorkerIs(t *testing.T) {
	t.Parallel()
	server := newFakeServer()
	handler := newGate()
	server.start(t, WorkerConfig{Concurrency: 3, Heartbeat: beat, WorkerID: "w1"}, func(w *Worker) { w.Handle("job", handler.handle) })

	server.push(job("j", "job", "1"))
	receive(t, handler.entered)
	beats := server.waitCalls(t, "heartbeat_batch", len(server.callsOf("heartbeat_batch"))+2)
	handler.leave <- nil

	last := beats[len(beats)-1]
	report := last.beat.Worker
	got := fmt.Sprintln(last.what, last.beat.Wait, report.ID, report.Queues, report.Concurrency, *report.Free, report.State)
	if want := "[1-j] 50ms w1 [q] 3 2 running\n"; got != want || report.LastPull == nil || *report.LastPull < 0 {
		t.Errorf("want %s, got %s", want, got)
	}
}

func TestHeartbeatsMoveTheEndOfALease(t *testing.T) {
	t.Parallel()
	server := newFakeServer()
	renewed := make(chan bool, 1)
	server.start(t, WorkerConfig{Heartbeat: beat}, func(w *Worker) {
		w.Handle("job", func(ctx context.Context, _ *Job) (any, error) {
			first := LeaseExpiresAt(ctx)
			for !LeaseExpiresAt(ctx).After(first) {
				time.Sleep(time.Millisecond)
			}
			renewed <- true
			return nil, nil
		})
	})

	server.push(job("j", "job", "1"))

	receive(t, renewed)
}

func TestHandlersHearOnOneSignalThatTheyShouldStop(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		stop  func(server *fakeServer)
		cause error
		want  string
	}{
		{"CancelByHeartbeat", func(s *fakeServer) { s.tell(HeartbeatBatchResult{Cancelled: []string{"j"}}) }, ErrJobCancelled, "release 0s"},
		{"CancelByNotice", func(s *fakeServer) { s.say("job.cancel", "j", "1-j") }, ErrJobCancelled, "release 0s"},
		{"LostByHeartbeat", func(s *fakeServer) { s.tell(HeartbeatBatchResult{Lost: []string{"j"}}) }, ErrLeaseLost, ""},
		{"LostByNotice", func(s *fakeServer) { s.say("lease.lost", "j", "1-j") }, ErrLeaseLost, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			server := newFakeServer()
			handler := newListener()
			server.start(t, WorkerConfig{Concurrency: 1, Heartbeat: beat}, func(w *Worker) {
				w.Handle("job", handler.handle)
				w.Handle("next", func(context.Context, *Job) (any, error) { return nil, nil })
			})
			server.push(job("j", "job", "1"))
			receive(t, handler.entered)
			server.waitBeatWith(t, "[1-j]")

			server.say("job.cancel", "j", "older lease")
			server.say("what.this.version.does.not.know", "j", "1-j")
			test.stop(server)

			if cause := receive(t, handler.cause); cause != test.cause {
				t.Errorf("want %v, got %v", test.cause, cause)
			}
			server.push(job("k", "next", "1"))
			server.waitEnded(t, "k", "ack") // after the only slot is free again
			server.wait(t, "the outcome", func() bool { return server.ended["j"] == test.want })
		})
	}
}

func TestAJobThatTakesLongerThanItsTimeoutIsStopped(t *testing.T) {
	t.Parallel()
	server := newFakeServer()
	handler := newListener()
	server.start(t, WorkerConfig{}, func(w *Worker) { w.Handle("job", handler.handle) })

	server.push(&Job{ID: "j", Name: "job", Timeout: 20 * time.Millisecond})

	if cause := receive(t, handler.cause); cause != ErrJobTimeout {
		t.Errorf("want %v, got %v", ErrJobTimeout, cause)
	}
	server.waitEnded(t, "j", "fail job timed out")
}

func TestAServerOfVersionOneGetsHeartbeatsOneByOne(t *testing.T) {
	t.Parallel()
	server := newFakeServer()
	handler := newListener()
	server.fail("heartbeat_batch", fakeFault{err: coded("UNKNOWN_COMMAND")})
	server.start(t, WorkerConfig{Concurrency: 1, Heartbeat: beat}, func(w *Worker) { w.Handle("job", handler.handle) })
	server.push(job("j", "job", "1"))
	receive(t, handler.entered)

	server.waitCalls(t, "heartbeat", 2)
	server.fail("heartbeat", fakeFault{err: coded("LEASE_LOST")})

	if cause := receive(t, handler.cause); cause != ErrLeaseLost {
		t.Errorf("want %v, got %v", ErrLeaseLost, cause)
	}
	if got := len(server.callsOf("heartbeat_batch")); got != 1 {
		t.Errorf("want one batch, got %d", got)
	}
}

func TestMoreLeasesThanOneBatchHoldsGoInSeveral(t *testing.T) {
	t.Parallel()
	server := newFakeServer()
	w := server.worker(t, WorkerConfig{Concurrency: 2500})
	for n := range 2100 {
		_, held := newHeldJob(context.Background(), &Job{ID: fmt.Sprint("j", n)}, time.Now())
		w.held.add(held)
	}
	conn := &fakeConn{server: server}
	// Its state is quiet, so that the last batch is not held.

	answer, err := w.heart.send(context.Background(), conn, w.held.leased(), workerState{quiet: true})

	if err != nil {
		t.Fatal(err)
	}
	var withReport []bool
	for _, call := range server.callsOf("heartbeat_batch") {
		withReport = append(withReport, call.beat != nil)
	}
	if !slices.Equal([]bool{false, false, true}, withReport) || len(answer.Results) != 2100 {
		t.Errorf("want three batches, the last with the report, got %v with %d results", withReport, len(answer.Results))
	}
}

// say sends a notice over every connection that listens.
func (f *fakeServer) say(name, id, lease string) {
	f.mu.Lock()
	var listeners []noticeFunc
	for _, listen := range f.listen {
		listeners = append(listeners, listen)
	}
	f.mu.Unlock()
	for _, listen := range listeners {
		listen(notice{name: name, id: id, lease: lease})
	}
}

// waitBeatWith waits for a heartbeat with these leases, so that news about them counts.
func (f *fakeServer) waitBeatWith(t *testing.T, leases string) {
	t.Helper()
	f.wait(t, "a heartbeat with "+leases, func() bool {
		return slices.ContainsFunc(f.of("heartbeat_batch"), func(c fakeCall) bool { return c.what == leases })
	})
}
