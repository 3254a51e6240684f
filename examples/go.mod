module example.com/h5im/examples

go 1.25.0

require example.com/h5im v0.0.0

require (
	github.com/vmihailenco/msgpack/v5 v5.4.1 // indirect
	github.com/vmihailenco/tagparser/v2 v2.0.0 // indirect
	go.etcd.io/bbolt v1.5.0 // indirect
	golang.org/x/sys v0.45.0 // indirect
	nhooyr.io/websocket v1.8.17 // indirect
)

replace example.com/h5im => ../
