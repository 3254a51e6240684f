// Existing is a site that was there before: users of its own, sign-in with a
// cookie, pages on a ServeMux. site.go is that site; chat.go is all that it
// takes to give it a chat.
//
//	go run ./examples/existing
package main

import (
	"context"
	"errors"
	"flag"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "`host:port` to serve on")
	data := flag.String("data", "chat-data/existing", "`directory` to keep the chat in")
	partner := flag.String("partner", "https://partner.example", "`origin` of other pages that may use the chat, with a token")
	flag.Parse()
	if err := run(*addr, *data, *partner); err != nil {
		log.Fatal(err)
	}
}

func run(addr, data, partner string) error {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	defer listener.Close()
	site := newSite(time.Now)
	chat, err := newChat(site, data, partner)
	if err != nil {
		return err
	}
	web := &http.Server{Handler: routes(site, chat), ReadHeaderTimeout: 10 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- web.Serve(listener) }()
	for _, u := range site.users {
		log.Printf("%s signs in with the password %s", u.ID, u.password)
	}
	log.Printf("http://%s", listener.Addr())

	stop, _ := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	select {
	case err = <-failed:
	case <-stop.Done():
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return errors.Join(err, chat.Shutdown(ctx), web.Shutdown(ctx))
}
