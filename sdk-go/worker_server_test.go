package jobwire_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience is how long a test waits for what must come. It is long, since a machine may be busy, and costs nothing when all is well.
const patience = 30 * time.Second

// serverProcess is a `jobwire serve` of this repository, on 127.0.0.1.
type serverProcess struct {
	command  *exec.Cmd
	httpPort int
	tcpPort  int
	logged   chan []string // the end of its log, when it has ended
}

// serve starts a server that keeps nothing, and stops it with SIGTERM when the test ends; it must then end with 0.
func serve(t *testing.T) *serverProcess {
	t.Helper()
	server, err := startServer("memory://", 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.stop(); err != nil {
			t.Error(err)
		}
	})
	return server
}

// startServer starts a server with this storage, on these ports; 0 is one that is free.
func startServer(storage string, httpPort, tcpPort int) (*serverProcess, error) {
	command := exec.Command(
		filepath.Join("..", ".venv", "bin", "jobwire"), "serve", "--storage", storage, "--log-format", "json",
		"--http-port", fmt.Sprint(httpPort), "--tcp-port", fmt.Sprint(tcpPort))
	reader, writer, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer writer.Close()
	command.Stdout, command.Stderr = writer, writer
	if err := command.Start(); err != nil {
		return nil, err
	}
	server := &serverProcess{command: command, logged: make(chan []string, 1)}
	started := make(chan bool, 1)
	go server.read(reader, started)
	select {
	case ok := <-started:
		if ok {
			return server, nil
		}
	case <-time.After(patience):
	}
	server.kill()
	return nil, fmt.Errorf("the server did not start:\n%s", strings.Join(<-server.logged, "\n"))
}

// read reads the log until its end: a server whose log nobody reads stops when the pipe is full.
func (s *serverProcess) read(log *os.File, started chan<- bool) {
	defer log.Close()
	var last []string
	lines := bufio.NewScanner(log)
	for lines.Scan() {
		last = append(last[max(len(last)-100, 0):], lines.Text())
		var event struct {
			Event     string
			HTTP, TCP int
		}
		if json.Unmarshal(lines.Bytes(), &event) == nil && event.Event == "server.started" {
			s.httpPort, s.tcpPort = event.HTTP, event.TCP
			started <- true
		}
	}
	select {
	case started <- false:
	default: // it has started
	}
	s.logged <- last
}

// url is the server's address: of http or tcp.
func (s *serverProcess) url(scheme string) string {
	port := s.httpPort
	if scheme == "tcp" {
		port = s.tcpPort
	}
	return fmt.Sprintf("%s://127.0.0.1:%d", scheme, port)
}

// stop ends the server as an operator does.
func (s *serverProcess) stop() error {
	killer := time.AfterFunc(patience, func() { _ = s.command.Process.Kill() })
	defer killer.Stop()
	_ = s.command.Process.Signal(syscall.SIGTERM) // fails when it has ended, of which Wait tells
	if err := s.command.Wait(); err != nil {
		return fmt.Errorf("the server ended with %w:\n%s", err, strings.Join(<-s.logged, "\n"))
	}
	return nil
}

// kill ends the server as a power cut does.
func (s *serverProcess) kill() {
	_ = s.command.Process.Kill() // as in stop
	_ = s.command.Wait()         // it was killed
}
