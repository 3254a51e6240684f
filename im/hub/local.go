package hub

// NewLocal returns the hub of a single process: a cluster of one node, named
// "local". Publish delivers before it returns.
func NewLocal() Hub { return NewBus().Hub("local") }
