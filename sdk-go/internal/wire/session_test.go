package wire

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// newTestSession is a session that has said hello.
func newTestSession(token string) *Session {
	s := NewSession(Hello{Name: "test", Version: "0", Token: token}, 1<<20, 1<<20)
	s.Hello()
	return s
}

// readySession is one whose server chose version.
func readySession(t *testing.T, version int) *Session {
	t.Helper()
	s := newTestSession("")
	answer := fmt.Sprintf(`{"ok":true,"rid":1,"v":%d}`, version)
	if events := feed(s, answer); !reflect.DeepEqual([]Event{Ready{version}}, events) {
		t.Fatalf("hello led to %v", events)
	}
	return s
}

func feed(s *Session, lines ...string) []Event {
	return s.Feed([]byte(strings.Join(lines, "\n") + "\n"))
}

func send(t *testing.T, s *Session, cmd string) int64 {
	t.Helper()
	rid, _, err := s.Send(nil, cmd, []byte(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	return rid
}

// show is events as texts, so that a table can hold them.
func show(events []Event) []string {
	shown := []string{}
	for _, event := range events {
		switch event := event.(type) {
		case Answered:
			shown = append(shown, fmt.Sprintf("answered %d %s", event.RID, event.Body["n"]))
		case Late:
			shown = append(shown, fmt.Sprintf("late %s", event.Body["n"]))
		case Noticed:
			shown = append(shown, fmt.Sprintf("noticed %s %d", event.Name, len(event.Fields)))
		case Broken:
			shown = append(shown, fmt.Sprintf("broken lost=%v %s", event.Lost, []byte(event.Refusal)))
		default:
			shown = append(shown, fmt.Sprintf("%T%v", event, event))
		}
	}
	return shown
}

func expect(t *testing.T, events []Event, want ...string) {
	t.Helper()
	if got := show(events); strings.Join(want, "\n") != strings.Join(got, "\n") {
		t.Fatalf("want %q\n got %q", want, got)
	}
}

// --- the handshake ---

func TestHelloOffersBothVersionsAndCarriesTheToken(t *testing.T) {
	t.Parallel()
	want := `{"cmd":"hello","rid":1,"v":[1,2],"client":{"name":"a\"b","version":"1"},"token":"s3cret"}` + "\n"

	got := NewSession(Hello{Name: `a"b`, Version: "1", Token: "s3cret"}, 1, 1).Hello()

	if want != string(got) {
		t.Fatalf("want %s\n got %s", want, got)
	}
}

func TestHandshake(t *testing.T) {
	t.Parallel()
	unknown := `{"ok":false,"error":{"code":"UNKNOWN_COMMAND","message":"x"}}`
	unauthorized := `{"ok":false,"error":{"code":"UNAUTHORIZED"}}`
	echoed := `{"ok":false,"rid":1,"error":{"code":"UNAUTHORIZED"}}`
	auth := `{"cmd":"auth","token":"s3cret"}` + "\n"
	for _, row := range []struct {
		name, token string
		lines       []string
		want        []string
		sent        string
	}{
		{"Version2", "", []string{`{"ok":true,"v":2}`}, []string{"wire.Ready{2}"}, ""},
		{"Version1ByChoice", "", []string{`{"ok":true,"v":1}`}, []string{"wire.Ready{1}"}, ""},
		{"AServerWithoutHelloIsSpokenToInVersion1", "", []string{unknown}, []string{"wire.Ready{1}"}, ""},
		{"AServerWithoutHelloIsGivenTheTokenByAuth", "s3cret", []string{unknown, `{"ok":true}`}, []string{"wire.Ready{1}"}, auth},
		{"RustQueueRefusesAllButAuth", "s3cret", []string{unauthorized, `{"ok":true}`}, []string{"wire.Ready{1}"}, auth},
		{"RustQueueWithoutATokenDoesNotKnowAuth", "s3cret", []string{unknown, unknown}, []string{"wire.Ready{1}"}, auth},
		{"AWrongTokenIsNotTriedTwice", "s3cret", []string{echoed}, []string{`broken lost=false {"code":"UNAUTHORIZED"}`}, ""},
		{"AWrongTokenOfAuth", "s3cret", []string{unknown, unauthorized}, []string{`broken lost=false {"code":"UNAUTHORIZED"}`}, auth},
		{"WithoutATokenThereIsNothingToTry", "", []string{unauthorized}, []string{`broken lost=false {"code":"UNAUTHORIZED"}`}, ""},
		{"AVersionThatWasNotOffered", "", []string{`{"ok":true,"v":3}`}, []string{"broken lost=false "}, ""},
		{"NoVersion", "", []string{`{"ok":true}`}, []string{"broken lost=false "}, ""},
		{"AnErrorWithoutACode", "", []string{`{"ok":false,"error":5}`}, []string{"broken lost=false 5"}, ""},
		{"HTTP", "", []string{"HTTP/1.1 400 Bad\r"}, []string{"broken lost=false "}, ""},
		{"AnArray", "", []string{"[]"}, []string{"broken lost=false "}, ""},
		{"NoUTF8", "", []string{"{\"ok\":true,\"v\":2,\"a\":\"\xff\"}"}, []string{"broken lost=false "}, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			s := newTestSession(row.token)

			events := feed(s, row.lines...)

			expect(t, events, row.want...)
			if sent := string(s.Outgoing()); row.sent != sent {
				t.Fatalf("sent %q", sent)
			}
		})
	}
}

func TestALimitOfTheServerIsKept(t *testing.T) {
	t.Parallel()
	s := newTestSession("")
	feed(s, `{"ok":true,"v":2,"limits":{"line_bytes":30}}`)
	line := `{"cmd":"push","rid":2,"a":"xx"}`

	_, _, err := s.Send(nil, "push", []byte(`{"a":"xx"}`))
	_, fits, fitsErr := s.Send(nil, "push", []byte(`{"a":"x"}`))

	large, ok := err.(*TooLarge)
	if !ok || large.Size != len(line) || large.Limit != 30 {
		t.Fatalf("got %v", err)
	}
	if fitsErr != nil || s.InFlight() != 1 || len(fits) != 31 {
		t.Fatalf("%v, %d in flight, %q", fitsErr, s.InFlight(), fits)
	}
}

// --- requests and answers ---

func TestARequestHasItsRidAndItsFields(t *testing.T) {
	t.Parallel()
	s := readySession(t, 2)

	_, lines, _ := s.Send([]byte("before "), "push", []byte(`{"a":1}`))
	_, lines, _ = s.Send(lines, "ping", []byte(`{}`))

	want := "before " + `{"cmd":"push","rid":2,"a":1}` + "\n" + `{"cmd":"ping","rid":3}` + "\n"
	if want != string(lines) {
		t.Fatalf("want %s\n got %s", want, lines)
	}
}

func TestInVersion1ThereIsNoRid(t *testing.T) {
	t.Parallel()
	s := readySession(t, 1)

	_, line, _ := s.Send(nil, "push", []byte(`{"a":1}`))

	if want := `{"cmd":"push","a":1}` + "\n"; want != string(line) {
		t.Fatalf("got %s", line)
	}
}

func TestAnswersFindTheirRequestsHoweverTheirBytesArrive(t *testing.T) {
	t.Parallel()
	hello := `{"ok":true,"rid":1,"v":2}` + "\n"
	data := hello + `{"rid":3,"ok":true,"n":"ż"}` + "\n" + `{"notice":"x","a":1}` + "\n" + `{"ok":true,"n":2,"rid":2}` + "\n"
	want := []string{`answered 3 "ż"`, "noticed x 1", "answered 2 2"}
	for at := range len(data) {
		check := func(name string, pieces ...string) {
			s := newTestSession("")
			var events []Event
			for _, piece := range pieces {
				events = append(events, s.Feed([]byte(piece))...)
				if s.Version() == 2 && s.InFlight() == 0 && len(events) == 1 {
					send(t, s, "a")
					send(t, s, "b")
				}
			}
			if got := show(events)[1:]; !reflect.DeepEqual(want, got) {
				t.Fatalf("%s at %d: %q", name, at, got)
			}
		}
		if at > len(hello) {
			check("cut", data[:len(hello)], data[len(hello):at], data[at:])
		}
		if at == 0 {
			check("whole", hello, data[len(hello):])
			check("byte by byte", strings.Split(data, "")...)
		}
	}
}

func TestInVersion1AnswersComeInTheOrderOfTheRequests(t *testing.T) {
	t.Parallel()
	s := readySession(t, 1)
	first, second := send(t, s, "a"), send(t, s, "b")

	events := feed(s, `{"ok":true,"n":1}`, `{"ok":true,"n":2}`)

	expect(t, events, fmt.Sprintf("answered %d 1", first), fmt.Sprintf("answered %d 2", second))
}

func TestAnAnswerWithoutARidIsThatOfTheOnlyRequest(t *testing.T) {
	t.Parallel()
	s := readySession(t, 2)
	rid := send(t, s, "a")

	expect(t, feed(s, `{"ok":true,"n":1}`), fmt.Sprintf("answered %d 1", rid))
}

func TestTheAnswerToAnAbandonedRequestReachesNobody(t *testing.T) {
	t.Parallel()
	s := readySession(t, 2)
	gone, stays := send(t, s, "a"), send(t, s, "b")

	if s.Abandon(gone, false) {
		t.Fatal("the connection is still good")
	}

	expect(t, feed(s, fmt.Sprintf(`{"rid":%d,"ok":true}`, gone), fmt.Sprintf(`{"rid":%d,"ok":true,"n":1}`, stays)),
		fmt.Sprintf("answered %d 1", stays))
}

func TestInVersion1AnAbandonedRequestSpoilsTheConnection(t *testing.T) {
	t.Parallel()
	s := readySession(t, 1)
	rid := send(t, s, "a")

	if !s.Abandon(rid, false) || s.Abandon(rid+1, false) {
		t.Fatal("only a request in flight spoils it")
	}
}

func TestWhatBelongsToNoRequestBreaksTheConnection(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ name, line, want string }{
		{"AnotherRid", `{"rid":99,"ok":true}`, "broken lost=false "},
		{"AnAnswerThatCameBefore", `{"rid":2,"ok":true}`, "broken lost=false "},
		{"ARidThatIsNoInteger", `{"rid":3.0,"ok":true}`, "broken lost=false "},
		{"NoRidWhereTwoWait", `{"ok":true}`, "broken lost=false "},
		{"AnErrorOfTheConnection", `{"ok":false,"error":{"code":"REQUEST_TIMEOUT"}}`, `broken lost=true {"code":"REQUEST_TIMEOUT"}`},
		{"NoObject", `5`, "broken lost=false "},
		{"NoJSON", `{"rid":3,`, "broken lost=false "},
		{"BlankLine", ``, "broken lost=false "},
		{"TooDeep", strings.Repeat("[", 100_000), "broken lost=false "},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			s := readySession(t, 2)
			send(t, s, "a")
			send(t, s, "b")
			send(t, s, "c")
			feed(s, `{"rid":2,"ok":true}`)

			events := feed(s, row.line, `{"rid":3,"ok":true}`)

			expect(t, events, row.want)
			expect(t, feed(s, `{"rid":4,"ok":true}`)) // nothing is read any more
		})
	}
}

func TestALineOverTheLimitBreaksTheConnectionBeforeItsEnd(t *testing.T) {
	t.Parallel()
	line := `{"ok":true,"v":2}`
	for _, row := range []struct {
		name, data string
		limit      int
		want       []string
	}{
		{"AtTheLimit", line + "\n", len(line), []string{"wire.Ready{2}"}},
		{"OverTheLimit", line + "\n", len(line) - 1, []string{"broken lost=false "}},
		{"OverTheLimitBeforeItsEnd", line, len(line) - 1, []string{"broken lost=false "}},
		{"ItMayStillEnd", line, len(line), nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			s := NewSession(Hello{}, 1<<20, row.limit)

			expect(t, s.Feed([]byte(row.data)), row.want...)
		})
	}
}
