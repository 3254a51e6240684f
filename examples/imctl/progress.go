package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// progress tells how much is done: by a bar on a terminal, by a line every few
// seconds elsewhere.
type progress struct {
	log   io.Writer
	bar   bool
	name  string
	unit  unit
	of    int64 // about so many; 0: unknown
	done  int64
	told  time.Time
	every time.Duration
}

// unit shows a number of something.
type unit func(n int64) string

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }
func messages(n int64) string  { return fmt.Sprintf("%d messages", n) }

func (c *command) progress(name string, u unit, of int64) *progress {
	p := &progress{log: c.log, bar: c.bar, name: name, unit: u, of: of, told: time.Now(), every: 5 * time.Second}
	if c.bar {
		p.every = 100 * time.Millisecond
	}
	return p
}

func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// Write counts what passes.
func (p *progress) Write(b []byte) (int, error) {
	p.set(p.done+int64(len(b)), p.of)
	return len(b), nil
}

func (p *progress) set(done, of int64) {
	p.done, p.of = done, of
	if now := time.Now(); now.Sub(p.told) >= p.every {
		p.told = now
		p.tell()
	}
}

func (p *progress) tell() {
	const width = 30
	text := fmt.Sprintf("%s: %s", p.name, p.unit(p.done))
	if p.of > 0 {
		part := min(1, float64(p.done)/float64(p.of))
		text += fmt.Sprintf(" of about %s, %.0f %%", p.unit(p.of), 100*part)
		if filled := int(part * width); p.bar {
			text = fmt.Sprintf("[%s%s] %s", strings.Repeat("#", filled), strings.Repeat(" ", width-filled), text)
		}
	}
	if p.bar {
		fmt.Fprintf(p.log, "\r%s\x1b[K", text)
	} else {
		fmt.Fprintln(p.log, text)
	}
}

// end tells the last of it.
func (p *progress) end(err error) {
	if err == nil {
		p.of = p.done
		p.tell()
	}
	if p.bar {
		fmt.Fprintln(p.log)
	}
}
