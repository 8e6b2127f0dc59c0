package jobwire

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// peer is a server that a test plays by hand, step by step.
type peer struct {
	t        testing.TB
	listener net.Listener
}

func newPeer(t testing.TB) *peer {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	return &peer{t, listener}
}

func (p *peer) url(scheme string) string { return scheme + "://" + p.listener.Addr().String() }

// client is one of this peer, closed when the test ends.
func (p *peer) client(scheme string, config *Config) *Client {
	p.t.Helper()
	client, err := NewClient(p.url(scheme), config)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { client.Close() })
	return client
}

// accept is the next connection.
func (p *peer) accept() *peerConn {
	p.t.Helper()
	p.listener.(*net.TCPListener).SetDeadline(time.Now().Add(patience))
	conn, err := p.listener.Accept()
	if err != nil {
		p.t.Fatalf("no connection came: %v", err)
	}
	p.t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	return &peerConn{conn, p.t, bufio.NewReaderSize(conn, 64<<10)}
}

// acceptReady is the next connection, its hello answered with version 2.
func (p *peer) acceptReady() *peerConn {
	p.t.Helper()
	conn := p.accept()
	conn.expect("hello")
	conn.say(`{"ok":true,"v":2,"rid":1}`)
	return conn
}

// acceptVersion1 is the next connection of a server that does not know hello.
func (p *peer) acceptVersion1() *peerConn {
	p.t.Helper()
	conn := p.accept()
	conn.expect("hello")
	conn.say(`{"ok":false,"error":{"code":"UNKNOWN_COMMAND","message":"x"}}`)
	return conn
}

type peerConn struct {
	net.Conn
	t      testing.TB
	reader *bufio.Reader
}

// request is a line of a client.
type peerRequest struct {
	Cmd    string
	RID    int64
	ID     string
	Target int64
	Lease  string
	Name   string
}

// expect is the next request, which is cmd.
func (c *peerConn) expect(cmd string) peerRequest {
	c.t.Helper()
	line, err := c.reader.ReadBytes('\n')
	if err != nil {
		c.t.Fatalf("no %s came: %v", cmd, err)
	}
	var r peerRequest
	if err := json.Unmarshal(line, &r); err != nil || r.Cmd != cmd {
		c.t.Fatalf("want %s, got %s", cmd, line)
	}
	return r
}

func (c *peerConn) say(format string, args ...any) {
	c.t.Helper()
	if _, err := fmt.Fprintf(c.Conn, format+"\n", args...); err != nil {
		c.t.Fatal(err)
	}
}

// expectClose waits until the client has closed the connection.
func (c *peerConn) expectClose() {
	c.t.Helper()
	if _, err := io.Copy(io.Discard, c.reader); errors.Is(err, context.DeadlineExceeded) || isDeadline(err) {
		c.t.Fatal("the client did not close the connection")
	}
}

func isDeadline(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// result is what a call gave that runs beside the test.
type result[T any] struct {
	value T
	err   error
}

// inBackground runs call beside the test.
func inBackground[T any](call func() (T, error)) <-chan result[T] {
	done := make(chan result[T], 1)
	go func() {
		value, err := call()
		done <- result[T]{value, err}
	}()
	return done
}

func pushInBackground(client *Client, name, id string) <-chan result[*PushResult] {
	return inBackground(func() (*PushResult, error) {
		return client.Push(context.Background(), "q", name, nil, &PushOptions{ID: id})
	})
}

// await is what a call gave that runs beside the test.
func await[T any](t testing.TB, done <-chan result[T]) (T, error) {
	t.Helper()
	select {
	case got := <-done:
		return got.value, got.err
	case <-time.After(patience):
		t.Fatal("the call did not end")
		panic("unreachable")
	}
}

func expectCode(t testing.TB, want string, err error) {
	t.Helper()
	if got := codeOf(err); want != got {
		t.Fatalf("want %s, got %v", want, err)
	}
}

// echoServer answers every push with its id, in any order, a few at a time, on any number of connections. It counts those.
type echoServer struct {
	*peer
	mu    sync.Mutex
	conns int
}

func newEchoServer(t testing.TB) *echoServer {
	server := &echoServer{peer: newPeer(t)}
	go func() {
		for {
			conn, err := server.listener.Accept()
			if err != nil {
				return // the test is over
			}
			server.mu.Lock()
			server.conns++
			server.mu.Unlock()
			go server.serve(conn)
		}
	}()
	return server
}

func (s *echoServer) connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conns
}

func (s *echoServer) serve(conn net.Conn) {
	defer conn.Close()
	reader := bufio.NewReader(conn)
	var held []string
	for {
		line, err := reader.ReadBytes('\n')
		if err != nil {
			return
		}
		var r peerRequest
		if json.Unmarshal(line, &r) != nil {
			io.WriteString(conn, `{"ok":false,"error":{"code":"UNSUPPORTED_PROTOCOL","message":"x"}}`+"\n")
			return
		}
		if r.Cmd == "hello" {
			fmt.Fprintf(conn, `{"ok":true,"v":2,"rid":%d}`+"\n", r.RID)
			continue
		}
		held = append(held, fmt.Sprintf(`{"ok":true,"id":%q,"rid":%d}`+"\n", r.ID, r.RID))
		if reader.Buffered() > 0 && len(held) < 7 {
			continue
		}
		for i := len(held) - 1; i >= 0; i-- {
			if _, err := io.WriteString(conn, held[i]); err != nil {
				return
			}
		}
		held = nil
	}
}
