package mounts

import (
	"net/http"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
)

func onOtel(chat http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", home)
	mux.Handle("/im/", http.StripPrefix("/im", chat))
	return otelhttp.NewHandler(mux, "site")
}
