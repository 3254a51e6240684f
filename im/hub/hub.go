// Package hub carries events between the nodes of a cluster. Local is the hub
// of a single process; hubtest is the suite that every hub passes.
//
// A hub is lossy by contract: it may lose, repeat and reorder, because every
// event carries a revision by which a receiver notices. But where it may have
// lost something it must say so (Handler.Gap). The store is the only truth:
// commit first, then publish.
package hub

import (
	"context"
	"errors"
)

// ErrNoNode is returned by Request for a node that does not exist or has gone.
var ErrNoNode = errors.New("hub: no such node")

// ErrClosed is returned after Close.
var ErrClosed = errors.New("hub: closed")

// Class says how an event may be treated on its way.
type Class uint8

const (
	// Durable events have a revision; a lost one is noticed and fetched.
	Durable Class = iota
	// Signal events are never stored and never silently dropped.
	Signal
	// Latest events are never stored, and a later one with the same Key
	// replaces an earlier one.
	Latest
)

// Envelope is one event.
type Envelope struct {
	Key       string // orders: envelopes with one key should stay in order; a conversation id
	Rev       int64  // the conversation's rev, 0 where there is none
	MemberRev int64  // the memberRev that the event was committed under
	Class     Class
	Payload   []byte // opaque to the hub, never changed after Publish
}

// Handler is what a node gives its hub. Its functions may be called at the
// same time and must not block for long.
type Handler struct {
	// Deliver gets an envelope once per node, with those of its topics that the
	// node subscribes. Neither slice is kept or changed.
	Deliver func(topics []string, e Envelope)
	// Answer serves another node's Request.
	Answer func(ctx context.Context, body []byte) ([]byte, error)
	// Gap tells that events may have been lost: after a reconnect, or when a
	// node died.
	Gap func()
}

// Hub is one node's end. All methods may be called concurrently.
type Hub interface {
	// Start joins the cluster and begins to deliver. It is called once, first.
	Start(ctx context.Context, h Handler) error
	// Node is the name of this node, unique in the cluster.
	Node() string
	// Nodes are the names of the nodes that are alive, this one included.
	Nodes() []string
	// Subscribe and Unsubscribe are counted by neither the hub nor the topic:
	// one Unsubscribe ends any number of Subscribes. When Subscribe returns,
	// what this process publishes afterwards is delivered.
	Subscribe(topics ...string) error
	Unsubscribe(topics ...string) error
	// Publish hands an envelope to every node that subscribes one of the
	// topics, this one included. It returns without waiting for other nodes. A
	// topic is any string of 1 to 256 bytes.
	Publish(ctx context.Context, topics []string, e Envelope) error
	// Request asks one node and waits for its answer. ErrNoNode; the answer's
	// error arrives as text.
	Request(ctx context.Context, node string, body []byte) ([]byte, error)
	// Close leaves the cluster. Nothing is delivered after it has returned.
	Close() error
}
