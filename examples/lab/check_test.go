package lab

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// valid makes a history of a right server: two conversations, three senders
// with two devices, one guest who is removed and added again, repeated and
// refused sends, and everybody reads everything; but to the guest the beginning
// is pruned when he comes again.
func valid(r *rand.Rand) *History {
	h := &History{Final: map[string][]Message{}, First: map[string]int64{"g0": int64(r.IntN(10))}}
	now := time.Duration(0)
	add := func(e Event) {
		now += time.Duration(1 + r.IntN(1000))
		e.At = now
		h.Events = append(h.Events, e)
	}
	users := []string{"ann", "ben", "cem"}
	out := false
	for i := range 60 + r.IntN(60) {
		conversation := fmt.Sprint("g", i%2)
		if i == 20 || i == 50 {
			out = true
			add(Event{Kind: Removed, User: "guest", Message: Message{Conversation: "g0"}})
		}
		if i == 40 {
			out = false
			add(Event{Kind: Adding, User: "guest", Message: Message{Conversation: "g0"}})
		}
		from := users[r.IntN(len(users))]
		m := Message{Conversation: conversation, From: from, ClientID: fmt.Sprint("c", i), Text: fmt.Sprint("text ", r.Uint32())}
		add(Event{Kind: Invoked, User: from, Message: m, Ordered: true})
		if i%17 == 5 {
			add(Event{Kind: Rejected, User: from, Message: m})
			continue
		}
		m.Seq, m.ID = int64(len(h.Final[conversation]))+1, fmt.Sprint("id", i)
		h.Final[conversation] = append(h.Final[conversation], m)
		if i%7 != 3 { // else its fate stays unknown
			for range 1 + r.IntN(3) {
				add(Event{Kind: Acknowledged, User: from, Message: m})
			}
		}
		for _, u := range users {
			add(Event{Kind: Delivered, User: u, Device: "d", Message: m})
		}
		if !out && conversation == "g0" {
			add(Event{Kind: Delivered, User: "guest", Device: "d", Message: m})
		}
	}
	add(Event{Kind: Adding, User: "guest", Message: Message{Conversation: "g0"}})
	for _, m := range h.Final["g0"][max(1, h.First["g0"])-1:] {
		add(Event{Kind: Delivered, User: "guest", Device: "d", Message: m, Asked: now})
	}
	for _, u := range append(users, "guest") {
		add(Event{Kind: Settled, User: u, Device: "d", Message: Message{Conversation: "g0"}})
	}
	return h
}

// damage changes a history and returns whether it could.
type damage struct {
	name string
	want Rule
	do   func(h *History, r *rand.Rand)
}

// pick returns the index of a random event that suits.
func pick(h *History, r *rand.Rand, suits func(Event) bool) int {
	for _, i := range r.Perm(len(h.Events)) {
		if suits(h.Events[i]) {
			return i
		}
	}
	panic("no event suits")
}

func is(k Kind) func(Event) bool { return func(e Event) bool { return e.Kind == k } }

// forget takes away every trace of the newest message of g1 but those kinds.
func forget(h *History, keep ...Kind) Message {
	final := h.Final["g1"]
	m := final[len(final)-1]
	h.Final["g1"] = final[:len(final)-1]
	h.Events = slices.DeleteFunc(h.Events, func(e Event) bool {
		return e.client() == m.client() && !slices.Contains(keep, e.Kind)
	})
	return m
}

// rename gives a message of the final read and all who saw it other contents.
func rename(h *History, m Message, change func(*Message), kinds ...Kind) {
	for i := range h.Final[m.Conversation] {
		if f := &h.Final[m.Conversation][i]; *f == m {
			change(f)
		}
	}
	for i := range h.Events {
		if e := &h.Events[i]; e.client() == m.client() && slices.Contains(kinds, e.Kind) {
			change(&e.Message)
		}
	}
}

// exchange lets two neighbours of one conversation change their seqs, in every
// reader's view and every receipt.
func exchange(h *History, conversation string, i int) {
	final := h.Final[conversation]
	a, b := final[i], final[i+1]
	turn := func(m *Message) {
		switch {
		case m.client() == a.client() && m.Seq > 0:
			m.Seq = b.Seq
		case m.client() == b.client() && m.Seq > 0:
			m.Seq = a.Seq
		}
	}
	for i := range h.Events {
		turn(&h.Events[i].Message)
	}
	final[i], final[i+1] = b, a
	final[i].Seq, final[i+1].Seq = a.Seq, b.Seq
}

func acknowledged(h *History, m Message) bool {
	return slices.ContainsFunc(h.Events, func(e Event) bool { return e.Kind == Acknowledged && e.client() == m.client() })
}

var damages = []damage{
	{"an acknowledged message is gone", Lost, func(h *History, r *rand.Rand) {
		m := forget(h, Invoked)
		h.Events = append(h.Events, Event{At: time.Hour, Kind: Acknowledged, User: m.From, Message: m})
	}},
	{"an acknowledged conversation is gone", Lost, func(h *History, r *rand.Rand) {
		delete(h.Final, "g1")
		h.Events = slices.DeleteFunc(h.Events, func(e Event) bool { return e.Conversation == "g1" && e.Kind == Delivered })
	}},
	{"other bytes than were acknowledged", Changed, func(h *History, r *rand.Rand) {
		m := h.Events[pick(h, r, is(Acknowledged))].Message
		rename(h, m, func(m *Message) { m.Text += "!" }, Delivered)
	}},
	{"another id than was acknowledged", Changed, func(h *History, r *rand.Rand) {
		m := h.Events[pick(h, r, is(Acknowledged))].Message
		rename(h, m, func(m *Message) { m.ID += "!" }, Delivered)
	}},
	{"bytes that nobody sent", Invented, func(h *History, r *rand.Rand) {
		i := pick(h, r, func(e Event) bool { return e.Kind == Delivered && !acknowledged(h, e.Message) })
		rename(h, h.Events[i].Message, func(m *Message) { m.Text += "!" }, Delivered)
	}},
	{"one clientId at two places", Twice, func(h *History, r *rand.Rand) {
		m := h.Events[pick(h, r, func(e Event) bool { return e.Kind == Acknowledged && e.Conversation == "g1" })].Message
		m.Seq, m.ID = int64(len(h.Final["g1"]))+1, m.ID+"again"
		h.Final["g1"] = append(h.Final["g1"], m)
	}},
	{"a hole in the seqs", Hole, func(h *History, r *rand.Rand) {
		m := Message{Conversation: "g1", From: "ann", ClientID: "beyond", Seq: int64(len(h.Final["g1"])) + 2}
		h.Final["g1"] = append(h.Final["g1"], m)
		h.Events = append(h.Events, Event{At: time.Hour, Kind: Invoked, User: "ann", Message: Message{Conversation: "g1", From: "ann", ClientID: "beyond"}})
	}},
	{"a reader never saw one", Hole, func(h *History, r *rand.Rand) {
		e := h.Events[pick(h, r, func(e Event) bool { return e.Kind == Delivered && e.Conversation == "g0" && e.Seq >= h.First["g0"] })]
		h.Events = slices.DeleteFunc(h.Events, func(o Event) bool {
			return o.Kind == Delivered && o.User == e.User && o.client() == e.client()
		})
	}},
	{"a reader saw other bytes", Disagree, func(h *History, r *rand.Rand) {
		h.Events[pick(h, r, is(Delivered))].Text += "!"
	}},
	{"a reader saw another id", Disagree, func(h *History, r *rand.Rand) {
		h.Events[pick(h, r, is(Delivered))].ID += "!"
	}},
	{"two readers saw two orders", Disagree, func(h *History, r *rand.Rand) {
		i := pick(h, r, func(e Event) bool { return e.Kind == Delivered && e.Conversation == "g1" && e.Seq > 1 })
		e := h.Events[i]
		for j, o := range h.Events {
			if o.Kind == Delivered && o.User == e.User && o.Conversation == "g1" && o.Seq == e.Seq-1 {
				h.Events[i].Seq, h.Events[j].Seq = o.Seq, e.Seq
			}
		}
	}},
	{"an event of what was never stored", Phantom, func(h *History, r *rand.Rand) { forget(h, Delivered, Invoked) }},
	{"behind what was sent after it was acknowledged", Late, func(h *History, r *rand.Rand) {
		for i := range h.Events {
			h.Events[i].Ordered = false
		}
		final := h.Final["g1"]
		for _, i := range r.Perm(len(final) - 1) {
			if acknowledged(h, final[i]) {
				exchange(h, "g1", i)
				return
			}
		}
	}},
	{"a sender's messages change places", Order, func(h *History, r *rand.Rand) {
		var told []Event
		for _, m := range h.Final["g1"] { // nobody knows when it was acknowledged
			told = append(told, Event{At: time.Hour, Kind: Acknowledged, User: m.From, Message: m})
		}
		h.Events = append(slices.DeleteFunc(h.Events, is(Acknowledged)), told...)
		final := h.Final["g1"]
		for _, i := range r.Perm(len(final) - 1) {
			if final[i].From == final[i+1].From {
				exchange(h, "g1", i)
				return
			}
		}
	}},
	{"an event reaches a removed member", AfterRemoval, func(h *History, r *rand.Rand) {
		out := pick(h, r, is(Removed))
		for i := out; ; i++ {
			if e := h.Events[i]; e.Kind == Delivered && e.Conversation == "g0" && c(h, e).At > h.Events[out].At {
				e.User = "guest"
				h.Events = slices.Insert(h.Events, i+1, e)
				return
			}
		}
	}},
	{"a removed member reads an old page", AfterRemoval, func(h *History, r *rand.Rand) {
		out := pick(h, r, is(Removed))
		at := h.Events[out].At
		h.Events = slices.Insert(h.Events, out+1, Event{At: at, Asked: at + 1, Kind: Delivered, User: "guest", Device: "d", Message: h.Final["g0"][0]})
	}},
	{"a rejected message is there", Appeared, func(h *History, r *rand.Rand) {
		m := h.Events[pick(h, r, func(e Event) bool { return e.Kind == Rejected && e.Conversation == "g1" })].Message
		m.Seq, m.ID = int64(len(h.Final["g1"]))+1, "risen"
		h.Final["g1"] = append(h.Final["g1"], m)
		for i := range h.Events {
			h.Events[i].Ordered = false
		}
		// Sent again as the newest: its place is right, its being there is not.
		h.Events = slices.DeleteFunc(h.Events, func(e Event) bool { return e.Kind == Invoked && e.client() == m.client() })
		h.Events = append(h.Events, Event{At: time.Hour, Kind: Invoked, User: m.From, Message: Message{m.Conversation, m.From, m.ClientID, m.Text, "", 0}})
	}},
	{"a repeated receipt has another seq", Receipts, func(h *History, r *rand.Rand) {
		e := h.Events[pick(h, r, is(Acknowledged))]
		e.At, e.Seq = time.Hour, e.Seq+1
		h.Events = append(h.Events, e)
	}},
	{"other bytes under one clientId are acknowledged", Receipts, func(h *History, r *rand.Rand) {
		e := h.Events[pick(h, r, is(Acknowledged))]
		e.At, e.Text = time.Hour, e.Text+"!"
		h.Events = append(h.Events, e)
	}},
	{"a repeated receipt has another id", Receipts, func(h *History, r *rand.Rand) {
		e := h.Events[pick(h, r, is(Acknowledged))]
		e.At, e.ID = time.Hour, e.ID+"!"
		h.Events = append(h.Events, e)
	}},
}

// What is sent by who is out may be refused, the refusal lost, and the message
// taken when it comes again: then it stands behind what he sent later.
func TestCheckerKnowsOfRefusalsThatWereLost(t *testing.T) {
	in := func(kind Kind) Event { return Event{Kind: kind, User: "ann", Message: Message{Conversation: "g"}} }
	message := func(kind Kind, id string, seq int64) Event {
		m := Message{Conversation: "g", From: "ann", ClientID: id, Seq: seq}
		return Event{Kind: kind, User: "ann", Message: m, Ordered: kind == Invoked}
	}
	a, b := message(Invoked, "a", 0), message(Invoked, "b", 0)
	acknowledged := []Event{message(Acknowledged, "a", 2), message(Acknowledged, "b", 1)}
	for name, c := range map[string]struct {
		events []Event
		want   int
	}{
		"he is in":              {[]Event{a, b}, 1},
		"he was out before":     {[]Event{in(Removed), in(Adding), in(Added), a, b}, 1},
		"he is out":             {[]Event{in(Removed), a, b, in(Adding), in(Added)}, 0},
		"he is being added":     {[]Event{in(Removed), in(Adding), a, b, in(Added)}, 0},
		"he is removed between": {[]Event{a, in(Removed), in(Adding), in(Added), b}, 0},
		"somebody else is out":  {[]Event{{Kind: Removed, User: "ben", Message: Message{Conversation: "g"}}, a, b}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			h := &History{
				Events: slices.Concat(c.events, acknowledged),
				Final:  map[string][]Message{"g": {acknowledged[1].Message, acknowledged[0].Message}},
			}
			for i := range h.Events {
				h.Events[i].At = time.Duration(i + 1)
			}
			if v := Check(h); len(v) != c.want {
				t.Errorf("%v, want %d", v, c.want)
			}
		})
	}
}

// c is when the message of an event was sent.
func c(h *History, e Event) Event {
	return h.Events[slices.IndexFunc(h.Events, func(o Event) bool { return o.Kind == Invoked && o.client() == e.client() })]
}

// A checker that finds nothing proves nothing: every damage must be called by
// its name, and by no other.
func TestCheckerNamesEveryDamage(t *testing.T) {
	for seed := range uint64(50) {
		if v := Check(valid(rand.New(rand.NewPCG(seed, 0)))); len(v) != 0 {
			t.Fatalf("seed %d: a valid history: %v", seed, v)
		}
	}
	for _, d := range damages {
		t.Run(d.name, func(t *testing.T) {
			for seed := range uint64(50) {
				r := rand.New(rand.NewPCG(seed, 0))
				h := valid(r)
				d.do(h, r)
				v := Check(h)
				if len(v) == 0 {
					t.Fatalf("seed %d: not noticed", seed)
				}
				for _, v := range v {
					if v.Rule != d.want {
						t.Fatalf("seed %d: want %q alone, got %v", seed, d.want, v)
					}
				}
			}
		})
	}
}
