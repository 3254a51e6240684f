package storetest

import (
	"fmt"

	"example.com/h5im/store"
)

var unreadCases = []testCase{
	{"unread equals a recount after any history", unreadExact},
}

// recount is a conversation as a counting child would keep it.
type recount struct {
	counts []bool         // message i counts as unread
	all    []bool         // and mentions all
	known  map[string]int // the messages of members that are not unread to them
	active map[string]bool
}

func (r *recount) unread(user string) (n, all int64) {
	for i := r.known[user]; i < len(r.counts); i++ {
		if r.counts[i] {
			n++
			if r.all[i] {
				all++
			}
		}
	}
	return n, all
}

// Rule: Count and Seen, and AllCount and SeenAll, give the exact number of
// unread messages, whatever is sent, marked, recalled, joined and left.
func unreadExact(e *env) {
	r := e.random()
	people := users(5)
	models := map[string]*recount{}
	ids := []string{"c1", "c2"}
	for _, id := range ids {
		e.group(id, append([]string{"owner"}, people...)...)
		m := &recount{known: map[string]int{}, active: map[string]bool{}}
		for _, user := range people {
			m.active[user] = true
		}
		models[id] = m
	}
	for op := range 400 {
		id, user := ids[r.IntN(len(ids))], people[r.IntN(len(people))]
		m := models[id]
		did := ""
		switch n := r.IntN(20); {
		case n < 9:
			item := e.item(id, user, "x")
			item.As = store.AsHost
			item.Message.MentionAll = r.IntN(3) == 0
			if r.IntN(3) == 0 {
				item.Message.Flags = store.NoUnread
			}
			e.send(item)
			m.counts = append(m.counts, item.Message.Flags == 0)
			m.all = append(m.all, item.Message.MentionAll)
			if m.active[user] {
				m.known[user] = len(m.counts)
			}
			did = "send"
		case n < 15:
			seq := r.IntN(len(m.counts) + 3)
			_, err := e.Mark(e.ctx, store.Mark{Conversation: id, User: user, Read: int64(seq), Delivered: r.Int64N(9)})
			if !m.active[user] {
				e.wantErr("Mark of who left", err, store.ErrNotMember)
			} else {
				e.must(err)
				m.known[user] = max(m.known[user], min(seq, len(m.counts)))
			}
			did = fmt.Sprint("mark ", seq)
		case n < 17:
			if len(m.counts) > 0 {
				e.recall(id, 1+r.Int64N(int64(len(m.counts))))
			}
			did = "recall"
		case m.active[user]:
			e.remove(id, user)
			m.active[user] = false
			did = "leave"
		default:
			e.add(id, user)
			m.active[user] = true
			m.known[user] = len(m.counts)
			did = "join"
		}
		head := e.head(id)
		page, err := e.Members(e.ctx, store.MembersQuery{Conversation: id, Users: people})
		e.must(err)
		for i := range page.Members {
			row := &page.Members[i]
			if !row.Active() {
				continue
			}
			unread, all := m.unread(row.User)
			if row.Unread(&head) != unread || head.AllCount-row.SeenAll != all {
				e.Fatalf("op %d, %s by %s in %s: %s has %d unread and %d for all, a recount has %d and %d",
					op, did, user, id, row.User, row.Unread(&head), head.AllCount-row.SeenAll, unread, all)
			}
		}
	}
}
