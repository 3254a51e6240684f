package transport_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"example.com/h5im/transport"
)

func TestNegotiate(t *testing.T) { // [P17] [P104]
	for _, c := range []struct {
		offered []string
		want    transport.Format
		fails   bool
	}{
		{offered: nil, want: transport.JSON},
		{offered: []string{""}, want: transport.JSON},
		{offered: []string{"im.v1.msgpack"}, want: transport.Msgpack},
		{offered: []string{"chat", "x, im.v1.msgpack ,im.v1.json"}, want: transport.Msgpack},
		{offered: []string{"chat"}, fails: true},
		{offered: []string{"im.v2.json"}, fails: true},
		{offered: []string{"IM.V1.JSON"}, fails: true},
	} {
		t.Run("offered "+strings.Join(c.offered, "|"), func(t *testing.T) {
			got, err := transport.Negotiate(&http.Request{Header: http.Header{"Sec-Websocket-Protocol": c.offered}})
			if got != c.want || (err != nil) != c.fails {
				t.Errorf("%v, %v", got, err)
			}
		})
	}
}

func TestCutReason(t *testing.T) {
	for name, c := range map[string]struct{ reason, want string }{
		"short":                 {"bye", "bye"},
		"as long as may be":     {strings.Repeat("x", 123), strings.Repeat("x", 123)},
		"too long":              {strings.Repeat("x", 124), strings.Repeat("x", 123)},
		"cut before a rune":     {strings.Repeat("é", 62), strings.Repeat("é", 61)},
		"cut at its boundary":   {"!" + strings.Repeat("é", 62), "!" + strings.Repeat("é", 61)},
		"no character anywhere": {strings.Repeat("\x80", 200), ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := transport.CutReason(c.reason); got != c.want {
				t.Errorf("%q", got)
			}
		})
	}
}

func TestCloseError(t *testing.T) {
	err := error(&transport.CloseError{Code: 4000, Reason: "restart"})
	if !errors.Is(err, transport.ErrClosed) || errors.Is(err, transport.ErrFormat) {
		t.Error("a CloseError is an ErrClosed and nothing else")
	}
}
