// Existing is a site that was there before: users of its own, sign-in with a
// cookie, pages on a ServeMux. site.go is that site; chat.go is all that it
// takes to give it a chat.
//
//	go run ./examples/existing
package main

import (
	"context"
	"errors"
	"log"
	"net/http"
	"os"
	"os/signal"
	"time"
)

func main() {
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

func run() error {
	site := newSite(time.Now)
	chat, err := newChat(site, "chat-data/existing", "https://partner.example")
	if err != nil {
		return err
	}
	web := &http.Server{Addr: "127.0.0.1:8080", Handler: routes(site, chat), ReadHeaderTimeout: 10 * time.Second}
	for _, u := range site.users {
		log.Printf("%s signs in with the password %s", u.ID, u.password)
	}
	stop, _ := signal.NotifyContext(context.Background(), os.Interrupt)
	failed := make(chan error, 1)
	go func() { failed <- web.ListenAndServe() }()
	log.Printf("http://%s", web.Addr)
	select {
	case err = <-failed:
	case <-stop.Done():
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return errors.Join(err, chat.Shutdown(ctx), web.Shutdown(ctx))
}
