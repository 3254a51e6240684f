package transporttest

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"example.com/h5im/transport"
)

func (s suite) messages(t *testing.T) {
	t.Run("Info names the format and the peer, and never changes", func(t *testing.T) {
		c, _ := s.pair(t, roomy)
		info := c.Info()
		if info.Kind == "" || info.Format != s.format || info.Remote == "" {
			t.Errorf("Info is %+v", info)
		}
		_ = c.Close(transport.CloseNormal, "")
		if c.Info() != info {
			t.Errorf("after Close Info is %+v, before %+v", c.Info(), info)
		}
	})

	t.Run("messages to the peer arrive whole and in order, however many a Write has", func(t *testing.T) {
		c, client := s.pair(t, roomy)
		batches := [][]int{{1}, {2, 125, 126, 127}, {65535, 1, 65536}, {}, {0, 200_000, 0}, make([]int, 500)}
		for i := range batches[len(batches)-1] {
			batches[len(batches)-1][i] = 100 + i
		}
		go func() {
			i := 0
			for _, sizes := range batches {
				var msgs []transport.Prepared
				for _, n := range sizes {
					msgs = append(msgs, c.Prepare(payload(i, n)))
					i++
				}
				if err := c.Write(msgs); err != nil {
					t.Errorf("Write of %d: %v", len(sizes), err)
				}
			}
		}()
		i := 0
		for _, sizes := range batches {
			for _, n := range sizes {
				got, err := client.Read()
				must(t, err)
				if !bytes.Equal(got, payload(i, n)) {
					t.Fatalf("message %d of %d bytes arrived as %d bytes", i, n, len(got))
				}
				i++
			}
		}
	})

	t.Run("Write neither changes nor keeps its slice", func(t *testing.T) {
		c, client := s.pair(t, roomy)
		a, b := c.Prepare([]byte("a")), c.Prepare([]byte("b"))
		msgs := []transport.Prepared{a, b, a}
		must(t, c.Write(msgs))
		if &msgs[0][0] != &a[0] || &msgs[1][0] != &b[0] || len(msgs) != 3 {
			t.Error("the slice was changed")
		}
		clear(msgs)
		for _, want := range []string{"a", "b", "a"} {
			got, err := client.Read()
			must(t, err)
			if string(got) != want {
				t.Errorf("got %q, want %q", got, want)
			}
		}
	})

	t.Run("Read, Write and Close may run at the same time", func(t *testing.T) {
		c, client := s.pair(t, roomy)
		clientEnd, serverEnd := drain(client.Read), drain(c.Read)
		written := make(chan error, 2)
		go func() {
			msg := c.Prepare(payload(0, 300))
			var err error
			for err == nil {
				err = c.Write([]transport.Prepared{msg, msg})
			}
			written <- err
		}()
		go func() {
			for i := range 200 {
				if err := client.Write(s.format, payload(i, 300)); err != nil {
					t.Errorf("client write: %v", err)
				}
			}
			written <- nil
		}()
		within(t, patience, "the client's writes", func() { must(t, <-written) })
		_ = c.Close(transport.CloseRestart, "")
		within(t, closeWithin, "the end", func() {
			if err := <-written; !errors.Is(err, transport.ErrClosed) {
				t.Errorf("Write: %v", err)
			}
			if err := serverEnd(); !errors.Is(err, transport.ErrClosed) {
				t.Errorf("Read: %v", err)
			}
			wantClose(t, clientEnd(), transport.CloseRestart, "")
		})
	})
}

// frames are what the peer sends.
func (s suite) frames(t *testing.T) {
	t.Run("frames from the peer arrive whole and in order", func(t *testing.T) {
		c, client := s.pair(t, roomy)
		sizes := []int{1, 2, 125, 126, 127, 255, 256, 257, 4095, 4096, 4097, 65535, 65536, 65537, 0, 3}
		go func() {
			for i, n := range sizes {
				if err := client.Write(s.format, payload(i, n)); err != nil {
					t.Errorf("client write %d: %v", i, err)
				}
			}
		}()
		var held [][]byte
		for i, n := range sizes {
			got, err := c.Read()
			must(t, err)
			if !bytes.Equal(got, payload(i, n)) {
				t.Fatalf("frame %d of %d bytes arrived as %d bytes", i, n, len(got))
			}
			held = append(held, got)
		}
		for i, n := range sizes {
			if !bytes.Equal(held[i], payload(i, n)) {
				t.Errorf("frame %d changed after Read had returned it", i)
			}
		}
	})
}

func (s suite) limits(t *testing.T) {
	const limit = 70_000
	limits := roomy
	limits.MaxFrameBytes = limit

	t.Run("a frame of exactly the limit is taken", func(t *testing.T) {
		c, client := s.pair(t, limits)
		go client.Write(s.format, payload(0, limit))
		got, err := c.Read()
		must(t, err)
		if len(got) != limit {
			t.Errorf("%d bytes", len(got))
		}
	})

	for _, n := range []int{limit + 1, 10 * limit} {
		t.Run(fmt.Sprintf("a frame of %d bytes above the limit closes with 1009", n-limit), func(t *testing.T) {
			c, client := s.pair(t, limits)
			clientEnd := drain(client.Read)
			go client.Write(s.format, payload(0, n))
			within(t, patience, "the refusal", func() {
				if _, err := c.Read(); err != transport.ErrTooLarge {
					t.Errorf("Read: %v", err)
				}
				s.wantOver(t, c)
				var told *transport.CloseError
				if err := clientEnd(); !errors.As(err, &told) || told.Code != transport.CloseTooLarge {
					t.Errorf("the client was told %v", err)
				}
			})
		})
	}

	t.Run("a frame of the wrong type closes with 1003", func(t *testing.T) {
		c, client := s.pair(t, limits)
		clientEnd := drain(client.Read)
		must(t, client.Write(s.format, []byte("right")))
		must(t, client.Write(1-s.format, []byte("wrong")))
		must(t, client.Write(s.format, []byte("too late")))
		within(t, patience, "the refusal", func() {
			if got, err := c.Read(); err != nil || string(got) != "right" {
				t.Errorf("Read: %q, %v", got, err)
			}
			if _, err := c.Read(); err != transport.ErrFormat {
				t.Errorf("Read: %v", err)
			}
			s.wantOver(t, c)
			var told *transport.CloseError
			if err := clientEnd(); !errors.As(err, &told) || told.Code != transport.CloseWrongType {
				t.Errorf("the client was told %v", err)
			}
		})
	})

	if s.format == transport.JSON {
		t.Run("a text frame that is not UTF-8 closes with 1007", func(t *testing.T) {
			c, client := s.pair(t, limits)
			clientEnd := drain(client.Read)
			must(t, client.Write(s.format, []byte("{\"a\":\"\xff\"}")))
			within(t, patience, "the refusal", func() {
				if _, err := c.Read(); !errors.Is(err, transport.ErrFormat) {
					t.Errorf("Read: %v", err)
				}
				s.wantOver(t, c)
				var told *transport.CloseError
				if err := clientEnd(); !errors.As(err, &told) || told.Code != transport.CloseNotUTF8 {
					t.Errorf("the client was told %v", err)
				}
			})
		})
	}
}

// payload is text of n bytes that differs by i.
func payload(i, n int) []byte {
	s := fmt.Sprintf("%d:", i)
	return []byte(strings.Repeat(s, n/len(s)+1)[:n])
}

// wantOver checks that a connection has ended for its owner.
func (s suite) wantOver(t testing.TB, c transport.Conn) {
	t.Helper()
	if err := c.Write([]transport.Prepared{c.Prepare([]byte("late"))}); !errors.Is(err, transport.ErrClosed) {
		t.Errorf("Write after the end: %v", err)
	}
	if _, err := c.Read(); !errors.Is(err, transport.ErrClosed) {
		t.Errorf("Read after the end: %v", err)
	}
	if err := c.Close(transport.CloseNormal, ""); err != nil {
		t.Errorf("Close after the end: %v", err)
	}
}

func wantClose(t testing.TB, err error, code int, reason string) {
	t.Helper()
	var told *transport.CloseError
	if !errors.As(err, &told) || told.Code != code || told.Reason != reason {
		t.Errorf("told %v, want %d %q", err, code, reason)
	}
}
