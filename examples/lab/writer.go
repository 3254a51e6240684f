package lab

import (
	"encoding/json"
	"fmt"
	"slices"
)

// sending is a message with the fate of its attempts.
type sending struct {
	Message
	kind     string // its type
	live     int    // attempts that may yet be answered
	lost     int    // whose connection ended before
	rejected int
	settled  bool
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
