package websocket_test

import (
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"example.com/h5im/transport"
	"example.com/h5im/transport/transporttest"
	"example.com/h5im/transport/websocket"
)

func harness(listen func(testing.TB, http.Handler) func() net.Conn) transporttest.Harness {
	return transporttest.Harness{
		Transport: websocket.New(nil),
		Listen: func(t testing.TB, h http.Handler) func(transport.Format) transporttest.Client {
			dial := listen(t, h)
			return func(format transport.Format) transporttest.Client {
				return newRawClient(t, dial(), format)
			}
		},
	}
}

func TestConformance(t *testing.T) { transporttest.Run(t, harness(listen)) }

func TestPings(t *testing.T) {
	transporttest.RunPings(t, harness(listenInMemory))

	t.Run("an idle peer is asked once per interval, a talking one is not", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			const interval = 10 * time.Second
			client := newRawClient(t, listenInMemory(t, echo(transport.Limits{PingInterval: interval}))(), transport.JSON)
			var pings atomic.Int32
			go func() {
				for {
					op, _, err := client.next()
					if err != nil {
						return
					}
					if op == opPing {
						pings.Add(1)
						_ = client.send(frame(fin|opPong, nil))
					}
				}
			}()
			defer synctest.Wait()
			defer client.Vanish()
			time.Sleep(20*interval + time.Second)
			if n := pings.Load(); n < 19 || n > 20 {
				t.Errorf("%d pings in 20 intervals of silence", n)
			}
			pings.Store(0)
			for range 40 {
				if err := client.send(text("busy")); err != nil {
					t.Fatal(err)
				}
				time.Sleep(interval / 2)
			}
			if n := pings.Load(); n != 0 {
				t.Errorf("%d pings in 20 intervals of messages", n)
			}
		})
	})
}
