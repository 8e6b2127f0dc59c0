package jobwire

import (
	"fmt"
	"time"

	"github.com/jobwire/jobwire/sdk-go/internal/wire"
)

// A connection with a limit of silence is watched while calls are in flight, and only then: a timer looks at it where a ping or its
// end may be due (JW-SDK-13, JW-SDK-14).

// startWatch is told that calls in flight go from none to one; the lock is held.
func (l *tcpLink) startWatch(now time.Time) {
	if l.silence.Limit == 0 {
		return
	}
	l.silence.Begin(now)
	_, next := l.silence.Look(now, l.session.Version())
	if l.watch == nil {
		l.watch = time.AfterFunc(next, l.look)
	} else {
		l.watch.Reset(next)
	}
}

// stopWatch is told that no call is in flight; the lock is held.
func (l *tcpLink) stopWatch() {
	if l.watch != nil {
		l.watch.Stop()
	}
}

// drop takes a call from those in flight; the lock is held.
func (l *tcpLink) drop(rid int64) {
	delete(l.calls, rid)
	if len(l.calls) == 0 {
		l.stopWatch()
	}
}

// look pings a server that has been silent for a while, and gives the connection up when that has not helped.
func (l *tcpLink) look() {
	if l.nextStep() == wire.StepGiveUp {
		why := fmt.Sprintf("nothing was heard for %v", l.silence.Limit)
		l.end(connectionLost(l.endpoint, why, nil))
	}
}

// nextStep has a ping sent where that is the next step, and looks again later; not at a connection that is to be given up.
func (l *tcpLink) nextStep() wire.Step {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.calls) == 0 { // the last one ended in this very moment
		return wire.StepWait
	}
	step, next := l.silence.Look(time.Now(), l.session.Version())
	if step == wire.StepPing {
		l.queue(l.session.Ping(nil))
	}
	if step != wire.StepGiveUp {
		l.watch.Reset(next)
	}
	return step
}
