package im

import (
	"context"
	"slices"
	"sync"

	"example.com/h5im/im/hub"
	"example.com/h5im/im/wire"
	"example.com/h5im/store"
)

// publisher turns what was committed into events, in commit order, and hands
// them to the hub. Commit first, then publish: an event that is lost on the way
// is noticed by its revision.
type publisher struct {
	server *server

	mu      sync.Mutex
	queue   []func()
	running bool

	membersMu sync.Mutex
	members   map[string]memberList
	keep      int // of members at most
}

// memberList is who gets a conversation's events, as of a memberRev.
type memberList struct {
	rev    int64
	topics []string
}

// maxMemberLists bounds the cache; a full one is dropped whole, since a list is
// one read away.
const maxMemberLists = 8192

// do runs f after everything that was given before. Whatever was committed comes
// by here, and the tails are told.
func (p *publisher) do(f func()) {
	p.server.tails.wake("")
	p.mu.Lock()
	p.queue = append(p.queue, f)
	start := !p.running
	p.running = true
	p.mu.Unlock()
	if start {
		p.server.work.Go(p.run)
	}
}

func (p *publisher) run() {
	for {
		p.mu.Lock()
		queue := p.queue
		p.queue = nil
		if len(queue) == 0 {
			p.running = false
			p.mu.Unlock()
			return
		}
		p.mu.Unlock()
		for _, f := range queue {
			f()
		}
	}
}

// appended publishes a message to every member but the session that sent it. A
// duplicate is published again: its first event may have been lost.
func (p *publisher) appended(a *store.Appended, origin string) {
	c := &a.Conversation
	if a.Opened {
		// As it was before its first message, which is an event of its own: a
		// client takes the rev of a conversation that is new to it.
		empty := *c
		empty.Seq, empty.Rev, empty.Count, empty.AllCount = 0, 0, 0, 0
		users := p.topicUsers(c)
		rows := map[string]*store.Member{}
		for _, user := range users {
			rows[user] = &store.Member{User: user, Role: store.PlainMember}
		}
		p.conversation(&empty, users, rows)
	}
	m := toWireMessage(&a.Message)
	body := wire.JSON.AppendMessageEvent(eventHeader(origin, len(a.Message.Content)+len(a.Message.Ext)+len(c.ID)+256), &m)
	p.send(p.topics(c), hub.Envelope{Key: c.ID, Rev: m.Rev, MemberRev: c.MemberRev, Payload: body})
}

// conversation tells users that they have a conversation, each as he sees it.
// rows are the member rows of the same users.
func (p *publisher) conversation(c *store.Conversation, users []string, rows map[string]*store.Member) {
	for _, user := range users {
		view := toWireConversation(c, rows[user], user, users)
		p.toUser(user, "", wire.EventConversation, view, c)
	}
}

// left tells users that a conversation is no longer theirs.
func (p *publisher) left(c *store.Conversation, users []string) {
	for _, user := range users {
		p.toUser(user, "", wire.EventConversation, &wire.Conversation{ID: c.ID, Kind: string(c.Kind), Left: true}, c)
	}
}

// memberList tells the members of a small conversation what changed in the list.
func (p *publisher) memberList(c *store.Conversation, changed []store.Member) {
	if c.Members > store.SmallConversation {
		return
	}
	e := &wire.MemberEvent{Conversation: c.ID, MemberRev: c.MemberRev, Members: c.Members}
	for i := range changed {
		e.Changed = append(e.Changed, toWireMember(&changed[i], nil))
	}
	p.event(p.topics(c), "", wire.EventMember, e, hub.Envelope{Key: c.ID, MemberRev: c.MemberRev})
}

// marked tells the user's other sessions his own state, and the members of a
// small conversation how far he has come.
func (p *publisher) marked(m *store.Marked, origin string) {
	c, user := &m.Conversation, m.Member.User
	p.toUser(user, origin, wire.EventSelf, toWireOwn(c, &m.Member), c)
	if c.Members > store.SmallConversation {
		return
	}
	others := slices.DeleteFunc(slices.Clone(p.topics(c)), func(t string) bool { return t == userTopic(user) })
	p.event(others, "", wire.EventReceipt,
		&wire.ReceiptEvent{Conversation: c.ID, User: user, Read: m.Member.Read, Delivered: m.Member.Delivered},
		hub.Envelope{Key: c.ID, MemberRev: c.MemberRev})
}

func (p *publisher) toUser(user, origin, method string, params any, c *store.Conversation) {
	p.event([]string{userTopic(user)}, origin, method, params, hub.Envelope{Key: c.ID, MemberRev: c.MemberRev})
}

func (p *publisher) event(topics []string, origin, method string, params any, e hub.Envelope) {
	body, err := wire.JSON.AppendEvent(eventHeader(origin, 512), method, params)
	if err != nil {
		p.server.log.Error("event not encoded", "method", method, "conversation", e.Key, "err", err)
		return
	}
	e.Payload = body
	p.send(topics, e)
}

func (p *publisher) send(topics []string, e hub.Envelope) {
	if len(topics) == 0 {
		return
	}
	if err := p.server.hub.Publish(context.Background(), topics, e); err != nil {
		p.server.log.Error("event not published", "conversation", e.Key, "err", err)
		p.server.sessions.gap()
	}
}

// topics are those of the conversation's members at c.MemberRev or later: never
// somebody who had left by then.
func (p *publisher) topics(c *store.Conversation) []string {
	p.membersMu.Lock()
	list, ok := p.members[c.ID]
	p.membersMu.Unlock()
	if ok && list.rev >= c.MemberRev {
		return list.topics
	}
	list, err := p.readMembers(c.ID)
	if err != nil {
		p.server.log.Error("members not read", "conversation", c.ID, "err", err)
		p.server.sessions.gap()
		return nil
	}
	p.membersMu.Lock()
	defer p.membersMu.Unlock()
	if len(p.members) >= p.keep {
		clear(p.members)
	}
	p.members[c.ID] = list
	return list.topics
}

// readMembers reads the whole list, again from the start if it changes meanwhile.
func (p *publisher) readMembers(conversation string) (memberList, error) {
	q := store.MembersQuery{Conversation: conversation, Limit: 1000}
	var list memberList
	for {
		page, err := p.server.store.Members(context.Background(), q)
		if err != nil {
			return memberList{}, err
		}
		if q.After != "" && page.MemberRev != list.rev {
			list, q.After = memberList{}, ""
			continue
		}
		list.rev = page.MemberRev
		for i := range page.Members {
			list.topics = append(list.topics, userTopic(page.Members[i].User))
			q.After = page.Members[i].User
		}
		if !page.More {
			return list, nil
		}
	}
}

func (p *publisher) topicUsers(c *store.Conversation) []string {
	topics := p.topics(c)
	users := make([]string, len(topics))
	for i, t := range topics {
		users[i] = topicUser(t)
	}
	return users
}

func userTopic(user string) string  { return "u:" + user }
func topicUser(topic string) string { return topic[len("u:"):] }
