package im_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"example.com/h5im/im"
)

// [promise 7] A client that does not read loses its queued events to one gap
// per conversation, slows nobody, and repairs when it reads again.
func TestSlowClientGetsAGapAndCatchesUp(t *testing.T) { // [P31] [P96]
	srv := setup(t, im.Config{Limits: im.Limits{SendQueueBytes: 20_000, SendQueueFrames: 50}})
	alice, slow, fast := srv.Connect("alice"), srv.Connect("bob"), srv.Connect("bob")
	resume := slow.Pause()
	defer resume()
	const n = 500
	var id string
	for i := range n {
		id = send(t, alice, im.ToUser("bob"), fmt.Sprint("c", i), strings.Repeat("x", 500)).Conversation
		var m im.MessageView
		fast.Decode(fast.Event("message"), &m)
		if m.Seq != int64(i+1) {
			t.Fatalf("the fast client got %d after %d", m.Seq, i)
		}
	}
	resume()
	var gap struct {
		Conversation string `json:"conversation"`
		Rev          int64  `json:"rev"`
	}
	e := slow.Event("gap")
	slow.Decode(e, &gap)
	if gap.Conversation != id {
		t.Fatalf("a gap of %q", gap.Conversation)
	}
	// What it has and what the gap leaves out is everything, once.
	must(t, slow.Call("ping", nil, nil))
	have := map[int64]bool{}
	rev := int64(0)
	for _, e := range slow.Events() {
		if e.Name != "message" {
			continue
		}
		var m im.MessageView
		slow.Decode(e, &m)
		have[m.Rev] = true
	}
	for have[rev+1] {
		rev++
	}
	for more := true; more; {
		var r im.ChangesResult
		must(t, slow.Call("message.changes", im.ChangesParams{Conversation: id, Rev: rev, Limit: 100}, &r))
		for _, m := range r.Messages {
			have[m.Rev] = true
		}
		rev, more = r.Rev, r.More
	}
	if len(have) != n || rev != n {
		t.Errorf("it has %d of %d, rev %d; the gap said %d", len(have), n, rev, gap.Rev)
	}
	if gap.Rev > n || gap.Rev < 20 { // fewer events of less than 1,000 bytes do not fill the queue
		t.Errorf("the gap ends at %d", gap.Rev)
	}
}

// A client that reads nothing at all is cut off in the end, and nobody waits
// for it.
func TestStalledClientIsCutOff(t *testing.T) { // [P31]
	synctest.Test(t, func(t *testing.T) {
		srv := setup(t, im.Config{})
		alice, stalled, other := srv.Connect("alice"), srv.Connect("bob"), srv.Connect("bob")
		resume := stalled.Pause()
		defer resume()
		begin := time.Now()
		for i := range 200 {
			send(t, alice, im.ToUser("bob"), fmt.Sprint("c", i), strings.Repeat("x", 5000))
			other.Event("message")
		}
		if waited := time.Since(begin); waited != 0 {
			t.Errorf("the others waited %v", waited)
		}
		time.Sleep(15 * time.Second) // WriteTimeout is 10 s
		resume()
		if err := stalled.Ended(); err == nil {
			t.Error("it ended without an error")
		}
		must(t, other.Call("ping", nil, nil))
	})
}
