package archive

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"

	"example.com/h5im/store"
)

// line is one of its fields.
type line struct {
	Archive      *header       `json:"archive,omitempty"`
	Conversation *conversation `json:"conversation,omitempty"`
	Member       *member       `json:"member,omitempty"`
	Gone         *gone         `json:"gone,omitempty"`
	Message      *message      `json:"message,omitempty"`
	End          *end          `json:"end,omitempty"`
}

type header struct {
	Version int `json:"version"`
}

type conversation struct {
	ID        text         `json:"id"`
	Kind      store.Kind   `json:"kind"`
	Title     text         `json:"title,omitempty"`
	Ext       object       `json:"ext,omitempty"`
	Creator   text         `json:"creator,omitempty"`
	CreatedAt store.Millis `json:"createdAt,omitempty"`
}

type member struct {
	User      text         `json:"user"`
	Role      store.Role   `json:"role,omitempty"`
	JoinedAt  store.Millis `json:"joinedAt,omitempty"`
	LeftAt    store.Millis `json:"leftAt,omitempty"`
	Read      int64        `json:"read,omitempty"`
	Delivered int64        `json:"delivered,omitempty"`
	Seen      *int64       `json:"seen,omitempty"`
	SeenAll   *int64       `json:"seenAll,omitempty"`
	Starred   bool         `json:"starred,omitempty"`
	Archived  bool         `json:"archived,omitempty"`
	MuteUntil store.Millis `json:"muteUntil,omitempty"`
	Draft     text         `json:"draft,omitempty"`
}

// gone stands for the messages up to a seq that were pruned, or are not
// readable any more: the counts are those of the last of them.
type gone struct {
	To       int64 `json:"to"`
	Count    int64 `json:"count,omitempty"`
	AllCount int64 `json:"allCount,omitempty"`
}

type message struct {
	Seq        int64        `json:"seq,omitempty"`
	ID         text         `json:"id,omitempty"`
	ClientID   text         `json:"clientId,omitempty"`
	From       text         `json:"from,omitempty"`
	Time       store.Millis `json:"time,omitempty"`
	Type       text         `json:"type"`
	Content    object       `json:"content,omitempty"`
	Ext        object       `json:"ext,omitempty"`
	Mentions   []text       `json:"mentions,omitempty"`
	MentionAll bool         `json:"mentionAll,omitempty"`
	ReplyTo    int64        `json:"replyTo,omitempty"`
	Flags      flags        `json:"flags,omitempty"`
	Counted    *counted     `json:"counted,omitempty"`
	EditedAt   store.Millis `json:"editedAt,omitempty"`
	ExpiresAt  store.Millis `json:"expiresAt,omitempty"`
	Recalled   *recall      `json:"recalled,omitempty"`
}

type recall struct {
	By     text         `json:"by,omitempty"`
	At     store.Millis `json:"at,omitempty"`
	Reason text         `json:"reason,omitempty"`
}

type end struct {
	Conversations *int64 `json:"conversations,omitempty"`
	Members       *int64 `json:"members,omitempty"`
	Messages      *int64 `json:"messages,omitempty"`
}

func conversationOf(c *store.Conversation) *conversation {
	return &conversation{
		ID: text(c.ID), Kind: c.Kind, Title: text(c.Title), Ext: c.Ext, Creator: text(c.Creator), CreatedAt: c.CreatedAt,
	}
}

func (c *conversation) record() store.NewConversation {
	return store.NewConversation{
		ID: string(c.ID), Kind: c.Kind, Settings: store.Settings{Title: string(c.Title), Ext: c.Ext},
		Creator: string(c.Creator), Time: c.CreatedAt,
	}
}

func memberOf(m *store.Member) *member {
	return &member{
		User: text(m.User), Role: m.Role, JoinedAt: m.JoinedAt, LeftAt: m.LeftAt,
		Read: m.Read, Delivered: m.Delivered, Seen: &m.Seen, SeenAll: &m.SeenAll,
		Starred: m.Starred, Archived: m.Archived, MuteUntil: m.MuteUntil, Draft: text(m.Draft),
	}
}

func (m *member) settings() store.OwnSettings {
	return store.OwnSettings{Starred: m.Starred, Archived: m.Archived, MuteUntil: m.MuteUntil, Draft: string(m.Draft)}
}

func messageOf(m *store.Message) *message {
	l := &message{
		Seq: m.Seq, ID: text(m.ID), ClientID: text(m.ClientID), From: text(m.From), Time: m.Time, Type: text(m.Type),
		Content: m.Content, Ext: m.Ext, MentionAll: m.MentionAll, ReplyTo: m.ReplyTo, Flags: flags(m.Flags),
		EditedAt: m.EditedAt, ExpiresAt: m.ExpiresAt,
	}
	for _, user := range m.Mentions {
		l.Mentions = append(l.Mentions, text(user))
	}
	if r := m.Recalled; r != nil {
		l.Recalled = &recall{By: text(r.By), At: r.At, Reason: text(r.Reason)}
	}
	return l
}

func (l *message) record(conversation string) store.Message {
	m := store.Message{
		Conversation: conversation, ID: string(l.ID), ClientID: string(l.ClientID), From: string(l.From), Time: l.Time,
		Type: string(l.Type), Content: l.Content, Ext: l.Ext, MentionAll: l.MentionAll, ReplyTo: l.ReplyTo,
		Flags: store.Flags(l.Flags), EditedAt: l.EditedAt, ExpiresAt: l.ExpiresAt,
	}
	for _, user := range l.Mentions {
		m.Mentions = append(m.Mentions, string(user))
	}
	if r := l.Recalled; r != nil {
		m.Recalled = &store.Recall{By: string(r.By), At: r.At, Reason: string(r.Reason)}
	}
	return m
}

// parse reads a line strictly.
func parse(b []byte) (line, error) {
	var l line
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&l); err != nil {
		return l, err
	}
	if d.InputOffset() != int64(len(bytes.TrimRight(b, " \t\r"))) {
		return l, errors.New("something follows the object")
	}
	kinds := 0
	for _, is := range []bool{
		l.Archive != nil, l.Conversation != nil, l.Member != nil, l.Gone != nil, l.Message != nil, l.End != nil,
	} {
		if is {
			kinds++
		}
	}
	if kinds != 1 {
		return l, errors.New("a line is one of archive, conversation, member, gone, message and end")
	}
	return l, nil
}

// text is a string that may hold any bytes.
type text string

func (t text) MarshalJSON() ([]byte, error) {
	if !utf8.ValidString(string(t)) {
		return json.Marshal(encoded{[]byte(t)})
	}
	return json.Marshal(string(t))
}

func (t *text) UnmarshalJSON(b []byte) error {
	if isEncoded(b) {
		raw, err := decode(b)
		*t = text(raw)
		return err
	}
	if b[0] != '"' {
		return fmt.Errorf("%.20s is no string", b)
	}
	var s string
	err := json.Unmarshal(b, &s)
	*t = text(s)
	return err
}

// object is JSON as it is stored, to the byte, and whatever else is stored in
// its place.
type object []byte

func (o object) MarshalJSON() ([]byte, error) {
	var compact bytes.Buffer
	if o[0] != '{' || isEncoded(o) || !utf8.Valid(o) || json.Compact(&compact, o) != nil || !bytes.Equal(compact.Bytes(), o) {
		return json.Marshal(encoded{o})
	}
	return o, nil
}

func (o *object) UnmarshalJSON(b []byte) (err error) {
	switch {
	case isEncoded(b):
		*o, err = decode(b)
	case b[0] != '{':
		err = fmt.Errorf("%.20s is no object", b)
	default:
		*o = bytes.Clone(b)
	}
	return err
}

// encoded stands for bytes that cannot be written as they are.
type encoded struct {
	Base64 []byte `json:"base64"`
}

// isEncoded: the first key of an object is base64.
func isEncoded(b []byte) bool {
	const space = " \t\r\n"
	rest, is := bytes.CutPrefix(b, []byte("{"))
	return is && bytes.HasPrefix(bytes.TrimLeft(rest, space), []byte(`"base64"`))
}

func decode(b []byte) ([]byte, error) {
	var e encoded
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	err := d.Decode(&e)
	return e.Base64, err
}

var flagNames = map[store.Flags]string{store.NoUnread: "noUnread", store.NoPush: "noPush"}

// flags are names; one that has none is its bit.
type flags store.Flags

func (f flags) MarshalJSON() ([]byte, error) {
	var names []string
	for bit := store.Flags(1); bit != 0; bit <<= 1 {
		if store.Flags(f)&bit == 0 {
			continue
		}
		name, known := flagNames[bit]
		if !known {
			name = fmt.Sprintf("%#x", bit)
		}
		names = append(names, name)
	}
	return json.Marshal(names)
}

func (f *flags) UnmarshalJSON(b []byte) error {
	var names []string
	if err := json.Unmarshal(b, &names); err != nil {
		return err
	}
	for _, name := range names {
		bit, err := strconv.ParseUint(name, 0, 32)
		for b, known := range flagNames {
			if known == name {
				bit, err = uint64(b), nil
			}
		}
		if err != nil {
			return fmt.Errorf("flag %q is not known", name)
		}
		*f |= flags(bit)
	}
	return nil
}
