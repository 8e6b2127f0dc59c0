package jobwire

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

func (c *peerConn) expectHTTP() *http.Request {
	c.t.Helper()
	r, err := http.ReadRequest(c.reader)
	if err != nil {
		c.t.Fatalf("no request came: %v", err)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	r.Body = io.NopCloser(strings.NewReader(string(body)))
	return r
}

func (c *peerConn) answerHTTP(text string) {
	c.t.Helper()
	c.say("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(text)+1, text) // say ends with a newline
}

func pingInBackground(client *Client) <-chan result[struct{}] {
	return inBackground(func() (struct{}, error) { return struct{}{}, client.Ping(context.Background()) })
}

func TestAnHTTPConnectionOnWhichACallTimedOutIsNotUsedAgain(t *testing.T) {
	t.Parallel()
	server := newPeer(t)
	client := server.client("http", hasty(time.Second)) // enough to send the request, also on a busy machine
	slow := pingInBackground(client)
	conn := server.accept()
	conn.expectHTTP()
	_, err := await(t, slow)
	expectCode(t, "TIMEOUT", err)

	conn.expectClose()
	fast := pingInBackground(client.WithOptions(&Options{Timeout: patience}))
	next := server.accept()
	next.expectHTTP()
	next.answerHTTP(`{"ok":true}`)

	_, err = await(t, fast)
	same(t, nil, err)
}

func TestACancelledCallClosesItsHTTPConnection(t *testing.T) {
	t.Parallel()
	server := newPeer(t)
	client := server.client("http", nil)
	ctx, cancel := context.WithCancel(context.Background())
	gone := inBackground(func() (struct{}, error) { return struct{}{}, client.Ping(ctx) })
	conn := server.accept()
	conn.expectHTTP()

	cancel()

	_, err := await(t, gone)
	same(t, true, errors.Is(err, context.Canceled) && codeOf(err) == "")
	conn.expectClose()
}

func TestHTTPConnectionsThatEnd(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ name, answer, want string }{
		{"WithoutAWord", "", "CONNECTION_LOST"},
		{"WithinTheStart", "HTT", "CONNECTION_LOST"},
		{"WithinTheStatus", "HTTP/1.1 20", "CONNECTION_LOST"},
		{"WithinTheHead", "HTTP/1.1 200 OK\r\nContent-Le", "CONNECTION_LOST"},
		{"WithinTheBody", "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{\"ok\":", "CONNECTION_LOST"},
		{"WithinAChunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n50\r\n{\"ok\":", "CONNECTION_LOST"},
		{"AfterAnotherProtocol", "SSH-2.0-OpenSSH_9.9\r\n", "PROTOCOL_ERROR"},
		{"AfterTLS", "\x15\x03\x01\x00\x02\x02\x0a", "PROTOCOL_ERROR"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			server := newPeer(t)
			call := pingInBackground(server.client("http", &Config{Retries: -1}))
			conn := server.accept()
			conn.expectHTTP()
			io.WriteString(conn, row.answer)
			conn.Close()

			_, err := await(t, call)

			expectCode(t, row.want, err)
		})
	}
}

func TestAKeptConnectionThatTheServerClosedIsNotUsed(t *testing.T) {
	t.Parallel()
	server := newPeer(t)
	client := server.client("http", &Config{Retries: -1})
	call := pingInBackground(client)
	conn := server.accept()
	conn.expectHTTP()
	conn.answerHTTP(`{"ok":true}`)
	if _, err := await(t, call); err != nil {
		t.Fatal(err)
	}
	pool := client.transport.(*httpTransport)
	conn.Close()
	until(t, func() bool {
		pool.mu.Lock()
		defer pool.mu.Unlock()
		return len(pool.conns) == 0
	})

	again := inBackground(func() (*StateResult, error) { return client.Retry(context.Background(), "j") })
	next := server.accept()
	next.expectHTTP()
	next.answerHTTP(`{"ok":true,"state":"waiting"}`)

	_, err := await(t, again)
	same(t, nil, err)
}

// until waits for claim to hold.
func until(t testing.TB, claim func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !claim(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it did not come true")
		}
	}
}

func TestAWaitThatIsInterruptedIsAskedForAgainOverHTTPWithoutAWait(t *testing.T) {
	t.Parallel()
	server := newPeer(t)
	client := server.client("http", nil)
	call := inBackground(func() ([]*Job, error) {
		return client.Pull(context.Background(), []string{"q"}, &PullOptions{Wait: time.Minute, RequestID: "r"})
	})
	conn := server.accept()
	body, _ := io.ReadAll(conn.expectHTTP().Body)
	same(t, `{"queue":"q","count":1,"wait_ms":60000,"request_id":"r"}`, string(body))

	client.interruptWaits()

	next := server.accept()
	body, _ = io.ReadAll(next.expectHTTP().Body)
	same(t, `{"queue":"q","count":1,"request_id":"r"}`, string(body))
	next.answerHTTP(`{"ok":true,"job":null}`)
	_, err := await(t, call)
	same(t, nil, err)
}

func TestCloseEndsHTTPCallsInFlight(t *testing.T) {
	t.Parallel()
	server := newPeer(t)
	client := server.client("http", nil)
	call := pingInBackground(client)
	conn := server.accept()
	conn.expectHTTP()

	client.Close()

	_, err := await(t, call)
	expectCode(t, "CLIENT_CLOSED", err)
	conn.expectClose()
}

func TestNobodyThereIsConnectionFailed(t *testing.T) {
	t.Parallel()
	for _, scheme := range []string{"http", "https", "tcp", "tcps"} {
		server := newPeer(t)
		server.listener.Close()

		err := server.client(scheme, &Config{Retries: -1}).Ping(context.Background())

		expectCode(t, "CONNECTION_FAILED", err)
		same(t, true, SafeToRetry(err))
		same(t, "CONNECTION_FAILED: cannot connect to "+server.url(scheme)+": connection refused", err.Error())
	}
}
