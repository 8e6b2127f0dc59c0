package jobwire

import (
	"context"
	"io"
	"strings"
	"testing"
	"time"
)

// watching is a client of a peer that may say nothing for silence while calls are in flight, as a worker's. It repeats nothing.
func (p *peer) watching(scheme string, silence time.Duration) *Client {
	p.t.Helper()
	client := p.client(scheme, &Config{Retries: -1})
	client.transport.close()
	client.transport = client.own(connTimes{connect: patience, silence: silence})
	return client
}

func pullInBackground(client *Client) <-chan result[[]*Job] {
	return inBackground(func() ([]*Job, error) {
		return client.Pull(context.Background(), []string{"q"}, &PullOptions{Wait: time.Minute, RequestID: "r"})
	})
}

// rest is what comes until the client closes the connection.
func (c *peerConn) rest() string {
	c.t.Helper()
	rest, err := io.ReadAll(c.reader)
	if isDeadline(err) {
		c.t.Fatal("the client did not close the connection")
	}
	return string(rest)
}

// expectGivenUp waits for the end of a call on a connection that was silent from started on.
func expectGivenUp[T any](t *testing.T, call <-chan result[T], started time.Time, silence time.Duration) {
	t.Helper()
	_, err := await(t, call)
	took := time.Since(started)
	expectCode(t, "CONNECTION_LOST", err)
	if !strings.HasSuffix(err.Error(), " was lost: nothing was heard for "+silence.String()) {
		t.Errorf("got %v", err)
	}
	if took < silence || took > 5*silence {
		t.Errorf("want it given up after %v, it took %v", silence, took)
	}
}

// TestAPeerThatSaysNothingIsPingedAndItsConnectionGivenUp: JW-SDK-13.
func TestAPeerThatSaysNothingIsPingedAndItsConnectionGivenUp(t *testing.T) {
	t.Parallel()
	const silence = 300 * time.Millisecond
	server := newPeer(t)
	client := server.watching("tcp", silence)
	started := time.Now()
	pulling := pullInBackground(client)
	conn := server.acceptReady()
	conn.expect("pull")

	conn.expect("ping")
	if took := time.Since(started); took < silence/2 {
		t.Errorf("want a ping after %v, it came after %v", silence/2, took)
	}
	same(t, "", conn.rest()) // one is enough

	expectGivenUp(t, pulling, started, silence)
	again := pullInBackground(client)
	next := server.acceptReady()
	next.say(`{"ok":true,"job":null,"rid":%d}`, next.expect("pull").RID)
	_, err := await(t, again)
	same(t, nil, err)
}

// TestAPullIsWaitedForWhilePingsAreAnswered: JW-SDK-14.
func TestAPullIsWaitedForWhilePingsAreAnswered(t *testing.T) {
	t.Parallel()
	server := newPeer(t)
	client := server.watching("tcp", 400*time.Millisecond)
	pulling := pullInBackground(client)
	conn := server.acceptReady()
	pull := conn.expect("pull")

	for range 6 {
		conn.say(`{"ok":true,"rid":%d}`, conn.expect("ping").RID)
	}
	conn.say(`{"ok":true,"job":{"id":"j","lease":"1-a"},"rid":%d}`, pull.RID)

	jobs, err := await(t, pulling)
	same(t, nil, err)
	same(t, 1, len(jobs))
}

func TestAPeerOfVersion1ThatSaysNothingIsGivenUpWithoutAPing(t *testing.T) {
	t.Parallel()
	const silence = 300 * time.Millisecond
	server := newPeer(t)
	client := server.watching("tcp", silence)
	started := time.Now()
	pulling := pullInBackground(client)
	conn := server.acceptVersion1()
	conn.expect("pull")

	same(t, "", conn.rest())

	expectGivenUp(t, pulling, started, silence)
}

func TestASilentConnectionTakesAllItsCallsWithIt(t *testing.T) {
	t.Parallel()
	server := newPeer(t)
	client := server.watching("tcp", 100*time.Millisecond)
	calls := []<-chan result[[]*Job]{pullInBackground(client), pullInBackground(client)}
	server.acceptReady()

	for _, call := range calls {
		_, err := await(t, call)
		expectCode(t, "CONNECTION_LOST", err)
	}
}

func TestAConnectionThatDrainsIsPingedAndEndsWithItsLastAnswer(t *testing.T) {
	t.Parallel()
	server := newPeer(t)
	pulling := pullInBackground(server.watching("tcp", 400*time.Millisecond))
	conn := server.acceptReady()
	pull := conn.expect("pull")
	conn.say(`{"notice":"goaway","last_rid":%d}`, pull.RID)

	conn.say(`{"ok":true,"rid":%d}`, conn.expect("ping").RID)
	conn.expect("ping") // in flight are calls, and no pings
	conn.say(`{"ok":true,"job":null,"rid":%d}`, pull.RID)

	_, err := await(t, pulling)
	same(t, nil, err)
	conn.expectClose()
}

func TestTheTimeBeforeTheFirstCallIsNoSilence(t *testing.T) {
	t.Parallel()
	const silence = 300 * time.Millisecond
	server := newPeer(t)
	client := server.watching("tcp", silence)
	first := pullInBackground(client)
	conn := server.acceptReady()
	conn.say(`{"ok":true,"job":null,"rid":%d}`, conn.expect("pull").RID)
	if _, err := await(t, first); err != nil {
		t.Fatal(err)
	}
	link := client.transport.(*tcpTransport).open()[0]
	link.mu.Lock()
	link.silence.Begin(time.Now().Add(-time.Hour))
	link.mu.Unlock()

	started := time.Now()
	second := pullInBackground(client)

	conn.expect("pull")
	conn.expect("ping")
	expectGivenUp(t, second, started, silence)
}

func TestNobodyLooksAtAConnectionWithoutCalls(t *testing.T) {
	t.Parallel()
	server := newPeer(t)
	client := server.watching("tcp", time.Minute)
	pulling := pullInBackground(client)
	conn := server.acceptReady()
	pull := conn.expect("pull")
	link := client.transport.(*tcpTransport).open()[0]
	isWatched := func() bool {
		link.mu.Lock()
		defer link.mu.Unlock()
		return link.watch.Stop()
	}

	conn.say(`{"ok":true,"job":null,"rid":%d}`, pull.RID)
	_, err := await(t, pulling)

	same(t, nil, err)
	same(t, false, isWatched())
	again := pullInBackground(client)
	conn.expect("pull")
	same(t, true, isWatched())
	client.Close()
	await(t, again)
	same(t, false, isWatched())
}

func TestOnlyWorkersLookAtTheirConnections(t *testing.T) {
	t.Parallel()
	client, link, conn := connected(t, newPeer(t))
	pullInBackground(client)
	conn.expect("pull")

	link.mu.Lock()
	defer link.mu.Unlock()
	same(t, true, link.watch == nil)
}

// --- attempts to connect ---

// TestAWorkersConnectionIsMadeInItsTime: also where the client's own may take longer.
func TestAWorkersConnectionIsMadeInItsTime(t *testing.T) {
	t.Parallel()
	for _, scheme := range []string{"tcp", "tcps", "https"} {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			client := newPeer(t).client(scheme, &Config{ConnectTimeout: patience})
			conn := client.workerConn(connTimes{connect: 100 * time.Millisecond, answer: patience})
			defer conn.Close()
			started := time.Now()

			_, err := conn.Pull(context.Background(), []string{"q"}, nil)

			expectCode(t, "CONNECTION_FAILED", err)
			if took := time.Since(started); took > patience/2 {
				t.Errorf("it took %v", took)
			}
		})
	}
}

func TestAnAttemptToConnectHasTheTimeOfTheCallThatBeganIt(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ limit, left, want float64 }{{5, 30, 5}, {5, 3, 3}, {5, 0.1, 1}, {5, -1, 1}, {0.5, 0.1, 0.5}} {
		same(t, secs(row.want), attemptTime(secs(row.limit), secs(row.left)))
	}
}

func TestTheTimeThatIsLeftOfACallEndsWithItsContext(t *testing.T) {
	t.Parallel()
	soon, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	hour := time.Now().Add(time.Hour)

	same(t, time.Minute, timeLeft(soon, hour).Round(time.Minute))
	same(t, time.Hour, timeLeft(context.Background(), hour).Round(time.Minute))
}

// The peer of the first attempt has gone silent before its hello.
func TestACallDoesNotWaitForAnAttemptThatOutlivedTheCallBeforeIt(t *testing.T) {
	t.Parallel()
	server := newPeer(t)
	client := server.client("tcp", &Config{ConnectTimeout: patience})
	hastily := client.WithOptions(&Options{Timeout: 50 * time.Millisecond, Retries: -1})
	started := time.Now()
	_, err := await(t, pushInBackground(hastily, "n", "A"))
	expectCode(t, "CONNECTION_FAILED", err)
	server.accept()

	second := pushInBackground(client, "n", "B")
	next := server.acceptReady()
	next.say(`{"ok":true,"id":"B","rid":%d}`, next.expect("push").RID)

	_, err = await(t, second)
	same(t, nil, err)
	if took := time.Since(started); took > patience/2 {
		t.Errorf("want it not to wait for a whole attempt, it took %v", took)
	}
}
