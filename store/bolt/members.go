package bolt

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"fmt"

	"example.com/h5im/store"
)

// ChangeMembers adds and removes members. See store.Store.
func (s *Store) ChangeMembers(ctx context.Context, c store.MembersChange) (store.MembersChanged, error) {
	if err := c.Validate(); err != nil {
		return store.MembersChanged{}, err
	}
	var changed store.MembersChanged
	err := s.update(ctx, 200*(len(c.Add)+len(c.Remove)), func(b *batch) (err error) {
		changed, err = b.changeMembers(&c)
		return err
	})
	if err != nil {
		return store.MembersChanged{}, err
	}
	return changed, nil
}

func (b *batch) changeMembers(c *store.MembersChange) (changed store.MembersChanged, err error) {
	h, err := b.headByID(c.Conversation)
	if err != nil {
		return changed, err
	}
	plan, err := b.planMembers(h, c)
	if err != nil {
		return changed, err
	}
	after := h.Members + len(plan.joins) - len(plan.leaves)
	switch {
	case len(plan.joins)+len(plan.leaves) == 0:
		return store.MembersChanged{Conversation: h.conversation()}, nil
	case c.Limit > 0 && after > c.Limit && after > h.Members:
		return changed, fmt.Errorf("bolt: %d members of %q: %w", after, h.ID, store.ErrTooMany)
	case h.Kind == store.Group && h.owners > 0 && h.owners+plan.owners == 0:
		return changed, fmt.Errorf("bolt: conversation %q: %w", h.ID, store.ErrLastOwner)
	}
	h.MemberRev++
	b.touchHead(h)
	for _, j := range plan.joins {
		changed.Members = append(changed.Members, *b.join(h, j.row, j.NewMember, c.Time))
	}
	for _, m := range plan.leaves {
		b.leave(h, m, c.Time)
		changed.Members = append(changed.Members, *m)
	}
	for i := range changed.Members {
		e := entry{kind: store.MemberChanged, number: h.number, user: changed.Members[i].User}
		b.log(e.encode())
	}
	changed.Conversation = h.conversation()
	return changed, nil
}

// membersPlan is what a change really changes, each user once.
type membersPlan struct {
	joins  []joining
	leaves []*store.Member
	owners int // more of them
}

type joining struct {
	store.NewMember
	row *store.Member // of one who was a member before
}

func (b *batch) planMembers(h *head, c *store.MembersChange) (p membersPlan, err error) {
	done := make(map[string]bool, len(c.Add)+len(c.Remove))
	for _, n := range c.Add {
		if done[n.User] {
			continue
		}
		done[n.User] = true
		m, err := b.member(h, n.User)
		if err != nil {
			return p, err
		}
		if m == nil && h.Kind == store.Direct {
			return p, fmt.Errorf("bolt: user %q is no end of %q: %w", n.User, h.ID, store.ErrInvalid)
		}
		if !m.Active() {
			p.joins = append(p.joins, joining{n, m})
			if n.Role == store.Owner {
				p.owners++
			}
		}
	}
	for _, user := range c.Remove {
		if done[user] {
			continue
		}
		done[user] = true
		m, err := b.member(h, user)
		if err != nil {
			return p, err
		}
		if m.Active() {
			p.leaves = append(p.leaves, m)
			if m.Role == store.Owner {
				p.owners--
			}
		}
	}
	return p, nil
}

// join makes a user a member at the head's memberRev; row is that of one who
// was a member before, or nil.
func (b *batch) join(h *head, row *store.Member, n store.NewMember, now store.Millis) *store.Member {
	if row == nil {
		row = &store.Member{Conversation: h.ID, User: n.User}
	}
	row.Role = cmp.Or(n.Role, store.PlainMember)
	row.JoinedAt, row.LeftAt = now, 0
	row.Seen, row.SeenAll = h.Count, h.AllCount
	b.stampMember(h, row)
	b.put(bucketMemberships, membershipKey(n.User, h.number), []byte{1})
	h.Members++
	if row.Role == store.Owner {
		h.owners++
	}
	if h.Members > store.SmallConversation {
		h.Class = store.TopicConversation
	}
	return row
}

func (b *batch) leave(h *head, m *store.Member, now store.Millis) {
	m.LeftAt = now
	b.stampMember(h, m)
	b.put(bucketMemberships, membershipKey(m.User, h.number), []byte{0})
	h.Members--
	if m.Role == store.Owner {
		h.owners--
	}
}

// stampMember moves a row to the head's memberRev.
func (b *batch) stampMember(h *head, m *store.Member) {
	if m.Rev != 0 {
		b.delete(bucketMemberRevs, memberRevKey(h.number, m.Rev, m.User))
	}
	m.Rev = h.MemberRev
	b.put(bucketMemberRevs, memberRevKey(h.number, m.Rev, m.User), nil)
	b.touchMember(h, m)
}

// Members reads member rows. See store.Store.
func (s *Store) Members(ctx context.Context, q store.MembersQuery) (store.MembersPage, error) {
	if err := q.Validate(); err != nil {
		return store.MembersPage{}, err
	}
	var page store.MembersPage
	err := s.view(ctx, func(r reader) error {
		h, err := r.headByID(q.Conversation)
		if err != nil {
			return err
		}
		page.MemberRev = h.MemberRev
		switch {
		case q.Users != nil:
			for _, user := range q.Users {
				m, err := r.member(h, user)
				if err != nil {
					return err
				}
				if m != nil {
					page.Members = append(page.Members, *m)
				}
			}
			return nil
		case q.Since > 0:
			return r.membersSince(h, &q, &page)
		}
		return r.eachMember(h, q.After, func(m *store.Member) bool {
			if !m.Active() {
				return true
			}
			if page.More = len(page.Members) == q.Limit; !page.More {
				page.Members = append(page.Members, *m)
			}
			return !page.More
		})
	})
	if err != nil {
		return store.MembersPage{}, err
	}
	return page, nil
}

// membersSince walks the index by memberRev.
func (r reader) membersSince(h *head, q *store.MembersQuery, page *store.MembersPage) error {
	prefix := numberKey(h.number)
	from := editKey(h.number, q.Since+1)
	if q.AfterRev > q.Since {
		from = memberRevKey(h.number, q.AfterRev, q.After)
	}
	c := r.bucket(bucketMemberRevs).Cursor()
	for k, _ := c.Seek(from); bytes.HasPrefix(k, prefix); k, _ = c.Next() {
		if len(k) <= len(prefix)+8 {
			return damaged(bucketMemberRevs, k, errRowShape)
		}
		rev := int64(binary.BigEndian.Uint64(k[len(prefix):]))
		user := string(k[len(prefix)+8:])
		if rev == q.AfterRev && user <= q.After {
			continue
		}
		m, err := r.member(h, user)
		if err == nil && (m == nil || m.Rev != rev) {
			err = damaged(bucketMemberRevs, k, errRowShape)
		}
		if err != nil {
			return err
		}
		if len(page.Members) == q.Limit {
			page.More = true
			return nil
		}
		page.Members = append(page.Members, *m)
	}
	return nil
}

// Acquainted answers which of others share a conversation with user. See
// store.Store.
func (s *Store) Acquainted(ctx context.Context, user string, others []string) ([]string, error) {
	if err := store.ValidateAcquainted(user, others); err != nil {
		return nil, err
	}
	var known []string
	err := s.view(ctx, func(r reader) error {
		mine := map[uint32]bool{}
		err := r.eachMembership(user, func(number uint32, active bool) (bool, error) {
			if active {
				mine[number] = true
			}
			return true, nil
		})
		if err != nil {
			return err
		}
		for _, other := range others {
			shared := other == user
			if !shared {
				err := r.eachMembership(other, func(number uint32, active bool) (bool, error) {
					shared = active && mine[number]
					return !shared, nil
				})
				if err != nil {
					return err
				}
			}
			if shared {
				known = append(known, other)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return known, nil
}
