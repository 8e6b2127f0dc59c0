package doors

import (
	"bytes"
	"regexp"

	"github.com/jobwire/jobwire/sdk-go/jobwiretest/internal/fake"
)

// What begins as a request of HTTP does, also of HTTP/2 with prior knowledge.
var httpStart = regexp.MustCompile(`^(GET|POST|PUT|HEAD|DELETE|OPTIONS|PATCH|CONNECT|TRACE|PRI) `)

const (
	longestStart = 8 // bytes of the longest of these words, with its space
	tlsStart     = 0x16
)

// line is one line without its end, or why the connection cannot be read any further.
type line struct {
	text    []byte
	refusal *fake.Refused
}

// stream cuts the bytes of a connection to the TCP door into lines, and sees who has come to the wrong door.
type stream struct {
	buffer   []byte
	searched int    // no newline before this offset
	head     []byte // the first bytes
	isOver   bool
}

// push is the lines that data completes; after a refusal there are no more.
func (s *stream) push(data []byte) []line {
	if s.isOver {
		return nil
	}
	if saw := s.foreign(data); saw != "" {
		return []line{s.refused("UNSUPPORTED_PROTOCOL", fake.Answer{"saw": saw})}
	}
	s.buffer = append(s.buffer, data...)
	var lines []line
	for {
		at := bytes.IndexByte(s.buffer[s.searched:], '\n')
		end := s.searched + at
		if at < 0 {
			end = len(s.buffer)
		}
		if len(bytes.TrimSuffix(s.buffer[:end], []byte("\r"))) > fake.LineBytes { // \r\n ends a line as well (JW-TCP-2)
			return append(lines, s.refused("PAYLOAD_TOO_LARGE", fake.Answer{"limit": fake.LineBytes}))
		}
		if at < 0 {
			s.searched = end
			s.buffer = bytes.Clone(s.buffer) // the lines share the memory before it
			return lines
		}
		lines = append(lines, line{text: s.buffer[:end:end]})
		s.buffer, s.searched = s.buffer[end+1:], 0
	}
}

// end is the last line, which needs no end (JW-TCP-5).
func (s *stream) end() []line {
	if s.isOver || len(s.buffer) == 0 {
		return nil
	}
	return s.push([]byte("\n"))
}

func (s *stream) refused(code string, details fake.Answer) line {
	s.isOver = true
	return line{refusal: &fake.Refused{Code: code, Message: "the connection cannot be read any further", Details: details}}
}

// foreign is the protocol that the first bytes are of: http, tls or binary; "" for ours.
func (s *stream) foreign(data []byte) string {
	if len(s.head) >= longestStart {
		return ""
	}
	s.head = append(s.head, data[:min(len(data), longestStart)]...)
	switch first := s.head[0]; {
	case first == tlsStart:
		return "tls"
	case first == 0x01 || first == 0x02 || first == 0x03 || first == 0x10: // frames of RustQueue
		return "binary"
	case httpStart.Match(s.head):
		return "http"
	}
	return ""
}
