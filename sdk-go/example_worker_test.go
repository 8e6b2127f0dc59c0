package jobwire_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	jobwire "github.com/jobwire/jobwire/sdk-go"
)

// A worker runs a function for each job of its queues, until the process gets SIGTERM.
func ExampleWorker() {
	client, end := exampleClient() // jobwire.NewClient("http://localhost:6790", nil)
	defer end()
	ctx, stop := context.WithCancel(context.Background())

	worker, err := jobwire.NewWorker(client, &jobwire.WorkerConfig{Queues: []string{"emails"}})
	if err != nil {
		log.Fatal(err)
	}
	worker.Handle("welcome", func(ctx context.Context, job *jobwire.Job) (any, error) {
		fmt.Println("sending", string(job.Data))
		stop() // only here: a worker goes on
		return "sent", nil
	})

	if _, err := client.Push(ctx, "emails", "welcome", map[string]string{"to": "ada@example.org"}, nil); err != nil {
		log.Fatal(err)
	}
	if err := worker.Run(ctx); err != nil {
		log.Fatal(err)
	}
	// Output:
	// sending {"to":"ada@example.org"}
	// server: done, result "sent"
}

// A typed handler gets the job's data as a struct. A job whose data does not fit is never tried again.
func ExampleHandle() {
	client, end := exampleClient()
	defer end()
	ctx, stop := context.WithCancel(context.Background())
	type welcome struct {
		To string `json:"to"`
	}

	worker, err := jobwire.NewWorker(client, &jobwire.WorkerConfig{Queues: []string{"emails"}})
	if err != nil {
		log.Fatal(err)
	}
	jobwire.Handle(worker, "welcome", func(ctx context.Context, job *jobwire.JobOf[welcome]) (any, error) {
		fmt.Println("sending to", job.Data.To)
		stop()
		return nil, nil
	})

	if _, err := client.Push(ctx, "emails", "welcome", welcome{To: "ada@example.org"}, nil); err != nil {
		log.Fatal(err)
	}
	if err := worker.Run(ctx); err != nil {
		log.Fatal(err)
	}
	// Output:
	// sending to ada@example.org
	// server: done
}

// A handler tells how far it is, and stops when its context ends: the job was cancelled, its lease lost, its time is over, or the
// worker shuts down.
func ExampleProgress() {
	client, end := exampleClient()
	defer end()
	ctx, stop := context.WithCancel(context.Background())

	worker, err := jobwire.NewWorker(client, &jobwire.WorkerConfig{Queues: []string{"films"}})
	if err != nil {
		log.Fatal(err)
	}
	worker.Handle("convert", func(ctx context.Context, job *jobwire.Job) (any, error) {
		for scene := range 2 {
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			if err := jobwire.Progress(ctx, 50*(scene+1), fmt.Sprintf("scene %d", scene)); err != nil {
				return nil, err
			}
		}
		stop()
		return nil, nil
	})

	if _, err := client.Push(ctx, "films", "convert", nil, nil); err != nil {
		log.Fatal(err)
	}
	if err := worker.Run(ctx); err != nil {
		log.Fatal(err)
	}
	// Output:
	// server: at 50 %, scene 0
	// server: at 100 %, scene 1
	// server: done
}

// What a handler returns decides how its job goes on.
func ExampleHandlerFunc() {
	client, end := exampleClient()
	defer end()
	ctx, stop := context.WithCancel(context.Background())
	noAddress, tooMany := errors.New("no such address"), errors.New("too many requests")
	outcomes := []error{
		errors.New("the mail server is away"),
		jobwire.Discard(noAddress),
		jobwire.RetryIn(time.Minute, tooMany),
		jobwire.Release(5 * time.Second),
	}

	// One at a time, so that the lines below come in order.
	worker, err := jobwire.NewWorker(client, &jobwire.WorkerConfig{Queues: []string{"emails"}, Concurrency: 1})
	if err != nil {
		log.Fatal(err)
	}
	jobwire.Handle(worker, "welcome", func(ctx context.Context, job *jobwire.JobOf[int]) (any, error) {
		if job.Data == len(outcomes)-1 {
			stop()
		}
		return nil, outcomes[job.Data]
	})

	for n := range outcomes {
		if _, err := client.Push(ctx, "emails", "welcome", n, nil); err != nil {
			log.Fatal(err)
		}
	}
	if err := worker.Run(ctx); err != nil {
		log.Fatal(err)
	}
	// Output:
	// server: again after the backoff: the mail server is away
	// server: never again: no such address
	// server: again in 60000 ms: too many requests
	// server: given back, ready in 5000 ms
}

// One function around every handler serves logging, tracing and error tracking.
func ExampleWrapFunc() {
	client, end := exampleClient()
	defer end()
	ctx, stop := context.WithCancel(context.Background())

	logged := func(handler jobwire.HandlerFunc) jobwire.HandlerFunc {
		return func(ctx context.Context, job *jobwire.Job) (any, error) {
			fmt.Println("begin", job.Name)
			result, err := handler(ctx, job)
			fmt.Println("end", job.Name, err)
			return result, err
		}
	}
	worker, err := jobwire.NewWorker(client, &jobwire.WorkerConfig{Queues: []string{"emails"}, Wrap: logged})
	if err != nil {
		log.Fatal(err)
	}
	worker.Handle("welcome", func(context.Context, *jobwire.Job) (any, error) {
		stop()
		return nil, nil
	})

	if _, err := client.Push(ctx, "emails", "welcome", nil, nil); err != nil {
		log.Fatal(err)
	}
	if err := worker.Run(ctx); err != nil {
		log.Fatal(err)
	}
	// Output:
	// begin welcome
	// end welcome <nil>
	// server: done
}

// A worker beside an HTTP server: started in the background, and stopped when the program ends. The program listens to signals.
func ExampleWorker_Start() {
	client, end := exampleClient()
	defer end()
	ctx := context.Background()
	done := make(chan bool)

	worker, err := jobwire.NewWorker(client, &jobwire.WorkerConfig{Queues: []string{"emails"}, Grace: 10 * time.Second})
	if err != nil {
		log.Fatal(err)
	}
	worker.Handle("welcome", func(context.Context, *jobwire.Job) (any, error) {
		close(done)
		return nil, nil
	})
	if err := worker.Start(ctx); err != nil {
		log.Fatal(err)
	}

	if _, err := client.Push(ctx, "emails", "welcome", nil, nil); err != nil {
		log.Fatal(err)
	}
	<-done // in place of http.ListenAndServe
	fmt.Println("stopped:", worker.Stop(ctx))
	// Output:
	// server: done
	// stopped: <nil>
}
