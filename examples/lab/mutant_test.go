package lab

import (
	"context"
	"slices"
	"testing"
	"time"
)

// A laboratory that finds nothing proves nothing: each of these servers breaks
// one promise, and the checker must say which.
func TestEveryMutantIsCaught(t *testing.T) {
	binary, err := build(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []struct {
		name, faults string
		want         []Rule
	}{
		{"ack", "kill", []Rule{Lost, Changed}},
		{"publish", "kill", []Rule{Phantom, Disagree}},
		{"seq", "none", []Rule{Receipts, Changed, Lost}},
		{"window", "cut", []Rule{Twice, Receipts}},
	} {
		t.Run(m.name, func(t *testing.T) {
			s := theSeed()
			again := command("EveryMutantIsCaught/"+m.name, s, 0, nil)
			r, err := Run(context.Background(), Plan{
				Seed: s, Messages: 4000, Faults: []string{m.faults}, Rounds: 3, Mutant: m.name, Patience: 3 * time.Second,
				Binary: binary, Dir: t.TempDir(), Log: t.Logf,
			})
			if err != nil {
				t.Fatalf("%v\nagain: %s", err, again)
			}
			report(t, r)
			if !slices.ContainsFunc(r.Violations, func(v Violation) bool { return slices.Contains(m.want, v.Rule) }) {
				t.Errorf("none of %q among %d violations\nagain: %s", m.want, len(r.Violations), again)
			}
		})
	}
}
