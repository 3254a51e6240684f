package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"example.com/h5im/store"
)

var recordsCases = []testCase{
	{"a write compares before it sets", recordsCompare},
	{"writes are done all or none, in order", recordsAllOrNone},
	{"the revision of a key only grows", recordsRevision},
	{"concurrent compare-and-set loses no update", recordsConcurrent},
	{"an expired record is absent", recordsExpiry},
	{"a listing is in key order, by prefix, after and limit", recordsList},
	{"any bytes are a key and a value", recordsBytes},
}

func (e *env) put(w store.RecordWrite) int64 {
	e.Helper()
	revisions, err := e.WriteRecords(e.ctx, []store.RecordWrite{w})
	e.must(err)
	if len(revisions) != 1 {
		e.Fatalf("%d revisions of 1 write", len(revisions))
	}
	return revisions[0]
}

// record reads "n", "k"; a zero Record where it is absent.
func (e *env) record(at store.Millis) store.Record {
	e.Helper()
	r, err := e.GetRecord(e.ctx, "n", "k", at)
	if errors.Is(err, store.ErrNotFound) {
		return store.Record{}
	}
	e.must(err)
	return r
}

// Rule: If is met by AnyRevision always, by NoRecord where there is none, by a
// revision where it is that one; else ErrConflict, for deletes too.
func recordsCompare(e *env) {
	write := func(what string, w store.RecordWrite, ok bool) int64 {
		e.Helper()
		before := e.record(now)
		w.Namespace, w.Key, w.Value, w.Now = "n", "k", []byte(what), now
		if ok {
			revision := e.put(w)
			equal(e, what+": revision", e.record(now).Revision, revision)
			if !w.Delete {
				same(e, what, e.record(now), store.Record{
					Namespace: "n", Key: "k", Value: []byte(what), Revision: revision,
				})
			}
			return revision
		}
		_, err := e.WriteRecords(e.ctx, []store.RecordWrite{w})
		e.wantErr(what, err, store.ErrConflict)
		same(e, what, e.record(now), before)
		return 0
	}
	write("set by revision where there is none", store.RecordWrite{If: 1}, false)
	write("delete by revision where there is none", store.RecordWrite{If: 1, Delete: true}, false)
	write("delete what is absent", store.RecordWrite{Delete: true}, true)
	write("delete what must be absent", store.RecordWrite{If: store.NoRecord, Delete: true}, true)
	first := write("create", store.RecordWrite{If: store.NoRecord}, true)
	write("create again", store.RecordWrite{If: store.NoRecord}, false)
	write("delete what must be absent and is not", store.RecordWrite{If: store.NoRecord, Delete: true}, false)
	second := write("set by revision", store.RecordWrite{If: first}, true)
	write("set by an old revision", store.RecordWrite{If: first}, false)
	write("delete by an old revision", store.RecordWrite{If: first, Delete: true}, false)
	write("set by a later revision", store.RecordWrite{If: second + 1}, false)
	third := write("set anyway", store.RecordWrite{}, true)
	equal(e, "revision of a delete", write("delete by revision", store.RecordWrite{If: third, Delete: true}, true), 0)
	write("set by the revision of what is deleted", store.RecordWrite{If: third}, false)
	write("create after a delete", store.RecordWrite{If: store.NoRecord}, true)
}

// Rule: one that fails leaves none; each sees what those before it did.
func recordsAllOrNone(e *env) {
	_, err := e.WriteRecords(e.ctx, []store.RecordWrite{
		{Namespace: "n", Key: "a", Value: []byte("x")},
		{Namespace: "n", Key: "b", If: 5},
		{Namespace: "n", Key: "c", Value: []byte("x")},
	})
	e.wantErr("a failing write", err, store.ErrConflict)
	_, err = e.WriteRecords(e.ctx, []store.RecordWrite{{Namespace: "n", Key: "a"}, {Namespace: "n", Key: ""}})
	e.wantErr("an invalid write", err, store.ErrInvalid)
	listed, err := e.ListRecords(e.ctx, store.RecordsQuery{Namespace: "n", Limit: 9, Now: now})
	e.must(err)
	equal(e, "records after failures", len(listed), 0)

	revisions, err := e.WriteRecords(e.ctx, []store.RecordWrite{
		{Namespace: "n", Key: "k", Value: []byte("1"), If: store.NoRecord},
		{Namespace: "n", Key: "k", Delete: true},
		{Namespace: "n", Key: "k", Value: []byte("2"), If: store.NoRecord},
		{Namespace: "n", Key: "k", Value: []byte("3")},
	})
	e.must(err)
	equal(e, "revisions", len(revisions), 4)
	if revisions[1] != 0 || revisions[2] <= revisions[0] || revisions[3] <= revisions[2] {
		e.Errorf("revisions: %v", revisions)
	}
	same(e, "record", e.record(now), store.Record{Namespace: "n", Key: "k", Value: []byte("3"), Revision: revisions[3]})
	for what, writes := range map[string][]store.RecordWrite{
		"created twice":            {{Key: "new"}, {Key: "new", If: store.NoRecord}},
		"set by a stale revision":  {{Key: "k"}, {Key: "k", If: revisions[3]}},
		"deleted twice by its own": {{Key: "k", Delete: true}, {Key: "k", Delete: true, If: revisions[3]}},
	} {
		for i := range writes {
			writes[i].Namespace = "n"
		}
		_, err = e.WriteRecords(e.ctx, writes)
		e.wantErr(what, err, store.ErrConflict)
		equal(e, "value where a key was "+what, string(e.record(now).Value), "3")
	}
	_, err = e.WriteRecords(e.ctx, []store.RecordWrite{
		{Namespace: "n", Key: "k", Delete: true}, {Namespace: "n", Key: "k", If: store.NoRecord, Value: []byte("4")},
	})
	e.must(err)
	equal(e, "value after a delete and a creation", string(e.record(now).Value), "4")
	none, err := e.WriteRecords(e.ctx, nil)
	e.must(err)
	equal(e, "revisions of no write", len(none), 0)
}

// Rule: revisions of a key grow with every write of it, also after a delete, so
// that an old one never fits again.
func recordsRevision(e *env) {
	last := int64(0)
	for range 8 {
		for range 3 {
			revision := e.put(store.RecordWrite{Namespace: "n", Key: "k"})
			if revision <= last {
				e.Fatalf("revision %d after %d", revision, last)
			}
			last = revision
		}
		e.put(store.RecordWrite{Namespace: "n", Key: "k", Delete: true})
	}
}

// Rule: of writers that compare with the same revision one wins.
func recordsConcurrent(e *env) {
	const writers, each = 8, 8
	e.put(store.RecordWrite{Namespace: "n", Key: "k", Value: []byte("0")})
	e.fan(writers, func(int) error {
		for done := 0; done < each; {
			r, err := e.GetRecord(e.ctx, "n", "k", now)
			if err != nil {
				return err
			}
			n, err := strconv.Atoi(string(r.Value))
			if err != nil {
				return err
			}
			_, err = e.WriteRecords(e.ctx, []store.RecordWrite{
				{Namespace: "n", Key: "k", Value: []byte(strconv.Itoa(n + 1)), If: r.Revision},
			})
			if err == nil {
				done++
			} else if !errors.Is(err, store.ErrConflict) {
				return err
			}
		}
		return nil
	})
	equal(e, "value", string(e.record(now).Value), strconv.Itoa(writers*each))
}

// Rule: from ExpiresAt on, by the caller's clock, a record is absent from
// reads, listings and comparisons; what replaces it has a greater revision.
func recordsExpiry(e *env) {
	first := e.put(store.RecordWrite{Namespace: "n", Key: "k", ExpiresAt: now + 10})
	equal(e, "ExpiresAt", e.record(now).ExpiresAt, now+10)
	for at, present := range map[store.Millis]bool{0: true, now + 9: true, now + 10: false, now + 11: false} {
		equal(e, fmt.Sprint("present at ", at), e.record(at).Revision == first, present)
		listed, err := e.ListRecords(e.ctx, store.RecordsQuery{Namespace: "n", Limit: 9, Now: at})
		e.must(err)
		equal(e, fmt.Sprint("listed at ", at), len(listed) == 1, present)
	}
	for _, w := range []store.RecordWrite{{If: store.NoRecord, Now: now + 9}, {If: first, Now: now + 10}} {
		w.Namespace, w.Key = "n", "k"
		_, err := e.WriteRecords(e.ctx, []store.RecordWrite{w})
		e.wantErr(fmt.Sprintf("%+v", w), err, store.ErrConflict)
	}
	second := e.put(store.RecordWrite{Namespace: "n", Key: "k", If: store.NoRecord, Now: now + 10})
	if second <= first {
		e.Errorf("revision %d after %d", second, first)
	}
	equal(e, "ExpiresAt", e.record(now+99).ExpiresAt, 0)
	// A listing looks past what expired: limit counts what is there.
	for i := range 9 {
		e.put(store.RecordWrite{Namespace: "list", Key: fmt.Sprint(i), ExpiresAt: now * store.Millis(i%3)})
	}
	listed, err := e.ListRecords(e.ctx, store.RecordsQuery{Namespace: "list", Limit: 4, Now: now})
	e.must(err)
	var keys []string
	for _, r := range listed {
		keys = append(keys, r.Key)
	}
	same(e, "listed", keys, []string{"0", "2", "3", "5"})
}

// Rule: the listing is the records of the namespace in byte order of their
// keys, that begin with Prefix and are greater than After, up to Limit.
func recordsList(e *env) {
	keys := []string{"a", "a\x00", "a\x00b", "aa", "ab", "ab\xff", "abc", "b", "b\xff\xff", "\xff", "\xff\xff", "\xff\xffa"}
	for _, namespace := range []string{"n", "nn", "n\x00", "m", "n\xff"} {
		for i := range keys {
			e.put(store.RecordWrite{Namespace: namespace, Key: keys[len(keys)-1-i], Value: []byte(namespace)})
		}
	}
	slices.Sort(keys)
	for _, namespace := range []string{"n", "n\x00", "none"} {
		for _, prefix := range []string{"", "a", "a\x00", "ab", "b\xff", "\xff", "\xff\xff", "c"} {
			for _, after := range []string{"", "a", "aa", "ab", "abb", "b\xff\xff", "\xff\xff\xff"} {
				var want []string
				for _, key := range keys {
					if namespace != "none" && strings.HasPrefix(key, prefix) && key > after {
						want = append(want, key)
					}
				}
				for _, limit := range []int{1, 2, 5, len(keys), 1 << 30} {
					listed, err := e.ListRecords(e.ctx, store.RecordsQuery{
						Namespace: namespace, Prefix: prefix, After: after, Limit: limit, Now: now,
					})
					e.must(err)
					var got []string
					for _, r := range listed {
						got = append(got, r.Key)
						equal(e, "namespace", r.Namespace+string(r.Value), namespace+namespace)
					}
					same(e, fmt.Sprintf("%q prefix %q after %q limit %d", namespace, prefix, after, limit),
						got, want[:min(limit, len(want))])
				}
			}
		}
	}
}

// Rule: keys and values are bytes, up to their limits.
func recordsBytes(e *env) {
	for i, key := range []string{"\x00", "\xff", strings.Repeat("\x00", store.MaxKeyBytes), strings.Repeat("\xff", store.MaxKeyBytes), "語"} {
		for _, value := range [][]byte{nil, {0}, bytes.Repeat([]byte{0, 0xff, 'x'}, 64<<10/3)} {
			namespace := strings.Repeat("\xff", 1+i*15)
			revision := e.put(store.RecordWrite{Namespace: namespace, Key: key, Value: value})
			r, err := e.GetRecord(e.ctx, namespace, key, now)
			e.must(err)
			same(e, fmt.Sprintf("%q", key), r, store.Record{Namespace: namespace, Key: key, Value: value, Revision: revision})
		}
	}
}
