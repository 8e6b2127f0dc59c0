// Command sdkprograms is the load of bench/sdks.py with the Go SDK: `sdkprograms URL`.
//
// A line on stdin is a cell, {"load", "queue", "jobs", "batch", "concurrency", "data"}; a line on stdout says what it took,
// {"seconds", "cpu_s"}.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	jobwire "github.com/jobwire/jobwire/sdk-go"
)

const name = "bench"

type cell struct {
	Load, Queue              string
	Jobs, Batch, Concurrency int
	Data                     map[string]any
}

var loads = map[string]func(context.Context, *jobwire.Client, cell) error{
	"push": push, "push_batch": pushBatch, "push_at_once": pushAtOnce, "work": work,
}

func push(ctx context.Context, client *jobwire.Client, c cell) error {
	for range make([]struct{}, c.Jobs) {
		if _, err := client.Push(ctx, c.Queue, name, c.Data, nil); err != nil {
			return err
		}
	}
	return nil
}

func pushBatch(ctx context.Context, client *jobwire.Client, c cell) error {
	for at := 0; at < c.Jobs; at += c.Batch {
		jobs := make([]jobwire.PushItem, c.Batch)
		for i := range jobs {
			jobs[i] = jobwire.PushItem{Name: name, Data: c.Data}
		}
		if _, err := client.PushBatch(ctx, c.Queue, jobs, nil); err != nil {
			return err
		}
	}
	return nil
}

func pushAtOnce(ctx context.Context, client *jobwire.Client, c cell) error {
	share, failed := c, make(chan error, c.Concurrency)
	share.Jobs = c.Jobs / c.Concurrency
	var all sync.WaitGroup
	for range make([]struct{}, c.Concurrency) {
		all.Add(1)
		go func() {
			defer all.Done()
			if err := push(ctx, client, share); err != nil {
				failed <- err
			}
		}()
	}
	all.Wait()
	close(failed)
	return <-failed
}

func work(ctx context.Context, client *jobwire.Client, c cell) error {
	worker, err := jobwire.NewWorker(client, &jobwire.WorkerConfig{
		Queues: []string{c.Queue}, Concurrency: c.Concurrency, NoSignals: true,
	})
	if err != nil {
		return err
	}
	var handled atomic.Int64
	allDone := make(chan struct{})
	worker.Handle(name, func(context.Context, *jobwire.Job) (any, error) {
		if handled.Add(1) == int64(c.Jobs) {
			close(allDone)
		}
		return nil, nil
	})
	if err := worker.Start(ctx); err != nil {
		return err
	}
	<-allDone
	return worker.Stop(ctx)
}

func main() {
	client, err := jobwire.NewClient(os.Args[1], nil)
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var c cell
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			log.Fatal(err)
		}
		cpu, began := cpuSeconds(), time.Now()
		if err := loads[c.Load](context.Background(), client, c); err != nil {
			log.Fatal(err)
		}
		fmt.Printf("{\"seconds\": %g, \"cpu_s\": %g}\n", time.Since(began).Seconds(), cpuSeconds()-cpu)
	}
}

// cpuSeconds is what the process has used so far, in user and system mode.
func cpuSeconds() float64 {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		log.Fatal(err)
	}
	return (time.Duration(used.Utime.Nano()) + time.Duration(used.Stime.Nano())).Seconds()
}
