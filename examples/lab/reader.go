package lab

import (
	"encoding/json"
	"fmt"
	"time"
)

// timeline is how much a client has of a conversation.
type timeline struct {
	rev    int64
	head   int64          // the rev that sync told; it does not tell twice
	ahead  map[int64]bool // revs above a hole
	since  time.Time      // when the hole was seen
	asking bool
	again  bool // something changed while it asked
}

type wireMessage struct {
	Conversation string `json:"conversation"`
	Seq          int64  `json:"seq"`
	Rev          int64  `json:"rev"`
	ID           string `json:"id"`
	ClientID     string `json:"clientId"`
	From         string `json:"from"`
	Time         int64  `json:"time"`
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
