package jobwiretest_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/jobwire/jobwire/sdk-go"
	"github.com/jobwire/jobwire/sdk-go/jobwiretest"
)

func TestAMockAnswersWithItsFunction(t *testing.T) {
	t.Parallel()
	mock := jobwiretest.NewMock(func(_ context.Context, request jobwiretest.Request) (map[string]any, error) {
		switch request.Operation {
		case "push":
			return map[string]any{"id": "an id", "outcome": "created"}, nil
		case "stats":
			return nil, errors.New("cut")
		}
		return nil, &jobwire.Error{Code: "OVERLOADED", Retryable: true}
	})

	pushed, err := mock.Push(context.Background(), "q", "job", 5, nil)
	must(t, err)
	_, overloaded := mock.ListQueues(context.Background())
	_, lost := mock.Stats(context.Background(), "q")

	requests := mock.Requests()
	if pushed.ID != "an id" || len(requests) != 3 || !strings.Contains(string(requests[0].Fields), `"data":5`) {
		t.Errorf("got %v, %v", pushed, requests)
	}
	if !errors.Is(overloaded, jobwire.ErrUnavailable) {
		t.Errorf("got %v", overloaded)
	}
	expectCode(t, lost, "CONNECTION_LOST")
}
