package crash

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// A checker that finds nothing proves nothing: every kind of damage to a good
// history must be found.
func TestCheckerFindsEveryKindOfDamage(t *testing.T) {
	good := func() ([]ack, map[string][]stored, map[[2]string][]string) {
		var acks []ack
		final := map[string][]stored{}
		order := map[[2]string][]string{}
		for i := range 9 {
			sender, id, text := fmt.Sprintf("s%d", i%3), fmt.Sprintf("c%d", i), fmt.Sprintf("text %d", i)
			seq := int64(i + 1)
			acks = append(acks, ack{sender: sender, conversation: "g", clientID: id, text: text, seq: seq})
			final["g"] = append(final["g"], stored{seq: seq, from: sender, clientID: id, text: text})
			order[[2]string{sender, "g"}] = append(order[[2]string{sender, "g"}], id)
		}
		return acks, final, order
	}
	t.Run("a good history has no violation", func(t *testing.T) {
		if v := check(good()); len(v) != 0 {
			t.Fatal(v)
		}
	})
	for name, damage := range map[string]struct {
		want string
		do   func(acks *[]ack, final map[string][]stored)
	}{
		"the newest acknowledged message is lost": {"lost", func(_ *[]ack, f map[string][]stored) { f["g"] = f["g"][:8] }},
		"a message in the middle is lost":         {"contiguous", func(_ *[]ack, f map[string][]stored) { f["g"] = slices.Delete(f["g"], 4, 5) }},
		"a message is stored twice": {"twice", func(_ *[]ack, f map[string][]stored) {
			m := f["g"][3]
			m.seq = 10
			f["g"] = append(f["g"], m)
		}},
		"bytes changed":          {"not what was acknowledged", func(_ *[]ack, f map[string][]stored) { f["g"][2].text = "other" }},
		"two messages swapped":   {"order", func(_ *[]ack, f map[string][]stored) { swap(f["g"], 0, 3) }},
		"another sender":         {"not what was acknowledged", func(_ *[]ack, f map[string][]stored) { f["g"][2].from = "s9" }},
		"two answers disagree":   {"acknowledged at", func(a *[]ack, _ map[string][]stored) { again := (*a)[0]; again.seq = 2; *a = append(*a, again) }},
		"a conversation is gone": {"lost", func(_ *[]ack, f map[string][]stored) { delete(f, "g") }},
	} {
		t.Run(name, func(t *testing.T) {
			acks, final, order := good()
			damage.do(&acks, final)
			if v := strings.Join(check(acks, final, order), "\n"); !strings.Contains(v, damage.want) {
				t.Fatalf("want a violation with %q, got %q", damage.want, v)
			}
		})
	}
}

func swap(m []stored, i, j int) {
	m[i], m[j] = m[j], m[i]
	m[i].seq, m[j].seq = m[j].seq, m[i].seq
}
