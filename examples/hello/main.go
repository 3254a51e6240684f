// Hello mounts a chat server and runs it: the least that a host writes.
//
//	go run ./examples/hello
//
// Then open http://127.0.0.1:8080/?user=alice and, beside it, ?user=user123.
package main

import (
	"context"
	"log"
	"net/http"
	"os"
	"os/signal"
	"time"

	"example.com/h5im/im"
)

const page = `<!doctype html><title>hello</title><pre id="log"></pre><script src="/im/sdk/h5-im-sdk.js"></script>
<script>
const user = new URLSearchParams(location.search).get('user') || 'alice';
const imClient = new IMClient({ appId: 'hello', userToken: user });
imClient.init();
imClient.sendMessage({ to: user === 'alice' ? 'user123' : 'alice', content: 'Hello, World!' });
imClient.onMessage((message) => { document.querySelector('#log').append(message.from + ': ' + message.content.text + '\n'); });
</script>`

// whoIsThis is the one question that a host answers. Here everybody is who he
// says; see examples/existing for a real answer.
func whoIsThis(_ context.Context, h *im.Handshake) (im.Identity, error) {
	if h.Token == "" {
		return im.Identity{}, im.ErrUnauthenticated
	}
	return im.Identity{User: h.Token}, nil
}

func main() {
	srv, err := im.New(im.Config{AppID: "hello", Auth: im.AuthenticatorFunc(whoIsThis), DataDir: "chat-data/hello"})
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/im/", http.StripPrefix("/im", srv))
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(page)) })
	web := &http.Server{Addr: "127.0.0.1:8080", Handler: mux, ReadHeaderTimeout: 10 * time.Second}

	stop, _ := signal.NotifyContext(context.Background(), os.Interrupt)
	failed := make(chan error, 1)
	go func() { failed <- web.ListenAndServe() }()
	log.Print("http://127.0.0.1:8080/?user=alice and ?user=user123")
	select {
	case err := <-failed:
		log.Print(err)
	case <-stop.Done():
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_ = srv.Shutdown(ctx) // first: http.Server does not know of upgraded connections
	_ = web.Shutdown(ctx)
}
