package doors

import (
	"bytes"
	"slices"
	"testing"

	"github.com/jobwire/jobwire/sdk-go/jobwiretest/internal/fake"
)

func TestLinesComeOutAsTheyWentInHoweverTheyAreCut(t *testing.T) {
	t.Parallel()
	for size := 1; size < 12; size++ {
		var s stream
		var got []string
		for rest := []byte("one\n\ntwo\r\nno end"); len(rest) > 0; rest = rest[min(size, len(rest)):] {
			for _, each := range s.push(rest[:min(size, len(rest))]) {
				got = append(got, string(each.text))
			}
		}
		for _, each := range s.end() {
			got = append(got, string(each.text))
		}
		if want := []string{"one", "", "two\r", "no end"}; !slices.Equal(want, got) {
			t.Errorf("in pieces of %d: got %q", size, got)
		}
	}
}

// TestTheLongestLineMayEndWithACarriageReturn: JW-TCP-2.
func TestTheLongestLineMayEndWithACarriageReturn(t *testing.T) {
	t.Parallel()
	longest := bytes.Repeat([]byte("x"), fake.LineBytes)
	for end, isTooLong := range map[string]bool{"\n": false, "\r\n": false, "x\n": true, "x": true, "\r": false} {
		var s stream
		lines := append(s.push(longest), s.push([]byte(end))...)
		if refused := len(lines) == 1 && lines[0].refusal != nil; refused != isTooLong {
			t.Errorf("%q: got %d lines, refused %v", end, len(lines), refused)
		}
	}
}

func TestWhoComesToTheWrongDoorIsToldSo(t *testing.T) {
	t.Parallel()
	for start, want := range map[string]string{
		"GET / HTTP/1.1\r\n": "http", "PRI * HTTP/2.0": "http", "\x16\x03\x01": "tls", "\x01": "binary", "{\"cmd\"": "", "GETTING": "",
	} {
		var s stream
		var lines []line
		for _, each := range []byte(start) {
			lines = append(lines, s.push([]byte{each})...)
		}
		saw := ""
		if len(lines) > 0 && lines[0].refusal != nil {
			saw, _ = lines[0].refusal.Details["saw"].(string)
		}
		if saw != want {
			t.Errorf("%q: want %q, got %q", start, want, saw)
		}
	}
}
