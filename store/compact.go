package store

import "context"

// Compacter is a [Store] that gives back the room of what is no longer in it,
// while it serves. It is optional: ask for it with a type assertion.
type Compacter interface {
	// Compact may be called concurrently with every method; reads and writes go
	// on, and it changes nothing that they see. It needs room for a second copy of
	// what is stored. On an error the store is as it was: ErrFull for want of that
	// room, ErrClosed, or that of ctx as it is (errors.Is).
	Compact(ctx context.Context) error
}
