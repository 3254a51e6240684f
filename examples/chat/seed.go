package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"example.com/h5im/im"
)

// clock is the server's. It shows another time only while the sample
// conversations are written, which is before anybody is served.
type clock struct{ stopped atomic.Pointer[time.Time] }

func (c *clock) now() time.Time {
	if at := c.stopped.Load(); at != nil {
		return *at
	}
	return time.Now()
}

func (c *clock) stop(at time.Time) { c.stopped.Store(&at) }
func (c *clock) run()              { c.stopped.Store(nil) }

// sample is a conversation of the sample data. Without a title it is direct.
type sample struct {
	id      string // of a group; of a direct one only part of its clientIds
	title   string
	members []string // the first is the owner
	unread  map[string]int
	lines   []line
}

// line is a message: when is "2d 18:05", so many days ago at that hour, or
// "25m", so many minutes ago.
type line struct{ when, from, text string }

// seed writes the sample conversations. Every message has a clientId of its
// own, so that a second start writes nothing and one that was cut off is
// completed.
func seed(ctx context.Context, host im.HostClient, c *clock) error {
	defer c.run()
	type entry struct {
		of   *sample
		line line
		nth  int
		at   time.Time
	}
	var entries []entry
	for i := range samples {
		for n, l := range samples[i].lines {
			at, err := l.time(time.Now())
			if err != nil {
				return err
			}
			entries = append(entries, entry{&samples[i], l, n + 1, at})
		}
	}
	slices.SortStableFunc(entries, func(a, b entry) int { return a.at.Compare(b.at) })

	ids := make(map[*sample]string, len(samples))
	for _, e := range entries {
		c.stop(e.at)
		if ids[e.of] == "" {
			id, err := e.of.create(ctx, host)
			if err != nil {
				return err
			}
			ids[e.of] = id
		}
		_, err := im.Call[im.SendParams, im.SendResult](ctx, host.On(e.line.from), "message.send", im.SendParams{
			To: im.ToConversation(ids[e.of]), ClientID: fmt.Sprintf("sample-%s-%d", e.of.id, e.nth), Content: im.Text(e.line.text),
		})
		if err := ignoreConflict(err); err != nil {
			return err
		}
	}
	for s, id := range ids {
		for _, user := range s.members {
			seq := int64(len(s.lines) - s.unread[user])
			_, err := im.Call[im.MarkParams, im.MarkResult](ctx, host.On(user), "conversation.mark", im.MarkParams{
				Conversation: id, Read: seq, Delivered: seq,
			})
			// He may have left meanwhile.
			if err != nil && !errors.Is(err, im.ErrNotFound) {
				return err
			}
		}
	}
	return nil
}

// create makes the conversation, or finds it.
func (s *sample) create(ctx context.Context, host im.HostClient) (id string, err error) {
	p := im.CreateParams{Kind: "direct", Members: s.members[1:]}
	if s.title != "" {
		p = im.CreateParams{Kind: "group", ID: s.id, ClientID: "sample-" + s.id, Title: s.title, Members: s.members[1:]}
		id = s.id
	}
	made, err := im.Call[im.CreateParams, im.ConversationView](ctx, host.On(s.members[0]), "conversation.create", p)
	if err := ignoreConflict(err); err != nil {
		return "", err
	}
	if id == "" {
		id = made.ID
	}
	return id, nil
}

// ignoreConflict forgives a clientId that an older version of this program used
// for another text.
func ignoreConflict(err error) error {
	if errors.Is(err, im.ErrConflict) {
		return nil
	}
	return err
}

func (l line) time(now time.Time) (time.Time, error) {
	if ago, err := time.ParseDuration(l.when); err == nil {
		return now.Add(-ago), nil
	}
	var days, hour, minute int
	if _, err := fmt.Sscanf(strings.TrimSpace(l.when), "%dd %d:%d", &days, &hour, &minute); err != nil {
		return time.Time{}, fmt.Errorf("the time %q is not readable", l.when)
	}
	d := now.AddDate(0, 0, -days)
	return time.Date(d.Year(), d.Month(), d.Day(), hour, minute, 0, 0, d.Location()), nil
}
