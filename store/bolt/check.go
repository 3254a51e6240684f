package bolt

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"go.etcd.io/bbolt"

	"example.com/h5im/store"
)

// maxProblems is after how many Check stops looking.
const maxProblems = 20

// Check walks the whole file and returns what contradicts itself: pages in use
// twice or not at all, seqs with holes, counters that differ from what they
// count, indexes that point to nothing or are not pointed back to. It reads
// everything once, about 2 s for a million messages, and lets writes wait.
func (s *Store) Check(ctx context.Context) error {
	if err := s.ready(ctx); err != nil {
		return err
	}
	done, err := s.maintain(ctx)
	if err != nil {
		return err
	}
	defer done()
	return guard(func() error {
		// bbolt's own check must not meet a writer.
		db := s.db.Load()
		lock, err := db.Begin(true)
		if err != nil {
			return err
		}
		defer lock.Rollback()
		if err := verifyPages(db, s.path, true); err != nil {
			return err
		}
		return db.View(func(tx *bbolt.Tx) error {
			c := &checker{reader: reader{tx}, ctx: ctx, conversations: map[uint32]*tally{}}
			for err := range tx.Check() {
				c.report("pages: %v", err)
			}
			for _, step := range []func() error{c.checkLog, c.checkHeads, c.checkCounts, c.checkRecords} {
				if err := step(); err != nil {
					c.problems = append(c.problems, err)
					break
				}
			}
			return errors.Join(c.problems...)
		})
	})
}

type checker struct {
	reader
	ctx      context.Context
	state    state
	problems []error

	conversations map[uint32]*tally
	holes         uint64 // in the log
	// How many entries the other buckets must have.
	requests, blocks, edits, members int
}

// tally is what the log says about a conversation.
type tally struct {
	head          // Seq, Count, AllCount, block and last are built anew
	revs    int64 // counted
	born    int64 // of the last message
	stored  *head
	visited bool
}

var errTooManyProblems = errors.New("bolt: more problems follow")

func (c *checker) report(format string, args ...any) {
	if len(c.problems) < maxProblems {
		c.problems = append(c.problems, fmt.Errorf("bolt: check: "+format, args...))
	}
}

// each calls f with every entry of a bucket.
func (c *checker) each(bucket []byte, f func(k, v []byte) error) error {
	n := 0
	return c.bucket(bucket).ForEach(func(k, v []byte) error {
		if n++; n%1024 == 0 {
			if err := c.ctx.Err(); err != nil {
				return err
			}
		}
		if len(c.problems) >= maxProblems {
			return errTooManyProblems
		}
		if err := f(k, v); err != nil {
			c.report("%s: %v", bucket, damaged(bucket, k, err))
		}
		return nil
	})
}

// checkLog reads the log from its beginning, which builds the tallies, and
// looks up what must point back.
func (c *checker) checkLog() (err error) {
	if c.state, err = c.reader.state(); err != nil {
		return err
	}
	var position uint64
	err = c.each(bucketLog, func(k, row []byte) error {
		if len(k) != 8 {
			return errRowShape
		}
		c.holes += binary.BigEndian.Uint64(k) - position - 1
		position = binary.BigEndian.Uint64(k)
		n, err := decodeEntry(row)
		if err != nil {
			return err
		}
		t := c.conversations[n.number]
		if (t == nil) != (n.kind == store.ConversationCreated) {
			return fmt.Errorf("conversation %d is not created once and first", n.number)
		}
		return c.checkEntry(t, n, position, row)
	})
	if c.holes += c.state.position - position; err == nil && c.holes != c.state.removed {
		c.report("log lacks %d entries, state says %d", c.holes, c.state.removed)
	}
	return err
}

func (c *checker) checkEntry(t *tally, n entry, position uint64, row []byte) error {
	switch n.kind {
	case store.ConversationCreated:
		var err error
		if c.conversations[n.number], err = c.begin(n.number); err != nil {
			return err
		}
		if n.clientID == "" {
			return nil
		}
		return c.checkRequest(n.creator, n.clientID, position)
	case store.ConversationConfigured:
		t.revs++
	case store.MessageAmended:
		t.revs++
		if n.seq > max(t.Seq, t.stored.Pruned) {
			return fmt.Errorf("amends seq %d before it is there", n.seq)
		}
	case store.MemberChanged:
		if c.bucket(bucketConversations).Get(memberKey(n.number, n.user)) == nil {
			return fmt.Errorf("no row of member %q", n.user)
		}
	case store.MessageAppended:
		t.revs++
		return c.checkMessage(t, n.number, position, row)
	}
	return nil
}

// begin begins a tally after what was forgotten of a conversation.
func (c *checker) begin(number uint32) (*tally, error) {
	h, err := c.reader.head(number)
	if err != nil {
		return nil, err
	}
	t := &tally{stored: h}
	t.Seq, t.Count, t.AllCount = h.forgotten, h.buried.count, h.buried.allCount
	if h.forgotten == h.Seq {
		t.last = h.last
	}
	// The index still has those who share a block with one that is left.
	if rows := c.positions(h); h.forgotten%blockSeqs > 0 {
		if _, err := rows.at(h.forgotten); err != nil {
			return nil, err
		}
		for i, position := range rows.seqs[:h.forgotten%blockSeqs] {
			t.Seq = h.forgotten - h.forgotten%blockSeqs + int64(i) + 1
			t.index(position)
		}
	}
	return t, nil
}

func (c *checker) checkMessage(t *tally, number uint32, position uint64, row []byte) error {
	m, _, err := decodeMessage("", row)
	if err != nil {
		return err
	}
	t.Seq++
	if h := t.stored; h.Pruned > 0 && m.Seq == h.forgotten+1 && m.Seq <= h.Pruned {
		t.Count, t.AllCount = m.Count, m.AllCount // of the one before nothing is known
	}
	exact := t.stored.Pruned == 0 // else some of what took a rev is gone
	switch {
	case m.Seq != t.Seq:
		return fmt.Errorf("conversation %d: seq %d follows %d", number, m.Seq, t.Seq-1)
	case exact && m.Born != t.revs, m.Born <= t.born, m.Born > t.stored.Rev:
		return fmt.Errorf("conversation %d seq %d: born %d, the log counts %d", number, m.Seq, m.Born, t.revs)
	case m.Count < t.Count || m.Count > t.Count+1 || m.AllCount < t.AllCount || m.AllCount > t.AllCount+1:
		return fmt.Errorf("conversation %d seq %d: count %d/%d follows %d/%d", number, m.Seq, m.Count, m.AllCount, t.Count, t.AllCount)
	case m.Rev < m.Born:
		return fmt.Errorf("conversation %d seq %d: rev %d before born %d", number, m.Seq, m.Rev, m.Born)
	case m.Seq == t.stored.Pruned && (m.Count != t.stored.buried.count || m.AllCount != t.stored.buried.allCount):
		return fmt.Errorf("conversation %d: pruned up to count %d/%d, the log says %d/%d", number,
			t.stored.buried.count, t.stored.buried.allCount, m.Count, m.AllCount)
	}
	t.born = m.Born
	t.Count, t.AllCount = m.Count, m.AllCount
	if full := t.index(position); full != nil {
		c.blocks++
		if !bytes.Equal(c.bucket(bucketBlocks).Get(blockKey(number, uint32(t.Seq/blockSeqs-1))), encodeBlock(full)) {
			return fmt.Errorf("conversation %d: the block that ends with seq %d differs", number, t.Seq)
		}
	}
	if m.Rev != m.Born {
		c.edits++
		if v := c.bucket(bucketEdits).Get(editKey(number, m.Rev)); !bytes.Equal(v, binary.AppendUvarint(nil, uint64(m.Seq))) {
			return fmt.Errorf("conversation %d seq %d: no edit at rev %d", number, m.Seq, m.Rev)
		}
	}
	return c.checkRequest(m.From, m.ClientID, position)
}

func (c *checker) checkRequest(from, clientID string, position uint64) error {
	c.requests++
	if v := c.bucket(bucketRequests).Get(requestKey(from, clientID)); !bytes.Equal(v, binary.AppendUvarint(nil, position)) {
		return fmt.Errorf("request %q of %q does not point to it", clientID, from)
	}
	return nil
}

// checkHeads reads the heads with the member rows beside them.
func (c *checker) checkHeads() error {
	var h *head
	var active, owners int
	end := func() {
		if h != nil && (h.Members != active || h.owners != owners) {
			c.report("conversation %d: %d members and %d owners, the head says %d and %d", h.number, active, owners, h.Members, h.owners)
		}
		h, active, owners = nil, 0, 0
	}
	err := c.each(bucketConversations, func(k, row []byte) (err error) {
		if len(k) == 4 {
			end()
			h, err = decodeHead(binary.BigEndian.Uint32(k), row)
			if err != nil {
				return err
			}
			return c.checkHead(h)
		}
		if h == nil || !bytes.HasPrefix(k, numberKey(h.number)) {
			return errors.New("member row without a head")
		}
		m, err := decodeMember(h.ID, string(k[4:]), row)
		if err != nil {
			return err
		}
		if m.Active() {
			active++
			if m.Role == store.Owner {
				owners++
			}
		}
		return c.checkMember(h, m)
	})
	end()
	for number, t := range c.conversations {
		if !t.visited {
			c.report("conversation %d has no head", number)
		}
	}
	return err
}

func (c *checker) checkHead(h *head) error {
	t := c.conversations[h.number]
	if t == nil {
		return errors.New("head of a conversation that the log does not create")
	}
	t.visited = true
	if number, err := c.number(h.ID); err != nil || number != h.number {
		return fmt.Errorf("name %q is number %d: %w", h.ID, number, err)
	}
	switch {
	case h.Seq != t.Seq || h.Rev < t.revs || h.Pruned == 0 && h.Rev != t.revs || h.Count != t.Count || h.AllCount != t.AllCount:
		return fmt.Errorf("seq %d rev %d count %d/%d, the log counts %d, %d, %d/%d",
			h.Seq, h.Rev, h.Count, h.AllCount, t.Seq, t.revs, t.Count, t.AllCount)
	case h.last != t.last || !bytes.Equal(h.block, t.block):
		return errors.New("the block of the newest seqs differs")
	case h.SettingsRev > h.Rev || h.Version > c.state.version || h.number > c.state.numbers:
		return errors.New("a counter is ahead of what it counts")
	case h.Members > store.SmallConversation && h.Class != store.TopicConversation:
		return errors.New("topic class too small")
	}
	return nil
}

func (c *checker) checkMember(h *head, m *store.Member) error {
	c.members++
	status := c.bucket(bucketMemberships).Get(membershipKey(m.User, h.number))
	switch {
	case len(status) != 1 || (status[0] == 1) != m.Active():
		return errors.New("membership differs")
	case c.bucket(bucketMemberRevs).Get(memberRevKey(h.number, m.Rev, m.User)) == nil:
		return errors.New("not in memberRevs")
	case m.Rev < 1 || m.Rev > h.MemberRev || m.Version > c.state.version:
		return errors.New("a counter is ahead of what it counts")
	case m.Read > m.Delivered || m.Delivered > h.Seq || m.Seen > h.Count || m.SeenAll > h.AllCount:
		return errors.New("a marker is ahead of the head")
	}
	return nil
}

// checkCounts compares sizes: since all that must be found was found, what is
// more is an orphan.
func (c *checker) checkCounts() error {
	for _, want := range []struct {
		bucket []byte
		n      int
	}{
		{bucketNames, len(c.conversations)},
		{bucketRequests, c.requests},
		{bucketBlocks, c.blocks},
		{bucketEdits, c.edits},
		{bucketMemberships, c.members},
		{bucketMemberRevs, c.members},
	} {
		n := 0
		err := c.each(want.bucket, func(_, _ []byte) error { n++; return nil })
		if err != nil {
			return err
		}
		if n != want.n {
			c.report("%s has %d entries, expected %d", want.bucket, n, want.n)
		}
	}
	if int(c.state.numbers) != len(c.conversations) {
		c.report("%d conversations, state says %d", len(c.conversations), c.state.numbers)
	}
	return nil
}

func (c *checker) checkRecords() error {
	return c.each(bucketRecords, func(_, row []byte) error {
		r, err := decodeRecord("", "", row)
		if err == nil && r.Revision > c.state.recordRevision {
			err = errors.New("a counter is ahead of what it counts")
		}
		return err
	})
}
