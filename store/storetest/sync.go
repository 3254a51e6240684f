package storetest

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"sync/atomic"

	"example.com/h5im/store"
)

var syncCases = []testCase{
	{"a snapshot is every active membership, newest first", syncSnapshot},
	{"whatever touches head or row brings its row", syncTouches},
	{"rows that share a version are paged without loss at every size", syncShared},
	{"they are at every size while others write", syncSharedConcurrent},
	{"a row that moves between pages belongs to the next sync", syncMoves},
	{"a reader between concurrent writers misses nothing at every size", syncConcurrent},
	{"who left gets one bare row", syncLeft},
	{"who joins again gets the whole row", syncRejoin},
	{"the bound stays as the first page fixed it", syncBound},
}

// walk reads all pages of a sync, checks what every page promises and calls
// between, where not nil, before each page but the first. Goroutines may use it.
func (e *env) walk(q store.SyncQuery, between func(page int)) (rows []store.SyncRow, to int64, err error) {
	for n := 1; ; n++ {
		page, err := e.Sync(e.ctx, q)
		switch {
		case err != nil:
			return nil, 0, err
		case n > 1 && page.To != to:
			return nil, 0, fmt.Errorf("the upper bound was %d, is %d", to, page.To)
		case len(page.Rows) > q.Limit, page.More && len(page.Rows) == 0:
			return nil, 0, fmt.Errorf("%d rows, limit %d, more %v", len(page.Rows), q.Limit, page.More)
		}
		to = page.To
		for i := range page.Rows {
			row := &page.Rows[i]
			if err := checkRow(row, &q, to); err != nil {
				return nil, 0, err
			}
			if n := len(rows); n > 0 && compareRows(&rows[n-1], row) >= 0 {
				return nil, 0, fmt.Errorf("(%d, %q) comes after (%d, %q)",
					row.Version, row.Conversation.ID, rows[n-1].Version, rows[n-1].Conversation.ID)
			}
			rows = append(rows, *row)
		}
		if !page.More {
			return rows, to, nil
		}
		last := page.Rows[len(page.Rows)-1]
		q.To, q.AfterVersion, q.AfterID = to, last.Version, last.Conversation.ID
		if between != nil {
			between(n)
		}
	}
}

// compareRows orders by descending (version, id).
func compareRows(a, b *store.SyncRow) int {
	if a.Version != b.Version {
		return int(min(max(b.Version-a.Version, -1), 1))
	}
	return strings.Compare(b.Conversation.ID, a.Conversation.ID)
}

// checkRow checks a row by itself: its version lies in the bounds and is that
// of its parts, and the parts are of one moment.
func checkRow(row *store.SyncRow, q *store.SyncQuery, to int64) error {
	version := row.Member.Version
	if row.Member.Active() {
		version = max(version, row.Conversation.Version)
	}
	lastSeq := int64(0)
	if row.Last != nil {
		lastSeq = row.Last.Seq
	}
	switch {
	case row.Version != version || version <= q.From || version > to:
		return fmt.Errorf("%q: version %d of %+v, from %d to %d", row.Conversation.ID, row.Version, row, q.From, to)
	case row.Member.User != q.User || row.Member.Conversation != row.Conversation.ID:
		return fmt.Errorf("%q has the member row %+v", row.Conversation.ID, row.Member)
	case row.Member.Active() && lastSeq != row.Conversation.Seq:
		return fmt.Errorf("%q: last message %d, seq %d", row.Conversation.ID, lastSeq, row.Conversation.Seq)
	}
	return nil
}

func (e *env) sync(user string, from int64) []store.SyncRow {
	e.Helper()
	rows, to, err := e.walk(store.SyncQuery{User: user, From: from, Limit: 1000, Now: now}, nil)
	e.must(err)
	equal(e, "To", to, e.version())
	return rows
}

func rowIDs(rows []store.SyncRow) []string {
	var ids []string
	for i := range rows {
		ids = append(ids, rows[i].Conversation.ID)
	}
	return ids
}

// Rule: From 0 answers every active membership with head, row, newest message
// and, of a direct conversation, the peer; no ended ones and no rooms.
func syncSnapshot(e *env) {
	same(e, "of nobody", e.sync("ann", 0), []store.SyncRow(nil))
	e.group("empty", "ann", "ben")
	e.group("c", "ann", "ben")
	e.group("left", "owner", "ann")
	e.group("others", "ben")
	e.create(store.Room, "room", "ann")
	e.create(store.Direct, "d", "ann", "ben")
	e.say("c", "ben")
	e.say("d", "ben")
	e.say("c", "ann")
	e.remove("left", "ann")
	e.say("others", "ben")
	rows := e.sync("ann", 0)
	same(e, "conversations", rowIDs(rows), []string{"c", "d", "empty"})
	for _, row := range rows {
		id := row.Conversation.ID
		want := store.SyncRow{Conversation: e.head(id), Member: e.member(id, "ann")}
		want.Version = max(want.Conversation.Version, want.Member.Version)
		if stored := e.all(id); len(stored) > 0 {
			want.Last = &stored[len(stored)-1]
		}
		if id == "d" {
			peer := e.member("d", "ben")
			want.Peer = &peer
		}
		same(e, id, row, want)
	}
	e.remove("d", "ben")
	if peer := e.sync("ann", 0)[0].Peer; peer == nil || peer.Active() {
		e.Errorf("peer who left: %+v", peer)
	}
}

// Rule: a member's row is touched by every commit that changes the head or his
// own row, and by no other.
func syncTouches(e *env) {
	e.group("c", "ann", "ben")
	e.group("quiet", "ann", "ben")
	e.say("c", "ben")
	own := func(user string) func() {
		return func() {
			_, err := e.SetOwn(e.ctx, "c", user, func(o *store.OwnSettings) error {
				o.Draft += "x"
				return nil
			})
			e.must(err)
		}
	}
	for _, c := range []struct {
		what string
		do   func()
		rows []string
	}{
		{"nothing", func() {}, nil},
		{"a message", func() { e.say("c", "ben") }, []string{"c"}},
		{"an amendment", func() { e.edit("c", 1, "x") }, []string{"c"}},
		{"settings", func() { e.title("c", "x") }, []string{"c"}},
		{"a join", func() { e.add("c", "cat") }, []string{"c"}},
		{"a leave", func() { e.remove("c", "cat") }, []string{"c"}},
		{"an own setting", own("ann"), []string{"c"}},
		{"another's own setting", own("ben"), nil},
		{"a marker", func() { e.read("c", "ann", 1) }, []string{"c"}},
		{"another's marker", func() { e.read("c", "ben", 2); e.say("c", "ann"); e.read("c", "ben", 3) }, []string{"c"}},
		{"a new conversation", func() { e.group("new", "ann") }, []string{"new"}},
		{"another's conversation", func() { e.group("theirs", "ben") }, nil},
	} {
		from := e.version()
		c.do()
		same(e, c.what, rowIDs(e.sync("ann", from)), c.rows)
	}
}

// Rule: one call may touch hundreds of rows in one version; (version, id) is a
// total order, so that no page size loses or doubles one.
func syncShared(e *env) {
	const n = 300
	for i := range n {
		e.group(fmt.Sprintf("c%03d", i), "ann")
	}
	from := e.version()
	items := make([]store.Append, n)
	for i := range items {
		items[i] = e.item(fmt.Sprintf("c%03d", (i*7)%n), "ann", "x")
	}
	results, err := e.Append(e.ctx, items)
	e.must(err)
	for _, r := range results {
		e.must(r.Err)
	}
	e.say("c007", "ann")
	for _, from := range []int64{0, from} {
		want := e.sync("ann", from)
		equal(e, "rows", len(want), n)
		for _, limit := range pageSizes {
			if limit < 7 && from == 0 {
				continue // the same pages as with a From
			}
			rows, _, err := e.walk(store.SyncQuery{User: "ann", From: from, Limit: limit, Now: now}, nil)
			e.must(err)
			if !slices.Equal(rowIDs(rows), rowIDs(want)) {
				e.Errorf("by %d from %d: %d rows, %v", limit, from, len(rows), rowIDs(rows))
			}
		}
	}
}

// Rule: between writers, hundreds of rows that share a version are paged at
// every size: what a walk does not have has moved above its bound.
func syncSharedConcurrent(e *env) {
	const n, writers = 150, 2
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprintf("c%03d", i)
		e.group(ids[i], "owner", "ann")
	}
	send := func(ids []string) error {
		items := make([]store.Append, len(ids))
		for i, id := range ids {
			items[i] = e.item(id, "owner", "x")
		}
		_, err := e.Append(e.ctx, items)
		return err
	}
	var done atomic.Bool
	shared := 0 // the most rows of one version that a walk had
	e.fan(writers+1, func(w int) error {
		if w < writers {
			for at := w * n / writers; !done.Load(); at = (at + 7) % (n - 3) {
				if err := send(ids[at : at+3]); err != nil {
					return err
				}
			}
			return nil
		}
		defer done.Store(true)
		from := int64(0)
		for limit := 1; limit <= n; limit++ {
			if err := send(ids); err != nil {
				return err
			}
			rows, to, err := e.walk(store.SyncQuery{User: "ann", From: from, Limit: limit, Now: now}, nil)
			if err != nil {
				return err
			}
			has, versions := map[string]bool{}, map[int64]int{}
			for _, row := range rows {
				has[row.Conversation.ID] = true
				versions[row.Version]++
				shared = max(shared, versions[row.Version])
			}
			next, err := e.Sync(e.ctx, store.SyncQuery{User: "ann", From: to, Limit: n, Now: now})
			if err != nil {
				return err
			}
			for _, row := range next.Rows {
				has[row.Conversation.ID] = true
			}
			if len(has) != n {
				return fmt.Errorf("by %d from %d to %d: %d rows, %d since, together %d of %d",
					limit, from, to, len(rows), len(next.Rows), len(has), n)
			}
			from = to
		}
		return nil
	})
	if shared < n/2 {
		e.Errorf("at most %d rows shared a version", shared)
	}
}

// Rule: at every interleaving of pages and one write, the sync and the next one
// together bring every row: the moved one in its new state with the next sync,
// the others once.
func syncMoves(e *env) {
	const n = 6
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprint("c", i)
		e.group(ids[i], "ann")
	}
	for limit := 1; limit < n; limit++ {
		for boundary := 1; boundary*limit < n; boundary++ {
			for _, moved := range ids {
				from := e.version()
				for _, id := range ids {
					e.say(id, "ann")
				}
				rows, to, err := e.walk(store.SyncQuery{User: "ann", From: from, Limit: limit, Now: now}, func(page int) {
					if page == boundary {
						e.say(moved, "ann")
					}
				})
				e.must(err)
				what := fmt.Sprintf("by %d, %s moves after page %d", limit, moved, boundary)
				var want []string // newest first
				for i := n - 1; i >= 0; i-- {
					if n-i <= limit*boundary || ids[i] != moved {
						want = append(want, ids[i])
					}
				}
				same(e, what, rowIDs(rows), want)
				next := e.sync("ann", to)
				same(e, what+": next sync", rowIDs(next), []string{moved})
				equal(e, what+": its seq", next[0].Conversation.Seq, e.head(moved).Seq)
			}
		}
	}
}

// Rule: cursors rise, and a reader that repeats sync with any page size ends up
// with what a snapshot would give.
func syncConcurrent(e *env) {
	const n, writers, each = 24, 4, 40
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprintf("c%02d", i)
		e.group(ids[i], "owner", "ann", "ben")
	}
	r := e.random()
	seeds := [writers]uint64{}
	for i := range seeds {
		seeds[i] = r.Uint64()
	}
	var writing atomic.Int32
	writing.Store(writers)
	table := map[string]store.SyncRow{}
	e.fan(writers+1, func(w int) error {
		if w < writers {
			defer writing.Add(-1)
			return e.scribble(ids, seeds[w], each)
		}
		from := int64(0)
		for limit, last := 1, false; ; limit++ {
			rows, to, err := e.walk(store.SyncQuery{User: "ann", From: from, Limit: 1 + limit%n, Now: now}, nil)
			if err != nil {
				return err
			}
			if to < from {
				return fmt.Errorf("the cursor goes back from %d to %d", from, to)
			}
			from = to
			for _, row := range rows {
				if old, ok := table[row.Conversation.ID]; ok && old.Version >= row.Version {
					return fmt.Errorf("%s came at %d and again at %d", row.Conversation.ID, old.Version, row.Version)
				}
				table[row.Conversation.ID] = row
			}
			if last && limit > n {
				return nil
			}
			last = writing.Load() == 0
		}
	})
	want := map[string]store.SyncRow{}
	for _, row := range e.sync("ann", 0) {
		want[row.Conversation.ID] = row
	}
	maps.DeleteFunc(table, func(id string, row store.SyncRow) bool { return !row.Member.Active() })
	equal(e, "conversations", len(table), len(want))
	for id, row := range want {
		same(e, id, table[id], row)
	}
}

// scribble writes random things that move rows of ann.
func (e *env) scribble(ids []string, seed uint64, times int) error {
	state := seed
	pick := func(n int) int { // a generator of its own for each goroutine
		state = state*6364136223846793005 + 1442695040888963407
		return int(state >> 33 % uint64(n))
	}
	for range times {
		id := ids[pick(len(ids))]
		var err error
		switch pick(6) {
		case 0, 1:
			var items []store.Append
			for range 1 + pick(len(ids)) {
				items = append(items, e.item(ids[pick(len(ids))], "owner", "x"))
			}
			_, err = e.Append(e.ctx, items)
		case 2:
			_, err = e.Mark(e.ctx, store.Mark{Conversation: id, User: "ben", Read: int64(pick(40))})
		case 3:
			_, err = e.Configure(e.ctx, id, func(s *store.Settings) error {
				s.Title = fmt.Sprint(seed, pick(1000))
				return nil
			})
		case 4:
			_, err = e.ChangeMembers(e.ctx, store.MembersChange{Conversation: id, Time: now, Remove: []string{"ann"}})
		case 5:
			_, err = e.ChangeMembers(e.ctx, store.MembersChange{Conversation: id, Time: now, Add: []store.NewMember{{User: "ann"}}})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Rule: the row of an ended membership comes once, where From > 0, with the
// member row and of the conversation only ID and Kind; what happens there later
// never concerns who left.
func syncLeft(e *env) {
	e.group("c", "owner", "ann")
	e.create(store.Direct, "d", "ann", "ben")
	e.title("c", "secret")
	e.say("c", "owner")
	e.say("d", "ben")
	from := e.version()
	e.remove("c", "ann")
	e.remove("d", "ann")
	left := e.version()
	e.say("c", "owner")
	e.edit("c", 1, "secret")
	e.read("c", "owner", 2)
	var want []store.SyncRow
	for _, c := range []store.Conversation{{ID: "d", Kind: store.Direct}, {ID: "c", Kind: store.Group}} {
		m := e.member(c.ID, "ann")
		want = append(want, store.SyncRow{Version: m.Version, Conversation: c, Member: m})
	}
	same(e, "rows", e.sync("ann", from), want)
	same(e, "rows of a later sync", e.sync("ann", left), []store.SyncRow(nil))
	same(e, "snapshot", e.sync("ann", 0), []store.SyncRow(nil))
}

// Rule: a membership that began again is like any other.
func syncRejoin(e *env) {
	e.group("c", "owner", "ann")
	from := e.version()
	e.remove("c", "ann")
	e.say("c", "owner")
	e.add("c", "ann")
	for _, from := range []int64{0, from} {
		rows := e.sync("ann", from)
		equal(e, "rows", len(rows), 1)
		if len(rows) == 1 {
			same(e, "head", rows[0].Conversation, e.head("c"))
			equal(e, "row", rows[0].Member, e.member("c", "ann"))
			equal(e, "unread", rows[0].Member.Unread(&rows[0].Conversation), int64(0))
		}
	}
}

// Rule: To 0, or a To that the store has not reached, is the store's version;
// another is kept, and what is newer is not there.
func syncBound(e *env) {
	e.group("a", "ann")
	to := e.version()
	e.group("b", "ann")
	for _, c := range []struct {
		to, want int64
		ids      []string
	}{
		{0, e.version(), []string{"b", "a"}},
		{to, to, []string{"a"}},
		{e.version(), e.version(), []string{"b", "a"}},
		{e.version() + 1, e.version(), []string{"b", "a"}},
		{math.MaxInt64, e.version(), []string{"b", "a"}},
	} {
		page, err := e.Sync(e.ctx, store.SyncQuery{User: "ann", To: c.to, Limit: math.MaxInt, Now: now})
		e.must(err)
		equal(e, fmt.Sprint("To of ", c.to), page.To, c.want)
		same(e, fmt.Sprint("rows to ", c.to), rowIDs(page.Rows), c.ids)
		equal(e, "More", page.More, false)
	}
	page, err := e.Sync(e.ctx, store.SyncQuery{User: "ann", From: e.version() + 5, Limit: 9, Now: now})
	e.must(err)
	equal(e, "rows from the future", len(page.Rows), 0)
}
