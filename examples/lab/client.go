package lab

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

const (
	window  = 8 // messages of a client that are not settled
	repeats = 5 // of each send of a client that repeats
	patient = 300 * time.Millisecond
)

// client is a device of a user that follows the protocol: it sends again what
// is not settled, catches up by sync and changes, and writes down what it sees.
type client struct {
	run       *run
	user      string
	transport string
	rand      *rand.Rand
	repeat    bool // each send five times
	double    bool // some of them over a second connection at the same time

	n      int
	open   []*sending
	done   []*sending // settled, some of which are sent again
	held   map[string]*timeline
	cursor string

	ctx      context.Context // of the first session
	mail     chan mail
	first    *session
	second   *session
	dialling bool // the second
	resend   bool
	syncing  bool
	last     bool // a sync was answered that was asked for since the run settles
	synced   bool // it has all
}

// session is a link with the requests that wait on it.
type session struct {
	link
	last    int64
	pending map[int64]pending
}

type pending struct {
	answered func(incoming) error
	lost     func()
}

// mail is what a session has to tell the client's one goroutine.
type mail struct {
	from *session
	list []incoming
	err  error
}

func (r *run) newClient(i int, transport string) *client {
	c := &client{
		run: r, user: fmt.Sprintf("user-%02d", i), transport: transport,
		rand: rand.New(rand.NewPCG(r.Seed, uint64(100+i))), held: map[string]*timeline{},
		repeat: i%4 == 1, double: i%8 == 5,
	}
	return c
}

// work connects, and connects again, until the run has settled.
func (c *client) work(ctx context.Context) {
	for ctx.Err() == nil && !c.synced {
		l, err := connect(c.run.proxy.addr(), c.transport, c.user, "lab-"+c.user)
		if err != nil {
			wait(ctx, time.Duration(20+c.rand.IntN(200))*time.Millisecond)
			continue
		}
		c.talk(ctx, l)
	}
}

// wait waits for other processes, whose clock no bubble can hold.
func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// talk uses a session until it ends.
func (c *client) talk(ctx context.Context, l link) {
	ctx, stop := context.WithCancel(ctx)
	c.ctx, c.mail = ctx, make(chan mail, 16)
	c.first, c.second, c.dialling, c.syncing, c.resend = c.listen(ctx, l), nil, false, false, true
	for _, t := range c.held {
		t.asking, t.again = false, false
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer func() {
		tick.Stop()
		stop()
		c.leave(c.first)
		c.leave(c.second)
	}()
	c.sync()
	for n := 1; !c.synced; n++ {
		if err := c.write(); err != nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case m := <-c.mail:
			if err := c.read(m); err != nil {
				return
			}
		case <-tick.C:
			if err := c.tick(ctx, n); err != nil {
				return
			}
		}
	}
}

// listen begins to read from a link. Its mail ends with ctx.
func (c *client) listen(ctx context.Context, l link) *session {
	s := &session{link: l, pending: map[int64]pending{}}
	box := c.mail
	go func() {
		for {
			list, err := l.next()
			select {
			case box <- mail{s, list, err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	return s
}

func (c *client) leave(s *session) {
	if s == nil {
		return
	}
	s.close()
	for _, p := range s.pending {
		if p.lost != nil {
			p.lost()
		}
	}
	s.pending = nil
}

// ask sends a request and notes what to do with its answer.
func (s *session) ask(method string, params any, p pending) request {
	s.last++
	s.pending[s.last] = p
	return request{"2.0", s.last, method, params}
}

func (c *client) tick(ctx context.Context, n int) error {
	for name, t := range c.held {
		if len(t.ahead) > 0 && time.Since(t.since) > patient {
			c.changes(name)
		}
	}
	if n%4 == 0 {
		c.resend = true
	}
	if c.run.settling.Load() && !c.last {
		c.sync()
	}
	c.settled()
	if c.double && c.second == nil && !c.dialling && !c.run.settling.Load() {
		c.dialling = true
		box := c.mail
		go func() {
			l, err := connect(c.run.proxy.addr(), "ws", c.user, "lab-second-"+c.user)
			var s *session
			if err == nil {
				s = &session{link: l}
			}
			select {
			case box <- mail{from: s, err: errJoined}:
			case <-ctx.Done():
				if l != nil {
					l.close()
				}
			}
		}()
	}
	for _, s := range []*session{c.first, c.second} {
		if s != nil {
			if err := s.send(s.ask("ping", struct{}{}, pending{})); err != nil && s == c.first {
				return err
			}
		}
	}
	return nil
}

var errJoined = errors.New("the second connection is there")

func (c *client) read(m mail) error {
	if errors.Is(m.err, errJoined) {
		c.dialling = false
		if m.from != nil {
			c.second = c.listen(c.ctx, m.from.link)
		}
		return nil
	}
	if m.from != c.first && m.from != c.second {
		return nil
	}
	for _, in := range m.list {
		if in.Method != "" {
			if m.from == c.first {
				if err := c.event(in); err != nil {
					return err
				}
			}
			continue
		}
		if in.ID == nil {
			return c.run.unexpected("an answer without an id to %s: %v", c.user, in.Error)
		}
		p, found := m.from.pending[*in.ID]
		if !found {
			return c.run.unexpected("an answer to nothing: %d to %s", *in.ID, c.user)
		}
		delete(m.from.pending, *in.ID)
		if p.answered != nil {
			if err := p.answered(in); err != nil {
				return err
			}
		}
	}
	if m.err != nil && m.from == c.second {
		c.leave(c.second)
		c.second = nil
		return nil
	}
	return m.err
}
