package store

import "fmt"

// Lengths in bytes that every implementation enforces with ErrInvalid. What
// the bytes are is the caller's affair: an id may hold any of them.
const (
	MaxConversationBytes = 128
	MaxUserBytes         = 128
	MaxClientIDBytes     = 64
	MaxTypeBytes         = 64
	MaxMessageIDBytes    = 32
	MaxNamespaceBytes    = 64
	MaxKeyBytes          = 512
	// MaxValueBytes is for what has no limit of its own, together: content, ext,
	// mentions and recall of a message; title and ext; a draft; a record's
	// value. It only keeps every row one that can be read again: whoever faces
	// users has limits far below it.
	MaxValueBytes = 16 << 20
)

// Expired tells whether the message is absent for a reader at now: from
// ExpiresAt on. At now 0 nothing is expired.
func (m *Message) Expired(now Millis) bool { return m.ExpiresAt != 0 && m.ExpiresAt <= now }

// Expired tells whether the record counts as absent at now; see Message.Expired.
func (r *Record) Expired(now Millis) bool { return r.ExpiresAt != 0 && r.ExpiresAt <= now }

// ValidateConversation checks the id of a conversation.
func ValidateConversation(id string) error {
	return checkBytes("conversation id", id, 1, MaxConversationBytes)
}

// ValidateUser checks the id of a user.
func ValidateUser(user string) error { return checkBytes("user", user, 1, MaxUserBytes) }

// ValidateConversationUser checks the arguments of Store.Conversation: the
// user may be "".
func ValidateConversationUser(id, user string) error {
	return first(ValidateConversation(id), checkBytes("user", user, 0, MaxUserBytes))
}

// ValidateOwn checks the arguments of Store.SetOwn.
func ValidateOwn(conversation, user string) error {
	return first(ValidateConversation(conversation), ValidateUser(user))
}

// ValidateAmend checks the arguments of Store.Amend.
func ValidateAmend(conversation string, seq int64) error {
	return first(ValidateConversation(conversation), checkFrom("seq", seq, 1))
}

// ValidateLookup checks the arguments of Store.Lookup: from "" is the host.
func ValidateLookup(from, clientID string) error {
	return first(
		checkBytes("user", from, 0, MaxUserBytes),
		checkBytes("clientId", clientID, 1, MaxClientIDBytes),
	)
}

// ValidateAcquainted checks the arguments of Store.Acquainted.
func ValidateAcquainted(user string, others []string) error {
	return first(ValidateUser(user), each(others, ValidateUser))
}

// ValidateConversations checks the arguments of Store.Conversations.
func ValidateConversations(after string, limit int) error {
	return first(checkBytes("after", after, 0, MaxConversationBytes), checkFrom("limit", int64(limit), 1))
}

// Validate checks what does not depend on the store's content.
func (q *PruneQuery) Validate() error {
	return first(
		ValidateConversation(q.Conversation),
		checkFrom("before", int64(q.Before), 0),
		checkFrom("forget", int64(q.Forget), 0),
		checkFrom("limit", int64(q.Limit), 1),
	)
}

// ValidateFeed checks the arguments of Store.Feed.
func ValidateFeed(after Position, limit int) error {
	return first(checkFrom("position", int64(after), 0), checkFrom("limit", int64(limit), 1))
}

// Validate checks what does not depend on the store's content.
func (c *NewConversation) Validate() error {
	err := first(
		ValidateConversation(c.ID),
		checkBytes("creator", c.Creator, 0, MaxUserBytes),
		checkBytes("clientId", c.ClientID, 0, MaxClientIDBytes),
		checkFrom("time", int64(c.Time), 0),
		c.Settings.Validate(),
		each(c.Members, validateNewMember),
	)
	switch {
	case err != nil:
		return err
	case c.Kind != Direct && c.Kind != Group && c.Kind != Room:
		return invalid("kind %q", c.Kind)
	case c.Kind == Direct && len(c.Members) != 2:
		return invalid("a direct conversation has 2 members, not %d", len(c.Members))
	}
	return nil
}

// Validate checks what does not depend on the store's content.
func (a *Append) Validate() error {
	from := 1
	if a.As == AsHost {
		from = 0
	}
	err := first(
		ValidateConversation(a.Message.Conversation),
		checkBytes("from", a.Message.From, from, MaxUserBytes),
		checkBytes("clientId", a.Message.ClientID, 1, MaxClientIDBytes),
		a.Message.Validate(),
		each(a.Records, func(w RecordWrite) error { return w.Validate() }),
	)
	switch {
	case err != nil:
		return err
	case a.As > AsHost:
		return invalid("access %d", a.As)
	case a.Open != nil:
		return each(a.Open[:], ValidateUser)
	}
	return nil
}

// Validate checks what a caller gives of a message, at its append and as an
// amendment leaves it.
func (m *Message) Validate() error {
	size := len(m.Content) + len(m.Ext)
	for _, user := range m.Mentions {
		size += len(user)
	}
	if r := m.Recalled; r != nil {
		size += len(r.By) + len(r.Reason)
	}
	return first(
		checkValue("message", size),
		checkBytes("message id", m.ID, 1, MaxMessageIDBytes),
		checkBytes("type", m.Type, 1, MaxTypeBytes),
		each(m.Mentions, ValidateUser),
		checkFrom("replyTo", m.ReplyTo, 0),
		checkFrom("time", int64(m.Time), 0),
		checkFrom("editedAt", int64(m.EditedAt), 0),
		checkFrom("expiresAt", int64(m.ExpiresAt), 0),
	)
}

// Validate checks settings, at a creation and as a change leaves them.
func (s *Settings) Validate() error { return checkValue("settings", len(s.Title)+len(s.Ext)) }

// Validate checks own settings as a change leaves them.
func (o *OwnSettings) Validate() error { return checkValue("draft", len(o.Draft)) }

// Validate checks what does not depend on the store's content. Time must be
// positive, since LeftAt 0 means a member who has not left; a user may be
// added or removed, not both.
func (c *MembersChange) Validate() error {
	err := first(
		ValidateConversation(c.Conversation),
		each(c.Add, validateNewMember),
		each(c.Remove, ValidateUser),
		checkFrom("time", int64(c.Time), 1),
	)
	if err != nil {
		return err
	}
	added := make(map[string]bool, len(c.Add))
	for _, m := range c.Add {
		added[m.User] = true
	}
	for _, user := range c.Remove {
		if added[user] {
			return invalid("user %q is added and removed", user)
		}
	}
	return nil
}

// Validate checks what does not depend on the store's content.
func (m *Mark) Validate() error {
	return first(
		ValidateConversation(m.Conversation), ValidateUser(m.User),
		checkFrom("read", m.Read, 0), checkFrom("delivered", m.Delivered, 0),
	)
}

// Validate checks a query. Seq is not looked at for Newest.
func (q *MessagesQuery) Validate() error {
	err := first(
		ValidateConversation(q.Conversation),
		checkFrom("limit", int64(q.Limit), 1), checkFrom("now", int64(q.Now), 0),
	)
	switch {
	case err != nil:
		return err
	case q.Anchor > Around:
		return invalid("anchor %d", q.Anchor)
	case q.Anchor == Newest:
		return nil
	}
	return checkFrom("seq", q.Seq, 0)
}

// Validate checks a query.
func (q *ChangesQuery) Validate() error {
	return first(
		ValidateConversation(q.Conversation), checkFrom("rev", q.Rev, 0),
		each(q.Within, func(r SeqRange) error { return first(checkFrom("from", r.From, 0), checkFrom("to", r.To, 0)) }),
		checkFrom("limit", int64(q.Limit), 1), checkFrom("now", int64(q.Now), 0),
	)
}

// Validate checks a query. Where Users is not nil only those are looked at.
func (q *MembersQuery) Validate() error {
	if q.Users != nil {
		return first(ValidateConversation(q.Conversation), each(q.Users, ValidateUser))
	}
	return first(
		ValidateConversation(q.Conversation), checkFrom("since", q.Since, 0),
		checkBytes("after", q.After, 0, MaxUserBytes), checkFrom("afterRev", q.AfterRev, 0),
		checkFrom("limit", int64(q.Limit), 1),
	)
}

// Validate checks a query.
func (q *SyncQuery) Validate() error {
	return first(
		ValidateUser(q.User), checkFrom("from", q.From, 0), checkFrom("to", q.To, 0),
		checkFrom("afterVersion", q.AfterVersion, 0), checkBytes("afterId", q.AfterID, 0, MaxConversationBytes),
		checkFrom("limit", int64(q.Limit), 1), checkFrom("now", int64(q.Now), 0),
	)
}

// ValidateRecord checks the name of a record.
func ValidateRecord(namespace, key string) error {
	return first(
		checkBytes("namespace", namespace, 1, MaxNamespaceBytes),
		checkBytes("key", key, 1, MaxKeyBytes),
	)
}

// Validate checks what does not depend on the store's content.
func (w *RecordWrite) Validate() error {
	return first(
		ValidateRecord(w.Namespace, w.Key),
		checkValue("value", len(w.Value)),
		checkFrom("revision", w.If, NoRecord),
		checkFrom("expiresAt", int64(w.ExpiresAt), 0), checkFrom("now", int64(w.Now), 0),
	)
}

// Validate checks a query.
func (q *RecordsQuery) Validate() error {
	return first(
		checkBytes("namespace", q.Namespace, 1, MaxNamespaceBytes),
		checkBytes("prefix", q.Prefix, 0, MaxKeyBytes), checkBytes("after", q.After, 0, MaxKeyBytes),
		checkFrom("limit", int64(q.Limit), 1), checkFrom("now", int64(q.Now), 0),
	)
}

func validateNewMember(m NewMember) error {
	if m.Role != "" && m.Role != Owner && m.Role != Admin && m.Role != PlainMember {
		return invalid("role %q", m.Role)
	}
	return ValidateUser(m.User)
}

func checkBytes(what, s string, least, most int) error {
	if len(s) < least || len(s) > most {
		return invalid("%s of %d bytes, wanted %d to %d", what, len(s), least, most)
	}
	return nil
}

func checkValue(what string, size int) error {
	if size > MaxValueBytes {
		return invalid("%s of %d bytes, wanted at most %d", what, size, MaxValueBytes)
	}
	return nil
}

func checkFrom(what string, n, least int64) error {
	if n < least {
		return invalid("%s %d, wanted at least %d", what, n, least)
	}
	return nil
}

func each[T any](list []T, check func(T) error) error {
	for _, v := range list {
		if err := check(v); err != nil {
			return err
		}
	}
	return nil
}

func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrInvalid}, args...)...)
}
