package main

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestLatencyQuantiles(t *testing.T) {
	var l latencies
	for i := range int32(1000) {
		l = append(l, (1000-i)*1000)
	}
	l.sort()
	for q, want := range map[float64]float64{0: 1, 0.5: 501, 0.99: 991, 0.999: 1000, 1: 1000} {
		if got := l.at(q); got != want {
			t.Errorf("%v: %v ms, not %v", q, got, want)
		}
	}
	if got := latencies(nil).at(0.5); got != 0 {
		t.Errorf("of nothing: %v", got)
	}
}

func TestTable(t *testing.T) {
	run := func(cpu time.Duration) *result { return &result{cpu: cpu, deliveries: 1} }
	var table table
	s := scenario{title: "a title", metrics: []metric{cpuPerDelivery.goal(gobwasHub, 1).goal(melodyHub, 4).atMost(5000)}}
	table.add(s, []string{ours, gobwasHub, melodyHub, nhooyrHub}, map[string][]*result{
		ours:      {run(9 * time.Millisecond), run(3 * time.Millisecond), run(time.Millisecond)},
		gobwasHub: {run(2 * time.Millisecond)},
		melodyHub: {run(time.Millisecond)},
		nhooyrHub: {run(0)},
	})
	var b bytes.Buffer
	if err := table.write(&b); err != nil {
		t.Fatal(err)
	}
	want := `
### a title

| | h5im | gobwas | melody | nhooyr |
|---|---|---|---|---|
| server CPU per delivery (us) | 3,000 | 2,000 | 1,000 | 0 |
| ours against it | at most 5,000: met | 1.50x, at most 1x: **missed** | 3.00x, at most 4x: met | – |
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}

func TestMoreIsBetter(t *testing.T) {
	m := perSecond.goal(gobwasHub, 0.8)
	for own, want := range map[float64]string{80: "0.80x, at least 0.8x: met", 79: "0.79x, at least 0.8x: **missed**"} {
		if got := verdict(m, gobwasHub, own, 100); got != want {
			t.Errorf("%v: %q, not %q", own, got, want)
		}
	}
	if goals := perSecond.goals; len(goals) != 0 {
		t.Errorf("a goal of one scenario is another's: %v", goals)
	}
}

func TestWrongArgumentsAreTold(t *testing.T) {
	for args, want := range map[string]string{
		"-only nothing":        `"nothing" is unknown`,
		"-systems nobody":      `"nobody" is unknown`,
		"-rounds 0":            "-rounds is at least 1",
		"serve -system nobody": "nobody",
	} {
		err := run(strings.Fields(args))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", args, err)
		}
	}
}

func TestTooFewFilesAreRefused(t *testing.T) {
	err := raiseFiles(1 << 62)
	if err == nil || !strings.Contains(err.Error(), "4611686018427387904 open files") {
		t.Errorf("room for 2^62 files: %v", err)
	}
}

// A run in which an acknowledgement or a delivery is missing, or comes twice,
// fails and says which.
func TestEverythingIsCounted(t *testing.T) {
	for _, c := range []struct {
		acks, deliveries int64
		want             string
	}{
		{3, 30, ""},
		{2, 30, "2 of 3 acknowledgements and 30 of 30 deliveries"},
		{3, 29, "3 of 3 acknowledgements and 29 of 30 deliveries"},
		{3, 31, "3 acknowledgements and 31 deliveries, more than"},
		{4, 30, "4 acknowledgements and 30 deliveries, more than"},
	} {
		synctest.Test(t, func(t *testing.T) {
			var all crowd
			all.seen.acks.Store(c.acks)
			all.seen.deliveries.Store(c.deliveries)
			err := all.wait(3, 30)
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("%d acknowledgements, %d deliveries: %v", c.acks, c.deliveries, err)
			}
		})
	}
}
