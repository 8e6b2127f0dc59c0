package jobwire

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"
)

// hasty is a client whose tries last so long, and that repeats nothing.
func hasty(timeout time.Duration) *Config { return &Config{Timeout: timeout, Retries: -1} }

func TestTCPGivesEachOf8000CallsFrom32GoroutinesItsOwnAnswer(t *testing.T) {
	t.Parallel()
	server := newEchoServer(t)
	client := server.client("tcp", nil)
	var all sync.WaitGroup
	for caller := range 32 {
		all.Add(1)
		go func() {
			defer all.Done()
			for i := range 250 {
				id := fmt.Sprintf("%d-%d", caller, i)
				got, err := client.Push(context.Background(), "q", "n", nil, &PushOptions{ID: id})
				if err != nil || id != got.ID {
					t.Errorf("%s got %v, %v", id, got, err)
					return
				}
			}
		}()
	}
	all.Wait()
	same(t, 1, server.connections())
}

// connected is a client of a peer, its connection, which has carried one call, and the other end of that.
func connected(t *testing.T, server *peer) (*Client, *tcpLink, *peerConn) {
	t.Helper()
	client := server.client("tcp", nil)
	call := pushInBackground(client, "n", "A")
	conn := server.acceptReady()
	conn.say(`{"ok":true,"id":"A","rid":%d}`, conn.expect("push").RID)
	if _, err := await(t, call); err != nil {
		t.Fatal(err)
	}
	return client, client.transport.(*tcpTransport).current, conn
}

func TestTCPDropsTheAnswerToACallThatTimedOut(t *testing.T) {
	t.Parallel()
	client, link, conn := connected(t, newPeer(t))
	slow, err := link.submit("push", []byte("{}"), false)
	same(t, nil, err)
	late := conn.expect("push")
	conn.say(`{"notice":"grease"}`)
	until(t, func() bool {
		link.mu.Lock()
		defer link.mu.Unlock()
		return link.heardAt.After(slow.sentAt)
	})

	same(t, true, link.expire(slow))
	same(t, false, link.expire(slow)) // once is enough
	fast := pushInBackground(client, "fast", "B")
	next := conn.expect("push")
	conn.say(`{"ok":true,"id":"A","rid":%d}`, late.RID)
	conn.say(`{"ok":true,"id":"B","rid":%d}`, next.RID)

	got, err := await(t, fast)
	same(t, nil, err)
	same(t, "B", got.ID)
}

func TestTCPGivesUpAConnectionOnWhichNothingWasHeard(t *testing.T) {
	t.Parallel()
	server := newPeer(t)
	client, _, conn := connected(t, server)

	_, err := await(t, pushInBackground(client.WithOptions(&Options{Timeout: 50 * time.Millisecond, Retries: -1}), "slow", "A"))

	expectCode(t, "TIMEOUT", err)
	conn.expectClose()
	fast := pushInBackground(client, "fast", "B")
	next := server.acceptReady()
	next.say(`{"ok":true,"id":"B","rid":%d}`, next.expect("push").RID)
	_, err = await(t, fast)
	same(t, nil, err)
}

func TestACallWhoseContextEndsLeavesAtOnceAndItsConnectionStays(t *testing.T) {
	t.Parallel()
	server := newPeer(t)
	client := server.client("tcp", nil)
	ctx, cancel := context.WithCancel(context.Background())
	gone := inBackground(func() (*PushResult, error) { return client.Push(ctx, "q", "gone", nil, nil) })
	conn := server.acceptReady()
	late := conn.expect("push")
	cancel()
	_, err := await(t, gone)
	if !errors.Is(err, context.Canceled) || codeOf(err) != "" {
		t.Fatalf("got %v", err)
	}

	stays := pushInBackground(client, "stays", "B")
	next := conn.expect("push")
	conn.say(`{"ok":true,"id":"A","rid":%d}`, late.RID)
	conn.say(`{"ok":true,"id":"B","rid":%d}`, next.RID)

	got, err := await(t, stays)
	same(t, nil, err)
	same(t, "B", got.ID)
}

func TestInVersion1ACallWhoseContextEndsTakesItsConnectionWithIt(t *testing.T) {
	t.Parallel()
	server := newPeer(t)
	client := server.client("tcp", nil)
	ctx, cancel := context.WithCancel(context.Background())
	gone := inBackground(func() (*PushResult, error) { return client.Push(ctx, "q", "gone", nil, nil) })
	conn := server.acceptVersion1()
	conn.expect("push")
	cancel()

	_, err := await(t, gone)

	same(t, true, errors.Is(err, context.Canceled))
	conn.expectClose()
}

func TestAContextsDeadlineIsATimeoutAndASilentConnectionIsGivenUp(t *testing.T) {
	t.Parallel()
	client, _, conn := connected(t, newPeer(t))
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()

	_, err := await(t, inBackground(func() (*PushResult, error) { return client.Push(ctx, "q", "gone", nil, nil) }))

	expectCode(t, "TIMEOUT", err)
	same(t, true, errors.Is(err, ErrTimeout) && errors.Is(err, context.DeadlineExceeded))
	conn.expectClose()
}

func TestAContextsDeadlineCallsAPullOffAndItsConnectionStays(t *testing.T) {
	t.Parallel()
	client, _, conn := connected(t, newPeer(t))
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()

	_, err := await(t, inBackground(func() ([]*Job, error) {
		return client.Pull(ctx, []string{"q"}, &PullOptions{Wait: time.Minute})
	}))

	same(t, true, errors.Is(err, context.DeadlineExceeded))
	pull := conn.expect("pull")
	same(t, pull.RID, conn.expect("abort").Target)
	next := pushInBackground(client, "n", "B")
	conn.say(`{"ok":true,"id":"B","rid":%d}`, conn.expect("push").RID)
	_, err = await(t, next)
	same(t, nil, err)
}

func TestACancelledPullIsCalledOffAndJobsThatCameAnywayAreGivenBack(t *testing.T) {
	t.Parallel()
	server := newPeer(t)
	client := server.client("tcp", nil)
	ctx, cancel := context.WithCancel(context.Background())
	gone := inBackground(func() ([]*Job, error) {
		return client.Pull(ctx, []string{"q"}, &PullOptions{Wait: time.Minute})
	})
	conn := server.acceptReady()
	pull := conn.expect("pull")
	cancel()
	_, err := await(t, gone)
	same(t, true, errors.Is(err, context.Canceled))

	abort := conn.expect("abort")
	same(t, pull.RID, abort.Target)
	conn.say(`{"ok":true,"job":{"id":"j","lease":"1-a"},"rid":%d}`, pull.RID)

	released := conn.expect("release")
	same(t, "j 1-a", released.ID+" "+released.Lease)
}

func TestAWaitThatIsInterruptedIsCalledOffOnTheSameConnection(t *testing.T) {
	t.Parallel()
	server := newPeer(t)
	client := server.client("tcp", nil)
	pulling := inBackground(func() ([]*Job, error) {
		return client.Pull(context.Background(), []string{"q"}, &PullOptions{Wait: time.Minute})
	})
	conn := server.acceptReady()
	pull := conn.expect("pull")

	client.interruptWaits()

	abort := conn.expect("abort")
	same(t, pull.RID, abort.Target)
	conn.say(`{"ok":true,"aborted":true,"rid":%d}`, abort.RID)
	conn.say(`{"ok":true,"job":null,"rid":%d}`, pull.RID)
	jobs, err := await(t, pulling)
	same(t, nil, err)
	same(t, 0, len(jobs))
}

func TestAnIdleConnectionIsLeftAndOneWithACallInFlightIsNot(t *testing.T) {
	t.Parallel()
	server := newPeer(t)
	client := server.client("tcp", nil)
	ack := func() (bool, error) { return client.Ack(context.Background(), &Job{ID: "j"}, nil) }
	first := inBackground(ack)
	old := server.acceptReady()
	old.say(`{"ok":true,"rid":%d}`, old.expect("ack").RID)
	_, err := await(t, first)
	same(t, nil, err)

	client.closeIdle()
	second := inBackground(ack)
	conn := server.acceptReady()
	asked := conn.expect("ack")
	client.closeIdle()
	conn.say(`{"ok":true,"rid":%d}`, asked.RID)

	_, err = await(t, second)
	same(t, nil, err)
}
