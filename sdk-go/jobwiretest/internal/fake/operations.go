package fake

import (
	"slices"

	"github.com/jobwire/jobwire/sdk-go/internal/inside"
)

// Operations are what the server can be asked: fields in, the answer of spec/wire.yaml out. Both doors use this one table.
type Operations struct {
	*State
	// IsDraining is true from a SIGTERM on: pulls are refused.
	IsDraining bool
	startedAt  int64
}

// NewOperations are those on state.
func NewOperations(state *State) *Operations { return &Operations{State: state, startedAt: state.Now} }

var wireVersions = []int{1, 2}

func server() Answer { return Answer{"name": "jobwire-fake", "version": inside.Version()} }

// operation is one on checked fields.
type operation func(o *Operations, fields Fields, caller Caller) (Answer, error)

var operations = map[string]operation{
	"push": (*Operations).pushOne, "push_batch": (*Operations).pushBatch, "pull": (*Operations).pull, "ack": (*Operations).ack,
	"ack_batch": (*Operations).ackBatch, "fail": (*Operations).fail, "fail_batch": (*Operations).failBatch,
	"release": (*Operations).release, "heartbeat": (*Operations).heartbeat, "heartbeat_batch": (*Operations).heartbeatBatch,
	"progress": (*Operations).progress, "cancel": (*Operations).cancel, "retry": (*Operations).retry,
	"promote": (*Operations).promote, "get": (*Operations).get, "delete": (*Operations).remove, "find": (*Operations).find,
	"queues": (*Operations).listQueues, "queue": (*Operations).showQueue, "queue_update": (*Operations).updateQueue,
	"stats": (*Operations).stats, "queue_pause": (*Operations).pauseQueue, "queue_resume": (*Operations).resumeQueue,
	"dlq": (*Operations).listDead, "dlq_retry": (*Operations).retryDead, "dlq_discard": (*Operations).discardDead,
	"flow": (*Operations).flow, "workers": (*Operations).listWorkers, "health": (*Operations).health, "ready": (*Operations).ready,
	"live": (*Operations).live, "capabilities": (*Operations).capabilities, "ping": (*Operations).ping,
}

// Run checks the fields and carries the operation out. Its error is a *Refused, and then nothing has changed.
func (o *Operations) Run(name string, fields *Object, caller Caller) (Answer, error) {
	checked, err := Check(name, fields)
	if err != nil {
		return nil, err
	}
	if name == "pull" && o.IsDraining {
		return nil, &Refused{Code: "SHUTTING_DOWN", Message: "The server is draining; nothing was done"}
	}
	return operations[name](o, checked, caller)
}

// Hello is the greeting of a TCP session; the door takes `v` from the answer, which is an int.
func (o *Operations) Hello(fields Fields, caller Caller) (Answer, error) {
	chosen := 0
	for _, offered := range fields.integers("v") {
		if slices.Contains(wireVersions, int(offered)) {
			chosen = max(chosen, int(offered))
		}
	}
	if chosen == 0 {
		message := "hello named no wire version that this server speaks"
		return nil, &Refused{Code: "UNSUPPORTED_VERSION", Message: message, Details: Answer{"supported": wireVersions}}
	}
	if report, given := fields["worker"].(Fields); given {
		o.noteReport(report, caller)
	}
	return merged(announced(), Answer{"v": chosen, "server": server(), "heartbeat_ms": byDefault("heartbeat_ms")}), nil
}

// announced is what hello and capabilities say about the server.
func announced() Answer {
	return Answer{"capabilities": []string{"wait", "notices"}, "limits": Answer(Limits), "defaults": Answer(Defaults)}
}

func (o *Operations) health(Fields, Caller) (Answer, error) {
	status := "healthy"
	if o.IsDraining {
		status = "draining"
	}
	return Answer{
		"status": status, "version": inside.Version(), "uptime_seconds": (o.Now - o.startedAt) / 1000, "durability": "memory",
		"storage": "fake",
	}, nil
}

func (o *Operations) ready(Fields, Caller) (Answer, error) {
	if o.IsDraining {
		return nil, &Refused{Code: "SHUTTING_DOWN", Message: "The server is draining"}
	}
	return Answer{"status": "ready"}, nil
}

func (o *Operations) live(Fields, Caller) (Answer, error) { return Answer{"status": "live"}, nil }

func (o *Operations) ping(Fields, Caller) (Answer, error) { return Answer{}, nil }

func (o *Operations) capabilities(Fields, Caller) (Answer, error) {
	return merged(announced(), Answer{"server": server(), "wire": wireVersions}), nil
}

// IsEmptyHanded says whether a request that may wait has nothing to answer yet.
func IsEmptyHanded(name string, answer Answer) bool {
	if name == "pull" {
		jobs, _ := answer["jobs"].([]Answer)
		return answer["job"] == nil && len(jobs) == 0
	}
	return len(answer["lost"].([]string)) == 0 && len(answer["cancelled"].([]string)) == 0 && answer["deaf"] == false
}
