package jobwiretest_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jobwire/jobwire/sdk-go"
	"github.com/jobwire/jobwire/sdk-go/jobwiretest"
)

// workerOf is a worker of client for the queue q, with handlers.
func workerOf(t *testing.T, client *jobwire.Client, handlers map[string]jobwire.HandlerFunc) *jobwire.Worker {
	t.Helper()
	worker, err := jobwire.NewWorker(client, &jobwire.WorkerConfig{Queues: []string{"q"}})
	must(t, err)
	for name, handler := range handlers {
		worker.Handle(name, handler)
	}
	return worker
}

func returning(value any, err error) jobwire.HandlerFunc {
	return func(context.Context, *jobwire.Job) (any, error) { return value, err }
}

func workOne(t *testing.T, worker *jobwire.Worker) *jobwiretest.Outcome {
	t.Helper()
	outcome, err := jobwiretest.WorkOne(context.Background(), worker, 0)
	must(t, err)
	return outcome
}

func TestWorkOneRunsOneJobAndTellsTheServer(t *testing.T) {
	onBothDoors(t, func(t *testing.T, server *jobwiretest.Server, client *jobwire.Client) {
		first, second := push(t, client, nil), push(t, client, nil)
		worker := workerOf(t, client, map[string]jobwire.HandlerFunc{"job": returning(42, nil)})

		outcome := workOne(t, worker)

		if outcome.Job.ID != first || outcome.Kind != jobwiretest.KindAck || string(outcome.Result) != "42" || outcome.Err != nil {
			t.Errorf("got %+v", outcome)
		}
		if done, rest := server.Job(first), server.Job(second); done.State != jobwire.StateCompleted || rest.State != jobwire.StateWaiting {
			t.Errorf("%s, %s", done.State, rest.State)
		}
	})
}

func TestWorkOneIsNilWithoutAJob(t *testing.T) {
	t.Parallel()
	server := jobwiretest.NewServer(t)
	if outcome := workOne(t, workerOf(t, dial(t, server, "http"), nil)); outcome != nil {
		t.Errorf("got %+v", outcome)
	}
}

func TestWorkOneSettlesAsAWorkerDoes(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	for _, row := range []struct {
		err   error
		kind  jobwiretest.OutcomeKind
		text  string
		state jobwire.JobState
	}{
		{broken, jobwiretest.KindFail, "broken", jobwire.StateDelayed},
		{jobwire.RetryIn(time.Minute, broken), jobwiretest.KindFail, "broken", jobwire.StateDelayed},
		{jobwire.Discard(broken), jobwiretest.KindDiscard, "broken", jobwire.StateDLQ},
		{jobwire.Release(time.Second), jobwiretest.KindRelease, "", jobwire.StateDelayed},
	} {
		server := jobwiretest.NewServer(t)
		client := dial(t, server, "tcp")
		id := push(t, client, nil)

		outcome := workOne(t, workerOf(t, client, map[string]jobwire.HandlerFunc{"job": returning(nil, row.err)}))

		state := server.Job(id).State
		if outcome.Kind != row.kind || outcome.Failure != row.text || outcome.Err != row.err || state != row.state {
			t.Errorf("%v: got %+v, %s", row.err, outcome, state)
		}
	}
}

func TestWorkOneFailsAJobWithoutAHandlerAndOneWhosePanics(t *testing.T) {
	t.Parallel()
	server := jobwiretest.NewServer(t)
	client := dial(t, server, "http")
	push(t, client, nil)
	push(t, client, nil)

	unknown := workOne(t, workerOf(t, client, nil))
	panicking := func(context.Context, *jobwire.Job) (any, error) { panic("ouch") }
	panicked := workOne(t, workerOf(t, client, map[string]jobwire.HandlerFunc{"job": panicking}))

	if want := "no handler for 'job' on this worker; it has: none"; unknown.Failure != want {
		t.Errorf("got %+v", unknown)
	}
	var failure *jobwire.PanicError
	if !errors.As(panicked.Err, &failure) || !strings.HasPrefix(panicked.Failure, "panic: ouch") {
		t.Errorf("got %+v", panicked)
	}
}

func TestWorkOneTellsNobodyOfAJobWhoseLeaseIsLost(t *testing.T) {
	t.Parallel()
	server := jobwiretest.NewServer(t)
	client := dial(t, server, "http")
	id := push(t, client, nil)
	late := func(ctx context.Context, _ *jobwire.Job) (any, error) {
		server.Advance(30 * time.Second)
		return "too late", jobwire.Progress(ctx, 50, "half")
	}

	outcome := workOne(t, workerOf(t, client, map[string]jobwire.HandlerFunc{"job": late}))

	if outcome.Kind != jobwiretest.KindRelease || !errors.Is(outcome.Err, jobwire.ErrLeaseLost) || len(server.Calls("ack")) != 0 {
		t.Errorf("got %+v", outcome)
	}
	if state := server.Job(id).State; state != jobwire.StateWaiting {
		t.Errorf("got %s", state)
	}
}

func TestWorkOneUsesTheWrapperAndTheProgressOfTheWorker(t *testing.T) {
	t.Parallel()
	server := jobwiretest.NewServer(t)
	client := dial(t, server, "http")
	id := push(t, client, nil)
	wrap := func(next jobwire.HandlerFunc) jobwire.HandlerFunc {
		return func(ctx context.Context, job *jobwire.Job) (any, error) {
			if err := jobwire.Progress(ctx, 50, "half"); err != nil {
				return nil, err
			}
			value, err := next(ctx, job)
			return []any{"wrapped", value}, err
		}
	}
	worker, err := jobwire.NewWorker(client, &jobwire.WorkerConfig{Queues: []string{"q"}, Wrap: wrap})
	must(t, err)
	worker.Handle("job", returning("value", nil))

	outcome := workOne(t, worker)

	if progress := server.Job(id).Progress; string(outcome.Result) != `["wrapped","value"]` || progress == nil || *progress != 50 {
		t.Errorf("got %s, %v", outcome.Result, progress)
	}
}
