package main

import (
	"context"
	"net/http"

	"github.com/centrifugal/centrifuge"
)

// newCentrifuge is a centrifuge node with its defaults and the JSON protocol,
// as its documentation sets one up. A publication is not stored.
func newCentrifuge() (system, error) {
	node, err := centrifuge.New(centrifuge.Config{})
	if err != nil {
		return nil, err
	}
	node.OnConnecting(func(_ context.Context, e centrifuge.ConnectEvent) (centrifuge.ConnectReply, error) {
		reply := centrifuge.ConnectReply{Credentials: &centrifuge.Credentials{UserID: e.Token}}
		if e.Token != publisherName {
			reply.Subscriptions = map[string]centrifuge.SubscribeOptions{conversation: {}}
		}
		return reply, nil
	})
	node.OnConnect(func(client *centrifuge.Client) {
		client.OnPublish(func(_ centrifuge.PublishEvent, done centrifuge.PublishCallback) {
			done(centrifuge.PublishReply{}, nil)
		})
	})
	if err := node.Run(); err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("/connection/websocket", centrifuge.NewWebsocketHandler(node, centrifuge.WebsocketConfig{}))
	return centrifugeSystem{mux, node}, nil
}

type centrifugeSystem struct {
	http.Handler
	node *centrifuge.Node
}

func (c centrifugeSystem) close(ctx context.Context) error { return c.node.Shutdown(ctx) }
