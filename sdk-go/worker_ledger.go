package jobwire

import (
	"fmt"
	"time"
)

// ledger decides about settlements on their way to the server: what may still be sent, what an answer means, and when a job is
// done with. No I/O; the settler sends what batches gives, and tells what came back. Used by one goroutine.
type ledger struct {
	held *heldJobs
	// settled is called once for each held job that is done with.
	settled func(*heldJob)
	logf    logFunc

	alone       map[leaseKey]bool // refused in company, sent one by one
	sendsSingly bool              // the server has no batch for failures (wire version 1)
}

func newLedger(held *heldJobs, settled func(*heldJob), logf logFunc) *ledger {
	return &ledger{held: held, settled: settled, logf: logf, alone: make(map[leaseKey]bool)}
}

// batches is what is still worth sending; the rest is dropped with a line in the log.
func (l *ledger) batches(settlements []*settlement, now, lastContact time.Time) []*settlementBatch {
	var together []*settlement
	var alone []*settlementBatch
	for _, item := range settlements {
		held := l.held.of(item.job)
		switch {
		case held == nil: // settled meanwhile
		case !l.maySend(held, now, lastContact):
			l.end(item.job)
		case l.sendsSingly || l.alone[keyOf(item.job)]:
			alone = append(alone, &settlementBatch{kind: item.kind, items: []*settlement{item}})
		default:
			together = append(together, item)
		}
	}
	return append(batchesOf(together), alone...)
}

func (l *ledger) maySend(held *heldJob, now, lastContact time.Time) bool {
	if !canStillLive(now, held.leaseEnd(), lastContact) {
		l.logf("outcome of job %s dropped, the lease is over", held.job.ID)
		return false
	}
	return held.markSent()
}

// answered notes the answer to a batch, an error or nil for each item, and returns what must be sent again.
func (l *ledger) answered(batch *settlementBatch, results []error) []*settlement {
	var again []*settlement
	for i, item := range batch.items {
		again = append(again, l.settle(item, results[i])...)
	}
	return again
}

// refused notes that a batch as a whole met with err, and returns what must be sent again.
func (l *ledger) refused(batch *settlementBatch, err error) []*settlement {
	if codeOf(err) == "UNKNOWN_COMMAND" && batch.kind == settleFail && !l.sendsSingly {
		l.sendsSingly = true
		return batch.items
	}
	if judge(err) == verdictAgain {
		return batch.items
	}
	if len(batch.items) > 1 { // one of them spoils the others; find out which
		for _, item := range batch.items {
			l.alone[keyOf(item.job)] = true
		}
		return batch.items
	}
	return l.settle(batch.items[0], err)
}

func (l *ledger) settle(item *settlement, err error) []*settlement {
	switch found := judge(err); {
	case found == verdictAgain:
		return []*settlement{item}
	case found == verdictRefused && item.kind == settleAck:
		return []*settlement{failSettlement(item.job, fmt.Sprintf("the handler's result was refused: %v", err))}
	case found == verdictGone:
		l.logf("outcome of job %s dropped, the lease is lost: %v", item.job.ID, err)
	case found == verdictRefused:
		l.logf("outcome of job %s refused: %v", item.job.ID, err)
	}
	l.end(item.job)
	return nil
}

func (l *ledger) end(job *Job) {
	delete(l.alone, keyOf(job))
	if held := l.held.of(job); held != nil {
		l.held.remove(held)
		l.settled(held)
	}
}

// ackItems is a batch of acks as the client takes them.
func (b *settlementBatch) ackItems() []AckItem {
	items := make([]AckItem, len(b.items))
	for i, item := range b.items {
		items[i] = AckItem{Job: item.job}
		if item.result != nil {
			items[i].Result = item.result
		}
	}
	return items
}

// failItems is a batch of failures as the client takes them.
func (b *settlementBatch) failItems() []FailItem {
	items := make([]FailItem, len(b.items))
	for i, item := range b.items {
		items[i] = FailItem{Job: item.job, Err: failText(item.text), RetryIn: item.retryIn, Discard: item.discard}
	}
	return items
}

// failText is the text of a failure, as the client wants it: an error.
type failText string

func (t failText) Error() string { return string(t) }

// itemErrors are the outcomes of a batch of n, in order. A server that answers about fewer items has broken the protocol; what
// it left out is asked again.
func itemErrors(results []ItemResult, n int) []error {
	outcomes := make([]error, n)
	for i := range outcomes {
		if i >= len(results) {
			outcomes[i] = &Error{Code: "CONNECTION_LOST", Message: "the server left this item out", Retryable: true}
		} else if !results[i].OK {
			outcomes[i] = results[i].Err
		}
	}
	return outcomes
}
