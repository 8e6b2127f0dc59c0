package jobwire

import "time"

// This file is pure: when to send heartbeats, and what their answers mean.

// heartbeatSpacing keeps news that stays news from making a busy loop.
const heartbeatSpacing = 500 * time.Millisecond

// heartbeatNews is what a heartbeat brought.
type heartbeatNews struct {
	lost      map[string]bool // ids of jobs
	cancelled map[string]bool // ids of jobs
	deaf      bool            // the server finds the worker deaf
	any       bool            // whether there was anything, also about jobs that were not asked about
}

// newsOf reads the answer to a heartbeat for the jobs sent.
//
// A job that is lost and was not among them may be one that came back under a new lease meanwhile; it counts only when the
// next heartbeat asks about that lease.
func newsOf(answer *HeartbeatBatchResult, sent []*heldJob) heartbeatNews {
	news := heartbeatNews{lost: make(map[string]bool), cancelled: make(map[string]bool), deaf: answer.Deaf}
	lost := make(map[string]bool)
	for _, id := range answer.Lost {
		lost[id] = true
	}
	for _, id := range answer.Cancelled {
		news.cancelled[id] = true
	}
	for _, result := range answer.Results {
		if result.Err != nil && isGone(codeOf(result.Err)) {
			lost[result.ID] = true
		}
		if result.Cancelled {
			news.cancelled[result.ID] = true
		}
	}
	for _, held := range sent {
		if lost[held.job.ID] {
			news.lost[held.job.ID] = true
		}
	}
	news.any = len(lost) > 0 || len(news.cancelled) > 0 || news.deaf
	return news
}

// heartbeatPause is how long to wait until the next heartbeat, elapsed after the last one left; held when the server was asked
// to hold it.
//
// A server that held it is asked again at once, so that it can always tell. After news, and where the answer came early, a
// little later: a job that stays cancelled is news again and again. Others are asked once an interval.
func heartbeatPause(elapsed time.Duration, held bool, interval time.Duration, isNews bool) time.Duration {
	switch {
	case !held:
		return max(interval-elapsed, 0)
	case elapsed >= interval/2 && !isNews:
		return 0
	}
	return max(min(heartbeatSpacing, interval)-elapsed, 0)
}

// hearing decides when a worker that the server calls deaf builds its connection anew: at once, then once an interval at most.
type hearing struct {
	interval  time.Duration
	rebuiltAt time.Time // zero before the first time
}

// mustRebuild says whether to rebuild now; a worker without free slots has a reason not to ask.
func (h *hearing) mustRebuild(deaf bool, free int, now time.Time) bool {
	isRecent := !h.rebuiltAt.IsZero() && now.Sub(h.rebuiltAt) < h.interval
	if !deaf || free < 1 || isRecent {
		return false
	}
	h.rebuiltAt = now
	return true
}
