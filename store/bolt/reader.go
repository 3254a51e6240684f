package bolt

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"go.etcd.io/bbolt"

	"example.com/h5im/store"
)

// reader finds rows in a transaction.
type reader struct{ tx *bbolt.Tx }

func (r reader) bucket(name []byte) *bbolt.Bucket { return r.tx.Bucket(name) }

// damaged names the row that cannot be read.
func damaged(bucket, key []byte, err error) error {
	return fmt.Errorf("bolt: row %s/%x: %w: %w", bucket, key, ErrDamaged, err)
}

func (r reader) state() (state, error) {
	s, err := decodeState(r.bucket(bucketMeta).Get(metaState))
	if err != nil {
		return s, damaged(bucketMeta, metaState, err)
	}
	return s, nil
}

// number finds a conversation by its id.
func (r reader) number(id string) (uint32, error) {
	v := r.bucket(bucketNames).Get([]byte(id))
	if v == nil {
		return 0, fmt.Errorf("bolt: conversation %q: %w", id, store.ErrNotFound)
	}
	if len(v) != 4 {
		return 0, damaged(bucketNames, []byte(id), errRowShape)
	}
	return binary.BigEndian.Uint32(v), nil
}

func (r reader) headByID(id string) (*head, error) {
	number, err := r.number(id)
	if err != nil {
		return nil, err
	}
	return r.head(number)
}

func (r reader) head(number uint32) (*head, error) {
	key := numberKey(number)
	h, err := decodeHead(number, r.bucket(bucketConversations).Get(key))
	if err != nil {
		return nil, damaged(bucketConversations, key, err)
	}
	return h, nil
}

// member returns nil where there is no row.
func (r reader) member(h *head, user string) (*store.Member, error) {
	key := memberKey(h.number, user)
	row := r.bucket(bucketConversations).Get(key)
	if user == "" || row == nil {
		return nil, nil
	}
	m, err := decodeMember(h.ID, user, row)
	if err != nil {
		return nil, damaged(bucketConversations, key, err)
	}
	h.raise(m)
	return m, nil
}

// raise lets a member have seen what was pruned. His row says so when something
// else changes it.
func (h *head) raise(m *store.Member) {
	m.Seen, m.SeenAll = max(m.Seen, h.buried.count), max(m.SeenAll, h.buried.allCount)
}

// eachMember calls f with every member row from user after on, until it
// returns false.
func (r reader) eachMember(h *head, after string, f func(*store.Member) bool) error {
	prefix := numberKey(h.number)
	c := r.bucket(bucketConversations).Cursor()
	// The seek finds after itself or the head, which is no member row either.
	from := memberKey(h.number, after)
	for k, v := c.Seek(from); bytes.HasPrefix(k, prefix); k, v = c.Next() {
		if bytes.Equal(k, from) {
			continue
		}
		m, err := decodeMember(h.ID, string(k[len(prefix):]), v)
		if err != nil {
			return damaged(bucketConversations, k, err)
		}
		h.raise(m)
		if !f(m) {
			return nil
		}
	}
	return nil
}

// eachMembership calls f with the number of every conversation that user has a
// member row in, until it returns false.
func (r reader) eachMembership(user string, f func(number uint32, active bool) (bool, error)) error {
	prefix := membershipPrefix(user)
	c := r.bucket(bucketMemberships).Cursor()
	for k, v := c.Seek(prefix); bytes.HasPrefix(k, prefix); k, v = c.Next() {
		if len(k) != len(prefix)+4 || len(v) != 1 {
			return damaged(bucketMemberships, k, errRowShape)
		}
		more, err := f(binary.BigEndian.Uint32(k[len(prefix):]), v[0] == 1)
		if err != nil || !more {
			return err
		}
	}
	return nil
}

// seekRow returns the row of a key, nil where there is none.
func seekRow(c *bbolt.Cursor, key []byte) []byte {
	k, row := c.Seek(key)
	if !bytes.Equal(k, key) {
		return nil
	}
	return row
}

// positionsOf walks the index of a conversation block by block.
type positionsOf struct {
	r     reader
	h     *head
	block int64 // of positions; -1: none
	seqs  []uint64
}

func (r reader) positions(h *head) *positionsOf { return &positionsOf{r: r, h: h, block: -1} }

// at returns the position of a seq, which must be in 1..h.Seq.
func (p *positionsOf) at(seq int64) (uint64, error) {
	block := (seq - 1) / blockSeqs
	if block != p.block {
		key := blockKey(p.h.number, uint32(block))
		var err error
		if block == p.h.Seq/blockSeqs {
			p.seqs, err = unpackBlock(p.seqs[:0], p.h.block)
		} else {
			p.seqs, err = decodeBlock(p.r.bucket(bucketBlocks).Get(key))
		}
		if err != nil {
			return 0, damaged(bucketBlocks, key, err)
		}
		p.block = block
	}
	i := int((seq - 1) % blockSeqs)
	if i >= len(p.seqs) {
		return 0, damaged(bucketBlocks, blockKey(p.h.number, uint32(block)), fmt.Errorf("no seq %d", seq))
	}
	return p.seqs[i], nil
}

// messagesOf reads the messages of a conversation by seq.
type messagesOf struct {
	*positionsOf
	c   *bbolt.Cursor
	key [8]byte
}

func (r reader) messages(h *head) *messagesOf {
	return &messagesOf{positionsOf: r.positions(h), c: r.bucket(bucketLog).Cursor()}
}

// row returns a message's row, part of the file.
func (m *messagesOf) row(seq int64) ([]byte, error) {
	position, err := m.at(seq)
	if err != nil {
		return nil, err
	}
	binary.BigEndian.PutUint64(m.key[:], position)
	return seekRow(m.c, m.key[:]), nil
}

func (m *messagesOf) counters(seq int64) (messageCounters, error) {
	row, err := m.row(seq)
	if err != nil {
		return messageCounters{}, err
	}
	c, err := decodeCounters(row)
	if err == nil && (c.number != m.h.number || c.seq != seq) {
		err = errRowShape
	}
	if err != nil {
		return c, damaged(bucketLog, m.key[:], err)
	}
	return c, nil
}

func (m *messagesOf) get(seq int64) (*store.Message, store.Fingerprint, error) {
	msg := new(store.Message)
	f, err := m.read(msg, seq)
	if err != nil {
		return nil, f, err
	}
	return msg, f, nil
}

func (m *messagesOf) read(msg *store.Message, seq int64) (store.Fingerprint, error) {
	row, err := m.row(seq)
	if err != nil {
		return store.Fingerprint{}, err
	}
	f, err := readMessage(msg, m.h.ID, row)
	if err == nil && msg.Seq != seq {
		err = errRowShape
	}
	if err != nil {
		return f, damaged(bucketLog, m.key[:], err)
	}
	return f, nil
}

// visible reads the messages from..to that have not expired at now.
func (m *messagesOf) visible(from, to int64, now store.Millis) ([]store.Message, error) {
	if from > to {
		return nil, nil
	}
	list := make([]store.Message, to-from+1)
	n := 0
	for seq := from; seq <= to; seq++ {
		if _, err := m.read(&list[n], seq); err != nil {
			return nil, err
		}
		if !list[n].Expired(now) {
			n++
		}
	}
	return list[:n:n], nil
}

// request finds what (from, clientID) stored: the log entry and, of a message,
// the whole row. found is false if nothing.
func (r reader) request(from, clientID string) (n entry, row []byte, found bool, err error) {
	key := requestKey(from, clientID)
	v := r.bucket(bucketRequests).Get(key)
	if v == nil {
		return n, nil, false, nil
	}
	position, size := binary.Uvarint(v)
	if size != len(v) {
		return n, nil, false, damaged(bucketRequests, key, errRowShape)
	}
	row = r.bucket(bucketLog).Get(logKey(position))
	if n, err = decodeEntry(row); err != nil {
		return n, nil, false, damaged(bucketLog, logKey(position), err)
	}
	return n, row, true, nil
}
