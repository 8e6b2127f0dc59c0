package wire

import (
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// transcript is a conversation of spec/vectors/transcripts.json; its `about` explains the marks.
type transcript struct {
	ID    string
	Sides []string
	Token bool
	Lines []string
}

func transcripts(t *testing.T) []transcript {
	t.Helper()
	text, err := os.ReadFile("../../../spec/vectors/transcripts.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Vectors []transcript }
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	var ours []transcript
	for _, row := range file.Vectors {
		if slices.Contains(row.Sides, "client") {
			ours = append(ours, row)
		}
	}
	if len(ours) == 0 {
		t.Fatal("no transcript is for clients")
	}
	return ours
}

func TestTheTranscriptsOfTheSpecification(t *testing.T) {
	t.Parallel()
	for _, row := range transcripts(t) {
		for name, cut := range map[string]func(string) []string{
			"whole":        func(text string) []string { return []string{text} },
			"line by line": func(text string) []string { return strings.SplitAfter(text, "\n") },
			"byte by byte": func(text string) []string { return strings.Split(text, "") },
		} {
			t.Run(row.ID+"/"+name, func(t *testing.T) {
				t.Parallel()
				(&replay{t: t, cut: cut}).play(row)
			})
		}
	}
}

// replay plays the server of a transcript to a session, and holds against it what the session sends and says.
type replay struct {
	t       *testing.T
	cut     func(string) []string
	session *Session
	pending string  // lines of the server that come next
	events  []Event // what the session said
	want    []string
	open    map[string]bool // rids that wait for their answer
}

func (r *replay) play(row transcript) {
	token := ""
	if row.Token {
		token = "secret"
	}
	r.session = NewSession(Hello{Name: "test", Version: "0", Token: token}, 1<<20, 1<<20)
	r.open = map[string]bool{}
	for i, line := range row.Lines {
		mark, text := line[:2], strings.TrimPrefix(line[2:], " ")
		switch mark {
		case "C:":
			r.hear()
			r.send(i, text)
		case "S:", "S*":
			r.pending += text + "\n"
			r.expect(text)
		case "C.":
			r.hear()
			r.ends()
		}
	}
	r.hear()
	var said []string
	for _, event := range r.events {
		if _, isBroken := event.(Broken); !isBroken {
			said = append(said, outline(event))
		}
	}
	slices.Sort(said)
	slices.Sort(r.want)
	if !reflect.DeepEqual(r.want, said) {
		r.t.Fatalf("want %q\n got %q", r.want, said)
	}
}

func outline(event Event) string {
	switch event := event.(type) {
	case Answered:
		return fmt.Sprintf("answered %d", event.RID)
	case Noticed:
		return "noticed " + event.Name
	}
	return fmt.Sprintf("%T%v", event, event)
}

// hear gives the session what the server has said.
func (r *replay) hear() {
	for _, piece := range r.cut(r.pending) {
		r.events = append(r.events, r.session.Feed([]byte(piece))...)
	}
	r.pending = ""
}

// send has the session send a line of the transcript.
func (r *replay) send(at int, text string) {
	r.t.Helper()
	want := ParseObject([]byte(text))
	cmd := Unquote(want["cmd"])
	var line []byte
	switch {
	case at == 0:
		line = r.session.Hello()
	case cmd == "auth":
		line = r.session.Outgoing()
	default:
		line = r.request(cmd, want)
	}
	got := ParseObject(line)
	for name, value := range want {
		if name != "…" && string(got[name]) != string(value) {
			r.t.Fatalf("want %s\n got %s", text, line)
		}
	}
	if _, open := want["…"]; !open && len(got) != len(want) {
		r.t.Fatalf("want %s\n got %s", text, line)
	}
}

func (r *replay) request(cmd string, want Object) []byte {
	var members []string
	for name, value := range want {
		if name != "cmd" && name != "rid" {
			members = append(members, string(AppendString(nil, name))+":"+string(value))
		}
	}
	rid, line, err := r.session.Send(nil, cmd, []byte("{"+strings.Join(members, ",")+"}"))
	if err != nil {
		r.t.Fatal(err)
	}
	r.open[fmt.Sprint(rid)] = true
	return line
}

// expect notes what a line of the server has to lead to.
func (r *replay) expect(text string) {
	body := ParseObject([]byte(text))
	_, isAnswer := body["ok"]
	switch {
	case !Valid([]byte(text)):
		return // it ends the conversation
	case !isAnswer:
		r.want = append(r.want, "noticed "+Unquote(body["notice"]))
		r.drained(body)
	case r.session.Version() == 2:
		r.answered(string(body["rid"]))
	case r.session.Version() == 1:
		r.answered(r.oldest())
	case isTrue(body["ok"]) && body["v"] != nil:
		r.want = append(r.want, "wire.Ready{"+string(body["v"])+"}")
	case isTrue(body["ok"]) || codeOf(body["error"]) == "UNKNOWN_COMMAND": // to auth, or to hello
		r.want = append(r.want, "wire.Ready{1}")
	}
}

func (r *replay) answered(rid string) {
	if r.open[rid] {
		delete(r.open, rid)
		r.want = append(r.want, "answered "+rid)
	}
}

func (r *replay) oldest() string {
	first, _ := r.session.waiting.first()
	for rid := first; ; rid++ {
		if r.open[fmt.Sprint(rid)] {
			return fmt.Sprint(rid)
		}
	}
}

// drained notes the requests that a goaway overtook.
func (r *replay) drained(body Object) {
	last, isGoaway := Integer(body["last_rid"])
	for rid := range r.open {
		if number, _ := Integer([]byte(rid)); isGoaway && number > last {
			delete(r.open, rid)
			r.want = append(r.want, "wire.Unprocessed{"+rid+"}")
		}
	}
}

// ends holds that the session has given the connection up.
func (r *replay) ends() {
	r.t.Helper()
	if len(r.events) == 0 {
		r.t.Fatal("nothing was said")
	}
	if _, isBroken := r.events[len(r.events)-1].(Broken); !isBroken {
		r.t.Fatalf("the conversation goes on: %q", show(r.events))
	}
}
