package archive

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"example.com/h5im/store"
)

// filler stores a conversation. What a member has seen is a count, and the
// store only takes it from where the conversation stands: so each member joins
// when the counts have come to what he has seen.
type filler struct {
	ctx          context.Context
	store        store.Store
	line         int
	conversation *conversation
	waiting      []*joiner // in the order of their joining, once it is created
	joined       []*joiner
	stored       counts
	pruned       bool // what is gone at the beginning is
}

// joiner is a member with his line.
type joiner struct {
	*member
	line int
}

// isFirst: he is a member from the beginning.
func (m *joiner) isFirst() bool { return m.Seen == nil }

// at is the count at which he joins.
func (m *joiner) at() int64 {
	if m.isFirst() {
		return -1
	}
	return *m.Seen
}

func (m *joiner) compare(other *joiner) int {
	return cmp.Or(cmp.Compare(m.at(), other.at()), cmp.Compare(m.JoinedAt, other.JoinedAt))
}

func (f *filler) fill(entries <-chan []entry) error {
	if err := f.create(); err != nil {
		return err
	}
	for batch := range entries {
		if err := f.append(batch); err != nil {
			return err
		}
	}
	if err := f.ctx.Err(); err != nil {
		return err // there may have been more
	}
	if err := f.prune(); err != nil {
		return err
	}
	if err := f.join(func(*joiner) bool { return true }); err != nil {
		return err
	}
	if err := each(f.joined, f.settle); err != nil {
		return err
	}
	return f.leave()
}

// create makes the conversation with those who are in it from its first moment.
func (f *filler) create() error {
	n := f.conversation.record()
	slices.SortStableFunc(f.waiting, (*joiner).compare)
	var ends []string
	f.waiting = slices.DeleteFunc(f.waiting, func(m *joiner) bool {
		isFounder := m.isFirst() && m.JoinedAt == max(n.Time, 1)
		if isFounder || n.Kind == store.Direct {
			n.Members = append(n.Members, store.NewMember{User: string(m.User), Role: m.Role})
		}
		if isFounder {
			f.joined = append(f.joined, m)
		} else if n.Kind == store.Direct { // it is made with both, who join again in their time
			ends = append(ends, string(m.User))
		}
		return isFounder
	})
	if n.Kind == store.Direct && len(n.Members) == 1 {
		n.Members = append(n.Members, n.Members[0]) // somebody writes to himself
	}
	created, err := f.store.Create(f.ctx, n)
	if err == nil && created.Duplicate {
		err = fmt.Errorf("conversation %q exists: %w", n.ID, store.ErrConflict)
	}
	if err != nil {
		return wrong(f.line, err)
	}
	if len(ends) > 0 {
		change := store.MembersChange{Conversation: n.ID, Remove: ends, Time: max(n.Time, 1)}
		if _, err := f.store.ChangeMembers(f.ctx, change); err != nil {
			return wrong(f.line, err)
		}
	}
	return f.join((*joiner).isFirst)
}

// append stores messages, and the members who join between them.
func (f *filler) append(batch []entry) error {
	var items []store.Append
	put := func(to int) error {
		err := f.put(batch[to-len(items):to], items)
		items = nil
		return err
	}
	at := f.stored
	for i := range batch {
		e := &batch[i]
		at = at.add(countedNow(&e.message))
		isDue := func(m *joiner) bool { return m.at() < at.count }
		isPast := !e.gone && !f.pruned
		if isPast || len(f.waiting) > 0 && isDue(f.waiting[0]) {
			if err := put(i); err != nil {
				return err
			}
		}
		if isPast {
			if err := f.prune(); err != nil {
				return err
			}
		}
		if err := f.join(isDue); err != nil {
			return err
		}
		items = append(items, store.Append{Message: e.message, As: store.AsHost})
	}
	return put(len(batch))
}

func (f *filler) put(entries []entry, items []store.Append) error {
	if len(items) == 0 {
		return nil
	}
	results, err := f.store.Append(f.ctx, items)
	if err != nil {
		return err
	}
	for i, r := range results {
		m := &entries[i].message
		switch {
		case r.Err != nil:
			return wrong(entries[i].line, r.Err)
		case r.Duplicate:
			return malformed(entries[i].line, "message.clientId: %q of %q is used", m.ClientID, m.From)
		case r.Receipt.Seq != m.Seq:
			return fmt.Errorf("conversation %q: somebody else writes to it", m.Conversation)
		}
		f.stored = counts{r.Receipt.Seq, r.Receipt.Count, r.Receipt.AllCount}
		if final := entries[i].final; final != nil {
			_, err := f.store.Amend(f.ctx, m.Conversation, m.Seq, func(m *store.Message) error {
				m.Flags, m.MentionAll = final.Flags, final.MentionAll
				return nil
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// prune forgets what stands for the messages that are gone at the beginning.
func (f *filler) prune() error {
	if f.pruned {
		return nil
	}
	f.pruned = true
	// All there is so far, and of the time 0.
	q := store.PruneQuery{Conversation: string(f.conversation.ID), Before: 1, Forget: 1, Limit: 10_000}
	for more := f.stored.seq > 0; more; {
		p, err := f.store.Prune(f.ctx, q)
		if err != nil {
			return err
		}
		more = p.More
	}
	return nil
}

// join adds those who wait, up to the first who is not to.
func (f *filler) join(isDue func(*joiner) bool) error {
	for len(f.waiting) > 0 && isDue(f.waiting[0]) {
		change := store.MembersChange{Conversation: string(f.conversation.ID), Time: f.waiting[0].JoinedAt}
		line := f.waiting[0].line
		for len(f.waiting) > 0 && isDue(f.waiting[0]) && f.waiting[0].JoinedAt == change.Time {
			m := f.waiting[0]
			if !m.isFirst() && *m.Seen != f.stored.count {
				return malformed(m.line, "member.seen: %d, of %d messages that count", *m.Seen, f.stored.count)
			}
			if m.SeenAll != nil && *m.SeenAll != f.stored.all {
				return malformed(m.line, "member.seenAll: %d, with seen there are %d", *m.SeenAll, f.stored.all)
			}
			change.Add = append(change.Add, store.NewMember{User: string(m.User), Role: m.Role})
			f.joined, f.waiting = append(f.joined, m), f.waiting[1:]
		}
		if _, err := f.store.ChangeMembers(f.ctx, change); err != nil {
			return wrong(line, err)
		}
	}
	return nil
}

// settle gives a member his markers and settings.
func (f *filler) settle(m *joiner) error {
	id, user := string(f.conversation.ID), string(m.User)
	if last := max(m.Read, m.Delivered); last > f.stored.seq {
		return malformed(m.line, "member.read or .delivered: %d, of %d messages", last, f.stored.seq)
	} else if last > 0 {
		mark := store.Mark{Conversation: id, User: user, Read: m.Read, Delivered: m.Delivered}
		if _, err := f.store.Mark(f.ctx, mark); err != nil {
			return wrong(m.line, err)
		}
	}
	if own := m.settings(); own != (store.OwnSettings{}) {
		_, err := f.store.SetOwn(f.ctx, id, user, func(s *store.OwnSettings) error {
			*s = own
			return nil
		})
		if err != nil {
			return wrong(m.line, err)
		}
	}
	return nil
}

// leave removes those who left. Nobody before: of a group the last owner may not.
func (f *filler) leave() error {
	left := slices.DeleteFunc(f.joined, func(m *joiner) bool { return m.LeftAt == 0 })
	slices.SortStableFunc(left, func(a, b *joiner) int { return cmp.Compare(a.LeftAt, b.LeftAt) })
	for len(left) > 0 {
		change := store.MembersChange{Conversation: string(f.conversation.ID), Time: left[0].LeftAt}
		line := left[0].line
		for len(left) > 0 && left[0].LeftAt == change.Time {
			change.Remove = append(change.Remove, string(left[0].User))
			left = left[1:]
		}
		if _, err := f.store.ChangeMembers(f.ctx, change); err != nil {
			return wrong(line, err)
		}
	}
	return nil
}

// wrong is an error with a line, where it comes from what the line says.
func wrong(line int, err error) error {
	for _, is := range []error{store.ErrInvalid, store.ErrConflict, store.ErrLastOwner} {
		if errors.Is(err, is) {
			return malformed(line, "%w", err)
		}
	}
	return err
}

// each calls a function for all, many at once, and returns an error of theirs.
func each[T any](all []T, f func(T) error) error {
	var (
		calls  sync.WaitGroup
		mu     sync.Mutex
		failed error
		free   = make(chan struct{}, maxMembers)
	)
	for _, v := range all {
		free <- struct{}{}
		calls.Go(func() {
			defer func() { <-free }()
			if err := f(v); err != nil {
				mu.Lock()
				defer mu.Unlock()
				failed = cmp.Or(failed, err)
			}
		})
	}
	calls.Wait()
	return failed
}
