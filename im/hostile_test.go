package im_test

import (
	"bytes"
	"strings"
	"testing"

	"example.com/h5im/im"
	"example.com/h5im/transport"
)

// [promise 9] A frame that is no protocol is answered or ends its own
// connection; the server goes on.
func TestHostileFrames(t *testing.T) { // [P6] [P7] [P34]
	srv := setup(t, im.Config{})
	frames := map[transport.Format][][]byte{
		transport.JSON: {
			[]byte(``), []byte(`{`), []byte(`[]`), []byte(`null`), []byte(`5`), []byte(`"x"`), []byte(`{}`), []byte(`[[]]`),
			[]byte(strings.Repeat("[", 100_000)), []byte(`{"jsonrpc":"2.0","id":1.5,"method":"ping"}`),
			[]byte(`{"jsonrpc":"2.0","id":{},"method":"ping"}`), []byte(`{"jsonrpc":"1.0","id":1,"method":"ping"}`),
			[]byte(`{"jsonrpc":"2.0","id":1,"method":5}`), []byte(`{"jsonrpc":"2.0","id":1,"method":"ping","params":[1]}`),
			[]byte(`{"jsonrpc":"2.0","id":1,"method":"sync","params":` + strings.Repeat(`{"a":`, 50) + `1` + strings.Repeat(`}`, 50) + `}`),
		},
		transport.Msgpack: {
			{}, {0xdd, 0xff, 0xff, 0xff, 0xff}, {0xdf, 0xff, 0xff, 0xff, 0xff}, {0xc6, 0xff, 0xff, 0xff, 0xff}, {0xdb, 0xff, 0xff, 0xff, 0xff},
			{0xc9, 0xff, 0xff, 0xff, 0xff, 1}, {0xc0}, {0x90}, {0x80}, {0xc1}, bytes.Repeat([]byte{0x91}, 200_000), bytes.Repeat([]byte{0x81}, 200_000),
		},
	}
	for format, list := range frames {
		for _, frame := range list {
			c := srv.Dial(format)
			must(t, c.Open("alice", "d"))
			c.Raw(frame)
			if err := c.Call("ping", nil, nil); err != nil {
				t.Errorf("%v %.40q: the session is gone: %v", format, frame, err)
			}
			c.Close()
		}
		c := srv.Dial(format)
		for range 20 {
			c.Raw(map[transport.Format][]byte{transport.JSON: []byte(`{`), transport.Msgpack: {0xc1}}[format])
		}
		ended(t, c, transport.CloseProtocol)
		c = srv.Dial(format)
		c.Raw(bytes.Repeat([]byte{' '}, 256<<10+1))
		ended(t, c, transport.CloseTooLarge)
	}
	must(t, srv.Ready())
}
