package bolt_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"go.etcd.io/bbolt"

	"example.com/h5im/store"
	"example.com/h5im/store/bolt"
)

// wreck damages every row whose key f picks; a null f is every row.
func wreck(t *testing.T, s *bolt.Store, bucket string, f func(k []byte) bool) {
	t.Helper()
	must(t, s.Corrupt(func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte(bucket))
		var keys [][]byte
		err := b.ForEach(func(k, _ []byte) error {
			if f == nil || f(k) {
				keys = append(keys, append([]byte(nil), k...))
			}
			return nil
		})
		for _, k := range keys {
			if err == nil {
				err = b.Put(k, []byte("wrecked"))
			}
		}
		return err
	}))
}

func syncPage(t *testing.T, s *bolt.Store, q store.SyncQuery) store.SyncPage {
	t.Helper()
	page, err := s.Sync(ctx, q)
	must(t, err)
	return page
}

// Promise 5: catching up costs what changed. Of a membership without a change
// sync reads the head and the member row, which lie together, and nothing
// else; what a page shows costs the same whatever lies beneath it.
func TestSyncReadsOneHeadAndOneMemberRowPerMembership(t *testing.T) {
	const few, many = 3, 300
	members := []store.NewMember{{User: "ann"}, {User: "alice"}, {User: "zoe"}}
	// fill makes conversations with messages, edits and markers.
	fill := func(t *testing.T, conversations, messages int) *bolt.Store {
		s := openUnchecked(t, filepath.Join(t.TempDir(), "im.db"), nil)
		t.Cleanup(func() { s.Close() })
		for c := range conversations {
			id := fmt.Sprintf("g_%03d", c)
			_, err := s.Create(ctx, store.NewConversation{ID: id, Kind: store.Group, Time: 1, Members: members})
			must(t, err)
			must(t, send(s, id, id, messages, 20))
			_, err = s.Mark(ctx, store.Mark{Conversation: id, User: "zoe", Read: 1})
			must(t, err)
		}
		return s
	}
	t.Run("and opens as many cursors for 300 as for 3", func(t *testing.T) {
		var costs [2]int64
		for i, n := range []int{few, many} {
			s := fill(t, n, 2)
			info, err := s.Info(ctx)
			must(t, err)
			costs[i] = s.Cursors(func() {
				if page := syncPage(t, s, store.SyncQuery{User: "ann", From: info.Version, Limit: 1000}); len(page.Rows) != 0 {
					t.Errorf("%d rows", len(page.Rows))
				}
			})
		}
		if costs[0] != costs[1] {
			t.Errorf("%d cursors for %d unchanged memberships, %d for %d", costs[0], few, costs[1], many)
		}
	})
	t.Run("and as many for a page of 5 of 300 as of 10, with 130 messages each as with 2", func(t *testing.T) {
		var costs [3]int64
		for i, of := range [][2]int{{many, 2}, {10, 2}, {10, 130}} {
			s := fill(t, of[0], of[1])
			costs[i] = s.Cursors(func() {
				if page := syncPage(t, s, store.SyncQuery{User: "ann", Limit: 5}); len(page.Rows) != 5 || page.Rows[0].Last == nil {
					t.Errorf("%+v", page)
				}
			})
		}
		if costs[0] != costs[1] || costs[1] != costs[2] {
			t.Errorf("cursors: %v", costs)
		}
	})
	t.Run("and touches nothing but those rows", func(t *testing.T) {
		s := fill(t, 20, 70)
		info, err := s.Info(ctx)
		must(t, err)
		must(t, create(s, "new"))
		_, err = s.ChangeMembers(ctx, store.MembersChange{Conversation: "new", Time: 1, Add: []store.NewMember{{User: "ann"}}})
		must(t, err)
		for _, bucket := range []string{"log", "blocks", "edits", "requests", "names", "memberRevs", "records"} {
			wreck(t, s, bucket, nil)
		}
		user := func(k []byte) string { return string(k[4:]) } // "" for the head
		wreck(t, s, "conversations", func(k []byte) bool { return user(k) != "" && user(k) != "ann" })
		wreck(t, s, "memberships", func(k []byte) bool { return string(k[1:len(k)-4]) != "ann" })
		page := syncPage(t, s, store.SyncQuery{User: "ann", From: info.Version, Limit: 1000})
		if len(page.Rows) != 1 || page.Rows[0].Conversation.ID != "new" {
			t.Errorf("%+v", page)
		}
	})
}

// rows reads a whole store.
func rows(t *testing.T, s *bolt.Store) map[string]string {
	t.Helper()
	all := map[string]string{}
	must(t, s.Corrupt(func(tx *bbolt.Tx) error {
		return tx.ForEach(func(name []byte, b *bbolt.Bucket) error {
			return b.ForEach(func(k, v []byte) error {
				all[string(name)+"/"+string(k)] = string(v)
				return nil
			})
		})
	}))
	return all
}

// Promise 6: the cost of a send does not depend on the number of members.
func TestASendWritesTheSameForTwoMembersAsForThousands(t *testing.T) {
	type cost struct{ rows, bytes, pages int }
	measure := func(members int) (c cost) {
		s := open(t, filepath.Join(t.TempDir(), "im.db"), nil)
		defer s.Close()
		n := store.NewConversation{ID: "g_1", Kind: store.Group, Time: 1, Members: []store.NewMember{{User: "alice"}}}
		for i := range members - 1 {
			n.Members = append(n.Members, store.NewMember{User: fmt.Sprintf("user-%05d", i)})
		}
		_, err := s.Create(ctx, n)
		must(t, err)
		must(t, send(s, "g_1", "first", 3, 200))
		before := rows(t, s)
		s.SetCommit(func(tx *bbolt.Tx) error {
			err := tx.Commit()
			stats := tx.Stats()
			c.pages = int(stats.GetPageCount())
			return err
		})
		must(t, send(s, "g_1", "second", 1, 200))
		s.SetCommit((*bbolt.Tx).Commit)
		after := rows(t, s)
		for k, v := range after {
			if was, ok := before[k]; !ok || was != v {
				c.rows++
				c.bytes += len(k) + len(v)
			}
		}
		if len(after) < len(before) {
			t.Errorf("%d rows became %d", len(before), len(after))
		}
		return c
	}
	two, thousands := measure(2), measure(5000)
	t.Logf("2 members: %+v, 5,000 members: %+v", two, thousands)
	if two.rows == 0 || thousands.rows != two.rows {
		t.Errorf("rows: %d and %d", two.rows, thousands.rows)
	}
	// Greater counters take a byte more, and a greater tree a branch page.
	if two.bytes < 200 || thousands.bytes > two.bytes+8 {
		t.Errorf("bytes: %d and %d", two.bytes, thousands.bytes)
	}
	if two.pages == 0 || thousands.pages > two.pages+3 {
		t.Errorf("pages: %d and %d", two.pages, thousands.pages)
	}
}
