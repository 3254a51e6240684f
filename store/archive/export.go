package archive

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"

	"example.com/h5im/store"
)

const pageRows = 500

// Export writes a store as an archive: conversations in the order of their last
// change, so that Import leaves them in that order. The store may serve
// meanwhile; then each conversation is as of when its turn came.
//
// Progress, where it is not nil, is called now and then with how many of how
// many messages are written. In memory are the id of every conversation and the
// members of one.
func Export(ctx context.Context, s store.Store, w io.Writer, progress func(done, of int64)) (Totals, error) {
	out := bufio.NewWriterSize(w, 1<<16)
	e := &exporter{store: s, lines: json.NewEncoder(out), progress: progress}
	e.lines.SetEscapeHTML(false)
	if err := e.export(ctx); err != nil {
		return e.done, err
	}
	return e.done, out.Flush()
}

type exporter struct {
	store    store.Store
	lines    *json.Encoder
	progress func(done, of int64)
	done     Totals
	messages int64 // that there are, about
}

func (e *exporter) export(ctx context.Context) error {
	ids, err := e.conversations(ctx)
	if err != nil {
		return err
	}
	if err := e.lines.Encode(line{Archive: &header{Version: version}}); err != nil {
		return err
	}
	for _, id := range ids {
		if err := e.conversation(ctx, id); err != nil {
			return fmt.Errorf("conversation %q: %w", id, err)
		}
	}
	return e.lines.Encode(line{End: &end{&e.done.Conversations, &e.done.Members, &e.done.Messages}})
}

// conversations returns the ids in the order of their last change.
func (e *exporter) conversations(ctx context.Context) ([]string, error) {
	type head struct {
		id      string
		version int64
	}
	var heads []head
	for after := ""; ; {
		page, err := e.store.Conversations(ctx, after, pageRows)
		if err != nil {
			return nil, err
		}
		for _, c := range page {
			heads = append(heads, head{c.ID, c.Version})
			e.messages += c.Seq - c.Pruned
		}
		if len(page) < pageRows {
			break
		}
		after = page[len(page)-1].ID
	}
	slices.SortFunc(heads, func(a, b head) int { return cmp.Compare(a.version, b.version) })
	ids := make([]string, len(heads))
	for i, h := range heads {
		ids[i] = h.id
	}
	return ids, nil
}

func (e *exporter) conversation(ctx context.Context, id string) error {
	members, err := e.members(ctx, id) // first: nobody has seen what is not written
	if err != nil {
		return err
	}
	page, err := e.page(ctx, id, 0)
	if err != nil {
		return err
	}
	if err := e.lines.Encode(line{Conversation: conversationOf(&page.Conversation)}); err != nil {
		return err
	}
	e.done.Conversations++
	for i := range members {
		if err := e.lines.Encode(line{Member: memberOf(&members[i])}); err != nil {
			return err
		}
		e.done.Members++
	}
	var last counts
	for {
		for i := range page.Messages {
			m := &page.Messages[i]
			l, was := messageOf(m), countedAs(m, last, members)
			if was != countedNow(m) {
				l.Counted = &was
			}
			if err := e.gone(last, countsOf(m).before(was)); err != nil {
				return err
			}
			if err := e.lines.Encode(line{Message: l}); err != nil {
				return fmt.Errorf("message %d: %w", m.Seq, err)
			}
			e.done.Messages++
			last = countsOf(m)
		}
		if e.progress != nil {
			e.progress(e.done.Messages, max(e.messages, e.done.Messages))
		}
		if !page.More {
			c := &page.Conversation
			return e.gone(last, counts{c.Seq, c.Count, c.AllCount})
		}
		if page, err = e.page(ctx, id, page.To); err != nil {
			return err
		}
	}
}

func (e *exporter) page(ctx context.Context, id string, after int64) (store.MessagesPage, error) {
	return e.store.Messages(ctx, store.MessagesQuery{Conversation: id, Anchor: store.After, Seq: after, Limit: pageRows})
}

// gone stands in for what is absent between two places.
func (e *exporter) gone(last, to counts) error {
	if last.seq == to.seq {
		return nil
	}
	return e.lines.Encode(line{Gone: &gone{to.seq, to.count, to.all}})
}

// members returns every row of a conversation, ended ones too.
func (e *exporter) members(ctx context.Context, id string) ([]store.Member, error) {
	var rows []store.Member
	known := map[string]bool{}
	// Of the first memberRev are the first members: who of them left is of a later one.
	for _, q := range []store.MembersQuery{{Since: 0}, {Since: 1}} {
		q.Conversation, q.Limit = id, pageRows
		for {
			page, err := e.store.Members(ctx, q)
			if err != nil {
				return nil, err
			}
			for _, m := range page.Members {
				if !known[m.User] {
					rows = append(rows, m)
				}
				known[m.User] = true
				q.After, q.AfterRev = m.User, m.Rev
			}
			if !page.More {
				break
			}
		}
	}
	return rows, nil
}
