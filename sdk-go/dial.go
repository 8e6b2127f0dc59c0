package jobwire

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"syscall"
	"time"
)

// A peer that vanished without a word is noticed after about keepAliveIdle + keepAliveCount * keepAliveInterval, also by a call
// that waits for a minute; bytes that the peer's kernel does not confirm within unackedTime end the connection. Not every platform
// has every option.
const (
	keepAliveIdle     = 15 * time.Second
	keepAliveInterval = 5 * time.Second
	keepAliveCount    = 3
	unackedTime       = 20 * time.Second
)

// dial is a connection, with TLS where the scheme asks for it. The error is an *Error CONNECTION_FAILED; a certificate that does
// not verify is not retryable.
func (e *endpoint) dial(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, e.connectTimeout)
	defer cancel()
	dialer := net.Dialer{KeepAlive: keepAliveIdle}
	conn, err := dialer.DialContext(ctx, "tcp", e.address())
	if err != nil {
		return nil, connectionFailed(e, whyNot(ctx, err), err)
	}
	if err := setOptions(conn.(*net.TCPConn)); err != nil {
		conn.Close()
		return nil, connectionFailed(e, err.Error(), err)
	}
	if e.tls == nil {
		return conn, nil
	}
	secured := tls.Client(conn, e.tls)
	if err := secured.HandshakeContext(ctx); err != nil {
		conn.Close()
		failed := connectionFailed(e, "TLS failed: "+whyNot(ctx, err), err)
		failed.Retryable = mayPass(err)
		return nil, failed
	}
	return secured, nil
}

// whyNot is err without the addresses, which the caller names.
func whyNot(ctx context.Context, err error) string {
	var errno syscall.Errno
	var dns *net.DNSError
	switch {
	case ctx.Err() != nil:
		return "timed out"
	case errors.As(err, &errno):
		return errno.Error()
	case errors.As(err, &dns):
		return dns.Err
	}
	return err.Error()
}

// mayPass says whether a handshake failed for the connection's sake: a wrong certificate or a plain peer does not mend itself.
func mayPass(err error) bool {
	var alert tls.AlertError
	if errors.As(err, &alert) {
		return false
	}
	return isConnectionError(err) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}

// isConnectionError says whether err is that of a connection, and not of what came over it.
func isConnectionError(err error) bool {
	var operation *net.OpError
	return errors.As(err, &operation) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, net.ErrClosed)
}
