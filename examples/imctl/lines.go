package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"

	"example.com/h5im/store/archive"
	"example.com/h5im/store/bolt"
)

func (c *command) export(ctx context.Context, path, to string) (err error) {
	s, _, err := openStore(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	p := c.progress("export", messages, 0)
	return c.write(to, p, func(w io.Writer) error {
		_, err := archive.Export(ctx, s, w, p.set)
		return err
	})
}

// load is import.
func (c *command) load(ctx context.Context, from, path string) error {
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("%s is there already", path)
	}
	in, size, err := c.open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	name := path + ".unfinished-" + rand.Text() // what is left of it goes when path is opened
	s, err := bolt.Open(name, nil)
	if err != nil {
		return err
	}
	defer os.Remove(name)
	p := c.progress("import", megabytes, size)
	totals, err := archive.Import(ctx, s, io.TeeReader(in, p))
	err = errors.Join(err, s.Close())
	if p.end(err); err != nil {
		return err
	}
	if err := os.Link(name, path); err != nil {
		return err
	}
	fmt.Fprintf(c.out, "%s: %d conversations, %d memberships, %d messages\n", path, totals.Conversations, totals.Members, totals.Messages)
	return nil
}
