package storetest

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"example.com/h5im/store"
)

// drawWrite draws a method that writes.
func (c *caller) drawWrite() call { return c.pickCall(c.IntN(66)) }

// draw draws a method and its arguments.
func (c *caller) draw() call { return c.pickCall(c.IntN(100)) }

func (c *caller) pickCall(n int) call {
	switch {
	case n < 25:
		return c.append()
	case n < 31:
		return c.create()
	case n < 36:
		return c.configure()
	case n < 42:
		return c.amend()
	case n < 50:
		return c.changeMembers()
	case n < 57:
		return c.mark()
	case n < 61:
		return c.setOwn()
	case n < 66:
		return c.writeRecords()
	case n < 68:
		return c.prune() // no member of a group: it may answer from before its turn
	case n < 70:
		id, user := c.conversation(), c.user()
		return calling("Conversation", []any{id, user}, func(s store.Store) (string, error) {
			head, m, err := s.Conversation(c.ctx, id, user)
			return text(head) + text(m), err
		})
	case n < 73:
		return c.lookup()
	case n < 78:
		return c.messages(store.MessagesQuery{
			Conversation: c.conversation(), Anchor: seldom(c, store.Anchor(c.IntN(4)), store.Around+1, 255), Seq: c.at(), Limit: c.limit(), Now: c.time(),
		})
	case n < 83:
		return c.changes(store.ChangesQuery{
			Conversation: c.conversation(), Rev: c.at(), Limit: c.limit(), Within: c.ranges(), Now: c.time(),
		})
	case n < 87:
		return c.members(store.MembersQuery{
			Conversation: c.conversation(), Users: pick(c, nil, nil, c.someUsers(3)),
			Since: pick(c, 0, c.at()), After: pick(c, "", "", c.user()), AfterRev: pick(c, 0, c.at()), Limit: c.limit(),
		})
	case n < 91:
		q := store.SyncQuery{User: c.user(), From: pick(c, 0, c.at()), To: pick(c, 0, c.at()), Limit: c.limit(), Now: c.time()}
		if c.IntN(2) == 0 {
			q.AfterVersion, q.AfterID = c.at(), c.conversation()
		}
		return c.sync(q)
	case n < 92:
		return c.acquainted(c.user(), c.someUsers(4))
	case n < 93:
		after, limit := pick(c, "", c.conversation()), c.limit()
		return calling("Conversations", []any{after, limit}, func(s store.Store) (string, error) {
			heads, err := s.Conversations(c.ctx, after, limit)
			return text(heads), err
		})
	case n < 95:
		return c.feed(store.Position(c.at()), c.limit())
	case n < 97:
		namespace, key, at := c.namespace(), c.key(), c.time()
		return calling("GetRecord", []any{namespace, key, at}, func(s store.Store) (string, error) {
			r, err := s.GetRecord(c.ctx, namespace, key, at)
			return text(r), err
		})
	case n < 99:
		return c.listRecords(store.RecordsQuery{
			Namespace: c.namespace(), Prefix: pick(c, "", "k", c.key()), After: pick(c, "", "", c.key()), Limit: c.limit(), Now: c.time(),
		})
	}
	return c.info()
}

func calling(name string, args []any, do func(store.Store) (string, error)) call {
	var b strings.Builder
	b.WriteString(name)
	for _, arg := range args {
		b.WriteString(" " + text(arg))
	}
	return call{b.String(), do}
}

func (c *caller) append() call {
	items := make([]store.Append, 1+c.IntN(4))
	for i := range items {
		items[i] = c.appendItem()
	}
	return calling("Append", []any{items}, func(s store.Store) (string, error) {
		results, err := s.Append(c.ctx, items)
		var b strings.Builder
		for _, r := range results {
			b.WriteString(kind(r.Err) + " ")
			r.Err = nil
			b.WriteString(text(r) + "\n")
		}
		return b.String(), err
	})
}

func (c *caller) create() call {
	n := c.newConversation()
	return calling("Create", []any{n}, func(s store.Store) (string, error) {
		created, err := s.Create(c.ctx, n)
		return text(created), err
	})
}

// prune takes little, so that something is left to all others.
func (c *caller) prune() call {
	q := store.PruneQuery{
		Conversation: c.conversation(), Before: pick(c, c.time(), math.MaxInt64), Forget: pick(c, c.time(), math.MaxInt64),
		Limit: seldom(c, 1+c.IntN(9), c.limit()),
	}
	return calling("Prune", []any{q}, func(s store.Store) (string, error) {
		pruned, err := s.Prune(c.ctx, q)
		return text(pruned), err
	})
}

func (c *caller) configure() call {
	id, title, ext, fails := c.conversation(), pick(c, "", "a", "\xff"), c.content(), c.IntN(8) == 0
	return calling("Configure", []any{id, title, ext, fails}, func(s store.Store) (string, error) {
		head, err := s.Configure(c.ctx, id, func(v *store.Settings) error {
			v.Title = title
			if len(ext)%2 == 0 {
				v.Ext = slices.Clone(ext)
			}
			return failing(fails)
		})
		return text(head), err
	})
}

func (c *caller) amend() call {
	id, seq, m, fails := c.conversation(), c.at(), c.message(), c.IntN(8) == 0
	return calling("Amend", []any{id, seq, m, fails}, func(s store.Store) (string, error) {
		a, err := s.Amend(c.ctx, id, seq, func(was *store.Message) error {
			was.Content = append(was.Content, 'x') // what is there, changed where it lies
			if m.MentionAll {
				*was = m
				was.Content, was.Ext = slices.Clone(m.Content), slices.Clone(m.Ext)
			}
			return failing(fails)
		})
		return text(a), err
	})
}

func failing(fails bool) error {
	if fails {
		return errChange
	}
	return nil
}

func (c *caller) changeMembers() call {
	change := store.MembersChange{
		Conversation: c.conversation(), Add: c.newMembers(3), Remove: c.someUsers(2), Time: c.time(),
		Limit: pick(c, 0, 0, 0, 4, 100, -1),
	}
	if c.IntN(2) == 0 {
		change.Remove = slices.DeleteFunc(change.Remove, func(user string) bool {
			return slices.ContainsFunc(change.Add, func(n store.NewMember) bool { return n.User == user })
		})
	}
	if c.IntN(6) == 0 { // over SmallConversation and back
		change.Remove = append(change.Remove, users(store.SmallConversation)[c.IntN(store.SmallConversation):]...)
	}
	return calling("ChangeMembers", []any{change}, func(s store.Store) (string, error) {
		changed, err := s.ChangeMembers(c.ctx, change)
		return text(changed), err
	})
}

func (c *caller) mark() call {
	m := store.Mark{Conversation: c.conversation(), User: c.user(), Read: pick(c, 0, c.at()), Delivered: pick(c, 0, c.at())}
	return calling("Mark", []any{m}, func(s store.Store) (string, error) {
		marked, err := s.Mark(c.ctx, m)
		return text(marked), err
	})
}

func (c *caller) setOwn() call {
	id, user, fails := c.conversation(), c.user(), c.IntN(8) == 0
	own := store.OwnSettings{
		Starred: c.IntN(2) == 0, Archived: c.IntN(3) == 0, MuteUntil: pick(c, 0, c.time(), store.MuteForever), Draft: pick(c, "", "\xff", strings.Repeat("d", 3000)),
	}
	return calling("SetOwn", []any{id, user, own, fails}, func(s store.Store) (string, error) {
		m, err := s.SetOwn(c.ctx, id, user, func(o *store.OwnSettings) error {
			*o = own
			return failing(fails)
		})
		return text(m), err
	})
}

func (c *caller) writeRecords() call {
	writes := c.writes()
	return calling("WriteRecords", []any{writes}, func(s store.Store) (string, error) {
		revisions, err := s.WriteRecords(c.ctx, writes)
		return text(revisions), err
	})
}

func (c *caller) lookup() call {
	from, id, f := c.user(), c.clientID(), fingerprint(fmt.Sprint(c.serial))
	if len(c.sent) > 0 && c.IntN(3) > 0 {
		item := c.sent[c.IntN(len(c.sent))]
		from, id, f = item.Message.From, item.Message.ClientID, item.Fingerprint
	} else if len(c.created) > 0 && c.IntN(2) == 0 {
		n := c.created[c.IntN(len(c.created))]
		from, id, f = n.Creator, n.ClientID, n.Fingerprint
	}
	return calling("Lookup", []any{from, id, f[:]}, func(s store.Store) (string, error) {
		r, err := s.Lookup(c.ctx, from, id, f)
		return text(r), err
	})
}

func (c *caller) messages(q store.MessagesQuery) call {
	return calling("Messages", []any{q}, func(s store.Store) (string, error) {
		page, err := s.Messages(c.ctx, q)
		return text(page), err
	})
}

func (c *caller) changes(q store.ChangesQuery) call {
	return calling("Changes", []any{q}, func(s store.Store) (string, error) {
		page, err := s.Changes(c.ctx, q)
		return text(page), err
	})
}

func (c *caller) members(q store.MembersQuery) call {
	return calling("Members", []any{q}, func(s store.Store) (string, error) {
		page, err := s.Members(c.ctx, q)
		return text(page), err
	})
}

func (c *caller) sync(q store.SyncQuery) call {
	return calling("Sync", []any{q}, func(s store.Store) (string, error) {
		page, err := s.Sync(c.ctx, q)
		if q.Limit == math.MaxInt { // in an order that does not depend on versions
			slices.SortFunc(page.Rows, func(a, b store.SyncRow) int { return strings.Compare(a.Conversation.ID, b.Conversation.ID) })
			page.To = 0
		}
		return text(page), err
	})
}

func (c *caller) acquainted(user string, others []string) call {
	return calling("Acquainted", []any{user, others}, func(s store.Store) (string, error) {
		known, err := s.Acquainted(c.ctx, user, others)
		return text(known), err
	})
}

func (c *caller) feed(after store.Position, limit int) call {
	return calling("Feed", []any{after, limit}, func(s store.Store) (string, error) {
		changes, err := s.Feed(c.ctx, after, limit)
		return text(changes), err
	})
}

func (c *caller) listRecords(q store.RecordsQuery) call {
	return calling("ListRecords", []any{q}, func(s store.Store) (string, error) {
		records, err := s.ListRecords(c.ctx, q)
		return text(records), err
	})
}

func (c *caller) info() call {
	return calling("Info", nil, func(s store.Store) (string, error) {
		info, err := s.Info(c.ctx)
		return fmt.Sprint(info.Version, info.Position), err
	})
}

// everything reads all that there is.
func (c *caller) everything() []call {
	list := []call{c.feed(0, math.MaxInt)}
	for _, id := range slices.Concat(compareGroups, compareDirects, compareRooms) {
		list = append(list,
			c.messages(store.MessagesQuery{Conversation: id, Limit: math.MaxInt}),
			c.changes(store.ChangesQuery{Conversation: id, Limit: math.MaxInt}),
			c.members(store.MembersQuery{Conversation: id, Limit: math.MaxInt}),
			c.members(store.MembersQuery{Conversation: id, Since: 1, Limit: math.MaxInt}))
	}
	for _, user := range compareUsers {
		list = append(list,
			c.sync(store.SyncQuery{User: user, Limit: math.MaxInt}),
			c.sync(store.SyncQuery{User: user, From: 1, Limit: math.MaxInt}),
			c.acquainted(user, compareUsers))
	}
	for _, namespace := range []string{"n", "n\x00", "nn", "\xff"} {
		list = append(list, c.listRecords(store.RecordsQuery{Namespace: namespace, Limit: math.MaxInt}))
	}
	return list
}
