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
	for _, v := range r.Violations[:min(20, len(r.Violations))] {
		t.Error(v)
	}

	// The same on a disk that lies about its syncs must be noticed.
	plan.Env, plan.Dir, plan.Faults, plan.Rounds, plan.Patience = nil, t.TempDir(), []string{"lie"}, 1, 3*time.Second
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
