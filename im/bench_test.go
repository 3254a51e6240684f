package im_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"example.com/h5im/im"
)

// A durable send through the whole server: 64 senders, one group of 64, bbolt on
// the disk, each waiting for its receipt.
func BenchmarkDurableSend(b *testing.B) {
	srv := setup(b, im.Config{DataDir: b.TempDir()})
	var names []string
	for i := range 64 {
		names = append(names, fmt.Sprint("sender", i))
	}
	var g im.ConversationView
	must(b, srv.As(im.Identity{User: "owner"}).Call(ctx, "conversation.create", im.CreateParams{Kind: "group", Members: names}, &g))
	var n atomic.Int64
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		me := srv.As(im.Identity{User: names[n.Add(1)%64]})
		for pb.Next() {
			err := me.Call(ctx, "message.send", im.SendParams{
				To: im.ToConversation(g.ID), ClientID: fmt.Sprint("c", n.Add(1)), Content: im.Text("hello, this is a message of an ordinary length, as people write"),
			}, nil)
			if err != nil {
				b.Error(err)
				return
			}
		}
	})
}
