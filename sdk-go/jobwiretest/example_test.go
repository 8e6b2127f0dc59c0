package jobwiretest_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/jobwire/jobwire/sdk-go"
	"github.com/jobwire/jobwire/sdk-go/jobwiretest"
)

// A test has jobwiretest.NewServer(t), which ends with it.
func ExampleStartServer() {
	server, err := jobwiretest.StartServer(nil)
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	client, err := jobwire.NewClient(server.URL(), nil)
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	ctx := context.Background()

	pushed, err := client.Push(ctx, "emails", "welcome", "ada", &jobwire.PushOptions{Delay: time.Hour})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(server.Job(pushed.ID).State)
	server.Advance(time.Hour)
	fmt.Println(server.Job(pushed.ID).State)
	// Output:
	// delayed
	// waiting
}

// A handler fails, and is tried again after its backoff.
func ExampleWorkOne() {
	server, err := jobwiretest.StartServer(nil)
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	client, err := jobwire.NewClient(server.TCPURL(), nil)
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	worker, err := jobwire.NewWorker(client, &jobwire.WorkerConfig{Queues: []string{"emails"}})
	if err != nil {
		log.Fatal(err)
	}
	jobwire.Handle(worker, "welcome", func(_ context.Context, job *jobwire.JobOf[string]) (any, error) {
		if job.Attempt == 0 {
			return nil, fmt.Errorf("the mail server is down")
		}
		return "sent to " + job.Data, nil
	})
	ctx := context.Background()

	if _, err := client.Push(ctx, "emails", "welcome", "ada", nil); err != nil {
		log.Fatal(err)
	}
	for range 2 {
		outcome, err := jobwiretest.WorkOne(ctx, worker, 0)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(outcome.Kind, outcome.Failure+string(outcome.Result))
		server.Advance(time.Second)
	}
	// Output:
	// fail the mail server is down
	// ack "sent to ada"
}

// Code that pushes is tested with its handlers, and without a server.
func ExampleInline() {
	inline := jobwiretest.StartInline(time.Now()) // in a test jobwiretest.NewInline(t)
	defer inline.Close()
	worker, err := jobwire.NewWorker(inline.Client, &jobwire.WorkerConfig{Queues: []string{"emails"}})
	if err != nil {
		log.Fatal(err)
	}
	jobwire.Handle(worker, "welcome", func(_ context.Context, job *jobwire.JobOf[string]) (any, error) {
		return "sent to " + job.Data, nil
	})
	inline.Use(worker)

	if _, err := inline.Push(context.Background(), "emails", "welcome", "ada", nil); err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(inline.Outcomes()[0].Result))
	// Output:
	// "sent to ada"
}
