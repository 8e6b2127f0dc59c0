package jobwire

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestOptionsHaveTheDefaultsOfTheOtherLanguages(t *testing.T) {
	t.Parallel()

	o, err := checkOptions(&WorkerConfig{Queues: []string{"q"}})

	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprint(o.concurrency, o.lease, o.heartbeat, o.wait, o.grace, o.weights == nil, o.names == nil)
	if want := "8 30s 10s 20s 30s true true"; got != want || !strings.Contains(o.workerID, "-") {
		t.Errorf("want %s, got %s, %q", want, got, o.workerID)
	}
	if again, _ := checkOptions(&WorkerConfig{Queues: []string{"q"}}); again.workerID == o.workerID {
		t.Errorf("want two workers to have two ids, got %q twice", o.workerID)
	}
}

func TestOptionsTakeAnExplicitZero(t *testing.T) {
	t.Parallel()

	o, err := checkOptions(&WorkerConfig{Queues: []string{"q"}, Wait: NoDelay, Grace: NoDelay})

	if err != nil || o.wait != 0 || o.grace != 0 {
		t.Errorf("want no wait and no grace, got %+v, %v", o, err)
	}
}

// TestASilentConnectionIsGivenUpAfterAnInterval: JW-SDK-13.
func TestASilentConnectionIsGivenUpAfterAnInterval(t *testing.T) {
	t.Parallel()
	for heartbeat, want := range map[float64]float64{0.3: 1, 1: 1, 2.5: 2.5} {
		o, err := checkOptions(&WorkerConfig{Queues: []string{"q"}, Heartbeat: secs(heartbeat)})

		same(t, nil, err)
		same(t, connTimes{connect: secs(want), answer: callTimeout, silence: secs(want)}, o.calls(callTimeout))
		same(t, connTimes{connect: secs(want), answer: max(secs(heartbeat/2), secs(0.25))}, o.beats())
	}
}

func TestOptionsThatAreWrongAreRefusedWithWhatWasExpected(t *testing.T) {
	t.Parallel()
	change := map[string]func(*WorkerConfig){
		"Queues":      func(c *WorkerConfig) { c.Queues = nil },
		"Concurrency": func(c *WorkerConfig) { c.Concurrency = -1 },
		"Lease":       func(c *WorkerConfig) { c.Lease = secs(0.5) },
		"Wait":        func(c *WorkerConfig) { c.Wait = secs(61) },
		"Heartbeat":   func(c *WorkerConfig) { c.Heartbeat = secs(30) },
		"Grace":       func(c *WorkerConfig) { c.Grace = secs(-2) },
		"Weights":     func(c *WorkerConfig) { c.Weights = []int{1, 2} },
	}
	for name, wrong := range change {
		config := &WorkerConfig{Queues: []string{"q"}}
		wrong(config)

		_, err := checkOptions(config)

		if !errors.Is(err, ErrValidation) || !strings.Contains(fmt.Sprint(err), name) {
			t.Errorf("want ErrValidation about %s, got %v", name, err)
		}
	}
	if _, err := checkOptions(&WorkerConfig{Queues: []string{"q"}, Weights: []int{0}}); !errors.Is(err, ErrValidation) {
		t.Errorf("want a weight of 0 to be refused, got %v", err)
	}
	if _, err := checkOptions(&WorkerConfig{Queues: []string{"q"}, Weights: []int{}}); !errors.Is(err, ErrValidation) {
		t.Errorf("want too few weights to be refused, got %v", err)
	}
}
