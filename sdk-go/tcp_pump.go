package jobwire

import (
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/jobwire/jobwire/sdk-go/internal/wire"
)

// --- writing ---

// queue has data written; the lock is held.
func (l *tcpLink) queue(data []byte) {
	if len(data) == 0 {
		return
	}
	l.unsent = append(l.unsent, data...)
	l.wakeWriter()
}

func (l *tcpLink) wakeWriter() {
	select {
	case l.wake <- struct{}{}:
	default: // it is awake
	}
}

// write sends what is queued, as much at a time as there is, until the connection is given up.
func (l *tcpLink) write() {
	var sending []byte
	for {
		select {
		case <-l.ended:
			return
		case <-l.wake:
		}
		l.mu.Lock()
		sending, l.unsent = l.unsent, recycled(sending)
		l.mu.Unlock()
		if _, err := l.conn.Write(sending); err != nil {
			// Reading finds out what happened, and maybe the server's last words.
			l.conn.SetReadDeadline(time.Now().Add(lastWords))
			return
		}
	}
}

// recycled is an empty buffer, with the memory of buffer unless that is much.
func recycled(buffer []byte) []byte {
	if cap(buffer) > 1<<20 {
		return nil
	}
	return buffer[:0]
}

// --- reading ---

func (l *tcpLink) read() {
	buffer := make([]byte, readBuffer)
	for l.reason() == nil {
		n, err := l.conn.Read(buffer)
		if n > 0 {
			l.receive(buffer[:n])
		}
		if err != nil {
			l.end(connectionLost(l.endpoint, whyLost(err), err))
		}
	}
}

func whyLost(err error) string {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno.Error()
	}
	return "the server closed it"
}

func (l *tcpLink) receive(data []byte) {
	told, err := l.feed(data)
	for _, line := range told {
		l.notices.tell(line)
	}
	if err != nil {
		l.end(err)
	}
}

// feed gives data to the session and does what it says; what ended the connection, if anything did, comes back with the notices.
func (l *tcpLink) feed(data []byte) (told []wire.Noticed, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return nil, nil // it was given up while these bytes came
	}
	l.heardAt = time.Now()
	l.silence.Begin(l.heardAt)
	for _, event := range l.session.Feed(data) {
		switch event := event.(type) {
		case wire.Noticed:
			told = append(told, event)
		case wire.Broken:
			err = l.broken(event)
		default:
			l.handle(event)
		}
	}
	l.queue(l.session.Outgoing())
	if l.session.Draining() {
		l.takes.Store(false)
	}
	if err == nil && l.session.Draining() && l.session.InFlight() == 0 {
		err = connectionLost(l.endpoint, "the server said goodbye", nil)
	}
	return told, err
}

func (l *tcpLink) handle(event wire.Event) {
	switch event := event.(type) {
	case wire.Ready:
		l.version.Store(int32(event.Version))
		l.takes.Store(true)
		close(l.shaken)
	case wire.Answered:
		l.take(event.RID).finish(event.Body, nil)
	case wire.Unprocessed:
		err := errorf("SHUTTING_DOWN", "the server said goodbye before it read the request")
		l.take(event.RID).finish(nil, err)
	case wire.Late:
		l.queue(l.session.GiveBack(nil, event.Body))
	}
}

// take is the call that waits for the answer to rid, which the session knows to be one.
func (l *tcpLink) take(rid int64) *tcpCall {
	call := l.calls[rid]
	l.drop(rid)
	return call
}

// broken is the error of calls on a connection that the session gives up.
func (l *tcpLink) broken(event wire.Broken) error {
	switch {
	case event.Lost:
		why := errorFrom(event.Refusal, answerInfo{})
		return connectionLost(l.endpoint, fmt.Sprintf("%s: %v", event.Why, why), why)
	case event.Refusal != nil:
		return errorFrom(event.Refusal, answerInfo{})
	}
	return errorf("PROTOCOL_ERROR", "%s", event.Why)
}
