package jobwire

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/jobwire/jobwire/sdk-go/internal/seam"
)

// bench is a settler with its ledger, a fake server, and a clock that stands still.
type bench struct {
	*fakeServer
	held    *heldJobs
	link    *sharedLink
	settler *settler
	settled chan string
	now     time.Time // set before it runs
}

func newBench() *bench {
	b := &bench{fakeServer: newFakeServer(), held: newHeldJobs(), settled: make(chan string, 100), now: at(0)}
	runtime := &seam.Runtime{Now: func() time.Time { return b.now }, Sleep: seam.Real().Sleep, Random: func() float64 { return 0 }}
	b.link = &sharedLink{runtime: runtime, logf: b.logf, onFatal: func(error) {}}
	ledger := newLedger(b.held, func(h *heldJob) { b.settled <- h.job.ID }, b.logf)
	b.settler = newSettler(b.connect, ledger, &workerOptions{}, runtime, b.link)
	return b
}

// run has the settler work until the test ends.
func (b *bench) run(t *testing.T) {
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); b.settler.run(ctx) }()
	t.Cleanup(func() { stop(); <-done })
}

func (b *bench) hold(id string) *heldJob {
	_, held := newHeldJob(context.Background(), &Job{ID: id, Lease: "1-" + id}, b.now.Add(30*time.Second))
	b.held.add(held)
	return held
}

func (b *bench) ack(ids ...string) {
	for _, id := range ids {
		b.settler.put(&settlement{kind: settleAck, job: b.hold(id).job})
	}
}

// wait is the ids of so many jobs that were settled, sorted.
func (b *bench) wait(t *testing.T, count int) []string {
	t.Helper()
	var ids []string
	for range count {
		ids = append(ids, receive(t, b.settled))
	}
	slices.Sort(ids)
	return ids
}

// sent is what was sent of an operation, call by call.
func (b *bench) sent(op string) []string {
	var whats []string
	for _, call := range b.callsOf(op) {
		whats = append(whats, call.what)
	}
	return whats
}

func expectEqual(t *testing.T, want, got []string) {
	t.Helper()
	if !slices.Equal(want, got) {
		t.Errorf("want %q, got %q", want, got)
	}
}

func TestSettlerSendsASingleAckAtOnceAndGathersTheOthersBehindIt(t *testing.T) {
	t.Parallel()
	b := newBench()
	leave := make(chan struct{})
	b.hook = func(op string) { <-leave }
	b.run(t)

	b.ack("0")
	b.waitCalls(t, "ack_batch", 1)
	b.ack("1", "2", "3")
	close(leave)

	expectEqual(t, []string{"0", "1", "2", "3"}, b.wait(t, 4))
	expectEqual(t, []string{"[1-0]", "[1-1 1-2 1-3]"}, b.sent("ack_batch"))
}

func TestSettlerTakesAPartialFailureAsThatOfItsItemOnly(t *testing.T) {
	t.Parallel()
	b := newBench()
	b.fail("item lost", fakeFault{err: coded("LEASE_LOST")})
	b.fail("item busy", fakeFault{err: coded("STORAGE_UNAVAILABLE")}, fakeFault{err: coded("STORAGE_UNAVAILABLE")})
	b.ack("good", "lost", "busy")

	b.run(t)

	expectEqual(t, []string{"busy", "good", "lost"}, b.wait(t, 3))
	expectEqual(t, []string{"[1-good 1-lost 1-busy]", "[1-busy]", "[1-busy]"}, b.sent("ack_batch"))
	if b.logged("outcome of job lost dropped, the lease is lost: LEASE_LOST") != 1 {
		t.Errorf("want a line in the log, got %q", b.lines)
	}
}

func TestSettlerDoesNotAskAServerInACircleThatCannotDoItNow(t *testing.T) {
	t.Parallel()
	b := newBench()
	var slept []time.Duration
	b.settler.runtime.Random = func() float64 { return 1 }
	b.settler.runtime.Sleep = func(_ context.Context, d time.Duration) error { slept = append(slept, d); return nil }
	for range 6 {
		b.fail("item busy", fakeFault{err: coded("STORAGE_UNAVAILABLE")})
	}
	b.ack("busy")

	b.run(t)

	b.wait(t, 1)
	ms := time.Millisecond
	if want := []time.Duration{0, 100 * ms, 200 * ms, 400 * ms, 800 * ms, 1200 * ms}; !slices.Equal(want, slept) {
		t.Errorf("want %v, got %v", want, slept)
	}
}

func TestSettlerSendsNothingOnceTheLeaseIsLost(t *testing.T) {
	t.Parallel()
	b := newBench()
	b.ack("lost", "good")
	b.held.get(leaseKey{"lost", "1-lost"}).stop(ErrLeaseLost)

	b.run(t)

	expectEqual(t, []string{"good", "lost"}, b.wait(t, 2))
	expectEqual(t, []string{"[1-good]"}, b.sent("ack_batch"))
}

func TestSettlerWaitsForAServerThatIsAwayHoweverLong(t *testing.T) {
	t.Parallel()
	b := newBench()
	for range 5 {
		b.fail("ack_batch", fakeFault{err: coded("CONNECTION_FAILED")})
	}
	b.ack("job")
	b.now = at(3600) // far beyond the lease; nobody has been reached since it began

	b.run(t)

	expectEqual(t, []string{"job"}, b.wait(t, 1))
	if got := len(b.sent("ack_batch")); got != 6 {
		t.Errorf("want 6 tries, got %d", got)
	}
}

func TestSettlerDropsAnOutcomeWhenTheServerWasReachedAfterTheEndOfTheLease(t *testing.T) {
	t.Parallel()
	b := newBench()
	b.ack("job")
	b.now = at(31)
	b.link.answered(channelBeat)

	b.run(t)

	b.wait(t, 1)
	expectEqual(t, nil, b.sent("ack_batch"))
	if b.logged("outcome of job job dropped, the lease is over") != 1 {
		t.Errorf("want a line in the log, got %q", b.lines)
	}
}

func TestSettlerFindsTheItemThatSpoilsABatchAndFailsItsJob(t *testing.T) {
	t.Parallel()
	b := newBench()
	b.fail("ack_batch", fakeFault{err: coded("VALIDATION_ERROR")})
	b.fail("item bad", fakeFault{err: coded("VALIDATION_ERROR")})
	b.ack("good", "bad")

	b.run(t)

	expectEqual(t, []string{"bad", "good"}, b.wait(t, 2))
	expectEqual(t, []string{"[1-good 1-bad]", "[1-good]", "[1-bad]"}, b.sent("ack_batch"))
	if got, want := b.ended["bad"], "fail the handler's result was refused: VALIDATION_ERROR"; got != want {
		t.Errorf("want %q, got %q", want, got)
	}
}

func TestSettlerSendsFailuresOneByOneToAServerWithoutBatchesOfThem(t *testing.T) {
	t.Parallel()
	b := newBench()
	b.fail("fail_batch", fakeFault{err: coded("UNKNOWN_COMMAND")})
	b.settler.put(&settlement{kind: settleFail, job: b.hold("a").job, text: "no", discard: true})
	b.settler.put(&settlement{kind: settleFail, job: b.hold("b").job, text: "no", retryIn: time.Minute})

	b.run(t)

	expectEqual(t, []string{"a", "b"}, b.wait(t, 2))
	expectEqual(t, []string{"a", "b"}, b.sent("fail"))
	expectEqual(t, []string{"fail no discard", "fail no retry in 1m0s"}, []string{b.ended["a"], b.ended["b"]})
}

func TestSettlerSendsReleasesOneByOneAndNoneHoldsUpAnother(t *testing.T) {
	t.Parallel()
	b := newBench()
	b.fail("release", fakeFault{err: coded("LEASE_LOST")})
	b.settler.put(&settlement{kind: settleRelease, job: b.hold("a").job})
	b.settler.put(&settlement{kind: settleRelease, job: b.hold("b").job, delay: time.Minute})

	b.run(t)

	expectEqual(t, []string{"a", "b"}, b.wait(t, 2))
	expectEqual(t, []string{"a", "b"}, b.sent("release"))
	expectEqual(t, []string{"", "release 1m0s"}, []string{b.ended["a"], b.ended["b"]})
}

func TestSettlerDoesNotTakeALostConnectionForAnAnswer(t *testing.T) {
	t.Parallel()
	b := newBench()
	b.fail("release", fakeFault{err: coded("CONNECTION_FAILED")}, fakeFault{err: coded("CONNECTION_FAILED")})
	for _, id := range []string{"a", "b"} {
		b.settler.put(&settlement{kind: settleRelease, job: b.hold(id).job})
	}
	var contacts []bool
	b.hook = func(op string) { contacts = append(contacts, !b.link.contact().IsZero()) }

	b.run(t)

	b.wait(t, 2)
	expectEqual(t, []string{"a", "a", "a", "b"}, b.sent("release")) // the second waits for the connection that the first lacks
	if want := []bool{false, false, false, true}; !slices.Equal(want, contacts) {
		t.Errorf("want no contact before the server answered, got %v", contacts)
	}
}

func TestItemErrorsOfAnAnswerThatLeavesItemsOutAskForThemAgain(t *testing.T) {
	t.Parallel()
	refused := errors.New("no")

	got := itemErrors([]ItemResult{{OK: true}, {Err: refused}, {}}, 4)

	if got[0] != nil || got[1] != refused || got[2] != nil || judge(got[3]) != verdictAgain {
		t.Errorf("got %v", got)
	}
}
