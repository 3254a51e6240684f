package bolt

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"go.etcd.io/bbolt"
)

// unfinished is in the name of a store that is being made.
const unfinished = ".unfinished-"

// create puts an empty store at path, whole and durable or not at all: it is
// made under another name first. Whoever creates at the same time finds that
// file locked until it has its name, and lets it be; see sweep.
func create(path string, o Options) error {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, filepath.Base(path)+unfinished+"*")
	if err != nil {
		return err
	}
	f.Close()
	defer os.Remove(f.Name())
	db, err := openFile(f.Name(), o)
	if err != nil {
		return err
	}
	if err = errors.Join(db.Update(initialize), db.Sync()); err == nil {
		err = publish(f.Name(), path, o)
	}
	if errors.Is(err, fs.ErrExist) {
		err = nil // what another process put there meanwhile is in use
	}
	if err = errors.Join(err, db.Close()); err != nil {
		if _, gone := os.Lstat(f.Name()); errors.Is(gone, fs.ErrNotExist) {
			return create(path, o) // it was swept in the moment before it was locked
		}
		return err
	}
	return syncDir(dir)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// publish gives a finished store its name; fs.ErrExist where something has it.
func publish(from, path string, o Options) error {
	err := o.link(from, path)
	if err == nil || errors.Is(err, fs.ErrExist) {
		return err
	}
	if _, gone := os.Lstat(from); gone != nil {
		return gone
	}
	// Not every file system has links, and a rename replaces: the name is
	// claimed before.
	claim, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	claim.Close()
	if err = os.Rename(from, path); err != nil {
		os.Remove(path)
	}
	return err
}

// sweep removes what creations have left that were killed: unfinished stores
// that nobody has locked, and a second name of the store at path.
func sweep(path string) {
	dir := filepath.Dir(path)
	own, err := os.Stat(path)
	if err != nil {
		return
	}
	entries, _ := os.ReadDir(dir) // where it cannot be read, there is nothing to do
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil || !info.Mode().IsRegular() || !strings.HasPrefix(entry.Name(), filepath.Base(path)+unfinished) {
			continue
		}
		name := filepath.Join(dir, entry.Name())
		if !os.SameFile(info, own) {
			db, err := openWith(name, &bbolt.Options{ReadOnly: true, Timeout: 1}) // one look, no wait
			if errors.Is(err, errLocked) {
				continue
			}
			if err == nil {
				db.Close()
			}
		}
		os.Remove(name)
	}
}

func initialize(tx *bbolt.Tx) error {
	for _, name := range allBuckets {
		if _, err := tx.CreateBucket(name); err != nil {
			return err
		}
	}
	schema := newRow(4)
	schema.uint(schemaVersion)
	meta := tx.Bucket(bucketMeta)
	return errors.Join(
		meta.Put(metaSchema, schema.seal()),
		meta.Put(metaState, new(state).encode()),
		identify(tx))
}

// identify makes what the file holds a history of its own.
func identify(tx *bbolt.Tx) error {
	key := make([]byte, 32)
	rand.Read(key) // never fails: crypto/rand ends the process instead
	meta := tx.Bucket(bucketMeta)
	return errors.Join(meta.Put(metaEpoch, []byte(rand.Text())), meta.Put(metaKey, key))
}
