package lab

import (
	"context"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// mode is what a proxy does to a connection.
type mode int32

const (
	clean  mode = iota
	cut         // the connection ends in the midst of whatever it was
	hollow      // it is accepted, takes everything and passes on nothing
	slow        // 1 kB/s
	sliced      // 256 bytes at a time, with pauses
	refuse      // new connections end at once
)

// proxy stands between the clients and a server and disturbs about half of the
// connections.
type proxy struct {
	listener net.Listener
	target   string
	mode     atomic.Int32
	work     sync.WaitGroup

	mu    sync.Mutex
	rand  *rand.Rand
	conns map[*carried]struct{}
}

// carried is one connection through the proxy.
type carried struct {
	client, server net.Conn
	unlucky        bool // disturbed, while anything is
	hollow         atomic.Bool
	stop           context.CancelFunc
	ctx            context.Context
}

func newProxy(target string, seed uint64) (*proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &proxy{listener: l, target: target, rand: rand.New(rand.NewPCG(seed, 2)), conns: map[*carried]struct{}{}}
	p.work.Go(p.accept)
	return p, nil
}

func (p *proxy) addr() string { return p.listener.Addr().String() }

// set changes what happens to connections, the existing ones included. Those
// that were hollow stay so: what they swallowed is gone.
func (p *proxy) set(m mode) {
	p.mode.Store(int32(m))
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		c.unlucky = p.rand.IntN(2) == 0
		switch {
		case m == cut && c.unlucky:
			c.close()
		case m == hollow && c.unlucky:
			c.hollow.Store(true)
		}
	}
}

func (p *proxy) close() {
	p.listener.Close()
	p.mu.Lock()
	for c := range p.conns {
		c.close()
	}
	p.mu.Unlock()
	p.work.Wait()
}

func (p *proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.work.Go(func() { p.carry(client) })
	}
}

func (p *proxy) carry(client net.Conn) {
	m := mode(p.mode.Load())
	p.mu.Lock()
	unlucky := p.rand.IntN(2) == 0
	p.mu.Unlock()
	if m == refuse && unlucky {
		client.Close()
		return
	}
	server, err := net.DialTimeout("tcp", p.target, silence)
	if err != nil {
		client.Close()
		return
	}
	c := &carried{client: client, server: server, unlucky: unlucky}
	c.hollow.Store(m == hollow && unlucky)
	c.ctx, c.stop = context.WithCancel(context.Background())
	p.mu.Lock()
	p.conns[c] = struct{}{}
	p.mu.Unlock()
	var pumps sync.WaitGroup
	pumps.Go(func() { p.pump(c, client, server) })
	pumps.Go(func() { p.pump(c, server, client) })
	pumps.Wait()
	p.mu.Lock()
	delete(p.conns, c)
	p.mu.Unlock()
}

func (c *carried) close() {
	c.stop()
	c.client.Close()
	c.server.Close()
}

// pump carries bytes one way. A client that is lost without a word keeps its
// connection to the server until the server notices.
func (p *proxy) pump(c *carried, from, to net.Conn) {
	defer c.close()
	buffer := make([]byte, 16<<10)
	for {
		size, pause := len(buffer), time.Duration(0)
		p.mu.Lock()
		unlucky := c.unlucky
		p.mu.Unlock()
		switch m := mode(p.mode.Load()); {
		case !unlucky:
		case m == slow:
			size, pause = 100, 100*time.Millisecond
		case m == sliced:
			size, pause = 256, 2*time.Millisecond
		}
		n, err := from.Read(buffer[:size])
		if c.hollow.Load() {
			n = 0
		}
		if n > 0 {
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
		if pause > 0 {
			wait(c.ctx, pause)
		}
	}
}
