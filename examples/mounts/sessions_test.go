package mounts

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Sessions without a socket, as a page has them whose WebSocket does not get
// through: what is sent must come while the stream goes on, whatever buffers,
// compresses or closes in between.

const sessionOpen = `{"jsonrpc":"2.0","id":0,"method":"session.open","params":{"appId":"site","device":"d2"}}`

// opened is the session that an answer to session.open names.
func opened(t *testing.T, frame []byte) string {
	t.Helper()
	var a struct {
		Result struct {
			Session string `json:"session"`
			User    string `json:"user"`
		} `json:"result"`
	}
	if err := json.Unmarshal(frame, &a); err != nil || a.Result.User != "ines" {
		t.Fatalf("session.open: %s, %v", frame, err)
	}
	return a.Result.Session
}

// page are the headers of a page of the site's own.
func (b *browser) page(session string) []string {
	h := []string{"Cookie", b.cookie, "Origin", b.url, "Sec-Fetch-Site", "same-origin", "Content-Type", "application/json", "Accept-Encoding", "gzip"}
	if session != "" {
		h = append(h, "Im-Session", session)
	}
	return h
}

// sendFrom makes paul write to ines by POST.
func (b *browser) sendFrom(t *testing.T, id string) {
	t.Helper()
	body := fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"message.send","params":{"to":{"user":"ines"},"clientId":%q,"content":%q}}`, id, id)
	if _, got := b.do(t, http.MethodPost, "/im/rpc", body, "Authorization", "Bearer paul", "Content-Type", "application/json"); !bytes.Contains(got, []byte(`"seq"`)) {
		t.Fatalf("%s", got)
	}
}

func (b *browser) testStream(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, b.url+"/im/events", strings.NewReader(sessionOpen))
	if err != nil {
		t.Fatal(err)
	}
	header := b.page("")
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := b.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if got := resp.Header.Get("Content-Encoding"); got != "identity" {
		t.Errorf("Content-Encoding is %q", got)
	}
	lines := bufio.NewReader(resp.Body)
	comments := 0
	next := func() []byte {
		t.Helper()
		for {
			line, err := lines.ReadBytes('\n')
			if err != nil {
				t.Fatalf("%s: the stream ended: %v", resp.Status, err)
			}
			if line[0] == ':' {
				comments++
			}
			if data, ok := bytes.CutPrefix(line, []byte("data: ")); ok {
				return data
			}
		}
	}
	session := opened(t, next())
	for i := range 3 {
		id := fmt.Sprint("stream", time.Now().UnixNano(), i)
		b.sendFrom(t, id)
		for !bytes.Contains(next(), []byte(id)) {
		}
	}
	before := comments
	if _, got := b.do(t, http.MethodPost, "/im/rpc", `{"jsonrpc":"2.0","id":7,"method":"ping"}`, b.page(session)...); !bytes.Contains(got, []byte("serverTime")) {
		t.Errorf("ping: %s", got)
	}
	if _, got := b.do(t, http.MethodPost, "/im/rpc", `{"jsonrpc":"2.0","id":8,"method":"session.close"}`, b.page(session)...); !bytes.Contains(got, []byte("result")) {
		t.Errorf("session.close: %s", got)
	}
	if got := next(); !bytes.Contains(got, []byte(`"close"`)) || comments == before {
		t.Errorf("at the end came %s, and %d comments after the ping", got, comments-before)
	}
}

func (b *browser) testPoll(t *testing.T) {
	_, got := b.do(t, http.MethodPost, "/im/poll", sessionOpen, b.page("")...)
	session := opened(t, got)
	for ack := range 3 {
		id := fmt.Sprint("poll", time.Now().UnixNano(), ack)
		b.sendFrom(t, id)
		var frame struct {
			Frame    int             `json:"frame"`
			Messages json.RawMessage `json:"messages"`
		}
		for range 2 { // the same, as if the first had been lost
			_, got := b.do(t, http.MethodGet, fmt.Sprintf("/im/poll?ack=%d", ack), "", "Cookie", b.cookie, "Origin", b.url, "Sec-Fetch-Site", "same-origin", "Im-Session", session)
			if err := json.Unmarshal(got, &frame); err != nil || frame.Frame != ack+1 || !bytes.Contains(frame.Messages, []byte(id)) {
				t.Fatalf("%v %s", err, got)
			}
		}
	}
	if _, got := b.do(t, http.MethodPost, "/im/rpc", `{"jsonrpc":"2.0","id":8,"method":"session.close"}`, b.page(session)...); !bytes.Contains(got, []byte("result")) {
		t.Errorf("session.close: %s", got)
	}
}
