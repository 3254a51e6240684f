package im_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"example.com/h5im/im"
	"example.com/h5im/im/imtest"
)

func TestMain(m *testing.M) {
	code := m.Run()
	if code == 0 {
		if left := leaked(); left != "" {
			fmt.Fprintln(os.Stderr, "goroutines are left:\n"+left)
			code = 1
		}
	}
	os.Exit(code)
}

// leaked returns the stacks of goroutines of ours that do not end.
func leaked() (stacks string) {
	for range 100 {
		buf := make([]byte, 1<<20)
		buf = buf[:runtime.Stack(buf, true)]
		stacks = ""
		for _, g := range strings.Split(string(buf), "\n\n")[1:] {
			if strings.Contains(g, "h5im") {
				stacks += g + "\n\n"
			}
		}
		if stacks == "" {
			return ""
		}
		<-time.After(10 * time.Millisecond)
	}
	return stacks
}

// ctx is the context of tests that need none of their own.
var ctx = context.Background()

func setup(t testing.TB, c im.Config) *imtest.Server {
	t.Helper()
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Limits.SessionRates == (im.Rates{}) && c.Limits.UserRates == (im.Rates{}) { // most tests are in a hurry
		c.Limits.SessionRates, c.Limits.UserRates = im.Unlimited(), im.Unlimited()
	}
	return imtest.New(t, c)
}

// must fails the test where a call that should succeed does not.
func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// refused fails the test unless err has the reason of want.
func refused(t testing.TB, err error, want *im.Error) *im.Error {
	t.Helper()
	var e *im.Error
	if !errors.As(err, &e) || !errors.Is(err, want) {
		t.Fatalf("want %s, got %v", want.Reason, err)
	}
	return e
}

// send sends a text and returns the receipt.
func send(t testing.TB, c *imtest.Client, to im.Target, clientID, text string) im.SendResult {
	t.Helper()
	var r im.SendResult
	must(t, c.Call("message.send", im.SendParams{To: to, ClientID: clientID, Content: im.Text(text)}, &r))
	return r
}

// group makes a group of the client's user and others.
func group(t testing.TB, c *imtest.Client, members ...string) im.ConversationView {
	t.Helper()
	var v im.ConversationView
	must(t, c.Call("conversation.create", im.CreateParams{Kind: "group", Title: "a group", Members: members}, &v))
	return v
}
