package crash

import (
	"fmt"
	"slices"
)

// ack is one answer that a sender got.
type ack struct {
	sender       string
	conversation string
	clientID     string
	text         string
	seq          int64
	duplicate    bool
}

// stored is one message that the server has in the end.
type stored struct {
	seq      int64
	from     string
	clientID string
	text     string
}

// check compares what was acknowledged with what is there. order tells, per
// sender and conversation, in which order the messages were first sent.
func check(acks []ack, final map[string][]stored, order map[[2]string][]string) (violations []string) {
	bad := func(format string, args ...any) { violations = append(violations, fmt.Sprintf(format, args...)) }

	type key struct{ sender, clientID string }
	bySeq := map[string]map[int64]stored{}
	byClient := map[key]stored{}
	for conversation, messages := range final {
		bySeq[conversation] = map[int64]stored{}
		for i, m := range messages {
			if m.seq != int64(i)+1 {
				bad("%s: message %d has seq %d: not contiguous", conversation, i+1, m.seq)
			}
			bySeq[conversation][m.seq] = m
			k := key{m.from, m.clientID}
			if first, twice := byClient[k]; twice {
				bad("%s: %s of %s is stored twice, at %d and %d", conversation, m.clientID, m.from, first.seq, m.seq)
			}
			byClient[k] = m
		}
	}
	seqs := map[key]int64{}
	for _, a := range acks {
		k := key{a.sender, a.clientID}
		if first, again := seqs[k]; again && first != a.seq {
			bad("%s: acknowledged at %d and at %d", a.clientID, first, a.seq)
		}
		seqs[k] = a.seq
		m, found := bySeq[a.conversation][a.seq]
		switch {
		case !found:
			bad("%s: acknowledged seq %d of %s is lost", a.conversation, a.seq, a.sender)
		case m.from != a.sender || m.clientID != a.clientID || m.text != a.text:
			bad("%s: seq %d is not what was acknowledged to %s", a.conversation, a.seq, a.sender)
		}
	}
	for k, ids := range order {
		var got []int64
		for _, id := range ids {
			if m, found := byClient[key{k[0], id}]; found {
				got = append(got, m.seq)
			}
		}
		if !slices.IsSorted(got) {
			bad("%s: the messages of %s are not in the order in which they were sent", k[1], k[0])
		}
	}
	return violations
}
