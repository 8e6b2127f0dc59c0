package jobwire

import (
	"context"
	"sync"
	"time"

	"github.com/jobwire/jobwire/sdk-go/internal/seam"
)

// heart keeps leases alive and hears what the server has to say: one goroutine with one connection, which no handler can starve.
//
// The server holds each heartbeat for an interval unless a job of this worker is cancelled or lost, so that it is heard in a
// moment over HTTP as over TCP.
type heart struct {
	connect connectFunc
	held    *heldJobs
	options *workerOptions
	runtime *seam.Runtime
	link    *sharedLink
	logf    logFunc
	report  func() workerState
	// onDeaf has jobs fetched over a new connection. It must not block.
	onDeaf func()
	// quiet is closed when the server has heard that the worker drains.
	quiet chan struct{}

	// These belong to the goroutine of run.
	hearing       hearing
	speaksSingles bool // after an UNKNOWN_COMMAND: a server of wire version 1
	saidQuiet     bool

	mu      sync.Mutex
	endTurn context.CancelFunc // of the turn that goes on, or the last one; nil before the first
}

// workerState is how a worker is, at one moment.
type workerState struct {
	free     int
	quiet    bool
	lastPull time.Time // zero before the first
}

// poke sends the next heartbeat now, to say that the worker has changed. Between two turns there is nothing to end: the next one
// looks at the worker after it has begun.
func (h *heart) poke() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.endTurn != nil {
		h.endTurn()
	}
}

// newTurn is the context of one heartbeat and the pause after it; poke ends it.
func (h *heart) newTurn(ctx context.Context) (context.Context, context.CancelFunc) {
	turn, end := context.WithCancel(ctx)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.endTurn = end
	return turn, end
}

// run beats until ctx ends.
func (h *heart) run(ctx context.Context) {
	conn := h.connect(h.options.beats())
	defer conn.Close()
	for ctx.Err() == nil {
		turn, end := h.newTurn(ctx)
		pause := h.beat(turn, conn)
		_ = h.runtime.Sleep(turn, pause) // it may end early: then there is something to say
		end()
	}
}

// beat sends one heartbeat and acts on the answer; how long to wait until the next one.
func (h *heart) beat(ctx context.Context, conn workerConn) time.Duration {
	started := h.runtime.Now()
	sent := h.held.leased()
	state := h.report()
	answer, err := h.send(ctx, conn, sent, state)
	if err != nil {
		return h.failed(ctx, err)
	}
	if len(sent) > 0 || !h.speaksSingles { // else nothing was asked
		h.link.answered(channelBeat)
	}
	if state.quiet && !h.saidQuiet {
		h.saidQuiet = true
		close(h.quiet)
	}
	news := newsOf(answer, sent)
	h.renew(sent, answer.Results, started)
	h.act(news, sent)
	if h.hearing.mustRebuild(news.deaf, state.free, h.runtime.Now()) {
		h.logf("the server finds this worker deaf; fetching over a new connection")
		h.onDeaf()
	}
	return heartbeatPause(h.runtime.Now().Sub(started), !h.speaksSingles, h.options.heartbeat, news.any)
}

// hold is how long the server may hold a heartbeat; not the one that brings it news.
func (h *heart) hold(state workerState) time.Duration {
	if state.quiet && !h.saidQuiet {
		return 0
	}
	return h.link.hold(channelBeat, min(h.options.heartbeat, limitWaitMS*time.Millisecond))
}

func (h *heart) send(ctx context.Context, conn workerConn, sent []*heldJob, state workerState) (*HeartbeatBatchResult, error) {
	if h.speaksSingles {
		return h.sendSingly(ctx, conn, sent)
	}
	items := make([]HeartbeatItem, len(sent))
	for i, held := range sent {
		items[i] = HeartbeatItem{Job: held.job}
	}
	joined := &HeartbeatBatchResult{}
	for len(items) > limitBatchItems {
		answer, err := conn.HeartbeatBatch(ctx, items[:limitBatchItems], nil)
		if err != nil {
			return nil, err
		}
		join(joined, answer)
		items = items[limitBatchItems:]
	}
	answer, err := conn.HeartbeatBatch(ctx, items, &HeartbeatBatchOptions{Worker: h.workerReport(state), Wait: h.hold(state)})
	if err != nil {
		return nil, err
	}
	join(joined, answer)
	return joined, nil
}

// join adds an answer to those before it.
func join(joined, answer *HeartbeatBatchResult) {
	joined.Results = append(joined.Results, answer.Results...)
	joined.Lost = append(joined.Lost, answer.Lost...)
	joined.Cancelled = append(joined.Cancelled, answer.Cancelled...)
	joined.Deaf = joined.Deaf || answer.Deaf
}

func (h *heart) sendSingly(ctx context.Context, conn workerConn, sent []*heldJob) (*HeartbeatBatchResult, error) {
	joined := &HeartbeatBatchResult{}
	for _, held := range sent {
		result := ItemResult{ID: held.job.ID}
		beat, err := conn.Heartbeat(ctx, held.job, 0)
		switch {
		case err == nil:
			result.OK, result.Cancelled = true, beat.Cancelled
		case isGone(codeOf(err)):
			result.Err = err
		default:
			return nil, err
		}
		joined.Results = append(joined.Results, result)
	}
	return joined, nil
}

func (h *heart) workerReport(state workerState) *WorkerReport {
	report := &WorkerReport{
		ID: h.options.workerID, Queues: h.options.queues, Concurrency: h.options.concurrency, Free: &state.free, State: "running",
	}
	if state.quiet {
		report.State = "quiet"
	}
	if !state.lastPull.IsZero() {
		ago := max(h.runtime.Now().Sub(state.lastPull), 0)
		report.LastPull = &ago
	}
	return report
}

func (h *heart) failed(ctx context.Context, err error) time.Duration {
	if ctx.Err() != nil { // we hung up ourselves
		return 0
	}
	if codeOf(err) == "UNKNOWN_COMMAND" && !h.speaksSingles {
		h.speaksSingles = true
		return 0
	}
	return min(h.link.failed(channelBeat, err), h.options.heartbeat)
}

func (h *heart) renew(sent []*heldJob, results []ItemResult, started time.Time) {
	renewed := make(map[string]bool, len(results))
	for _, result := range results {
		renewed[result.ID] = result.OK
	}
	for _, held := range sent {
		if renewed[held.job.ID] {
			// From when the request left: the server's own count starts later, never sooner.
			held.renew(started.Add(h.options.lease))
		}
	}
}

func (h *heart) act(news heartbeatNews, sent []*heldJob) {
	for _, held := range sent {
		if news.lost[held.job.ID] && held.loseLease() {
			h.logf("lease of job %s lost", held.job.ID)
		}
	}
	for _, held := range h.held.all() {
		if news.cancelled[held.job.ID] {
			held.stop(ErrJobCancelled)
		}
	}
}
