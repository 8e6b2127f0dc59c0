package wire

import "time"

// Step is what to do about a peer that says nothing.
type Step int

const (
	// StepWait: nothing yet.
	StepWait Step = iota
	// StepPing: ask whether it is there.
	StepPing
	// StepGiveUp: take the connection for lost.
	StepGiveUp
)

// Silence tells a peer that is gone without a word from one that has nothing to say yet, while requests are unanswered. A peer of
// version 2 is pinged halfway, since a request may wait there; who answers that is there (JW-SDK-13, JW-SDK-14).
//
// Rule: no clock here; instants are arguments.
type Silence struct {
	// Limit is how long the peer may say nothing.
	Limit time.Duration

	since    time.Time
	pingedAt time.Time // zero when there was no ping since then
}

// Begin is told that the peer was heard, or that the first of the requests in flight leaves.
func (s *Silence) Begin(now time.Time) { s.since, s.pingedAt = now, time.Time{} }

// Look is what to do now, and how long to wait before the next look.
//
// A look that comes late, on a machine that is busy, does not take the peer's time for its answer to a ping away.
func (s *Silence) Look(now time.Time, version int) (Step, time.Duration) {
	half := s.Limit / 2
	due, step := s.since.Add(s.Limit), StepGiveUp
	switch {
	case version != 2:
	case s.pingedAt.IsZero():
		due, step = s.since.Add(half), StepPing
	default:
		due = s.pingedAt.Add(s.Limit - half)
	}
	if now.Before(due) {
		return StepWait, due.Sub(now)
	}
	if step == StepPing {
		s.pingedAt = now
	}
	return step, s.Limit - half
}
