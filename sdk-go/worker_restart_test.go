package jobwire_test

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	jobwire "github.com/jobwire/jobwire/sdk-go"
)

func TestWorkerGoesOnAfterTheServerWasKilled(t *testing.T) {
	t.Parallel()
	storage := "sqlite:///" + filepath.Join(t.TempDir(), "jobs.db")
	server, err := startServer(storage, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	var survivors []*survivor
	for _, scheme := range []string{"http", "tcp"} {
		survivors = append(survivors, newSurvivor(newFlow(t, server, scheme), scheme))
	}

	server.kill()
	for _, s := range survivors {
		close(s.leave) // its outcome finds no server
	}
	again, err := startServer(storage, server.httpPort, server.tcpPort)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := again.stop(); err != nil {
			t.Error(err)
		}
	}()

	for _, s := range survivors {
		if job := s.wait(s.running, jobwire.StateCompleted); string(job.Result) != `"survived"` || job.Delivery != 1 {
			t.Errorf("want the first delivery to be done, got %s of %d", job.Result, job.Delivery)
		}
		s.wait(s.push("runs", nil, nil), jobwire.StateCompleted)
	}
}

// survivor is a flow with a worker that runs a job while its server is killed.
type survivor struct {
	*flow
	running string // the job's id
	leave   chan bool
}

func newSurvivor(f *flow, queue string) *survivor {
	f.queue = queue
	s := &survivor{flow: f, leave: make(chan bool)}
	entered := make(chan bool, 10)
	f.worker(jobwire.WorkerConfig{Concurrency: 2}, map[string]jobwire.HandlerFunc{
		"runs": func(context.Context, *jobwire.Job) (any, error) {
			entered <- true
			<-s.leave
			return "survived", nil
		},
	})
	s.running = f.push("runs", nil, nil)
	<-entered
	return s
}

func noGoroutineIsLeftBehind(f *flow) {
	before := runtime.NumGoroutine()
	done := func(context.Context, *jobwire.Job) (any, error) { return nil, nil }
	w := f.worker(jobwire.WorkerConfig{}, map[string]jobwire.HandlerFunc{"done": done})
	f.wait(f.push("done", nil, &jobwire.PushOptions{Timeout: time.Hour}), jobwire.StateCompleted)

	if err := w.Stop(context.Background()); err != nil {
		f.Error(err)
	}
	_ = f.client.Close()

	f.until("the end of all goroutines", func() (bool, error) {
		now := runtime.NumGoroutine()
		return now <= before, fmt.Errorf("%d goroutines, %d before", now, before)
	})
}
