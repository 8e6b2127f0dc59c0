package jobwiretest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/jobwire/jobwire/sdk-go"
	"github.com/jobwire/jobwire/sdk-go/internal/inside"
)

// Request is one request of a [Mock].
type Request struct {
	// Operation is its name in spec/wire.yaml, such as push or heartbeat_batch.
	Operation string
	// Fields is the JSON object of its fields, as they would go over TCP.
	Fields json.RawMessage
}

// AnswerFunc stands in for a server. It gives the members of the answer as spec/wire.yaml has them, or an error: a *[jobwire.Error]
// is what the client's caller gets, any other a CONNECTION_LOST with its text.
type AnswerFunc func(ctx context.Context, request Request) (map[string]any, error)

// Mock is a client without a network: a function stands in for the server.
//
//	mock := jobwiretest.NewMock(func(_ context.Context, request jobwiretest.Request) (map[string]any, error) {
//		return nil, &jobwire.Error{Code: "OVERLOADED", Retryable: true}
//	})
//
// It repeats nothing; WithOptions of its client changes that. For what behaves like a whole server see [Server].
type Mock struct {
	*jobwire.Client

	mu       sync.Mutex
	requests []Request
}

// NewMock is a client whose requests answer takes; calls may come at the same time.
func NewMock(answer AnswerFunc) *Mock {
	m := &Mock{}
	m.Client = inside.NewClient(func(ctx context.Context, op string, fields json.RawMessage) ([]byte, error) {
		request := Request{op, slices.Clone(fields)}
		m.mu.Lock()
		m.requests = append(m.requests, request)
		m.mu.Unlock()
		members, err := answer(ctx, request)
		if err != nil {
			return nil, told(ctx, err)
		}
		return encoded(members)
	}).(*jobwire.Client)
	return m
}

// Requests is what was asked, in order.
func (m *Mock) Requests() []Request {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.requests)
}

// told is what the client gets for an error of the function.
func told(ctx context.Context, err error) error {
	var known *jobwire.Error
	if ctx.Err() != nil || errors.As(err, &known) {
		return err
	}
	return &jobwire.Error{Code: "CONNECTION_LOST", Message: err.Error(), Retryable: true}
}

func encoded(members map[string]any) ([]byte, error) {
	answer := map[string]any{"ok": true}
	for name, value := range members {
		answer[name] = value
	}
	text, err := json.Marshal(answer)
	if err != nil {
		return nil, &jobwire.Error{Code: "PROTOCOL_ERROR", Message: fmt.Sprintf("the answer of the mock has no JSON: %v", err)}
	}
	return text, nil
}
