package bolt

import (
	"bytes"
	"context"
	"fmt"

	"example.com/h5im/store"
)

// GetRecord reads one record. See store.Records.
func (s *Store) GetRecord(ctx context.Context, namespace, key string, now store.Millis) (store.Record, error) {
	if err := store.ValidateRecord(namespace, key); err != nil {
		return store.Record{}, err
	}
	var found store.Record
	err := s.view(ctx, func(r reader) error {
		record, err := r.record(namespace, key)
		if err != nil {
			return err
		}
		if record == nil || record.Expired(now) {
			return fmt.Errorf("bolt: record %q %q: %w", namespace, key, store.ErrNotFound)
		}
		found = *record
		return nil
	})
	return found, err
}

// record returns nil where there is none.
func (r reader) record(namespace, key string) (*store.Record, error) {
	k := recordKey(namespace, key)
	row := r.bucket(bucketRecords).Get(k)
	if row == nil {
		return nil, nil
	}
	record, err := decodeRecord(namespace, key, row)
	if err != nil {
		return nil, damaged(bucketRecords, k, err)
	}
	return record, nil
}

// WriteRecords does all writes or none. See store.Records.
func (s *Store) WriteRecords(ctx context.Context, writes []store.RecordWrite) ([]int64, error) {
	size := 0
	for i := range writes {
		if err := writes[i].Validate(); err != nil {
			return nil, err
		}
		size += len(writes[i].Value)
	}
	var revisions []int64
	err := s.update(ctx, size, func(b *batch) error {
		staged, err := b.stage(writes)
		if err != nil {
			return err
		}
		b.putRecords(staged)
		revisions = make([]int64, len(staged))
		for i := range staged {
			revisions[i] = staged[i].Revision
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return revisions, nil
}

// stage checks writes in order, each against what those before it leave, and
// answers the records to store; one of Revision 0 is to be deleted.
func (b *batch) stage(writes []store.RecordWrite) ([]store.Record, error) {
	if len(writes) == 0 {
		return nil, nil
	}
	type name struct{ namespace, key string }
	staged := make([]store.Record, 0, len(writes))
	left := make(map[name]*store.Record, len(writes))
	revision := b.recordRevision
	for i := range writes {
		w := &writes[i]
		n := name{w.Namespace, w.Key}
		old, ok := left[n]
		if !ok {
			var err error
			if old, err = b.record(w.Namespace, w.Key); err != nil {
				return nil, err
			}
		}
		var present int64 // 0: absent
		if old != nil && !old.Expired(w.Now) {
			present = old.Revision
		}
		if w.If == store.NoRecord && present != 0 || w.If > 0 && present != w.If {
			return nil, fmt.Errorf("bolt: record %q %q has revision %d: %w", w.Namespace, w.Key, present, store.ErrConflict)
		}
		r := store.Record{Namespace: w.Namespace, Key: w.Key}
		if !w.Delete {
			revision++
			r.Value, r.Revision, r.ExpiresAt = w.Value, revision, w.ExpiresAt
		}
		staged = append(staged, r)
		left[n] = &r
	}
	return staged, nil
}

// putRecords stores what stage answered.
func (b *batch) putRecords(staged []store.Record) {
	for i := range staged {
		r := &staged[i]
		if key := recordKey(r.Namespace, r.Key); r.Revision == 0 {
			b.delete(bucketRecords, key)
		} else {
			b.recordRevision = r.Revision
			b.put(bucketRecords, key, encodeRecord(r))
		}
	}
}

// ListRecords reads records in key order. See store.Records.
func (s *Store) ListRecords(ctx context.Context, q store.RecordsQuery) ([]store.Record, error) {
	if err := q.Validate(); err != nil {
		return nil, err
	}
	var found []store.Record
	err := s.view(ctx, func(r reader) error {
		namespace := recordPrefix(q.Namespace)
		prefix := recordKey(q.Namespace, q.Prefix)
		after := recordKey(q.Namespace, q.After)
		from := prefix
		if bytes.Compare(after, from) > 0 {
			from = after
		}
		c := r.bucket(bucketRecords).Cursor()
		for k, row := c.Seek(from); bytes.HasPrefix(k, prefix) && len(found) < q.Limit; k, row = c.Next() {
			if bytes.Equal(k, after) {
				continue
			}
			record, err := decodeRecord(q.Namespace, string(k[len(namespace):]), row)
			if err != nil {
				return damaged(bucketRecords, k, err)
			}
			if !record.Expired(q.Now) {
				found = append(found, *record)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return found, nil
}
