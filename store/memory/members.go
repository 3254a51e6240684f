package memory

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"example.com/h5im/store"
)

// ChangeMembers implements store.Store.
func (s *Store) ChangeMembers(ctx context.Context, change store.MembersChange) (store.MembersChanged, error) {
	if err := change.Validate(); err != nil {
		return store.MembersChanged{}, err
	}
	if err := s.lock(ctx); err != nil {
		return store.MembersChanged{}, err
	}
	defer s.mu.Unlock()
	c, err := s.findLocked(change.Conversation)
	if err != nil {
		return store.MembersChanged{}, err
	}
	joins, leaves, err := c.difference(&change)
	if err != nil {
		return store.MembersChanged{}, err
	}
	after := c.head.Members + len(joins) - len(leaves)
	switch {
	case len(joins)+len(leaves) == 0:
		return store.MembersChanged{Conversation: copyHead(c.head)}, nil
	case change.Limit > 0 && after > change.Limit && after > c.head.Members:
		return store.MembersChanged{}, fmt.Errorf("memory: %d members of %q: %w", after, c.head.ID, store.ErrTooMany)
	case c.head.Kind == store.Group && c.losesOwner(joins, leaves):
		return store.MembersChanged{}, fmt.Errorf("memory: conversation %q: %w", c.head.ID, store.ErrLastOwner)
	}

	version := s.commitLocked()
	c.head.MemberRev++
	c.head.Version = version
	var rows []store.Member
	for _, m := range joins {
		rows = append(rows, *s.joinLocked(c, m, change.Time, version))
	}
	for _, m := range leaves {
		m.LeftAt, m.Rev, m.Version = change.Time, c.head.MemberRev, version
		c.head.Members--
		rows = append(rows, *m)
	}
	for i := range rows {
		s.feed = append(s.feed, entry{kind: store.MemberChanged, conversation: c, user: rows[i].User})
	}
	return store.MembersChanged{Conversation: copyHead(c.head), Members: rows}, nil
}

// difference is what a change really changes, each user once.
func (c *conversation) difference(change *store.MembersChange) (joins []store.NewMember, leaves []*store.Member, err error) {
	done := map[string]bool{}
	for _, m := range change.Add {
		row := c.members[m.User]
		if row == nil && c.head.Kind == store.Direct {
			return nil, nil, fmt.Errorf("memory: user %q is no end of %q: %w", m.User, c.head.ID, store.ErrInvalid)
		}
		if !done[m.User] && !row.Active() {
			joins = append(joins, m)
		}
		done[m.User] = true
	}
	for _, user := range change.Remove {
		if m := c.members[user]; !done[user] && m.Active() {
			leaves = append(leaves, m)
		}
		done[user] = true
	}
	return joins, leaves, nil
}

// losesOwner tells whether there is an owner and would be none.
func (c *conversation) losesOwner(joins []store.NewMember, leaves []*store.Member) bool {
	before := 0
	for _, m := range c.members {
		if m.Active() && m.Role == store.Owner {
			before++
		}
	}
	after := before
	for _, m := range joins {
		if m.Role == store.Owner {
			after++
		}
	}
	for _, m := range leaves {
		if m.Role == store.Owner {
			after--
		}
	}
	return before > 0 && after == 0
}

// joinLocked makes a user who is none a member, at the head's memberRev. Who
// was one before keeps the rest of his row.
func (s *Store) joinLocked(c *conversation, n store.NewMember, now store.Millis, version int64) *store.Member {
	m := c.members[n.User]
	if m == nil {
		m = &store.Member{Conversation: c.head.ID, User: n.User}
		c.members[n.User] = m
		if s.memberships[n.User] == nil {
			s.memberships[n.User] = map[string]*conversation{}
		}
		s.memberships[n.User][c.head.ID] = c
	}
	m.Role = cmp.Or(n.Role, store.PlainMember)
	m.JoinedAt, m.LeftAt = now, 0
	m.Seen, m.SeenAll = c.head.Count, c.head.AllCount
	m.Rev, m.Version = c.head.MemberRev, version
	c.head.Members++
	if c.head.Members > store.SmallConversation {
		c.head.Class = store.TopicConversation
	}
	return m
}

// Members implements store.Store.
func (s *Store) Members(ctx context.Context, q store.MembersQuery) (store.MembersPage, error) {
	if err := q.Validate(); err != nil {
		return store.MembersPage{}, err
	}
	if err := s.lock(ctx); err != nil {
		return store.MembersPage{}, err
	}
	defer s.mu.Unlock()
	c, err := s.findLocked(q.Conversation)
	if err != nil {
		return store.MembersPage{}, err
	}
	page := store.MembersPage{MemberRev: c.head.MemberRev}
	if q.Users != nil {
		for _, user := range q.Users {
			if m := c.members[user]; m != nil {
				page.Members = append(page.Members, *m)
			}
		}
		return page, nil
	}
	for _, m := range c.members {
		if wants(&q, m) {
			page.Members = append(page.Members, *m)
		}
	}
	slices.SortFunc(page.Members, func(a, b store.Member) int {
		if q.Since > 0 {
			return cmp.Or(cmp.Compare(a.Rev, b.Rev), strings.Compare(a.User, b.User))
		}
		return strings.Compare(a.User, b.User)
	})
	if page.More = len(page.Members) > q.Limit; page.More {
		page.Members = page.Members[:q.Limit]
	}
	return page, nil
}

// wants tells whether a row belongs to the rest of the listing that q pages through.
func wants(q *store.MembersQuery, m *store.Member) bool {
	if q.Since == 0 {
		return m.Active() && m.User > q.After
	}
	return m.Rev > q.Since && (m.Rev > q.AfterRev || m.Rev == q.AfterRev && m.User > q.After)
}

// Acquainted implements store.Store.
func (s *Store) Acquainted(ctx context.Context, user string, others []string) ([]string, error) {
	if err := store.ValidateAcquainted(user, others); err != nil {
		return nil, err
	}
	if err := s.lock(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	var known []string
	for _, other := range others {
		if other == user || s.shareLocked(user, other) {
			known = append(known, other)
		}
	}
	return known, nil
}

func (s *Store) shareLocked(a, b string) bool {
	for _, c := range s.memberships[a] {
		if c.members[a].Active() && c.members[b].Active() {
			return true
		}
	}
	return false
}
