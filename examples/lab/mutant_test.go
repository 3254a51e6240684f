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
		hides        bool // as long as nothing happens
	}{
		{"ack", "kill", []Rule{Lost, Changed}, true},
		{"publish", "kill", []Rule{Phantom, Disagree}, true},
		{"seq", "none", []Rule{Receipts, Changed, Lost}, false},
		{"window", "cut", []Rule{Twice, Receipts}, false},
	} {
		t.Run(m.name, func(t *testing.T) {
			s := theSeed()
			again := command("EveryMutantIsCaught/"+m.name, s, 0, nil)
			run := func(faults string, messages int) Result {
				r, err := Run(context.Background(), Plan{
					Seed: s, Messages: messages, Faults: []string{faults}, Rounds: 3, Mutant: m.name, Patience: 3 * time.Second,
					Binary: binary, Dir: t.TempDir(), Log: t.Logf,
				})
				if err != nil {
					t.Fatalf("%v\nagain: %s", err, again)
				}
				report(t, r)
				return r
			}
			if m.hides {
				if r := run("none", 1000); len(r.Violations) > 0 {
					t.Errorf("without a fault: %v", r.Violations[:min(5, len(r.Violations))])
				}
			}
			r := run(m.faults, 4000)
			if !slices.ContainsFunc(r.Violations, func(v Violation) bool { return slices.Contains(m.want, v.Rule) }) {
				t.Errorf("none of %q among %d violations\nagain: %s", m.want, len(r.Violations), again)
			}
		})
	}
}
