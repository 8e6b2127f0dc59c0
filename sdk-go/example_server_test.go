package jobwire_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	jobwire "github.com/jobwire/jobwire/sdk-go"
)

// exampleServer is as much of a server as the examples need: it gives out what was pushed, and prints what becomes of it.
type exampleServer struct {
	jobs chan exampleJob
}

type exampleJob struct {
	ID      string          `json:"id"`
	Queue   string          `json:"queue"`
	Name    string          `json:"name"`
	Data    json.RawMessage `json:"data"`
	State   string          `json:"state"`
	Lease   string          `json:"lease"`
	Attempt int             `json:"attempt"`
}

// exampleClient is a client of such a server, and what ends both.
func exampleClient() (client *jobwire.Client, end func()) {
	server := &exampleServer{jobs: make(chan exampleJob, 10)}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/v1/queues/{queue}/jobs", server.push)
	mux.HandleFunc("POST /api/v1/pull", server.pull)
	mux.HandleFunc("POST /api/v1/jobs/ack", server.ack)
	mux.HandleFunc("POST /api/v1/jobs/fail", server.fail)
	mux.HandleFunc("POST /api/v1/jobs/{id}/release", server.release)
	mux.HandleFunc("POST /api/v1/jobs/{id}/progress", server.progress)
	mux.HandleFunc("POST /api/v1/jobs/heartbeat", server.heartbeat)
	listener := httptest.NewServer(mux)
	client, err := jobwire.NewClient(listener.URL, nil)
	if err != nil {
		panic(err)
	}
	return client, func() {
		_ = client.Close()
		listener.Close()
	}
}

// exampleRequest has the fields of all requests.
type exampleRequest struct {
	exampleJob
	WaitMS   int    `json:"wait_ms"`
	DelayMS  int    `json:"delay_ms"`
	Progress int    `json:"progress"`
	Message  string `json:"message"`
	Items    []struct {
		ID        string          `json:"id"`
		Result    json.RawMessage `json:"result"`
		Error     string          `json:"error"`
		Discard   bool            `json:"discard"`
		RetryInMS int             `json:"retry_in_ms"`
	} `json:"items"`
}

func exampleBody(r *http.Request) exampleRequest {
	var body exampleRequest
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		panic(err)
	}
	return body
}

func exampleAnswer(w http.ResponseWriter, members map[string]any) {
	members["ok"] = true
	if err := json.NewEncoder(w).Encode(members); err != nil {
		panic(err)
	}
}

func (s *exampleServer) push(w http.ResponseWriter, r *http.Request) {
	job := exampleBody(r).exampleJob
	job.Queue, job.State, job.Lease = r.PathValue("queue"), "active", "1-a"
	s.jobs <- job
	exampleAnswer(w, map[string]any{"id": job.ID, "outcome": "created"})
}

func (s *exampleServer) pull(w http.ResponseWriter, r *http.Request) {
	jobs := []exampleJob{}
	select {
	case job := <-s.jobs:
		jobs = append(jobs, job)
	case <-time.After(time.Duration(exampleBody(r).WaitMS) * time.Millisecond):
	case <-r.Context().Done():
	}
	exampleAnswer(w, map[string]any{"jobs": jobs})
}

func (s *exampleServer) ack(w http.ResponseWriter, r *http.Request) {
	var results []map[string]any
	for _, item := range exampleBody(r).Items {
		fmt.Println("server: done" + strings.TrimSuffix(", result "+string(item.Result), ", result "))
		results = append(results, map[string]any{"id": item.ID, "ok": true})
	}
	exampleAnswer(w, map[string]any{"results": results})
}

func (s *exampleServer) fail(w http.ResponseWriter, r *http.Request) {
	var results []map[string]any
	for _, item := range exampleBody(r).Items {
		switch {
		case item.Discard:
			fmt.Println("server: never again:", item.Error)
		case item.RetryInMS > 0:
			fmt.Printf("server: again in %d ms: %s\n", item.RetryInMS, item.Error)
		default:
			fmt.Println("server: again after the backoff:", item.Error)
		}
		results = append(results, map[string]any{"id": item.ID, "ok": true})
	}
	exampleAnswer(w, map[string]any{"results": results})
}

func (s *exampleServer) release(w http.ResponseWriter, r *http.Request) {
	fmt.Printf("server: given back, ready in %d ms\n", exampleBody(r).DelayMS)
	exampleAnswer(w, map[string]any{"state": "waiting"})
}

func (s *exampleServer) progress(w http.ResponseWriter, r *http.Request) {
	body := exampleBody(r)
	fmt.Printf("server: at %d %%, %s\n", body.Progress, body.Message)
	exampleAnswer(w, map[string]any{})
}

func (s *exampleServer) heartbeat(w http.ResponseWriter, r *http.Request) {
	select {
	case <-time.After(time.Duration(exampleBody(r).WaitMS) * time.Millisecond):
	case <-r.Context().Done():
	}
	exampleAnswer(w, map[string]any{"results": []any{}, "lost": []any{}, "cancelled": []any{}, "deaf": false})
}
