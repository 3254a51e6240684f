package main

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	"example.com/h5im/store/bolt"
	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

// gobwasSystem is the leanest hub that one can write with gobwas/ws: a
// goroutine per connection which reads without a buffer, no queue and no
// writer; a message is framed once and written to everybody in turn. Durable,
// it stores the rows that ours stores, in our store, committed in groups,
// before it acknowledges.
type gobwasSystem struct {
	journal *journal // nil: nothing is stored
	store   *bolt.Store

	mu    sync.RWMutex
	conns map[string]*gobwasConn
}

type gobwasConn struct {
	net.Conn
	user     string
	mu       sync.Mutex
	deadline time.Time
}

func newGobwas(kind string, _ int, dir string) (system, error) {
	g := &gobwasSystem{conns: map[string]*gobwasConn{}}
	if kind == kindPairs {
		s, err := bolt.Open(filepath.Join(dir, "peer.db"), nil)
		if err != nil {
			return nil, err
		}
		g.store, g.journal = s, newJournal(s)
	}
	return g, nil
}

func (g *gobwasSystem) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	conn, _, _, err := ws.UpgradeHTTP(r, w)
	if err != nil {
		return
	}
	c := &gobwasConn{Conn: conn, user: r.URL.Query().Get("user")}
	g.mu.Lock()
	g.conns[c.user] = c
	g.mu.Unlock()
	go g.read(c)
}

func (g *gobwasSystem) read(c *gobwasConn) {
	defer func() {
		g.mu.Lock()
		delete(g.conns, c.user)
		g.mu.Unlock()
		c.Close()
	}()
	for {
		payload, op, err := wsutil.ReadClientData(c)
		if err != nil {
			if !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) {
				log.Print("gobwas: ", err)
			}
			return
		}
		if op == ws.OpText {
			if err := g.serve(c, payload); err != nil {
				log.Print("gobwas: ", err)
				return
			}
		}
	}
}

func (g *gobwasSystem) serve(c *gobwasConn, payload []byte) error {
	in, ack, event, err := handle(c.user, payload)
	if err != nil {
		return err
	}
	frame := ws.MustCompileFrame(ws.NewTextFrame(event))
	switch {
	case event == nil:
	case g.journal == nil:
		g.mu.RLock()
		for _, to := range g.conns {
			if to != c {
				err = errors.Join(err, to.send(frame))
			}
		}
		g.mu.RUnlock()
	default:
		if err := g.journal.append(c.user, &in); err != nil {
			return err
		}
		g.mu.RLock()
		to := g.conns[in.To]
		g.mu.RUnlock()
		if to != nil {
			err = to.send(frame)
		}
	}
	return errors.Join(err, c.send(ws.MustCompileFrame(ws.NewTextFrame(ack))))
}

// gobwasPatience is how long a connection may take nothing.
const gobwasPatience = 10 * time.Second

func (c *gobwasConn) send(frame []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); c.deadline.Sub(now) < gobwasPatience/2 {
		c.deadline = now.Add(gobwasPatience)
		if err := c.SetWriteDeadline(c.deadline); err != nil {
			return err
		}
	}
	_, err := c.Write(frame)
	return err
}

func (g *gobwasSystem) close(context.Context) error {
	if g.store == nil {
		return nil
	}
	return g.store.Close()
}
