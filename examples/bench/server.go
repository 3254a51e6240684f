package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"runtime/pprof"
	"time"
)

const roleServer = "serve"

// serve is the process of a system: it prints its address and then does what
// comes on standard input, a word a line, answering each with a line.
func serve(args []string) (err error) {
	flags := flag.NewFlagSet(roleServer, flag.ContinueOnError)
	name := flags.String("system", "", "")
	kind := flags.String("kind", "", "")
	clients := flags.Int("clients", 0, "")
	profile := flags.String("profile", "", "")
	if err := flags.Parse(args); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	s, err := newSystem(*name, *kind, *clients, dir)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	web := &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = web.Serve(l) }() // until it is closed
	defer func() { _ = web.Close() }()
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		err = errors.Join(err, s.close(ctx))
	}()

	say(map[string]any{"addr": l.Addr().String()})
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		switch in.Text() {
		case "free":
			debug.FreeOSMemory()
		case "begin":
			if *profile != "" {
				f, err := os.Create(*profile)
				if err != nil {
					return err
				}
				if err := pprof.StartCPUProfile(f); err != nil {
					return err
				}
			}
		case "end":
			pprof.StopCPUProfile()
		}
		say(map[string]any{})
	}
	return in.Err()
}

// say tells the parent process one line of JSON.
func say(v any) {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	fmt.Println(string(b))
}
