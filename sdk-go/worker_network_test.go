package jobwire_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	jobwire "github.com/jobwire/jobwire/sdk-go"
)

// network is a way to a server that can be lost without a word: nothing comes through any more, and no connection ends.
type network struct {
	listener net.Listener
	target   string

	mu    sync.Mutex
	lost  *atomic.Bool // of the connections made since the last loss
	conns []net.Conn
	pipes sync.WaitGroup
}

func newNetwork(t *testing.T, port int) *network {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &network{listener: listener, target: fmt.Sprintf("127.0.0.1:%d", port), lost: new(atomic.Bool)}
	n.pipes.Add(1)
	go n.accept()
	t.Cleanup(n.close)
	return n
}

func (n *network) accept() {
	defer n.pipes.Done()
	for {
		inner, err := n.listener.Accept()
		if err != nil {
			return // closed
		}
		outer, err := net.Dial("tcp", n.target)
		if err != nil {
			_ = inner.Close() // as the server would
			continue
		}
		n.mu.Lock()
		n.conns = append(n.conns, inner, outer)
		n.pipes.Add(2)
		go n.pipe(inner, outer, n.lost)
		go n.pipe(outer, inner, n.lost)
		n.mu.Unlock()
	}
}

// pipe carries bytes until one side ends; once they are lost, it swallows them.
func (n *network) pipe(from, to net.Conn, lost *atomic.Bool) {
	defer n.pipes.Done()
	buffer := make([]byte, 64<<10)
	for {
		count, err := from.Read(buffer)
		if err == nil && !lost.Load() {
			_, err = to.Write(buffer[:count])
		}
		if err != nil {
			if err == io.EOF && !lost.Load() {
				_ = to.Close() // an end comes through
			}
			return
		}
	}
}

// lose loses all connections that there are; new ones come through.
func (n *network) lose() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lost.Store(true)
	n.lost = new(atomic.Bool)
}

func (n *network) close() {
	_ = n.listener.Close()
	n.mu.Lock()
	for _, conn := range n.conns {
		_ = conn.Close() // it may be closed already
	}
	n.mu.Unlock()
	n.pipes.Wait()
}

// A pull that waits on a connection that is half open would wait for its whole time; nothing is heard, and the worker pulls anew.
func aHalfOpenConnectionIsLeft(f *flow, server *serverProcess, scheme string) {
	port := server.httpPort
	if scheme == "tcp" {
		port = server.tcpPort
	}
	network := newNetwork(f.T, port)
	behind, err := jobwire.NewClient(fmt.Sprintf("%s://%s", scheme, network.listener.Addr()), nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = behind.Close() })
	direct := f.client
	f.client = behind
	f.worker(jobwire.WorkerConfig{Heartbeat: 300 * time.Millisecond, Wait: time.Minute}, map[string]jobwire.HandlerFunc{
		"done": func(context.Context, *jobwire.Job) (any, error) { return nil, nil },
	})
	f.client = direct
	for range 2 {
		f.wait(f.push("done", nil, nil), jobwire.StateCompleted)

		network.lose()

		lost := time.Now()
		f.wait(f.push("done", nil, nil), jobwire.StateCompleted)
		f.Logf("%v after the loss", time.Since(lost))
	}
}
