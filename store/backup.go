package store

import (
	"context"
	"io"
)

// Backuper is a [Store] that copies itself while it serves. It is optional: ask
// for it with a type assertion.
type Backuper interface {
	// Backup writes the store as one commit left it to w, in a form of the
	// store's own that its Restore reads: everything acknowledged before the
	// call is in, what is committed during the call may be or not be, and no
	// commit is in by halves. Reads and writes go on.
	//
	// Backup may be called concurrently with every method, itself included. w is
	// written to by one goroutine, in order, and may be as slow as it likes: the
	// store waits for it in nothing. Backup neither closes nor flushes w.
	//
	// On an error, what w has got is no backup, and the restore of it fails.
	// The error is that of w or of ctx as it is (errors.Is), ErrFull where the
	// store has no room for what it needs meanwhile, or ErrClosed. A ctx that
	// ends is noticed between two writes to w.
	Backup(ctx context.Context, w io.Writer) error
}
