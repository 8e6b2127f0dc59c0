package wire

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
)

// MaxAnswer is the length in bytes of the longest line that a server may send.
const MaxAnswer = 64 << 20

// Lines cuts bytes, as they come from a connection, into lines.
type Lines struct {
	max      int
	buffer   []byte
	start    int // of the line that comes next
	searched int // no newline between start and this offset
}

// Push takes data, which it copies.
func (l *Lines) Push(data []byte) {
	if l.start > 0 {
		l.searched -= l.start
		l.buffer = l.buffer[:copy(l.buffer, l.buffer[l.start:])]
		l.start = 0
	}
	if len(l.buffer) == 0 && cap(l.buffer) > keptBuffer {
		l.buffer = nil
	}
	l.buffer = append(l.buffer, data...)
}

// keptBuffer is how many bytes are kept for the next line after a long one.
const keptBuffer = 1 << 20

// Next is the next line without its newline, in memory of its own, and whether there is one. It is an error when the line is over
// the limit, also before its end has come.
func (l *Lines) Next() (line []byte, found bool, err error) {
	at := bytes.IndexByte(l.buffer[l.searched:], '\n')
	end := l.searched + at
	if at < 0 {
		l.searched = len(l.buffer)
		end = len(l.buffer)
	}
	if end-l.start > l.max {
		return nil, false, fmt.Errorf("a line of the peer is over %d bytes", l.max)
	}
	if at < 0 {
		return nil, false, nil
	}
	line = bytes.Clone(l.buffer[l.start:end])
	l.start, l.searched = end+1, end+1
	return line, true, nil
}

// AppendLine appends the line of a request: payload is the JSON object of its fields, rid is left out when it is 0.
func AppendLine(dst []byte, cmd string, payload []byte, rid int64) []byte {
	dst = append(dst, `{"cmd":`...)
	dst = AppendString(dst, cmd)
	if rid != 0 {
		dst = append(dst, `,"rid":`...)
		dst = strconv.AppendInt(dst, rid, 10)
	}
	if len(payload) > len("{}") {
		dst = append(dst, ',')
	}
	dst = append(dst, payload[1:]...)
	return append(dst, '\n')
}

// parseLine is the members of an answer; nil when the line is not a JSON object.
func parseLine(line []byte) Object {
	if !Valid(line) {
		return nil
	}
	return ParseObject(line)
}

func isTrue(value json.RawMessage) bool  { return string(value) == "true" }
func isFalse(value json.RawMessage) bool { return string(value) == "false" }
