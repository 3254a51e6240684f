// Webhook tells another program of every message: a consumer of the server's
// feed that misses none, over crashes on either side.
//
//	go run ./examples/webhook -to http://127.0.0.1:9000/messages
//
// Without -to it tells itself. A message may be told more than once: the
// receiver knows it by its id.
package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"time"

	"example.com/h5im/im"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "`host:port` to serve on")
	to := flag.String("to", "", "`URL` that is told; defaults to this program's own /messages")
	key := flag.String("key", "a secret of both ends", "`secret` that signs what is told")
	flag.Parse()
	listener, err := net.Listen("tcp", *addr)
	if err != nil {
		log.Fatal(err)
	}
	if *to == "" {
		*to = "http://" + listener.Addr().String() + "/messages"
	}
	srv, err := im.New(im.Config{AppID: "hello", Auth: im.AuthenticatorFunc(whoIsThis), DataDir: "chat-data/webhook"})
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/im/", http.StripPrefix("/im", srv))
	mux.Handle("POST /messages", &receiver{key: []byte(*key), took: func(m told) { log.Printf("%s says %s", m.From, m.Content) }})
	web := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() { log.Print(web.Serve(listener)) }()
	go func() { log.Print(follow(context.Background(), srv, *to, []byte(*key))) }()
	log.Printf("serving on http://%s/im/, telling %s", listener.Addr(), *to)

	stop, _ := signal.NotifyContext(context.Background(), os.Interrupt)
	<-stop.Done()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_ = srv.Shutdown(ctx) // stores how far the consumer has come
	_ = web.Shutdown(ctx)
}

func whoIsThis(_ context.Context, h *im.Handshake) (im.Identity, error) {
	if h.Token == "" {
		return im.Identity{}, im.ErrUnauthenticated
	}
	return im.Identity{User: h.Token}, nil
}

// told is what the other program gets.
type told struct {
	ID           string          `json:"id"`
	Conversation string          `json:"conversation"`
	Seq          int64           `json:"seq"`
	From         string          `json:"from"`
	Content      json.RawMessage `json:"content"`
}

// follow tells url of every message, until ctx ends. The ones that it does not
// take are told again later, those of other conversations meanwhile, and what it
// never takes is a dead letter: see im.Server.DeadLetters.
func follow(ctx context.Context, srv im.Server, url string, key []byte) error {
	return srv.Tail(ctx, "webhook", &im.TailOptions{Concurrency: 8}, func(ctx context.Context, c im.Change) error {
		if c.Kind != im.MessageAppended {
			return nil
		}
		m := c.Message
		return tell(ctx, url, key, told{m.ID, m.Conversation, m.Seq, m.From, json.RawMessage(m.Content)})
	})
}

// tell posts one message, signed as https://www.standardwebhooks.com asks.
func tell(ctx context.Context, url string, key []byte, m told) error {
	body, err := json.Marshal(m)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	at := strconv.FormatInt(time.Now().Unix(), 10)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Webhook-Id", m.ID)
	req.Header.Set("Webhook-Timestamp", at)
	req.Header.Set("Webhook-Signature", sign(key, m.ID, at, body))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("it answers %s", resp.Status)
	}
	return nil
}

func sign(key []byte, id, at string, body []byte) string {
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%s.%s", id, at, body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// receiver is the other program: it takes each message once.
type receiver struct {
	key  []byte
	took func(told)

	mu   sync.Mutex
	seen map[string]bool // in a database, where it matters
}

func (h *receiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	id, at := r.Header.Get("Webhook-Id"), r.Header.Get("Webhook-Timestamp")
	given := strings.Fields(r.Header.Get("Webhook-Signature"))
	var m told
	switch {
	case err != nil:
		http.Error(w, "the body is too large, or did not come", http.StatusBadRequest)
	case len(given) != 1 || !hmac.Equal([]byte(given[0]), []byte(sign(h.key, id, at, body))):
		http.Error(w, "the signature is not valid", http.StatusUnauthorized)
	case json.Unmarshal(body, &m) != nil || m.ID != id:
		http.Error(w, "this is no message", http.StatusBadRequest)
	default:
		h.mu.Lock()
		defer h.mu.Unlock()
		if !h.seen[id] {
			h.took(m)
			if h.seen == nil {
				h.seen = map[string]bool{}
			}
			h.seen[id] = true
		}
	}
}
