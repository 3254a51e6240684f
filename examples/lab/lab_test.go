package lab

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

var (
	seed     = flag.Uint64("seed", 0, "of everything random; 0 takes one from the clock")
	messages = flag.Int("messages", 2000, "how many messages are sent")
	named    = flag.String("faults", "", "which faults, separated by commas; all by default")
)

// theSeed is the one given, or a new one.
func theSeed() uint64 {
	if *seed != 0 {
		return *seed
	}
	return uint64(time.Now().UnixNano()) % 1_000_000_000
}

// command is what repeats a test with its seed, from the folder examples.
func command(test string, seed uint64, messages int, faults []string) string {
	c := fmt.Sprintf("go test ./lab -v -timeout 0 -run '%s' -seed %d", test, seed)
	if messages > 0 {
		c += fmt.Sprintf(" -messages %d", messages)
	}
	if faults != nil {
		c += " -faults " + strings.Join(faults, ",")
	}
	return c
}

func theFaults() []string {
	if *named != "" {
		return strings.Split(*named, ",")
	}
	return []string{"kill", "stop", "clock", "full", "compact", "prune", "events", "cut", "flap", "hollow", "slow", "slices", "refuse"}
}

func report(t *testing.T, r Result) {
	t.Helper()
	t.Logf("%d messages, %d of them pruned, %d receipts, %d told to try again, %d restarts, %d lines of history, %d violations",
		r.Stored, r.Pruned, r.Acknowledged, r.Refused, r.Restarts, len(r.History.Events), len(r.Violations))
}

// condemn tells of broken promises, and keeps the history.
func condemn(t *testing.T, r Result) {
	t.Helper()
	if len(r.Violations) == 0 {
		return
	}
	for _, v := range r.Violations[:min(20, len(r.Violations))] {
		t.Error(v)
	}
	f, err := os.CreateTemp("", "h5im-lab-*.json")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := json.NewEncoder(f).Encode(r.History); err != nil {
		t.Fatal(err)
	}
	t.Log("its history is in ", f.Name())
}

// roundMessages bounds the history of one run: a longer one is several, each
// with a seed and a file of its own.
const roundMessages = 20_000

func TestFaultsBreakNoPromise(t *testing.T) {
	binary, err := build(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	first := theSeed()
	t.Log("seed", first)
	total, times := 0, 1
	if *messages >= roundMessages {
		times = 2
	}
	for round := uint64(0); int(round)*roundMessages < *messages; round++ {
		s, n := first+round, min(roundMessages, *messages-int(round)*roundMessages)
		again := command("FaultsBreakNoPromise", s, n, theFaults())
		t.Log(again)
		r, err := Run(context.Background(), Plan{Seed: s, Messages: n, Faults: theFaults(), Rounds: times, Binary: binary, Dir: t.TempDir(), Log: t.Logf})
		if err != nil {
			t.Fatalf("%v\nagain: %s", err, again)
		}
		report(t, r)
		total += r.Stored
		condemn(t, r)
		if t.Failed() {
			t.Fatal("again: ", again)
		}
	}
	t.Logf("%d messages, no violation", total)
}
