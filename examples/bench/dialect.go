package main

import (
	"fmt"

	"github.com/google/uuid"
)

// A dialect is how clients speak with a system.
type dialect struct {
	path      string
	protocols []string
	open      func(b []byte, user string) []byte
	opened    []byte // in the answer to open, and nowhere else
	publish   func(b []byte, n int, to, text string) []byte
	ack       []byte // in the answer to a publish, once
	ping      []byte // of the protocol, to be sent back
}

var dialects = map[string]dialect{
	ours: {
		path:      "/ws",
		protocols: []string{"im.v1.json"},
		open: func(b []byte, user string) []byte {
			return fmt.Appendf(b, `{"jsonrpc":"2.0","id":0,"method":"session.open","params":{"appId":"bench","token":%q,"device":"bench"}}`, user)
		},
		opened: []byte(`"serverTime"`),
		publish: func(b []byte, n int, to, text string) []byte {
			target := fmt.Sprintf(`{"user":%q}`, to)
			if to == conversation {
				target = fmt.Sprintf(`{"conversation":%q}`, to)
			}
			return fmt.Appendf(b, `{"jsonrpc":"2.0","id":%d,"method":"message.send","params":{"to":%s,"clientId":%q,"content":%q}}`, n, target, newID(), text)
		},
		ack: []byte(`"result":`),
	},
	centrifugeNode: {
		path:      "/connection/websocket",
		protocols: []string{"centrifuge-json"},
		open: func(b []byte, user string) []byte {
			return fmt.Appendf(b, `{"id":1,"connect":{"token":%q}}`, user)
		},
		opened: []byte(`"connect":`),
		publish: func(b []byte, n int, to, text string) []byte {
			return fmt.Appendf(b, `{"id":%d,"publish":{"channel":%q,"data":{"id":%q,"text":%q}}}`, n+1, to, newID(), text)
		},
		ack:  []byte(`"publish":`),
		ping: []byte(`{}`),
	},
	gobwasHub: plain,
	melodyHub: plain,
	nhooyrHub: plain,
}

// plain is what a hub of one's own speaks: the fields and no more.
var plain = dialect{
	path: "/ws",
	// An answer proves that the hub has the connection, which it makes known to
	// the client before it remembers it.
	open:   func(b []byte, _ string) []byte { return append(b, `{"id":"opened"}`...) },
	opened: []byte(`"opened"`),
	publish: func(b []byte, n int, to, text string) []byte {
		return fmt.Appendf(b, `{"to":%q,"id":%q,"text":%q}`, to, newID(), text)
	},
	ack: []byte(`"ack":`),
}

// newID is a sender's key for a message, as our SDK makes it.
func newID() string { return uuid.Must(uuid.NewV7()).String() }
