package wire

// What comes before the params of the event "message".
const (
	jsonMessageEvent    = `{"jsonrpc":"2.0","method":"message","params":`
	msgpackMessageEvent = "\x83\xa7jsonrpc\xa32.0\xa6method\xa7message\xa6params"
)

func (c *codec) AppendMessageEvent(dst []byte, m *Message) []byte {
	if _, ok := c.n.(jsonNotation); ok {
		dst = append(dst, jsonMessageEvent...)
	} else {
		dst = append(dst, msgpackMessageEvent...)
	}
	return c.n.endObject(appendMessage(c.n, dst, m))
}

// appendMessage writes m as its struct tags say, without reflection: this is
// what a server does most.
func appendMessage(n notation, dst []byte, m *Message) []byte {
	fields := 10
	for _, present := range [...]bool{
		m.AllCount != 0, !m.Mentions.IsZero(), m.ReplyTo != 0, len(m.Flags) > 0, m.EditedAt != 0, m.Recalled != nil, m.ExpiresAt != 0, len(m.Ext) > 0,
	} {
		if present {
			fields++
		}
	}
	dst = n.object(dst, fields)
	dst = n.text(n.key(dst, "conversation"), m.Conversation)
	dst = n.integer(n.key(dst, "seq"), m.Seq)
	dst = n.integer(n.key(dst, "rev"), m.Rev)
	dst = n.integer(n.key(dst, "count"), m.Count)
	if m.AllCount != 0 {
		dst = n.integer(n.key(dst, "allCount"), m.AllCount)
	}
	dst = n.text(n.key(dst, "id"), m.ID)
	dst = n.text(n.key(dst, "clientId"), m.ClientID)
	dst = n.text(n.key(dst, "from"), m.From)
	dst = n.integer(n.key(dst, "time"), m.Time)
	dst = n.text(n.key(dst, "type"), m.Type)
	dst = appendObject(n, n.key(dst, "content"), m.Content)
	if !m.Mentions.IsZero() {
		dst = m.Mentions.append(n, n.key(dst, "mentions"))
	}
	if m.ReplyTo != 0 {
		dst = n.integer(n.key(dst, "replyTo"), m.ReplyTo)
	}
	if len(m.Flags) > 0 {
		dst = n.array(n.key(dst, "flags"), len(m.Flags))
		for _, flag := range m.Flags {
			dst = n.text(n.item(dst), flag)
		}
		dst = n.endArray(dst)
	}
	if m.EditedAt != 0 {
		dst = n.integer(n.key(dst, "editedAt"), m.EditedAt)
	}
	if m.Recalled != nil {
		dst = m.Recalled.append(n, n.key(dst, "recalled"))
	}
	if m.ExpiresAt != 0 {
		dst = n.integer(n.key(dst, "expiresAt"), m.ExpiresAt)
	}
	if len(m.Ext) > 0 {
		dst = appendObject(n, n.key(dst, "ext"), m.Ext)
	}
	return n.endObject(dst)
}

func (r *Recall) append(n notation, dst []byte) []byte {
	fields := 2
	if r.Reason != "" {
		fields = 3
	}
	dst = n.object(dst, fields)
	dst = n.text(n.key(dst, "by"), r.By)
	dst = n.integer(n.key(dst, "at"), r.At)
	if r.Reason != "" {
		dst = n.text(n.key(dst, "reason"), r.Reason)
	}
	return n.endObject(dst)
}
