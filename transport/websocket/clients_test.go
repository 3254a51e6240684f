package websocket_test

import (
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
)

// clientsEnv makes the test binary the client process of the benchmarks; it
// has the address of their server.
const clientsEnv = "H5IM_TEST_CLIENTS"

// runClients is the client process: it reads numbers from standard input, first
// of connections, then of bytes that each is going to get.
func runClients(addr string) {
	var n int
	fmt.Scanln(&n)
	conns := make([]net.Conn, n)
	for i := range conns {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			panic(err)
		}
		fmt.Fprintf(conn, handshake, "im.v1.json")
		head := make([]byte, 0, 1024)
		for !strings.HasSuffix(string(head), "\r\n\r\n") {
			one := make([]byte, 1)
			if _, err := conn.Read(one); err != nil {
				panic(err)
			}
			head = append(head, one...)
		}
		if _, err := conn.Write(text("hello")); err != nil {
			panic(err)
		}
		conns[i] = conn
	}
	fmt.Println("ok")
	for {
		var bytes int64
		if _, err := fmt.Scanln(&bytes); err != nil {
			return
		}
		var all sync.WaitGroup
		for _, conn := range conns {
			all.Go(func() {
				if _, err := io.CopyN(io.Discard, conn, bytes); err != nil {
					panic(err)
				}
			})
		}
		all.Wait()
		fmt.Println("ok")
	}
}
