package jobwire

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

func secs(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// at is an instant so many seconds after another.
func at(s float64) time.Time { return time.Unix(1_800_000_000, 0).Add(secs(s)) }

func coded(code string) *Error { return newError(code, "", nil) }

// --- slots and pulls ---

func TestSlotsAreAskedForBeforeAndHeldAfterAPull(t *testing.T) {
	t.Parallel()
	s := jobSlots{total: 3}

	counts := []int{s.ask(), s.ask()}
	s.answered(3, 2)
	counts = append(counts, s.free(), s.held, s.ask())
	s.answered(1, 1)
	counts = append(counts, s.free())
	s.vacate()
	counts = append(counts, s.free())

	if want := []int{3, 0, 1, 2, 1, 0, 1}; !slices.Equal(want, counts) {
		t.Errorf("want %v, got %v", want, counts)
	}
}

func TestSlotsRefuseMoreJobsThanWereAskedForAndChangeNothing(t *testing.T) {
	t.Parallel()
	s := jobSlots{total: 2}
	s.ask()

	for name, wrong := range map[string]func(){"answered": func() { s.answered(2, 3) }, "vacate": s.vacate} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("want %s to panic", name)
				}
			}()
			wrong()
		}()
	}
	if s != (jobSlots{total: 2, asked: 2}) {
		t.Errorf("want nothing changed, got %+v", s)
	}
}

func TestAPullIsAsLargeAsTheWireAllows(t *testing.T) {
	t.Parallel()
	s := jobSlots{total: 5000}

	if got := s.ask(); got != 1000 {
		t.Errorf("want 1000, got %d", got)
	}
}

func TestPacerAsksAServerThatHoldsPullsAgainAtOnce(t *testing.T) {
	t.Parallel()
	var p pacer

	for _, elapsed := range []float64{20, 20, 10} {
		if got := p.after(0, secs(elapsed), secs(20), 1); got != 0 {
			t.Errorf("want no pause after %v s, got %v", elapsed, got)
		}
	}
	if got := p.after(3, 0, secs(20), 1); got != 0 {
		t.Errorf("want no pause after jobs, got %v", got)
	}
}

func TestPacerAsksEverMoreSlowlyAfterEarlyEmptyAnswers(t *testing.T) {
	t.Parallel()
	var p pacer
	var got []time.Duration

	for range 7 {
		got = append(got, p.after(0, 0, secs(20), 1))
	}

	want := []time.Duration{0, secs(0.1), secs(0.2), secs(0.4), secs(0.8), secs(1), secs(1)}
	if !slices.Equal(want, got) {
		t.Errorf("want %v, got %v", want, got)
	}
	if again := p.after(1, 0, secs(20), 1) + p.after(0, 0, secs(20), 1); again != 0 {
		t.Errorf("want it to begin anew after a job, got %v", again)
	}
}

// --- settling ---

func TestJudgeGivesEachErrorItsConsequence(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]verdict{
		"LEASE_LOST": verdictGone, "JOB_NOT_FOUND": verdictGone, "INVALID_STATE": verdictGone,
		"STORAGE_UNAVAILABLE": verdictAgain, "CONNECTION_LOST": verdictAgain, "TIMEOUT": verdictAgain, "CLIENT_CLOSED": verdictAgain,
		"VALIDATION_ERROR": verdictRefused,
	} {
		if got := judge(fmt.Errorf("wrapped: %w", coded(code))); got != want {
			t.Errorf("%s: want %v, got %v", code, want, got)
		}
	}
	if judge(nil) != verdictDone {
		t.Error("want no error to be done")
	}
}

func TestBatchesHoldOneKindEachAndKeepToTheLimits(t *testing.T) {
	t.Parallel()
	var items []*settlement
	for range 1001 {
		items = append(items, &settlement{kind: settleAck, job: aJob})
	}
	items = append(items, failSettlement(aJob, "no"))
	for range 4 {
		items = append(items, &settlement{kind: settleAck, job: aJob, result: make([]byte, 1<<20)})
	}
	items = append(items, &settlement{kind: settleRelease, job: aJob}, &settlement{kind: settleRelease, job: aJob})

	var got []string
	for _, batch := range batchesOf(items) {
		got = append(got, fmt.Sprint(batch.kind, "×", len(batch.items)))
	}

	want := []string{"0×1000", "0×4", "1×1", "0×1", "2×1", "2×1"}
	if !slices.Equal(want, got) {
		t.Errorf("want %v, got %v", want, got)
	}
}

func TestALeaseMayOutliveItsEndWhileTheServerIsOutOfReach(t *testing.T) {
	t.Parallel()
	tests := []struct {
		now, expires, contact float64
		want                  bool
	}{{9, 10, 8, true}, {60, 10, 9, true}, {60, 10, 11, false}}
	for _, test := range tests {
		if got := canStillLive(at(test.now), at(test.expires), at(test.contact)); got != test.want {
			t.Errorf("%+v: got %v", test, got)
		}
	}
}

// --- heartbeats ---

func TestNewsCountLostLeasesOnlyWhereTheHeartbeatAsked(t *testing.T) {
	t.Parallel()
	answer := &HeartbeatBatchResult{
		Results:   []ItemResult{{ID: "a", Err: coded("LEASE_LOST")}, {ID: "b", OK: true, Cancelled: true}},
		Lost:      []string{"a", "older"},
		Cancelled: []string{"c"},
		Deaf:      true,
	}

	news := newsOf(answer, []*heldJob{{job: &Job{ID: "a"}}, {job: &Job{ID: "b"}}})

	if got := fmt.Sprint(news); got != "{map[a:true] map[b:true c:true] true true}" {
		t.Errorf("got %s", got)
	}
}

func TestARenewedLeaseIsNoNews(t *testing.T) {
	t.Parallel()

	news := newsOf(&HeartbeatBatchResult{Results: []ItemResult{{ID: "a", OK: true}}}, []*heldJob{{job: &Job{ID: "a"}}})

	if news.any {
		t.Errorf("want no news, got %+v", news)
	}
}

func TestHeartbeatPause(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		elapsed float64
		held    bool
		isNews  bool
		want    float64
	}{
		{"AServerThatHeldItIsAskedAtOnce", 10, true, false, 0},
		{"NewsAfterAWhileAsksAtOnce", 3, true, true, 0},
		{"NewsAgainAndAgainMakesNoBusyLoop", 0, true, true, 0.5},
		{"AServerThatDoesNotHoldIsAskedALittleLater", 0.1, true, false, 0.4},
		{"OthersAreAskedOnceAnInterval", 0, false, false, 10},
		{"AnIntervalThatIsOverIsOver", 12, false, false, 0},
	}
	for _, test := range tests {
		if got := heartbeatPause(secs(test.elapsed), test.held, secs(10), test.isNews); got != secs(test.want) {
			t.Errorf("%s: want %v s, got %v", test.name, test.want, got)
		}
	}
}

func TestHearingRebuildsAtOnceAndThenOnceAnInterval(t *testing.T) {
	t.Parallel()
	h := hearing{interval: secs(10)}

	got := []bool{
		h.mustRebuild(true, 1, at(0)), h.mustRebuild(true, 1, at(9)), h.mustRebuild(true, 1, at(10)),
		h.mustRebuild(false, 1, at(30)), h.mustRebuild(true, 0, at(30)),
	}

	if want := []bool{true, false, true, false, false}; !slices.Equal(want, got) {
		t.Errorf("want %v, got %v", want, got)
	}
}
