package jobwire

import (
	"net"
	"os"
	"syscall"
	"time"
)

const tcpUserTimeout = 0x12 // TCP_USER_TIMEOUT, which package syscall does not have

// setOptions has the kernel notice a peer that is gone.
func setOptions(conn *net.TCPConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	set := func(fd uintptr, option int, value time.Duration, unit time.Duration) {
		if err := syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, option, int(value/unit)); err != nil {
			failed = os.NewSyscallError("setsockopt", err)
		}
	}
	err = raw.Control(func(fd uintptr) {
		set(fd, syscall.TCP_KEEPINTVL, keepAliveInterval, time.Second)
		set(fd, syscall.TCP_KEEPCNT, keepAliveCount, 1)
		set(fd, tcpUserTimeout, unackedTime, time.Millisecond)
	})
	if err != nil {
		return err
	}
	return failed
}
