package jobwire

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

// asked is a request that came to a server of this file.
type asked struct {
	Cmd       string
	RID       int64
	Target    int64
	RequestID string `json:"request_id"`
	WaitMS    int64  `json:"wait_ms"`
	Items     []struct{ ID, Lease string }

	conn int       // which connection, counted from 1
	came time.Time // when
}

// deafServer has one job to give. The connection on which it is first asked for `loses` has gone silent, and stays so; all else is
// answered at once, but that pulls are held when there is no job.
type deafServer struct {
	loses string
	acked chan string // ids

	mu       sync.Mutex
	conns    int
	requests []asked
	isLost   bool // the connection
	isGiven  bool // the job
}

const oneJob = `{"id":"j","queue":"q","name":"job","state":"active","data":1,"lease":"1-a","lease_expires_at":"2030-01-01T00:00:00Z"}`

// newDeafServer speaks TCP; what comes back is its address.
func newDeafServer(t *testing.T, loses string) (*deafServer, string) {
	server := &deafServer{loses: loses, acked: make(chan string, 10)}
	listening := newPeer(t)
	go func() {
		for {
			conn, err := listening.listener.Accept()
			if err != nil {
				return // the test is over
			}
			server.mu.Lock()
			server.conns++
			number := server.conns
			server.mu.Unlock()
			go server.serve(conn, number)
		}
	}()
	return server, listening.url("tcp")
}

func (s *deafServer) serve(conn net.Conn, number int) {
	defer conn.Close()
	isSilent := false
	for reader := bufio.NewReader(conn); ; {
		line, err := reader.ReadBytes('\n')
		var request asked
		if err != nil || json.Unmarshal(line, &request) != nil {
			return
		}
		request.conn = number
		isSilent = isSilent || s.takes(request)
		if isSilent {
			continue
		}
		if answer, rid := s.answer(request); answer != "" {
			fmt.Fprintf(conn, `{"ok":true,"rid":%d%s}`+"\n", rid, answer)
		}
		if request.Cmd == "abort" {
			fmt.Fprintf(conn, `{"ok":true,"rid":%d}`+"\n", request.RID)
		}
	}
}

// takes notes a request; true when it is the one that gets lost.
func (s *deafServer) takes(request asked) bool {
	request.came = time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, request)
	isLoss := !s.isLost && request.Cmd == s.loses
	s.isLost = s.isLost || isLoss
	return isLoss
}

// answer is the members of an answer besides `ok`, and what it answers; empty when that is held.
func (s *deafServer) answer(request asked) (string, int64) {
	switch request.Cmd {
	case "hello":
		return `,"v":2`, request.RID
	case "pull":
		return s.give(), request.RID
	case "abort":
		return `,"job":null`, request.Target
	case "ack_batch":
		id := request.Items[0].ID
		s.acked <- id
		return fmt.Sprintf(`,"acked":1,"failed":0,"results":[{"id":%q,"ok":true}]`, id), request.RID
	}
	return `,"results":[]`, request.RID
}

// give is the answer to a pull.
func (s *deafServer) give() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.isGiven {
		return ""
	}
	s.isGiven = true
	return `,"job":null,"jobs":[` + oneJob + `]`
}

func (s *deafServer) of(cmd string) []asked {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []asked
	for _, request := range s.requests {
		if request.Cmd == cmd {
			found = append(found, request)
		}
	}
	return found
}

// startWorker starts a worker that can do the one job, and stops it when the test ends.
func startWorker(t *testing.T, url string, change func(*workerOptions)) {
	t.Helper()
	client, err := NewClient(url, nil)
	if err != nil {
		t.Fatal(err)
	}
	w, err := NewWorker(client, &WorkerConfig{Queues: []string{"q"}, Concurrency: 1, Heartbeat: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	change(w.options)
	w.Handle("job", func(context.Context, *Job) (any, error) { return nil, nil })
	if err := w.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = w.Stop(context.Background())
		client.Close()
	})
}

// TestAConnectionThatGoesSilentIsLeftThoughHeartbeatsAreAnswered: JW-SDK-13.
func TestAConnectionThatGoesSilentIsLeftThoughHeartbeatsAreAnswered(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ name, loses string }{{"WithAPull", "pull"}, {"WithAnOutcome", "ack_batch"}} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			server, url := newDeafServer(t, row.loses)

			startWorker(t, url, func(o *workerOptions) { o.silence = 200 * time.Millisecond })

			same(t, "j", receive(t, server.acked))
			lost := server.of(row.loses)
			first, second := lost[0], lost[1]
			if first.conn == second.conn || first.RequestID != second.RequestID || fmt.Sprint(first.Items) != fmt.Sprint(second.Items) {
				t.Errorf("want the same over another connection, got %+v and %+v", first, second)
			}
			if took := second.came.Sub(first.came); took > callTimeout/2 {
				t.Errorf("want it soon, not after the time of a call, it took %v", took)
			}
		})
	}
}

// TestAPullOverHTTPThatIsLostIsAskedAgainSoon: JW-SDK-13.
func TestAPullOverHTTPThatIsLostIsAskedAgainSoon(t *testing.T) {
	t.Parallel()
	server := &deafServer{loses: "pull", acked: make(chan string, 10)}
	cmds := map[string]string{"/api/v1/pull": "pull", "/api/v1/jobs/ack": "ack_batch", "/api/v1/jobs/heartbeat": "heartbeat_batch"}
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var request asked
		text, _ := io.ReadAll(r.Body) // the end of a connection is seen once the body has been read
		_ = json.Unmarshal(text, &request)
		request.Cmd = cmds[r.URL.Path]
		if server.takes(request) {
			<-r.Context().Done()
			return
		}
		answer, _ := server.answer(request)
		writeJSON(w, 200, `{"ok":true`+answer+`}`)
	}))
	t.Cleanup(web.Close)

	startWorker(t, web.URL, func(*workerOptions) {})

	same(t, "j", receive(t, server.acked))
	pulls := server.of("pull")
	if pulls[0].RequestID != pulls[1].RequestID || pulls[0].WaitMS > 500 || pulls[0].WaitMS == 0 {
		t.Errorf("want the same pull of half a second, got %+v", pulls)
	}
	if took := pulls[1].came.Sub(pulls[0].came); took > callTimeout/2 {
		t.Errorf("want it soon, not after the time of a call, it took %v", took)
	}
}
