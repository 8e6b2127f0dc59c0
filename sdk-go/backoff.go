package jobwire

import (
	"math"
	"time"
)

// When to try again, as pure arithmetic: full jitter, a first try at once after a lost connection, and a budget.
//
// Rule: no clock and no chance here; now and u (uniform in [0, 1)) are arguments, so that tests assert sequences.

const (
	backoffBase = 100 * time.Millisecond // the first jittered delay is below this
	backoffCap  = 2 * time.Second        // no delay of the client's own choice is longer
)

// atOnce are the codes after which the next try goes out at once: the connection is new, and the server was not found to be busy.
var atOnce = map[string]bool{"CONNECTION_FAILED": true, "CONNECTION_LOST": true, "TIMEOUT": true}

// retryDelay is full jitter: uniform between 0 and base * 2^attempt, which stops growing at limit. attempt counts from 0.
func retryDelay(attempt int, u float64, base, limit time.Duration) time.Duration {
	longest := math.Ldexp(float64(base), min(attempt, 62))
	return time.Duration(u * min(float64(limit), longest))
}

// reconnectDelay is as retryDelay, but the first reconnect (attempt 0) is made at once.
func reconnectDelay(attempt int, u float64, base, limit time.Duration) time.Duration {
	if attempt == 0 {
		return 0
	}
	return retryDelay(attempt-1, u, base, limit)
}

// retryPolicy is how often, and for how long, a call is repeated.
type retryPolicy struct {
	// retries of a request that may have reached the server; 0 switches all repeats off.
	retries int
	// budget after the first failure in which a repeat may start. A connection that cannot be made is tried again for as long as
	// this lasts, however small retries is.
	budget time.Duration
}

// retryState is the failures of one call so far.
type retryState struct {
	policy   retryPolicy
	class    retryClass
	failures int
	sent     int // failures after which the server may have seen the request
	since    time.Time
}

// after is how long to wait before the call is repeated, and false when err is final.
func (s *retryState) after(err *Error, now time.Time, u float64) (time.Duration, bool) {
	if s.failures == 0 {
		s.since = now
	}
	wait := s.wait(err, u)
	s.failures++
	if err.Code != "CONNECTION_FAILED" {
		s.sent++
	}
	if !s.allowed(err) || wait > s.policy.budget-now.Sub(s.since) {
		return 0, false
	}
	return wait, true
}

func (s *retryState) wait(err *Error, u float64) time.Duration {
	own := retryDelay(s.failures, u, backoffBase, backoffCap)
	if atOnce[err.Code] {
		own = reconnectDelay(s.failures, u, backoffBase, backoffCap)
	}
	return max(own, err.RetryAfter)
}

func (s *retryState) allowed(err *Error) bool {
	if !err.Retryable || s.policy.retries == 0 || s.sent > s.policy.retries {
		return false
	}
	return s.class != retryNever || SafeToRetry(err)
}
