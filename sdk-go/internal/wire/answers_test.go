package wire

import (
	"encoding/json"
	"fmt"
	"testing"
)

func TestJobsOfACancelledPullAreGivenBack(t *testing.T) {
	t.Parallel()
	s := readySession(t, 2)
	rid := send(t, s, "pull")
	s.Abandon(rid, true)
	abort := string(s.Abort(nil, rid))

	events := feed(s, fmt.Sprintf(`{"rid":%d,"ok":true,"n":1,"job":{"id":"a","lease":"1-a"},"jobs":[{"id":"b","lease":"1-b"},{"id":"c"},5]}`, rid))

	expect(t, events, "late 1")
	if want := `{"cmd":"abort","rid":3,"target":2}` + "\n"; want != abort {
		t.Fatalf("got %s", abort)
	}
	want := `{"cmd":"release","rid":4,"id":"b","lease":"1-b"}` + "\n" + `{"cmd":"release","rid":5,"id":"a","lease":"1-a"}` + "\n"
	if got := string(s.GiveBack(nil, events[0].(Late).Body)); want != got {
		t.Fatalf("want %s\n got %s", want, got)
	}
	expect(t, feed(s, `{"rid":4,"ok":true}`, `{"rid":5,"ok":true}`, `{"rid":3,"ok":true}`)) // nobody waits for these
}

func TestVersion1HasNoAbort(t *testing.T) {
	t.Parallel()
	s := readySession(t, 1)

	if got := s.Abort(nil, send(t, s, "pull")); len(got) != 0 {
		t.Fatalf("got %s", got)
	}
}

// --- notices ---

func TestGoawayNamesWhatWasNotProcessed(t *testing.T) {
	t.Parallel()
	s := readySession(t, 2)
	taken, first, second := send(t, s, "a"), send(t, s, "b"), send(t, s, "c")

	events := feed(s, fmt.Sprintf(`{"notice":"goaway","last_rid":%d,"reason":"x"}`, taken))

	expect(t, events, fmt.Sprintf("wire.Unprocessed{%d}", first), fmt.Sprintf("wire.Unprocessed{%d}", second), "noticed goaway 2")
	if !s.Draining() || s.InFlight() != 1 {
		t.Fatalf("draining %v, %d in flight", s.Draining(), s.InFlight())
	}
	expect(t, feed(s, fmt.Sprintf(`{"rid":%d,"ok":false,"error":{"code":"SHUTTING_DOWN"}}`, first)))
	expect(t, feed(s, fmt.Sprintf(`{"rid":%d,"ok":true,"n":1}`, taken)), fmt.Sprintf("answered %d 1", taken))
}

func TestGoawayWithoutARidSaysNothingOfWhatIsInFlight(t *testing.T) {
	t.Parallel()
	s := readySession(t, 2)
	rid := send(t, s, "a")

	expect(t, feed(s, `{"notice":"goaway"}`), "noticed goaway 0")
	expect(t, feed(s, fmt.Sprintf(`{"rid":%d,"ok":true,"n":1}`, rid)), fmt.Sprintf("answered %d 1", rid))
}

func TestUnknownNoticesArePassedOn(t *testing.T) {
	t.Parallel()
	s := readySession(t, 2)

	expect(t, feed(s, `{"notice":"grease.one","a":1,"b":2}`, `{"notice":5}`), "noticed grease.one 2", "noticed ? 0")
}

func TestTheOrderOfRequestsSurvivesManyThatLeave(t *testing.T) {
	t.Parallel()
	s := readySession(t, 2)
	for range 1000 {
		rid := send(t, s, "a")
		feed(s, fmt.Sprintf(`{"rid":%d,"ok":true}`, rid))
	}
	stays := send(t, s, "stays")
	for range 1000 {
		rid := send(t, s, "a")
		feed(s, fmt.Sprintf(`{"rid":%d,"ok":true}`, rid))
	}

	if first, ok := s.waiting.first(); !ok || first != stays || s.InFlight() != 1 || len(s.waiting.order) > 100 {
		t.Fatalf("first %d of %d, %d kept", first, s.InFlight(), len(s.waiting.order))
	}
}

func TestEventsDoNotShareTheMemoryOfWhatWasFed(t *testing.T) {
	t.Parallel()
	s := readySession(t, 2)
	rid := send(t, s, "a")
	data := []byte(fmt.Sprintf(`{"rid":%d,"ok":true,"n":123456}`+"\n", rid))

	events := s.Feed(data)
	clear(data)

	expect(t, events, fmt.Sprintf("answered %d 123456", rid))
	if !json.Valid(events[0].(Answered).Body["n"]) {
		t.Fatal("the answer was overwritten")
	}
}
