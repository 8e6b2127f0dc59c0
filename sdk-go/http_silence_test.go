package jobwire

import (
	"strings"
	"testing"
	"time"
)

// TestATryOverHTTPIsOverAfterTheSilence: JW-SDK-13, where nothing can be asked beside a request.
func TestATryOverHTTPIsOverAfterTheSilence(t *testing.T) {
	t.Parallel()
	const silence = 300 * time.Millisecond
	server := newPeer(t)
	client := server.watching("http", silence)
	first := pingInBackground(client) // its connection is kept, so that the pull has one
	conn := server.accept()
	conn.expectHTTP()
	conn.answerHTTP(`{"ok":true}`)
	if _, err := await(t, first); err != nil {
		t.Fatal(err)
	}

	started := time.Now()
	_, err := await(t, pullInBackground(client))
	took := time.Since(started)

	expectCode(t, "TIMEOUT", err)
	if !strings.HasSuffix(err.Error(), " within "+silence.String()) || took < silence || took > 5*silence {
		t.Errorf("want it to time out after %v, got %v after %v", silence, err, took)
	}
	conn.expectHTTP()
	conn.expectClose()
}

// TestAPullOverHTTPIsHeldForHalfOfTheSilence: JW-SDK-13.
func TestAPullOverHTTPIsHeldForHalfOfTheSilence(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		scheme                string
		heartbeat, wait, want float64
	}{{"http", 2, 20, 1}, {"http", 0.1, 20, 0.5}, {"http", 2, 0.3, 0.3}, {"tcp", 2, 20, 20}} {
		client := newPeer(t).client(row.scheme, nil)

		w, err := NewWorker(client, &WorkerConfig{Queues: []string{"q"}, Heartbeat: secs(row.heartbeat), Wait: secs(row.wait)})

		same(t, nil, err)
		same(t, secs(row.want), w.options.wait)
	}
}
