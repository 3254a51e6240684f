// Package storetest is the conformance suite of store.Store. An
// implementation's own test is a few lines:
//
//	func TestStore(t *testing.T) {
//		storetest.Run(t, storetest.Harness{Open: open, Reopen: reopen, Check: check})
//	}
//
// Every case begins with the rule that it guards. Random cases log their seed;
// STORETEST_SEED in the environment repeats one.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"example.com/h5im/store"
)

// Harness opens the stores under test. Its functions may be called from
// parallel tests.
type Harness struct {
	// Open makes an empty store. The suite closes it.
	Open func(testing.TB) store.Store
	// Reopen closes a store and opens its data again. Nil where a store's data
	// ends with it: the cases that need it are left out then.
	Reopen func(testing.TB, store.Store) store.Store
	// Check looks for damage inside a store that is open and at rest; it is
	// called at the end of every case. Nil for no check.
	Check func(testing.TB, store.Store)
	// Group calls writes so that the store commits them together, in their
	// order. Nil where a store commits every write for itself. Only Compare
	// uses it.
	Group func(s store.Store, writes []func())
}

type testCase struct {
	rule string
	run  func(*env)
}

// Run runs the suite.
func Run(t *testing.T, h Harness) {
	groups := []struct {
		name  string
		cases []testCase
	}{
		{"append", appendCases},
		{"idempotency", idempotencyCases},
		{"conversation", conversationCases},
		{"amend", amendCases},
		{"messages", messagesCases},
		{"changes", changesCases},
		{"members", membersCases},
		{"own", ownCases},
		{"unread", unreadCases},
		{"sync", syncCases},
		{"feed", feedCases},
		{"prune", pruneCases},
		{"records", recordsCases},
		{"contract", contractCases},
	}
	if h.Reopen != nil {
		groups = append(groups, struct {
			name  string
			cases []testCase
		}{"reopen", reopenCases})
	}
	for _, g := range groups {
		t.Run(g.name, func(t *testing.T) {
			for _, c := range g.cases {
				t.Run(c.rule, func(t *testing.T) {
					t.Parallel()
					c.run(setup(t, h))
				})
			}
		})
	}
}

// env is what a case has: the test and its store.
type env struct {
	*testing.T
	store.Store
	ctx     context.Context
	harness Harness
	serial  atomic.Int64
}

func setup(t *testing.T, h Harness) *env {
	e := &env{T: t, Store: h.Open(t), ctx: context.Background(), harness: h}
	t.Cleanup(func() {
		if _, err := e.Info(e.ctx); h.Check != nil && !errors.Is(err, store.ErrClosed) {
			h.Check(t, e.Store)
		}
		if err := e.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return e
}

func (e *env) reopen() {
	e.Helper()
	e.Store = e.harness.Reopen(e, e.Store)
}

// random is a source of random numbers whose seed is in the log.
func (e *env) random() *rand.Rand {
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("STORETEST_SEED"); s != "" {
		var err error
		seed, err = strconv.ParseUint(s, 10, 64)
		e.must(err)
	}
	e.Logf("STORETEST_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// must ends the test on an error.
func (e *env) must(err error) {
	e.Helper()
	if err != nil {
		e.Fatal(err)
	}
}

// wantErr demands an error for which errors.Is(err, target).
func (e *env) wantErr(what string, err, target error) {
	e.Helper()
	if !errors.Is(err, target) {
		e.Errorf("%s: error %v, want %v", what, err, target)
	}
}

func equal[T comparable](e *env, what string, got, want T) {
	e.Helper()
	if got != want {
		e.Errorf("%s: got %+v, want %+v", what, got, want)
	}
}

// same compares values deeply; an empty slice is like none.
func same(e *env, what string, got, want any) {
	e.Helper()
	if g, w := text(got), text(want); g != w {
		e.Errorf("%s:\n got %s\nwant %s", what, g, w)
	}
}

// fan calls f in n goroutines at once and ends the test on the first error.
func (e *env) fan(n int, f func(i int) error) {
	e.Helper()
	var wg sync.WaitGroup
	begin := make(chan struct{})
	errs := make([]error, n)
	for i := range n {
		wg.Go(func() {
			<-begin
			errs[i] = f(i)
		})
	}
	close(begin)
	wg.Wait()
	e.must(errors.Join(errs...))
}

// now is the time of everything that the suite stores, unless a case says
// otherwise.
const now store.Millis = 1_700_000_000_000

// fingerprint is a request's hash: of its name here.
func fingerprint(name string) (f store.Fingerprint) {
	copy(f[:], fmt.Sprintf("%16s", name))
	return f
}

// item is a message with a clientId of its own; what a case needs otherwise it
// changes.
func (e *env) item(conversation, from, body string) store.Append {
	n := e.serial.Add(1)
	client := fmt.Sprintf("client-%d", n)
	return store.Append{
		Fingerprint: fingerprint(client),
		Message: store.Message{
			Conversation: conversation, From: from, ClientID: client, ID: fmt.Sprintf("id-%d", n),
			Time: now, Type: "text", Content: fmt.Appendf(nil, `{"text":%q}`, body),
		},
	}
}

// send appends one item and ends the test on an error.
func (e *env) send(item store.Append) store.Appended {
	e.Helper()
	r, err := e.try(item)
	e.must(err)
	return r
}

// try appends one item; goroutines may call it.
func (e *env) try(item store.Append) (store.Appended, error) {
	results, err := e.Append(e.ctx, []store.Append{item})
	if err != nil {
		return store.Appended{}, err
	}
	if len(results) != 1 {
		return store.Appended{}, fmt.Errorf("%d results of 1 item", len(results))
	}
	return results[0], results[0].Err
}

func (e *env) say(conversation, from string) store.Appended {
	e.Helper()
	return e.send(e.item(conversation, from, "hello"))
}

// create makes a conversation; the first user of a group is its owner.
func (e *env) create(kind store.Kind, id string, users ...string) store.Conversation {
	e.Helper()
	n := store.NewConversation{ID: id, Kind: kind, Time: now}
	for i, user := range users {
		m := store.NewMember{User: user}
		if kind == store.Group && i == 0 {
			m.Role = store.Owner
		}
		n.Members = append(n.Members, m)
	}
	created, err := e.Create(e.ctx, n)
	e.must(err)
	if created.Duplicate {
		e.Fatalf("conversation %q existed", id)
	}
	return created.Conversation
}

func (e *env) group(id string, users ...string) store.Conversation {
	e.Helper()
	return e.create(store.Group, id, users...)
}

func (e *env) head(id string) store.Conversation {
	e.Helper()
	c, _, err := e.Conversation(e.ctx, id, "")
	e.must(err)
	return c
}

func (e *env) member(id, user string) store.Member {
	e.Helper()
	_, m, err := e.Conversation(e.ctx, id, user)
	e.must(err)
	if m == nil {
		e.Fatalf("%q has no row of %q", id, user)
	}
	return *m
}

func (e *env) version() int64 {
	e.Helper()
	info, err := e.Info(e.ctx)
	e.must(err)
	return info.Version
}

// all reads every message of a conversation, expired ones too.
func (e *env) all(id string) []store.Message {
	e.Helper()
	page, err := e.Messages(e.ctx, store.MessagesQuery{Conversation: id, Anchor: store.After, Limit: 1 << 20})
	e.must(err)
	return page.Messages
}

func (e *env) add(id string, users ...string) store.MembersChanged {
	e.Helper()
	c := store.MembersChange{Conversation: id, Time: now}
	for _, user := range users {
		c.Add = append(c.Add, store.NewMember{User: user})
	}
	return e.change(c)
}

func (e *env) remove(id string, users ...string) store.MembersChanged {
	e.Helper()
	return e.change(store.MembersChange{Conversation: id, Remove: users, Time: now + 1})
}

func (e *env) change(c store.MembersChange) store.MembersChanged {
	e.Helper()
	r, err := e.ChangeMembers(e.ctx, c)
	e.must(err)
	return r
}

func (e *env) read(id, user string, seq int64) store.Marked {
	e.Helper()
	r, err := e.Mark(e.ctx, store.Mark{Conversation: id, User: user, Read: seq})
	e.must(err)
	return r
}

func (e *env) edit(id string, seq int64, body string) store.Amended {
	e.Helper()
	r, err := e.Amend(e.ctx, id, seq, func(m *store.Message) error {
		m.Content = []byte(body)
		return nil
	})
	e.must(err)
	return r
}

func (e *env) recall(id string, seq int64) store.Amended {
	e.Helper()
	r, err := e.Amend(e.ctx, id, seq, func(m *store.Message) error {
		m.Content, m.Recalled = nil, &store.Recall{By: m.From, At: now + 2, Reason: "typo"}
		return nil
	})
	e.must(err)
	return r
}

func (e *env) title(id, title string) store.Conversation {
	e.Helper()
	c, err := e.Configure(e.ctx, id, func(s *store.Settings) error {
		s.Title = title
		return nil
	})
	e.must(err)
	return c
}

// users are n ids in ascending order.
func users(n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("user-%04d", i)
	}
	return list
}
