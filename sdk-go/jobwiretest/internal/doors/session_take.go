package doors

import (
	"errors"
	"fmt"

	"github.com/jobwire/jobwire/sdk-go/jobwiretest/internal/fake"
)

// version2 are commands that only a session of version 2 has.
var version2 = map[string]bool{
	"fail_batch": true, "release": true, "heartbeat_batch": true, "retry": true, "promote": true, "delete": true, "find": true,
	"queues": true, "queue": true, "queue_update": true, "dlq": true, "dlq_retry": true, "dlq_discard": true, "flow": true,
	"workers": true, "health": true, "capabilities": true, "abort": true,
}

var (
	httpOnly        = map[string]bool{"ready": true, "live": true}
	tcpWithoutToken = map[string]bool{"health": true, "capabilities": true, "hello": true, "auth": true, "ping": true, "bye": true}
	whileDraining   = map[string]bool{"ping": true, "abort": true, "bye": true}
	// ownCommands are those that the session answers itself; goaway does not count them, and a ping.
	ownCommands = map[string]bool{"hello": true, "auth": true, "abort": true, "bye": true, "ping": true}
)

// command is one request. rid is nil, or the number that the line had.
type command struct {
	name   any
	fields *fake.Object
	rid    any
}

// takeLine returns when the next line may be taken.
func (s *session) takeLine(next line) {
	if next.refusal != nil {
		s.settled()
		s.refuse(next.refusal, nil)
		s.leave()
		return
	}
	asked, err := s.parse(next.text)
	version := s.wireVersion()
	if err != nil {
		if version == 1 {
			s.settled()
		}
		s.refuse(err, nil)
		return
	}
	name, _ := asked.name.(string)
	if asked.rid != nil && !ownCommands[name] {
		s.update(func() { s.lastRID = asked.rid })
	}
	switch {
	case name == "bye":
		s.endWaits()
		s.settled()
		<-s.answer(asked)
		s.leave()
	case version == 1 || name == "hello":
		<-s.answer(asked)
	case asked.rid == nil:
		s.queue(asked)
	default:
		s.answer(asked)
	}
}

// queue carries a request out behind the one queued before.
func (s *session) queue(asked command) {
	before, done := s.lane, make(chan struct{})
	s.lane = done
	s.update(func() { s.inFlight++ })
	s.start(func() {
		<-before
		<-s.answer(asked)
		close(done)
		s.update(func() { s.inFlight-- })
	})
}

func (s *session) wireVersion() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.version
}

var errUnauthenticated = &fake.Refused{Code: "UNAUTHORIZED", Message: "Authenticate first, with hello or auth"}

func (s *session) parse(text []byte) (command, error) {
	s.mu.Lock()
	isTooLong := !s.isAuthenticated && len(text) > fake.UnauthenticatedLineBytes
	s.mu.Unlock()
	if isTooLong {
		return command{}, errUnauthenticated
	}
	value, err := fake.Parse(text)
	if err != nil {
		return command{}, err
	}
	fields, isObject := value.(*fake.Object)
	if !isObject {
		return command{}, fake.Unprocessable("", "a line must be an object", nil)
	}
	if err := fake.CheckRID(fields.Get("rid")); err != nil {
		return command{}, err
	}
	return command{fields.Get("cmd"), fields.Without("cmd").Without("rid"), fields.Get("rid")}, nil
}

// answer carries a request out. What comes back is closed when it is answered, which may be later.
func (s *session) answer(asked command) <-chan struct{} {
	answered := make(chan struct{})
	hold := &Hold{}
	s.update(func() {
		s.inFlight++
		hold.isOver = s.hasEnded
		s.holds[hold] = asked.rid
	})
	s.run(asked, hold, func(answer fake.Answer, err error) {
		switch {
		case errors.Is(err, errDropped):
			go s.conn.cut() // which calls the service
		case errors.Is(err, errSwallowed): // the fault is that no answer ever comes
		case err != nil:
			s.refuse(err, asked.rid)
		default:
			s.update(func() { s.send(echoing(withOK(answer), asked.rid)) })
		}
		s.update(func() {
			delete(s.holds, hold)
			s.inFlight--
		})
		close(answered)
	})
	return answered
}

// withOK is answer with `ok`, unless it says that already.
func withOK(answer fake.Answer) fake.Answer {
	if _, says := answer["ok"]; !says {
		answer["ok"] = true
	}
	return answer
}

func echoing(answer fake.Answer, rid any) fake.Answer {
	if rid != nil {
		answer["rid"] = rid
	}
	return answer
}

func (s *session) refuse(err error, rid any) {
	view := fake.ErrorView(err)
	s.update(func() {
		if s.version == 1 {
			delete(view, "retryable")
		}
		s.send(echoing(fake.Answer{"ok": false, "error": view}, rid))
	})
}

// run calls done once, now or when the request is no longer held.
func (s *session) run(asked command, hold *Hold, done doneFunc) {
	name, err := s.known(asked.name)
	if err != nil {
		done(nil, err)
		return
	}
	version := s.wireVersion()
	switch name {
	case "hello":
		done(s.hello(asked.fields))
	case "auth":
		done(s.authenticate(asked.fields))
	case "abort":
		done(s.abort(asked.fields))
	case "bye":
		_, err := fake.Check(name, asked.fields)
		done(fake.Answer{}, err)
	default:
		caller := fake.Caller{Door: "tcp", Version: version, Session: s, Client: s.clientName()}
		s.service.Do(name, asked.fields, caller, hold, func(answer fake.Answer, err error) {
			if err == nil && version == 1 {
				answer = asVersion1(name, answer)
			}
			done(answer, err)
		})
	}
}

// known is the command that this session may give now.
func (s *session) known(cmd any) (string, error) {
	name, isText := cmd.(string)
	if !isText {
		return "", fake.Unprocessable("/cmd", "Missing or invalid 'cmd' field", nil)
	}
	isDraining := s.service.IsDraining()
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case !fake.Known(name) || httpOnly[name] || (s.version == 1 && version2[name]):
		return "", &fake.Refused{Code: "UNKNOWN_COMMAND", Message: "Unknown command: " + name, Details: fake.Answer{"cmd": name}}
	case !s.isAuthenticated && !tcpWithoutToken[name]:
		return "", errUnauthenticated
	case isDraining && !whileDraining[name]:
		return "", &fake.Refused{Code: "SHUTTING_DOWN", Message: "The server is shutting down; nothing was done"}
	}
	return name, nil
}

// asVersion1 says in `ok` whether every item of an ack_batch was taken.
func asVersion1(name string, answer fake.Answer) fake.Answer {
	failed, _ := answer["failed"].(int)
	if name == "ack_batch" && failed > 0 {
		answer["ok"] = false
		answer["error"] = fake.Answer{
			"code": "PARTIAL_FAILURE", "message": fmt.Sprintf("%d items failed", failed), "details": fake.Answer{"failed": failed},
		}
	}
	return answer
}
