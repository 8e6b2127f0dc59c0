// Package wire is the TCP wire without sockets: bytes in, events out (spec/wire.md).
//
// A session starts with hello. In version 2 each request has a rid that its answer echoes; answers come in any order, and notices
// in between. A server that does not know hello (RustQueue) speaks version 1: no rids, answers in the order of the requests.
//
//	hello ──▶ ready ──▶ draining (goaway) ──▶ broken
//	  └──▶ auth ──▶ ready                       (version 1 with a token)
//
// Rule 1: an answer goes to the request it belongs to, or nowhere. A rid whose caller has left is remembered until its answer came;
// in version 1, where that cannot be told, the connection has to be given up.
//
// Rule 2: rids are never used twice on a connection.
//
// Rule 3: no line grows beyond its limit.
package wire

import (
	"encoding/json"
	"fmt"
)

// Event is what the peer's bytes say: one of the types below.
type Event interface{ event() }

// Ready: the handshake is over; requests may be sent.
type Ready struct{ Version int }

// Answered: the answer to request RID.
type Answered struct {
	RID  int64
	Body Object
}

// Unprocessed: the server said goodbye before it read request RID.
type Unprocessed struct{ RID int64 }

// Late: an answer whose caller was cancelled; jobs in it are held by nobody.
type Late struct{ Body Object }

// Noticed: a line that the server sent by itself.
type Noticed struct {
	Name   string
	Fields Object
}

// Broken: the connection is of no use any more; what is in flight has failed.
//
// Refusal is the error of the server that ended it, if there was one. Lost says that it ended as a lost connection does, and not
// because the peer does not speak this protocol.
type Broken struct {
	Why     string
	Refusal json.RawMessage
	Lost    bool
}

func (Ready) event()       {}
func (Answered) event()    {}
func (Unprocessed) event() {}
func (Late) event()        {}
func (Noticed) event()     {}
func (Broken) event()      {}

// Hello is how a client introduces itself. Token is empty when it has none.
type Hello struct {
	Name    string
	Version string
	Token   string
}

// TooLarge is the refusal of a request that is over the server's limit for lines. Nothing was sent and the session goes on.
type TooLarge struct{ Size, Limit int }

func (e *TooLarge) Error() string {
	return fmt.Sprintf("the request is %d bytes long, the limit is %d", e.Size, e.Limit)
}

type stage int

const (
	stageHello stage = iota
	stageAuth
	stageReady
	stageBroken
)

const helloRID = 1

// Session is one connection's conversation. It is not safe for concurrent use.
type Session struct {
	hello     Hello
	stage     stage
	version   int
	draining  bool
	maxLine   int
	lines     Lines
	lastRID   int64
	waiting   queue          // rids in the order of sending
	abandoned map[int64]bool // rid → whether its caller was cancelled
	outgoing  []byte
	events    []Event
}

// NewSession is the conversation of a connection that was just made. maxLine is how long a request may be until the server says
// otherwise, maxAnswer how long its answers may be, both in bytes.
func NewSession(hello Hello, maxLine, maxAnswer int) *Session {
	return &Session{
		hello: hello, maxLine: maxLine, lines: Lines{max: maxAnswer}, lastRID: helloRID,
		waiting: queue{places: map[int64]struct{}{}}, abandoned: map[int64]bool{},
	}
}

// Version is the wire version that was agreed on; 0 before that.
func (s *Session) Version() int { return s.version }

// Draining is true after goaway: answers still come, requests must go elsewhere.
func (s *Session) Draining() bool { return s.draining }

// InFlight is the number of requests whose callers wait for an answer.
func (s *Session) InFlight() int { return s.waiting.len() }

// Hello is the first line to send.
func (s *Session) Hello() []byte {
	payload := []byte(`{"v":[1,2],"client":{"name":`)
	payload = AppendString(payload, s.hello.Name)
	payload = append(payload, `,"version":`...)
	payload = AppendString(payload, s.hello.Version)
	payload = append(payload, '}')
	if s.hello.Token != "" {
		payload = append(payload, `,"token":`...)
		payload = AppendString(payload, s.hello.Token)
	}
	return AppendLine(nil, "hello", append(payload, '}'), helloRID)
}

// Send appends the line of a request to dst; payload is the JSON object of its fields. Its rid comes back with it.
//
// The error is a *TooLarge; nothing was sent then.
func (s *Session) Send(dst []byte, cmd string, payload []byte) (int64, []byte, error) {
	rid := int64(0)
	if s.version == 2 {
		rid = s.lastRID + 1
	}
	before := len(dst)
	dst = AppendLine(dst, cmd, payload, rid)
	if size := len(dst) - before - 1; size > s.maxLine {
		return 0, dst[:before], &TooLarge{Size: size, Limit: s.maxLine}
	}
	s.lastRID++
	s.waiting.add(s.lastRID)
	return s.lastRID, dst, nil
}

// Abandon is told that the caller of rid has left; its answer will be dropped, or be a Late one when it was cancelled. It returns
// true when the connection has to be closed, because later answers could not be told apart.
func (s *Session) Abandon(rid int64, cancelled bool) bool {
	if !s.waiting.has(rid) {
		return false
	}
	if s.version != 2 {
		return true
	}
	s.waiting.remove(rid)
	s.abandoned[rid] = cancelled
	return false
}

// Abort appends the line that has the request rid answered at once; nothing where the server does not know it.
func (s *Session) Abort(dst []byte, rid int64) []byte {
	if s.version != 2 {
		return dst
	}
	return s.unanswered(dst, "abort", fmt.Appendf(nil, `{"target":%d}`, rid))
}

// Ping appends a line that is answered at once, whatever else waits; nothing where that cannot be asked.
func (s *Session) Ping(dst []byte) []byte {
	if s.version != 2 {
		return dst
	}
	return s.unanswered(dst, "ping", []byte(`{}`))
}

// GiveBack appends the lines that release the jobs of an answer that nobody waits for, so that they need not wait for their leases
// to end.
func (s *Session) GiveBack(dst []byte, body Object) []byte {
	jobs, _ := Elements(body["jobs"])
	for _, job := range append(jobs, body["job"]) {
		members := ParseObject(job)
		id, lease := members["id"], members["lease"]
		if len(lease) > 0 && lease[0] == '"' && len(id) > 0 {
			dst = s.unanswered(dst, "release", fmt.Appendf(nil, `{"id":%s,"lease":%s}`, id, lease))
		}
	}
	return dst
}

// unanswered appends a request whose answer nobody waits for.
func (s *Session) unanswered(dst []byte, cmd string, payload []byte) []byte {
	rid, dst, err := s.Send(dst, cmd, payload)
	if err == nil {
		s.Abandon(rid, false)
	}
	return dst
}

// Outgoing is what the handshake wants sent next; empty most of the time.
func (s *Session) Outgoing() []byte {
	data := s.outgoing
	s.outgoing = nil
	return data
}

// Feed is what data, the next bytes of the peer, says. The events do not share data's memory.
func (s *Session) Feed(data []byte) []Event {
	s.events = nil
	s.lines.Push(data)
	for s.stage != stageBroken {
		line, found, err := s.lines.Next()
		switch {
		case err != nil:
			s.garbage("%v", err)
		case found:
			s.receive(line)
		default:
			return s.events
		}
	}
	return s.events
}

func (s *Session) receive(line []byte) {
	body := parseLine(line)
	_, isAnswer := body["ok"]
	_, isNotice := body["notice"]
	switch {
	case body == nil:
		s.garbage("the peer sent a line that is not a JSON object")
	case s.stage == stageHello:
		s.receiveHello(body)
	case s.stage == stageAuth:
		s.receiveAuth(body)
	case s.version == 2 && isNotice && !isAnswer:
		s.receiveNotice(body)
	default:
		s.receiveAnswer(body)
	}
}

func (s *Session) emit(event Event) { s.events = append(s.events, event) }

func (s *Session) garbage(format string, args ...any) {
	s.fall(Broken{Why: fmt.Sprintf(format, args...)})
}

func (s *Session) fall(event Broken) {
	s.stage = stageBroken
	s.emit(event)
}
