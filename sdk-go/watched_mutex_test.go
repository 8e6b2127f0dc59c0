package jobwire

import (
	"context"
	"testing"
)

func TestAWatchedMutexWakesAllWhoWaitForTheChange(t *testing.T) {
	t.Parallel()
	var mu watchedMutex
	count := 0
	done := make(chan bool)
	for want := 1; want <= 3; want++ {
		go func() { done <- mu.awaitFor(patience, func() bool { return count >= want }) }()
	}

	for range 3 {
		mu.Lock()
		count++
		mu.tell()
		mu.Unlock()
	}

	for range 3 {
		if !<-done {
			t.Error("one was not woken")
		}
	}
}

func TestAWatchedMutexIsAskedBeforeItWaits(t *testing.T) {
	t.Parallel()
	var mu watchedMutex
	ended, cancel := context.WithCancel(context.Background())
	cancel()

	if !mu.await(ended, func() bool { return true }) {
		t.Error("what holds already was not seen")
	}
	if mu.await(ended, func() bool { return false }) {
		t.Error("the end of the context was not seen")
	}
}
