package crash

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"example.com/h5im/store/bolt"
)

var (
	kills = flag.Int("kills", 10, "how often the server is killed")
	seed  = flag.Uint64("seed", 0, "of the random moments; 0 takes one from the clock")
)

const (
	senders = 64
	groups  = 8
	window  = 8 // messages that a sender has in flight
)

func TestKilledServerLosesNothingThatItAcknowledged(t *testing.T) {
	r := newRun(t, "../chat", *kills, 50*time.Millisecond, 900*time.Millisecond)
	violations := r.run()
	for i, v := range violations {
		if i == 20 {
			t.Errorf("and %d more", len(violations)-i)
			break
		}
		t.Error(v)
	}
	if r.acked() < 100**kills {
		t.Errorf("only %d messages were acknowledged: this run proves little", r.acked())
	}
}

// The same checker must catch a server that acknowledges before it commits.
func TestMutantThatAcknowledgesBeforeCommitIsCaught(t *testing.T) {
	r := newRun(t, "./mutant", 3, 300*time.Millisecond, 600*time.Millisecond)
	if violations := r.run(); len(violations) == 0 {
		t.Fatalf("%d acknowledgements and no violation: the check has no teeth", r.acked())
	}
}

// run is one server, killed and started again, under load.
type run struct {
	t        *testing.T
	rand     *rand.Rand
	binary   string
	addr     string
	data     string
	kills    int
	min, max time.Duration
	groups   []string
	senders  []*sender
	server   *exec.Cmd
	stopping atomic.Bool
}

func newRun(t *testing.T, program string, kills int, least, most time.Duration) *run {
	s := *seed
	if s == 0 {
		s = uint64(time.Now().UnixNano())
	}
	t.Logf("seed %d, %d kills", s, kills)
	r := &run{t: t, rand: rand.New(rand.NewPCG(s, 1)), data: t.TempDir(), kills: kills, min: least, max: most}
	r.binary = filepath.Join(t.TempDir(), "server")
	// Built without the race detector: what is killed is what people run.
	if out, err := exec.Command("go", "build", "-o", r.binary, program).CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.addr = l.Addr().String()
	l.Close()
	return r
}

// start runs the server until it answers.
func (r *run) start() {
	r.t.Helper()
	log, err := os.OpenFile(filepath.Join(r.data, "server.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		r.t.Fatal(err)
	}
	defer log.Close()
	r.server = exec.Command(r.binary, "-addr", r.addr, "-data", r.data, "-unlimited")
	r.server.Stdout, r.server.Stderr = log, log
	if err := r.server.Start(); err != nil {
		r.t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); ; {
		if _, err = login(r.addr, "probe"); err == nil {
			return
		}
		if time.Now().After(deadline) {
			out, _ := os.ReadFile(log.Name())
			r.t.Fatalf("the server did not start: %v\n%s", err, out)
		}
		pause(10 * time.Millisecond)
	}
}

// pause waits for another process, whose clock no bubble can hold.
func pause(d time.Duration) { <-time.After(d) }

func (r *run) kill(sig syscall.Signal) {
	_ = r.server.Process.Signal(sig)
	_ = r.server.Wait()
}

func (r *run) acked() (n int) {
	for _, s := range r.senders {
		n += len(s.acks)
	}
	return n
}

func (r *run) run() []string {
	r.start()
	r.t.Cleanup(func() { r.kill(syscall.SIGKILL) })
	r.setup()
	var wg sync.WaitGroup
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	for _, s := range r.senders {
		wg.Go(func() { s.work(ctx, r) })
	}
	for range r.kills {
		pause(r.min + time.Duration(r.rand.Int64N(int64(r.max-r.min))))
		r.kill(syscall.SIGKILL)
		r.start()
	}
	r.stopping.Store(true) // no new messages; what is unanswered is sent until it is answered
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(60 * time.Second):
		stop()
		<-done
		return []string{"sends that never settled"}
	}
	violations := r.settle()
	r.t.Logf("%d messages acknowledged over %d kills, %d answers were duplicates", r.acked(), r.kills, r.duplicates())
	return violations
}

func (r *run) duplicates() (n int) {
	for _, s := range r.senders {
		for _, a := range s.acks {
			if a.duplicate {
				n++
			}
		}
	}
	return n
}

// setup makes the groups and the senders, all of them members of each.
func (r *run) setup() {
	r.t.Helper()
	var names []string
	for i := range senders {
		name := fmt.Sprintf("sender-%02d", i)
		token, err := login(r.addr, name)
		if err != nil {
			r.t.Fatal(err)
		}
		names = append(names, name)
		r.senders = append(r.senders, &sender{name: name, token: token, rand: rand.New(rand.NewPCG(r.rand.Uint64(), uint64(i))), order: map[[2]string][]string{}})
	}
	c, err := connect(r.addr, names[0], r.senders[0].token)
	if err != nil {
		r.t.Fatal(err)
	}
	defer c.close()
	for i := range groups {
		var made struct {
			ID string `json:"id"`
		}
		err := c.call(int64(10+i), "conversation.create", map[string]any{"kind": "group", "title": fmt.Sprint("group ", i), "members": names[1:]}, &made)
		if err != nil {
			r.t.Fatal(err)
		}
		r.groups = append(r.groups, made.ID)
	}
}

// settle reads everything back, sends a sample again, and checks the file.
func (r *run) settle() (violations []string) {
	r.t.Helper()
	c, err := connect(r.addr, "reader", r.senders[0].token)
	if err != nil {
		return []string{err.Error()}
	}
	final := map[string][]stored{}
	for _, g := range r.groups {
		messages, err := history(c, g)
		if err != nil {
			violations = append(violations, fmt.Sprintf("history of %s: %v", g, err))
		}
		final[g] = messages
	}
	c.close()
	var acks []ack
	order := map[[2]string][]string{}
	for _, s := range r.senders {
		acks = append(acks, s.acks...)
		for k, v := range s.order {
			order[k] = v
		}
		if err := s.again(r); err != nil {
			violations = append(violations, err.Error())
		}
	}
	violations = append(violations, check(acks, final, order)...)
	r.kill(syscall.SIGTERM)
	db, err := bolt.Open(filepath.Join(r.data, "im.db"), nil)
	if err != nil {
		return append(violations, err.Error())
	}
	defer db.Close()
	if err := db.Check(context.Background()); err != nil {
		violations = append(violations, err.Error())
	}
	return violations
}

func history(c *client, group string) (all []stored, err error) {
	for after, id := int64(0), int64(1000); ; id++ {
		var page struct {
			Messages []struct {
				Seq      int64  `json:"seq"`
				From     string `json:"from"`
				ClientID string `json:"clientId"`
				Content  struct {
					Text string `json:"text"`
				} `json:"content"`
			} `json:"messages"`
			To   int64 `json:"to"`
			More bool  `json:"more"`
		}
		err := c.call(id, "message.list", map[string]any{"conversation": group, "after": after, "limit": 100}, &page)
		if err != nil {
			return all, err
		}
		for _, m := range page.Messages {
			all = append(all, stored{seq: m.Seq, from: m.From, clientID: m.ClientID, text: m.Content.Text})
		}
		if !page.More {
			return all, nil
		}
		after = page.To
	}
}

// sender is one user who writes as long as the run lasts.
type sender struct {
	name  string
	token string
	rand  *rand.Rand
	n     int
	open  []sending // sent and not answered, oldest first
	acks  []ack
	order map[[2]string][]string
}

type sending struct {
	conversation, clientID, text string
}

// work sends, reconnects and sends again until the run stops and all is answered.
func (s *sender) work(ctx context.Context, r *run) {
	for ctx.Err() == nil && !(r.stopping.Load() && len(s.open) == 0) {
		c, err := connect(r.addr, s.name, s.token)
		if err != nil {
			pause(20 * time.Millisecond)
			continue
		}
		leave := context.AfterFunc(ctx, c.close)
		s.talk(c, r)
		leave()
		c.close()
	}
}

// talk keeps a window of messages in flight, the unanswered ones of the last
// connection first, until the connection ends.
func (s *sender) talk(c *client, r *run) {
	pending := map[int64]sending{}
	id := int64(100)
	send := func(m sending) bool {
		id++
		pending[id] = m
		return c.request(id, "message.send", map[string]any{
			"to": map[string]string{"conversation": m.conversation}, "clientId": m.clientID, "content": m.text,
		}) == nil
	}
	for _, m := range s.open {
		if !send(m) {
			return
		}
	}
	for {
		for len(s.open) < window && !r.stopping.Load() {
			m := s.compose(r)
			s.open = append(s.open, m)
			if !send(m) {
				return
			}
		}
		if len(s.open) == 0 {
			return
		}
		list, err := c.next()
		if err != nil {
			return
		}
		for _, m := range list {
			if sent, mine := pending[m.ID]; mine && m.Method == "" {
				delete(pending, m.ID)
				if !s.settled(sent, m) {
					return
				}
			}
		}
	}
}

func (s *sender) compose(r *run) sending {
	s.n++
	group := r.groups[s.rand.IntN(len(r.groups))]
	m := sending{group, fmt.Sprintf("%08x-0000-7000-8000-%012x", s.n, s.rand.Uint64N(1<<48)), fmt.Sprintf("%s says %d %x", s.name, s.n, s.rand.Uint64())}
	k := [2]string{s.name, group}
	s.order[k] = append(s.order[k], m.clientID)
	return m
}

// settled notes an answer. A server that shuts down may refuse: the connection
// is given up and the message sent again.
func (s *sender) settled(m sending, answer incoming) bool {
	if answer.Error != nil {
		return false
	}
	var receipt struct {
		Seq       int64 `json:"seq"`
		Duplicate bool  `json:"duplicate"`
	}
	if err := json.Unmarshal(answer.Result, &receipt); err != nil {
		return false
	}
	for i := range s.open {
		if s.open[i].clientID == m.clientID {
			s.open = append(s.open[:i:i], s.open[i+1:]...)
			break
		}
	}
	s.acks = append(s.acks, ack{s.name, m.conversation, m.clientID, m.text, receipt.Seq, receipt.Duplicate})
	return true
}

// again repeats the sender's last message: the first receipt must come back.
func (s *sender) again(r *run) error {
	if len(s.acks) == 0 {
		return nil
	}
	a := s.acks[len(s.acks)-1]
	c, err := connect(r.addr, s.name, s.token)
	if err != nil {
		return err
	}
	defer c.close()
	var receipt struct {
		Seq       int64 `json:"seq"`
		Duplicate bool  `json:"duplicate"`
	}
	err = c.call(5, "message.send", map[string]any{
		"to": map[string]string{"conversation": a.conversation}, "clientId": a.clientID, "content": a.text,
	}, &receipt)
	if err != nil && err != io.EOF {
		return fmt.Errorf("%s: repeating %s: %w", s.name, a.clientID, err)
	}
	if receipt.Seq != a.seq || !receipt.Duplicate {
		return fmt.Errorf("%s: repeating %s answered seq %d, duplicate %v; the first was %d", s.name, a.clientID, receipt.Seq, receipt.Duplicate, a.seq)
	}
	return nil
}
