package jobwire

import (
	"fmt"
	"time"
)

// This file is pure: no clock, no chance, no I/O, no locks.

// jobSlots counts what a worker holds: free + asked + held = total, always.
//
// A slot is asked for before the pull leaves, and held until the job's settlement is answered, so that the worker never
// holds more leases than its concurrency (JW-SDK-7).
type jobSlots struct {
	total, asked, held int
}

func (s *jobSlots) free() int { return s.total - s.asked - s.held }

// ask reserves every free slot, as many as one pull can fill; 0 when there is none.
func (s *jobSlots) ask() int {
	count := min(s.free(), limitPullCount)
	s.asked += count
	return count
}

// answered notes that a pull for asked slots brought filled jobs.
func (s *jobSlots) answered(asked, filled int) {
	if filled < 0 || filled > asked || asked > s.asked {
		panic(fmt.Sprintf("jobwire: %d jobs came for %d slots, %d were asked for", filled, asked, s.asked))
	}
	s.asked -= asked
	s.held += filled
}

// vacate notes that a job is settled or lost, and its handler has ended.
func (s *jobSlots) vacate() {
	if s.held < 1 {
		panic("jobwire: no slot is held")
	}
	s.held--
}

// pullPlan is one pull and its repeats: the same request id, so that a lost answer costs nothing.
type pullPlan struct {
	count     int
	requestID string
}

// emptyAnswerCap is the longest pause between pulls from a server that does not hold them.
const emptyAnswerCap = time.Second

// pacer keeps a worker from asking in a circle where the server answers an empty pull before its wait is over.
type pacer struct {
	early int // empty answers in a row that came early
}

// after is how long to pause before the next pull, 0 unless empty answers come early again and again; u is uniform in
// [0, 1).
func (p *pacer) after(found int, elapsed, wait time.Duration, u float64) time.Duration {
	if found > 0 || (wait > 0 && elapsed >= wait/2) {
		p.early = 0
		return 0
	}
	delay := reconnectDelay(p.early, u, backoffBase, emptyAnswerCap)
	p.early++
	return delay
}
