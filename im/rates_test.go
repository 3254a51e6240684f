package im_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"example.com/h5im/im"
	"example.com/h5im/im/imtest"
	"example.com/h5im/im/wire"
	"example.com/h5im/transport"
)

func TestRates(t *testing.T) { // [P116]
	slow := im.Rates{Read: im.Rate{PerSecond: 10, Burst: 2}, Write: im.Rate{PerSecond: 2, Burst: 3}, Heavy: im.Rate{PerSecond: 1, Burst: 1}}
	write := func(c *imtest.Client, id string) error {
		return c.Call("message.send", im.SendParams{To: im.ToUser("bob"), ClientID: id, Content: im.Text("x")}, nil)
	}
	t.Run("a burst, then so many a second, and the error says when", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			srv := setup(t, im.Config{Limits: im.Limits{SessionRates: slow, UserRates: im.Unlimited()}})
			alice := srv.Connect("alice")
			for i := range 3 {
				must(t, write(alice, fmt.Sprint(i)))
			}
			e := refused(t, write(alice, "3"), im.ErrRateLimited)
			if e.Field != "write" || e.RetryAfter != 500*time.Millisecond {
				t.Errorf("%+v", e)
			}
			must(t, alice.Call("user.get", im.UsersParams{Users: []string{"alice"}}, nil)) // another class
			time.Sleep(e.RetryAfter)
			must(t, write(alice, "3"))
			refused(t, write(alice, "4"), im.ErrRateLimited)
			time.Sleep(time.Hour)
			for i := range 3 { // no more than a burst, however long the rest
				must(t, write(alice, fmt.Sprint("later", i)))
			}
			refused(t, write(alice, "4"), im.ErrRateLimited)
		})
	})
	t.Run("a repetition of what is stored is answered all the same", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			srv := setup(t, im.Config{Limits: im.Limits{SessionRates: slow, UserRates: im.Unlimited()}})
			alice := srv.Connect("alice")
			for i := range 3 {
				must(t, write(alice, fmt.Sprint(i)))
			}
			for range 10 {
				must(t, write(alice, "0"))
			}
		})
	})
	t.Run("a user's sessions and POSTs share his own, and nobody else's", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			srv := setup(t, im.Config{Limits: im.Limits{SessionRates: im.Unlimited(), UserRates: slow}})
			a, b, carol := srv.Connect("alice"), srv.Connect("alice"), srv.Connect("carol")
			must(t, write(a, "1"))
			must(t, write(b, "2"))
			body := `{"jsonrpc":"2.0","id":1,"method":"message.send","params":{"to":"bob","clientId":"3","content":"x"}}`
			if _, answer := postAs(srv, "alice", body); strings.Contains(answer, "error") {
				t.Error(answer)
			}
			refused(t, write(a, "4"), im.ErrRateLimited)
			if _, answer := postAs(srv, "alice", strings.Replace(body, `"3"`, `"5"`, 1)); !strings.Contains(answer, `"rate_limited"`) {
				t.Error(answer)
			}
			must(t, write(carol, "1"))
			for i := range 20 { // the host itself is not counted
				_, err := im.Call[im.SendParams, im.SendResult](ctx, srv.As(im.Identity{User: "alice"}), "message.send", im.SendParams{To: im.ToUser("bob"), ClientID: fmt.Sprint("h", i), Content: im.Text("x")})
				must(t, err)
			}
			time.Sleep(25 * time.Minute) // he is forgotten, and has no more than a burst
			for i := range 3 {
				must(t, write(a, fmt.Sprint("later", i)))
			}
			refused(t, write(b, "later"), im.ErrRateLimited)
		})
	})
	t.Run("rates that are none are refused", func(t *testing.T) {
		for _, r := range []im.Rate{{PerSecond: -1, Burst: 1}, {PerSecond: 1, Burst: -1}} {
			if _, err := im.New(im.Config{AppID: "x", Auth: im.AuthenticatorFunc(imtest.TokenIsUser), Limits: im.Limits{UserRates: im.Rates{Read: r}}}); err == nil {
				t.Errorf("%+v is taken", r)
			}
		}
	})
}

func TestSessionsPerAddress(t *testing.T) { // [P118]
	srv := setup(t, im.Config{Limits: im.Limits{SessionsPerAddress: 2}, ClientAddress: func(r *http.Request) string { return r.Header.Get("X-Client") }})
	dial := func(address string) *http.Request {
		r := httptest.NewRequest(http.MethodGet, "http://im.test/pipe", nil)
		r.Header.Set("Sec-WebSocket-Protocol", transport.JSON.Subprotocol())
		r.Header.Set("X-Client", address)
		return r
	}
	refusedAt := func(address string) bool {
		w := httptest.NewRecorder()
		srv.ServeHTTP(w, dial(address))
		return w.Code == http.StatusTooManyRequests && w.Header().Get("Retry-After") != ""
	}
	for _, address := range []string{"192.0.2.1", "", "192.0.2.7"} {
		for i := range 2 {
			c := srv.DialRequest(dial(address))
			must(t, c.Open("alice", "d"))
			if i == 1 {
				if got := refusedAt(address); got != (address != "") {
					t.Errorf("a third of %q: refused %t", address, got)
				}
				if address == "192.0.2.1" {
					c.Close()
					for refusedAt(address) { // the place is free when the session has ended
						time.Sleep(time.Millisecond)
					}
				}
			}
		}
	}
}

func TestReconnectStorm(t *testing.T) { // [P117]
	t.Run("those who come at once take turns, and those who wait too long are told when to come again", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			const clients = 40
			srv := setup(t, im.Config{Auth: im.AuthenticatorFunc(func(_ context.Context, h *im.Handshake) (im.Identity, error) {
				time.Sleep(time.Second)
				return im.Identity{User: h.Token}, nil
			}), Limits: im.Limits{Opening: 4}})
			var asking []int64
			var all []*imtest.Client
			for i := range clients {
				c := srv.Dial(transport.JSON)
				all = append(all, c)
				asking = append(asking, c.Start("session.open", wire.OpenParams{AppID: "test", Device: "d", Token: fmt.Sprint("user", i)}))
			}
			opened, retries := 0, map[time.Duration]bool{}
			for i, c := range all {
				err := c.Await(asking[i], nil)
				if err == nil {
					opened++
					continue
				}
				e := refused(t, err, im.ErrUnavailable)
				if e.RetryAfter < time.Second || e.RetryAfter > 10*time.Second {
					t.Errorf("come again after %v", e.RetryAfter)
				}
				retries[e.RetryAfter] = true
			}
			if opened < 20 || opened > 24 || len(retries) < 12 { // four a second, for five seconds
				t.Errorf("%d of %d opened, %d different times to come again", opened, clients, len(retries))
			}
		})
	})
}
