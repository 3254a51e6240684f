package bolt

import (
	"encoding/binary"

	"example.com/h5im/store"
)

// state are the counters of the store, written with every commit.
type state struct {
	version        int64
	position       uint64 // of the newest log entry
	numbers        uint32 // of conversations given out
	recordRevision int64
	removed        uint64 // entries that the log had
}

func (s *state) encode() []byte {
	e := newRow(32)
	e.count(s.version)
	e.uint(s.position)
	e.uint(uint64(s.numbers))
	e.count(s.recordRevision)
	if s.removed > 0 {
		e.uint(s.removed)
	}
	return e.seal()
}

func decodeState(row []byte) (state, error) {
	d := openRow(row)
	s := state{version: d.count(), position: d.uint()}
	number := d.uint()
	s.numbers = uint32(number)
	s.recordRevision = d.count()
	if len(d.b) > 0 {
		if s.removed = d.uint(); s.removed == 0 {
			d.fail()
		}
	}
	if number > 1<<32-1 {
		d.fail()
	}
	return s, d.end()
}

// head is a conversation with what the store keeps for itself.
type head struct {
	store.Conversation
	number uint32 // from the key
	owners int    // active owners
	// block holds the positions of the newest Seq%blockSeqs messages: the first
	// as it is, each other as the distance from the one before, all varints.
	block []byte
	last  uint64 // position of the newest message
	// buried is what only a conversation has of which something was pruned.
	buried
}

// buried tells of the messages that were pruned, besides Conversation.Pruned.
type buried struct {
	forgotten       int64 // up to this seq not even a tombstone is left
	count, allCount int64 // of the last that was pruned
}

// encode begins with the version and the id, which sync reads alone.
func (h *head) encode() []byte {
	e := newRow(96 + len(h.ID) + len(h.Title) + len(h.Ext) + len(h.Creator) + len(h.block))
	e.count(h.Version)
	e.str(h.ID)
	e.str(string(h.Kind))
	e.str(h.Title)
	e.bytes(h.Ext)
	e.str(h.Creator)
	e.int(int64(h.CreatedAt))
	e.count(h.Seq)
	e.count(h.Rev)
	e.count(h.MemberRev)
	e.count(h.Count)
	e.count(h.AllCount)
	e.count(h.SettingsRev)
	e.count(int64(h.Members))
	e.uint(uint64(h.Class))
	e.count(int64(h.owners))
	e.uint(h.last)
	e.bytes(h.block)
	if h.Pruned > 0 {
		e.count(h.Pruned)
		e.count(h.forgotten)
		e.count(h.buried.count)
		e.count(h.buried.allCount)
	}
	return e.seal()
}

func decodeHead(number uint32, row []byte) (*head, error) {
	d := openRow(row)
	h := &head{number: number}
	h.Version = d.count()
	h.ID = d.str()
	h.Kind = store.Kind(d.str())
	h.Title = d.str()
	h.Ext = d.bytes()
	h.Creator = d.str()
	h.CreatedAt = store.Millis(d.int())
	h.Seq = d.count()
	h.Rev = d.count()
	h.MemberRev = d.count()
	h.Count = d.count()
	h.AllCount = d.count()
	h.SettingsRev = d.count()
	h.Members = int(d.count())
	class := d.uint()
	h.Class = store.TopicClass(class)
	h.owners = int(d.count())
	h.last = d.uint()
	h.block = d.bytes()
	if len(d.b) > 0 {
		h.Pruned = d.count()
		h.buried = buried{forgotten: d.count(), count: d.count(), allCount: d.count()}
		if h.Pruned == 0 || h.Pruned > h.Seq || h.forgotten > h.Pruned {
			d.fail()
		}
	}
	if class > 255 {
		d.fail()
	}
	if err := d.end(); err != nil {
		return nil, err
	}
	return h, nil
}

// decodeHeadVersion reads the beginning of a head; id is part of the row.
func decodeHeadVersion(row []byte) (version int64, room bool, id []byte, err error) {
	d := openRow(row)
	version = d.count()
	id = d.view(d.uint())
	room = string(d.view(d.uint())) == string(store.Room)
	return version, room, id, d.err
}

// encodeMember writes all but Conversation and User, which are the key. It
// begins with the version, which sync reads alone.
func encodeMember(m *store.Member) []byte {
	e := newRow(64 + len(m.Draft))
	e.count(m.Version)
	e.str(string(m.Role))
	e.int(int64(m.JoinedAt))
	e.int(int64(m.LeftAt))
	e.count(m.Rev)
	e.count(m.Own)
	e.count(m.Read)
	e.count(m.Delivered)
	e.count(m.Seen)
	e.count(m.SeenAll)
	e.uint(bit(m.Starred, 0) | bit(m.Archived, 1))
	e.int(int64(m.MuteUntil))
	e.str(m.Draft)
	return e.seal()
}

func decodeMember(conversation, user string, row []byte) (*store.Member, error) {
	d := openRow(row)
	m := &store.Member{Conversation: conversation, User: user}
	m.Version = d.count()
	m.Role = roleOf(d.view(d.uint()))
	m.JoinedAt = store.Millis(d.int())
	m.LeftAt = store.Millis(d.int())
	m.Rev = d.count()
	m.Own = d.count()
	m.Read = d.count()
	m.Delivered = d.count()
	m.Seen = d.count()
	m.SeenAll = d.count()
	bits := d.uint()
	m.Starred, m.Archived = bits&1 != 0, bits&2 != 0
	m.MuteUntil = store.Millis(d.int())
	m.Draft = d.str()
	if bits > 3 {
		d.fail()
	}
	if err := d.end(); err != nil {
		return nil, err
	}
	return m, nil
}

func decodeMemberVersion(row []byte) (int64, error) {
	d := openRow(row)
	return d.count(), d.err
}

func roleOf(b []byte) store.Role {
	for _, r := range [...]store.Role{store.PlainMember, store.Admin, store.Owner} {
		if string(b) == string(r) {
			return r
		}
	}
	return store.Role(b)
}

// entry is one value of the log. What points to something has the fields that
// name it, a message follows whole.
type entry struct {
	kind   store.ChangeKind
	number uint32
	seq    int64 // of a message
	user   string
	// creator, clientID and fingerprint are those of ConversationCreated.
	creator     string
	clientID    string
	fingerprint store.Fingerprint
}

func (n *entry) encode() []byte {
	e := newRow(48 + len(n.user) + len(n.creator) + len(n.clientID))
	e.uint(uint64(n.kind))
	e.uint(uint64(n.number))
	switch n.kind {
	case store.MessageAmended:
		e.count(n.seq)
	case store.MemberChanged:
		e.str(n.user)
	case store.ConversationCreated:
		e.str(n.creator)
		e.id(n.clientID)
		e.raw(n.fingerprint[:])
	}
	return e.seal()
}

// decodeEntry reads an entry; of a message only its number and seq.
func decodeEntry(row []byte) (entry, error) {
	d := openRow(row)
	kind, number := d.uint(), d.uint()
	n := entry{kind: store.ChangeKind(min(kind, 255)), number: uint32(number)}
	if number > 1<<32-1 {
		d.fail()
	}
	switch n.kind {
	case store.MessageAppended:
		n.seq = d.count()
		return n, d.err
	case store.MessageAmended:
		n.seq = d.count()
	case store.MemberChanged:
		n.user = d.str()
	case store.ConversationCreated:
		n.creator = d.str()
		n.clientID = d.id()
		copy(n.fingerprint[:], d.view(uint64(len(n.fingerprint))))
	case store.ConversationConfigured:
	default:
		d.fail()
	}
	return n, d.end()
}

// Bits of a message row that tell which optional fields follow.
const (
	hasExt = 1 << iota
	hasMentions
	mentionsAll
	hasReplyTo
	hasFlags
	hasEditedAt
	hasExpiresAt
	isRecalled
)

// messageFields encodes what the caller of Append or Amend decides; the
// counters that the transaction assigns come before it.
func messageFields(m *store.Message, f store.Fingerprint) []byte {
	e := encoder{make([]byte, 0, 96+len(m.Content)+len(m.Ext))}
	e.raw(f[:])
	bits := bit(m.Ext != nil, 0) | bit(len(m.Mentions) > 0, 1) | bit(m.MentionAll, 2) |
		bit(m.ReplyTo != 0, 3) | bit(m.Flags != 0, 4) | bit(m.EditedAt != 0, 5) |
		bit(m.ExpiresAt != 0, 6) | bit(m.Recalled != nil, 7)
	e.uint(bits)
	e.id(m.ClientID)
	e.str(m.From)
	e.str(m.ID)
	e.int(int64(m.Time))
	e.str(m.Type)
	e.bytes(m.Content)
	if bits&hasExt != 0 {
		e.bytes(m.Ext)
	}
	if bits&hasMentions != 0 {
		e.uint(uint64(len(m.Mentions)))
		for _, user := range m.Mentions {
			e.str(user)
		}
	}
	if bits&hasReplyTo != 0 {
		e.int(m.ReplyTo)
	}
	if bits&hasFlags != 0 {
		e.uint(uint64(m.Flags))
	}
	if bits&hasEditedAt != 0 {
		e.int(int64(m.EditedAt))
	}
	if bits&hasExpiresAt != 0 {
		e.int(int64(m.ExpiresAt))
	}
	if r := m.Recalled; r != nil {
		e.str(r.By)
		e.int(int64(r.At))
		e.str(r.Reason)
	}
	return e.b
}

// encodeMessage writes a message as its log entry.
func encodeMessage(number uint32, m *store.Message, fields []byte) []byte {
	e := newRow(40 + len(fields))
	e.uint(uint64(store.MessageAppended))
	e.uint(uint64(number))
	e.count(m.Seq)
	e.count(m.Rev)
	e.count(m.Born)
	e.count(m.Count)
	e.count(m.AllCount)
	e.raw(fields)
	return e.seal()
}

// messageCounters are what the store assigned to a message.
type messageCounters struct {
	number          uint32
	seq, rev, born  int64
	count, allCount int64
	rest            decoder
}

func decodeCounters(row []byte) (messageCounters, error) {
	d := openRow(row)
	if d.uint() != uint64(store.MessageAppended) {
		d.fail()
	}
	number := d.uint()
	c := messageCounters{number: uint32(number), seq: d.count(), rev: d.count(), born: d.count(), count: d.count(), allCount: d.count()}
	if number > 1<<32-1 {
		d.fail()
	}
	c.rest = d
	return c, d.err
}

// decodeMessage copies a message out of its row.
func decodeMessage(conversation string, row []byte) (*store.Message, store.Fingerprint, error) {
	m := new(store.Message)
	f, err := readMessage(m, conversation, row)
	if err != nil {
		return nil, f, err
	}
	return m, f, nil
}

// readMessage is decodeMessage into a place of the caller's.
func readMessage(m *store.Message, conversation string, row []byte) (f store.Fingerprint, err error) {
	c, err := decodeCounters(row)
	if err != nil {
		return f, err
	}
	*m = store.Message{Conversation: conversation, Seq: c.seq, Rev: c.rev, Born: c.born, Count: c.count, AllCount: c.allCount}
	d := &c.rest
	copy(f[:], d.view(uint64(len(f))))
	bits := d.uint()
	// The three ids share one allocation.
	var text [store.MaxClientIDBytes + store.MaxUserBytes + store.MaxMessageIDBytes]byte
	ids, n := unpackID(text[:0], d.b)
	d.view(uint64(n))
	if n == 0 {
		d.fail()
	}
	from := len(ids)
	ids = append(ids, d.view(d.uint())...)
	id := len(ids)
	ids = append(ids, d.view(d.uint())...)
	all := string(ids)
	m.ClientID, m.From, m.ID = all[:from], all[from:id], all[id:]
	m.Time = store.Millis(d.int())
	m.Type = typeOf(d.view(d.uint()))
	m.Content = d.bytes()
	if bits&hasExt != 0 {
		m.Ext = append([]byte{}, d.view(d.uint())...)
	}
	if bits&hasMentions != 0 {
		n := d.uint()
		if n == 0 || n > uint64(len(d.b)) {
			d.fail()
			n = 0
		}
		m.Mentions = make([]string, n)
		for i := range m.Mentions {
			m.Mentions[i] = d.str()
		}
	}
	m.MentionAll = bits&mentionsAll != 0
	if bits&hasReplyTo != 0 {
		m.ReplyTo = d.int()
	}
	if bits&hasFlags != 0 {
		flags := d.uint()
		m.Flags = store.Flags(flags)
		if flags > 1<<32-1 {
			d.fail()
		}
	}
	if bits&hasEditedAt != 0 {
		m.EditedAt = store.Millis(d.int())
	}
	if bits&hasExpiresAt != 0 {
		m.ExpiresAt = store.Millis(d.int())
	}
	if bits&isRecalled != 0 {
		m.Recalled = &store.Recall{By: d.str(), At: store.Millis(d.int()), Reason: d.str()}
	}
	if bits > 0xff {
		d.fail()
	}
	return f, d.end()
}

// typeOf spares the commonest types an allocation.
func typeOf(b []byte) string {
	switch string(b) {
	case "text":
		return "text"
	case "image":
		return "image"
	}
	return string(b)
}

func encodeRecord(r *store.Record) []byte {
	e := newRow(24 + len(r.Value))
	e.count(r.Revision)
	e.int(int64(r.ExpiresAt))
	e.bytes(r.Value)
	return e.seal()
}

func decodeRecord(namespace, key string, row []byte) (*store.Record, error) {
	d := openRow(row)
	r := &store.Record{Namespace: namespace, Key: key}
	r.Revision = d.count()
	r.ExpiresAt = store.Millis(d.int())
	r.Value = d.bytes()
	if err := d.end(); err != nil {
		return nil, err
	}
	return r, nil
}

// unpackBlock appends the positions of a block.
func unpackBlock(positions []uint64, block []byte) ([]uint64, error) {
	var last uint64
	for len(block) > 0 {
		v, n := binary.Uvarint(block)
		if n <= 0 || len(positions) == blockSeqs {
			return nil, errRowShape
		}
		last += v
		positions = append(positions, last)
		block = block[n:]
	}
	return positions, nil
}

func encodeBlock(block []byte) []byte {
	e := newRow(len(block))
	e.raw(block)
	return e.seal()
}

func decodeBlock(row []byte) ([]uint64, error) {
	d := openRow(row)
	if d.err != nil {
		return nil, d.err
	}
	return unpackBlock(make([]uint64, 0, blockSeqs), d.b)
}

func bit(set bool, n uint) uint64 {
	if set {
		return 1 << n
	}
	return 0
}
