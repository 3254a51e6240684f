package storetest

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"

	"example.com/h5im/store"
)

var membersCases = []testCase{
	{"a call takes one memberRev and answers its rows in order", membersOrder},
	{"adding a member and removing none change nothing", membersIdempotent},
	{"who joins again keeps his own state", membersRejoin},
	{"a group keeps an owner", membersLastOwner},
	{"a direct conversation keeps its two ends", membersDirect},
	{"the limit holds and a change above it changes nothing", membersLimit},
	{"the limit holds against concurrent joins", membersLimitRace},
	{"concurrent changes keep the member count", membersConcurrent},
	{"the list is paged by user", membersList},
	{"changed rows are paged by rev at every size", membersSince},
	{"rows that change between pages are not missed", membersBetweenPages},
	{"rows can be asked for by user", membersUsers},
	{"the class changes above SmallConversation and never back", membersClass},
	{"acquainted are who share a conversation now", membersAcquainted},
}

// Rule: all rows of a call carry one new memberRev and one version, which the
// head carries too, and come back in the order of the request: added, removed.
func membersOrder(e *env) {
	e.group("c", "zoe", "ann", "ben", "cat")
	e.say("c", "zoe")
	before := e.head("c")
	r := e.change(store.MembersChange{
		Conversation: "c", Time: now + 7,
		Add:    []store.NewMember{{User: "yan", Role: store.Admin}, {User: "ann"}, {User: "dan"}, {User: "yan", Role: store.Owner}},
		Remove: []string{"cat", "eve", "ben", "cat"},
	})
	head := before
	head.MemberRev, head.Members, head.Version = 2, 4, e.version()
	same(e, "head in the answer", r.Conversation, head)
	same(e, "head", e.head("c"), head)
	row := store.Member{Conversation: "c", Rev: 2, Version: head.Version}
	yan, dan, cat, ben := row, row, row, row
	yan.User, yan.Role, yan.JoinedAt, yan.Seen = "yan", store.Admin, now+7, 1
	dan.User, dan.Role, dan.JoinedAt, dan.Seen = "dan", store.PlainMember, now+7, 1
	cat.User, cat.Role, cat.JoinedAt, cat.LeftAt = "cat", store.PlainMember, now, now+7
	ben.User, ben.Role, ben.JoinedAt, ben.LeftAt = "ben", store.PlainMember, now, now+7
	same(e, "rows", r.Members, []store.Member{yan, dan, cat, ben})
	for _, m := range r.Members {
		equal(e, "stored row", e.member("c", m.User), m)
	}
	equal(e, "row of who stayed", e.member("c", "ann").Rev, int64(1))
}

// Rule: what changes nothing takes no memberRev and stamps nothing.
func membersIdempotent(e *env) {
	e.group("c", "ann", "ben", "cat")
	e.remove("c", "cat")
	head, row := e.head("c"), e.member("c", "cat")
	for what, change := range map[string]store.MembersChange{
		"nothing":                     {},
		"a member added":              {Add: []store.NewMember{{User: "ben", Role: store.Admin}}},
		"who left removed again":      {Remove: []string{"cat"}},
		"who never was one removed":   {Remove: []string{"eve"}},
		"a member added at the limit": {Add: []store.NewMember{{User: "ben"}}, Limit: 1},
	} {
		change.Conversation, change.Time = "c", now+9
		r := e.change(change)
		same(e, what, r, store.MembersChanged{Conversation: head})
	}
	same(e, "head", e.head("c"), head)
	equal(e, "row", e.member("c", "cat"), row)
	equal(e, "role", e.member("c", "ben").Role, store.PlainMember)
}

// Rule: a new join renews role, JoinedAt and Seen, and keeps markers, own and
// settings; a row that ended takes no marker and no settings.
func membersRejoin(e *env) {
	e.group("c", "ann", "ben")
	e.say("c", "ann")
	e.say("c", "ann")
	e.read("c", "ben", 1)
	setDraft := func(o *store.OwnSettings) error {
		o.Draft = "draft"
		return nil
	}
	_, err := e.SetOwn(e.ctx, "c", "ben", setDraft)
	e.must(err)
	e.remove("c", "ben")
	e.say("c", "ann")
	_, err = e.Mark(e.ctx, store.Mark{Conversation: "c", User: "ben", Read: 3})
	e.wantErr("Mark after a leave", err, store.ErrNotMember)
	_, err = e.SetOwn(e.ctx, "c", "ben", setDraft)
	e.wantErr("SetOwn after a leave", err, store.ErrNotMember)
	_, err = e.Mark(e.ctx, store.Mark{Conversation: "c", User: "eve", Read: 3})
	e.wantErr("Mark of a stranger", err, store.ErrNotMember)
	left := e.member("c", "ben")
	equal(e, "draft after a leave", left.Draft, "draft")

	want := left
	want.Role, want.JoinedAt, want.LeftAt, want.Seen = store.Admin, now+3, 0, 3
	want.Rev = 3
	r := e.change(store.MembersChange{
		Conversation: "c", Time: now + 3, Add: []store.NewMember{{User: "ben", Role: store.Admin}},
	})
	want.Version = e.version()
	same(e, "rows", r.Members, []store.Member{want})
	equal(e, "row", e.member("c", "ben"), want)
	equal(e, "unread", want.Unread(&r.Conversation), int64(0))
}

// Rule: ErrLastOwner where the whole call would leave a group that has an
// owner without one, and nothing of it is done.
func membersLastOwner(e *env) {
	e.group("c", "ann", "ben")
	before := e.head("c")
	_, err := e.ChangeMembers(e.ctx, store.MembersChange{
		Conversation: "c", Time: now, Add: []store.NewMember{{User: "cat"}}, Remove: []string{"ben", "ann"},
	})
	e.wantErr("removing the last owner", err, store.ErrLastOwner)
	same(e, "head", e.head("c"), before)
	equal(e, "row", e.member("c", "ben").LeftAt, 0)

	e.change(store.MembersChange{
		Conversation: "c", Time: now, Add: []store.NewMember{{User: "cat", Role: store.Owner}}, Remove: []string{"ann"},
	})
	equal(e, "members after a handover", e.head("c").Members, 2)
	e.remove("c", "ben")
	_, err = e.ChangeMembers(e.ctx, store.MembersChange{Conversation: "c", Time: now, Remove: []string{"cat"}})
	e.wantErr("removing the last of all", err, store.ErrLastOwner)

	e.create(store.Direct, "d", "ann", "ben")
	e.remove("d", "ann", "ben")
	_, err = e.Create(e.ctx, store.NewConversation{ID: "h", Kind: store.Group, Members: []store.NewMember{{User: "ann"}}})
	e.must(err)
	e.remove("h", "ann")
	equal(e, "members of a group that never had an owner", e.head("h").Members, 0)
}

// Rule: who is no end of a direct conversation never becomes one, so that the
// peer of an end is always the other one; the ends leave and join again.
func membersDirect(e *env) {
	e.create(store.Direct, "d", "ann", "cat")
	before := e.head("d")
	_, err := e.ChangeMembers(e.ctx, store.MembersChange{
		Conversation: "d", Time: now, Add: []store.NewMember{{User: "ben"}}, Remove: []string{"cat"},
	})
	e.wantErr("adding a third", err, store.ErrInvalid)
	same(e, "head", e.head("d"), before)
	e.remove("d", "cat")
	e.add("d", "cat")
	equal(e, "members", e.head("d").Members, 2)
	peer := e.member("d", "cat")
	same(e, "peer", e.sync("ann", 0)[0].Peer, &peer)
}

// Rule: a change that would grow the group above Limit is ErrTooMany and
// nothing of it is done; one that does not grow it is fine.
func membersLimit(e *env) {
	e.group("c", "ann", "ben", "cat")
	before := e.head("c")
	change := store.MembersChange{Conversation: "c", Time: now, Limit: 4, Add: []store.NewMember{{User: "dan"}, {User: "eve"}}}
	_, err := e.ChangeMembers(e.ctx, change)
	e.wantErr("two above", err, store.ErrTooMany)
	same(e, "head", e.head("c"), before)
	page, err := e.Members(e.ctx, store.MembersQuery{Conversation: "c", Users: []string{"dan", "eve"}})
	e.must(err)
	equal(e, "rows", len(page.Members), 0)

	change.Remove = []string{"cat"}
	equal(e, "members after an exchange", e.change(change).Conversation.Members, 4)
	change = store.MembersChange{Conversation: "c", Time: now, Limit: 1, Remove: []string{"dan"}}
	equal(e, "members after a removal above the limit", e.change(change).Conversation.Members, 3)
}

// Rule: Limit is checked inside the transaction.
func membersLimitRace(e *env) {
	const limit = 10
	e.group("c", "owner")
	joined := make([]bool, 32)
	e.fan(len(joined), func(i int) error {
		_, err := e.ChangeMembers(e.ctx, store.MembersChange{
			Conversation: "c", Time: now, Limit: limit, Add: []store.NewMember{{User: users(i + 1)[i]}},
		})
		joined[i] = err == nil
		if errors.Is(err, store.ErrTooMany) {
			return nil
		}
		return err
	})
	n := 1
	for _, j := range joined {
		if j {
			n++
		}
	}
	equal(e, "joined", n, limit)
	equal(e, "members", e.head("c").Members, limit)
}

// Rule: memberRevs are contiguous, one for each call that changed something,
// and Members is the number of active rows.
func membersConcurrent(e *env) {
	const workers, each = 12, 8
	e.group("c", "owner")
	revs := make([][]int64, workers)
	e.fan(workers, func(w int) error {
		for n := range each {
			change := store.MembersChange{Conversation: "c", Time: now}
			for i, user := range users(6) {
				if (w+n+i)%3 == 0 {
					change.Add = append(change.Add, store.NewMember{User: user})
				} else if (w+n+i)%3 == 1 {
					change.Remove = append(change.Remove, user)
				}
			}
			r, err := e.ChangeMembers(e.ctx, change)
			if err != nil {
				return err
			}
			if len(r.Members) > 0 {
				revs[w] = append(revs[w], r.Conversation.MemberRev)
			}
		}
		return nil
	})
	head := e.head("c")
	given := slices.Concat(revs...)
	slices.Sort(given)
	equal(e, "memberRevs given", int64(len(given)), head.MemberRev-1)
	for i, rev := range given {
		equal(e, "memberRev", rev, int64(i+2))
	}
	page, err := e.Members(e.ctx, store.MembersQuery{Conversation: "c", Limit: math.MaxInt})
	e.must(err)
	equal(e, "active rows", len(page.Members), head.Members)
}

// members reads all pages of a query and checks what every page promises.
func (e *env) members(q store.MembersQuery) []store.Member {
	e.Helper()
	var rows []store.Member
	for {
		page, err := e.Members(e.ctx, q)
		e.must(err)
		rows = append(rows, page.Members...)
		if len(page.Members) > q.Limit {
			e.Fatalf("%d rows, limit %d", len(page.Members), q.Limit)
		}
		if !page.More {
			return rows
		}
		if len(page.Members) == 0 {
			e.Fatal("an empty page with More")
		}
		last := page.Members[len(page.Members)-1]
		q.After, q.AfterRev = last.User, last.Rev
	}
}

// bigGroup has 300 members of memberRev 1, of whom 40 left at 2, when 20 new
// ones came, and 10 came back at 3; it answers all rows that there are.
func (e *env) bigGroup(id string) []store.Member {
	e.Helper()
	all := users(320)
	e.group(id, all[:300]...)
	change := store.MembersChange{Conversation: id, Time: now + 1, Remove: all[100:140]}
	for _, user := range all[300:] {
		change.Add = append(change.Add, store.NewMember{User: user})
	}
	e.change(change)
	e.add(id, all[120:130]...)
	page, err := e.Members(e.ctx, store.MembersQuery{Conversation: id, Users: all})
	e.must(err)
	equal(e, "rows", len(page.Members), 320)
	equal(e, "memberRev", page.MemberRev, int64(3))
	return page.Members
}

var pageSizes = []int{1, 2, 3, 7, 10, 19, 20, 50, 60, 249, 250, 289, 290, 291, 299, 300, 301, math.MaxInt}

// Rule: without Since the answer is the active members by user, at any size.
func membersList(e *env) {
	var want []store.Member
	for _, m := range e.bigGroup("c") {
		if m.Active() {
			want = append(want, m)
		}
	}
	equal(e, "members", e.head("c").Members, len(want))
	for _, limit := range pageSizes {
		same(e, fmt.Sprint("by ", limit), e.members(store.MembersQuery{Conversation: "c", Limit: limit}), want)
	}
}

// Rule: with Since the answer is every row of a greater rev, ended ones too,
// by (rev, user); hundreds that share one rev are paged without loss.
func membersSince(e *env) {
	rows := e.bigGroup("c")
	slices.SortFunc(rows, func(a, b store.Member) int {
		return cmp.Or(cmp.Compare(a.Rev, b.Rev), cmp.Compare(a.User, b.User))
	})
	for _, limit := range pageSizes {
		for since := int64(1); since <= 4; since++ {
			var want []store.Member
			for _, m := range rows {
				if m.Rev > since {
					want = append(want, m)
				}
			}
			got := e.members(store.MembersQuery{Conversation: "c", Since: since, Limit: limit})
			same(e, fmt.Sprintf("since %d by %d", since, limit), got, want)
		}
	}

	e.group("shared", "owner")
	e.add("shared", users(300)...)
	for _, limit := range pageSizes {
		got := e.members(store.MembersQuery{Conversation: "shared", Since: 1, Limit: limit})
		equal(e, "rows of one rev", len(got), 300)
		for i, user := range users(300) {
			equal(e, "user", got[i].User, user)
		}
	}
}

// Rule: a row that changes while a reader pages is in a later page or above the
// memberRev of the first page, so that the next listing has it.
func membersBetweenPages(e *env) {
	r := e.random()
	for limit := 1; limit <= 6; limit++ {
		id := fmt.Sprint("c", limit)
		e.group(id, "owner")
		e.add(id, users(12)...)
		mine := map[string]store.Member{}
		since, moves := int64(1), 20
		for range 2 {
			q := store.MembersQuery{Conversation: id, Since: since, Limit: limit}
			for first := true; ; first = false {
				page, err := e.Members(e.ctx, q)
				e.must(err)
				if first {
					since = page.MemberRev
				}
				for _, m := range page.Members {
					if m.Rev < mine[m.User].Rev {
						e.Fatalf("%s came at rev %d and again at %d", m.User, mine[m.User].Rev, m.Rev)
					}
					mine[m.User] = m
				}
				if !page.More {
					break
				}
				last := page.Members[len(page.Members)-1]
				q.After, q.AfterRev = last.User, last.Rev
				if user := users(12)[r.IntN(12)]; moves > 0 {
					moves--
					if m := e.member(id, user); m.Active() {
						e.remove(id, user)
					} else {
						e.add(id, user)
					}
				}
			}
		}
		for _, user := range users(12) {
			equal(e, "what the reader has", mine[user], e.member(id, user))
		}
	}
}

// Rule: Users asks for just these rows, in this order, ended ones too; unknown
// ones are left out and every other field is without effect.
func membersUsers(e *env) {
	e.group("c", "ann", "ben", "cat")
	e.remove("c", "ben")
	page, err := e.Members(e.ctx, store.MembersQuery{
		Conversation: "c", Users: []string{"cat", "eve", "ben"}, Since: 99, After: "x", AfterRev: 99,
	})
	e.must(err)
	same(e, "page", page, store.MembersPage{
		Members: []store.Member{e.member("c", "cat"), e.member("c", "ben")}, MemberRev: 2,
	})
	page, err = e.Members(e.ctx, store.MembersQuery{Conversation: "c", Users: []string{}})
	e.must(err)
	equal(e, "rows for nobody", len(page.Members), 0)
}

// Rule: one member above SmallConversation flips the class, at a creation or
// later; leaving does not flip it back.
func membersClass(e *env) {
	all := users(store.SmallConversation + 1)
	e.group("c", all[:store.SmallConversation]...)
	equal(e, "class at the limit", e.head("c").Class, store.TopicUsers)
	last := all[store.SmallConversation]
	equal(e, "class above it", e.add("c", last).Conversation.Class, store.TopicConversation)
	equal(e, "class of the head", e.head("c").Class, store.TopicConversation)
	e.remove("c", all[50:]...)
	equal(e, "class after leaves", e.head("c").Class, store.TopicConversation)
	equal(e, "class of a big creation", e.group("big", all...).Class, store.TopicConversation)
	equal(e, "stored class of a big creation", e.head("big").Class, store.TopicConversation)
}

// Rule: both rows must be active in one conversation; the answer keeps the
// order of the question, and a user knows himself.
func membersAcquainted(e *env) {
	e.group("c", "ann", "ben", "cat")
	e.group("d", "ann", "cat", "dan")
	e.group("other", "eve", "ben")
	e.remove("c", "cat", "ben")
	ask := func(user string, others ...string) []string {
		e.Helper()
		known, err := e.Acquainted(e.ctx, user, others)
		e.must(err)
		return known
	}
	same(e, "of ann", ask("ann", "eve", "dan", "ann", "nobody", "ben", "cat"), []string{"dan", "ann", "cat"})
	same(e, "of who left", ask("ben", "ann", "eve", "cat"), []string{"eve"})
	same(e, "of a stranger", ask("nobody", "ann", "nobody"), []string{"nobody"})
	same(e, "of nobody", ask("ann"), []string(nil))
	e.add("c", "ben")
	same(e, "after joining again", ask("ben", "ann", "dan"), []string{"ann"})
}
