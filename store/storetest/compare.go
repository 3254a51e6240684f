package storetest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"example.com/h5im/store"
)

// Compare makes random calls of every method, hostile ones included, of a
// store and of a reference, and demands the same answers and the same errors.
// The calls come one after the other, so that the contract leaves no choice:
// versions, revisions and positions are compared like everything else.
//
// It logs its seed, as Run does; STORETEST_CALLS in the environment says how
// many calls it makes.
func Compare(t *testing.T, h Harness, reference func(testing.TB) store.Store) {
	calls := 2500
	if n := os.Getenv("STORETEST_CALLS"); n != "" {
		var err error
		if calls, err = strconv.Atoi(n); err != nil {
			t.Fatal(err)
		}
	}
	e := setup(t, h)
	other := reference(t)
	t.Cleanup(func() { other.Close() })
	c := &caller{Rand: e.random(), ctx: e.ctx, reference: other}
	refused := 0
	for n := range calls {
		if h.Reopen != nil && n%500 == 499 {
			e.reopen()
		}
		call := c.draw()
		want, wantErr := call.do(other)
		got, err := call.do(e.Store)
		if got != want || kind(err) != kind(wantErr) {
			e.Fatalf("call %d, %s:\n got %s\n     %v\nwant %s\n     %v", n, call.name, got, err, want, wantErr)
		}
		if wantErr != nil {
			refused++
		}
	}
	e.Logf("%d calls, %d refused", calls, refused)
	if refused < calls/20 || refused > calls*3/4 {
		e.Errorf("%d of %d calls were refused: the draw is lopsided", refused, calls)
	}
	c.compareEverything(e, func(s string) string { return s })
	if h.Group != nil {
		c.compareGroups(e, calls/10)
	}
}

func (c *caller) compareEverything(e *env, mask func(string) string) {
	e.Helper()
	for _, call := range c.everything() {
		want, _ := call.do(c.reference)
		got, err := call.do(e.Store)
		if mask(got) != mask(want) {
			e.Errorf("at the end, %s:\n got %s %v\nwant %s", call.name, got, err, want)
		}
	}
}

// compareGroups makes writes that share a commit. What they do is what they
// would do one after the other, except for the version.
func (c *caller) compareGroups(e *env, groups int) {
	version := regexp.MustCompile(`Version:\d+ `)
	mask := func(s string) string { return version.ReplaceAllString(s, "") }
	for n := range groups {
		type answer struct {
			call      call
			want, got string
			err       error
		}
		answers := make([]answer, 2+c.IntN(12))
		writes := make([]func(), len(answers))
		for i := range answers {
			a := &answers[i]
			a.call = c.drawWrite()
			var err error
			a.want, err = a.call.do(c.reference)
			a.want += kind(err)
			writes[i] = func() {
				a.got, a.err = a.call.do(e.Store)
				a.got += kind(a.err)
			}
		}
		before := e.version()
		e.harness.Group(e.Store, writes)
		if after := e.version(); after > before+1 {
			e.Fatalf("group %d of %d writes took %d commits", n, len(writes), after-before)
		}
		for i, a := range answers {
			if mask(a.got) != mask(a.want) {
				e.Fatalf("group %d, write %d, %s:\n got %s\n     %v\nwant %s", n, i, a.call.name, a.got, a.err, a.want)
			}
		}
	}
	c.compareEverything(e, mask)
}

// kind names the sentinels that an error wraps.
func kind(err error) string {
	if err == nil {
		return ""
	}
	var kinds []string
	for _, sentinel := range []error{
		store.ErrNotFound, store.ErrNotMember, store.ErrConflict, store.ErrLastOwner, store.ErrTooMany,
		store.ErrFull, store.ErrClosed, store.ErrInvalid, errChange, context.Canceled,
	} {
		if errors.Is(err, sentinel) {
			kinds = append(kinds, sentinel.Error())
		}
	}
	if kinds == nil {
		return "no sentinel: " + err.Error()
	}
	return strings.Join(kinds, ", ")
}

// call is a method with its arguments; what it answers is compared as text.
type call struct {
	name string
	do   func(store.Store) (string, error)
}

// caller draws calls from small sets, so that they meet each other's objects.
type caller struct {
	*rand.Rand
	ctx       context.Context
	reference store.Store

	serial  int
	sent    []store.Append
	created []store.NewConversation
}

var (
	compareGroups  = []string{"g1", "g2", "g\x00", strings.Repeat("g", store.MaxConversationBytes)}
	compareDirects = []string{"d1", "d2"}
	compareRooms   = []string{"r1"}
	compareUsers   = []string{"ann", "ben", "cat", "dan", "b", "be", "\xff\xfe", strings.Repeat("u", store.MaxUserBytes)}
	compareKeys    = []string{"k", "k1", "k\x00", "\xff", strings.Repeat("k", store.MaxKeyBytes)}
)

func pick[T any](c *caller, from ...T) T { return from[c.IntN(len(from))] }

// seldom draws a hostile value once in 30.
func seldom[T any](c *caller, usual T, hostile ...T) T {
	if c.IntN(30) == 0 {
		return pick(c, hostile...)
	}
	return usual
}

func (c *caller) conversation() string {
	id := pick(c, compareGroups...)
	switch c.IntN(8) {
	case 0, 1:
		id = pick(c, compareDirects...)
	case 2:
		id = pick(c, compareRooms...)
	}
	return seldom(c, id, "", "none", id+"\x00", strings.Repeat("x", store.MaxConversationBytes+1))
}

func (c *caller) user() string {
	user := pick(c, compareUsers...)
	return seldom(c, user, "", "nobody", user+"\x00", strings.Repeat("x", store.MaxUserBytes+1))
}

func (c *caller) someUsers(most int) (list []string) {
	for range c.IntN(most + 1) {
		list = append(list, c.user())
	}
	return list
}

// at draws a number near those that seqs, revs and versions have.
func (c *caller) at() int64 {
	n := c.Int64N(12)
	if c.IntN(2) == 0 {
		n = c.Int64N(400)
	}
	return seldom(c, n, -1, math.MinInt64, math.MaxInt64, math.MaxInt64-1, 1<<53, 63, 64, 65, 128)
}

func (c *caller) limit() int {
	return seldom(c, pick(c, 1, 2, 3, 7, 64, 100), 0, -1, math.MaxInt, math.MinInt)
}

func (c *caller) time() store.Millis {
	return seldom(c, now+store.Millis(c.IntN(4)), 0, -1, math.MinInt64, math.MaxInt64)
}

func (c *caller) role() store.Role {
	return seldom(c, pick(c, store.Owner, store.Admin, store.PlainMember, ""), "king", "Owner")
}

func (c *caller) newMembers(most int) (list []store.NewMember) {
	for _, user := range c.someUsers(most) {
		list = append(list, store.NewMember{User: user, Role: c.role()})
	}
	return list
}

func (c *caller) clientID() string {
	id := fmt.Sprint("client-", c.IntN(200))
	if c.IntN(2) == 0 {
		id = fmt.Sprintf("01890a5d-ac96-774b-bcce-%012x", c.IntN(200))
	}
	spoilt := []byte(id)
	spoilt[c.IntN(len(id))] = pick[byte](c, '-', 'A', 0, 0xff)
	return seldom(c, id, "", string(spoilt), strings.Repeat("-", 36), strings.ToUpper(id), "\xff",
		strings.Repeat("x", store.MaxClientIDBytes), strings.Repeat("x", store.MaxClientIDBytes+1))
}

func (c *caller) content() []byte {
	c.serial++
	body := fmt.Appendf(nil, `{"text":%d}`, c.serial)
	return seldom(c, body, nil, []byte{}, []byte("\x00\xff"), []byte(strings.Repeat("long", 2000)))
}

func (c *caller) message() store.Message {
	c.serial++
	m := store.Message{
		Conversation: c.conversation(), From: c.user(), ClientID: c.clientID(), Time: c.time(), Content: c.content(),
		ID:       seldom(c, fmt.Sprint("id-", c.serial), "", "\x00", strings.Repeat("i", store.MaxMessageIDBytes), strings.Repeat("i", store.MaxMessageIDBytes+1)),
		Type:     seldom(c, pick(c, "text", "image", "card"), "", "\xff", strings.Repeat("t", store.MaxTypeBytes+1)),
		Mentions: c.someUsers(2), MentionAll: c.IntN(4) == 0,
		Flags: pick(c, 0, 0, store.NoUnread, store.NoPush|store.NoUnread, math.MaxUint32),
	}
	if c.IntN(4) == 0 {
		m.Ext, m.ReplyTo, m.EditedAt, m.ExpiresAt = c.content(), c.at(), c.time(), c.time()
	}
	if c.IntN(12) == 0 {
		m.Recalled = &store.Recall{By: c.user(), At: c.time(), Reason: "\xff"}
	}
	return m
}

func (c *caller) appendItem() store.Append {
	if len(c.sent) > 0 && c.IntN(5) == 0 { // a repetition, or nearly one
		item := c.sent[c.IntN(len(c.sent))]
		switch c.IntN(6) {
		case 0:
			item.Fingerprint[c.IntN(16)] ^= 1
		case 1:
			item.Message.From = c.user()
		case 2:
			item.Message.Conversation = c.conversation()
		}
		return item
	}
	item := store.Append{Message: c.message(), As: seldom(c, pick(c, store.AsMember, store.AsMember, store.AsLive, store.AsHost), store.AsHost+1, 255)}
	item.Fingerprint = seldom(c, fingerprint(fmt.Sprint(c.serial)), store.Fingerprint{})
	if c.IntN(6) == 0 {
		item.Message.Conversation = pick(c, compareDirects...)
		item.Open = &[2]string{c.user(), c.user()}
	}
	if c.IntN(6) == 0 {
		item.Records = c.writes()
	}
	c.sent = append(c.sent, item)
	return item
}

func (c *caller) newConversation() store.NewConversation {
	if len(c.created) > 0 && c.IntN(3) == 0 {
		n := c.created[c.IntN(len(c.created))]
		if c.IntN(3) == 0 {
			n.ID = c.conversation()
		}
		return n
	}
	n := store.NewConversation{
		Creator: c.user(), Time: c.time(), ClientID: c.clientID(),
		Settings: store.Settings{Title: string(c.content()), Ext: c.content()},
	}
	switch c.IntN(6) {
	case 0, 1:
		n.ID, n.Kind = pick(c, compareDirects...), store.Direct
		n.Members = []store.NewMember{{User: c.user()}, {User: c.user()}}
	case 2:
		n.ID, n.Kind, n.Members = pick(c, compareRooms...), store.Room, c.newMembers(3)
	default:
		n.ID, n.Kind, n.Members = pick(c, compareGroups...), store.Group, c.newMembers(5)
		if c.IntN(4) == 0 { // near SmallConversation
			for _, user := range users(store.SmallConversation - 4 + c.IntN(5)) {
				n.Members = append(n.Members, store.NewMember{User: user})
			}
		}
	}
	n.ID = seldom(c, n.ID, c.conversation())
	n.Kind = seldom(c, n.Kind, "", "crowd", store.Direct, store.Group)
	n.Members = seldom(c, n.Members, nil, c.newMembers(3))
	n.Fingerprint = seldom(c, fingerprint(fmt.Sprint(c.serial)), store.Fingerprint{})
	c.created = append(c.created, n)
	return n
}

func (c *caller) namespace() string {
	return seldom(c, pick(c, "n", "n\x00", "nn"), "", "\xff", strings.Repeat("n", store.MaxNamespaceBytes), strings.Repeat("n", store.MaxNamespaceBytes+1))
}

func (c *caller) key() string {
	return seldom(c, pick(c, compareKeys...), "", "none", strings.Repeat("k", store.MaxKeyBytes+1))
}

func (c *caller) writes() []store.RecordWrite {
	list := make([]store.RecordWrite, c.IntN(4))
	for i := range list {
		w := store.RecordWrite{
			Namespace: c.namespace(), Key: c.key(), Value: c.content(), Delete: c.IntN(4) == 0, Now: c.time(),
			If: seldom(c, pick(c, store.AnyRevision, store.AnyRevision, store.NoRecord), c.at(), -2),
		}
		if c.IntN(3) == 0 {
			w.ExpiresAt = c.time()
		}
		if c.IntN(3) == 0 {
			if r, err := c.reference.GetRecord(c.ctx, w.Namespace, w.Key, 0); err == nil {
				w.If = r.Revision
			}
		}
		list[i] = w
	}
	return list
}

func (c *caller) ranges() []store.SeqRange {
	if c.IntN(2) == 0 {
		return nil
	}
	list := make([]store.SeqRange, c.IntN(4))
	for i := range list {
		list[i] = store.SeqRange{From: c.at(), To: c.at()}
	}
	return list
}
