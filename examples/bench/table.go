package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// A table collects what was measured: medians, and our ratio to each peer.
type table struct{ parts []part }

type part struct {
	scenario scenario
	systems  []string
	results  map[string][]*result
}

func (t *table) add(s scenario, systems []string, results map[string][]*result) {
	t.parts = append(t.parts, part{s, systems, results})
}

// write prints the table in Markdown.
func (t *table) write(w io.Writer) error {
	var b strings.Builder
	for _, p := range t.parts {
		fmt.Fprintf(&b, "\n### %s\n\n| | %s |\n|---|%s\n", p.scenario.title, strings.Join(p.systems, " | "), strings.Repeat("---|", len(p.systems)))
		for _, m := range p.scenario.metrics {
			p.row(&b, m)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// row prints a metric of every system and, in a second row, our ratio to it.
func (p *part) row(b *strings.Builder, m metric) {
	values := map[string]float64{}
	for _, name := range p.systems {
		var all []float64
		for _, r := range p.results[name] {
			all = append(all, m.value(r))
		}
		slices.Sort(all)
		values[name] = all[len(all)/2]
	}
	fmt.Fprintf(b, "| %s (%s) |", m.name, m.unit)
	for _, name := range p.systems {
		fmt.Fprintf(b, " %s |", figure(values[name]))
	}
	own, measured := values[ours]
	if !measured || len(values) == 1 {
		b.WriteString("\n")
		return
	}
	b.WriteString("\n| ours against it |")
	for _, name := range p.systems {
		b.WriteString(" " + verdict(m, name, own, values[name]) + " |")
	}
	b.WriteString("\n")
}

// verdict is our ratio to a peer, and whether it is what we want.
func verdict(m metric, name string, own, peer float64) string {
	if name == ours {
		if m.limit == 0 {
			return ""
		}
		return judged(own <= m.limit, fmt.Sprintf("at most %s", figure(m.limit)))
	}
	if peer == 0 {
		return "–" // too little to count
	}
	ratio := own / peer
	text := fmt.Sprintf("%.2fx", ratio)
	goal, asked := m.goals[name]
	switch {
	case !asked:
		return text
	case m.more:
		return text + ", " + judged(ratio >= goal, fmt.Sprintf("at least %gx", goal))
	default:
		return text + ", " + judged(ratio <= goal, fmt.Sprintf("at most %gx", goal))
	}
}

func judged(met bool, goal string) string {
	if met {
		return goal + ": met"
	}
	return goal + ": **missed**"
}

// figure prints three digits, and thousands apart.
func figure(v float64) string {
	if v < 100 {
		return fmt.Sprintf("%.3g", v)
	}
	s := fmt.Sprintf("%.0f", v)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
