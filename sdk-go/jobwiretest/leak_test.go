package jobwiretest_test

import (
	"context"
	"runtime"
	"testing"
	"time"

	"github.com/jobwire/jobwire/sdk-go"
	"github.com/jobwire/jobwire/sdk-go/jobwiretest"
)

// TestNoGoroutineIsLeftBehind runs alone, since it counts. A pull is held, an answer was swallowed, and a client never says goodbye.
func TestNoGoroutineIsLeftBehind(t *testing.T) {
	before := runtime.NumGoroutine()
	for range 3 {
		server, err := jobwiretest.StartServer(nil)
		must(t, err)
		var clients []*jobwire.Client
		for _, url := range []string{server.URL(), server.TCPURL()} {
			client, err := jobwire.NewClient(url, &jobwire.Config{Retries: -1, RetryBudget: -1})
			must(t, err)
			clients = append(clients, client)
			server.SwallowNext("push", 1)
			ended := make(chan struct{}, 2)
			go func() {
				_, _ = client.Pull(context.Background(), []string{"q"}, &jobwire.PullOptions{Wait: time.Minute})
				ended <- struct{}{}
			}()
			go func() {
				_, _ = client.Push(context.Background(), "q", "job", nil, nil)
				ended <- struct{}{}
			}()
			must(t, server.WaitFor(context.Background(), "pull", len(clients)))
			must(t, server.WaitFor(context.Background(), "push", len(clients)))
			defer func() { <-ended; <-ended }()
		}
		server.Close()
		for _, client := range clients {
			client.Close()
		}
	}
	for end := time.Now().Add(time.Minute); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			stacks := make([]byte, 1<<20)
			t.Fatalf("%d goroutines, were %d:\n%s", runtime.NumGoroutine(), before, stacks[:runtime.Stack(stacks, true)])
		}
	}
}
