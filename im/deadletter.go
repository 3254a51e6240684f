package im

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"example.com/h5im/store"
)

// Dead letters are records: those that rest, and those that are to be tried
// again, which the tail that runs takes up. Neither name can be an extension's.
const (
	deadRecords  = "im:dead"
	retryRecords = "im:retry"
)

// maxLetterError bounds the error text of a dead letter, in bytes.
const maxLetterError = 1 << 10

// DeadLetter is a change that a tail gave up. It holds no content.
type DeadLetter struct {
	Position     Position   `json:"position"`
	Kind         ChangeKind `json:"kind"`
	Conversation string     `json:"conversation"`
	Seq          int64      `json:"seq,omitempty"`  // of a message
	User         string     `json:"user,omitempty"` // of a member
	Attempts     int        `json:"attempts"`
	Error        string     `json:"error"` // the last one, at most 1 KiB of it
	Time         time.Time  `json:"time"`  // when it was given up
}

func newDeadLetter(c *store.Change) DeadLetter {
	d := DeadLetter{Position: c.Position, Kind: c.Kind, Conversation: c.Conversation}
	if c.Message != nil {
		d.Seq = c.Message.Seq
	}
	if c.Member != nil {
		d.User = c.Member.User
	}
	return d
}

func readDeadLetter(r *store.Record) (d DeadLetter, err error) {
	if err = json.Unmarshal(r.Value, &d); err != nil {
		err = fmt.Errorf("im: the dead letter %s: %w", r.Key, err)
	}
	return d, err
}

// letterKey orders the letters of a consumer by position.
func letterKey(consumer string, p store.Position) string {
	return fmt.Sprintf("%s/%019d", consumer, p)
}

func deleteLetter(namespace, consumer string, p store.Position) store.RecordWrite {
	return store.RecordWrite{Namespace: namespace, Key: letterKey(consumer, p), Delete: true}
}

// bury are the writes that lay a letter to rest.
func (d DeadLetter) bury(consumer string) []store.RecordWrite {
	d.Error = strings.ToValidUTF8(d.Error[:min(len(d.Error), maxLetterError)], "")
	value, err := json.Marshal(d)
	if err != nil { // only for a year beyond 9999
		d.Time = time.Time{}
		value, _ = json.Marshal(d)
	}
	return []store.RecordWrite{
		{Namespace: deadRecords, Key: letterKey(consumer, d.Position), Value: value},
		deleteLetter(retryRecords, consumer, d.Position),
	}
}

// retries reads the first letters that are to be tried again.
func (t *tail) retries(ctx context.Context) ([]store.Record, error) {
	return t.server.store.ListRecords(ctx, store.RecordsQuery{
		Namespace: retryRecords, Prefix: t.consumer + "/", Limit: tailLetters, Now: t.server.now(),
	})
}

// DeadLetters are the changes that a consumer gave up, on whichever node. Its
// methods may be called concurrently and on any node.
type DeadLetters struct {
	server   *server
	consumer string
}

// DeadLetters are those of a consumer. See Server.
func (s *server) DeadLetters(consumer string) DeadLetters { return DeadLetters{s, consumer} }

// List reads the dead letters after a position, 0 for the first, in the order of
// the feed. limit must be positive.
func (d DeadLetters) List(ctx context.Context, after Position, limit int) ([]DeadLetter, error) {
	if err := d.valid(after); err != nil {
		return nil, err
	}
	if limit < 1 {
		return nil, ErrInvalidArgument.With("limit is positive").At("limit")
	}
	records, err := d.server.store.ListRecords(ctx, store.RecordsQuery{
		Namespace: deadRecords, Prefix: d.consumer + "/", After: letterKey(d.consumer, after), Limit: limit, Now: d.server.now(),
	})
	if err != nil {
		return nil, fromStore(err)
	}
	letters := make([]DeadLetter, len(records))
	for i := range records {
		if letters[i], err = readDeadLetter(&records[i]); err != nil {
			return nil, err
		}
	}
	return letters, nil
}

// Retry has dead letters tried again, as if for the first time: the tail, where
// it runs, takes them up within seconds, each in the state of then and never
// beside another change of its conversation. One that fails again returns.
// ErrNotFound, and nothing done, where one of them is no dead letter.
func (d DeadLetters) Retry(ctx context.Context, positions ...Position) error {
	return d.take(ctx, positions, func(r *store.Record) store.RecordWrite {
		return store.RecordWrite{Namespace: retryRecords, Key: r.Key, Value: r.Value}
	})
}

// Drop forgets dead letters. ErrNotFound, and nothing done, where one of them is
// none.
func (d DeadLetters) Drop(ctx context.Context, positions ...Position) error {
	return d.take(ctx, positions, nil)
}

// take removes letters and writes instead of each what instead says.
func (d DeadLetters) take(ctx context.Context, positions []Position, instead func(*store.Record) store.RecordWrite) error {
	if err := d.valid(positions...); err != nil {
		return err
	}
	var writes []store.RecordWrite
	for _, p := range positions {
		r, err := d.server.store.GetRecord(ctx, deadRecords, letterKey(d.consumer, p), d.server.now())
		if err != nil {
			return fromStore(err)
		}
		remove := deleteLetter(deadRecords, d.consumer, p)
		remove.If = r.Revision
		writes = append(writes, remove)
		if instead != nil {
			writes = append(writes, instead(&r))
		}
	}
	_, err := d.server.store.WriteRecords(ctx, writes)
	if errors.Is(err, store.ErrConflict) { // somebody else took it
		return ErrNotFound
	}
	return fromStore(err)
}

func (d DeadLetters) valid(positions ...Position) error {
	if !validName(d.consumer, 64) {
		return ErrInvalidArgument.At("consumer")
	}
	for _, p := range positions {
		if p < 0 {
			return ErrInvalidArgument.At("position")
		}
	}
	return nil
}
