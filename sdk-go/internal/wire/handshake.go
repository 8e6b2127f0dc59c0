package wire

import "encoding/json"

func (s *Session) receiveHello(body Object) {
	if isTrue(body["ok"]) {
		s.acceptHello(body)
		return
	}
	_, echoed := body["rid"]
	switch code := codeOf(body["error"]); {
	case code == "UNKNOWN_COMMAND":
		s.fallBack()
	case code == "UNAUTHORIZED" && !echoed && s.hello.Token != "":
		s.fallBack() // RustQueue answers so to all but auth; ours would have echoed the rid
	default:
		s.refused(body["error"])
	}
}

func (s *Session) acceptHello(body Object) {
	version := string(body["v"])
	if version != "1" && version != "2" {
		s.garbage("the server chose wire version %.20s", version)
		return
	}
	limits := objectOf(body["limits"])
	if size, ok := Integer(limits["line_bytes"]); ok && size > 0 {
		s.maxLine = int(size)
	}
	s.becomeReady(int(version[0] - '0'))
}

func (s *Session) fallBack() {
	if s.hello.Token == "" {
		s.becomeReady(1)
		return
	}
	s.stage = stageAuth
	payload := append(AppendString([]byte(`{"token":`), s.hello.Token), '}')
	s.outgoing = AppendLine(s.outgoing, "auth", payload, 0)
}

func (s *Session) receiveAuth(body Object) {
	// RustQueue does not know the command when it wants no token.
	if isTrue(body["ok"]) || codeOf(body["error"]) == "UNKNOWN_COMMAND" {
		s.becomeReady(1)
	} else {
		s.refused(body["error"])
	}
}

func (s *Session) becomeReady(version int) {
	s.version = version
	s.stage = stageReady
	s.emit(Ready{version})
}

// refused ends the conversation with the server's error, or with what it sent in place of one.
func (s *Session) refused(refusal json.RawMessage) {
	s.fall(Broken{Why: "the server refused the handshake", Refusal: refusal})
}

// codeOf is the code of an error object, "" when it has none.
func codeOf(refusal json.RawMessage) string {
	code := objectOf(refusal)["code"]
	if len(code) == 0 || code[0] != '"' {
		return ""
	}
	return Unquote(code)
}

func objectOf(value json.RawMessage) Object {
	if len(value) == 0 {
		return nil
	}
	return ParseObject(value)
}
