package jobwire

import (
	"os"
	"os/signal"
	"sync"
	"syscall"
)

// workerSignals is the listening for SIGTERM and SIGINT while a worker runs.
type workerSignals struct {
	first <-chan os.Signal // nil when nobody listens
	stop  func()           // idempotent; signals then do again what they did before
}

// listen starts listening, unless the worker was told to leave signals alone.
func (w *Worker) listen() workerSignals {
	if w.noSignals {
		return workerSignals{stop: func() {}}
	}
	first := make(chan os.Signal, 1) // one is enough: the second must not be taken from its default
	signal.Notify(first, syscall.SIGTERM, syscall.SIGINT)
	return workerSignals{first: first, stop: sync.OnceFunc(func() { signal.Stop(first) })}
}
