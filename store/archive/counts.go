package archive

import "example.com/h5im/store"

// counts are a conversation's counters at one of its messages.
type counts struct{ seq, count, all int64 }

func countsOf(m *store.Message) counts { return counts{m.Seq, m.Count, m.AllCount} }

// counted tells what a message counted as, where it was amended since: as unread,
// and as one that mentions all.
type counted struct {
	Unread bool `json:"unread,omitempty"`
	All    bool `json:"all,omitempty"`
}

// countedNow is what a message would count as.
func countedNow(m *store.Message) counted {
	unread := m.Flags&store.NoUnread == 0
	return counted{unread, unread && m.MentionAll}
}

// add counts another message.
func (c counts) add(as counted) counts {
	c.seq++
	if as.Unread {
		c.count++
	}
	if as.All {
		c.all++
	}
	return c
}

// before is where a message is added to.
func (c counts) before(as counted) counts {
	c.seq--
	if as.Unread {
		c.count--
	}
	if as.All {
		c.all--
	}
	return c
}

// countedAs finds what a message counted as from the counts of the last one that
// is there. Where others are gone between them this may be open; then it must
// only be possible for what the members have seen.
func countedAs(m *store.Message, last counts, members []store.Member) counted {
	now, gone := countedNow(m), m.Seq-last.seq-1
	decide := func(more int64, otherwise bool, isSeen func(*store.Member) bool) bool {
		switch more {
		case 0:
			return false
		case gone + 1:
			return true
		}
		for i := range members {
			if isSeen(&members[i]) {
				return true
			}
		}
		return otherwise
	}
	count, all := m.Count-last.count, m.AllCount-last.all
	was := counted{
		Unread: decide(count, now.Unread, func(row *store.Member) bool { return row.Seen == m.Count-1 }),
		All:    decide(all, now.All, func(row *store.Member) bool { return row.SeenAll == m.AllCount-1 }),
	}
	if was.Unread && !was.All && all == count {
		was.Unread = false // none that is gone counted as all alone
	}
	was.All = was.All && was.Unread
	return was
}
