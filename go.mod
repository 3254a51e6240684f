module example.com/h5im

go 1.25.0

ignore ./sdkjs/node_modules

require (
	github.com/vmihailenco/msgpack/v5 v5.4.1
	go.etcd.io/bbolt v1.5.0
	nhooyr.io/websocket v1.8.17
)

require (
	github.com/vmihailenco/tagparser/v2 v2.0.0 // indirect
	golang.org/x/sys v0.45.0 // indirect
)
