package doors

import (
	"net"
	"sync"
)

// Listener is a listening socket on 127.0.0.1 that can refuse connections and take them again, on one port; and cut them.
type Listener struct {
	serve func(*conn) // returns at once
	ended func()      // called after each end of a connection

	// mu guards what follows.
	mu      sync.Mutex
	socket  net.Listener // nil while connections are refused
	address string       // with port 0 before the first Accept; another process may take the port while connections are refused
	conns   map[*conn]bool
	running sync.WaitGroup
}

func newListener(serve func(*conn), ended func()) *Listener {
	return &Listener{serve: serve, ended: ended, address: "127.0.0.1:0", conns: make(map[*conn]bool)}
}

// Address is host and port.
func (l *Listener) Address() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.address
}

// Count is how many connections are open.
func (l *Listener) Count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.conns)
}

// Accept takes connections from now on. Nothing happens when it does already.
func (l *Listener) Accept() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.socket != nil {
		return nil
	}
	socket, err := net.Listen("tcp", l.address)
	if err != nil {
		return err
	}
	l.socket, l.address = socket, socket.Addr().String()
	l.running.Add(1)
	go l.run(socket)
	return nil
}

func (l *Listener) run(socket net.Listener) {
	defer l.running.Done()
	for {
		accepted, err := socket.Accept()
		if err != nil { // it was closed
			return
		}
		taken := &conn{Conn: accepted, gone: l.gone}
		if !l.take(socket, taken) {
			taken.cut()
			continue
		}
		l.serve(taken)
	}
}

// take is false for a connection that came while the socket was being closed.
func (l *Listener) take(socket net.Listener, taken *conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.socket == socket {
		l.conns[taken] = true
	}
	return l.conns[taken]
}

func (l *Listener) gone(ended *conn) {
	l.mu.Lock()
	delete(l.conns, ended)
	l.mu.Unlock()
	l.ended()
}

// Refuse takes no more connections; open ones stay.
func (l *Listener) Refuse() {
	l.mu.Lock()
	if l.socket != nil {
		_ = l.socket.Close() // it listens no more, whatever it says
	}
	l.socket = nil
	l.mu.Unlock()
	l.running.Wait()
}

// Cut resets every open connection, as a killed server does.
func (l *Listener) Cut() {
	for _, open := range keysOf(l.conns, &l.mu) {
		open.cut()
	}
}

// keysOf is the keys of a map that mu guards, for a loop without the lock.
func keysOf[K comparable, V any](guarded map[K]V, mu *sync.Mutex) []K {
	mu.Lock()
	defer mu.Unlock()
	keys := make([]K, 0, len(guarded))
	for key := range guarded {
		keys = append(keys, key)
	}
	return keys
}

// conn is a connection that tells of its end once.
type conn struct {
	net.Conn
	gone func(*conn)
	once sync.Once
}

// Close ends the connection in order.
func (c *conn) Close() error {
	err := c.Conn.Close()
	c.once.Do(func() { c.gone(c) })
	return err
}

// cut ends the connection so that the peer sees a reset.
func (c *conn) cut() {
	if socket, ok := c.Conn.(*net.TCPConn); ok {
		_ = socket.SetLinger(0) // fails only for a connection that has ended
	}
	_ = c.Close()
}
