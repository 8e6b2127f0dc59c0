package jobwiretest

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/jobwire/jobwire/sdk-go"
	"github.com/jobwire/jobwire/sdk-go/internal/inside"
	"github.com/jobwire/jobwire/sdk-go/jobwiretest/internal/doors"
	"github.com/jobwire/jobwire/sdk-go/jobwiretest/internal/fake"
)

// ServerConfig are the settings of a [Server]. The zero value is fine.
type ServerConfig struct {
	// Now is where the clock starts; the real time when left out.
	Now time.Time
	// Token is the bearer token that the doors want; none when left out.
	Token string
	// Seed decides backoff jitter, weighted pulls and ids, so that a run can be repeated.
	Seed uint64
}

// Server is a Jobwire server in this process, on 127.0.0.1, over HTTP and over TCP in both wire versions.
//
//	server := jobwiretest.NewServer(t)
//	client, err := jobwire.NewClient(server.URL(), nil)
//	…
//	client.Push(ctx, "emails", "welcome", data, &jobwire.PushOptions{Delay: time.Minute})
//	server.Advance(time.Minute)
//
// The clock stands still: delays, leases, timeouts, retries and retention move only with [Server.Advance]. A held pull or heartbeat
// ends when its wait is over in real time or on this clock, whichever is first.
//
// It is safe for concurrent use.
type Server struct {
	service *doors.Service
	http    *doors.HTTP
	tcp     *doors.TCP
}

// NewServer is a server that takes connections, until the test ends.
func NewServer(t testing.TB) *Server {
	t.Helper()
	s, err := StartServer(nil)
	if err != nil {
		t.Fatalf("jobwiretest: %v", err)
	}
	t.Cleanup(s.Close)
	return s
}

// StartServer is a server that takes connections, until [Server.Close]; config may be nil. The error is that of a machine which has
// no port to listen on.
func StartServer(config *ServerConfig) (*Server, error) {
	c := ServerConfig{}
	if config != nil {
		c = *config
	}
	if c.Now.IsZero() {
		c.Now = time.Now()
	}
	service := doors.NewService(fake.NewState(c.Now.UnixMilli(), c.Seed), c.Token)
	s := &Server{service: service, http: doors.NewHTTP(service), tcp: doors.NewTCP(service)}
	if err := s.AcceptConnections(); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// Close ends every connection and goroutine, and listens no more. Idempotent.
func (s *Server) Close() {
	s.service.EndAll()
	s.http.Close()
	s.tcp.Close()
}

// String is where the server is.
func (s *Server) String() string {
	return fmt.Sprintf("jobwiretest.Server(%s, %s)", s.URL(), s.TCPURL())
}

// URL is the address of the HTTP door.
func (s *Server) URL() string { return "http://" + s.http.Address() }

// TCPURL is the address of the TCP door.
func (s *Server) TCPURL() string { return "tcp://" + s.tcp.Address() }

// --- time ---

// Now is where the clock stands, in whole milliseconds and in UTC.
func (s *Server) Now() time.Time {
	var now int64
	s.service.Look(func(o *fake.Operations) { now = o.Now })
	return time.UnixMilli(now).UTC()
}

// Advance moves the clock on by d, in whole milliseconds; all that falls due on the way happens in order, each thing at its instant.
// It panics when d is negative.
func (s *Server) Advance(d time.Duration) {
	if d < 0 {
		panic(fmt.Sprintf("jobwiretest: time goes forward only, got %v", d))
	}
	s.service.Change(func(o *fake.Operations) { o.Advance(d.Round(time.Millisecond).Milliseconds()) })
}

// --- looking inside ---

// Call is one request that reached a server.
type Call struct {
	// Operation is its name in spec/wire.yaml, such as push or heartbeat_batch.
	Operation string
	// Fields are those of the request, as encoding/json reads them.
	Fields map[string]any
	// Door is http or tcp.
	Door string
}

// Calls is every request so far, in order; of one operation, or of all when that is empty. Greetings are not among them.
func (s *Server) Calls(operation string) []Call {
	var calls []Call
	for _, each := range s.service.Calls() {
		if operation != "" && operation != each.Operation {
			continue
		}
		call := Call{Operation: each.Operation, Door: each.Door}
		if err := json.Unmarshal(each.Fields, &call.Fields); err != nil {
			panic(fmt.Sprintf("jobwiretest: the fields of %s are no object: %v", each.Operation, err)) // for they were read before
		}
		calls = append(calls, call)
	}
	return calls
}

// ConnectionCount is how many connections are open on both doors.
func (s *Server) ConnectionCount() int { return s.http.Count() + s.tcp.Count() }

// Job is the job of this id as it is now, without its lease; nil when it is not there.
func (s *Server) Job(id string) *jobwire.Job {
	var view []byte
	s.service.Look(func(o *fake.Operations) {
		if job := o.Job(id); job != nil {
			view = fake.Text(job.View())
		}
	})
	if view == nil {
		return nil
	}
	return parsedJob(view)
}

func parsedJob(view []byte) *jobwire.Job {
	job, err := inside.ParseJob(view)
	if err != nil {
		panic(fmt.Sprintf("jobwiretest: a job cannot be read: %v", err)) // for it was written here
	}
	return job.(*jobwire.Job)
}
