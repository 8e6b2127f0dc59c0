// Package seam holds the one seam for time and chance. Tests and the conformance driver hand in their own, and assert a backoff
// as a sequence, not as a wait.
package seam

import (
	"context"
	"math/rand/v2"
	"time"
)

// Runtime is time and chance as a client and its workers see them.
type Runtime struct {
	// Now is the current instant, with a monotonic reading.
	Now func() time.Time
	// Sleep returns nil after d, or the context's error as soon as that ends.
	Sleep func(ctx context.Context, d time.Duration) error
	// Random is uniform in [0, 1).
	Random func() float64
}

// Real is the time and the chance of the machine.
func Real() *Runtime {
	return &Runtime{Now: time.Now, Sleep: sleep, Random: rand.Float64}
}

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

var attach func(config any, runtime *Runtime)

// Attach makes the clients of config, a *jobwire.Config, use runtime.
func Attach(config any, runtime *Runtime) { attach(config, runtime) }

// Register is called once, by package jobwire, with what puts a runtime into a config.
func Register(hook func(config any, runtime *Runtime)) bool {
	attach = hook
	return true
}
