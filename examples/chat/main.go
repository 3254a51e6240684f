// Chat is a chat application in one command:
//
//	go run ./examples/chat
//
// It prints the addresses of two sample users; open both, side by side. There
// are no passwords: whoever names a user is that user, so keep it on loopback.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"example.com/h5im/im"
)

// stopGrace is how long running work may take after SIGINT or SIGTERM.
const stopGrace = 10 * time.Second

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "chat:", err)
		os.Exit(1)
	}
}

// run serves until ctx ends. The address is taken first, so that a second start
// of the same command fails at once.
func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("chat", flag.ContinueOnError)
	addr := flags.String("addr", "127.0.0.1:8080", "`host:port` to serve on; port 0 picks a free one")
	data := flags.String("data", "./chat-data", "`directory` to keep everything in")
	unlimited := flags.Bool("unlimited", false, "do not limit how often a client may call, for load tests")
	flags.SetOutput(io.Discard)
	err := flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		flags.SetOutput(out)
		fmt.Fprintln(out, "Usage of chat:")
		flags.PrintDefaults()
		return err
	case err != nil:
		return fmt.Errorf("%w; -h lists the flags", err)
	case flags.NArg() > 0:
		return fmt.Errorf("%q is no flag; -h lists them", flags.Arg(0))
	}

	listener, err := listen(*addr)
	if err != nil {
		return err
	}
	defer listener.Close()
	var limits im.Limits
	if *unlimited {
		limits.SessionRates, limits.UserRates = im.Unlimited(), im.Unlimited()
	}
	a, err := newApp(ctx, *data, limits)
	if err != nil {
		return err
	}
	web := &http.Server{Handler: a, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute}
	failed := make(chan error, 1)
	go func() { failed <- web.Serve(listener) }()
	announce(out, listener.Addr(), *data)

	select {
	case err = <-failed:
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.Background(), stopGrace)
	defer cancel()
	// The chat first: http.Server does not know of upgraded connections.
	return errors.Join(err, a.close(grace), web.Shutdown(grace))
}

func listen(addr string) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("%s is in use by another program; choose another address with -addr", addr)
	case err != nil:
		return nil, fmt.Errorf("cannot serve on %q: %w", addr, err)
	}
	return l, nil
}

func announce(out io.Writer, addr net.Addr, data string) {
	host, port, _ := net.SplitHostPort(addr.String())
	ip := net.ParseIP(host)
	if ip.IsUnspecified() {
		host = "localhost"
	}
	base := "http://" + net.JoinHostPort(host, port)
	fmt.Fprintf(out, "Chat is ready. Open both, side by side:\n  %s/?user=alice\n  %s/?user=bob\n", base, base)
	fmt.Fprintf(out, "Everything is kept in %s. Ctrl+C stops.\n", data)
	if !ip.IsLoopback() {
		fmt.Fprintln(out, "Careful: whoever reaches this address can sign in as anybody.")
	}
}
