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

	"example.com/h5im/store/bolt"
)

const usage = `usage:
  imctl backup FILE BACKUP           writes a copy that restore reads; - is standard output
  imctl restore [-f] BACKUP FILE     makes a store of a copy, with another epoch, so that
                                     every client synchronises anew; - is standard input;
                                     -f replaces what is there
  imctl check FILE                   walks the whole file
  imctl compact FILE                 gives back the room of what is no longer in it

Stop the server that has FILE open first. BACKUP and FILE appear whole or not at all.
Exit status: 0 done, 1 failed, 2 these words were not understood, 3 the file, or the
backup, is damaged.
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
	if errors.Is(err, bolt.ErrDamaged) || errors.Is(err, bolt.ErrBackup) {
		return exitDamaged
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
	}
	return errUsage
}

// open opens a store that is there.
func open(path string) (*bolt.Store, int64, error) {
	info, err := os.Stat(path) // bolt.Open would make one
	if err != nil {
		return nil, 0, err
	}
	s, err := bolt.Open(path, nil)
	return s, info.Size(), err
}

func (c *command) backup(ctx context.Context, path, to string) (err error) {
	s, size, err := open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if to == "-" {
		return s.Backup(ctx, c.out)
	}
	if _, err := os.Lstat(to); err == nil {
		return fmt.Errorf("%s is there already", to)
	}
	f, err := os.CreateTemp(filepath.Dir(to), filepath.Base(to)+".unfinished-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	p := c.progress("backup", size)
	err = s.Backup(ctx, io.MultiWriter(f, p))
	err = errors.Join(err, f.Sync(), f.Close())
	if p.end(err); err != nil {
		return err
	}
	return os.Link(f.Name(), to) // and never over another
}

func (c *command) restore(ctx context.Context, from, path string, replace bool) error {
	in, size := c.in, int64(0)
	if from != "-" {
		f, err := os.Open(from)
		if err != nil {
			return err
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			return err
		}
		in, size = f, info.Size()
	}
	p := c.progress("restore", size)
	err := bolt.Restore(ctx, path, io.TeeReader(in, p), &bolt.RestoreOptions{Replace: replace})
	p.end(err)
	return err
}

func (c *command) check(ctx context.Context, path string) (err error) {
	s, _, err := open(path)
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
	s, before, err := open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if err := s.Compact(ctx); err != nil {
		return err
	}
	fmt.Fprintf(c.out, "%s: %.1f MB of %.1f are left\n", path, float64(s.Stats().FileBytes)/1e6, float64(before)/1e6)
	return nil
}
