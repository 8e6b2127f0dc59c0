package jobwire

import (
	"context"
	"net"
	"strings"
	"sync"
)

// dial makes a connection for the pool, which close can find.
func (t *httpTransport) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	conn, err := t.endpoint.dial(ctx)
	if err != nil {
		return nil, err
	}
	tracked := &trackedConn{Conn: conn, transport: t}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		conn.Close()
		return nil, clientClosed()
	}
	t.conns[tracked] = struct{}{}
	return tracked, nil
}

// trackedConn is a connection that leaves the transport's list when it is closed, and knows how it ended: net/http calls an answer
// malformed that the end of the connection cut short.
type trackedConn struct {
	net.Conn
	transport *httpTransport

	mu    sync.Mutex
	heard string // the first bytes of the answer that is expected
	ended bool
}

// httpStart is how an answer begins.
const httpStart = "HTTP/1."

// expect is told that an answer is to come.
func (c *trackedConn) expect() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.heard = ""
}

// wasCut says whether the connection ended within what may have been an answer in HTTP.
func (c *trackedConn) wasCut() bool {
	if c == nil {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ended && strings.HasPrefix(httpStart, c.heard)
}

func (c *trackedConn) Read(data []byte) (int, error) {
	n, err := c.Conn.Read(data)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.heard += string(data[:min(n, len(httpStart)-len(c.heard))])
	c.ended = c.ended || err != nil
	return n, err
}

func (c *trackedConn) Close() error {
	c.transport.mu.Lock()
	delete(c.transport.conns, c)
	c.transport.mu.Unlock()
	abort(c.Conn)
	return nil
}
