package jobwire

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
)

// HandlerFunc runs one job. What it returns is kept as the job's result (nil for none); an error fails the attempt, and
// the job is tried again after its backoff. [Discard], [RetryIn] and [Release] say otherwise.
//
// ctx ends when the handler should stop, whatever the reason: the job is cancelled, its lease is lost, its timeout is
// over or the worker shuts down. [context.Cause] then is a [*StopError]. A handler that stops returns that cause, or any
// error that wraps ctx.Err(), and the job goes on as the reason asks. One that returns nil has done the job all the same. After the
// handler has returned, ctx ends too.
//
// A panic is a failed attempt with its stack.
type HandlerFunc func(ctx context.Context, job *Job) (any, error)

// WrapFunc puts something around every handler of a worker: logging, tracing, error tracking. It is called once for each
// handler, when the worker starts; what it returns is run in the handler's place.
type WrapFunc func(HandlerFunc) HandlerFunc

// JobOf is a job whose data has been read into a T; the embedded job has the data as it came.
type JobOf[T any] struct {
	*Job

	// Data is the job's data as a T.
	Data T
}

// Handle registers handler for the jobs named name, with their data as a T, as [json.Unmarshal] reads it. A job whose
// data does not fit is a dead letter at once, since no retry mends a payload.
//
// It panics when there is a handler for name already, and when the worker has been started.
func Handle[T any](w *Worker, name string, handler func(ctx context.Context, job *JobOf[T]) (any, error)) {
	w.Handle(name, func(ctx context.Context, job *Job) (any, error) {
		typed := &JobOf[T]{Job: job}
		if err := json.Unmarshal(job.Data, &typed.Data); err != nil {
			return nil, Discard(misfit(reflect.TypeFor[T](), err))
		}
		return handler(ctx, typed)
	})
}

// reasonBytes is how much is told of a misfit: an unmarshaller of the user may have a lot to say.
const reasonBytes = 2000

func misfit(kind reflect.Type, err error) error {
	return errors.New(cutUTF8(fmt.Sprintf("the job's data does not fit %s: %s", kind, messageOf(err)), reasonBytes))
}

// handlerTable has the handlers of a worker by the names of their jobs.
type handlerTable map[string]HandlerFunc

// add registers handler; it panics for a name that has one, since that is a mistake in the program.
func (t handlerTable) add(name string, handler HandlerFunc) {
	if handler == nil {
		panic(fmt.Sprintf("jobwire: nil handler for %q", name))
	}
	if _, has := t[name]; has {
		panic(fmt.Sprintf("jobwire: there is a handler for %q already", name))
	}
	t[name] = handler
}

// wrapped is the table to work with: every handler inside wrap, which may be nil.
func (t handlerTable) wrapped(wrap WrapFunc) handlerTable {
	table := make(handlerTable, len(t))
	for name, handler := range t {
		if wrap != nil {
			handler = wrap(handler)
		}
		table[name] = handler
	}
	return table
}

// names lists the jobs that there is a handler for, sorted.
func (t handlerTable) names() []string {
	names := make([]string, 0, len(t))
	for name := range t {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
