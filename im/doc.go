// Package im is a chat server to mount in a Go program: direct and group
// conversations that are durable, ordered and resumable, for browsers and for
// the program itself.
//
//	srv, err := im.New(im.Config{
//		AppID: "shop",
//		Auth:  im.AuthenticatorFunc(whoIsThis),
//	})
//	...
//	mux.Handle("/im/", http.StripPrefix("/im", srv))
//
// The host answers one question, who is this request (Authenticator), and keeps
// its own users. It may say who may do what (Policy), change what is done
// (Middleware), name its users (Directory) and add features (Extension).
//
// One message, from socket to disk to socket: a transport's Conn gives a frame
// to a session (session.go), which decodes its requests and keeps their order
// (dispatch.go); each runs through policy and middleware to its operation
// (operation.go, table.go), for a message message.go; the appender (append.go)
// commits what queued while the last commit ran and hands it to the publisher
// (publish.go), which encodes the event once and gives it to the hub; every node
// delivers it to its sessions (deliver.go), each of which has a bounded queue
// (queue.go).
package im
