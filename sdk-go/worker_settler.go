package jobwire

import (
	"context"
	"sync"
	"time"

	"github.com/jobwire/jobwire/sdk-go/internal/seam"
)

// settler tells the server how jobs ended, many at a time: one goroutine with one connection. While a batch is on its way, what
// ends meanwhile gathers, and leaves as the next batch. A single outcome leaves at once.
type settler struct {
	connect connectFunc
	ledger  *ledger
	options *workerOptions
	runtime *seam.Runtime
	link    *sharedLink
	filled  chan struct{} // holds one token while the outbox may have something

	mu     sync.Mutex
	outbox []*settlement
	conn   workerConn // nil before run
}

func newSettler(connect connectFunc, ledger *ledger, options *workerOptions, runtime *seam.Runtime, link *sharedLink) *settler {
	return &settler{connect: connect, ledger: ledger, options: options, runtime: runtime, link: link, filled: make(chan struct{}, 1)}
}

// put has item sent as soon as the previous batch is answered.
func (s *settler) put(item *settlement) {
	s.mu.Lock()
	s.outbox = append(s.outbox, item)
	s.mu.Unlock()
	s.tell()
}

// putBack has items sent again, before what has come meanwhile.
func (s *settler) putBack(items []*settlement) {
	s.mu.Lock()
	s.outbox = append(items, s.outbox...)
	s.mu.Unlock()
	s.tell()
}

func (s *settler) tell() {
	select {
	case s.filled <- struct{}{}:
	default: // it has been told, and will look
	}
}

func (s *settler) take() []*settlement {
	s.mu.Lock()
	defer s.mu.Unlock()
	taken := s.outbox
	s.outbox = nil
	return taken
}

// doubt is told that another connection of this worker was found dead. This one finds out by its own silence, which takes its time:
// what is sent next takes a new one.
func (s *settler) doubt() {
	s.mu.Lock()
	conn := s.conn
	s.mu.Unlock()
	if conn != nil {
		conn.closeIdle()
	}
}

// run sends until ctx ends, sent or not.
func (s *settler) run(ctx context.Context) {
	conn := s.connect(s.options.calls(callTimeout))
	defer conn.Close()
	s.mu.Lock()
	s.conn = conn
	s.mu.Unlock()
	repeats := 0 // rounds in a row of which something must be sent again
	for ctx.Err() == nil {
		select {
		case <-s.filled:
		case <-ctx.Done():
			return
		}
		again, delay := s.sendAll(ctx, conn, s.take())
		if len(again) == 0 {
			repeats = 0
			continue
		}
		s.putBack(again)
		// A server that is reached and cannot do it now must not be asked in a circle.
		delay = max(delay, reconnectDelay(repeats, s.runtime.Random(), backoffBase, retryCap))
		repeats++
		_ = s.runtime.Sleep(ctx, delay) // an error means that ctx has ended, which the loop sees
	}
}

// sendAll returns what must be sent again, and how long to wait before that at least.
func (s *settler) sendAll(ctx context.Context, conn workerConn, taken []*settlement) (again []*settlement, delay time.Duration) {
	batches := s.ledger.batches(taken, s.runtime.Now(), s.link.contact())
	for i, batch := range batches {
		results, err := s.send(ctx, conn, batch)
		if err == nil {
			s.link.answered(channelSettle)
			again = append(again, s.ledger.answered(batch, results)...)
			continue
		}
		if ctx.Err() != nil { // we left ourselves
			return nil, 0
		}
		again = append(again, s.ledger.refused(batch, err)...)
		if judge(err) != verdictAgain {
			s.link.answered(channelSettle) // a refusal is an answer
			continue
		}
		// The others would go by the same connection, to the same server.
		return append(again, itemsOf(batches[i+1:])...), s.link.failed(channelSettle, err)
	}
	return again, 0
}

func itemsOf(batches []*settlementBatch) []*settlement {
	var items []*settlement
	for _, batch := range batches {
		items = append(items, batch.items...)
	}
	return items
}

// send carries out one batch; an error per item, or one for all.
func (s *settler) send(ctx context.Context, conn workerConn, batch *settlementBatch) ([]error, error) {
	first := batch.items[0]
	var results []ItemResult
	var err error
	switch {
	case batch.kind == settleRelease:
		_, err = conn.Release(ctx, first.job, first.delay)
		return []error{nil}, err
	case batch.kind == settleAck:
		results, err = conn.AckBatch(ctx, batch.ackItems())
	case s.ledger.sendsSingly:
		_, err = conn.Fail(ctx, first.job, failText(first.text), &FailOptions{RetryIn: first.retryIn, Discard: first.discard})
		return []error{nil}, err
	default:
		results, err = conn.FailBatch(ctx, batch.failItems())
	}
	return itemErrors(results, len(batch.items)), err
}
