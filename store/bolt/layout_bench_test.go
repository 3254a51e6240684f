package bolt

import (
	"flag"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"example.com/h5im/store"
)

var (
	layoutMessages = flag.Int("layouts.messages", 1_000_000, "messages in a file of BenchmarkLayouts")
	layoutPages    = flag.Bool("layouts.pages", false, "measure pages and size alone, of files too large for the rest")
)

// BenchmarkLayouts compares layouts of the same rows: note N19 of DESIGN.md has
// the table.
//
//	go test ./store/bolt -run xxx -bench Layouts -benchtime 1x -timeout 60m
//	go test ./store/bolt -run xxx -bench Layouts/large -benchtime 1x -timeout 60m -layouts.messages 10000000 -layouts.pages
func BenchmarkLayouts(b *testing.B) {
	for _, shape := range []struct {
		name          string
		conversations int
	}{{"tiny", 20_000}, {"large", 100}} {
		for _, l := range layouts {
			b.Run(shape.name+"/"+l.name, func(b *testing.B) {
				for b.Loop() {
					measureLayout(b, l.open(b, shape.conversations), shape.conversations)
				}
			})
		}
	}
}

func measureLayout(b *testing.B, l layout, conversations int) {
	items := func(n int) []store.Append {
		out := make([]store.Append, n)
		for i := range out {
			out[i] = layoutItem(conversations)
		}
		return out
	}
	db, all := l.file(), 0
	// commits measures durable commits of 64 sends.
	commits := func(unit string) {
		const rounds = 400
		batches := make([][]store.Append, rounds)
		for i := range batches {
			batches[i] = items(64)
		}
		began := time.Now()
		for _, batch := range batches {
			l.append(b, batch)
		}
		b.ReportMetric(rounds*64/time.Since(began).Seconds(), unit)
		all += rounds * 64
	}
	if !*layoutPages {
		commits("empty-msg/s")
	}
	db.NoSync = true
	for all < *layoutMessages {
		l.append(b, items(2000))
		all += 2000
	}
	db.NoSync = false
	if err := db.Sync(); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(size(b, db))/float64(all), "B/msg")
	each := all / conversations
	took := make([]time.Duration, 20_000)
	for i := range took {
		c, from := rand.IntN(conversations), int64(1+rand.IntN(max(1, each-layoutPage)))
		began := time.Now()
		l.page(b, c, from)
		took[i] = time.Since(began)
	}
	slices.Sort(took)
	b.ReportMetric(took[len(took)/2].Seconds()*1e6, "page-us-p50")
	b.ReportMetric(took[len(took)*99/100].Seconds()*1e6, "page-us-p99")
	if *layoutPages {
		return
	}
	commits("full-msg/s")

	db.NoSync = true
	l.dropHalf(b)
	db.NoSync = false
	b.ReportMetric(float64(size(b, db))/float64(all), "halved-B/msg")
	compacted, err := bbolt.Open(filepath.Join(b.TempDir(), "compacted.db"), 0o600, &bbolt.Options{NoSync: true})
	if err != nil {
		b.Fatal(err)
	}
	if err := bbolt.Compact(compacted, db, 1<<20); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(size(b, compacted))/float64(all), "compacted-B/msg")
	if err := compacted.Close(); err != nil {
		b.Fatal(err)
	}
}

// size is what a file's pages take.
func size(b *testing.B, db *bbolt.DB) (n int64) {
	b.Helper()
	err := db.View(func(tx *bbolt.Tx) error {
		n = tx.Size()
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	return n
}
