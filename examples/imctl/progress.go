package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// progress tells how many bytes have passed: by a bar on a terminal, by a line
// every few seconds elsewhere.
type progress struct {
	log   io.Writer
	bar   bool
	name  string
	of    int64 // about so many; 0: unknown
	done  int64
	told  time.Time
	every time.Duration
}

func (c *command) progress(name string, of int64) *progress {
	p := &progress{log: c.log, bar: c.bar, name: name, of: of, told: time.Now(), every: 5 * time.Second}
	if c.bar {
		p.every = 100 * time.Millisecond
	}
	return p
}

func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

func (p *progress) Write(b []byte) (int, error) {
	p.done += int64(len(b))
	if now := time.Now(); now.Sub(p.told) >= p.every {
		p.told = now
		p.tell()
	}
	return len(b), nil
}

func (p *progress) tell() {
	const width = 30
	text := fmt.Sprintf("%s: %.1f MB", p.name, float64(p.done)/1e6)
	if p.of > 0 {
		part := min(1, float64(p.done)/float64(p.of))
		text += fmt.Sprintf(" of about %.1f, %.0f %%", float64(p.of)/1e6, 100*part)
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
