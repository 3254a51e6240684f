package memory

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"

	"example.com/h5im/store"
)

// name names a record.
type name struct{ namespace, key string }

// GetRecord implements store.Records.
func (s *Store) GetRecord(ctx context.Context, namespace, key string, now store.Millis) (store.Record, error) {
	if err := store.ValidateRecord(namespace, key); err != nil {
		return store.Record{}, err
	}
	if err := s.lock(ctx); err != nil {
		return store.Record{}, err
	}
	defer s.mu.Unlock()
	r, ok := s.records[name{namespace, key}]
	if !ok || r.Expired(now) {
		return store.Record{}, fmt.Errorf("memory: record %q %q: %w", namespace, key, store.ErrNotFound)
	}
	return copyRecord(r), nil
}

// WriteRecords implements store.Records.
func (s *Store) WriteRecords(ctx context.Context, writes []store.RecordWrite) ([]int64, error) {
	for i := range writes {
		if err := writes[i].Validate(); err != nil {
			return nil, err
		}
	}
	if err := s.lock(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	staged, err := s.stageLocked(writes)
	if err != nil {
		return nil, err
	}
	if len(staged) > 0 {
		s.commitLocked()
		s.applyLocked(staged)
	}
	revisions := make([]int64, len(staged))
	for i := range staged {
		revisions[i] = staged[i].Revision
	}
	return revisions, nil
}

// stageLocked checks writes in order, each against what those before it leave,
// and answers the records to store; one of Revision 0 is to be deleted.
func (s *Store) stageLocked(writes []store.RecordWrite) ([]store.Record, error) {
	staged := make([]store.Record, 0, len(writes))
	left := map[name]store.Record{}
	revision := s.revision
	for i := range writes {
		w := &writes[i]
		n := name{w.Namespace, w.Key}
		old, ok := left[n]
		if !ok {
			old = s.records[n]
		}
		present := old.Revision // 0: absent
		if old.Expired(w.Now) {
			present = 0
		}
		if w.If == store.NoRecord && present != 0 || w.If > 0 && present != w.If {
			return nil, fmt.Errorf("memory: record %q %q has revision %d: %w", w.Namespace, w.Key, present, store.ErrConflict)
		}
		r := store.Record{Namespace: w.Namespace, Key: w.Key}
		if !w.Delete {
			revision++
			r.Value, r.Revision, r.ExpiresAt = bytes.Clone(w.Value), revision, w.ExpiresAt
		}
		left[n] = r
		staged = append(staged, r)
	}
	return staged, nil
}

// applyLocked stores what stageLocked answered.
func (s *Store) applyLocked(staged []store.Record) {
	for _, r := range staged {
		n := name{r.Namespace, r.Key}
		if r.Revision == 0 {
			delete(s.records, n)
			continue
		}
		s.records[n] = r
		s.revision = r.Revision
	}
}

// ListRecords implements store.Records.
func (s *Store) ListRecords(ctx context.Context, q store.RecordsQuery) ([]store.Record, error) {
	if err := q.Validate(); err != nil {
		return nil, err
	}
	if err := s.lock(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	var found []store.Record
	for n, r := range s.records {
		if n.namespace == q.Namespace && n.key > q.After && strings.HasPrefix(n.key, q.Prefix) && !r.Expired(q.Now) {
			found = append(found, copyRecord(r))
		}
	}
	slices.SortFunc(found, func(a, b store.Record) int { return strings.Compare(a.Key, b.Key) })
	return found[:min(len(found), q.Limit)], nil
}

func copyRecord(r store.Record) store.Record {
	r.Value = bytes.Clone(r.Value)
	return r
}
