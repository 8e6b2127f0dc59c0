package jobwire

import (
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/jobwire/jobwire/sdk-go/internal/seam"
)

const (
	// retryCap is the longest pause of the worker's own choice: it tries for ever, and is back soon after a restart of the server.
	retryCap = 1200 * time.Millisecond
	// echo is how long after a recovery a single failure still belongs to the loss before.
	echo = 5 * time.Second
)

// linkChannel is one of a worker's connections.
type linkChannel string

// A worker has three connections, so that none can hold up another.
const (
	channelFetch  linkChannel = "fetch"
	channelSettle linkChannel = "settle"
	channelBeat   linkChannel = "heartbeat"
)

// serverLink is how the server is reached, over all channels of a worker: how long to wait, and the two lines to log. Pure.
//
// The loss is told once, when the first channel fails, and the recovery once, when the last one is answered. The channels do
// not hear of one loss in the same moment: a single failure soon after a recovery is its echo.
type serverLink struct {
	failures    map[linkChannel]int
	told        bool // that it is lost
	since       time.Time
	recoveredAt time.Time
	wasAnswered bool // ever
}

// failed notes a failure; true when it is the loss, to be logged.
func (l *serverLink) failed(on linkChannel, now time.Time) bool {
	if l.failures == nil {
		l.failures = make(map[linkChannel]int)
	}
	l.failures[on]++
	isEcho := l.failures[on] == 1 && !l.recoveredAt.IsZero() && now.Sub(l.recoveredAt) < echo
	if l.told || isEcho {
		return false
	}
	l.told, l.since = true, now
	return true
}

// answered notes an answer; how long the loss lasted, and true, when this ends it, to be logged.
func (l *serverLink) answered(on linkChannel, now time.Time) (time.Duration, bool) {
	l.wasAnswered = true
	delete(l.failures, on)
	if len(l.failures) > 0 || !l.told {
		return 0, false
	}
	l.told, l.recoveredAt = false, now
	return now.Sub(l.since), true
}

// isFailing says whether the channel's last call failed; its next one should not be held, to know soon whether it works.
func (l *serverLink) isFailing(on linkChannel) bool { return l.failures[on] > 0 }

// delay is how long to wait before the channel's next try: not at all, then full jitter; never less than the server asks for.
func (l *serverLink) delay(on linkChannel, err error, u float64) time.Duration {
	failures := max(l.failures[on], 1)
	if slices.Contains([]string{"CONNECTION_LOST", "CLIENT_CLOSED", "TIMEOUT", "CONNECTION_FAILED"}, codeOf(err)) {
		failures-- // the connection is new, and the server was not found to be busy
	}
	return max(reconnectDelay(failures, u, backoffBase, retryCap), retryAfterOf(err))
}

// isFatal says whether to give up in place of trying for ever: the server has never accepted anything, and will not, since no
// retry mends a configuration.
func (l *serverLink) isFatal(err error) bool {
	isConfiguration := errors.Is(err, ErrValidation) || errors.Is(err, ErrAuth) || errors.Is(err, ErrProtocol)
	return !l.wasAnswered && isConfiguration && !isRetryable(err)
}

// sharedLink is the serverLink of one worker, for all its loops.
type sharedLink struct {
	runtime *seam.Runtime
	logf    logFunc
	// onFatal is called when the very first contact shows that no retry can help: a wrong token, a refused argument, a peer of
	// another protocol.
	onFatal func(error)

	mu          sync.Mutex
	link        serverLink
	lastContact time.Time
}

// contact is when the server last answered anything; the zero time before that.
func (s *sharedLink) contact() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lastContact
}

// hold is how long the server may hold the channel's next call: wait, or not at all while the connection is in doubt.
func (s *sharedLink) hold(on linkChannel, wait time.Duration) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.link.isFailing(on) {
		return 0
	}
	return wait
}

// answered notes that the server answered on this channel.
func (s *sharedLink) answered(on linkChannel) {
	now := s.runtime.Now()
	s.mu.Lock()
	s.lastContact = now
	lasted, isBack := s.link.answered(on, now)
	s.mu.Unlock()
	if isBack {
		s.logf("server reached again after %v", lasted.Round(time.Millisecond))
	}
}

// failed notes that a call of this channel failed, and returns how long to wait before its next try.
func (s *sharedLink) failed(on linkChannel, err error) time.Duration {
	s.mu.Lock()
	fatal := s.link.isFatal(err)
	isLoss := s.link.failed(on, s.runtime.Now())
	delay := s.link.delay(on, err, s.runtime.Random())
	s.mu.Unlock()
	if fatal {
		s.onFatal(err)
	} else if isLoss {
		s.logf("server lost: %v (%s)", err, on)
	}
	return delay
}
