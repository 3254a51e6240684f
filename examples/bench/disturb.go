package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

const roleDisturb = "disturb"

// Disturbances are what some clients do to the others.
const (
	stalling = "stalled" // they are members who read nothing
	storming = "storm"   // they all lose their connections, and come back at once
)

// disturbReport is what the disturbing clients have seen.
type disturbReport struct {
	BackNanos int64 `json:"back"`    // until the last of a storm was back and had synchronised
	Refused   int   `json:"refused"` // how often one of a storm was told to come later
	Failed    int   `json:"failed"`  // how often one of a storm got no connection
	Gaps      int   `json:"gaps"`    // how many of the stalled were told of a gap
}

// disturb is the process of the disturbing clients: it connects, says so, and
// with each line does the next thing.
func disturb(args []string) error {
	flags := flag.NewFlagSet(roleDisturb, flag.ContinueOnError)
	kind := flags.String("kind", "", "")
	addr := flags.String("addr", "", "")
	first := flags.Int("first", 0, "")
	n := flags.Int("clients", 0, "")
	if err := flags.Parse(args); err != nil {
		return err
	}
	d := &disturbers{addr: *addr, clients: make([]net.Conn, *n), first: *first}
	in := bufio.NewScanner(os.Stdin)
	steps := map[string]func() error{"begin": d.reconnect, "end": func() error { return nil }}
	if *kind == stalling {
		steps = map[string]func() error{"begin": func() error { return nil }, "end": d.readAgain}
	}
	// Theirs is the time of other machines, as far as that goes on one.
	if err := syscall.Setpriority(syscall.PRIO_PROCESS, 0, 19); err != nil {
		return err
	}
	if err := d.connect(32); err != nil {
		return err
	}
	say(map[string]any{})
	for in.Scan() {
		if err := steps[in.Text()](); err != nil {
			say(map[string]any{"error": err.Error()})
			return err
		}
		say(d.report())
	}
	return in.Err()
}

type disturbers struct {
	addr    string
	first   int // the number of the first one's user
	clients []net.Conn

	back                  time.Duration
	refused, failed, gaps atomic.Int64
}

func (d *disturbers) report() disturbReport {
	return disturbReport{
		BackNanos: int64(d.back), Refused: int(d.refused.Load()), Failed: int(d.failed.Load()), Gaps: int(d.gaps.Load()),
	}
}

// connect opens all sessions, so many at a time.
func (d *disturbers) connect(atOnce int) error {
	room := make(chan struct{}, atOnce)
	errs := make(chan error, 1)
	var all sync.WaitGroup
	for i := range d.clients {
		room <- struct{}{}
		all.Go(func() {
			defer func() { <-room }()
			if err := d.enter(i); err != nil {
				select {
				case errs <- err:
				default:
				}
			}
		})
	}
	all.Wait()
	select {
	case err := <-errs:
		return err
	default:
		return nil
	}
}

// reconnect is a storm.
func (d *disturbers) reconnect() error {
	for _, c := range d.clients {
		if err := c.Close(); err != nil {
			return err
		}
	}
	begin := time.Now()
	err := d.connect(len(d.clients))
	d.back = time.Since(begin)
	return err
}

// stormLimit is how long a client of a storm tries.
const stormLimit = 90 * time.Second

// enter opens the session of a client and synchronises, and comes again as often
// as it has to.
func (d *disturbers) enter(i int) error {
	for begin := time.Now(); ; {
		conn, wait, err := d.try(i)
		if err == nil {
			d.clients[i] = conn
			return nil
		}
		if time.Since(begin) > stormLimit {
			return fmt.Errorf("client %d did not get in: %w", i, err)
		}
		if wait > 0 {
			d.refused.Add(1)
		} else {
			d.failed.Add(1)
		}
		time.Sleep(max(wait, time.Second))
	}
}

// try connects once. With an error it tells how long the server says to wait.
func (d *disturbers) try(i int) (conn net.Conn, wait time.Duration, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	our := dialects[ours]
	user := userName(d.first + i)
	dialer := ws.Dialer{
		Protocols: our.protocols, ReadBufferSize: 1 << 10, WriteBufferSize: 1 << 10,
		OnStatusError: func(_ int, _ []byte, answer io.Reader) {
			if r, err := http.ReadResponse(bufio.NewReader(answer), nil); err == nil {
				wait, _ = time.ParseDuration(r.Header.Get("Retry-After") + "s")
				_ = r.Body.Close()
			}
		},
		NetDial: func(ctx context.Context, network, addr string) (net.Conn, error) {
			var dialer net.Dialer
			conn, err := dialer.DialContext(ctx, network, addr)
			if tcp, ok := conn.(*net.TCPConn); ok {
				err = errors.Join(err, tcp.SetReadBuffer(4<<10))
			}
			return conn, err
		},
	}
	conn, early, _, err := dialer.Dial(ctx, "ws://"+d.addr+our.path+"?user="+user)
	if err != nil {
		return nil, wait, err
	}
	defer func() {
		if err != nil {
			_ = conn.Close()
		}
	}()
	if early != nil {
		return nil, 0, errors.New("the server spoke first")
	}
	for id, request := range [][]byte{
		our.open(nil, user),
		[]byte(`{"jsonrpc":"2.0","id":1,"method":"sync","params":{}}`),
	} {
		wait, err := call(conn, request, id)
		if err != nil {
			return nil, wait, err
		}
	}
	return conn, 0, nil
}

// call sends a request and waits for its answer.
func call(conn net.Conn, request []byte, id int) (wait time.Duration, err error) {
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		return 0, err
	}
	if err := wsutil.WriteClientText(conn, request); err != nil {
		return 0, err
	}
	for {
		frame, err := wsutil.ReadServerText(conn)
		if err != nil {
			return 0, err
		}
		var answer struct {
			ID    *int `json:"id"`
			Error *struct {
				Message string `json:"message"`
				Data    struct {
					RetryAfterMs int `json:"retryAfterMs"`
				} `json:"data"`
			} `json:"error"`
		}
		if json.Unmarshal(frame, &answer) != nil || answer.ID == nil || *answer.ID != id {
			continue // events
		}
		if answer.Error != nil {
			return time.Duration(answer.Error.Data.RetryAfterMs) * time.Millisecond, errors.New(answer.Error.Message)
		}
		return 0, conn.SetDeadline(time.Time{})
	}
}

// readAgain lets the stalled clients read what came, each up to a gap or to the
// end that the server made.
func (d *disturbers) readAgain() error {
	for _, conn := range d.clients {
		if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
			return err
		}
		for {
			frame, err := wsutil.ReadServerText(conn)
			if bytes.Contains(frame, []byte(`"gap"`)) {
				d.gaps.Add(1)
				break
			}
			if err != nil {
				break
			}
		}
	}
	return nil
}
