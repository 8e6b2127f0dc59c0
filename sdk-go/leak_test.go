package jobwire

import (
	"context"
	"runtime"
	"testing"
	"time"
)

// TestNoGoroutineAndNoConnectionIsLeftBehind runs alone, since it counts.
func TestNoGoroutineAndNoConnectionIsLeftBehind(t *testing.T) {
	server := newEchoServer(t)
	before := runtime.NumGoroutine()
	for _, scheme := range []string{"tcp", "http"} {
		if scheme == "http" {
			web := newPeer(t)
			client := web.client("http", nil)
			call := pingInBackground(client)
			conn := web.accept()
			conn.expectHTTP()
			conn.answerHTTP(`{"ok":true}`)
			if _, err := await(t, call); err != nil {
				t.Fatal(err)
			}
			client.Close()
			conn.expectClose()
			continue
		}
		client := server.client("tcp", nil)
		for range 3 {
			if err := pushed(client); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
		client.Pull(ctx, []string{"q"}, &PullOptions{Wait: time.Minute}) // its error is that of the context
		cancel()
		client.Close()
	}

	until(t, func() bool { return runtime.NumGoroutine() <= before })
}
