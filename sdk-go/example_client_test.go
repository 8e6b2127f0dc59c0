package jobwire_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	jobwire "github.com/jobwire/jobwire/sdk-go"
)

var ctx = context.Background()

// cannedClient is a client of a server that answers each route, "METHOD /path" below /api/v1, with a JSON text.
func cannedClient(answers map[string]string) (client *jobwire.Client, end func()) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer, known := answers[r.Method+" "+r.URL.Path[len("/api/v1"):]+cursorOf(r)]
		if !known {
			w.WriteHeader(http.StatusConflict)
			answer = `{"ok":false,"error":{"code":"DUPLICATE_KEY","message":"the key is taken","details":{"existing_id":"0190-a"}}}`
		}
		fmt.Fprint(w, answer)
	}))
	client, err := jobwire.NewClient(server.URL, nil)
	if err != nil {
		panic(err)
	}
	return client, func() {
		client.Close()
		server.Close()
	}
}

func cursorOf(r *http.Request) string {
	if cursor := r.URL.Query().Get("cursor"); cursor != "" {
		return "#" + cursor
	}
	return ""
}

func ExampleNewClient() {
	client, err := jobwire.NewClient("tcp://localhost:6789", &jobwire.Config{Token: "s3cret", Timeout: 10 * time.Second})
	if err != nil {
		panic(err)
	}
	defer client.Close()

	fmt.Println(client)
	// Output: jobwire.Client(tcp://localhost:6789)
}

func ExampleClient_Push() {
	client, end := cannedClient(map[string]string{"POST /queues/emails/jobs": `{"ok":true,"id":"0190-a","outcome":"created"}`})
	defer end()

	result, err := client.Push(ctx, "emails", "welcome", map[string]string{"to": "ada@example.org"}, &jobwire.PushOptions{
		Delay: 30 * time.Second, MaxAttempts: 5, UniqueKey: "welcome-ada",
	})

	fmt.Println(result.ID, result.Outcome, err)
	// Output: 0190-a created <nil>
}

func ExampleClient_PushBatch() {
	client, end := cannedClient(map[string]string{"POST /queues/emails/jobs/batch": `{"ok":true,"ids":["0190-a",null],"outcomes":["created",null],
		"results":[{"ok":true},{"ok":false,"error":{"code":"QUEUE_FULL","message":"the queue is full"}}]}`})
	defer end()

	results, err := client.PushBatch(ctx, "emails", []jobwire.PushItem{
		{Name: "welcome", Data: 1},
		{Name: "welcome", Data: 2, Options: &jobwire.PushOptions{Priority: 10}},
	}, &jobwire.PushBatchOptions{Partial: true})
	if err != nil {
		panic(err)
	}

	for _, result := range results {
		fmt.Println(result.Created(), result.Err)
	}
	// Output:
	// true <nil>
	// false QUEUE_FULL: the queue is full
}

func ExampleClient_Pull() {
	client, end := cannedClient(map[string]string{
		"POST /pull":             `{"ok":true,"jobs":[{"id":"0190-a","name":"welcome","data":{"to":"ada@example.org"},"lease":"1-a"}]}`,
		"POST /jobs/0190-a/ack":  `{"ok":true}`,
		"POST /jobs/0190-a/fail": `{"ok":true,"retry":true}`,
	})
	defer end()

	jobs, err := client.Pull(ctx, []string{"emails"}, &jobwire.PullOptions{Count: 10, Wait: 20 * time.Second})
	if err != nil {
		panic(err)
	}
	for _, job := range jobs {
		var mail struct{ To string }
		if err := job.Unmarshal(&mail); err != nil {
			_, err = client.Fail(ctx, job, err, &jobwire.FailOptions{Discard: true})
			fmt.Println("failed", err)
			continue
		}
		_, err := client.Ack(ctx, job, map[string]bool{"sent": true})
		fmt.Println(mail.To, err)
	}
	// Output: ada@example.org <nil>
}

func ExampleClient_Heartbeat() {
	client, end := cannedClient(map[string]string{
		"POST /jobs/0190-a/heartbeat": `{"ok":true,"lease_expires_at":"2026-01-01T00:01:00Z","cancelled":true}`,
		"POST /jobs/0190-a/release":   `{"ok":true,"state":"cancelled"}`,
	})
	defer end()
	job := &jobwire.Job{ID: "0190-a", Lease: "1-a"}

	renewed, err := client.Heartbeat(ctx, job, time.Minute)
	if err != nil {
		panic(err)
	}
	fmt.Println(renewed.LeaseExpiresAt.Format(time.TimeOnly), renewed.Cancelled)
	if renewed.Cancelled {
		released, err := client.Release(ctx, job, 0)
		fmt.Println(released.State, err)
	}
	// Output:
	// 00:01:00 true
	// cancelled <nil>
}

func ExampleClient_Find() {
	client, end := cannedClient(map[string]string{
		"GET /jobs":   `{"ok":true,"jobs":[{"id":"0190-b"},{"id":"0190-a"}],"next_cursor":"2"}`,
		"GET /jobs#2": `{"ok":true,"jobs":[{"id":"0189-z"}],"next_cursor":null}`,
	})
	defer end()

	jobs := client.Find(&jobwire.FindOptions{Queue: "emails", States: []jobwire.JobState{jobwire.StateDLQ}})
	for jobs.Next(ctx) {
		fmt.Println(jobs.Job().ID)
	}
	fmt.Println(jobs.Err())
	// Output:
	// 0190-b
	// 0190-a
	// 0189-z
	// <nil>
}

func ExampleClient_UpdateQueue() {
	client, end := cannedClient(map[string]string{
		"PATCH /queues/emails": `{"ok":true,"queue":{"name":"emails","settings":{"lease_ms":null,"max_length":1000}}}`,
	})
	defer end()

	queue, err := client.UpdateQueue(ctx, "emails", jobwire.QueueUpdate{
		MaxLength: jobwire.Set(1000), Lease: jobwire.Reset[time.Duration](),
	})

	fmt.Println(*queue.MaxLength, queue.Lease, err)
	// Output: 1000 <nil> <nil>
}

func ExampleClient_RetryDLQ() {
	client, end := cannedClient(map[string]string{
		"POST /queues/emails/dlq/retry": `{"ok":true,"count":2,"results":[{"id":"0190-a","ok":true},{"id":"0190-b","ok":true}],"remaining":40}`,
	})
	defer end()

	retried, err := client.RetryDLQ(ctx, "emails", &jobwire.BulkOptions{Limit: 2})

	fmt.Println(retried.Count, "tried again,", retried.Remaining, "left,", err)
	// Output: 2 tried again, 40 left, <nil>
}

func ExampleClient_WithOptions() {
	client, end := cannedClient(map[string]string{"GET /health": `{"ok":true,"status":"healthy","durability":"fsync"}`})
	defer end()

	impatient := client.WithOptions(&jobwire.Options{Timeout: 2 * time.Second, Retries: -1})
	health, err := impatient.Health(ctx)

	fmt.Println(health.Status, health.Durability, err)
	// Output: healthy fsync <nil>
}

func ExampleError() {
	client, end := cannedClient(nil)
	defer end()

	_, err := client.Push(ctx, "emails", "welcome", nil, &jobwire.PushOptions{UniqueKey: "welcome-ada"})

	var refused *jobwire.Error
	if errors.Is(err, jobwire.ErrConflict) && errors.As(err, &refused) {
		fmt.Println(refused.Code, refused.Details["existing_id"])
	}
	// Output: DUPLICATE_KEY 0190-a
}

func ExampleSafeToRetry() {
	client, err := jobwire.NewClient("tcp://127.0.0.1:1", &jobwire.Config{Retries: -1})
	if err != nil {
		panic(err)
	}
	defer client.Close()

	_, err = client.Push(ctx, "emails", "welcome", nil, nil)

	fmt.Println(errors.Is(err, jobwire.ErrTransport), jobwire.SafeToRetry(err))
	// Output: true true
}
