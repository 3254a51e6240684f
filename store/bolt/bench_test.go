package bolt

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"example.com/h5im/store"
)

// The benchmarks set this store beside plain bbolt, which writes and reads the
// very same rows, in turns within one run, and report the ratio:
//
//	go test ./store/bolt -run xxx -bench 'Writers|Latency|Page' -benchtime 1x
//	go test ./store/bolt -run xxx -bench Disk -benchtime 1x -timeout 20m
//	go test ./store/bolt -run xxx -bench Compact -benchtime 1x -timeout 20m
const (
	benchConversations = 1000
	benchSenders       = 64
	benchRound         = 500 * time.Millisecond
	benchRounds        = 12
)

func benchStore(b *testing.B) *Store {
	b.Helper()
	s, err := Open(filepath.Join(b.TempDir(), "im.db"), nil)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	members := make([]store.NewMember, benchSenders)
	for i := range members {
		members[i].User = benchUser(i)
	}
	var all sync.WaitGroup
	for i := range benchConversations {
		all.Go(func() {
			_, err := s.Create(context.Background(), store.NewConversation{
				ID: benchConversation(i), Kind: store.Group, Time: 1, Members: members,
			})
			if err != nil {
				b.Error(err)
			}
		})
	}
	all.Wait()
	return s
}

func benchUser(i int) string         { return fmt.Sprintf("user-%05d", i) }
func benchConversation(i int) string { return fmt.Sprintf("g_%016d", i) }

var (
	benchContent = []byte(`{"text":"` + strings.Repeat("x", 189) + `"}`) // 200 bytes
	benchClock   atomic.Int64
)

// benchItem is a message of 200 bytes with a UUIDv7 as its clientId.
func benchItem(sender int) store.Append { return benchItemTo(rand.IntN(benchConversations), sender) }

func benchItemTo(conversation, sender int) store.Append {
	now := 1_700_000_000_000 + benchClock.Add(1)/8
	r, r2 := rand.Uint64(), rand.Uint64()
	m := store.Message{
		Conversation: benchConversation(conversation), From: benchUser(sender),
		ID: fmt.Sprintf("%016x", r), Type: "text", Content: benchContent, Time: store.Millis(now),
		ClientID: fmt.Sprintf("%08x-%04x-7%03x-%04x-%012x", now>>16, now&0xffff, r&0xfff, 0x8000|r>>20&0x3fff, r2&0xffffffffffff),
	}
	return store.Append{Message: m, Fingerprint: store.Fingerprint{byte(r), byte(r >> 8)}}
}

// sendFunc stores one message durably.
type sendFunc func(store.Append) error

func ours(s *Store) sendFunc {
	return func(item store.Append) error {
		r, err := s.Append(context.Background(), []store.Append{item})
		if err != nil {
			return err
		}
		return r[0].Err
	}
}

// peer stores the same rows by bbolt's own Update or Batch.
func peer(do func(func(*bbolt.Tx) error) error) sendFunc {
	return func(item store.Append) error {
		fields := messageFields(&item.Message, item.Fingerprint)
		return do(func(tx *bbolt.Tx) error {
			b, err := newBatch(tx)
			if err != nil {
				return err
			}
			if a := b.append(&item, fields); a.Err != nil {
				return a.Err
			}
			return b.flush()
		})
	}
}

func tuned(s *Store, size int, delay time.Duration) sendFunc {
	return func(item store.Append) error {
		s.db.Load().MaxBatchSize, s.db.Load().MaxBatchDelay = size, delay
		return peer(s.db.Load().Batch)(item)
	}
}

// rate runs writers for a round and returns messages per second.
func rate(b *testing.B, writers int, send sendFunc) float64 {
	b.Helper()
	var n atomic.Int64
	var all sync.WaitGroup
	began := time.Now()
	for w := range writers {
		all.Go(func() {
			for time.Since(began) < benchRound {
				if err := send(benchItem(w % benchSenders)); err != nil {
					b.Error(err)
					return
				}
				n.Add(1)
			}
		})
	}
	all.Wait()
	return float64(n.Load()) / time.Since(began).Seconds()
}

// BenchmarkWriters compares durable appends of 64 writers. To hold: at least 8
// times one Update per message, and at least the best Batch.
func BenchmarkWriters(b *testing.B) {
	s := benchStore(b)
	for _, writers := range []int{64, 256} {
		b.Run(fmt.Sprint(writers), func(b *testing.B) {
			batches := []sendFunc{
				tuned(s, writers, 10*time.Millisecond), tuned(s, writers, time.Millisecond),
				tuned(s, writers/2, time.Millisecond), tuned(s, writers, 100*time.Microsecond),
			}
			for b.Loop() {
				// The best Batch is found first, so that no luck of many rounds
				// is compared with one mean.
				best, top := batches[0], 0.0
				for _, send := range batches {
					if r := rate(b, writers, send) + rate(b, writers, send); r > top {
						best, top = send, r
					}
				}
				sides := []sendFunc{ours(s), peer(s.db.Load().Update), best}
				sum := make([]float64, len(sides))
				for range benchRounds {
					for i, send := range sides {
						sum[i] += rate(b, writers, send) / benchRounds
					}
				}
				mine, update, batch := sum[0], sum[1], sum[2]
				b.ReportMetric(mine, "msg/s")
				b.ReportMetric(update, "update/s")
				b.ReportMetric(batch, "batch/s")
				b.ReportMetric(mine/update, "x-update")
				b.ReportMetric(mine/batch, "x-batch")
			}
		})
	}
}

// BenchmarkLatency compares one writer. To hold: at most 1.2 times an Update.
func BenchmarkLatency(b *testing.B) {
	s := benchStore(b)
	for b.Loop() {
		var mine, update []time.Duration
		for range 2000 {
			for _, side := range []struct {
				send sendFunc
				took *[]time.Duration
			}{{ours(s), &mine}, {peer(s.db.Load().Update), &update}} {
				item := benchItem(0)
				began := time.Now()
				if err := side.send(item); err != nil {
					b.Fatal(err)
				}
				*side.took = append(*side.took, time.Since(began))
			}
		}
		slices.Sort(mine)
		slices.Sort(update)
		b.ReportMetric(float64(mine[1000].Microseconds()), "us-p50")
		b.ReportMetric(float64(update[1000].Microseconds()), "update-us-p50")
		b.ReportMetric(float64(mine[1000])/float64(update[1000]), "x-update")
	}
}

// fill stores messages fast and less durably.
func fill(b *testing.B, s *Store, n int) {
	b.Helper()
	s.db.Load().NoSync = true
	for range n / 500 {
		items := make([]store.Append, 500)
		for i := range items {
			items[i] = benchItem(rand.IntN(benchSenders))
		}
		if _, err := s.Append(context.Background(), items); err != nil {
			b.Fatal(err)
		}
	}
	s.db.Load().NoSync = false
	if err := s.db.Load().Sync(); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkPage compares the newest 50 messages of a conversation with a plain
// cursor that decodes and copies the same 50 rows where they are, its positions
// given. To hold: at most 1.5 times the cursor. The ratio to a cursor over a
// second copy of the rows, in the order of (conversation, seq), is what order
// of arrival costs a reader.
func BenchmarkPage(b *testing.B) {
	s := benchStore(b)
	fill(b, s, 200_000)
	rows := []byte("rows")
	plain, err := bbolt.Open(filepath.Join(b.TempDir(), "plain.db"), 0o600, &bbolt.Options{NoSync: true, InitialMmapSize: 1 << 30})
	if err != nil {
		b.Fatal(err)
	}
	defer plain.Close()
	err = plain.Update(func(tx *bbolt.Tx) error {
		out, err := tx.CreateBucket(rows)
		if err != nil {
			return err
		}
		return s.db.Load().View(func(from *bbolt.Tx) error {
			return from.Bucket(bucketLog).ForEach(func(_, row []byte) error {
				c, err := decodeCounters(row)
				if err != nil {
					return nil // another entry
				}
				return out.Put(editKey(c.number, c.seq), row)
			})
		})
	})
	if err != nil {
		b.Fatal(err)
	}
	page := func() {
		q := store.MessagesQuery{Conversation: benchConversation(rand.IntN(benchConversations)), Limit: 50}
		if p, err := s.Messages(context.Background(), q); err != nil || len(p.Messages) != 50 {
			b.Fatal(err, len(p.Messages))
		}
	}
	positions := newestPositions(b, s, 50)
	read := func(messages []store.Message, i int, row []byte) {
		if _, err := readMessage(&messages[i], "g_1", row); err != nil {
			b.Fatal(err)
		}
	}
	cursor := func() {
		messages := make([]store.Message, 50)
		err := s.db.Load().View(func(tx *bbolt.Tx) error {
			c := tx.Bucket(bucketLog).Cursor()
			for i, position := range positions[rand.IntN(benchConversations)] {
				_, row := c.Seek(logKey(position))
				read(messages, i, row)
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	inOrder := func() {
		number := 1 + rand.IntN(benchConversations)
		messages := make([]store.Message, 50)
		err := plain.View(func(tx *bbolt.Tx) error {
			c := tx.Bucket(rows).Cursor()
			c.Seek(numberKey(uint32(number + 1)))
			for i := range 50 {
				_, row := c.Prev()
				read(messages, 49-i, row)
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	const pages = 10_000
	for b.Loop() {
		var took [3]time.Duration
		sides := []func(){page, cursor, inOrder}
		for n := range pages * len(sides) {
			// In turns, so that each finds what the others left in the caches.
			i := (n + n/len(sides)) % len(sides)
			began := time.Now()
			sides[i]()
			took[i] += time.Since(began)
		}
		for i, name := range []string{"us/page", "cursor-us/page", "in-order-us/page"} {
			b.ReportMetric(took[i].Seconds()*1e6/pages, name)
		}
		b.ReportMetric(float64(took[0])/float64(took[1]), "x-cursor")
		b.ReportMetric(float64(took[0])/float64(took[2]), "x-in-order")
	}
}

// newestPositions finds where the newest messages of every conversation are.
func newestPositions(b *testing.B, s *Store, n int64) [][]uint64 {
	b.Helper()
	positions := make([][]uint64, benchConversations)
	err := s.db.Load().View(func(tx *bbolt.Tx) error {
		for i := range positions {
			r := reader{tx}
			h, err := r.head(uint32(i + 1))
			if err != nil {
				return err
			}
			index := r.positions(h)
			for seq := h.Seq - n + 1; seq <= h.Seq; seq++ {
				position, err := index.at(seq)
				if err != nil {
					return err
				}
				positions[i] = append(positions[i], position)
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	return positions
}

// BenchmarkDisk stores 1,000,000 messages and reports what each takes on disk,
// with every row of a send in. To hold: 600 bytes, 420 as the goal. Then it
// compares writers again, and walks the file.
func BenchmarkDisk(b *testing.B) {
	const messages = 1_000_000
	for b.Loop() {
		s := benchStore(b)
		began := time.Now()
		fill(b, s, messages)
		b.ReportMetric(messages/time.Since(began).Seconds(), "fill-msg/s")
		var used int64
		err := s.db.Load().View(func(tx *bbolt.Tx) error {
			used = tx.Size()
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(used)/messages, "B/msg")
		b.ReportMetric(float64(used-s.Stats().FreeBytes)/messages, "B/msg-in-use")
		mine, update := rate(b, 64, ours(s)), rate(b, 64, peer(s.db.Load().Update))
		b.ReportMetric(mine, "msg/s")
		b.ReportMetric(mine/update, "x-update")
		began = time.Now()
		if err := s.Check(context.Background()); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(time.Since(began).Seconds(), "check-s")
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
		began = time.Now()
		again, err := Open(s.path, nil)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(time.Since(began).Milliseconds()), "open-ms")
		again.Close()
	}
}

// BenchmarkCompact compacts 1,000,000 messages of which half were pruned, while
// four writers send a message a millisecond together, and compares how long sends
// take with how long they took before.
func BenchmarkCompact(b *testing.B) {
	const messages, writers = 1_000_000, 4
	ctx := context.Background()
	for b.Loop() {
		s := benchStore(b)
		fill(b, s, messages)
		for i := range benchConversations {
			q := store.PruneQuery{Conversation: benchConversation(i), Before: store.Millis(1_700_000_000_000 + benchClock.Load()/16), Forget: 1 << 50, Limit: messages}
			if _, err := s.Prune(ctx, q); err != nil {
				b.Fatal(err)
			}
		}
		before := s.Stats()
		sends := func(until func()) []time.Duration {
			ending, end := context.WithCancel(ctx)
			took := make([][]time.Duration, writers)
			var work sync.WaitGroup
			for w := range writers {
				work.Go(func() {
					tick := time.NewTicker(time.Millisecond * writers)
					defer tick.Stop()
					for ending.Err() == nil {
						<-tick.C
						began := time.Now()
						if r, err := s.Append(ctx, []store.Append{benchItem(w)}); err != nil || r[0].Err != nil {
							b.Error(err, r)
							return
						}
						took[w] = append(took[w], time.Since(began))
					}
				})
			}
			until()
			end()
			work.Wait()
			all := slices.Concat(took...)
			slices.Sort(all)
			return all
		}
		calm := sends(func() { time.Sleep(3 * time.Second) })
		began := time.Now()
		busy := sends(func() {
			if err := s.Compact(ctx); err != nil {
				b.Error(err)
			}
		})
		b.ReportMetric(time.Since(began).Seconds(), "compact-s")
		b.ReportMetric(float64(before.FileBytes)/1e6, "MB-before")
		b.ReportMetric(float64(s.Stats().FileBytes)/1e6, "MB-after")
		ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
		for _, side := range []struct {
			name string
			took []time.Duration
		}{{"calm", calm}, {"compacting", busy}} {
			b.ReportMetric(ms(side.took[len(side.took)/2]), side.name+"-ms-p50")
			b.ReportMetric(ms(side.took[len(side.took)*99/100]), side.name+"-ms-p99")
			b.ReportMetric(ms(side.took[len(side.took)-1]), side.name+"-ms-max")
		}
	}
}
