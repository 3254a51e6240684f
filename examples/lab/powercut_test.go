package lab

import (
	"context"
	"slices"
	"testing"
	"time"
)

func TestPowerCutLosesNothingThatWasAcknowledged(t *testing.T) {
	binary, err := buildJournaled(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s := theSeed()
	again := command("PowerCut", s, *messages, nil)
	t.Log(again)
	n := min(*messages, roundMessages)
	plan := Plan{Seed: s, Messages: n, Faults: []string{"power"}, Rounds: 6, Binary: binary, Env: []string{"JOURNAL_SYNC=1"}, Dir: t.TempDir(), Log: t.Logf}
	r, err := Run(context.Background(), plan)
	if err != nil {
		t.Fatalf("%v\nagain: %s", err, again)
	}
	report(t, r)
	t.Logf("%d pages were not synced", r.Unsynced)
	condemn(t, r)

	// All is lost that was not synced: that must be nothing.
	plan.Dir, plan.Faults, plan.Rounds, plan.Messages = t.TempDir(), []string{"lie"}, 2, 1000
	if r, err = Run(context.Background(), plan); err != nil {
		t.Fatalf("%v\nagain: %s", err, again)
	}
	report(t, r)
	condemn(t, r)

	// The same on a disk that lies about its syncs must be noticed.
	plan.Env, plan.Dir, plan.Rounds, plan.Patience, plan.Messages = nil, t.TempDir(), 1, 3*time.Second, n
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	r, err = Run(ctx, plan)
	if err != nil {
		t.Fatalf("%v\nagain: %s", err, again)
	}
	report(t, r)
	if !slices.ContainsFunc(r.Violations, func(v Violation) bool { return v.Rule == Lost || v.Rule == Changed }) {
		t.Errorf("a disk that lies was not noticed\nagain: %s", again)
	}
}
