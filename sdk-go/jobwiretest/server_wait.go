package jobwiretest

import (
	"context"
	"fmt"
	"time"

	"github.com/jobwire/jobwire/sdk-go"
)

// patience is how long a test waits for something before it counts as failed.
const patience = 10 * time.Second

// WaitFor waits until so many requests of this operation have come since the start. It returns an error when ctx ends first, or
// after 10 s when ctx has no deadline.
func (s *Server) WaitFor(ctx context.Context, operation string, count int) error {
	haveCome := func() bool {
		came := 0
		for _, call := range s.service.Calls() {
			if call.Operation == operation {
				came++
			}
		}
		return came >= count
	}
	return s.wait(ctx, haveCome, fmt.Sprintf("%d x %s", count, operation))
}

// WaitForState waits until a job is in this state. Errors are those of WaitFor.
func (s *Server) WaitForState(ctx context.Context, id string, state jobwire.JobState) error {
	isThere := func() bool {
		job := s.Job(id)
		return job != nil && job.State == state
	}
	return s.wait(ctx, isThere, fmt.Sprintf("job %s %s", id, state))
}

// WaitUntil waits until claim holds, which is asked again after each request, each Advance and each end of a connection: no polling
// and no sleep. Errors are those of WaitFor.
func (s *Server) WaitUntil(ctx context.Context, claim func() bool) error {
	return s.wait(ctx, claim, "it")
}

func (s *Server) wait(ctx context.Context, claim func() bool, what string) error {
	if _, has := ctx.Deadline(); !has {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, patience)
		defer cancel()
	}
	if err := s.service.WaitUntil(ctx, claim); err != nil {
		return fmt.Errorf("jobwiretest: waited in vain for %s: %w", what, err)
	}
	return nil
}
