package bolt_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"example.com/h5im/store"
	"example.com/h5im/store/bolt"
)

// some is a backup of a store with some of everything.
func some(t *testing.T) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "im.db")
	must(t, os.WriteFile(path, filled(t), 0o600))
	s := open(t, path, nil)
	defer s.Close()
	return backup(t, s)
}

func TestARestoreRefusesWhatIsThere(t *testing.T) {
	data := some(t)
	path := filepath.Join(t.TempDir(), "im.db")
	s := open(t, path, nil)
	first := epoch(t, s)
	restore := func(replace bool) error {
		return bolt.Restore(ctx, path, bytes.NewReader(data), &bolt.RestoreOptions{Replace: replace})
	}
	if err := restore(false); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a store in use: %v", err)
	}
	if err := restore(true); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("a store in use is replaced: %v", err)
	}
	must(t, send2(s)) // it goes on
	must(t, s.Close())
	if err := restore(false); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a store at rest: %v", err)
	}
	alone(t, path)
	must(t, restore(true))
	alone(t, path)
	s = open(t, path, nil)
	if e := epoch(t, s); e == first {
		t.Error("not replaced")
	}
	must(t, use(s))
	must(t, s.Close())
	for name, content := range map[string][]byte{"empty": {}, "damaged": data[16:30_000], "text": []byte("text")} {
		must(t, os.WriteFile(path, content, 0o600))
		if err := restore(false); !errors.Is(err, fs.ErrExist) {
			t.Errorf("%s: %v", name, err)
		}
		if now, _ := os.ReadFile(path); !bytes.Equal(now, content) {
			t.Errorf("%s: changed", name)
		}
		if err := restore(true); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		s := open(t, path, nil)
		must(t, use(s))
		must(t, s.Close())
	}
}

func send2(s *bolt.Store) error { return errors.Join(create(s, "g_x"), send(s, "g_x", "x", 2, 10)) }

// Whoever comes with a store between the look and the end keeps it.
func TestARestoreNeverReplacesUnasked(t *testing.T) {
	data := some(t)
	for name, link := range map[string]func(from, to string) error{
		"with links":    os.Link,
		"without links": func(string, string) error { return errors.ErrUnsupported },
	} {
		path := filepath.Join(t.TempDir(), "im.db")
		var first string
		o := new(bolt.RestoreOptions)
		o.OnLink(func(from, to string) error {
			must(t, os.WriteFile(path, []byte("another's"), 0o600))
			return link(from, to)
		})
		if err := bolt.Restore(ctx, path, bytes.NewReader(data), o); !errors.Is(err, fs.ErrExist) {
			t.Errorf("%s: %v", name, err)
		}
		if now, _ := os.ReadFile(path); string(now) != "another's" {
			t.Errorf("%s: replaced", name)
		}
		alone(t, path)
		must(t, os.Remove(path))
		o.OnLink(link)
		must(t, bolt.Restore(ctx, path, bytes.NewReader(data), o))
		s := open(t, path, nil)
		if first = epoch(t, s); first == "" {
			t.Error("no epoch")
		}
		must(t, s.Close())
	}
}

// An opener that waits for the lock of a file that is being replaced gets the
// new one, not what has no name any more.
func TestAnOpenerGetsWhatHasTheName(t *testing.T) {
	data := some(t)
	path := filepath.Join(t.TempDir(), "im.db")
	s := open(t, path, nil)
	first := epoch(t, s)
	must(t, s.Close())
	o := new(bolt.Options)
	o.OnOpenFile(func(*os.File) { // it has the old file open, and not yet its lock
		must(t, bolt.Restore(ctx, path, bytes.NewReader(data), &bolt.RestoreOptions{Replace: true}))
		o.OnOpenFile(func(*os.File) {})
	})
	s = open(t, path, o)
	defer s.Close()
	if epoch(t, s) == first {
		t.Error("opened a file that is gone")
	}
	must(t, use(s))
	must(t, s.Close())
	s = open(t, path, nil)
	defer s.Close()
	if got := messages(t, s, "g_1"); len(got) != 103 {
		t.Errorf("what was written went elsewhere: %d messages", len(got))
	}
}

func TestARestoreThatFailsSaysWhyAndLeavesNothing(t *testing.T) {
	data := some(t)
	broken := errors.New("the line is cut")
	ended, cancel := context.WithCancel(ctx)
	cancelling := io.MultiReader(bytes.NewReader(data[:30_000]), readerFunc(func([]byte) (int, error) { cancel(); return 0, nil }), bytes.NewReader(data[30_000:]))
	for name, c := range map[string]struct {
		ctx  context.Context
		r    io.Reader
		want error
	}{
		"the line is cut at once":  {ctx, readerFunc(func([]byte) (int, error) { return 0, broken }), broken},
		"the line is cut":          {ctx, io.MultiReader(bytes.NewReader(data[:30_000]), readerFunc(func([]byte) (int, error) { return 0, broken })), broken},
		"the context ends":         {ended, cancelling, context.Canceled},
		"the context ends at last": {&endsAtLast{Context: ctx}, &lastRead{bytes.NewReader(data)}, context.Canceled},
	} {
		dir := t.TempDir()
		if l, ok := c.r.(*lastRead); ok {
			c.ctx.(*endsAtLast).left = l.Len
		}
		if err := bolt.Restore(c.ctx, filepath.Join(dir, "im.db"), c.r, nil); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
		if entries, _ := os.ReadDir(dir); len(entries) != 0 {
			t.Errorf("%s: left %v", name, entries)
		}
	}
	for name, path := range map[string]string{
		"a directory that is not there": filepath.Join(t.TempDir(), "none", "im.db"),
		"a file as a directory":         filepath.Join(os.Args[0], "im.db"),
		"a directory":                   t.TempDir(),
	} {
		for _, replace := range []bool{false, true} {
			if err := bolt.Restore(ctx, path, bytes.NewReader(data), &bolt.RestoreOptions{Replace: replace}); err == nil || !strings.Contains(err.Error(), path) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }

// endsAtLast is a context that ends when all has been read, before the check.
type endsAtLast struct {
	context.Context
	left func() int
}

func (e *endsAtLast) Err() error {
	if e.left() == 0 {
		return context.Canceled
	}
	return nil
}

// lastRead reports the end together with the last bytes.
type lastRead struct{ *bytes.Reader }

func (l *lastRead) Read(b []byte) (int, error) {
	n, err := l.Reader.Read(b)
	if l.Len() == 0 {
		err = io.EOF
	}
	return n, err
}

// A process that restores is killed at any moment: what has the name is whole.
func TestAKilledRestoreLeavesNothingUnderTheName(t *testing.T) {
	if path := os.Getenv("RESTORE_TO"); path != "" { // the process to be killed
		if err := bolt.Restore(ctx, path, os.Stdin, nil); err != nil {
			t.Fatal(err)
		}
		return
	}
	data := some(t)
	kill := func(n int, after time.Duration) (finished bool) {
		path := filepath.Join(t.TempDir(), "im.db")
		child := exec.Command(os.Args[0], "-test.run", "^"+t.Name()+"$")
		child.Env = append(os.Environ(), "RESTORE_TO="+path)
		stdin, err := child.StdinPipe()
		must(t, err)
		must(t, child.Start())
		_, err = stdin.Write(data[:n])
		must(t, err)
		for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
			if entries, _ := os.ReadDir(filepath.Dir(path)); len(entries) > 0 {
				break
			}
			if time.Now().After(deadline) {
				t.Fatal("it did not begin")
			}
		}
		if n == len(data) {
			must(t, stdin.Close())
			time.Sleep(after)
		}
		must(t, child.Process.Kill())
		_ = child.Wait()
		if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
			must(t, bolt.Restore(ctx, path, bytes.NewReader(data), nil))
		} else {
			finished = true
		}
		s := open(t, path, nil)
		defer s.Close()
		alone(t, path)
		must(t, use(s))
		return finished
	}
	for _, n := range []int{1, 5000, len(data) / 2, len(data) - 1} {
		if kill(n, 0) {
			t.Errorf("after %d bytes of %d it has the name", n, len(data))
		}
	}
	finished := 0
	for i := range 20 {
		if kill(len(data), time.Duration(i)*500*time.Microsecond) {
			finished++
		}
	}
	t.Logf("of 20 that were killed after the last byte %d had finished", finished)
}

// What a killed backup leaves is gone with the next Open.
func TestAKilledBackupIsSwept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "im.db")
	if to := os.Getenv("BACKUP_OF"); to != "" {
		s, err := bolt.Open(to, nil)
		must(t, err)
		must(t, s.Backup(ctx, os.Stdout)) // the pipe takes 64 kB, then it hangs
		return
	}
	must(t, os.WriteFile(path, filled(t), 0o600))
	child := exec.Command(os.Args[0], "-test.run", "^"+t.Name()+"$")
	child.Env = append(os.Environ(), "BACKUP_OF="+path)
	stdout, err := child.StdoutPipe()
	must(t, err)
	must(t, child.Start())
	_, err = io.ReadFull(stdout, make([]byte, 10))
	must(t, err)
	must(t, child.Process.Kill())
	_ = child.Wait()
	if entries, _ := os.ReadDir(filepath.Dir(path)); len(entries) != 2 {
		t.Fatalf("the test is not one: %v", entries)
	}
	s := open(t, path, nil)
	defer s.Close()
	alone(t, path)
	must(t, use(s))
}

// A full disk is told, and nothing is left that would keep it full.
func testFullBackup(t *testing.T, dir string, fill func() (free func())) {
	path := filepath.Join(dir, "im.db")
	must(t, os.WriteFile(path, filled(t), 0o600))
	s := open(t, path, &bolt.Options{Logger: quiet})
	defer s.Close()
	data := backup(t, s)
	free := fill()
	if err := s.Backup(ctx, io.Discard); !errors.Is(err, store.ErrFull) {
		t.Errorf("Backup: %v", err)
	}
	second := filepath.Join(dir, "second.db")
	if err := bolt.Restore(ctx, second, bytes.NewReader(data), nil); !errors.Is(err, store.ErrFull) {
		t.Errorf("Restore: %v", err)
	}
	free()
	alone(t, path)
	must(t, use(s))
	must(t, bolt.Restore(ctx, second, bytes.NewReader(backup(t, s)), nil))
	r := open(t, second, nil)
	defer r.Close()
	must(t, r.Check(ctx))
}
