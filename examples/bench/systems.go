package main

import (
	"context"
	"fmt"
	"net/http"
)

// The systems, by the names of the table.
const (
	ours           = "h5im"
	gobwasHub      = "gobwas"
	centrifugeNode = "centrifuge"
	melodyHub      = "melody"
	nhooyrHub      = "nhooyr"
	// undisturbed is ours where nobody disturbs, beside ours where somebody does.
	undisturbed = "undisturbed"
)

func systemNames() []string {
	return []string{ours, undisturbed, gobwasHub, centrifugeNode, melodyHub, nhooyrHub}
}

// A system is a server under measurement.
type system interface {
	http.Handler
	close(ctx context.Context) error
}

// newSystem makes a system for a scenario of so many clients. Durable ones keep
// their data in dir.
func newSystem(name, kind string, clients int, dir string) (system, error) {
	switch name {
	case ours, undisturbed:
		return newChat(kind, clients, dir)
	case centrifugeNode:
		return newCentrifuge()
	case gobwasHub:
		return newGobwas(kind, clients, dir)
	case melodyHub:
		return newMelody(), nil
	case nhooyrHub:
		return newNhooyr(), nil
	}
	return nil, fmt.Errorf("system %q is unknown", name)
}

// What clients and systems agree on.
const (
	publisherName = "publisher"
	conversation  = "bench" // the group, the channel
	markTime      = '@'     // begins the time at which a message was to be sent, and is nowhere else
)

func userName(i int) string { return fmt.Sprintf("user-%d", i) }

// peerName is the one that a sender of pairs writes to.
func peerName(i int) string { return fmt.Sprintf("peer-%d", i) }
