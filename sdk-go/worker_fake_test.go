package jobwire

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jobwire/jobwire/sdk-go/internal/seam"
)

// patience is how long a test waits for what must come. It is long, since a machine may be busy, and costs nothing when all is well.
const patience = 20 * time.Second

// fakeCall is one call that came in, as its fields show it.
type fakeCall struct {
	op   string
	conn int // which connection, counted from 1
	what string
	pull *PullOptions
	beat *HeartbeatBatchOptions
}

// fakeServer plays the server for a worker: what it is told to do wrong it does in order, the rest works.
type fakeServer struct {
	mu     watchedMutex
	ready  []*Job
	given  map[string][]*Job // by request id
	ended  map[string]string // job id → how it was settled
	calls  []fakeCall
	opened int
	closed int
	idled  int // how often connections were closed because they were idle
	away   bool
	faults map[string][]fakeFault // by operation, the next first
	news   HeartbeatBatchResult   // for the next heartbeat that may be held
	listen map[int]noticeFunc
	hook   func(op string) // called for each call, without the lock; set before the worker runs
	lines  []string        // that were logged
}

// fakeFault is what goes wrong with one call: err comes back, after the work was done where it says so. Without err it hangs.
type fakeFault struct {
	err   error
	after bool
}

func newFakeServer() *fakeServer {
	return &fakeServer{
		given: make(map[string][]*Job), ended: make(map[string]string),
		faults: make(map[string][]fakeFault), listen: make(map[int]noticeFunc),
	}
}

// update changes the server under its lock, and wakes whoever waits for a change.
func (f *fakeServer) update(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
	f.mu.tell()
}

// wait fails the test when claim does not come to hold.
func (f *fakeServer) wait(t *testing.T, what string, claim func() bool) {
	t.Helper()
	if !f.mu.awaitFor(patience, claim) {
		f.mu.Lock()
		defer f.mu.Unlock()
		t.Fatalf("%s did not come; ended %v, calls %v, log %q", what, f.ended, f.calls, f.lines)
	}
}

func (f *fakeServer) waitEnded(t *testing.T, id, how string) {
	t.Helper()
	f.wait(t, id+" "+how, func() bool { return f.ended[id] == how })
}

func (f *fakeServer) waitCalls(t *testing.T, op string, count int) []fakeCall {
	t.Helper()
	f.wait(t, fmt.Sprintf("%d × %s", count, op), func() bool { return len(f.of(op)) >= count })
	return f.callsOf(op)
}

// of is the calls of an operation; the lock is held.
func (f *fakeServer) of(op string) []fakeCall {
	return slices.DeleteFunc(slices.Clone(f.calls), func(c fakeCall) bool { return c.op != op })
}

func (f *fakeServer) callsOf(op string) []fakeCall {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.of(op)
}

func (f *fakeServer) push(jobs ...*Job) {
	f.update(func() {
		for _, job := range jobs {
			job.Delivery++
			job.Lease = fmt.Sprintf("%d-%s", job.Delivery, job.ID)
			f.ready = append(f.ready, job)
		}
	})
}

func (f *fakeServer) fail(op string, faults ...fakeFault) {
	f.update(func() { f.faults[op] = append(f.faults[op], faults...) })
}

func (f *fakeServer) tell(news HeartbeatBatchResult) { f.update(func() { f.news = news }) }

func (f *fakeServer) logf(format string, args ...any) {
	f.update(func() { f.lines = append(f.lines, fmt.Sprintf(format, args...)) })
}

func (f *fakeServer) logged(text string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return strings.Count(strings.Join(f.lines, "\n"), text)
}

func (f *fakeServer) connect(connTimes) workerConn {
	conn := &fakeConn{server: f}
	f.update(func() { f.opened++; conn.number = f.opened })
	return conn
}

// start makes a worker of this server, and stops it when the test ends.
func (f *fakeServer) start(t *testing.T, config WorkerConfig, register func(w *Worker)) *Worker {
	t.Helper()
	w := f.worker(t, config)
	register(w)
	if err := w.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = w.Stop(context.Background())
		f.wait(t, "the end of all connections", func() bool { return f.opened == f.closed })
	})
	return w
}

// worker is one that does not run yet. Its reconnects are at once, for chance is 0.
func (f *fakeServer) worker(t *testing.T, config WorkerConfig) *Worker {
	t.Helper()
	if config.Queues == nil {
		config.Queues = []string{"q"}
	}
	options, err := checkOptions(&config)
	if err != nil {
		t.Fatal(err)
	}
	runtime := seam.Real()
	runtime.Random = func() float64 { return 0 }
	w := newWorker(&config, options, runtime, f.connect, processIDs.next, f.logf)
	w.progress = (&fakeConn{server: f}).Progress
	return w
}
