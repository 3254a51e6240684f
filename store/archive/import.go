package archive

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"strconv"
	"sync"

	"example.com/h5im/store"
)

const (
	// maxLine leaves room for a message of which every byte is escaped.
	maxLine    = 8 * store.MaxValueBytes
	batchRows  = 256
	batchBytes = 1 << 20
	// Conversations are filled side by side, and so are the rows of members, so
	// that they share the commits of the store.
	maxChats   = 32
	maxMembers = 64
)

// Import stores an archive. The conversations in it must not be in the store
// yet, nor their clientIds. What is malformed is ErrFormat with the number of
// the line. After an error a part of it may be stored: import into a store that
// is thrown away then.
//
// A repetition of an imported message, under its sender and clientId, is known
// as one. To tails imported changes are changes like any other.
func Import(ctx context.Context, s store.Store, r io.Reader) (Totals, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	i := &importer{store: s, ctx: ctx, fail: cancel, free: make(chan struct{}, maxChats)}
	err := i.read(r)
	if err != nil {
		cancel(err)
	}
	if i.chat != nil {
		i.chat.close()
	}
	i.chats.Wait()
	if ctx.Err() != nil {
		err = context.Cause(ctx) // the first
	}
	return i.done, err
}

type importer struct {
	store store.Store
	ctx   context.Context
	fail  context.CancelCauseFunc
	free  chan struct{}
	chats sync.WaitGroup

	chat *chat // whose lines are read
	done Totals
}

// read reads the lines and hands each conversation's to a goroutine of its own.
func (i *importer) read(r io.Reader) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 1<<16), maxLine)
	n, ended := 0, false
	for lines.Scan() {
		n++
		l, err := parse(lines.Bytes())
		switch {
		case err != nil:
			return malformed(n, "%w", err)
		case (n == 1) != (l.Archive != nil):
			return malformed(n, "the first line, and no other, is the archive")
		case ended:
			return malformed(n, "something follows the end")
		}
		if ended, err = i.line(n, &l); err != nil {
			return err
		}
	}
	switch err := lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return malformed(n+1, "longer than %d bytes", maxLine)
	case err != nil:
		return err
	case !ended:
		return malformed(n+1, "the end is missing")
	}
	return nil
}

func (i *importer) line(n int, l *line) (ended bool, err error) {
	switch {
	case l.Archive != nil:
		if l.Archive.Version != version {
			return false, malformed(n, "version %d is not known", l.Archive.Version)
		}
	case l.Conversation != nil:
		i.done.Conversations++
		return false, i.begin(n, l.Conversation)
	case l.End != nil:
		return true, i.end(n, l.End)
	case i.chat == nil:
		return false, malformed(n, "a conversation comes first")
	case l.Member != nil:
		i.done.Members++
		return false, i.chat.addMember(n, l.Member)
	case l.Message != nil:
		i.done.Messages++
		return false, i.chat.addMessage(n, l.Message)
	case l.Gone != nil:
		return false, i.chat.addGone(n, l.Gone)
	}
	return false, nil
}

func (i *importer) begin(n int, c *conversation) error {
	if err := i.finish(); err != nil {
		return err
	}
	select {
	case i.free <- struct{}{}:
	case <-i.ctx.Done():
		return i.ctx.Err()
	}
	i.chat = &chat{
		importer: i, line: n, conversation: c, known: map[text]bool{}, entries: make(chan []entry),
	}
	return nil
}

// finish has the lines of a conversation.
func (i *importer) finish() error {
	if i.chat == nil {
		return nil
	}
	err := i.chat.send()
	i.chat.close()
	i.chat = nil
	return err
}

func (i *importer) end(n int, e *end) error {
	for _, t := range []struct {
		name string
		said *int64
		is   int64
	}{
		{"conversations", e.Conversations, i.done.Conversations},
		{"members", e.Members, i.done.Members},
		{"messages", e.Messages, i.done.Messages},
	} {
		if t.said != nil && *t.said != t.is {
			return malformed(n, "end.%s: %d, there were %d", t.name, *t.said, t.is)
		}
	}
	return i.finish()
}

// entry is a message, or a place where there is none any more.
type entry struct {
	line    int
	message store.Message
	// final, where not nil, is what it becomes once it has counted as what it is.
	final *store.Message
	gone  bool
}

// chat collects the lines of a conversation, and hands them to a filler.
type chat struct {
	*importer
	line         int
	conversation *conversation
	members      []*joiner
	known        map[text]bool

	last    counts
	batch   []entry
	size    int
	begun   bool
	entries chan []entry
}

func (c *chat) addMember(n int, m *member) error {
	switch {
	case c.last.seq > 0:
		return malformed(n, "a member after messages")
	case c.known[m.User]:
		return malformed(n, "member.user: %q is there already", m.User)
	case m.Read < 0 || m.Delivered < 0 || m.JoinedAt < 0 || m.LeftAt < 0:
		return malformed(n, "member: a number is negative")
	}
	if m.JoinedAt == 0 {
		m.JoinedAt = max(c.conversation.CreatedAt, 1) // a change of members has a time
	}
	c.known[m.User] = true
	c.members = append(c.members, &joiner{m, n})
	return nil
}

func (c *chat) addMessage(n int, l *message) error {
	next := c.last.seq + 1
	if l.Seq != 0 && l.Seq != next {
		return malformed(n, "message.seq: %d, wanted %d", l.Seq, next)
	}
	m := l.record(string(c.conversation.ID))
	m.Seq = next
	if m.ID == "" {
		m.ID = rand.Text()[:16]
	}
	if m.ClientID == "" {
		m.ClientID = rand.Text()
	}
	e := entry{line: n, message: m}
	if l.Counted != nil && *l.Counted != countedNow(&m) {
		if l.Counted.All && !l.Counted.Unread {
			return malformed(n, "message.counted: all and not unread")
		}
		e.final, e.message.MentionAll = &m, l.Counted.All
		e.message.Flags |= store.NoUnread
		if l.Counted.Unread {
			e.message.Flags &^= store.NoUnread
		}
	}
	c.last = c.last.add(countedNow(&e.message))
	return c.add(e, len(m.Content)+len(m.Ext))
}

// maxGone keeps a line of a few bytes from asking for the work of years.
const maxGone = 1_000_000_000

// addGone puts something in the place of messages that there are no more: what
// is forgotten at once at the beginning, and later what expired.
func (c *chat) addGone(n int, g *gone) error {
	more, count, all := g.To-c.last.seq, g.Count-c.last.count, g.AllCount-c.last.all
	if more < 1 || more > maxGone || count < 0 || count > more || all < 0 || all > count {
		return malformed(n, "gone: %+v after %+v", *g, c.last)
	}
	prefix := rand.Text()
	for k := range more {
		m := store.Message{
			Conversation: string(c.conversation.ID), Seq: c.last.seq + 1,
			ID: "gone", ClientID: prefix + "-" + strconv.FormatInt(k, 10), Type: "gone",
			ExpiresAt: 1, MentionAll: k < all, Flags: store.NoPush,
		}
		if k >= count {
			m.Flags |= store.NoUnread
		}
		c.last = c.last.add(countedNow(&m))
		if err := c.add(entry{line: n, message: m, gone: true}, 0); err != nil {
			return err
		}
	}
	return nil
}

func (c *chat) add(e entry, size int) error {
	c.batch = append(c.batch, e)
	c.size += size
	if len(c.batch) < batchRows && c.size < batchBytes {
		return nil
	}
	return c.send()
}

// send hands over what was read.
func (c *chat) send() error {
	if !c.begun {
		c.begun = true
		f := &filler{ctx: c.ctx, store: c.store, line: c.line, conversation: c.conversation, waiting: c.members}
		c.chats.Go(func() {
			defer func() { <-c.free }()
			if err := f.fill(c.entries); err != nil {
				c.fail(err)
			}
		})
	}
	select {
	case c.entries <- c.batch:
		c.batch, c.size = nil, 0
		return nil
	case <-c.ctx.Done():
		return c.ctx.Err()
	}
}

func (c *chat) close() { close(c.entries) }
