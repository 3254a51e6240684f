package transporttest

import (
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"example.com/h5im/transport"
)

// RunPings tests that a transport asks idle peers for a sign of life. The
// harness has to work inside a testing/synctest bubble, without a network, and
// its clients have to be a Mute.
func RunPings(t *testing.T, h Harness) {
	const interval = 10 * time.Second
	limits := roomy
	limits.PingInterval = interval

	// connect returns how long after now the connection ended, once it has.
	connect := func(t *testing.T, limits transport.Limits) (client Client, ended func() time.Duration) {
		var conn transport.Conn
		begin := time.Now()
		end := make(chan time.Duration, 1)
		dial := h.Listen(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_ = h.Transport.Serve(w, r, limits, func(c transport.Conn) {
				conn = c
				go func() {
					for {
						if _, err := c.Read(); err != nil {
							end <- time.Since(begin)
							return
						}
					}
				}()
			})
		}))
		client = dial(transport.JSON)
		synctest.Wait()
		t.Cleanup(func() {
			_ = conn.Close(transport.CloseNormal, "")
			client.Vanish()
			synctest.Wait()
			time.Sleep(2 * time.Second)
		})
		return client, func() time.Duration {
			select {
			case d := <-end:
				return d
			default:
				return 0
			}
		}
	}

	t.Run("an idle peer that answers pings stays", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			client, ended := connect(t, limits)
			drain(client.Read)
			time.Sleep(100 * interval)
			if d := ended(); d != 0 {
				t.Errorf("ended after %v", d)
			}
		})
	})

	t.Run("a peer that gives no sign of life is closed with 4003 by the next ping", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			client, ended := connect(t, limits)
			client.(Mute).Mute()
			end := drain(client.Read)
			time.Sleep(2*interval + 2*time.Second)
			if d := ended(); d < interval || d > 2*interval+2*time.Second {
				t.Errorf("ended after %v", d)
			}
			var told *transport.CloseError
			if err := end(); !errors.As(err, &told) || told.Code != transport.CloseGone {
				t.Errorf("told %v", err)
			}
		})
	})

	t.Run("messages are signs of life", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			client, ended := connect(t, limits)
			client.(Mute).Mute()
			drain(client.Read)
			for range 40 {
				if err := client.Write(transport.JSON, []byte("here")); err != nil {
					t.Fatal(err)
				}
				time.Sleep(interval / 2)
			}
			if d := ended(); d != 0 {
				t.Errorf("ended after %v", d)
			}
		})
	})

	t.Run("an interval of 0 never asks", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			client, ended := connect(t, roomy)
			client.(Mute).Mute()
			drain(client.Read)
			time.Sleep(1000 * interval)
			if d := ended(); d != 0 {
				t.Errorf("ended after %v", d)
			}
		})
	})
}
