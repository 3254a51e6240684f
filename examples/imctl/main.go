// Imctl looks after the file that a chat is kept in, while no server has it open.
//
//	go run ./examples/imctl check im-data/im.db
//
// A running server does the same to itself: bolt.Store.Backup, Check and Compact,
// in a handler or a timer of the host's.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"example.com/h5im/store/archive"
	"example.com/h5im/store/bolt"
)

const usage = `usage:
  imctl backup FILE BACKUP           writes a copy that restore reads; - is standard output
  imctl restore [-f] BACKUP FILE     makes a store of a copy, with another epoch, so that
                                     every client synchronises anew; - is standard input;
                                     -f replaces what is there
  imctl check FILE                   walks the whole file
  imctl compact FILE                 gives back the room of what is no longer in it
  imctl export FILE LINES            writes what is in it as lines of JSON; - is standard output
  imctl import LINES FILE            makes a store of such lines, of another one or of another
                                     system's; - is standard input

Stop the server that has FILE open first. BACKUP, LINES and FILE appear whole or not at all.
Exit status: 0 done, 1 failed, 2 these words were not understood, 3 the file, the backup
or the lines are damaged.
`

const (
	exitFailed  = 1
	exitUsage   = 2
	exitDamaged = 3
)

// errUsage: the words were not understood.
var errUsage = errors.New("not understood")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	c := command{in: os.Stdin, out: os.Stdout, log: os.Stderr, bar: isTerminal(os.Stderr)}
	os.Exit(c.run(ctx, os.Args[1:]))
}

// command is one call, with what it reads and writes.
type command struct {
	in       io.Reader
	out, log io.Writer
	bar      bool // log is a terminal
}

// run returns the exit status.
func (c *command) run(ctx context.Context, args []string) int {
	err := c.do(ctx, args)
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errUsage):
		fmt.Fprint(c.log, usage)
		return exitUsage
	}
	fmt.Fprintln(c.log, "imctl:", err)
	for _, damaged := range []error{bolt.ErrDamaged, bolt.ErrBackup, archive.ErrFormat} {
		if errors.Is(err, damaged) {
			return exitDamaged
		}
	}
	return exitFailed
}

func (c *command) do(ctx context.Context, args []string) error {
	if len(args) == 1 && (args[0] == "-h" || args[0] == "--help" || args[0] == "help") {
		_, err := fmt.Fprint(c.out, usage)
		return err
	}
	replace := len(args) > 1 && args[0] == "restore" && args[1] == "-f"
	if replace {
		args = append(args[:1:1], args[2:]...)
	}
	switch {
	case len(args) == 3 && args[0] == "backup":
		return c.backup(ctx, args[1], args[2])
	case len(args) == 3 && args[0] == "restore":
		return c.restore(ctx, args[1], args[2], replace)
	case len(args) == 2 && args[0] == "check":
		return c.check(ctx, args[1])
	case len(args) == 2 && args[0] == "compact":
		return c.compact(ctx, args[1])
	case len(args) == 3 && args[0] == "export":
		return c.export(ctx, args[1], args[2])
	case len(args) == 3 && args[0] == "import":
		return c.load(ctx, args[1], args[2])
	}
	return errUsage
}

// openStore opens a store that is there.
func openStore(path string) (*bolt.Store, int64, error) {
	info, err := os.Stat(path) // bolt.Open would make one
	if err != nil {
		return nil, 0, err
	}
	s, err := bolt.Open(path, nil)
	return s, info.Size(), err
}

func (c *command) backup(ctx context.Context, path, to string) (err error) {
	s, size, err := openStore(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	p := c.progress("backup", megabytes, size)
	return c.write(to, p, func(w io.Writer) error { return s.Backup(ctx, io.MultiWriter(w, p)) })
}

// write makes a file that appears whole or not at all, and never in place of another.
func (c *command) write(to string, p *progress, f func(io.Writer) error) (err error) {
	if to == "-" {
		err := f(c.out)
		p.end(err)
		return err
	}
	if _, err := os.Lstat(to); err == nil {
		return fmt.Errorf("%s is there already", to)
	}
	file, err := os.CreateTemp(filepath.Dir(to), filepath.Base(to)+".unfinished-*")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	err = f(file)
	err = errors.Join(err, file.Sync(), file.Close())
	if p.end(err); err != nil {
		return err
	}
	return os.Link(file.Name(), to)
}

func (c *command) restore(ctx context.Context, from, path string, replace bool) error {
	in, size, err := c.open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	p := c.progress("restore", megabytes, size)
	err = bolt.Restore(ctx, path, io.TeeReader(in, p), &bolt.RestoreOptions{Replace: replace})
	p.end(err)
	return err
}

// open opens a file to read, and tells its size.
func (c *command) open(from string) (io.ReadCloser, int64, error) {
	if from == "-" {
		return io.NopCloser(c.in), 0, nil
	}
	f, err := os.Open(from)
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, info.Size(), nil
}

func (c *command) check(ctx context.Context, path string) (err error) {
	s, _, err := openStore(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if err := s.Check(ctx); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("%w: %w", bolt.ErrDamaged, err)
	}
	info, err := s.Info(ctx)
	if err == nil {
		fmt.Fprintf(c.out, "%s: no contradiction; epoch %s, version %d\n", path, info.Epoch, info.Version)
	}
	return err
}

func (c *command) compact(ctx context.Context, path string) (err error) {
	s, before, err := openStore(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	p := c.progress("compact", megabytes, 0)
	done := make(chan error)
	go func() { done <- s.Compact(ctx) }()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for running := true; running; {
		select {
		case err = <-done:
			running = false
		case <-tick.C:
			st := s.Stats()
			p.set(st.CompactedBytes, st.FileBytes-st.FreeBytes)
		}
	}
	after := s.Stats().FileBytes
	p.done = after
	if p.end(err); err != nil {
		return err
	}
	fmt.Fprintf(c.out, "%s: %s of %s are left\n", path, megabytes(after), megabytes(before))
	return nil
}
