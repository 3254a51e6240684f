package transporttest

import (
	"bytes"
	"fmt"
	"sync"
	"testing"

	"example.com/h5im/transport"
)

func (s suite) many(t *testing.T) {
	t.Run("one prepared message serves 100 connections and is never changed", func(t *testing.T) {
		srv := s.server(t, roomy)
		conns, clients := srv.pairs(t, 100)
		msg := bytes.Repeat([]byte("shared "), 100)
		want := bytes.Clone(msg)
		prepared := conns[0].Prepare(msg)
		as := bytes.Clone(prepared)
		var work sync.WaitGroup
		for i := range conns {
			work.Go(func() {
				for range 10 {
					if err := conns[i].Write([]transport.Prepared{prepared, prepared}); err != nil {
						t.Errorf("Write: %v", err)
						return
					}
				}
			})
			work.Go(func() {
				for range 20 {
					got, err := clients[i].Read()
					if err != nil || !bytes.Equal(got, want) {
						t.Errorf("client %d got %q, %v", i, got, err)
						return
					}
				}
			})
		}
		within(t, patience, "the delivery", work.Wait)
		if !bytes.Equal(prepared, as) || !bytes.Equal(msg, want) {
			t.Error("the message was changed")
		}
	})

	t.Run("every one of 200 x 200 broadcast messages arrives, then the close", func(t *testing.T) {
		const clients, messages = 200, 200
		srv := s.server(t, roomy)
		conns, peers := srv.pairs(t, clients)
		var work sync.WaitGroup
		queues := make([]*queue, clients)
		got := make([]int, clients)
		for i, c := range conns {
			queues[i] = &queue{conn: c}
			drain(c.Read)
			work.Go(func() {
				for {
					// The client talks as well, so that both directions are busy.
					if got[i]%10 == 0 {
						_ = peers[i].Write(s.format, []byte("noted"))
					}
					b, err := peers[i].Read()
					if err != nil {
						wantClose(t, err, transport.CloseRestart, "done")
						return
					}
					if want := fmt.Sprintf("message %d", got[i]); string(b) != want {
						t.Errorf("client %d got %q, want %q", i, b, want)
						return
					}
					got[i]++
				}
			})
		}
		for i := range messages {
			msg := conns[0].Prepare(fmt.Appendf(nil, "message %d", i))
			for _, q := range queues {
				q.add(msg)
			}
		}
		for _, q := range queues {
			q.writing.Wait()
			_ = q.conn.Close(transport.CloseRestart, "done")
		}
		within(t, patience, "the delivery", work.Wait)
		for i, n := range got {
			if n != messages {
				t.Errorf("client %d got %d of %d", i, n, messages)
			}
		}
	})
}

func (srv *server) pairs(t testing.TB, n int) (conns []transport.Conn, clients []Client) {
	for range n {
		c, client := srv.pair(t)
		conns, clients = append(conns, c), append(clients, client)
	}
	return conns, clients
}

// A queue writes what was added in one Write at a time, as a session does:
// coalesced while the last Write runs, by a goroutine that lives no longer.
type queue struct {
	conn    transport.Conn
	writing sync.WaitGroup

	mu     sync.Mutex
	msgs   []transport.Prepared
	active bool
}

func (q *queue) add(msg transport.Prepared) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.msgs = append(q.msgs, msg)
	if !q.active {
		q.active = true
		q.writing.Go(q.write)
	}
}

func (q *queue) write() {
	for {
		q.mu.Lock()
		msgs := q.msgs
		q.msgs = nil
		q.active = len(msgs) > 0
		q.mu.Unlock()
		if len(msgs) == 0 || q.conn.Write(msgs) != nil {
			return
		}
	}
}
