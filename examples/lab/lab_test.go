package lab

import (
	"context"
	"flag"
	"strconv"
	"strings"
	"testing"
	"time"
)

var (
	seed     = flag.Uint64("seed", 0, "of everything random; 0 takes one from the clock")
	messages = flag.Int("messages", 20_000, "how many messages are sent")
	named    = flag.String("faults", "", "which faults, separated by commas; all by default")
)

// theSeed is the one given, or a new one, printed with the command that repeats it.
func theSeed(t *testing.T) uint64 {
	s := *seed
	if s == 0 {
		s = uint64(time.Now().UnixNano()) % 1_000_000_000
	}
	return s
}

func theFaults() []string {
	if *named != "" {
		return strings.Split(*named, ",")
	}
	return []string{"kill", "stop", "clock", "full", "events", "cut", "flap", "hollow", "slow", "slices", "refuse"}
}

func report(t *testing.T, r Result) {
	t.Helper()
	t.Logf("%d messages, %d receipts, %d restarts, %d lines of history, %d violations", r.Stored, r.Acknowledged, r.Restarts, r.Events, len(r.Violations))
}

func TestFaultsBreakNoPromise(t *testing.T) {
	s, n := theSeed(t), *messages
	again := func(s uint64, n int) string {
		return strings.Join([]string{"go test ./lab -run FaultsBreakNoPromise -v -seed", uintText(s), "-messages", uintText(uint64(n)), "-faults", strings.Join(theFaults(), ",")}, " ")
	}
	binary, err := build(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Log(again(s, n))
	r, err := Run(context.Background(), Plan{Seed: s, Messages: n, Faults: theFaults(), Rounds: 2, Binary: binary, Dir: t.TempDir(), Log: t.Logf})
	if err != nil {
		t.Fatalf("%v\nagain: %s", err, again(s, n))
	}
	report(t, r)
	for i, v := range r.Violations {
		if i == 20 {
			break
		}
		t.Error(v)
	}
	if t.Failed() {
		t.Log("again: ", again(s, n))
	}
}

func uintText(n uint64) string { return strconv.FormatUint(n, 10) }
