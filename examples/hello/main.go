// Hello mounts a chat server and runs it: the least that a host writes.
//
//	go run ./examples/hello
package main

import (
	"context"
	"flag"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"time"

	"example.com/h5im/im"
)

const page = `<!doctype html><html lang="en"><title>hello</title><link rel="icon" href="data:,"><pre id="log"></pre><script src="/im/sdk/h5-im-sdk.js"></script>
<script>
const user = new URLSearchParams(location.search).get('user') || 'alice';
const imClient = new IMClient({ appId: 'hello', userToken: user });
imClient.init();
imClient.sendMessage({ to: user === 'alice' ? 'user123' : 'alice', content: 'Hello, World!' });
imClient.onMessage((message) => { document.querySelector('#log').append(message.from + ': ' + message.content.text + '\n'); });
</script>`

// whoIsThis is the one question that a host answers: here too simply, in examples/existing well.
func whoIsThis(_ context.Context, h *im.Handshake) (im.Identity, error) {
	if h.Token == "" {
		return im.Identity{}, im.ErrUnauthenticated
	}
	return im.Identity{User: h.Token}, nil
}

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "`host:port` to serve on")
	flag.Parse()
	listener, err := net.Listen("tcp", *addr) // first: without an address nothing is made
	if err != nil {
		log.Fatal(err)
	}
	srv, err := im.New(im.Config{AppID: "hello", Auth: im.AuthenticatorFunc(whoIsThis), DataDir: "chat-data/hello"})
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/im/", http.StripPrefix("/im", srv))
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(page)) })
	web := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() { log.Print(web.Serve(listener)) }()
	log.Printf("open http://%s/?user=alice and, beside it, ?user=user123", listener.Addr())

	stop, _ := signal.NotifyContext(context.Background(), os.Interrupt)
	<-stop.Done()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_ = srv.Shutdown(ctx) // before the other: http.Server does not know of upgraded connections
	_ = web.Shutdown(ctx)
}
