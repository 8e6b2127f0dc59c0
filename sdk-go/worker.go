package jobwire

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/jobwire/jobwire/sdk-go/internal/seam"
)

// Worker takes jobs from queues and runs a handler for each, several at a time, each in a goroutine of its own.
//
//	fetch goroutine ──▶ handler goroutines ──▶ settle goroutine        heart goroutine: leases, cancels, "you are deaf"
//	 (a slot first)                             (batches)
//
// It makes three connections of its own beside the client, which it never closes. It reconnects for ever: a restart of the server
// is a line in the log, not an exit. A Worker is safe for concurrent use, and runs once.
type Worker struct {
	client  *Client
	options *workerOptions
	wrap    WrapFunc
	onError func(error, *Job)
	// progress tells the server how far a job is, over the client's own connection.
	progress  func(ctx context.Context, job *Job, percent int, message string) error
	noSignals bool
	logf      logFunc
	runtime   *seam.Runtime
	connect   connectFunc
	newID     func() string

	held    *heldJobs
	link    *sharedLink
	settler *settler
	heart   *heart

	fatal    chan struct{}      // closed when the server refuses this worker for good
	draining context.Context    // ends when the worker takes no more jobs
	drain    context.CancelFunc // ends draining
	over     chan struct{}      // closed when Stop has done everything
	pacer    pacer              // of the fetch goroutine
	loops    sync.WaitGroup     // fetch, settle and heart
	runners  sync.WaitGroup     // the handlers

	// mu guards what follows, and tells of each change that somebody may wait for.
	mu        watchedMutex
	state     workerPhase
	handlers  handlerTable
	slots     jobSlots
	plan      *pullPlan         // the pull that has no answer yet
	active    map[*heldJob]bool // those whose handlers run
	fetching  bool              // the fetch goroutine has not ended
	leaveConn func()            // ends the fetching over this connection; nil before the first, as the next one
	interrupt func()            // ends the wait of the pull that is open
	lastPull  time.Time
	gaveUp    bool // Stop gave back jobs whose handlers still ran
	fatalErr  error
	endLoops  context.CancelFunc // made by Start, as the next one
	unwatch   func() bool        // stops watching the context of Start
}

// workerPhase is how far a worker is in its life; it only goes forward.
type workerPhase string

const (
	phaseNew      workerPhase = "new"
	phaseRunning  workerPhase = "running"
	phaseDraining workerPhase = "draining"
	phaseStopped  workerPhase = "stopped"
)

// ErrHandlersRunning is what Stop returns when handlers went on after they were told to stop. Their jobs were given back.
var ErrHandlersRunning = errors.New("jobwire: handlers did not stop, their jobs were given back")

// NewWorker is a worker of the server that client talks to. Register handlers, then call Run, or Start and Stop.
//
// It returns an ErrValidation for a setting that is out of its range. Nothing is connected or started yet.
func NewWorker(client *Client, config *WorkerConfig) (*Worker, error) {
	if client == nil || config == nil {
		return nil, invalid("", "a worker needs a client and a config that names a queue")
	}
	options, err := checkOptions(config)
	if err != nil {
		return nil, err
	}
	say := config.Logf
	if say == nil {
		say = client.logf
	}
	logf := func(format string, args ...any) { say("jobwire: "+format, args...) }
	if !client.endpoint.isTCP() {
		options.wait = min(options.wait, options.silence/2) // so that one that is lost stands out (JW-SDK-13)
	}
	w := newWorker(config, options, client.runtime, client.workerConn, client.newID, logf)
	w.client = client
	w.progress = client.WithOptions(&Options{Timeout: callTimeout, Retries: 1}).Progress
	return w, nil
}

func newWorker(
	config *WorkerConfig, options *workerOptions, runtime *seam.Runtime, connect connectFunc, newID func() string, logf logFunc,
) *Worker {
	w := &Worker{
		newID:     newID,
		options:   options,
		wrap:      config.Wrap,
		onError:   config.OnError,
		noSignals: config.NoSignals,
		logf:      logf,
		runtime:   runtime,
		connect:   connect,
		held:      newHeldJobs(),
		fatal:     make(chan struct{}),
		over:      make(chan struct{}),
		state:     phaseNew,
		handlers:  make(handlerTable),
		slots:     jobSlots{total: options.concurrency},
		active:    make(map[*heldJob]bool),
	}
	w.draining, w.drain = context.WithCancel(context.Background())
	w.link = &sharedLink{runtime: runtime, logf: logf, onFatal: w.refused}
	w.settler = newSettler(connect, newLedger(w.held, w.settled, logf), options, runtime, w.link)
	w.heart = &heart{
		connect: connect, held: w.held, options: options, runtime: runtime, link: w.link, logf: logf,
		report: w.report, onDeaf: w.fetchAnew, quiet: make(chan struct{}), hearing: hearing{interval: options.heartbeat},
	}
	return w
}

// Handle registers handler for the jobs named name; [Handle] does so with typed data.
//
// It panics when there is a handler for name already, and when the worker has been started.
func (w *Worker) Handle(name string, handler HandlerFunc) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.state != phaseNew {
		panic("jobwire: handlers are registered before the worker starts")
	}
	w.handlers.add(name, handler)
}

// ID is how the server shows this worker.
func (w *Worker) ID() string { return w.options.workerID }

// String is for logs and debuggers.
func (w *Worker) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return fmt.Sprintf("<Worker %s %s %s>", w.options.workerID, strings.Join(w.options.queues, ","), w.state)
}

// Run works until ctx ends, the process gets SIGTERM or SIGINT, or Stop is called; then it finishes what runs, for as long as the
// grace, and returns nil. A second signal ends the process at once. [WorkerConfig.NoSignals] leaves signals to the program.
//
// It returns an error when the server refuses the very first request for a reason that no retry mends (an [ErrAuth], say), when
// the worker was started before, and [ErrHandlersRunning].
//
// The handlers get a context with the values of ctx; its end does not end theirs, only the grace does.
func (w *Worker) Run(ctx context.Context) error {
	signals := w.listen()
	defer signals.stop()
	if err := w.Start(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
	case <-signals.first:
		signals.stop() // so that the second one does what it does by default: end the process
	case <-w.fatal:
	case <-w.draining.Done():
	}
	err := w.Stop(context.Background())
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fatalErr != nil {
		return w.fatalErr
	}
	return err
}

// Start works in the background until Stop, or until ctx ends, which drains as Stop does. The handlers get a context with the
// values of ctx; its end does not end theirs. It returns an error when the worker was started before.
func (w *Worker) Start(ctx context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.state != phaseNew {
		return fmt.Errorf("jobwire: the worker is %s; a worker runs once", w.state)
	}
	w.state = phaseRunning
	w.handlers = w.handlers.wrapped(w.wrap)
	base := context.WithoutCancel(ctx)
	loops, end := context.WithCancel(base)
	w.endLoops = end
	w.fetching = true
	w.loops.Add(3)
	go w.loop(func() { w.settler.run(loops) })
	go w.loop(func() { w.heart.run(loops) })
	go w.loop(func() { w.fetch(base) })
	w.unwatch = context.AfterFunc(ctx, func() { _ = w.Stop(context.Background()) }) // what it returns, a later Stop returns too
	w.logf("worker %s started, queues %s", w.options.workerID, strings.Join(w.options.queues, ","))
	return nil
}

func (w *Worker) loop(run func()) {
	defer w.loops.Done()
	run()
}

// Stop takes no more jobs, lets the running ones end until ctx is done, or for the grace when ctx has no deadline, and gives the
// rest back. It then takes a few seconds at most to tell the server.
//
// It returns nil when every handler ended, of itself or when it was told to, else [ErrHandlersRunning]. Idempotent; a second call
// waits for the first one's result. A handler or OnError must not wait for it, since it waits for them.
func (w *Worker) Stop(ctx context.Context) error {
	w.mu.Lock()
	before := w.state
	if before == phaseNew || before == phaseRunning {
		w.state = phaseDraining
	}
	w.mu.Unlock()
	switch before {
	case phaseNew:
		w.drain()
		w.end()
	case phaseRunning:
		w.unwatch()
		w.drainAll(ctx)
		w.end()
	}
	<-w.over
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.gaveUp {
		return ErrHandlersRunning
	}
	return nil
}

func (w *Worker) end() {
	w.mu.Lock()
	w.state = phaseStopped
	w.mu.Unlock()
	close(w.over)
}
