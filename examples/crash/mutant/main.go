// Command mutant is a chat server that breaks its first promise: it
// acknowledges a message before it is committed. The crash test must notice.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"log"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	"example.com/h5im/im"
	"example.com/h5im/store"
	"example.com/h5im/store/bolt"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "address to listen on")
	data := flag.String("data", "", "data directory")
	flag.Bool("unlimited", true, "it is")
	flag.Parse()
	s, err := bolt.Open(filepath.Join(*data, "im.db"), nil)
	if err != nil {
		log.Fatal(err)
	}
	srv, err := im.New(im.Config{
		AppID:  "demo",
		Limits: im.Limits{SessionRates: im.Unlimited(), UserRates: im.Unlimited()},
		Store:  &hasty{Store: s, seq: map[string]int64{}},
		Auth: im.AuthenticatorFunc(func(_ context.Context, h *im.Handshake) (im.Identity, error) {
			return im.Identity{User: h.Token}, nil
		}),
	})
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/im/", http.StripPrefix("/im", srv))
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		var who struct {
			User string `json:"user"`
		}
		if err := json.NewDecoder(r.Body).Decode(&who); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]string{"user": who.User, "token": who.User})
	})
	server := &http.Server{Addr: *addr, Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	log.Fatal(server.ListenAndServe())
}

// hasty answers an append with the seq that it will probably get, and commits
// it a little later.
type hasty struct {
	store.Store
	mu   sync.Mutex
	seq  map[string]int64
	last chan struct{}
}

func (h *hasty) Append(ctx context.Context, items []store.Append) ([]store.Appended, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	answers := make([]store.Appended, len(items))
	for i := range items {
		m := items[i].Message
		head, member, err := h.Store.Conversation(ctx, m.Conversation, m.From)
		if err != nil || !member.Active() {
			answers[i].Err = store.ErrNotFound
			continue
		}
		h.seq[m.Conversation] = max(h.seq[m.Conversation], head.Seq) + 1
		m.Seq = h.seq[m.Conversation]
		m.Rev, m.Born, m.Count = m.Seq, m.Seq, m.Seq
		answers[i] = store.Appended{
			Receipt:      store.Receipt{Conversation: m.Conversation, Seq: m.Seq, Rev: m.Seq, Count: m.Seq, ID: m.ID, Time: m.Time},
			Message:      m,
			Conversation: head,
		}
	}
	before, done := h.last, make(chan struct{})
	h.last = done
	go func() {
		defer close(done)
		if before != nil {
			<-before
		}
		time.Sleep(20 * time.Millisecond)
		_, _ = h.Store.Append(context.Background(), items)
	}()
	return answers, nil
}
