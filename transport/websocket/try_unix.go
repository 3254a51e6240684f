//go:build unix

package websocket

import (
	"errors"
	"net"
	"sync"
	"syscall"
)

// rawConn returns what tryWrite needs, nil where there is no such thing: a
// connection that is more than a socket, as TLS is, has its own way to write.
func rawConn(c net.Conn) syscall.RawConn {
	var raw syscall.RawConn
	var err error
	switch c := c.(type) { // not an interface, which would find the socket inside a wrapper
	case *net.TCPConn:
		raw, err = c.SyscallConn()
	case *net.UnixConn:
		raw, err = c.SyscallConn()
	}
	if err != nil {
		return nil
	}
	return raw
}

// tryWrite writes what the kernel takes at once.
func tryWrite(raw syscall.RawConn, b []byte) (int, error) {
	a := attempts.Get().(*attempt)
	defer attempts.Put(a)
	a.bytes = b
	defer func() { a.bytes = nil }()
	if err := raw.Write(a.run); err != nil {
		return 0, err
	}
	if errors.Is(a.err, syscall.EAGAIN) {
		return 0, nil
	}
	return max(a.n, 0), a.err
}

// An attempt is a write on its way through RawConn.Write, whose argument would
// be allocated each time.
type attempt struct {
	run   func(fd uintptr) bool
	bytes []byte
	n     int
	err   error
}

var attempts = sync.Pool{New: func() any {
	a := &attempt{}
	a.run = func(fd uintptr) bool {
		a.err = syscall.EINTR
		for errors.Is(a.err, syscall.EINTR) {
			a.n, a.err = syscall.Write(int(fd), a.bytes)
		}
		return true // whatever came of it
	}
	return a
}}
