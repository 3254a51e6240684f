package main

import (
	"bufio"
	"flag"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

const roleLoad = "load"

// loadReport is what the clients have seen.
type loadReport struct {
	TookNanos  int64     `json:"took"`
	Acks       int       `json:"acks"`
	Deliveries int       `json:"deliveries"`
	Latency    latencies `json:"latency"`
}

// A crowd is the clients of one run.
type crowd struct {
	dialect dialect
	kind    string
	addr    string
	n       int
	rate    int
	window  int

	senders   []*client // the publisher, or those of the pairs
	receivers []*client
	sent      int // of all senders, since the process began
	seen      counts
}

// counts are what all clients have got since the last run began.
type counts struct {
	each             int64 // deliveries of a message
	acks, deliveries atomic.Int64
	moved            chan struct{} // signalled at each ack, and at each delivery to everybody
	failed           chan error
}

// load is the process of the clients. It connects and warms up, says so, waits
// for a line, does the work, and reports.
func load(args []string) error {
	flags := flag.NewFlagSet(roleLoad, flag.ContinueOnError)
	name := flags.String("system", "", "")
	c := &crowd{}
	flags.StringVar(&c.kind, "kind", "", "")
	flags.StringVar(&c.addr, "addr", "", "")
	flags.IntVar(&c.n, "clients", 0, "")
	flags.IntVar(&c.rate, "rate", 0, "")
	flags.IntVar(&c.window, "window", 0, "")
	warm := flags.Int("warm", 0, "")
	messages := flags.Int("messages", 0, "")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *name == undisturbed {
		*name = ours
	}
	c.dialect = dialects[*name]
	c.seen = counts{each: 1, moved: make(chan struct{}, 1), failed: make(chan error, 1)}
	if c.kind == kindFan {
		c.seen.each = int64(c.n)
	}
	report, err := c.work(*warm, *messages)
	if err != nil {
		say(map[string]any{"error": err.Error()})
		return err
	}
	say(report)
	return nil
}

func (c *crowd) work(warm, messages int) (*loadReport, error) {
	if err := c.connect(warm); err != nil {
		return nil, err
	}
	if c.kind != kindOpen && warm > 0 {
		rate, window := c.rate, c.window
		c.rate, c.window = 0, max(window, 16)
		if _, err := c.send(warm); err != nil {
			return nil, fmt.Errorf("warming up: %w", err)
		}
		c.rate, c.window = rate, window
	}
	say(map[string]any{})
	if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
		return nil, err
	}
	if c.kind == kindOpen {
		return c.open()
	}
	return c.send(messages)
}

// connect makes the clients, or as many as warm up where connecting is the work.
func (c *crowd) connect(warm int) error {
	var err error
	switch c.kind {
	case kindFan:
		if c.senders, err = c.dial(1, func(int) string { return publisherName }); err == nil {
			c.receivers, err = c.dial(c.n, userName)
		}
	case kindPairs:
		if c.senders, err = c.dial(c.n, userName); err == nil {
			c.receivers, err = c.dial(c.n, peerName)
		}
	case kindOpen:
		c.receivers, err = c.dial(warm, peerName)
	}
	return err
}

// open is the work where connecting is it.
func (c *crowd) open() (*loadReport, error) {
	begin := time.Now()
	more, err := c.dial(c.n, userName)
	c.receivers = append(c.receivers, more...)
	return &loadReport{TookNanos: int64(time.Since(begin)), Acks: len(more)}, err
}

// dial connects clients, window of them at a time.
func (c *crowd) dial(n int, name func(int) string) ([]*client, error) {
	clients := make([]*client, n)
	errs := make(chan error, n)
	room := make(chan struct{}, max(c.window, 16))
	var all sync.WaitGroup
	for i := range clients {
		room <- struct{}{}
		all.Go(func() {
			defer func() { <-room }()
			var err error
			if clients[i], err = dial(c.addr, name(i), &c.dialect, &c.seen); err != nil {
				errs <- fmt.Errorf("client %d: %w", i, err)
			}
		})
	}
	all.Wait()
	select {
	case err := <-errs:
		return nil, err
	default:
		return clients, nil
	}
}

// progressLimit is how long nothing may happen before something is missing.
const progressLimit = 15 * time.Second

// send sends so many messages and waits until each is acknowledged and has
// arrived wherever it should.
func (c *crowd) send(messages int) (*loadReport, error) {
	c.seen.acks.Store(0)
	c.seen.deliveries.Store(0)
	for _, r := range c.receivers {
		r.deliveries, r.latency = 0, r.latency[:0]
	}
	first, begin := c.sent, time.Now()
	go c.sendAll(begin, messages)
	if err := c.wait(int64(messages), int64(messages)*c.seen.each); err != nil {
		return nil, err
	}
	report := &loadReport{TookNanos: int64(time.Since(begin)), Acks: messages, Deliveries: messages * int(c.seen.each)}
	want := make([]int, len(c.receivers))
	for n := range messages {
		if c.kind == kindPairs {
			want[(first+n)%c.n]++
		}
	}
	for i, r := range c.receivers {
		if c.kind == kindFan {
			want[i] = messages
		}
		if r.deliveries != want[i] {
			return nil, fmt.Errorf("client %d got %d messages instead of %d", i, r.deliveries, want[i])
		}
		report.Latency = append(report.Latency, r.latency...)
	}
	report.Latency.sort()
	return report, nil
}

// sendAll sends at the messages' times, or as the window allows. A message is
// under way until it has arrived everywhere, or, of pairs, is acknowledged. Of
// pairs each sender has his share of the window.
func (c *crowd) sendAll(begin time.Time, messages int) {
	for i := range messages {
		var at time.Time
		if c.rate > 0 {
			at = begin.Add(time.Duration(i) * time.Second / time.Duration(c.rate))
			time.Sleep(time.Until(at))
		} else {
			for !c.room(int64(i)) {
				<-c.seen.moved
			}
			at = time.Now()
		}
		s := c.senders[c.sent%len(c.senders)]
		to := conversation
		if c.kind == kindPairs {
			to = peerName(c.sent % len(c.senders))
		}
		c.sent++
		if err := s.publish(c.sent, to, at); err != nil {
			c.seen.fail(err)
			return
		}
	}
}

func (c *crowd) room(sent int64) bool {
	if c.kind == kindPairs {
		return sent-int64(c.window) < c.seen.acks.Load()
	}
	return (sent-int64(c.window))*c.seen.each < c.seen.deliveries.Load()
}

// wait returns when all is acknowledged and delivered.
func (c *crowd) wait(acks, deliveries int64) error {
	last, since := int64(0), time.Now()
	for {
		a, d := c.seen.acks.Load(), c.seen.deliveries.Load()
		if a == acks && d == deliveries {
			return nil
		}
		if a > acks || d > deliveries {
			return fmt.Errorf("%d acknowledgements and %d deliveries, more than %d and %d", a, d, acks, deliveries)
		}
		if a+d != last {
			last, since = a+d, time.Now()
		} else if time.Since(since) > progressLimit {
			return fmt.Errorf("%d of %d acknowledgements and %d of %d deliveries, and no more come", a, acks, d, deliveries)
		}
		select {
		case err := <-c.seen.failed:
			return err
		case <-time.After(time.Millisecond):
		}
	}
}

func (c *counts) fail(err error) {
	select {
	case c.failed <- err:
	default:
	}
}

func (c *counts) signal() {
	select {
	case c.moved <- struct{}{}:
	default:
	}
}
