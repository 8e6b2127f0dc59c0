package jobwire

import (
	"context"
	"sync"
	"time"
)

// watchedMutex is a mutex with which one can wait for a change of what it guards. Its zero value is ready for use.
type watchedMutex struct {
	sync.Mutex
	changed chan struct{} // closed at the next change; nil while nobody waits
}

// tell wakes those who wait for a change. The mutex is held.
func (m *watchedMutex) tell() {
	if m.changed != nil {
		close(m.changed)
		m.changed = nil
	}
}

// await waits until claim holds, or ctx ends; whether it holds. claim is asked under the mutex, at each change.
func (m *watchedMutex) await(ctx context.Context, claim func() bool) bool {
	for {
		holds, changed := m.ask(claim)
		if holds {
			return true
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
}

func (m *watchedMutex) awaitFor(d time.Duration, claim func() bool) bool {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	return m.await(ctx, claim)
}

// ask is whether claim holds now, and what is closed at the next change.
func (m *watchedMutex) ask(claim func() bool) (bool, <-chan struct{}) {
	m.Lock()
	defer m.Unlock()
	if m.changed == nil {
		m.changed = make(chan struct{})
	}
	changed := m.changed // before claim, which may tell of a change itself
	return claim(), changed
}
