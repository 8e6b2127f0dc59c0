// Package jobwiretest helps to test programs that use package jobwire. It needs no server, no container and no file.
//
//   - [NewServer] is a whole server in this process, over HTTP and TCP, with a clock that the test moves and faults on demand.
//   - [WorkOne] pulls one job, runs its handler in the goroutine of the test, and settles it.
//   - [NewInline] is a client that runs handlers inside Push.
//   - [NewMock] is a client for which a function stands in for the server.
//
// What the server does is what spec/lifecycle.yaml and spec/wire.yaml say; the same contract tests run against it and against the
// real server. What it cannot do is last: nothing is written anywhere.
package jobwiretest
