// Http is a server that has no chat.
package main

import (
	"log"
	"net/http"
)

func main() {
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte("hello")) })
	log.Fatal(http.ListenAndServe("127.0.0.1:8080", mux))
}
