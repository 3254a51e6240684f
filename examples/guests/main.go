// Guests lets visitors without an account write to the support desk, and to
// nobody else: a shop's chat window.
//
//	go run ./examples/guests
//
// Open the page that it prints as a visitor, and /desk beside it.
package main

import (
	"context"
	"crypto/rand"
	_ "embed"
	"flag"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"time"

	"example.com/h5im/examples/internal/token"
	"example.com/h5im/im"
	"example.com/h5im/store"
)

// desk is the user that visitors write to.
const desk = "support"

//go:embed page.html
var page []byte

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "`host:port` to serve on")
	flag.Parse()
	listener, err := net.Listen("tcp", *addr)
	if err != nil {
		log.Fatal(err)
	}
	// A key of this process: visitors are forgotten with it. A shop keeps one.
	shop := &shop{guests: token.Signer{Key: token.NewKey(), TTL: 30 * 24 * time.Hour}, staff: rand.Text()}
	srv, err := shop.chat(nil)
	if err != nil {
		log.Fatal(err)
	}
	web := &http.Server{Handler: shop.routes(srv), ReadHeaderTimeout: 10 * time.Second}
	go func() { log.Print(web.Serve(listener)) }()
	log.Printf("a visitor: http://%s/   the desk: http://%s/#%s", listener.Addr(), listener.Addr(), shop.staff)

	stop, _ := signal.NotifyContext(context.Background(), os.Interrupt)
	<-stop.Done()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_ = srv.Shutdown(ctx)
	_ = web.Shutdown(ctx)
}

type shop struct {
	guests token.Signer
	staff  string // the desk's token; a shop has logins
}

// chat makes the server. A nil store is the default one.
func (s *shop) chat(kept store.Store) (im.Server, error) {
	return im.New(im.Config{
		AppID: "shop", Store: kept, DataDir: "chat-data/guests",
		Auth: im.AuthenticatorFunc(s.who), Policy: guestsWriteToTheDesk{},
		// Whoever has no account costs nothing to invent: few connections each.
		Limits: im.Limits{SessionsPerUser: 5, SessionsPerAddress: 50},
	})
}

func (s *shop) routes(srv im.Server) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/im/", http.StripPrefix("/im", srv))
	mux.HandleFunc("GET /{$}", s.visit)
	return mux
}

// visit gives a visitor an id, once, in a cookie that scripts cannot read.
func (s *shop) visit(w http.ResponseWriter, r *http.Request) {
	if _, err := s.guest(r); err != nil {
		signed, expires, err := s.guests.Sign("guest_" + rand.Text())
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		http.SetCookie(w, &http.Cookie{
			Name: "guest", Value: signed, Path: "/", Expires: expires, HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: r.TLS != nil,
		})
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(page)
}

func (s *shop) guest(r *http.Request) (im.Identity, error) {
	c, err := r.Cookie("guest")
	if err != nil {
		return im.Identity{}, im.ErrUnauthenticated
	}
	user, expires, err := s.guests.Check(c.Value)
	if err == nil && !strings.HasPrefix(user, "guest_") {
		err = im.ErrUnauthenticated
	}
	return im.Identity{User: user, ExpiresAt: expires, Attrs: map[string]string{"guest": "yes"}}, err
}

// who answers the one question: the desk by its token, a guest by the cookie.
func (s *shop) who(_ context.Context, h *im.Handshake) (im.Identity, error) {
	if h.Token != "" {
		if h.Token != s.staff {
			return im.Identity{}, im.ErrUnauthenticated
		}
		return im.Identity{User: desk}, nil
	}
	return s.guest(h.Request)
}

// guestsWriteToTheDesk names what a guest may do; everything else is denied.
type guestsWriteToTheDesk struct{}

func (guestsWriteToTheDesk) Allow(_ context.Context, who im.Identity, op *im.Op) error {
	if who.Attrs["guest"] == "" {
		return nil
	}
	switch op.Name {
	case "session.open", "session.refresh", "session.close", "ping", "sync", "user.get":
		return nil
	case "message.send", "message.list", "message.changes", "conversation.get", "conversation.own", "conversation.mark", "conversation.markers":
		if op.Conversation == im.DirectID(who.User, desk) {
			return nil
		}
	}
	return im.ErrPermissionDenied.With("guests write to the desk")
}
