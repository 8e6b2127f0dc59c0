package jobwiretest_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jobwire/jobwire/sdk-go"
	"github.com/jobwire/jobwire/sdk-go/jobwiretest"
)

// dial is a client without retries, so that each error is the first answer.
func dial(t *testing.T, server *jobwiretest.Server, door string) *jobwire.Client {
	t.Helper()
	url := server.URL()
	if door == "tcp" {
		url = server.TCPURL()
	}
	client, err := jobwire.NewClient(url, &jobwire.Config{Retries: -1, RetryBudget: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}

func codeOf(err error) string {
	var e *jobwire.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

func expectCode(t *testing.T, err error, code string) {
	t.Helper()
	if got := codeOf(err); got != code {
		t.Errorf("want %s, got %v", code, err)
	}
}

func push(t *testing.T, client *jobwire.Client, options *jobwire.PushOptions) string {
	t.Helper()
	pushed, err := client.Push(context.Background(), "q", "job", nil, options)
	if err != nil {
		t.Fatal(err)
	}
	return pushed.ID
}

func pull(t *testing.T, client *jobwire.Client, options *jobwire.PullOptions) []*jobwire.Job {
	t.Helper()
	jobs, err := client.Pull(context.Background(), []string{"q"}, options)
	if err != nil {
		t.Fatal(err)
	}
	return jobs
}

func waiting(t *testing.T, client *jobwire.Client) int {
	t.Helper()
	stats, err := client.Stats(context.Background(), "q")
	if err != nil {
		t.Fatal(err)
	}
	return stats.Counts.Waiting
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// onBothDoors runs a test over each.
func onBothDoors(t *testing.T, test func(t *testing.T, server *jobwiretest.Server, client *jobwire.Client)) {
	t.Parallel()
	for _, door := range []string{"http", "tcp"} {
		t.Run(door, func(t *testing.T) {
			t.Parallel()
			server := jobwiretest.NewServer(t)
			test(t, server, dial(t, server, door))
		})
	}
}

func TestTimePassesOnTheClockThatTheTestMoves(t *testing.T) {
	t.Parallel()
	server := jobwiretest.NewServer(t)
	client := dial(t, server, "http")
	before := server.Now()
	delayed := push(t, client, &jobwire.PushOptions{Delay: time.Minute})
	short := push(t, client, &jobwire.PushOptions{Delay: 40 * time.Second, TTL: 30 * time.Second})
	if jobs := pull(t, client, nil); jobs != nil {
		t.Fatalf("got %v", jobs)
	}

	server.Advance(time.Minute)

	jobs := pull(t, client, &jobwire.PullOptions{Count: 5})
	if len(jobs) != 1 || jobs[0].ID != delayed || server.Now().Sub(before) != time.Minute {
		t.Errorf("got %v after %v", jobs, server.Now().Sub(before))
	}
	if reason := server.Job(short).Reason; reason != "expired" {
		t.Errorf("got %s", reason)
	}
	server.Advance(29999 * time.Millisecond)
	if state := server.Job(delayed).State; state != jobwire.StateActive {
		t.Errorf("got %s", state)
	}
	server.Advance(time.Millisecond)
	if state := server.Job(delayed).State; state != jobwire.StateWaiting {
		t.Errorf("got %s", state)
	}
	_, err := client.Ack(context.Background(), jobs[0], nil)
	expectCode(t, err, "LEASE_LOST")
}

func TestTimeGoesForwardOnly(t *testing.T) {
	t.Parallel()
	server := jobwiretest.NewServer(t)
	defer func() {
		if recover() == nil {
			t.Error("it did not panic")
		}
	}()
	server.Advance(-1)
}

func TestARestartGivesEveryLeaseItsLengthAndKeepsThePorts(t *testing.T) {
	onBothDoors(t, func(t *testing.T, server *jobwiretest.Server, client *jobwire.Client) {
		id := push(t, client, nil)
		pull(t, client, &jobwire.PullOptions{Lease: 30 * time.Second})
		urls := server.String()
		server.Advance(20 * time.Second)

		must(t, server.Restart())

		server.Advance(29 * time.Second)
		if state := server.Job(id).State; state != jobwire.StateActive || server.String() != urls {
			t.Errorf("%s at %s, was %s", state, server, urls)
		}
	})
}

func TestAHeldPullEndsWithAJobOrWhenTheClockSaysSo(t *testing.T) {
	onBothDoors(t, func(t *testing.T, server *jobwiretest.Server, client *jobwire.Client) {
		for i, end := range []string{"push", "time"} {
			pulled := make(chan []*jobwire.Job, 1)
			go func() {
				jobs, err := client.Pull(context.Background(), []string{"q"}, &jobwire.PullOptions{Wait: 20 * time.Second})
				if err != nil {
					t.Error(err)
				}
				pulled <- jobs
			}()
			must(t, server.WaitFor(context.Background(), "pull", i+1))
			if end == "push" {
				push(t, dial(t, server, "http"), nil)
			} else {
				server.Advance(20 * time.Second)
			}
			if jobs := <-pulled; (len(jobs) == 1) != (end == "push") {
				t.Errorf("%s: got %v", end, jobs)
			}
		}
	})
}

func TestAHeldHeartbeatTellsOnceOfACancel(t *testing.T) {
	onBothDoors(t, func(t *testing.T, server *jobwiretest.Server, client *jobwire.Client) {
		id := push(t, client, nil)
		job := pull(t, client, &jobwire.PullOptions{WorkerID: "w"})[0]
		beat := func(items ...jobwire.HeartbeatItem) chan []string {
			heard := make(chan []string, 1)
			before := len(server.Calls("heartbeat_batch"))
			go func() {
				options := &jobwire.HeartbeatBatchOptions{Worker: &jobwire.WorkerReport{ID: "w"}, Wait: time.Minute}
				answer, err := client.HeartbeatBatch(context.Background(), items, options)
				if err != nil {
					t.Error(err)
					heard <- nil
					return
				}
				heard <- answer.Cancelled
			}()
			must(t, server.WaitFor(context.Background(), "heartbeat_batch", before+1))
			return heard
		}

		first := beat(jobwire.HeartbeatItem{Job: job})
		if _, err := dial(t, server, "http").Cancel(context.Background(), id); err != nil {
			t.Fatal(err)
		}
		if cancelled := <-first; len(cancelled) != 1 || cancelled[0] != id {
			t.Errorf("got %v", cancelled)
		}
		second := beat()
		server.Advance(time.Minute)
		if cancelled := <-second; len(cancelled) != 0 {
			t.Errorf("got %v", cancelled)
		}
	})
}

func TestNothingIsClaimedForAConnectionThatIsGone(t *testing.T) {
	onBothDoors(t, func(t *testing.T, server *jobwiretest.Server, client *jobwire.Client) {
		pulled := make(chan error, 1)
		go func() {
			_, err := client.Pull(context.Background(), []string{"q"}, &jobwire.PullOptions{Wait: time.Minute})
			pulled <- err
		}()
		must(t, server.WaitFor(context.Background(), "pull", 1))
		client.Close()
		expectCode(t, <-pulled, "CLIENT_CLOSED")
		must(t, server.WaitUntil(context.Background(), func() bool { return server.ConnectionCount() == 0 }))

		id := push(t, dial(t, server, "http"), nil)

		if state := server.Job(id).State; state != jobwire.StateWaiting {
			t.Errorf("got %s", state)
		}
	})
}

func TestTwoServersWithOneSeedDoTheSame(t *testing.T) {
	t.Parallel()
	config := jobwiretest.ServerConfig{Now: time.Date(2026, 1, 2, 3, 4, 5, 678_000_000, time.UTC), Seed: 7}
	run := func() time.Time {
		server := start(t, config)
		if !server.Now().Equal(config.Now) {
			t.Errorf("got %v", server.Now())
		}
		client := dial(t, server, "http")
		push(t, client, &jobwire.PushOptions{Jitter: 1, BackoffDelay: 1000 * time.Second})
		result, err := client.Fail(context.Background(), pull(t, client, nil)[0], errors.New("no"), nil)
		must(t, err)
		return result.NextAttemptAt
	}
	if one, other := run(), run(); !one.Equal(other) || one.IsZero() {
		t.Errorf("%v and %v", one, other)
	}
}

func TestCloseIsIdempotentAndEndsWhatIsHeld(t *testing.T) {
	onBothDoors(t, func(t *testing.T, server *jobwiretest.Server, client *jobwire.Client) {
		pulled := make(chan struct{})
		go func() {
			defer close(pulled)
			_, _ = client.Pull(context.Background(), []string{"q"}, &jobwire.PullOptions{Wait: time.Minute}) // it may hear the one or the other
		}()
		must(t, server.WaitFor(context.Background(), "pull", 1))

		server.Close()
		server.Close()

		<-pulled
		if count := server.ConnectionCount(); count != 0 {
			t.Errorf("%d connections", count)
		}
	})
}

func TestWaitingInVainSaysForWhat(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	err := jobwiretest.NewServer(t).WaitFor(ctx, "pull", 2)
	if want := "jobwiretest: waited in vain for 2 x pull: context deadline exceeded"; err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
}
