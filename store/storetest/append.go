package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"example.com/h5im/store"
)

var appendCases = []testCase{
	{"concurrent writers of one conversation leave no hole", appendOne},
	{"concurrent writers of many conversations leave no hole", appendMany},
	{"append, amend and configure share the revs", appendSharedRev},
	{"the items of one call are numbered in their order", appendOrder},
	{"a failed item harms no neighbour and leaves nothing", appendFailures},
	{"failing items between concurrent writers leave no hole", appendFailuresConcurrent},
	{"a message comes back as it was sent", appendFields},
	{"the running counts count what they say", appendCounts},
	{"the sender's access is what As demands", appendAccess},
	{"64 first messages open a direct conversation once", appendOpenRace},
	{"a failed first message opens nothing", appendOpenFailed},
	{"records commit with their message", appendRecords},
}

// Rule: seq and rev are contiguous from 1 whoever writes at the same time.
func appendOne(e *env) { appendConcurrently(e, 1) }

// Rule: the same where the writers meet in many conversations.
func appendMany(e *env) { appendConcurrently(e, 16) }

func appendConcurrently(e *env, conversations int) {
	const writers, calls = 64, 4
	for c := range conversations {
		e.group(fmt.Sprint("c", c), users(writers)...)
	}
	results := make([][]store.Appended, writers)
	e.fan(writers, func(w int) error {
		for n := range calls {
			var items []store.Append
			for i := range 1 + (w+n)%3 {
				items = append(items, e.item(fmt.Sprint("c", (w*calls+n+i)%conversations), users(writers)[w], "x"))
			}
			r, err := e.Append(e.ctx, items)
			if err != nil {
				return err
			}
			results[w] = append(results[w], r...)
		}
		return nil
	})
	got := map[string]map[int64]store.Appended{}
	for w := range results {
		for _, r := range results[w] {
			e.must(r.Err)
			bySeq := got[r.Receipt.Conversation]
			if bySeq == nil {
				bySeq = map[int64]store.Appended{}
				got[r.Receipt.Conversation] = bySeq
			}
			if _, twice := bySeq[r.Receipt.Seq]; twice {
				e.Fatalf("%s: seq %d given twice", r.Receipt.Conversation, r.Receipt.Seq)
			}
			bySeq[r.Receipt.Seq] = r
		}
	}
	for id, bySeq := range got {
		stored := e.all(id)
		n := int64(len(bySeq))
		head := e.head(id)
		if int64(len(stored)) != n || head.Seq != n || head.Rev != n || head.Count != n {
			e.Fatalf("%s: %d acknowledged, %d stored, head %+v", id, n, len(stored), head)
		}
		for i, m := range stored {
			r, ok := bySeq[m.Seq]
			if m.Seq != int64(i+1) || m.Rev != m.Seq || m.Born != m.Seq || m.Count != m.Seq || !ok {
				e.Fatalf("%s: row %d is %+v", id, i, m)
			}
			same(e, "acknowledged message", r.Message, m)
			equal(e, "receipt", r.Receipt, store.Receipt{
				Conversation: id, Seq: m.Seq, Rev: m.Born, Count: m.Count, ID: m.ID, Time: m.Time,
			})
			equal(e, "seq of the head after the item", r.Conversation.Seq, m.Seq)
		}
	}
}

// Rule: every change of a timeline takes the next rev and no two the same.
func appendSharedRev(e *env) {
	const writers, each = 12, 12
	e.group("c", users(writers)...)
	e.say("c", users(1)[0])
	revs := make([][]int64, writers)
	e.fan(writers, func(w int) error {
		for n := range each {
			var rev int64
			switch w % 3 {
			case 0:
				r, err := e.try(e.item("c", users(writers)[w], "x"))
				if err != nil {
					return err
				}
				rev = r.Receipt.Rev
			case 1:
				r, err := e.Amend(e.ctx, "c", 1, func(m *store.Message) error {
					m.Content = fmt.Appendf(nil, "%d/%d", w, n)
					return nil
				})
				if err != nil {
					return err
				}
				rev = r.Message.Rev
			case 2:
				c, err := e.Configure(e.ctx, "c", func(s *store.Settings) error {
					s.Title = fmt.Sprintf("%d/%d", w, n)
					return nil
				})
				if err != nil {
					return err
				}
				rev = c.SettingsRev
			}
			revs[w] = append(revs[w], rev)
		}
		return nil
	})
	seen := map[int64]bool{1: true}
	for w := range revs {
		for i, rev := range revs[w] {
			if seen[rev] || i > 0 && rev <= revs[w][i-1] {
				e.Errorf("writer %d: rev %d repeated or not rising", w, rev)
			}
			seen[rev] = true
		}
	}
	equal(e, "revs given", len(seen), 1+writers*each)
	equal(e, "rev of the head", e.head("c").Rev, int64(1+writers*each))
}

// Rule: one writer's order survives inside a call, also between other writers.
func appendOrder(e *env) {
	const writers, batch = 8, 48
	for c := range 3 {
		e.group(fmt.Sprint("c", c), users(writers)...)
	}
	e.fan(writers, func(w int) error {
		var items []store.Append
		for i := range batch {
			items = append(items, e.item(fmt.Sprint("c", i%3), users(writers)[w], "x"))
		}
		results, err := e.Append(e.ctx, items)
		if err != nil {
			return err
		}
		last := map[string]int64{}
		for i, r := range results {
			if r.Err != nil {
				return r.Err
			}
			if r.Message.ClientID != items[i].Message.ClientID {
				return fmt.Errorf("result %d is of another item", i)
			}
			if id := r.Receipt.Conversation; r.Receipt.Seq <= last[id] {
				return fmt.Errorf("item %d has seq %d after %d", i, r.Receipt.Seq, last[id])
			} else {
				last[id] = r.Receipt.Seq
			}
		}
		return nil
	})
}

// Rule: an item's failure is in its entry; its neighbours are stored and
// numbered without a hole, and of it nothing is left: no message, receipt,
// record, conversation or place in the feed.
func appendFailures(e *env) {
	e.group("c", "ann", "ben")
	first := e.item("c", "ann", "first")
	e.send(first)

	reused := first
	reused.Fingerprint = fingerprint("another request")
	records := e.item("c", "ann", "records")
	records.Records = []store.RecordWrite{
		{Namespace: "n", Key: "written first", Value: []byte("x")},
		{Namespace: "n", Key: "absent", If: 7},
	}
	badRecord := e.item("c", "ann", "bad record")
	badRecord.Records = []store.RecordWrite{{Namespace: "", Key: "k"}}
	empty := e.item("c", "ann", "no type")
	empty.Message.Type = ""
	unopened := e.item("d", "eve", "stranger")
	unopened.Open = &[2]string{"ann", "ben"}
	failing := []struct {
		item store.Append
		want error
	}{
		{e.item("none", "ann", "unknown conversation"), store.ErrNotFound},
		{e.item("c", "eve", "no member"), store.ErrNotMember},
		{reused, store.ErrConflict},
		{records, store.ErrConflict},
		{badRecord, store.ErrInvalid},
		{empty, store.ErrInvalid},
		{unopened, store.ErrNotMember},
	}
	items := []store.Append{e.item("c", "ann", "good")}
	for _, f := range failing {
		items = append(items, f.item, e.item("c", "ben", "good"))
	}
	results, err := e.Append(e.ctx, items)
	e.must(err)
	for i, r := range results {
		if i%2 == 0 {
			e.must(r.Err)
			equal(e, "seq", r.Receipt.Seq, int64(2+i/2))
			equal(e, "rev", r.Receipt.Rev, int64(2+i/2))
			continue
		}
		f := failing[i/2]
		e.wantErr(string(f.item.Message.Content), r.Err, f.want)
		if !errors.Is(f.want, store.ErrConflict) || f.item.Records != nil {
			_, err := e.Lookup(e.ctx, f.item.Message.From, f.item.Message.ClientID, f.item.Fingerprint)
			e.wantErr("receipt of a failed item", err, store.ErrNotFound)
		}
	}
	equal(e, "seq of the head", e.head("c").Seq, int64(len(e.all("c"))))
	_, err = e.GetRecord(e.ctx, "n", "written first", now)
	e.wantErr("record of a failed item", err, store.ErrNotFound)
	_, _, err = e.Conversation(e.ctx, "d", "")
	e.wantErr("conversation of a failed item", err, store.ErrNotFound)
	changes, err := e.Feed(e.ctx, 0, 100)
	e.must(err)
	equal(e, "changes in the feed", len(changes), 1+len(e.all("c")))

	records.Fingerprint = fingerprint("its clientId is free")
	records.Records = nil
	equal(e, "seq after failures", e.send(records).Receipt.Seq, e.head("c").Seq)
}

// Rule: an item that fails late, at its records, gives no number away.
func appendFailuresConcurrent(e *env) {
	const writers, each = 16, 8
	e.group("c", users(writers)...)
	e.fan(writers, func(w int) error {
		for range each {
			bad := e.item("c", users(writers)[w], "bad")
			bad.Records = []store.RecordWrite{{Namespace: "n", Key: "absent", If: 7}}
			r, err := e.Append(e.ctx, []store.Append{bad, e.item("c", users(writers)[w], "good"), bad})
			if err != nil {
				return err
			}
			if !errors.Is(r[0].Err, store.ErrConflict) || r[1].Err != nil || !errors.Is(r[2].Err, store.ErrConflict) {
				return fmt.Errorf("errors %v, %v, %v", r[0].Err, r[1].Err, r[2].Err)
			}
		}
		return nil
	})
	head, stored := e.head("c"), e.all("c")
	equal(e, "messages", len(stored), writers*each)
	equal(e, "seq", head.Seq, int64(writers*each))
	equal(e, "rev", head.Rev, int64(writers*each))
	for i, m := range stored {
		equal(e, "seq of the row", m.Seq, int64(i+1))
	}
}

// Rule: everything that the store does not assign comes from the caller and
// comes back byte for byte, whatever it is.
func appendFields(e *env) {
	e.group("c", "ann")
	item := e.item("c", "ann", "")
	m := &item.Message
	m.ID = "\x00\xff id"
	m.Type = strings.Repeat("t", store.MaxTypeBytes)
	m.Content = bytes.Repeat([]byte("\x00\xff\"語"), 64<<10/6)
	m.Ext = []byte(`{"k":[1,2]}`)
	m.Mentions = []string{"ben", strings.Repeat("語", 42) + "xy"}
	m.MentionAll = true
	m.ReplyTo = 1<<53 - 1
	m.Flags = store.NoPush
	m.EditedAt, m.ExpiresAt = now+1, now+2
	m.Recalled = &store.Recall{By: "ben", At: now + 3, Reason: "語"}
	m.Seq, m.Rev, m.Born, m.Count, m.AllCount = 9, 9, 9, 9, 9 // the store's to assign
	r := e.send(item)
	m.Seq, m.Rev, m.Born, m.Count, m.AllCount = 1, 1, 1, 1, 1
	same(e, "answered message", r.Message, *m)
	same(e, "stored message", e.all("c")[0], *m)
}

// Rule: Count counts the messages without NoUnread, AllCount those of them
// that mention all, and every message carries both as they are with it.
func appendCounts(e *env) {
	e.group("c", "ann")
	var count, all int64
	for i := range 16 {
		item := e.item("c", "ann", "x")
		if i&1 != 0 {
			item.Message.Flags = store.NoUnread
		} else {
			count++
		}
		if item.Message.MentionAll = i&2 != 0; i&3 == 2 {
			all++
		}
		r := e.send(item)
		equal(e, "Count of the message", r.Message.Count, count)
		equal(e, "AllCount of the message", r.Message.AllCount, all)
		equal(e, "Count of the receipt", r.Receipt.Count, count)
		equal(e, "Count of the head", r.Conversation.Count, count)
		equal(e, "AllCount of the head", r.Conversation.AllCount, all)
	}
}

// Rule: AsMember demands an active row, AsLive and AsHost none; the
// conversation must exist for all of them.
func appendAccess(e *env) {
	e.group("c", "ann", "gone")
	e.remove("c", "gone")
	for _, as := range []store.Access{store.AsMember, store.AsLive, store.AsHost} {
		for _, from := range []string{"ann", "gone", "never"} {
			item := e.item("c", from, "x")
			item.As = as
			_, err := e.try(item)
			if as == store.AsMember && from != "ann" {
				e.wantErr(from+" as member", err, store.ErrNotMember)
			} else if err != nil {
				e.Errorf("%s as %d: %v", from, as, err)
			}
		}
		item := e.item("none", "ann", "x")
		item.As = as
		_, err := e.try(item)
		e.wantErr("unknown conversation", err, store.ErrNotFound)
	}
	item := e.item("c", "", "from the host itself")
	item.As = store.AsHost
	e.send(item)
	equal(e, "messages", len(e.all("c")), 8)
}

// Rule: Append.Open creates its conversation once, whoever comes first, and
// every first message is stored.
func appendOpenRace(e *env) {
	const writers = 64
	ends := [2]string{"ann", "ben"}
	opened := make([]bool, writers)
	e.fan(writers, func(w int) error {
		item := e.item("d", ends[w%2], "hi")
		item.Open = &ends
		r, err := e.try(item)
		opened[w] = r.Opened
		return err
	})
	n := 0
	for _, o := range opened {
		if o {
			n++
		}
	}
	equal(e, "items that opened", n, 1)
	c := e.head("d")
	same(e, "head", c, store.Conversation{
		ID: "d", Kind: store.Direct, Creator: c.Creator, CreatedAt: now, Seq: writers, Rev: writers, MemberRev: 1,
		Count: writers, Members: 2, Version: c.Version,
	})
	for _, user := range ends {
		m := e.member("d", user)
		if !m.Active() || m.Role != store.PlainMember || m.JoinedAt != now || m.Rev != 1 {
			e.Errorf("row of %s: %+v", user, m)
		}
	}
	stranger := e.item("d", "eve", "stranger")
	stranger.Open = &[2]string{"eve", "ann"}
	_, err := e.try(stranger)
	e.wantErr("Open of what exists", err, store.ErrNotMember)
}

// Rule: opening is a part of the item: it fails with it, and with nothing else.
func appendOpenFailed(e *env) {
	conflicting := e.item("d", "ann", "x")
	conflicting.Open = &[2]string{"ann", "ben"}
	conflicting.Records = []store.RecordWrite{{Namespace: "n", Key: "absent", If: 7}}
	fine := e.item("d", "ben", "y")
	fine.Open = &[2]string{"ann", "ben"}
	results, err := e.Append(e.ctx, []store.Append{conflicting, fine})
	e.must(err)
	e.wantErr("first item", results[0].Err, store.ErrConflict)
	e.must(results[1].Err)
	if !results[1].Opened || results[1].Receipt.Seq != 1 || results[1].Conversation.Creator != "ben" {
		e.Errorf("second item: %+v", results[1])
	}
	known, err := e.Acquainted(e.ctx, "ann", []string{"ben"})
	e.must(err)
	equal(e, "acquainted", len(known), 1)
}

// Rule: the record writes of an item are one transaction with it, and the next
// item of the call sees them.
func appendRecords(e *env) {
	e.group("c", "ann")
	first := e.item("c", "ann", "1")
	first.Records = []store.RecordWrite{
		{Namespace: "n", Key: "lease", Value: []byte("first"), If: store.NoRecord},
		{Namespace: "n", Key: "gone", Value: []byte("x")},
		{Namespace: "n", Key: "gone", Delete: true},
	}
	second := e.item("c", "ann", "2")
	second.Records = []store.RecordWrite{{Namespace: "n", Key: "lease", Value: []byte("second"), If: store.NoRecord}}
	third := e.item("c", "ann", "3")
	third.Records = []store.RecordWrite{{Namespace: "n", Key: "other", Value: []byte("third")}}
	results, err := e.Append(e.ctx, []store.Append{first, second, third})
	e.must(err)
	e.must(results[0].Err)
	e.wantErr("second item", results[1].Err, store.ErrConflict)
	e.must(results[2].Err)
	records, err := e.ListRecords(e.ctx, store.RecordsQuery{Namespace: "n", Limit: 10, Now: now})
	e.must(err)
	var got []string
	for _, r := range records {
		got = append(got, r.Key+"="+string(r.Value))
	}
	same(e, "records", got, []string{"lease=first", "other=third"})

	again := e.send(first) // its condition would fail now
	if !again.Duplicate {
		e.Error("the repetition is no duplicate")
	}
}
