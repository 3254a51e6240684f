package bolt

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"go.etcd.io/bbolt"

	"example.com/h5im/store"
)

// A layout is one way to lay the rows of a send out in bbolt. All of them keep
// the same message rows.
type layout interface {
	file() *bbolt.DB
	// append stores messages in one commit.
	append(t testing.TB, items []store.Append)
	// page reads up to 50 messages from a seq on.
	page(t testing.TB, conversation int, from int64) []store.Message
	// dropHalf deletes what every other conversation's messages have put in.
	dropHalf(t testing.TB)
}

const layoutPage = 50

var layouts = []struct {
	name string
	open func(t testing.TB, conversations int) layout
}{
	{"flat", openFlat},
	{"bucket per conversation", openNested},
	{"ours", openOurs},
}

// layoutItem is a message into a random one of so many conversations.
func layoutItem(conversations int) store.Append {
	return benchItemTo(rand.IntN(conversations), rand.IntN(2))
}

// ours is this store.
type ourLayout struct{ *Store }

func openOurs(t testing.TB, conversations int) layout {
	t.Helper()
	s, err := Open(filepath.Join(t.TempDir(), "im.db"), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	s.db.Load().NoSync = true
	for first := 0; first < conversations; first += 1000 {
		err := s.db.Load().Update(func(tx *bbolt.Tx) error {
			b, err := newBatch(tx)
			for i := first; err == nil && i < min(first+1000, conversations); i++ {
				_, err = b.create(&store.NewConversation{
					ID: benchConversation(i), Kind: store.Group, Time: 1,
					Members: []store.NewMember{{User: benchUser(0)}, {User: benchUser(1)}},
				})
			}
			if err != nil {
				return err
			}
			return b.flush()
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	s.db.Load().NoSync = false
	return ourLayout{s}
}

func (l ourLayout) file() *bbolt.DB { return l.db.Load() }

func (l ourLayout) append(t testing.TB, items []store.Append) {
	results, err := l.Append(context.Background(), items)
	if err != nil {
		t.Fatal(err)
	}
	for i := range results {
		if results[i].Err != nil {
			t.Fatal(results[i].Err)
		}
	}
}

func (l ourLayout) page(t testing.TB, conversation int, from int64) []store.Message {
	p, err := l.Messages(context.Background(), store.MessagesQuery{
		Conversation: benchConversation(conversation), Anchor: store.After, Seq: from - 1, Limit: layoutPage,
	})
	if err != nil {
		t.Fatal(err)
	}
	return p.Messages
}

func (l ourLayout) dropHalf(t testing.TB) {
	dropped := map[uint64]bool{} // positions
	number := func(k []byte) uint32 { return binary.BigEndian.Uint32(k) }
	deleteRows(t, l.db.Load(), bucketLog, func(k, v []byte) bool {
		c, err := decodeCounters(v)
		if err != nil || c.number%2 == 0 {
			return false
		}
		dropped[binary.BigEndian.Uint64(k)] = true
		return true
	})
	deleteRows(t, l.db.Load(), bucketBlocks, func(k, _ []byte) bool { return number(k)%2 == 1 })
	deleteRows(t, l.db.Load(), bucketRequests, func(_, v []byte) bool {
		position, _ := binary.Uvarint(v)
		return dropped[position]
	})
}

// flatLayout keys every row by the ids that find it.
type flatLayout struct {
	*bbolt.DB
	seqs  []int64
	total uint64
}

var (
	flatMessages = []byte("messages") // conversation seq → row
	flatHeads    = []byte("heads")
	flatMembers  = []byte("members")  // conversation user → row
	flatRequests = []byte("requests") // sender clientId → conversation seq
	flatFeed     = []byte("feed")     // position → conversation seq
)

// Rows of the size that ours have.
var (
	headRow   = make([]byte, 40)
	memberRow = make([]byte, 24)
)

func openPlain(t testing.TB, buckets ...[]byte) *bbolt.DB {
	t.Helper()
	db, err := openFile(filepath.Join(t.TempDir(), "plain.db"), Options{InitialMmapSize: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	err = db.Update(func(tx *bbolt.Tx) error {
		for _, name := range buckets {
			if _, err := tx.CreateBucket(name); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return db
}

func openFlat(t testing.TB, conversations int) layout {
	return &flatLayout{
		DB:   openPlain(t, flatMessages, flatHeads, flatMembers, flatRequests, flatFeed),
		seqs: make([]int64, conversations),
	}
}

func (l *flatLayout) file() *bbolt.DB { return l.DB }

func flatKey(conversation string, seq int64) []byte {
	return binary.BigEndian.AppendUint64([]byte(conversation), uint64(seq))
}

// puts puts rows until one fails.
type puts struct{ err error }

func (p *puts) put(b *bbolt.Bucket, k, v []byte) {
	if p.err == nil {
		p.err = b.Put(k, v)
	}
}

// row gives an item its seq, and makes its row.
func (l *flatLayout) row(item *store.Append) (m *store.Message, row []byte) {
	m = &item.Message
	var c int
	if _, err := fmt.Sscanf(m.Conversation, "g_%d", &c); err != nil {
		panic(err)
	}
	l.seqs[c]++
	l.total++
	m.Seq, m.Rev, m.Born, m.Count = l.seqs[c], l.seqs[c], l.seqs[c], l.seqs[c]
	return m, encodeMessage(uint32(c+1), m, messageFields(m, item.Fingerprint))
}

// others puts the rows of a send that lie flat in both layouts.
func (l *flatLayout) others(p *puts, tx *bbolt.Tx, m *store.Message) {
	at := flatKey(m.Conversation, m.Seq)
	p.put(tx.Bucket(flatRequests), []byte(m.From+"\x00"+m.ClientID), at)
	p.put(tx.Bucket(flatFeed), binary.BigEndian.AppendUint64(nil, l.total), at)
}

func (l *flatLayout) append(t testing.TB, items []store.Append) {
	err := l.Update(func(tx *bbolt.Tx) error {
		var p puts
		tx.Bucket(flatFeed).FillPercent = 1 // it grows at its end alone, as ours does
		for i := range items {
			m, row := l.row(&items[i])
			p.put(tx.Bucket(flatMessages), flatKey(m.Conversation, m.Seq), row)
			p.put(tx.Bucket(flatHeads), []byte(m.Conversation), headRow)
			p.put(tx.Bucket(flatMembers), []byte(m.Conversation+"\x00"+m.From), memberRow)
			l.others(&p, tx, m)
		}
		return p.err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// walk reads a page from a cursor that stands on its first row.
func walk(t testing.TB, c *bbolt.Cursor, v []byte, conversation string) []store.Message {
	messages := make([]store.Message, 0, layoutPage)
	for ; v != nil && len(messages) < layoutPage; _, v = c.Next() {
		var m store.Message
		if _, err := readMessage(&m, conversation, v); err != nil {
			t.Fatal(err)
		}
		messages = append(messages, m)
	}
	return messages
}

func (l *flatLayout) page(t testing.TB, conversation int, from int64) (messages []store.Message) {
	id := benchConversation(conversation)
	err := l.View(func(tx *bbolt.Tx) error {
		c := tx.Bucket(flatMessages).Cursor()
		_, v := c.Seek(flatKey(id, from))
		left := int(max(0, l.seqs[conversation]-from+1)) // the next conversation's rows follow
		messages = walk(t, c, v, id)
		messages = messages[:min(left, len(messages))]
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return messages
}

func odd(key []byte) bool { return (key[len(key)-8-1]-'0')%2 == 0 } // the number is one more

func (l *flatLayout) dropHalf(t testing.TB) {
	deleteRows(t, l.DB, flatMessages, func(k, _ []byte) bool { return odd(k) })
	deleteRows(t, l.DB, flatRequests, func(_, v []byte) bool { return odd(v) })
	deleteRows(t, l.DB, flatFeed, func(_, v []byte) bool { return odd(v) })
}

// nestedLayout has a bucket for each conversation, and the rest flat.
type nestedLayout struct{ flatLayout }

var (
	nested         = []byte("conversations")
	nestedMessages = []byte("messages") // seq → row
	nestedHead     = []byte("head")
	nestedMembers  = []byte("members") // user → row
)

func openNested(t testing.TB, conversations int) layout {
	return &nestedLayout{flatLayout{DB: openPlain(t, nested, flatRequests, flatFeed), seqs: make([]int64, conversations)}}
}

func (l *nestedLayout) append(t testing.TB, items []store.Append) {
	err := l.Update(func(tx *bbolt.Tx) error {
		var p puts
		tx.Bucket(flatFeed).FillPercent = 1
		for i := range items {
			m, row := l.row(&items[i])
			c, err := tx.Bucket(nested).CreateBucketIfNotExists([]byte(m.Conversation))
			if err != nil {
				return err
			}
			messages, err := c.CreateBucketIfNotExists(nestedMessages)
			if err != nil {
				return err
			}
			members, err := c.CreateBucketIfNotExists(nestedMembers)
			if err != nil {
				return err
			}
			messages.FillPercent = 1
			p.put(messages, binary.BigEndian.AppendUint64(nil, uint64(m.Seq)), row)
			p.put(c, nestedHead, headRow)
			p.put(members, []byte(m.From), memberRow)
			l.others(&p, tx, m)
		}
		return p.err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (l *nestedLayout) page(t testing.TB, conversation int, from int64) (messages []store.Message) {
	id := benchConversation(conversation)
	err := l.View(func(tx *bbolt.Tx) error {
		b := tx.Bucket(nested).Bucket([]byte(id))
		if b == nil {
			return nil
		}
		c := b.Bucket(nestedMessages).Cursor()
		_, v := c.Seek(binary.BigEndian.AppendUint64(nil, uint64(from)))
		messages = walk(t, c, v, id)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return messages
}

func (l *nestedLayout) dropHalf(t testing.TB) {
	for c := range l.seqs {
		if c%2 != 0 || l.seqs[c] == 0 {
			continue
		}
		err := l.Update(func(tx *bbolt.Tx) error {
			return tx.Bucket(nested).DeleteBucket([]byte(benchConversation(c)))
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	deleteRows(t, l.DB, flatRequests, func(_, v []byte) bool { return odd(v) })
	deleteRows(t, l.DB, flatFeed, func(_, v []byte) bool { return odd(v) })
}

// deleteRows deletes the rows of a bucket that f picks, so many to a commit.
func deleteRows(t testing.TB, db *bbolt.DB, bucket []byte, f func(k, v []byte) bool) {
	t.Helper()
	const rows = 20_000
	for next, more := []byte(nil), true; more; {
		err := db.Update(func(tx *bbolt.Tx) error {
			b := tx.Bucket(bucket)
			c := b.Cursor()
			var keys [][]byte
			k, v := c.Seek(next)
			for ; k != nil && len(keys) < rows; k, v = c.Next() {
				if f(k, v) {
					keys = append(keys, slices.Clone(k))
				}
			}
			next, more = slices.Clone(k), k != nil
			for _, k := range keys {
				if err := b.Delete(k); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// The layouts that BenchmarkLayouts compares keep the same messages, and let go
// of the same.
func TestLayoutsAgree(t *testing.T) {
	const conversations, messages = 6, 900
	var all []layout
	for _, l := range layouts {
		all = append(all, l.open(t, conversations))
	}
	for range messages / 30 {
		items := make([]store.Append, 30)
		for i := range items {
			items[i] = layoutItem(conversations)
		}
		for _, l := range all {
			l.append(t, slices.Clone(items))
		}
	}
	for c := range conversations {
		for _, from := range []int64{1, 60, 141, 1000} {
			want := all[0].page(t, c, from)
			if from == 1 && len(want) != layoutPage {
				t.Fatalf("a page of %d", len(want))
			}
			for i, l := range all {
				if got := l.page(t, c, from); fmt.Sprint(got) != fmt.Sprint(want) {
					t.Errorf("%s: conversation %d from %d: %d messages, not %d", layouts[i].name, c, from, len(got), len(want))
				}
			}
		}
	}
	rows := func(db *bbolt.DB, bucket []byte) (n int) {
		err := db.View(func(tx *bbolt.Tx) error {
			n = tx.Bucket(bucket).Stats().KeyN
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	for _, l := range all {
		l.dropHalf(t)
	}
	want := rows(all[0].file(), flatMessages)
	if want == 0 || want > messages*2/3 {
		t.Fatalf("%d messages are left", want)
	}
	for name, got := range map[string]int{
		"flat requests": rows(all[0].file(), flatRequests), "flat feed": rows(all[0].file(), flatFeed),
		"nested requests": rows(all[1].file(), flatRequests), "nested feed": rows(all[1].file(), flatFeed),
		"our requests": rows(all[2].file(), bucketRequests), "our log": rows(all[2].file(), bucketLog) - conversations, // created
	} {
		if got != want {
			t.Errorf("%s: %d rows are left of %d messages", name, got, want)
		}
	}
}
