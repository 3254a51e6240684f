package bolt

import (
	"encoding/binary"
	"fmt"

	"go.etcd.io/bbolt"

	"example.com/h5im/store"
)

// batch is the transaction of a drain. Heads and member rows, which the writes
// of a drain touch again and again, are kept decoded and written once.
//
// A write checks everything before it changes anything: whatever it changed
// is committed, also where it then answers an error.
type batch struct {
	reader
	state
	changed bool
	err     error // of a put; the transaction is lost
	noting  bool  // in written, what is put and deleted
	written []string

	buckets      map[string]*bbolt.Bucket
	heads        map[uint32]*head
	names        map[string]uint32
	members      map[memberID]*store.Member
	dirtyHeads   []*head
	dirtyMembers []dirtyMember
}

type memberID struct {
	number uint32
	user   string
}

type dirtyMember struct {
	number uint32
	*store.Member
}

func newBatch(tx *bbolt.Tx) (*batch, error) {
	b := &batch{
		reader:  reader{tx},
		buckets: make(map[string]*bbolt.Bucket),
		heads:   make(map[uint32]*head),
		names:   make(map[string]uint32),
		members: make(map[memberID]*store.Member),
	}
	for _, name := range allBuckets {
		bucket := tx.Bucket(name)
		if bucket == nil {
			return nil, fmt.Errorf("bolt: %w: no bucket %s", ErrDamaged, name)
		}
		b.buckets[string(name)] = bucket
	}
	// These grow at their end: full pages stay full.
	b.buckets[string(bucketLog)].FillPercent = 1
	b.buckets[string(bucketRequests)].FillPercent = 1
	st, err := b.reader.state()
	if err != nil {
		return nil, err
	}
	b.state = st
	b.version++
	return b, nil
}

func (b *batch) put(bucket, key, value []byte) {
	b.note(bucket, key)
	b.insert(bucket, key, value)
}

// note notes a key, but not one at the end of the log: a copy gets there anyway.
func (b *batch) note(bucket, key []byte) {
	if b.noting {
		b.written = append(b.written, changedKey(bucket, key))
	}
}

func (b *batch) insert(bucket, key, value []byte) {
	b.changed = true
	if err := b.buckets[string(bucket)].Put(key, value); err != nil && b.err == nil {
		b.err = fmt.Errorf("bolt: put %s/%x: %w", bucket, key, err)
	}
}

func (b *batch) delete(bucket, key []byte) {
	b.note(bucket, key)
	b.changed = true
	if err := b.buckets[string(bucket)].Delete(key); err != nil && b.err == nil {
		b.err = fmt.Errorf("bolt: delete %s/%x: %w", bucket, key, err)
	}
}

func (b *batch) headByID(id string) (*head, error) {
	number, ok := b.names[id]
	if !ok {
		var err error
		if number, err = b.number(id); err != nil {
			return nil, err
		}
		b.names[id] = number
	}
	return b.head(number)
}

func (b *batch) head(number uint32) (*head, error) {
	if h := b.heads[number]; h != nil {
		return h, nil
	}
	h, err := b.reader.head(number)
	if err != nil {
		return nil, err
	}
	b.heads[number] = h
	return h, nil
}

func (b *batch) member(h *head, user string) (*store.Member, error) {
	id := memberID{h.number, user}
	if m := b.members[id]; m != nil {
		h.raise(m)
		return m, nil
	}
	m, err := b.reader.member(h, user)
	if m != nil {
		b.members[id] = m
	}
	return m, err
}

// activeMember is member, or ErrNotMember where the row is absent or ended.
func (b *batch) activeMember(h *head, user string) (*store.Member, error) {
	m, err := b.member(h, user)
	if err == nil && !m.Active() {
		err = notMember(user, h.ID)
	}
	return m, err
}

// touchHead stamps a head that was changed, or will be before the flush.
func (b *batch) touchHead(h *head) {
	b.changed = true
	if h.Version != b.version {
		h.Version = b.version
		b.dirtyHeads = append(b.dirtyHeads, h)
	}
}

// touchMember likewise.
func (b *batch) touchMember(h *head, m *store.Member) {
	b.changed = true
	if m.Version != b.version {
		m.Version = b.version
		b.members[memberID{h.number, m.User}] = m
		b.dirtyMembers = append(b.dirtyMembers, dirtyMember{h.number, m})
	}
}

// log appends an entry and returns its position.
func (b *batch) log(row []byte) uint64 {
	b.position++
	b.insert(bucketLog, logKey(b.position), row)
	return b.position
}

// remember notes what (from, clientID) stored.
func (b *batch) remember(from, clientID string, position uint64) {
	b.put(bucketRequests, requestKey(from, clientID), binary.AppendUvarint(nil, position))
}

// index adds the newest message of a conversation, which is at position.
func (b *batch) index(h *head, position uint64) {
	if full := h.index(position); full != nil {
		b.put(bucketBlocks, blockKey(h.number, uint32(h.Seq/blockSeqs-1)), encodeBlock(full))
	}
}

// index adds the position of message h.Seq and returns the block that it
// completes, or nil.
func (h *head) index(position uint64) (full []byte) {
	if h.Seq%blockSeqs == 1 {
		h.last = 0
	}
	h.block = binary.AppendUvarint(h.block, position-h.last)
	h.last = position
	if h.Seq%blockSeqs == 0 {
		full, h.block = h.block, nil
	}
	return full
}

// flush writes what was kept.
func (b *batch) flush() error {
	for _, h := range b.dirtyHeads {
		b.put(bucketConversations, numberKey(h.number), h.encode())
	}
	for _, m := range b.dirtyMembers {
		b.put(bucketConversations, memberKey(m.number, m.User), encodeMember(m.Member))
	}
	b.put(bucketMeta, metaState, b.state.encode())
	return b.err
}

// conversation copies a head for a caller.
func (h *head) conversation() store.Conversation {
	c := h.Conversation
	c.Ext = append([]byte(nil), c.Ext...)
	return c
}

// try runs a function of the caller, which may panic.
func try(f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("bolt: the caller's change panicked: %v", r)
		}
	}()
	return f()
}

func conflict(clientID string) error {
	return fmt.Errorf("bolt: clientId %q: %w", clientID, store.ErrConflict)
}

func notMember(user, conversation string) error {
	return fmt.Errorf("bolt: user %q in %q: %w", user, conversation, store.ErrNotMember)
}
