// Command server is the server of the laboratory: the library with its default
// store, which breaks a promise or has its events disturbed where a flag says
// so. Whoever names a user is that user.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"strconv"
	"syscall"
	"time"

	"example.com/h5im/im"
	"example.com/h5im/im/hub"
	"example.com/h5im/store"
	"example.com/h5im/store/bolt"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "server:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) (err error) {
	addr := flag.String("addr", "127.0.0.1:8080", "`host:port` to serve on")
	data := flag.String("data", ".", "`directory` of the store")
	broken := flag.String("mutant", "", "the `promise` to break: ack, publish, seq or window")
	events := flag.Uint64("events", 0, "drop, repeat and reorder events by this `seed`; 0: do not")
	clock := flag.Duration("clock", 0, "how far the server's clock is off")
	most := flag.Int64("max-bytes", 0, "the size of a disk that is full; 0: it is not")
	flag.Parse()

	db, err := bolt.Open(filepath.Join(*data, "im.db"), &bolt.Options{MaxSizeBytes: *most})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	c := im.Config{
		AppID:  "lab",
		Store:  db,
		Now:    func() time.Time { return time.Now().Add(*clock) },
		Limits: im.Limits{SessionRates: im.Unlimited(), UserRates: im.Unlimited()},
		Auth: im.AuthenticatorFunc(func(_ context.Context, h *im.Handshake) (im.Identity, error) {
			if h.Token == "" {
				return im.Identity{}, im.ErrUnauthenticated
			}
			return im.Identity{User: h.Token}, nil
		}),
	}
	if *events != 0 {
		c.Hub = newLossy(hub.NewLocal(), *events)
	}
	if err := mutate(&c, *broken); err != nil {
		return err
	}
	srv, err := im.New(c)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/im/", http.StripPrefix("/im", srv))
	mux.HandleFunc("GET /load", load)
	mux.HandleFunc("GET /profile", func(w http.ResponseWriter, r *http.Request) {
		if p := pprof.Lookup(r.FormValue("of")); p != nil {
			_ = p.WriteTo(w, 0)
		}
	})
	mux.HandleFunc("POST /compact", func(w http.ResponseWriter, r *http.Request) { answer(w, db.Compact(r.Context())) })
	mux.HandleFunc("POST /prune", func(w http.ResponseWriter, r *http.Request) { answer(w, prune(r, db)) })
	web := &http.Server{Addr: *addr, Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- web.ListenAndServe() }()
	select {
	case err = <-failed:
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	return errors.Join(err, srv.Shutdown(grace), web.Shutdown(grace))
}

func answer(w http.ResponseWriter, err error) {
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

// prune forgets the messages of a conversation from before a time, as im.Config.Retention does.
func prune(r *http.Request, s store.Store) error {
	before, err := strconv.ParseInt(r.FormValue("before"), 10, 64)
	for more := true; more && err == nil; {
		var p store.Pruned
		p, err = s.Prune(r.Context(), store.PruneQuery{Conversation: r.FormValue("conversation"), Before: store.Millis(before), Limit: 100})
		more = p.More
	}
	return err
}

// load tells what the process holds: bytes that are alive, goroutines, files.
func load(w http.ResponseWriter, _ *http.Request) {
	runtime.GC()
	runtime.GC() // the first leaves what finalizers and pools hold
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]float64{
		"heap": float64(m.HeapAlloc), "goroutines": float64(runtime.NumGoroutine()), "files": float64(len(files)),
	})
}
