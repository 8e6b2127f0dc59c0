package main

// Time and chance as the SDK sees them in virtual mode, and what is open in this process.

import (
	"context"
	"os"
	"runtime"
	"strings"
	"time"
)

func (d *driver) now() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return time.Unix(0, 0).Add(d.slept)
}

func (d *driver) chance() float64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.random.Float64()
}

// sleep lasts until the runner says wake; the clock of the SDK has then moved on.
func (d *driver) sleep(ctx context.Context, duration time.Duration) error {
	woken := make(chan struct{})
	d.mu.Lock()
	d.names++
	id := d.names
	d.sleeps[id] = woken
	d.mu.Unlock()
	d.say("sleep", reply{"id": id, "ms": float64(duration) / float64(time.Millisecond)})
	select {
	case <-woken:
	case <-ctx.Done():
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.sleeps, id)
	d.slept += duration
	return ctx.Err()
}

type stats struct{ sockets, goroutines int }

func open() stats {
	found := stats{goroutines: runtime.NumGoroutine()}
	entries, _ := os.ReadDir("/proc/self/fd")
	for _, entry := range entries {
		link, _ := os.Readlink("/proc/self/fd/" + entry.Name())
		if strings.HasPrefix(link, "socket:") {
			found.sockets++
		}
	}
	return found
}

func (d *driver) stats(id int) {
	d.mu.Lock()
	busy := len(d.calls) + len(d.scripts) + len(d.sleeps)
	d.mu.Unlock()
	now := open()
	d.say("result", reply{"id": id, "ok": true, "value": reply{
		"sockets": max(now.sockets-d.baseline.sockets, 0), "threads": max(now.goroutines-d.baseline.goroutines, 0),
		"tasks": 0, "timers": 0, "calls": busy,
	}})
}
