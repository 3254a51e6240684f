package transporttest

import (
	"errors"
	"testing"

	"example.com/h5im/transport"
)

// tries are the rules of a Conn that can write without waiting.
func (s suite) tries(t *testing.T) {
	// Long runs of small messages, which a transport may join, and large ones.
	message := func(i int) []byte {
		n := 50 + i%200
		if i/2000%2 == 1 {
			n = []int{3000, 125, 40_000, 126, 0, 66_000}[i%6]
		}
		return payload(i, n)
	}
	if c, _ := s.pair(t, roomy); !isTryWriter(c) {
		return // and need not be
	}
	pair := func(t *testing.T) (transport.TryWriter, Client) {
		c, client := s.pair(t, roomy)
		return c.(transport.TryWriter), client
	}
	// fill tries to write messages from first on until the peer has to be
	// waited for. It returns what is left, and the number behind it.
	fill := func(t *testing.T, c transport.TryWriter, first int) (left []transport.Prepared, next int) {
		for next = first; next < first+100_000; {
			var msgs []transport.Prepared
			for range 1 + next%60 {
				msgs = append(msgs, c.Prepare(message(next)))
				next++
			}
			var n int
			var err error
			within(t, patience, "TryWrite", func() { n, err = c.TryWrite(msgs) })
			switch {
			case errors.Is(err, transport.ErrWait):
				return msgs[n:], next
			case err != nil || n != len(msgs):
				t.Fatalf("TryWrite took %d of %d: %v", n, len(msgs), err)
			}
		}
		t.Fatal("a peer that does not read never has to be waited for")
		return nil, 0
	}
	wantMessages := func(t *testing.T, client Client, first, next int) {
		t.Helper()
		for i := first; i < next; i++ {
			got, err := client.Read()
			must(t, err)
			if want := message(i); string(got) != string(want) {
				t.Fatalf("message %d of %d bytes is %d bytes: %.20q", i, len(want), len(got), got)
			}
		}
	}

	t.Run("what a peer leaves goes out with the next Write, whole and in order", func(t *testing.T) {
		c, client := pair(t)
		drain(c.Read)
		first := 0
		for range 5 {
			left, next := fill(t, c, first)
			written := make(chan error, 1)
			go func() { written <- c.Write(left) }()
			within(t, patience, "reading", func() { wantMessages(t, client, first, next) })
			must(t, <-written)
			first = next
		}
	})

	t.Run("a peer that reads again gets everything, then code and reason", func(t *testing.T) {
		c, client := pair(t)
		drain(c.Read)
		left, next := fill(t, c, 0)
		closed := make(chan struct{})
		go func() {
			defer close(closed)
			_ = c.Close(transport.CloseSlow, "too slow")
		}()
		within(t, patience, "reading", func() {
			wantMessages(t, client, 0, next-len(left))
			_, err := client.Read()
			wantClose(t, err, transport.CloseSlow, "too slow")
		})
		<-closed
		if _, err := c.TryWrite(left); !errors.Is(err, transport.ErrClosed) && !errors.Is(err, transport.ErrWait) {
			t.Errorf("TryWrite after Close: %v", err)
		}
		s.wantOver(t, c)
	})
}

func isTryWriter(c transport.Conn) bool {
	_, ok := c.(transport.TryWriter)
	return ok
}
