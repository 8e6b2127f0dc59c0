package jobwire_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	jobwire "github.com/jobwire/jobwire/sdk-go"
)

// workerProgram is set in the process that is the worker of a test: the URL of a server, a queue and the grace.
const workerProgram = "JOBWIRE_TEST_WORKER"

// TestWorkerProgram is the program of a user, which the tests below start: a worker that runs until it is told to stop.
func TestWorkerProgram(t *testing.T) {
	settings := strings.Fields(os.Getenv(workerProgram))
	if len(settings) == 0 {
		return // this is the test, not the program
	}
	client, err := jobwire.NewClient(settings[0], nil)
	if err != nil {
		t.Fatal(err)
	}
	grace, err := time.ParseDuration(settings[2])
	if err != nil {
		t.Fatal(err)
	}
	queue := settings[1]
	w, err := jobwire.NewWorker(client, &jobwire.WorkerConfig{Queues: []string{queue}, Grace: grace, WorkerID: queue})
	if err != nil {
		t.Fatal(err)
	}
	w.Handle("quick", func(context.Context, *jobwire.Job) (any, error) {
		fmt.Println("running")
		_, err := bufio.NewReader(os.Stdin).ReadString('\n')
		return "done", err
	})
	w.Handle("polite", func(ctx context.Context, _ *jobwire.Job) (any, error) {
		fmt.Println("running")
		<-ctx.Done()
		return nil, context.Cause(ctx)
	})
	fmt.Println("ended with", w.Run(context.Background()))
}

// program is the process of a worker.
type program struct {
	*flow
	command *exec.Cmd
	input   *os.File
	output  *bufio.Reader
}

func startProgram(f *flow, grace time.Duration) *program {
	f.Helper()
	p := &program{flow: f, command: exec.Command(os.Args[0], "-test.run=^TestWorkerProgram$", "-test.v=false")}
	p.command.Env = append(os.Environ(), fmt.Sprintf("%s=%s %s %v", workerProgram, f.url, f.queue, grace))
	fromTest, toProgram, err := os.Pipe()
	if err != nil {
		f.Fatal(err)
	}
	fromProgram, toTest, err := os.Pipe()
	if err != nil {
		f.Fatal(err)
	}
	p.command.Stdin, p.command.Stdout, p.command.Stderr = fromTest, toTest, os.Stderr
	p.input, p.output = toProgram, bufio.NewReader(fromProgram)
	if err := p.command.Start(); err != nil {
		f.Fatal(err)
	}
	_, _ = fromTest.Close(), toTest.Close() // the program has them now
	f.Cleanup(func() {
		_ = p.command.Process.Kill() // fails when it has ended
		_ = p.command.Wait()         // as in end, or it was killed
		_, _ = toProgram.Close(), fromProgram.Close()
	})
	return p
}

func (p *program) expectLine(want string) {
	p.Helper()
	line, err := p.output.ReadString('\n')
	if err != nil || line != want+"\n" {
		p.Fatalf("want %q, got %q, %v", want, line, err)
	}
}

func (p *program) signal(number syscall.Signal) {
	p.Helper()
	if err := p.command.Process.Signal(number); err != nil {
		p.Fatal(err)
	}
}

// waitQuiet waits until the program has said that it drains.
func (p *program) waitQuiet() {
	p.Helper()
	p.until("a quiet worker", func() (bool, error) {
		workers, err := p.client.ListWorkers(context.Background())
		for _, worker := range workers {
			if worker.ID == p.queue && worker.State == "quiet" {
				return true, nil
			}
		}
		return false, err
	})
}

func theFirstSignalLetsRunningJobsEnd(f *flow, number syscall.Signal) {
	p := startProgram(f, time.Hour)
	id := f.push("quick", nil, nil)
	p.expectLine("running")

	p.signal(number)
	p.waitQuiet()
	if _, err := p.input.WriteString("\n"); err != nil {
		f.Fatal(err)
	}

	p.expectLine("ended with <nil>")
	if job := f.wait(id, jobwire.StateCompleted); string(job.Result) != `"done"` {
		f.Errorf("want the job done, got %s", job.Result)
	}
	if err := p.command.Wait(); err != nil {
		f.Errorf("want exit code 0, got %v", err)
	}
}

func afterTheGraceJobsAreGivenBack(f *flow) {
	p := startProgram(f, time.Millisecond)
	id := f.push("polite", nil, nil)
	p.expectLine("running")

	p.signal(syscall.SIGTERM)

	p.expectLine("ended with <nil>")
	if job := f.wait(id, jobwire.StateWaiting); job.Attempt != 0 {
		f.Errorf("want no attempt burnt, got %d", job.Attempt)
	}
}

func theSecondSignalEndsTheProcess(f *flow) {
	p := startProgram(f, time.Hour)
	f.push("polite", nil, nil)
	p.expectLine("running")
	p.signal(syscall.SIGTERM)
	p.waitQuiet()

	p.signal(syscall.SIGTERM)

	_ = p.command.Wait() // it ends with the signal, which is looked at below
	status, ok := p.command.ProcessState.Sys().(syscall.WaitStatus)
	if !ok || !status.Signaled() || status.Signal() != syscall.SIGTERM {
		f.Errorf("want the process to end by SIGTERM, got %v", p.command.ProcessState)
	}
}
