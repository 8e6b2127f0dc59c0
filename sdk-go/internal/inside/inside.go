// Package inside is what package jobwiretest may use of package jobwire, without a public name. Package jobwire fills it in; its
// types go through as any, since it imports this package.
package inside

import (
	"context"
	"encoding/json"
	"time"
)

// AnswerFunc stands in for a server: the answer to an operation, a JSON object with `ok`, or what befell the connection. fields is
// the JSON object of the TCP command.
type AnswerFunc func(ctx context.Context, op string, fields json.RawMessage) (answer []byte, err error)

// Outcome is what a handler made of a job, and what the server was told: ack, fail, discard or release.
type Outcome struct {
	Kind   string
	Result json.RawMessage // after an ack; nil for none
	Text   string          // after a fail
	Err    error           // what the handler returned
}

// Hooks are the functions below.
type Hooks struct {
	Version   string
	ErrorInfo func(code string) (status int, retryable bool)
	NewClient func(answer AnswerFunc) (client any)
	ParseJob  func(view []byte) (job any, err error)
	PullOne   func(ctx context.Context, worker any, wait time.Duration) (job any, err error)
	Names     func(worker any) []string
	Serves    func(client, worker any) bool
	Run       func(ctx context.Context, worker, job any) (Outcome, error)
}

var hooks Hooks

// Register is called once, by package jobwire.
func Register(all Hooks) bool {
	hooks = all
	return true
}

// Version is that of the module.
func Version() string { return hooks.Version }

// ErrorInfo is the HTTP status of a code of spec/errors.yaml, 0 for those that no server answers, and whether a repeat may help.
func ErrorInfo(code string) (status int, retryable bool) { return hooks.ErrorInfo(code) }

// NewClient is a *jobwire.Client, and so are the connections of its workers, whose requests answer takes.
func NewClient(answer AnswerFunc) any { return hooks.NewClient(answer) }

// ParseJob is the *jobwire.Job of a Job object.
func ParseJob(view []byte) (any, error) { return hooks.ParseJob(view) }

// PullOne is a *jobwire.Job pulled with the settings of worker, a *jobwire.Worker; nil when there is none.
func PullOne(ctx context.Context, worker any, wait time.Duration) (any, error) {
	return hooks.PullOne(ctx, worker, wait)
}

// Names is the names of the jobs that worker has handlers for, sorted.
func Names(worker any) []string { return hooks.Names(worker) }

// Serves says whether worker asks the same server as client, a *jobwire.Client.
func Serves(client, worker any) bool { return hooks.Serves(client, worker) }

// Run has the handler of worker run a pulled job in this goroutine, and tells the server.
func Run(ctx context.Context, worker, job any) (Outcome, error) { return hooks.Run(ctx, worker, job) }
