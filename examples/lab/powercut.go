package lab

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// A power cut loses what was written and not yet synced, in any order and in
// parts. kill -9 loses nothing of it: the kernel still has it. So the server is
// built with a bbolt that writes down what it does to its file, and the file is
// made anew from that, as a disk might have it.
//
// A journal is a row of records: kind, offset or size (8), length (4), data.
const (
	recordWrite    = 'w'
	recordTruncate = 't'
	recordSync     = 's'
)

// journalSource is compiled into bbolt. Without JOURNAL_SYNC a sync is not
// written down: such a disk lies.
const journalSource = `package bbolt

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

func (db *DB) journalRecord(kind byte, n int64, data []byte) error {
	if db.journal == nil {
		return nil
	}
	b := append([]byte{kind}, make([]byte, 12)...)
	binary.BigEndian.PutUint64(b[1:], uint64(n))
	binary.BigEndian.PutUint32(b[9:], uint32(len(data)))
	_, err := db.journal.Write(append(b, data...))
	return err
}

func (db *DB) journalOpen() error {
	db.ops.writeAt = db.file.WriteAt
	if db.readOnly {
		return nil
	}
	old, err := os.ReadFile(db.path)
	if err != nil {
		return err
	}
	// Of the file and not of its name: a compaction makes another and renames it.
	name := filepath.Join(filepath.Dir(db.path), fmt.Sprint("journal-", time.Now().UnixNano()))
	if err := os.Link(db.path, name+".of"); err != nil {
		return err
	}
	if db.journal, err = os.Create(name); err != nil {
		return err
	}
	if err = db.journalRecord('w', 0, old); err == nil {
		err = db.journalRecord('s', 0, nil)
	}
	db.ops.writeAt = func(b []byte, offset int64) (int, error) {
		if err := db.journalRecord('w', offset, b); err != nil {
			return 0, err
		}
		return db.file.WriteAt(b, offset)
	}
	return err
}

func (db *DB) journalTruncate(size int64) error {
	if err := db.journalRecord('t', size, nil); err != nil {
		return err
	}
	return db.file.Truncate(size)
}

func fdatasync(db *DB) error {
	if os.Getenv("JOURNAL_SYNC") == "" {
		return nil
	}
	time.Sleep(2 * time.Millisecond) // a disk takes its time, in which power may go
	return db.journalRecord('s', 0, nil)
}
`

// buildJournaled compiles the server with such a bbolt, for Linux.
func buildJournaled(dir string) (string, error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "go.etcd.io/bbolt").Output()
	if err != nil {
		return "", fmt.Errorf("bbolt's source: %w", err)
	}
	source, local := strings.TrimSpace(string(out)), filepath.Join(dir, "bbolt")
	if err := os.CopyFS(local, os.DirFS(source)); err != nil {
		return "", err
	}
	for _, change := range []struct{ file, from, to string }{
		{"db.go", "type DB struct {", "type DB struct {\n\tjournal *os.File\n"},
		{"db.go", "db.ops.writeAt = db.file.WriteAt", "if err = db.journalOpen(); err != nil {\n\t\t_ = db.close()\n\t\treturn nil, err\n\t}"},
		{"db.go", "db.file.Truncate(int64(sz))", "db.journalTruncate(int64(sz))"},
		{"db.go", "db.file.Sync()", "fdatasync(db)"},
	} {
		path := filepath.Join(local, change.file)
		b, err := os.ReadFile(path)
		if err != nil {
			return "", err
		}
		if n := bytes.Count(b, []byte(change.from)); n != 1 {
			return "", fmt.Errorf("bbolt's %s has %q %d times: the laboratory has to be adapted", change.file, change.from, n)
		}
		if err := replaceFile(path, bytes.Replace(b, []byte(change.from), []byte(change.to), 1)); err != nil {
			return "", err
		}
	}
	if err := replaceFile(filepath.Join(local, "bolt_linux.go"), []byte(journalSource)); err != nil {
		return "", err
	}
	// A module file of its own leads to the copy.
	module, err := os.ReadFile("../go.mod")
	if err != nil {
		return "", err
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		return "", err
	}
	module = bytes.Replace(module, []byte("=> ../"), []byte("=> "+root), 1)
	module = append(module, "\nreplace go.etcd.io/bbolt => "+local+"\n"...)
	sums, err := os.ReadFile("../go.sum")
	if err != nil {
		return "", err
	}
	err = errors.Join(os.WriteFile(filepath.Join(dir, "lab.mod"), module, 0o600), os.WriteFile(filepath.Join(dir, "lab.sum"), sums, 0o600))
	if err != nil {
		return "", err
	}
	return build(dir, "-modfile", filepath.Join(dir, "lab.mod"))
}

// replaceFile writes a file anew: those of the module cache are read-only.
func replaceFile(path string, b []byte) error {
	return errors.Join(os.Remove(path), os.WriteFile(path, b, 0o600))
}

const (
	pageBytes   = 4096
	sectorBytes = 512
)

// journalOf finds the latest journal of the file that has this name now, and
// removes all.
func journalOf(path string) (journal []byte, err error) {
	file, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	names, err := filepath.Glob(filepath.Join(filepath.Dir(path), "journal-*.of"))
	if err != nil {
		return nil, err
	}
	err = errors.New("the file has no journal")
	for _, name := range names { // in the order of their making
		of, statErr := os.Stat(name)
		if statErr != nil {
			return nil, statErr
		}
		written := strings.TrimSuffix(name, ".of")
		if os.SameFile(file, of) {
			journal, err = os.ReadFile(written)
		}
		os.Remove(name)
		os.Remove(written)
	}
	return journal, err
}

// cutPower makes the store's file anew from its journal: all up to the last
// sync, and of what came later some pages, and parts of others; or nothing.
func cutPower(path string, random *rand.Rand, nothing bool) (unsynced int, err error) {
	journal, err := journalOf(path)
	if err != nil {
		return 0, err
	}
	var file []byte
	var later [][2]any // offset and data since the last sync
	apply := func(offset int64, data []byte) {
		if end := offset + int64(len(data)); end > int64(len(file)) {
			file = append(file, make([]byte, end-int64(len(file)))...)
		}
		copy(file[offset:], data)
	}
	resize := func(size int64) { file = append(file, make([]byte, max(0, size-int64(len(file))))...)[:size] }
	for r := bytes.NewReader(journal); ; {
		var head [13]byte
		if _, err := io.ReadFull(r, head[:]); err != nil {
			break // a record that was not finished was not written
		}
		n, data := int64(binary.BigEndian.Uint64(head[1:])), make([]byte, binary.BigEndian.Uint32(head[9:]))
		if _, err := io.ReadFull(r, data); err != nil {
			break
		}
		switch head[0] {
		case recordSync:
			for _, w := range later {
				if data, write := w[1].([]byte); write {
					apply(w[0].(int64), data)
				} else {
					resize(w[0].(int64))
				}
			}
			later = nil
		case recordTruncate:
			later = append(later, [2]any{n, nil})
		case recordWrite:
			later = append(later, [2]any{n, data})
		}
	}
	if nothing {
		later = nil
	}
	for _, w := range later {
		offset := w[0].(int64)
		data, write := w[1].([]byte)
		if !write {
			if random.IntN(2) == 0 {
				resize(offset)
			}
			continue
		}
		for from := 0; from < len(data); from += pageBytes {
			page := data[from:min(from+pageBytes, len(data))]
			unsynced++
			switch random.IntN(3) {
			case 0: // lost
			case 1:
				apply(offset+int64(from), page)
			case 2: // torn
				for s := 0; s < len(page); s += sectorBytes {
					if random.IntN(2) == 0 {
						apply(offset+int64(from+s), page[s:min(s+sectorBytes, len(page))])
					}
				}
			}
		}
	}
	return unsynced, os.WriteFile(path, file, 0o600)
}
