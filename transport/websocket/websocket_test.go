package websocket_test

import (
	"net"
	"net/http"
	"testing"

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

func TestPings(t *testing.T) { transporttest.RunPings(t, harness(listenInMemory)) }
