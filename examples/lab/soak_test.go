package lab

import (
	"context"
	"encoding/json"
	"flag"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"
)

var (
	soak = flag.Duration("soak", 0, "how long the soak lasts; 0: no soak")
	rate = flag.Int("rate", 50, "messages a second of the soak")
)

const (
	soakSamples = 60
	soakDrift   = 1.05
)

// Under a steady load what a server holds does not grow: the medians of its live
// heap, goroutines and files in the last third are those of the middle third.
func TestSoakHoldsNoMoreInTheEnd(t *testing.T) {
	if *soak == 0 {
		t.Log("no -soak given")
		return
	}
	binary, err := build(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	load := func(ctx context.Context, r *run) error { return steady(ctx, t, r) }
	r, err := Run(context.Background(), Plan{Seed: theSeed(), Faults: []string{"soak"}, extra: map[string]fault{"soak": load}, Binary: binary, Dir: t.TempDir(), Log: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	report(t, r)
	condemn(t, r)
}

func steady(ctx context.Context, t *testing.T, r *run) error {
	feeding, stop := context.WithCancel(ctx)
	defer stop()
	var feed sync.WaitGroup
	defer feed.Wait()
	defer stop()
	feed.Go(func() {
		for n := 0; feeding.Err() == nil; n++ {
			r.budget.Add(1)
			if n%(10*50) == 0 {
				r.proxy.set(cut) // half of the clients come again
				r.proxy.set(clean)
			}
			wait(feeding, time.Second/time.Duration(*rate))
		}
	})
	thirds := [3]map[string][]float64{{}, {}, {}}
	for i := range soakSamples {
		wait(ctx, *soak/soakSamples)
		resp, err := http.Get("http://" + r.server.addr + "/load")
		if err != nil {
			return err
		}
		var sample map[string]float64
		err = json.NewDecoder(resp.Body).Decode(&sample)
		resp.Body.Close()
		if err != nil {
			return err
		}
		for name, value := range sample {
			third := thirds[i*3/soakSamples]
			third[name] = append(third[name], value)
		}
	}
	for name := range thirds[0] {
		first, middle, last := median(thirds[0][name]), median(thirds[1][name]), median(thirds[2][name])
		t.Logf("%s: first third %.0f, middle %.0f, last %.0f", name, first, middle, last)
		if last > middle*soakDrift {
			t.Errorf("%s grew from %.0f to %.0f", name, middle, last)
		}
	}
	return nil
}

func median(all []float64) float64 {
	slices.Sort(all)
	return all[len(all)/2]
}
