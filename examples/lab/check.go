package lab

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// Rule is a promise that a history can break.
type Rule string

// The rules.
const (
	Lost         Rule = "lost"          // acknowledged, and not there
	Changed      Rule = "changed"       // its seq holds something else than was acknowledged
	Invented     Rule = "invented"      // there, but nobody sent these bytes
	Twice        Rule = "twice"         // one clientId, two messages
	Hole         Rule = "hole"          // not 1..N, at the end or in a reader's view
	Disagree     Rule = "disagree"      // a reader saw another message at this seq
	Phantom      Rule = "phantom"       // a reader saw what is not there
	Late         Rule = "real time"     // acknowledged before the other was sent, and behind it
	Order        Rule = "sending order" // a sender's messages are not as he sent them
	AfterRemoval Rule = "after removal" // a removed member got it
	Appeared     Rule = "appeared"      // rejected, and there
	Receipts     Rule = "receipts"      // two receipts of one clientId differ
)

// Violation is one broken promise.
type Violation struct {
	Rule Rule
	Text string
}

func (v Violation) String() string { return fmt.Sprintf("%s: %s", v.Rule, v.Text) }

type clientKey struct{ from, clientID string }
type place struct {
	conversation string
	seq          int64
}
type person struct{ user, conversation string }

type checker struct {
	h          *History
	violations []Violation
	at         map[place]Message
	byClient   map[clientKey]Message
	invoked    map[clientKey]Event
}

// Check holds a history against every rule.
func Check(h *History) []Violation {
	c := &checker{h: h, at: map[place]Message{}, byClient: map[clientKey]Message{}, invoked: map[clientKey]Event{}}
	for _, e := range h.Events {
		if k := e.client(); e.Kind == Invoked {
			if _, again := c.invoked[k]; !again {
				c.invoked[k] = e
			}
		}
	}
	c.final()
	c.answers()
	c.readers()
	c.removals()
	c.realTime()
	c.sendingOrder()
	return c.violations
}

func (m Message) client() clientKey { return clientKey{m.From, m.ClientID} }
func (m Message) place() place      { return place{m.Conversation, m.Seq} }

func (c *checker) bad(rule Rule, format string, args ...any) {
	c.violations = append(c.violations, Violation{rule, fmt.Sprintf(format, args...)})
}

// final looks at the full read alone: 1..N, each once, as somebody sent it.
func (c *checker) final() {
	for conversation, messages := range c.h.Final {
		for i, m := range messages {
			if m.Seq != int64(i)+1 {
				c.bad(Hole, "%s: message %d has seq %d", conversation, i+1, m.Seq)
			}
			c.at[m.place()] = m
			if first, twice := c.byClient[m.client()]; twice {
				c.bad(Twice, "%s of %s is at %s %d and %s %d", m.ClientID, m.From, first.Conversation, first.Seq, conversation, m.Seq)
				continue
			}
			c.byClient[m.client()] = m
		}
	}
}

// answers compares what senders were told with what is there.
func (c *checker) answers() {
	receipts := map[clientKey]Event{}
	rejected := map[clientKey]string{}
	for _, e := range c.h.Events {
		k := e.client()
		switch e.Kind {
		case Acknowledged:
			if first, again := receipts[k]; again && first.Message != e.Message {
				c.bad(Receipts, "%s of %s: %+v, and then %+v", e.ClientID, e.From, first.Message, e.Message)
				continue
			} else if again {
				continue
			}
			receipts[k] = e
			m, found := c.at[e.place()]
			switch {
			case !found:
				c.bad(Lost, "%s of %s, acknowledged at %s %d", e.ClientID, e.From, e.Conversation, e.Seq)
			case m.client() != k || m.Text != e.Text || m.ID != e.ID:
				c.bad(Changed, "%s %d is %s of %s %q, acknowledged was %s of %s %q", e.Conversation, e.Seq, m.ClientID, m.From, m.Text, e.ClientID, e.From, e.Text)
			}
		case Rejected:
			rejected[k] = e.Text
		}
	}
	for k, m := range c.byClient {
		sent, known := c.invoked[k]
		text, refused := rejected[k]
		_, told := receipts[k]
		switch {
		case refused && text == m.Text:
			c.bad(Appeared, "%s of %s was rejected, and is at %s %d", m.ClientID, m.From, m.Conversation, m.Seq)
		case !told && (!known || sent.Text != m.Text || sent.Conversation != m.Conversation):
			c.bad(Invented, "%s %d: %s of %s %q", m.Conversation, m.Seq, m.ClientID, m.From, m.Text)
		}
	}
}

// readers compares every view with the final read, and looks that it is whole.
func (c *checker) readers() {
	type view struct{ user, device, conversation string }
	seen := map[view]map[int64]bool{}
	for _, e := range c.h.Events {
		v := view{e.User, e.Device, e.Conversation}
		switch e.Kind {
		case Delivered:
			if seen[v] == nil {
				seen[v] = map[int64]bool{}
			}
			seen[v][e.Seq] = true
			if m, found := c.at[e.place()]; !found {
				c.bad(Phantom, "%s saw %s %d: %s of %s", e.User, e.Conversation, e.Seq, e.ClientID, e.From)
			} else if m != e.Message {
				c.bad(Disagree, "%s saw at %s %d %+v, it is %+v", e.User, e.Conversation, e.Seq, e.Message, m)
			}
		case Settled:
			for _, m := range c.h.Final[e.Conversation] {
				if !seen[v][m.Seq] && m.Seq >= c.h.First[e.Conversation] { // of what was pruned nobody need know
					c.bad(Hole, "%s/%s had settled at %v and never saw %s %d, %s of %s, sent at %v", e.User, e.Device, e.At, e.Conversation, m.Seq, m.ClientID, m.From, c.invoked[m.client()].At)
				}
			}
		}
	}
}

// removals looks that nothing reaches whoever is out: neither what was sent
// after his removal was acknowledged, nor a page that he asked for after it.
func (c *checker) removals() {
	out := map[person]time.Duration{} // since when
	for _, e := range c.h.Events {
		p := person{e.User, e.Conversation}
		since, gone := out[p]
		switch {
		case e.Kind == Removed:
			out[p] = e.At
		case e.Kind == Adding:
			delete(out, p)
		case e.Kind == Delivered && gone:
			sent, known := c.invoked[e.client()]
			if e.Asked > since || known && sent.At > since {
				c.bad(AfterRemoval, "%s got %s %d, %v after he was removed", e.User, e.Conversation, e.Seq, e.At-since)
			}
		}
	}
}

// realTime: what was acknowledged before another was sent comes before it.
func (c *checker) realTime() {
	latest := map[string]Message{} // the greatest seq acknowledged so far
	for _, e := range c.h.Events {
		switch before := latest[e.Conversation]; {
		case e.Kind == Acknowledged && e.Seq > before.Seq:
			latest[e.Conversation] = e.Message
		case e.Kind == Invoked && e.At == c.invoked[e.client()].At:
			if m, found := c.byClient[e.client()]; found && m.Conversation == e.Conversation && m.Seq < before.Seq {
				c.bad(Late, "%s %d was acknowledged before %s of %s was sent, which is at %d", e.Conversation, before.Seq, e.ClientID, e.From, m.Seq)
			}
		}
	}
}

// sendingOrder: what one sender sends in a row arrives in that order. It need not
// where one was refused and sent again: the refusal may have been lost with the
// connection, so that of what he sent while he was out, or came or went, nothing
// is known.
func (c *checker) sendingOrder() {
	loose := map[clientKey]bool{}
	sent := map[person][]Event{}
	out := map[person]bool{}
	open := map[person][]clientKey{} // sent, and not acknowledged yet
	for _, e := range c.h.Events {
		p := person{e.User, e.Conversation}
		switch e.Kind {
		case Refused:
			loose[e.client()] = true
		case Removed, Adding, Added:
			out[p] = e.Kind != Added
			for _, k := range open[p] {
				loose[k] = true
			}
		case Acknowledged:
			open[p] = slices.DeleteFunc(open[p], func(k clientKey) bool { return k == e.client() })
		case Invoked:
			if e.Ordered {
				sent[p] = append(sent[p], e)
			}
			open[p] = append(open[p], e.client())
			loose[e.client()] = loose[e.client()] || out[p]
		}
	}
	for p, events := range sent {
		slices.SortStableFunc(events, func(a, b Event) int { return cmp.Compare(a.At, b.At) })
		last := int64(0)
		for _, e := range events {
			m, found := c.byClient[e.client()]
			if !found || loose[e.client()] {
				continue
			}
			if m.Seq < last {
				c.bad(Order, "%s: %s of %s is at %d, sent after %d", p.conversation, e.ClientID, p.user, m.Seq, last)
			}
			last = max(last, m.Seq)
		}
	}
}
