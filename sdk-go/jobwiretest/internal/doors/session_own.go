package doors

import (
	"strings"

	"github.com/jobwire/jobwire/sdk-go/jobwiretest/internal/fake"
)

// What a session answers itself.

func (s *session) hello(given *fake.Object) (fake.Answer, error) {
	s.mu.Lock()
	version, isGreeted := s.version, s.isGreeted
	s.mu.Unlock()
	if isGreeted {
		return nil, fake.Invalid("/cmd", "hello was said before; a connection keeps its version", nil)
	}
	if token := given.Get("token"); token != nil {
		if err := s.checkToken(token); err != nil {
			return nil, err
		}
	}
	checked, err := fake.Check("hello", given)
	if err != nil {
		return nil, err
	}
	client := clientOf(checked)
	answer, err := s.service.Hello(checked, fake.Caller{Door: "tcp", Version: version, Session: s, Client: client})
	if err != nil {
		return nil, err
	}
	s.update(func() { s.isGreeted, s.version, s.client = true, answer["v"].(int), client })
	return answer, nil
}

// clientOf is name/version as hello says; nil when it does not.
func clientOf(checked fake.Fields) *string {
	client, _ := checked["client"].(fake.Fields)
	var parts []string
	for _, member := range []string{"name", "version"} {
		if text, _ := client[member].(string); text != "" {
			parts = append(parts, text)
		}
	}
	if parts == nil {
		return nil
	}
	name := strings.Join(parts, "/")
	return &name
}

func (s *session) clientName() *string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.client
}

func (s *session) authenticate(given *fake.Object) (fake.Answer, error) {
	checked, err := fake.Check("auth", given)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	isDone := s.isAuthenticated
	s.mu.Unlock()
	if isDone {
		return fake.Answer{}, nil
	}
	return fake.Answer{}, s.checkToken(checked["token"])
}

func (s *session) checkToken(token any) error {
	switch s.service.Token {
	case "":
		return nil
	case token:
		s.update(func() { s.isAuthenticated = true })
		return nil
	}
	return &fake.Refused{Code: "UNAUTHORIZED", Message: "Invalid authentication token"}
}

func (s *session) abort(given *fake.Object) (fake.Answer, error) {
	target := given.Get("target")
	if _, err := fake.Check("abort", given); err != nil {
		return nil, err
	}
	s.mu.Lock()
	var found *Hold
	for hold, rid := range s.holds {
		if rid == target {
			found = hold
		}
	}
	s.mu.Unlock()
	return fake.Answer{"aborted": found != nil && s.service.End(found)}, nil
}
