package jobwire

import (
	"regexp"
	"sync"
	"testing"
	"time"
)

func TestTheTextOfAnIDIsTheCanonicalOne(t *testing.T) {
	t.Parallel()
	// The example of RFC 9562, appendix A.6.
	same(t, "017f22e2-79b0-7cc3-98c4-dc0c0c07398f", formatID(0x017F22E279B0, 0xCC3, 0x18C4DC0C0C07398F))
	same(t, "ffffffff-ffff-7fff-bfff-ffffffffffff", formatID(1<<48-1, 1<<64-1, 1<<64-1))
}

func TestAnIDIsAVersion7UUIDOfNow(t *testing.T) {
	t.Parallel()
	source := &idSource{now: func() time.Time { return time.UnixMilli(0x0123456789AB) }}

	got := source.next()

	if !regexp.MustCompile(`^01234567-89ab-7000-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(got) {
		t.Errorf("got %s", got)
	}
}

func TestIDsOfManyGoroutinesDifferAndThoseOfOneOnlyGrow(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var all sync.WaitGroup
	seen := map[string]bool{}
	for range 8 {
		all.Add(1)
		go func() {
			defer all.Done()
			last := ""
			for range 1000 {
				id := processIDs.next()
				if id <= last {
					t.Errorf("%s came after %s", id, last)
				}
				last = id
				mu.Lock()
				seen[id] = true
				mu.Unlock()
			}
		}()
	}
	all.Wait()
	same(t, 8000, len(seen))
}

func TestIDsGrowWhenTheWallClockStepsBack(t *testing.T) {
	t.Parallel()
	now := time.UnixMilli(1_000_000)
	source := &idSource{now: func() time.Time { return now }}
	last := source.next()

	now = now.Add(-time.Hour)

	for range 5000 { // more than fit into a millisecond
		id := source.next()
		if id <= last {
			t.Fatalf("%s came after %s", id, last)
		}
		last = id
	}
}
