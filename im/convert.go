package im

import (
	"example.com/h5im/im/wire"
	"example.com/h5im/store"
)

// The records on the disk and the shapes on the wire change independently; this
// is where they meet.

func toWireMessage(m *store.Message) wire.Message {
	w := wire.Message{
		Conversation: m.Conversation, Seq: m.Seq, Rev: m.Rev, Count: m.Count, AllCount: m.AllCount, ID: m.ID, ClientID: m.ClientID,
		From: m.From, Time: int64(m.Time), Type: m.Type, Content: m.Content,
		Mentions: wire.Mentions{Users: m.Mentions, All: m.MentionAll}, ReplyTo: m.ReplyTo, Flags: fromFlags(m.Flags),
		EditedAt: int64(m.EditedAt), ExpiresAt: int64(m.ExpiresAt), Ext: m.Ext,
	}
	if m.Recalled != nil {
		w.Recalled = &wire.Recall{By: m.Recalled.By, At: int64(m.Recalled.At), Reason: m.Recalled.Reason}
	}
	if w.Content == nil {
		w.Content = wire.Object("{}")
	}
	return w
}

func toWireMessages(list []store.Message) []wire.Message {
	out := make([]wire.Message, len(list))
	for i := range list {
		out[i] = toWireMessage(&list[i])
	}
	return out
}

var flagNames = []struct {
	flag store.Flags
	name string
}{{store.NoUnread, "noUnread"}, {store.NoPush, "noPush"}}

func fromFlags(f store.Flags) (names []string) {
	if f == 0 {
		return nil
	}
	for _, n := range flagNames {
		if f&n.flag != 0 {
			names = append(names, n.name)
		}
	}
	return names
}

func toFlags(names []string) (f store.Flags, err error) {
next:
	for i, name := range names {
		for _, n := range flagNames {
			if n.name == name {
				f |= n.flag
				continue next
			}
		}
		return 0, ErrInvalidArgument.With("this flag is not known").At(index("flags", i))
	}
	return f, nil
}

// toWireConversation is a conversation as a member sees it. m may be nil. users
// are the members where the caller knows them; of a direct one they tell the peer.
func toWireConversation(c *store.Conversation, m *store.Member, user string, users []string) *wire.Conversation {
	w := &wire.Conversation{
		ID: c.ID, Kind: string(c.Kind), Title: c.Title, Ext: c.Ext, Creator: c.Creator, CreatedAt: int64(c.CreatedAt),
		Seq: c.Seq, Rev: c.Rev, MemberRev: c.MemberRev, Members: c.Members, Count: c.Count, AllCount: c.AllCount,
	}
	if c.Pruned > 0 {
		w.FirstSeq = c.Pruned + 1
	}
	if m != nil {
		w.Role, w.Own, w.Seen, w.SeenAll, w.ReadSeq = string(m.Role), m.Own, m.Seen, m.SeenAll, m.Read
		w.Unread, w.MentionsUnread = m.Unread(c), max(0, c.AllCount-m.SeenAll)
		w.Starred, w.Archived, w.MuteUntil, w.Draft = m.Starred, m.Archived, int64(m.MuteUntil), m.Draft
	}
	if c.Kind == store.Direct {
		for _, u := range users {
			if u != user {
				w.Peer = u
			}
		}
	}
	return w
}

func toWireRow(r *store.SyncRow, user string) *wire.Conversation {
	c := &r.Conversation
	if r.Member.LeftAt != 0 {
		return &wire.Conversation{ID: c.ID, Kind: string(c.Kind), Left: true}
	}
	w := toWireConversation(c, &r.Member, user, nil)
	if r.Last != nil {
		m := toWireMessage(r.Last)
		w.LastMessage = &m
	}
	if r.Peer != nil {
		w.Peer = r.Peer.User
		w.Markers = []wire.Marker{toWireMarker(r.Peer)}
	}
	return w
}

func toWireOwn(c *store.Conversation, m *store.Member) *wire.OwnResult {
	return &wire.OwnResult{
		Conversation: c.ID, Own: m.Own, Seen: m.Seen, SeenAll: m.SeenAll, Unread: m.Unread(c), MentionsUnread: max(0, c.AllCount-m.SeenAll),
		ReadSeq: m.Read, Starred: m.Starred, Archived: m.Archived, MuteUntil: int64(m.MuteUntil), Draft: m.Draft,
	}
}

func toWireMarker(m *store.Member) wire.Marker {
	return wire.Marker{User: m.User, Read: m.Read, Delivered: m.Delivered}
}

func toWireMember(m *store.Member, p *wire.Profile) wire.Member {
	return wire.Member{
		User: m.User, Role: string(m.Role), JoinedAt: int64(m.JoinedAt), Left: !m.Active(), Rev: m.Rev, Profile: p,
	}
}
