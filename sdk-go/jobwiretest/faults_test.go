package jobwiretest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/jobwire/jobwire/sdk-go"
	"github.com/jobwire/jobwire/sdk-go/jobwiretest"
)

func TestARequestWhoseAnswerIsDroppedWasCarriedOut(t *testing.T) {
	onBothDoors(t, func(t *testing.T, server *jobwiretest.Server, client *jobwire.Client) {
		server.DropNextAnswer("push", 1)

		_, err := client.Push(context.Background(), "q", "job", nil, nil)

		expectCode(t, err, "CONNECTION_LOST")
		if n := waiting(t, client); n != 1 {
			t.Errorf("%d are waiting", n)
		}
	})
}

func TestARequestThatIsSwallowedWasNot(t *testing.T) {
	onBothDoors(t, func(t *testing.T, server *jobwiretest.Server, client *jobwire.Client) {
		server.SwallowNext("push", 1)
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() {
			defer close(done)
			if _, err := client.Push(ctx, "q", "job", nil, nil); err == nil {
				t.Error("it was answered")
			}
		}()
		must(t, server.WaitFor(context.Background(), "push", 1))
		cancel()
		<-done

		if n := waiting(t, client); n != 0 {
			t.Errorf("%d are waiting", n)
		}
	})
}

func TestSoManyRequestsAreRefusedAndNoMore(t *testing.T) {
	onBothDoors(t, func(t *testing.T, server *jobwiretest.Server, client *jobwire.Client) {
		server.RefuseNext("push", "OVERLOADED", "busy", 2)

		for range 2 {
			_, err := client.Push(context.Background(), "q", "job", nil, nil)
			expectCode(t, err, "OVERLOADED")
		}
		push(t, client, nil)
	})
}

func TestAServerThatIsStoppedRefusesUntilItStarts(t *testing.T) {
	onBothDoors(t, func(t *testing.T, server *jobwiretest.Server, client *jobwire.Client) {
		must(t, client.Ping(context.Background()))

		server.Stop()

		must(t, server.WaitUntil(context.Background(), func() bool { return server.ConnectionCount() == 0 }))
		for range 2 {
			if _, err := client.Push(context.Background(), "q", "job", nil, nil); err == nil {
				t.Error("it was answered")
			}
		}
		must(t, server.Start())
		push(t, client, nil)
	})
}

func TestADrainEndsHeldPullsAndRefusesNewOnes(t *testing.T) {
	onBothDoors(t, func(t *testing.T, server *jobwiretest.Server, client *jobwire.Client) {
		pulled := make(chan error, 1)
		go func() {
			jobs, err := client.Pull(context.Background(), []string{"q"}, &jobwire.PullOptions{Wait: time.Minute})
			if len(jobs) > 0 {
				t.Errorf("got %v", jobs)
			}
			pulled <- err
		}()
		must(t, server.WaitFor(context.Background(), "pull", 1))

		server.Drain()

		must(t, <-pulled)
		_, err := dial(t, server, "http").Pull(context.Background(), []string{"q"}, nil)
		expectCode(t, err, "SHUTTING_DOWN")
		health, err := dial(t, server, "http").Health(context.Background())
		must(t, err)
		if health.Status != "draining" {
			t.Errorf("got %s", health.Status)
		}
	})
}

func TestADeafWorkerIsToldSoUntilItsNextPull(t *testing.T) {
	onBothDoors(t, func(t *testing.T, server *jobwiretest.Server, client *jobwire.Client) {
		isDeaf := func() bool {
			answer, err := client.HeartbeatBatch(context.Background(), nil, &jobwire.HeartbeatBatchOptions{Worker: &jobwire.WorkerReport{ID: "w"}})
			must(t, err)
			return answer.Deaf
		}
		server.MakeDeaf("w")

		before := isDeaf()
		pull(t, client, &jobwire.PullOptions{WorkerID: "w"})

		if after := isDeaf(); !before || after {
			t.Errorf("%v, then %v", before, after)
		}
	})
}

func TestAWorkerDoesItsJobsHere(t *testing.T) {
	onBothDoors(t, func(t *testing.T, server *jobwiretest.Server, client *jobwire.Client) {
		worker, err := jobwire.NewWorker(client, &jobwire.WorkerConfig{Queues: []string{"q"}, Concurrency: 2})
		must(t, err)
		jobwire.Handle(worker, "double", func(_ context.Context, job *jobwire.JobOf[int]) (any, error) { return 2 * job.Data, nil })
		must(t, worker.Start(context.Background()))
		t.Cleanup(func() { must(t, worker.Stop(context.Background())) })

		pushed, err := client.PushBatch(context.Background(), "q", []jobwire.PushItem{
			{Name: "double", Data: 1}, {Name: "double", Data: 2}, {Name: "double", Data: 3},
		}, nil)

		must(t, err)
		for i, each := range pushed {
			must(t, server.WaitForState(context.Background(), each.ID, jobwire.StateCompleted))
			if result := server.Job(each.ID).Result; string(result) != fmt.Sprint(2*(i+1)) {
				t.Errorf("got %s", result)
			}
		}
	})
}

func TestTheCallsAreEveryRequestAsItWasSent(t *testing.T) {
	t.Parallel()
	server := jobwiretest.NewServer(t)
	_, err := dial(t, server, "http").Push(context.Background(), "q", "job", json.RawMessage(`{"n":1.5}`), nil)
	must(t, err)
	waiting(t, dial(t, server, "tcp"))

	calls := server.Calls("")

	if len(calls) != 2 || calls[0].Operation != "push" || calls[0].Door != "http" || calls[1].Operation != "stats" || calls[1].Door != "tcp" {
		t.Fatalf("got %v", calls)
	}
	fields := server.Calls("push")[0].Fields
	if data := fields["data"].(map[string]any); data["n"] != 1.5 || fields["queue"] != "q" {
		t.Errorf("got %v", fields)
	}
}

func TestAJobThatIsNotThereIsNil(t *testing.T) {
	t.Parallel()
	server := jobwiretest.NewServer(t)
	client := dial(t, server, "http")
	id := push(t, client, nil)
	must(t, client.DeleteJob(context.Background(), id))

	for _, each := range []string{id, "nonsense"} {
		if job := server.Job(each); job != nil {
			t.Errorf("got %v", job)
		}
	}
}
