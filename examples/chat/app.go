package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"example.com/h5im/examples/internal/token"
	"example.com/h5im/im"
)

const appID = "demo"

// tokenTTL is how long a sign-in lasts.
const tokenTTL = 12 * time.Hour

// app is the application: its sign-in, its pages, and the chat mounted at /im/.
type app struct {
	http.Handler
	chat im.Server
}

// newApp opens what is in the directory data, or makes it.
func newApp(ctx context.Context, data string, limits im.Limits) (*app, error) {
	if err := os.MkdirAll(data, 0o700); err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	key, err := loadKey(filepath.Join(data, "token.key"))
	if err != nil {
		return nil, err
	}
	in := &signIn{tokens: token.Signer{Key: key, TTL: tokenTTL}}
	var c clock
	chat, err := im.New(im.Config{
		AppID:     appID,
		Auth:      in,
		Directory: directory{},
		DataDir:   data,
		Limits:    limits,
		Now:       c.now,
	})
	if err != nil {
		return nil, err
	}
	if err := seed(ctx, chat.System(), &c); err != nil {
		stop, cancel := context.WithTimeout(context.Background(), stopGrace)
		defer cancel()
		return nil, errors.Join(fmt.Errorf("sample conversations: %w", err), chat.Shutdown(stop))
	}
	mux := http.NewServeMux()
	mux.Handle("/im/", http.StripPrefix("/im", chat))
	mux.Handle("POST /login", in.loginRoute())
	mux.HandleFunc("GET /people", servePeople)
	mux.HandleFunc("GET /avatar/{file}", serveAvatar)
	mux.Handle("/", servePage())
	return &app{Handler: mux, chat: chat}, nil
}

func (a *app) close(ctx context.Context) error { return a.chat.Shutdown(ctx) }

// loadKey reads the key of the tokens, or makes one at the first start. It
// outlives a restart, so that nobody is signed out.
func loadKey(name string) ([]byte, error) {
	key, err := os.ReadFile(name)
	switch {
	case errors.Is(err, os.ErrNotExist):
		key = token.NewKey()
		if err := os.WriteFile(name, key, 0o600); err != nil {
			return nil, fmt.Errorf("key of the tokens: %w", err)
		}
	case err != nil:
		return nil, fmt.Errorf("key of the tokens: %w", err)
	case len(key) != token.KeyBytes:
		return nil, fmt.Errorf("key of the tokens: %s is damaged; remove it, and everybody signs in again", name)
	}
	return key, nil
}
