package jobwiretest

import "github.com/jobwire/jobwire/sdk-go/jobwiretest/internal/fake"

// DropNextAnswer carries the next requests of this operation out, so many times, and cuts the connection in place of the answer.
func (s *Server) DropNextAnswer(operation string, times int) { s.service.Drop(operation, times) }

// SwallowNext neither carries out nor answers the next requests of this operation, so many times; their connections stay open.
func (s *Server) SwallowNext(operation string, times int) { s.service.Swallow(operation, times) }

// RefuseNext answers the next requests of this operation, so many times, with an error of this code and message, carrying nothing
// out.
func (s *Server) RefuseNext(operation, code, message string, times int) {
	s.service.Refuse(operation, code, message, times)
}

// RefuseConnections refuses new connections on both doors; open ones stay.
func (s *Server) RefuseConnections() {
	s.http.Refuse()
	s.tcp.Refuse()
}

// AcceptConnections takes connections (again), on the same ports. The error is for a port that another process has taken meanwhile.
func (s *Server) AcceptConnections() error {
	if err := s.http.Accept(); err != nil {
		return err
	}
	return s.tcp.Accept()
}

// CutConnections resets every open connection. What was held for one of them is not carried out.
func (s *Server) CutConnections() {
	s.service.EndAll()
	s.http.Cut()
	s.tcp.Cut()
}

// Stop has the server be down: it refuses and cuts. Jobs and settings stay, as on disk.
func (s *Server) Stop() {
	s.RefuseConnections()
	s.CutConnections()
}

// Start has the server be up again after Stop or Drain; each active lease gets its whole length anew (C6). Errors are those of
// AcceptConnections.
func (s *Server) Start() error {
	s.service.Change(func(o *fake.Operations) {
		o.IsDraining = false
		o.Grace()
	})
	return s.AcceptConnections()
}

// Restart is Stop and Start.
func (s *Server) Restart() error {
	s.Stop()
	return s.Start()
}

// Drain is what SIGTERM does to a server: pulls answer SHUTTING_DOWN, held ones end, TCP sessions hear `goaway` and are closed when
// what they asked for is answered. Connections are still taken, to be told so.
func (s *Server) Drain() {
	s.service.Drain()
	s.tcp.Drain()
}

// MakeDeaf has the worker of this id told that it is deaf, until its next pull.
func (s *Server) MakeDeaf(workerID string) {
	s.service.Change(func(o *fake.Operations) { o.MakeDeaf(workerID) })
}
