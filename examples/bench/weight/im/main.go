// Im is the server of ../http with package im.
package main

import (
	"context"
	"log"
	"net/http"

	"example.com/h5im/im"
)

func main() {
	srv, err := im.New(im.Config{
		AppID: "weight",
		Auth: im.AuthenticatorFunc(func(context.Context, *im.Handshake) (im.Identity, error) {
			return im.Identity{}, im.ErrUnauthenticated
		}),
	})
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte("hello")) })
	mux.Handle("/im/", http.StripPrefix("/im", srv))
	log.Fatal(http.ListenAndServe("127.0.0.1:8080", mux))
}
