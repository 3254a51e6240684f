// Package h5im is the map of the house; it has no code of its own.
//
//	im          the domain: Server, sessions, one file per operation family; start here
//	im/wire     the protocol as bytes: JSON-RPC frames, codecs, PROTOCOL.md
//	im/hub      events between nodes: the contract, the local hub, hubtest
//	im/imtest   for authors of hosts: a server and clients in one call
//	store       records and the Store contract; store/bolt is the default,
//	            store/memory the reference, store/storetest the suite
//	transport   connections: websocket, pipe, transporttest
//	sdkjs       the browser SDK; sdkjs/dist is embedded and served under /sdk/
//	examples    one small program per idea; examples/chat is the main job
//
// One rule: im stands on three wings, store, transport and im/hub; a wing
// imports nothing else of ours; features stand on im; examples stand on
// everything; nothing stands on examples.
//
// DESIGN.md says why, im/wire/PROTOCOL.md what travels.
package h5im
