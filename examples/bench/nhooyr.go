package main

import (
	"context"
	"log"
	"net/http"
	"sync"

	"nhooyr.io/websocket"
)

// nhooyrSystem is a hub as the library's chat example has it: a channel and a
// writer per connection.
type nhooyrSystem struct {
	mu    sync.Mutex
	conns map[chan []byte]struct{}
}

func newNhooyr() system { return &nhooyrSystem{conns: map[chan []byte]struct{}{}} }

const nhooyrQueue = 256

func (n *nhooyrSystem) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	conn, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	defer func() { _ = conn.CloseNow() }()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	queue := make(chan []byte, nhooyrQueue)
	n.mu.Lock()
	n.conns[queue] = struct{}{}
	n.mu.Unlock()
	defer func() {
		n.mu.Lock()
		delete(n.conns, queue)
		n.mu.Unlock()
	}()
	go func() {
		defer cancel()
		for {
			select {
			case msg := <-queue:
				if err := conn.Write(ctx, websocket.MessageText, msg); err != nil {
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	for {
		_, payload, err := conn.Read(ctx)
		if err != nil {
			return
		}
		_, ack, event, err := handle("", payload)
		if err != nil {
			return
		}
		if event != nil {
			n.broadcast(event, queue)
		}
		queue <- ack
	}
}

func (n *nhooyrSystem) broadcast(msg []byte, but chan []byte) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for queue := range n.conns {
		if queue == but {
			continue
		}
		select {
		case queue <- msg:
		default:
			log.Print("nhooyr: a queue is full")
		}
	}
}

func (n *nhooyrSystem) close(context.Context) error { return nil }
