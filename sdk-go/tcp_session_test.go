package jobwire

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestGoawaySendsWhatWasNotProcessedElsewhereAndLetsTheRestEnd(t *testing.T) {
	t.Parallel()
	server := newPeer(t)
	client := server.client("tcp", nil)
	one := pushInBackground(client, "one", "A")
	conn := server.acceptReady()
	taken := conn.expect("push")
	two := pushInBackground(client, "two", "B")
	overtaken := conn.expect("push")
	conn.say(`{"notice":"goaway","last_rid":%d}`, taken.RID)

	next := server.acceptReady()
	again := next.expect("push")
	same(t, overtaken.ID, again.ID)
	next.say(`{"ok":true,"id":"B","rid":%d}`, again.RID)
	_, err := await(t, two)
	same(t, nil, err)
	conn.say(`{"ok":true,"id":"A","rid":%d}`, taken.RID)
	_, err = await(t, one)
	same(t, nil, err)
	conn.expectClose()
}

func TestCallsThatWaitForAConnectionAllHearThatItFailed(t *testing.T) {
	t.Parallel()
	server := newPeer(t)
	client := server.client("tcp", &Config{Retries: -1})
	go func() {
		for {
			conn, err := server.listener.Accept()
			if err != nil {
				return // the test is over
			}
			fmt.Fprintln(conn, `{"ok":false,"error":{"code":"UNAUTHORIZED","message":"no"},"rid":1}`)
		}
	}()
	var waiting []<-chan result[*PushResult]
	for range 10 {
		waiting = append(waiting, pushInBackground(client, "n", ""))
	}

	for _, one := range waiting {
		if _, err := await(t, one); !errors.Is(err, ErrAuth) {
			t.Errorf("got %v", err)
		}
	}
}

func TestAHelloThatIsNotAnsweredIsAConnectionThatCouldNotBeMade(t *testing.T) {
	t.Parallel()
	server := newPeer(t)
	client := server.client("tcp", &Config{Retries: -1, ConnectTimeout: 100 * time.Millisecond})
	call := pushInBackground(client, "n", "")
	conn := server.accept()

	_, err := await(t, call)

	expectCode(t, "CONNECTION_FAILED", err)
	same(t, true, SafeToRetry(err))
	conn.expectClose()
}

func TestNoticesReachTheirSubscribersUntilTheyLeave(t *testing.T) {
	t.Parallel()
	server := newPeer(t)
	client := server.client("tcp", nil)
	told := make(chan notice, 10)
	stop := client.notices(func(said notice) { told <- said })
	stopOther := client.notices(func(notice) {})
	call := pushInBackground(client, "n", "A")
	conn := server.acceptReady()
	first := conn.expect("push")
	conn.say(`{"notice":"job.cancel","id":"j","lease":"1-a"}`)
	conn.say(`{"ok":true,"id":"A","rid":%d}`, first.RID)
	if _, err := await(t, call); err != nil {
		t.Fatal(err)
	}
	stop()
	stopOther()
	call = pushInBackground(client, "n", "B")
	conn.say(`{"notice":"lease.lost"}`)
	conn.say(`{"ok":true,"id":"B","rid":%d}`, conn.expect("push").RID)
	if _, err := await(t, call); err != nil {
		t.Fatal(err)
	}

	said := <-told
	same(t, "job.cancel j 1-a", said.name+" "+said.id+" "+said.lease)
	same(t, 0, len(told))
}

func TestCloseEndsCallsInFlight(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"Connecting", "InFlight"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			server := newPeer(t)
			client := server.client("tcp", nil)
			call := pushInBackground(client, "n", "A")
			if version == "InFlight" {
				server.acceptReady().expect("push")
			} else {
				server.accept().expect("hello")
			}

			same(t, nil, client.Close())

			_, err := await(t, call)
			expectCode(t, "CLIENT_CLOSED", err)
			same(t, true, errors.Is(err, ErrTransport) && !SafeToRetry(err))
			same(t, nil, client.Close())
			expectCode(t, "CLIENT_CLOSED", client.Ping(context.Background()))
		})
	}
}

func TestAPeerThatReadsNothingHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	server := newPeer(t)
	client := server.client("tcp", hasty(200*time.Millisecond))
	much := strings.Repeat("0123456789", 100_000)
	var calls []<-chan result[*PushResult]
	for range 20 { // more than the buffers of the sockets take
		calls = append(calls, inBackground(func() (*PushResult, error) {
			return client.Push(context.Background(), "q", "n", much, nil)
		}))
	}
	server.acceptReady()

	for _, call := range calls {
		if _, err := await(t, call); !errors.Is(err, ErrTimeout) && !errors.Is(err, ErrTransport) {
			t.Errorf("got %v", err)
		}
	}
}

func TestARequestOverTheServersLimitIsNotSent(t *testing.T) {
	t.Parallel()
	server := newPeer(t)
	client := server.client("tcp", nil)
	call := inBackground(func() (*PushResult, error) {
		return client.Push(context.Background(), "q", "n", strings.Repeat("x", 400), nil)
	})
	conn := server.accept()
	conn.expect("hello")
	conn.say(`{"ok":true,"v":2,"rid":1,"limits":{"line_bytes":300}}`)

	_, err := await(t, call)

	expectCode(t, "PAYLOAD_TOO_LARGE", err)
	var refused *Error
	same(t, true, errors.As(err, &refused))
	same(t, map[string]any{"limit": 300}, refused.Details)
	next := pushInBackground(client, "n", "")
	conn.say(`{"ok":true,"id":"A","rid":%d}`, conn.expect("push").RID)
	_, err = await(t, next)
	same(t, nil, err)
}

func TestRustQueueIsAskedAgainUntilTheWaitIsOver(t *testing.T) {
	t.Parallel()
	server := newPeer(t)
	client := server.client("tcp", nil)
	pulling := inBackground(func() ([]*Job, error) {
		return client.Pull(context.Background(), []string{"q"}, &PullOptions{Wait: time.Minute})
	})
	conn := server.acceptVersion1()
	conn.expect("pull")
	conn.say(`{"ok":true,"job":null}`)
	conn.expect("pull")
	conn.say(`{"ok":true,"job":{"id":"j"}}`)

	jobs, err := await(t, pulling)

	same(t, nil, err)
	same(t, 1, len(jobs))
}
