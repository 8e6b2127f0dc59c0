// The driver lets the conformance runner drive the Go SDK: JSON lines on stdin and stdout, as schema/driver-1.schema.json has them.
//
// Rule 1: it calls the public API only, and the SDK's one seam for time and chance.
//
// Rule 2: it never judges. What the SDK did is told as it is; the runner compares it with what crossed the wire.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log"
	"math/rand/v2"
	"os"
	"runtime"
	"sync"
	"time"

	jobwire "github.com/jobwire/jobwire/sdk-go"
	"github.com/jobwire/jobwire/sdk-go/internal/seam"
)

// message is one from the runner; each kind uses some of the members.
type message struct {
	T       string          `json:"t"`
	ID      int             `json:"id"`
	Virtual bool            `json:"virtual"`
	Seed    uint64          `json:"seed"`
	Obj     string          `json:"obj"`
	Kind    string          `json:"kind"`
	Method  string          `json:"method"`
	Args    arguments       `json:"args"`
	Opts    arguments       `json:"opts"`
	Token   string          `json:"token"`
	As      string          `json:"as"`
	Value   json.RawMessage `json:"value"`
}

// reply is a message to the runner, without its t.
type reply = map[string]any

// driver is one conversation. Every call has a goroutine of its own.
type driver struct {
	virtual  bool
	baseline stats // what was open when the driver got ready

	saying sync.Mutex // guards stdout

	mu      sync.Mutex
	objects map[string]any
	calls   map[int]context.CancelFunc
	sleeps  map[int]chan struct{}
	scripts map[string]chan message // of handlers, by token
	random  *rand.Rand
	slept   time.Duration
	names   int
}

func main() {
	log.SetFlags(0)
	d := &driver{
		objects: map[string]any{}, calls: map[int]context.CancelFunc{}, sleeps: map[int]chan struct{}{},
		scripts: map[string]chan message{},
	}
	lines := bufio.NewReaderSize(os.Stdin, 1<<20)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return // the end of its input
		}
		var m message
		if err := json.Unmarshal(line, &m); err != nil {
			log.Fatalf("a line that is no message: %v", err)
		}
		d.handle(m)
	}
}

func (d *driver) say(kind string, members reply) {
	members["t"] = kind
	var line bytes.Buffer
	encoder := json.NewEncoder(&line)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(members); err != nil {
		log.Fatalf("a message that is no JSON: %v", err)
	}
	d.saying.Lock()
	defer d.saying.Unlock()
	os.Stdout.Write(line.Bytes())
}

func (d *driver) handle(m message) {
	switch m.T {
	case "init":
		d.init(m)
	case "new":
		d.start(m.ID, func(context.Context) (any, error) { return nil, d.make(m) })
	case "call":
		target := d.object(m.Obj)
		d.start(m.ID, func(ctx context.Context) (any, error) { return call(ctx, target, m) })
	case "cancel":
		d.mu.Lock()
		defer d.mu.Unlock()
		if cancel := d.calls[m.ID]; cancel != nil {
			cancel() // else its result is on the way already
		}
	case "wake":
		d.mu.Lock()
		defer d.mu.Unlock()
		if sleep := d.sleeps[m.ID]; sleep != nil {
			close(sleep) // else the call that slept has left
			delete(d.sleeps, m.ID)
		}
	case "job.resolve":
		d.mu.Lock()
		defer d.mu.Unlock()
		if script := d.scripts[m.Token]; script != nil {
			script <- m // else the handler has ended meanwhile
		}
	case "close":
		closed := d.object(m.Obj)
		d.start(m.ID, func(context.Context) (any, error) { return nil, d.close(m.Obj, closed) })
	case "stats":
		d.stats(m.ID)
	}
}

func (d *driver) init(m message) {
	d.virtual, d.random = m.Virtual, rand.New(rand.NewPCG(m.Seed, 0))
	names := []string{"close", "with_options", "repr"}
	for name := range methods {
		names = append(names, name)
	}
	d.baseline = open()
	sdk := reply{"name": "go", "version": jobwire.Version, "lang": "go", "runtime": runtime.Version()}
	d.say("ready", reply{"proto": 1, "sdk": sdk, "caps": []string{"cancel", "bigint", "float"}, "methods": names})
}

func (d *driver) object(name string) any {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.objects[name]
}

func (d *driver) make(m message) error {
	build := func() (any, error) { return d.client(m.Args) }
	if m.Kind == "worker" {
		build = func() (any, error) { return d.worker(m.Obj, m.Args) }
	}
	made, err := build()
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.objects[m.Obj] = made
	return nil
}

func (d *driver) client(args arguments) (any, error) {
	config := args.config()
	if d.virtual {
		seam.Attach(config, &seam.Runtime{Now: d.now, Sleep: d.sleep, Random: d.chance})
	}
	return jobwire.NewClient(args.text("url"), config)
}

func (d *driver) close(name string, object any) error {
	d.mu.Lock()
	delete(d.objects, name)
	d.mu.Unlock()
	if client, ok := object.(*jobwire.Client); ok {
		return client.Close()
	}
	return nil // a worker has been stopped
}

// start makes a call and tells its result.
func (d *driver) start(id int, perform func(context.Context) (any, error)) {
	ctx, cancel := context.WithCancel(context.Background())
	d.mu.Lock()
	d.calls[id] = cancel
	d.mu.Unlock()
	go func() {
		value, err := perform(ctx)
		cancel()
		told := reply{"id": id, "ok": err == nil}
		if err != nil {
			told["error"] = failure(err)
		} else {
			told["value"] = canonical(value)
		}
		d.mu.Lock()
		delete(d.calls, id)
		d.mu.Unlock()
		d.say("result", told)
	}()
}

// call makes one call of a method of a client, with settings of its own if it has any, or of a worker.
func call(ctx context.Context, target any, m message) (any, error) {
	client, ok := target.(*jobwire.Client)
	if !ok {
		return callWorker(ctx, target, m)
	}
	if m.Opts != nil {
		client = client.WithOptions(m.Opts.options())
	}
	if m.Method == "repr" {
		return fmt.Sprintf("%v %+v %#v", client, client, client), nil
	}
	return methods[m.Method](ctx, client, m.Args)
}
