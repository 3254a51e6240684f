package im_test

import (
	"fmt"
	"testing"
	"time"

	"example.com/h5im/im"
	"example.com/h5im/im/imtest"
)

// A clock that is set, by a day and in either direction, ends no session, loses
// no cursor, refuses no send and changes no order: nothing that is promised
// goes by it.
func TestAClockThatIsSetChangesNothing(t *testing.T) {
	for _, jump := range []time.Duration{24 * time.Hour, -24 * time.Hour} {
		t.Run(jump.String(), func(t *testing.T) {
			clock := imtest.NewClock(time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC))
			limits := im.Limits{SessionRates: im.Rates{Write: im.Rate{PerSecond: 1e6, Burst: 1e6}}, UserRates: im.Unlimited()}
			srv := setup(t, im.Config{Now: clock.Now, Limits: limits})
			alice, bob := srv.Connect("alice"), srv.Connect("bob")
			send(t, alice, im.ToUser("bob"), "c1", "before")
			bob.Event("message")
			_, cursor, _ := catchUp(t, bob, "", 0)
			clock.Advance(jump)
			for i := range 300 {
				if r := send(t, alice, im.ToUser("bob"), fmt.Sprint("after", i), "after"); r.Seq != int64(i+2) || r.Duplicate {
					t.Fatalf("%+v", r)
				}
			}
			if r := send(t, alice, im.ToUser("bob"), "c1", "before"); r.Seq != 1 || !r.Duplicate {
				t.Errorf("a repetition: %+v", r)
			}
			var m im.MessageView
			for want := int64(2); want <= 301; want++ {
				if bob.Decode(bob.Event("message"), &m); m.Seq != want {
					t.Fatalf("%d came instead of %d", m.Seq, want)
				}
			}
			rows, _, reset := catchUp(t, bob, cursor, 0)
			if reset || len(rows) != 1 || rows[0].Seq != 301 {
				t.Errorf("reset %t, %+v", reset, rows)
			}
			must(t, srv.Connect("alice").Call("ping", nil, nil))
		})
	}
}
