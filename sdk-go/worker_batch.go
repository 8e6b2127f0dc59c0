package jobwire

import "time"

// This file is pure: settlements on their way out, and what an answer means.

// batchBytes is how much a batch may hold, which must fit a line of 4 MiB with room for ids and quoting.
const batchBytes = 3 << 20

// isGone says whether a code means that the job is not ours any more.
func isGone(code string) bool {
	switch code {
	case "LEASE_LOST", "JOB_NOT_FOUND", "NOT_FOUND", "INVALID_STATE":
		return true
	}
	return false
}

// verdict is what became of one settlement.
type verdict int

const (
	verdictDone    verdict = iota
	verdictAgain           // to be sent again
	verdictGone            // its lease is gone
	verdictRefused         // for good
)

// judge is the verdict of an answer to one settlement; err is nil when it was accepted.
func judge(err error) verdict {
	switch {
	case err == nil:
		return verdictDone
	case isGone(codeOf(err)):
		return verdictGone
	case isRetryable(err) || codeOf(err) == "CLIENT_CLOSED": // closed by us, to connect anew
		return verdictAgain
	}
	return verdictRefused
}

// settlementBatch is settlements of one kind that travel together.
type settlementBatch struct {
	kind  settlementKind
	items []*settlement
}

// batchesOf is settlements by kind, each batch within the limits of the wire; the order within a kind stays. Releases travel
// one by one, the wire has no batch for them.
func batchesOf(settlements []*settlement) []*settlementBatch {
	type openBatch struct {
		batch *settlementBatch
		size  int
	}
	var batches []*settlementBatch
	open := make(map[settlementKind]openBatch)
	for _, item := range settlements {
		current, has := open[item.kind]
		if !has || item.kind == settleRelease || len(current.batch.items) >= limitBatchItems || current.size+item.size() > batchBytes {
			current = openBatch{batch: &settlementBatch{kind: item.kind}}
			batches = append(batches, current.batch)
		}
		current.batch.items = append(current.batch.items, item)
		current.size += item.size()
		open[item.kind] = current
	}
	return batches
}

// canStillLive says whether a lease may still be ours although we could not renew it.
//
// Past its end it may, while the server has not been reached since: a server that was down gives each active lease its whole
// length again when it starts (JW-TIME-1). Once it answered after that end, without renewing, the lease is over.
func canStillLive(now, expiresAt, lastContact time.Time) bool {
	return now.Before(expiresAt) || lastContact.Before(expiresAt)
}
