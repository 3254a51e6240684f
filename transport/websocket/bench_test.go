//go:build unix

package websocket_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"example.com/h5im/transport"
	"example.com/h5im/transport/websocket"
)

// The benchmarks compare this package, with a queue and a flusher on demand as
// a session has them, with the way that the library's own examples go: a
// channel, a writer goroutine and conn.Write per connection. The clients are a
// process of their own. Both servers are told the same and deliver everything.
//
//	go test ./transport/websocket -run '^$' -bench Delivery/saturated -benchtime 300x
//	go test ./transport/websocket -run '^$' -bench Delivery/paced -benchtime 60x
//	go test ./transport/websocket -run '^$' -bench Idle -benchtime 1x

const (
	benchConns = 1000
	idleConns  = 5000
)

// A fanOut is a server under measurement.
type fanOut interface {
	http.Handler
	publish(msg []byte) // to every connection
	connections() int   // that a publish would reach
}

var servers = map[string]func() fanOut{
	"ours":  func() fanOut { return &ourServer{transport: websocket.New(nil)} },
	"naive": func() fanOut { return &naiveServer{} },
}

func BenchmarkDelivery(b *testing.B) {
	for _, pace := range []struct {
		name string
		time.Duration
	}{{"saturated", 0}, {"paced at 20 a second", time.Second / 20}} {
		for _, name := range []string{"naive", "ours"} {
			b.Run(pace.name+"/"+name, func(b *testing.B) {
				srv := servers[name]()
				clients := connectClients(b, srv, benchConns)
				msg := []byte(`{"jsonrpc":"2.0","method":"message","params":{"text":"` + strings.Repeat("x", 200) + `"}}`)
				clients.expect(b.N, len(msg))
				runtime.GC()
				before := cpu()
				b.ResetTimer()
				for range b.N {
					srv.publish(msg)
					if pace.Duration > 0 {
						<-time.After(pace.Duration)
					}
				}
				clients.wait(b)
				b.StopTimer()
				b.ReportMetric(float64((cpu()-before).Nanoseconds())/1000/float64(b.N*benchConns), "cpu-us/delivery")
			})
		}
	}
}

func BenchmarkIdle(b *testing.B) {
	for _, name := range []string{"naive", "ours"} {
		b.Run(name, func(b *testing.B) {
			srv := servers[name]()
			before, rssBefore := memory()
			clients := connectClients(b, srv, idleConns)
			// Every connection has worked in both directions, as a session's has.
			msg := []byte(strings.Repeat("x", 200))
			clients.expect(1, len(msg))
			srv.publish(msg)
			clients.wait(b)
			after, rssAfter := memory()
			b.ReportMetric(float64(after-before)/idleConns, "heap+stack-B/conn")
			b.ReportMetric(float64(rssAfter-rssBefore)/idleConns, "rss-B/conn")
			b.ReportMetric(0, "ns/op")
		})
	}
}

func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// memory returns the bytes of heap and stacks in use, and of VmRSS, which is
// only to be trusted in a process that has measured nothing before.
func memory() (inUse, rss int64) {
	for range 2 {
		debug.FreeOSMemory()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	status, _ := os.ReadFile("/proc/self/status")
	_, line, _ := strings.Cut(string(status), "VmRSS:")
	if fields := strings.Fields(line); len(fields) > 0 {
		rss, _ = strconv.ParseInt(fields[0], 10, 64)
	}
	return int64(m.HeapAlloc + m.StackInuse), rss << 10
}

// ourServer broadcasts through the transport.
type ourServer struct {
	transport *websocket.Transport
	mu        sync.Mutex
	queues    []*benchQueue
}

func (s *ourServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	limits := transport.Limits{MaxFrameBytes: 64 << 10, WriteTimeout: 10 * time.Second, PingInterval: time.Hour}
	_ = s.transport.Serve(w, r, limits, func(c transport.Conn) {
		s.mu.Lock()
		q := &benchQueue{conn: c}
		q.room.L = &q.mu
		s.queues = append(s.queues, q)
		s.mu.Unlock()
		go func() {
			for {
				if _, err := c.Read(); err != nil {
					return
				}
			}
		}()
	})
}

func (s *ourServer) publish(msg []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	prepared := s.queues[0].conn.Prepare(msg)
	for _, q := range s.queues {
		q.add(prepared)
	}
}

func (s *ourServer) connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.queues)
}

type benchQueue struct {
	conn   transport.Conn
	mu     sync.Mutex
	room   sync.Cond
	msgs   []transport.Prepared
	active bool
}

func (q *benchQueue) add(msg transport.Prepared) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.msgs) == benchQueued {
		q.room.Wait()
	}
	q.msgs = append(q.msgs, msg)
	if !q.active {
		q.active = true
		go q.flush()
	}
}

func (q *benchQueue) flush() {
	var batch [benchQueued]transport.Prepared
	for {
		q.mu.Lock()
		n := copy(batch[:], q.msgs)
		if n == 0 {
			q.active = false
			q.mu.Unlock()
			return
		}
		clear(q.msgs)
		q.msgs = q.msgs[:0]
		q.room.Signal()
		q.mu.Unlock()
		if q.conn.Write(batch[:n]) != nil {
			return
		}
	}
}

// benchClients are the connections of the client process.
type benchClients struct {
	in  io.WriteCloser
	out io.Reader
}

// connectClients starts a process that connects n clients to srv.
func connectClients(b *testing.B, srv fanOut, n int) *benchClients {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	serve(b, srv, l)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), clientsEnv+"="+l.Addr().String())
	cmd.Stderr = os.Stderr
	c := &benchClients{}
	if c.in, err = cmd.StdinPipe(); err != nil {
		b.Fatal(err)
	}
	if c.out, err = cmd.StdoutPipe(); err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		c.in.Close()
		_ = cmd.Wait()
	})
	fmt.Fprintln(c.in, n)
	c.wait(b)
	// A client has its answer before the server has the connection.
	for srv.connections() < n {
		runtime.Gosched()
	}
	return c
}

// expect tells the clients what to wait for: messages of size bytes each.
func (c *benchClients) expect(messages, size int) {
	header := 2
	if size > 125 {
		header = 4
	}
	fmt.Fprintln(c.in, messages*(size+header))
}

// wait waits until every client has it.
func (c *benchClients) wait(b *testing.B) {
	b.Helper()
	var ok string
	if _, err := fmt.Fscanln(c.out, &ok); err != nil {
		b.Fatal(err)
	}
}
