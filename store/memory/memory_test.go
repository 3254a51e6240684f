package memory_test

import (
	"context"
	"errors"
	"testing"

	"example.com/h5im/store"
	"example.com/h5im/store/memory"
	"example.com/h5im/store/storetest"
)

var harness = storetest.Harness{
	Open: func(testing.TB) store.Store { return memory.New(nil) },
}

func TestStore(t *testing.T) { storetest.Run(t, harness) }

func TestOptionsNameTheEpoch(t *testing.T) {
	s := memory.New(&memory.Options{Epoch: "mine"})
	info, err := s.Info(context.Background())
	if err != nil || info.Epoch != "mine" {
		t.Errorf("Info: %+v, %v", info, err)
	}
}

func TestAFullStoreRefusesMessagesAndAnswersTheRest(t *testing.T) {
	s := memory.New(&memory.Options{MaxMessages: 1})
	ctx := context.Background()
	item := store.Append{
		As: store.AsHost, Open: &[2]string{"ann", "ben"},
		Message: store.Message{Conversation: "d", From: "ann", ClientID: "1", ID: "1", Type: "text"},
	}
	second := item
	second.Message.ClientID = "2"
	elsewhere := second
	elsewhere.Message.Conversation = "e"
	results, err := s.Append(ctx, []store.Append{item, second, item, elsewhere})
	if err != nil || results[0].Err != nil || !results[2].Duplicate {
		t.Fatalf("%v, %+v", err, results)
	}
	for _, r := range []store.Appended{results[1], results[3]} {
		if !errors.Is(r.Err, store.ErrFull) {
			t.Errorf("error %v, want ErrFull", r.Err)
		}
	}
	if c, _, err := s.Conversation(ctx, "d", ""); err != nil || c.Seq != 1 {
		t.Errorf("head %+v, %v", c, err)
	}
	if _, _, err := s.Conversation(ctx, "e", ""); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("error %v, want ErrNotFound", err)
	}
}
