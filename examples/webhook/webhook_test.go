package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/h5im/im"
	"example.com/h5im/store/memory"
)

func TestEveryMessageIsToldOnceAndInOrder(t *testing.T) {
	key := []byte("k")
	var mu sync.Mutex
	var got []string
	taker := &receiver{key: key, took: func(m told) {
		mu.Lock()
		defer mu.Unlock()
		got = append(got, string(m.Content))
	}}
	n := 0
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		n++
		fails := n%3 == 0
		mu.Unlock()
		if fails { // it has taken it, and the answer is lost
			taker.ServeHTTP(httptest.NewRecorder(), r)
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		taker.ServeHTTP(w, r)
	}))
	defer hook.Close()
	kept := memory.New(nil)
	defer kept.Close()
	var want []string
	for life := range 2 { // the second goes on where the first was
		srv, err := im.New(im.Config{AppID: "t", Auth: im.AuthenticatorFunc(whoIsThis), Store: kept})
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- follow(context.Background(), srv, hook.URL, key) }()
		for deadline := time.Now().Add(10 * time.Second); life == 0; {
			all, err := srv.Tails(context.Background())
			if err != nil || time.Now().After(deadline) {
				t.Fatalf("the consumer does not begin: %v", err)
			}
			if len(all) == 1 {
				break
			}
			<-time.After(time.Millisecond)
		}
		for i := range 4 {
			text := fmt.Sprintf("%d.%d", life, i)
			_, err := im.Call[im.SendParams, im.SendResult](context.Background(), srv.As(im.Identity{User: "alice"}), "message.send",
				im.SendParams{To: im.ToUser("bob"), ClientID: text, Content: im.Text(text)})
			if err != nil {
				t.Fatal(err)
			}
			want = append(want, fmt.Sprintf(`{"text":%q}`, text))
		}
		for deadline := time.Now().Add(20 * time.Second); ; <-time.After(5 * time.Millisecond) {
			mu.Lock()
			all := slices.Clone(got)
			mu.Unlock()
			if slices.Equal(all, want) {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("told %v, want %v", all, want)
			}
		}
		if err := srv.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

func TestOnlyWhatIsSignedIsTaken(t *testing.T) {
	taker := &receiver{key: []byte("k"), took: func(m told) { t.Errorf("taken: %+v", m) }}
	body := `{"id":"m1"}`
	good := sign([]byte("k"), "m1", "1", []byte(body))
	for name, c := range map[string]struct {
		id, signature, body string
		status              int
	}{
		"no signature":      {"m1", "", body, 401},
		"another key":       {"m1", sign([]byte("other"), "m1", "1", []byte(body)), body, 401},
		"another body":      {"m1", good, `{"id":"m1","seq":2}`, 401},
		"another id":        {"m2", good, body, 401},
		"signed, but other": {"m1", sign([]byte("k"), "m1", "1", []byte(`{"id":"m2"}`)), `{"id":"m2"}`, 400},
		"too large":         {"m1", good, strings.Repeat("x", 2<<20), 400},
	} {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(c.body))
		r.Header.Set("Webhook-Id", c.id)
		r.Header.Set("Webhook-Timestamp", "1")
		r.Header.Set("Webhook-Signature", c.signature)
		w := httptest.NewRecorder()
		if taker.ServeHTTP(w, r); w.Code != c.status {
			t.Errorf("%s: %d", name, w.Code)
		}
	}
}
