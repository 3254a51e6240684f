package transport

import (
	"fmt"
	"net/http"
	"strings"
)

// Negotiate picks the format that a request asks for: the first subprotocol
// of Sec-WebSocket-Protocol that is known, JSON when none is offered. Unknown
// ones beside a known one are ignored; nothing but unknown ones is an error,
// because a browser fails a connection that answers another subprotocol.
func Negotiate(r *http.Request) (Format, error) {
	offered := strings.Join(r.Header.Values("Sec-WebSocket-Protocol"), ",")
	if strings.Trim(offered, ", \t") == "" {
		return JSON, nil
	}
	for name := range strings.SplitSeq(offered, ",") {
		switch strings.TrimSpace(name) {
		case JSON.Subprotocol():
			return JSON, nil
		case Msgpack.Subprotocol():
			return Msgpack, nil
		}
	}
	return JSON, fmt.Errorf("transport: none of the offered subprotocols is known; use %s or %s",
		JSON.Subprotocol(), Msgpack.Subprotocol())
}
