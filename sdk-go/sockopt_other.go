//go:build !linux

package jobwire

import "net"

// setOptions leaves it to the dialer's keep-alive, the part that every platform has.
func setOptions(*net.TCPConn) error { return nil }
