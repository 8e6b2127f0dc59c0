package wire

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"testing"
)

// The seeds of these run in ordinary tests; `go test -fuzz=FuzzSession ./internal/wire` looks for more.

// FuzzJSON: whatever is valid can be walked, and what is found there is as encoding/json finds it.
func FuzzJSON(f *testing.F) {
	for _, row := range readVectors(f, "json_values.json") {
		f.Add([]byte(`{"a":` + row.Text + `}`))
		f.Add([]byte(row.Text))
	}
	for _, row := range readVectors(f, "malformed.json") {
		f.Add(decoded(f, row))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if !Valid(text) {
			return
		}
		var members map[string]json.RawMessage
		isObject := json.Unmarshal(text, &members) == nil && members != nil
		found := ParseObject(text)
		if isObject != (found != nil) || len(members) != len(found) {
			t.Fatalf("want %s, got %s", members, found)
		}
		for name, want := range members {
			if got := found[name]; !bytes.Equal(bytes.TrimSpace(want), got) {
				t.Fatalf("%q: want %s, got %s", name, want, got)
			}
		}
		var listed []json.RawMessage
		isArray := json.Unmarshal(text, &listed) == nil && listed != nil
		elements, ok := Elements(text)
		if isArray != ok || len(listed) != len(elements) {
			t.Fatalf("want %s, got %s", listed, elements)
		}
	})
}

func decoded(t testing.TB, row vector) []byte {
	data, err := hex.DecodeString(row.Hex)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// FuzzLines: lines come out as they went in, however they are cut.
func FuzzLines(f *testing.F) {
	f.Add([]byte("a\n\nbc\r\nrest"), uint8(1))
	f.Add([]byte("no end"), uint8(3))
	f.Add(bytes.Repeat([]byte("long line "), 50), uint8(7))
	f.Fuzz(func(t *testing.T, data []byte, step uint8) {
		lines := Lines{max: len(data)}
		var got [][]byte
		for rest := data; len(rest) > 0; {
			n := min(int(step)+1, len(rest))
			lines.Push(rest[:n])
			rest = rest[n:]
			for {
				line, found, err := lines.Next()
				if err != nil {
					t.Fatal(err)
				}
				if !found {
					break
				}
				got = append(got, line)
			}
		}
		want := bytes.Split(data, []byte("\n"))
		if !bytes.Equal(bytes.Join(want[:len(want)-1], []byte("\n")), bytes.Join(got, []byte("\n"))) || len(got) != len(want)-1 {
			t.Fatalf("want %q, got %q", want[:len(want)-1], got)
		}
	})
}

// FuzzSession: whatever a peer sends, however it is cut: no crash, the same events, and an answer for no request twice.
func FuzzSession(f *testing.F) {
	f.Add([]byte(`{"ok":true,"v":2}`+"\n"+`{"rid":2,"ok":true}`+"\n"+`{"notice":"goaway","last_rid":2}`+"\n"), uint8(5), "")
	f.Add([]byte(`{"ok":true,"v":1}`+"\n"+`{"ok":true}`+"\n"), uint8(0), "")
	f.Add([]byte(`{"ok":false,"error":{"code":"UNKNOWN_COMMAND"}}`+"\n"+`{"ok":true}`+"\n"), uint8(9), "token")
	f.Add([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"), uint8(1), "")
	for _, row := range readVectors(f, "malformed.json") {
		if data := decoded(f, row); len(data) < 2000 {
			f.Add(append([]byte(`{"ok":true,"v":2}`+"\n"), append(data, '\n')...), uint8(13), "")
		}
	}
	f.Fuzz(func(t *testing.T, data []byte, step uint8, token string) {
		whole := converse(t, data, len(data)+1, token)
		if pieces := converse(t, data, int(step)+1, token); whole != pieces {
			t.Fatalf("whole %s\nin pieces %s", whole, pieces)
		}
	})
}

// converse feeds data in pieces to a session, with two requests of which one is abandoned, and is what it said.
func converse(t *testing.T, data []byte, step int, token string) string {
	s := NewSession(Hello{Name: "fuzz", Token: token}, 1<<20, 1<<16)
	s.Hello()
	var said bytes.Buffer
	answered := map[int64]bool{}
	for len(data) > 0 {
		n := min(step, len(data))
		// Requests go out with the first byte of what follows the handshake, so that pieces and the whole agree.
		if end := bytes.IndexByte(data, '\n') + 1; s.Version() == 0 && end > 0 {
			n = min(n, end)
		}
		for _, event := range s.Feed(data[:n]) {
			fmt.Fprintf(&said, "%T ", event)
			switch event := event.(type) {
			case Ready:
				for range 2 {
					if _, _, err := s.Send(nil, "pull", []byte(`{}`)); err != nil {
						t.Fatal(err)
					}
				}
				s.Abandon(3, true)
			case Answered:
				if answered[event.RID] {
					t.Fatalf("request %d was answered twice", event.RID)
				}
				answered[event.RID] = true
			case Late:
				s.GiveBack(nil, event.Body)
			}
		}
		data = data[n:]
		s.Outgoing()
	}
	return said.String()
}
