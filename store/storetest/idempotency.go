package storetest

import (
	"fmt"
	"strings"

	"example.com/h5im/store"
)

var idempotencyCases = []testCase{
	{"a repetition answers the first receipt and stores nothing", repeatStoresNothing},
	{"concurrent repetitions store once", repeatConcurrently},
	{"the first receipt outlives edit, recall and leave", repeatLater},
	{"another request under the same clientId conflicts", repeatOther},
	{"of a request that nobody knows any more everything is a repetition", repeatUnknown},
	{"a clientId belongs to a sender, store-wide", repeatStoreWide},
	{"clientIds that nearly are UUIDs are kept apart, byte for byte", repeatLookalikes},
	{"Create and Append share the clientIds", repeatAcrossMethods},
	{"a repeated Create answers the first conversation", repeatCreate},
	{"concurrent Creates of one request make one conversation", repeatCreateRace},
}

// Rule: nothing of a repetition is stored: no message, count, rev, version of
// a row, record or place in the feed. Twice in one call is a repetition too.
func repeatStoresNothing(e *env) {
	e.group("c", "ann", "ben")
	item := e.item("c", "ann", "x")
	first := e.send(item)
	e.say("c", "ben")
	before, row := e.head("c"), e.member("c", "ann")
	info, err := e.Info(e.ctx)
	e.must(err)
	fresh := e.item("c", "ben", "y")
	results, err := e.Append(e.ctx, []store.Append{item, item})
	e.must(err)
	for _, r := range results {
		e.must(r.Err)
		if !r.Duplicate || r.Opened {
			e.Errorf("repetition: %+v", r)
		}
		equal(e, "receipt", r.Receipt, first.Receipt)
		same(e, "message", r.Message, first.Message)
		same(e, "head in the answer", r.Conversation, before)
	}
	same(e, "head", e.head("c"), before)
	equal(e, "row", e.member("c", "ann"), row)
	after, err := e.Info(e.ctx)
	e.must(err)
	equal(e, "position", after.Position, info.Position)

	results, err = e.Append(e.ctx, []store.Append{fresh, fresh})
	e.must(err)
	if results[0].Duplicate || !results[1].Duplicate || results[0].Receipt != results[1].Receipt {
		e.Errorf("twice in one call: %+v", results)
	}
}

// Rule: of requests that race, one stores and all answer alike.
func repeatConcurrently(e *env) {
	const requests, times = 16, 5
	e.group("c", "ann")
	items := make([]store.Append, requests)
	for i := range items {
		items[i] = e.item("c", "ann", "x")
	}
	answers := make([]store.Appended, requests*times)
	e.fan(len(answers), func(i int) (err error) {
		answers[i], err = e.try(items[i%requests])
		return err
	})
	firsts := 0
	for i, a := range answers {
		equal(e, "receipt", a.Receipt, answers[i%requests].Receipt)
		if !a.Duplicate {
			firsts++
		}
	}
	equal(e, "requests that stored", firsts, requests)
	equal(e, "messages", len(e.all("c")), requests)
}

// Rule: a clientId is bytes. Whatever short form a store keeps for the ids
// that SDKs mint, an id of another shape is neither refused nor taken for one.
func repeatLookalikes(e *env) {
	e.group("c", "ann")
	ids := []string{
		"01890a5d-ac96-774b-bcce-b302099a8057", "01890A5D-AC96-774B-BCCE-B302099A8057",
		"01890a5d-ac96-774b-bcce-b302099a805-", "01890a5d-ac96-774b-bcce-b302099a80-7",
		"01890a5d-ac96-774b-bcce--302099a8057", "-1890a5d-ac96-774b-bcce-b302099a8057",
		"01890a5d-ac96-774b-bcce-b302099a805g", "01890a5dac96774bbcceb302099a8057",
		strings.Repeat("-", 36), "!", " ", strings.Repeat("~", store.MaxClientIDBytes),
	}
	first := map[string]store.Receipt{}
	for _, id := range ids {
		item := e.item("c", "ann", id)
		item.Message.ClientID, item.Fingerprint = id, fingerprint(id)
		a := e.send(item)
		if a.Duplicate {
			e.Errorf("%q was taken for another", id)
		}
		first[id] = a.Receipt
	}
	for i, m := range e.all("c") {
		equal(e, "clientId as stored", m.ClientID, ids[i])
	}
	for _, id := range ids {
		item := e.item("c", "ann", id)
		item.Message.ClientID, item.Fingerprint = id, fingerprint(id)
		equal(e, "receipt of "+id, e.send(item).Receipt, first[id])
	}
}

// Rule: Lookup and Append answer with the first receipt whatever happened to
// the message and to its sender since; Append adds the row as it is now.
func repeatLater(e *env) {
	e.group("c", "ann", "ben")
	item := e.item("c", "ben", "x")
	first := e.send(item)
	check := func(after string, now store.Message) {
		e.Helper()
		r, err := e.Lookup(e.ctx, "ben", item.Message.ClientID, item.Fingerprint)
		e.must(err)
		equal(e, "Lookup after "+after, r, first.Receipt)
		again := e.send(item)
		equal(e, "Append after "+after, again.Receipt, first.Receipt)
		equal(e, "duplicate after "+after, again.Duplicate, true)
		same(e, "message after "+after, again.Message, now)
	}
	check("the append", first.Message)
	check("an edit", e.edit("c", 1, `{"text":"edited"}`).Message)
	check("a recall", e.recall("c", 1).Message)
	e.remove("c", "ben")
	check("a leave", e.all("c")[0])
	_, err := e.try(e.item("c", "ben", "new"))
	e.wantErr("a new message after a leave", err, store.ErrNotMember)
}

// Rule: a clientId with another fingerprint is ErrConflict and stores nothing.
func repeatOther(e *env) {
	e.group("c", "ann")
	item := e.item("c", "ann", "x")
	e.send(item)
	item.Fingerprint[15] ^= 1
	_, err := e.try(item)
	e.wantErr("Append", err, store.ErrConflict)
	_, err = e.Lookup(e.ctx, "ann", item.Message.ClientID, item.Fingerprint)
	e.wantErr("Lookup", err, store.ErrConflict)
	_, err = e.Lookup(e.ctx, "ann", "never used", item.Fingerprint)
	e.wantErr("Lookup of nothing", err, store.ErrNotFound)
	equal(e, "messages", len(e.all("c")), 1)
}

// Rule: what was stored with the zero fingerprint is repeated by whatever asks
// under its clientId; the zero fingerprint repeats nothing but that.
func repeatUnknown(e *env) {
	e.group("c", "ann")
	known, unknown := e.item("c", "ann", "known"), e.item("c", "ann", "x")
	e.send(known)
	asked := unknown.Fingerprint
	unknown.Fingerprint = store.Fingerprint{}
	first := e.send(unknown)
	unknown.Fingerprint = asked
	again := e.send(unknown)
	equal(e, "duplicate", again.Duplicate, true)
	equal(e, "receipt", again.Receipt, first.Receipt)
	for _, f := range []store.Fingerprint{{}, asked} {
		r, err := e.Lookup(e.ctx, "ann", unknown.Message.ClientID, f)
		e.must(err)
		equal(e, "looked up", r, first.Receipt)
	}
	known.Fingerprint = store.Fingerprint{}
	_, err := e.try(known)
	e.wantErr("Append with the zero fingerprint", err, store.ErrConflict)

	n := store.NewConversation{ID: "d", Kind: store.Group, Creator: "ann", Time: now, ClientID: "made"}
	_, err = e.Create(e.ctx, n)
	e.must(err)
	n.Fingerprint = fingerprint("made")
	created, err := e.Create(e.ctx, n)
	e.must(err)
	equal(e, "created again", created.Duplicate, true)
	r, err := e.Lookup(e.ctx, "ann", "made", n.Fingerprint)
	e.must(err)
	equal(e, "looked up", r, store.Receipt{Conversation: "d"})
}

// Rule: the key is (from, clientId) and not the conversation; pairs whose
// bytes run together alike are different.
func repeatStoreWide(e *env) {
	pairs := [][2]string{{"a", "bc"}, {"ab", "c"}, {"a", "b"}, {"a\x00", "b"}, {"a", "\x00b"}}
	e.group("c", "a", "ab", "a\x00")
	e.group("d", "a")
	var first store.Appended
	for i, p := range pairs {
		item := e.item("c", p[0], "x")
		item.Message.ClientID, item.Fingerprint = p[1], fingerprint(fmt.Sprint(i))
		r := e.send(item)
		if r.Duplicate {
			e.Errorf("(%q, %q) is taken for another", p[0], p[1])
		}
		if i == 0 {
			first = r
		}
	}
	elsewhere := e.item("d", "a", "x")
	elsewhere.Message.ClientID, elsewhere.Fingerprint = "bc", fingerprint("0")
	r := e.send(elsewhere)
	equal(e, "duplicate in another conversation", r.Duplicate, true)
	equal(e, "receipt", r.Receipt, first.Receipt)
	equal(e, "head in the answer", r.Conversation.ID, "c")
	equal(e, "messages of the other conversation", e.head("d").Seq, int64(0))
}

// Rule: one space of clientIds: what Create used, Append may not use, even
// under the same fingerprint, and the other way round.
func repeatAcrossMethods(e *env) {
	n := store.NewConversation{
		ID: "c", Kind: store.Group, Creator: "ann", Time: now, Members: []store.NewMember{{User: "ann", Role: store.Owner}},
		ClientID: "made", Fingerprint: fingerprint("made"),
	}
	_, err := e.Create(e.ctx, n)
	e.must(err)
	r, err := e.Lookup(e.ctx, "ann", "made", n.Fingerprint)
	e.must(err)
	equal(e, "receipt of a creation", r, store.Receipt{Conversation: "c"})

	item := e.item("c", "ann", "x")
	item.Message.ClientID, item.Fingerprint = n.ClientID, n.Fingerprint
	_, err = e.try(item)
	e.wantErr("Append under the clientId of a Create", err, store.ErrConflict)

	item = e.item("c", "ann", "x")
	e.send(item)
	n.ID, n.ClientID, n.Fingerprint = "d", item.Message.ClientID, item.Fingerprint
	_, err = e.Create(e.ctx, n)
	e.wantErr("Create under the clientId of an Append", err, store.ErrConflict)
	_, _, err = e.Conversation(e.ctx, "d", "")
	e.wantErr("its conversation", err, store.ErrNotFound)
}

// Rule: a repeated Create answers with the first conversation as it is now,
// also where the caller drew a new id; another fingerprint conflicts.
func repeatCreate(e *env) {
	n := store.NewConversation{
		ID: "c", Kind: store.Group, Creator: "ann", Time: now, Settings: store.Settings{Title: "first"},
		ClientID: "made", Fingerprint: fingerprint("made"),
	}
	first, err := e.Create(e.ctx, n)
	e.must(err)
	equal(e, "duplicate", first.Duplicate, false)
	head := e.title("c", "second")
	for _, id := range []string{"c", "drawn anew"} {
		n.ID = id
		again, err := e.Create(e.ctx, n)
		e.must(err)
		equal(e, "duplicate", again.Duplicate, true)
		same(e, "conversation", again.Conversation, head)
	}
	_, _, err = e.Conversation(e.ctx, "drawn anew", "")
	e.wantErr("the new id", err, store.ErrNotFound)
	n.ID, n.Fingerprint = "other", fingerprint("other")
	_, err = e.Create(e.ctx, n)
	e.wantErr("another request", err, store.ErrConflict)
}

// Rule: the same with the requests at once.
func repeatCreateRace(e *env) {
	const times = 32
	created := make([]store.Created, times)
	e.fan(times, func(i int) (err error) {
		created[i], err = e.Create(e.ctx, store.NewConversation{
			ID: fmt.Sprint("c", i), Kind: store.Group, Creator: "ann", Time: now,
			Members:  []store.NewMember{{User: "ann", Role: store.Owner}},
			ClientID: "made", Fingerprint: fingerprint("made"),
		})
		return err
	})
	firsts := 0
	for _, c := range created {
		equal(e, "conversation", c.Conversation.ID, created[0].Conversation.ID)
		if !c.Duplicate {
			firsts++
		}
	}
	equal(e, "requests that created", firsts, 1)
	page, err := e.Sync(e.ctx, store.SyncQuery{User: "ann", Limit: times, Now: now})
	e.must(err)
	equal(e, "conversations", len(page.Rows), 1)
}
