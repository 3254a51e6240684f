package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
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

// sending is a message with the fate of its attempts.
type sending struct {
	Message
	kind     string // its type
	live     int    // attempts that may yet be answered
	lost     int    // whose connection ended before
	rejected int
	settled  bool
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

// timeline is how much a client has of a conversation.
type timeline struct {
	rev    int64
	head   int64          // the rev that sync told; it does not tell twice
	ahead  map[int64]bool // revs above a hole
	since  time.Time      // when the hole was seen
	asking bool
	again  bool // something changed while it asked
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

type wireMessage struct {
	Conversation string `json:"conversation"`
	Seq          int64  `json:"seq"`
	Rev          int64  `json:"rev"`
	ID           string `json:"id"`
	ClientID     string `json:"clientId"`
	From         string `json:"from"`
	Content      struct {
		Text string `json:"text"`
	} `json:"content"`
}

func (m *wireMessage) message() Message {
	return Message{m.Conversation, m.From, m.ClientID, m.Content.Text, m.ID, m.Seq}
}

func (c *client) event(in incoming) error {
	switch in.Method {
	case "message":
		var m wireMessage
		if err := json.Unmarshal(in.Params, &m); err != nil {
			return c.run.unexpected("%s: %v", in.Params, err)
		}
		c.saw(m.message(), 0)
		c.advance(m.Conversation, m.Rev)
	case "conversation", "gap":
		var e struct {
			ID           string `json:"id"`
			Conversation string `json:"conversation"`
			Rev          int64  `json:"rev"`
			Left         bool   `json:"left"`
		}
		if err := json.Unmarshal(in.Params, &e); err != nil {
			return c.run.unexpected("%s: %v", in.Params, err)
		}
		switch name := e.ID + e.Conversation; {
		case name == "":
			c.sync()
		case !e.Left && e.Rev > c.timeline(name).rev:
			c.changes(name)
		}
	case "skip":
		var e wireMessage
		if err := json.Unmarshal(in.Params, &e); err != nil {
			return c.run.unexpected("%s: %v", in.Params, err)
		}
		c.advance(e.Conversation, e.Rev)
	case "goaway":
		return fmt.Errorf("goaway")
	case "kicked":
		return c.run.unexpected("%s was kicked: %s", c.user, in.Params)
	}
	return nil
}

func (c *client) saw(m Message, asked time.Duration) {
	c.run.history.Add(Event{Kind: Delivered, User: c.user, Message: m, Asked: asked})
}

func (c *client) timeline(conversation string) *timeline {
	t := c.held[conversation]
	if t == nil {
		t = &timeline{ahead: map[int64]bool{}}
		c.held[conversation] = t
	}
	return t
}

// advance notes a rev: the next one is applied, a later one leaves a hole.
func (c *client) advance(conversation string, rev int64) {
	t := c.timeline(conversation)
	if rev <= t.rev {
		return
	}
	if len(t.ahead) == 0 {
		t.since = time.Now()
	}
	t.ahead[rev] = true
	for t.ahead[t.rev+1] {
		t.rev++
		delete(t.ahead, t.rev)
		t.since = time.Now()
	}
}

// sync asks which conversations changed, page by page.
func (c *client) sync() {
	if c.syncing {
		return
	}
	c.syncing = true
	c.syncPage(c.cursor)
}

func (c *client) syncPage(cursor string) {
	final := c.run.settling.Load()
	params := map[string]any{"limit": 3}
	if cursor != "" {
		params["cursor"] = cursor
	}
	c.ask("sync", params, func(in incoming) error {
		if in.Error != nil {
			return in.Error
		}
		var page struct {
			Conversations []struct {
				ID   string `json:"id"`
				Rev  int64  `json:"rev"`
				Left bool   `json:"left"`
			} `json:"conversations"`
			Cursor string `json:"cursor"`
			More   bool   `json:"more"`
		}
		if err := json.Unmarshal(in.Result, &page); err != nil {
			return c.run.unexpected("%s: %v", in.Result, err)
		}
		for _, row := range page.Conversations {
			c.timeline(row.ID).head = row.Rev // 0 where he left
		}
		if page.More {
			c.syncPage(page.Cursor)
			return nil
		}
		c.cursor, c.syncing = page.Cursor, false
		c.last = final
		for name, t := range c.held {
			if t.head > t.rev {
				c.changes(name)
			}
		}
		c.settled()
		return nil
	})
}

func (c *client) ask(method string, params any, answered func(incoming) error) {
	// A link that fails here says so to its reader.
	_ = c.first.send(c.first.ask(method, params, pending{answered: answered}))
}

// changes asks what changed in a conversation since what is held.
func (c *client) changes(conversation string) {
	t := c.timeline(conversation)
	if t.asking {
		t.again = true
		return
	}
	t.asking = true
	from, asked := t.rev, c.run.history.Now()
	c.ask("message.changes", map[string]any{"conversation": conversation, "rev": from, "limit": 100}, func(in incoming) error {
		t.asking = false
		if in.Error != nil && in.Error.Code == 404 {
			clear(t.ahead) // he is out; an event tells when he is in again
			t.again = false
			c.settled()
			return nil
		} else if in.Error != nil {
			return in.Error
		}
		var page struct {
			Messages []wireMessage `json:"messages"`
			Rev      int64         `json:"rev"`
			More     bool          `json:"more"`
			Reset    bool          `json:"reset"`
		}
		if err := json.Unmarshal(in.Result, &page); err != nil {
			return c.run.unexpected("%s: %v", in.Result, err)
		}
		for i := range page.Messages {
			c.saw(page.Messages[i].message(), asked)
		}
		if page.Reset {
			c.list(conversation, 0, page.Rev)
			return nil
		}
		c.caughtUp(conversation, page.Rev)
		if t.again || page.More {
			t.again = false
			c.changes(conversation)
		}
		c.settled()
		return nil
	})
}

// list reads a conversation from its beginning, after a reset.
func (c *client) list(conversation string, after, rev int64) {
	asked := c.run.history.Now()
	c.timeline(conversation).asking = true
	c.ask("message.list", map[string]any{"conversation": conversation, "after": after, "limit": 100}, func(in incoming) error {
		if in.Error != nil {
			return in.Error
		}
		var page struct {
			Messages []wireMessage `json:"messages"`
			To       int64         `json:"to"`
			More     bool          `json:"more"`
		}
		if err := json.Unmarshal(in.Result, &page); err != nil {
			return c.run.unexpected("%s: %v", in.Result, err)
		}
		for i := range page.Messages {
			c.saw(page.Messages[i].message(), asked)
		}
		if page.More {
			c.list(conversation, page.To, rev)
			return nil
		}
		c.timeline(conversation).asking = false
		c.caughtUp(conversation, rev)
		c.settled()
		return nil
	})
}

func (c *client) caughtUp(conversation string, rev int64) {
	t := c.timeline(conversation)
	t.rev = max(t.rev, rev)
	for r := range t.ahead {
		if r <= t.rev {
			delete(t.ahead, r)
		}
	}
	for t.ahead[t.rev+1] {
		t.rev++
		delete(t.ahead, t.rev)
	}
}

// settled ends the client when nothing more is to come.
func (c *client) settled() {
	if !c.last || c.syncing || len(c.open) > 0 {
		return
	}
	for _, t := range c.held {
		if t.asking || len(t.ahead) > 0 {
			return
		}
	}
	for name := range c.held {
		c.run.history.Add(Event{Kind: Settled, User: c.user, Message: Message{Conversation: name}})
	}
	c.synced = true
}

// write keeps the window full, and sends again what is open after a new
// connection or a refusal.
func (c *client) write() error {
	var requests []request
	if c.resend {
		c.resend = false
		for _, m := range c.open {
			if m.live == 0 {
				requests = c.attempts(requests, m)
			}
		}
	}
	for len(c.open) < window && c.run.take() {
		m := c.compose()
		c.open = append(c.open, m)
		c.run.unsettled.Add(1)
		c.run.history.Add(Event{Kind: Invoked, User: c.user, Message: m.Message, Ordered: !c.double})
		requests = c.attempts(requests, m)
		if len(c.done) > 0 && c.rand.IntN(20) == 0 {
			requests = c.afterwards(requests)
		}
	}
	for len(requests) > 0 {
		n := min(len(requests), 64)
		if err := c.first.send(requests[:n]...); err != nil {
			return err
		}
		requests = requests[n:]
	}
	return nil
}

// afterwards repeats something old: as it was, or with other words, which is a
// conflict.
func (c *client) afterwards(requests []request) []request {
	old := c.done[c.rand.IntN(len(c.done))]
	if c.rand.IntN(2) == 0 {
		return append(requests, c.attempt(c.first, old))
	}
	other := &sending{Message: old.Message}
	other.Text += " or not"
	return append(requests, c.attempt(c.first, other))
}

func (c *client) compose() *sending {
	c.n++
	m := &sending{Message: Message{
		Conversation: c.run.conversations[c.rand.IntN(len(c.run.conversations))],
		From:         c.user,
		ClientID:     fmt.Sprintf("%08x-0000-7000-8000-%012x", c.n, c.rand.Uint64N(1<<48)),
		Text:         fmt.Sprintf("%s says %d %x", c.user, c.n, c.rand.Uint64()),
	}}
	if c.rand.IntN(100) == 0 {
		m.kind = "unheard-of" // will be rejected
	}
	return m
}

// attempts adds what a message is sent by: once, or five times, some of them
// over the second connection.
func (c *client) attempts(requests []request, m *sending) []request {
	requests = append(requests, c.attempt(c.first, m))
	if !c.repeat {
		return requests
	}
	for i := range repeats - 1 {
		if i%2 == 0 && c.second != nil {
			_ = c.second.send(c.attempt(c.second, m))
			continue
		}
		requests = append(requests, c.attempt(c.first, m))
	}
	return requests
}

func (c *client) attempt(s *session, m *sending) request {
	m.live++
	params := map[string]any{"to": map[string]string{"conversation": m.Conversation}, "clientId": m.ClientID, "content": m.Text}
	if m.kind != "" {
		params["type"] = m.kind
	}
	return s.ask("message.send", params, pending{
		lost:     func() { m.live--; m.lost++ },
		answered: func(in incoming) error { m.live--; return c.answered(m, in) },
	})
}

func (c *client) answered(m *sending, in incoming) error {
	switch {
	case in.Error == nil:
		var r wireMessage
		if err := json.Unmarshal(in.Result, &r); err != nil {
			return c.run.unexpected("%s: %v", in.Result, err)
		}
		told := m.Message
		told.Seq, told.ID = r.Seq, r.ID
		c.run.history.Add(Event{Kind: Acknowledged, User: c.user, Message: told})
		c.run.acknowledged.Add(1)
		if !m.settled {
			c.saw(told, 0)
			c.advance(r.Conversation, r.Rev)
			c.settle(m)
			c.done = append(c.done, m)
		}
	case in.Error.final():
		m.rejected++
		if m.live == 0 && !m.settled {
			if m.lost == 0 {
				c.run.history.Add(Event{Kind: Rejected, User: c.user, Message: m.Message})
			}
			c.settle(m)
		}
	case in.Error.Code == 503 || in.Error.Code == 500:
		m.lost++
		c.run.refused.Add(1)
		c.run.history.Add(Event{Kind: Refused, User: c.user, Message: m.Message})
	default:
		return c.run.unexpected("%s: %v", m.ClientID, in.Error)
	}
	return nil
}

func (c *client) settle(m *sending) {
	m.settled = true
	if i := slices.Index(c.open, m); i >= 0 { // else it was an afterthought
		c.open = slices.Delete(c.open, i, i+1)
		c.run.unsettled.Add(-1)
	}
}
