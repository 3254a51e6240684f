package main

import (
	"slices"
	"time"
)

// A scenario is one kind of work that systems are compared by.
type scenario struct {
	name    string
	title   string
	kind    string
	systems []string
	// clients are the connections that receive; of pairs, the senders as well.
	clients int
	// messages are sent after as many of them as warm have been.
	messages, warm int
	// rate is how many are sent a second, at their time whatever the answers
	// do; 0: as many as go, with window of them under way.
	rate   int
	window int
	// disturbance is what so many other clients do while ours is measured.
	disturbance string
	disturbers  int
	// rounds are more than others need.
	rounds int
	// metrics are what the table shows.
	metrics []metric
}

// The kinds of work.
const (
	kindFan   = "fan"   // one sends to all the others
	kindPairs = "pairs" // each sends to a peer of his own, and what is acknowledged is on the disk
	kindOpen  = "open"  // connections are made
)

// A metric is a figure of a run, and what we want it to be at most (or, for
// more is better, at least) of a peer's.
type metric struct {
	name  string
	unit  string
	value func(*result) float64
	more  bool
	goals map[string]float64 // system: ratio
	limit float64            // of our own value; 0: none
}

var (
	cpuPerDelivery = metric{name: "server CPU per delivery", unit: "us", value: func(r *result) float64 { return micros(r.cpu) / float64(r.deliveries) }}
	cpuPerSession  = metric{name: "server CPU per session", unit: "us", value: func(r *result) float64 { return micros(r.cpu) / float64(r.sessions) }}
	cpuPerMessage  = metric{name: "server CPU per message", unit: "us", value: func(r *result) float64 { return micros(r.cpu) / float64(r.acks) }}
	perSecond      = metric{name: "messages a second", unit: "/s", more: true, value: func(r *result) float64 { return float64(r.acks) / r.took.Seconds() }}
	deliveries     = metric{name: "deliveries a second", unit: "/s", more: true, value: func(r *result) float64 { return float64(r.deliveries) / r.took.Seconds() }}
	residentBytes  = metric{name: "resident bytes per session", unit: "B", value: func(r *result) float64 { return float64(r.resident) / float64(r.sessions) }}
	median         = metric{name: "latency, median", unit: "ms", value: func(r *result) float64 { return r.latency.at(0.5) }}
	p99            = metric{name: "latency, 99 %", unit: "ms", value: func(r *result) float64 { return r.latency.at(0.99) }}
	gaps           = metric{name: "stalled ones told of a gap", unit: "", value: func(r *result) float64 { return float64(r.disturbed.Gaps) }}
	allBack        = metric{name: "until all were back", unit: "s", value: func(r *result) float64 { return time.Duration(r.disturbed.BackNanos).Seconds() }}
	refusals       = metric{name: "told to come later", unit: "times", value: func(r *result) float64 { return float64(r.disturbed.Refused) }}
	failures       = metric{name: "connections that failed", unit: "", value: func(r *result) float64 { return float64(r.disturbed.Failed) }}
	p999           = metric{name: "latency, 99.9 %", unit: "ms", value: func(r *result) float64 { return r.latency.at(0.999) }}
)

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// at returns the metric with a goal.
func (m metric) goal(system string, ratio float64) metric {
	goals := map[string]float64{system: ratio}
	for s, r := range m.goals {
		goals[s] = r
	}
	m.goals = goals
	return m
}

func (m metric) atMost(limit float64) metric { m.limit = limit; return m }

func scenarios() []scenario {
	all := []string{ours, gobwasHub, centrifugeNode, melodyHub, nhooyrHub}
	return []scenario{
		{
			name: "paced", title: "1 to 1,000, 20 messages a second", kind: kindFan, systems: all,
			clients: 1000, warm: 40, messages: 200, rate: 20,
			metrics: []metric{cpuPerDelivery.goal(gobwasHub, 1.3).goal(centrifugeNode, 0.9), median, p99, p999},
		}, {
			name: "saturated", title: "1 to 1,000, as fast as it goes", kind: kindFan, systems: all,
			clients: 1000, warm: 100, messages: 2000, window: 16,
			metrics: []metric{cpuPerDelivery.goal(gobwasHub, 1).goal(centrifugeNode, 1), deliveries},
		}, {
			name: "large", title: "1 to 10,000, as fast as it goes", kind: kindFan, systems: all,
			clients: 10000, warm: 20, messages: 200, window: 16,
			metrics: []metric{cpuPerDelivery.goal(gobwasHub, 1.1).goal(centrifugeNode, 0.75), deliveries},
		}, {
			name: "idle", title: "10,000 sessions after one message", kind: kindFan, systems: all,
			clients: 10000, messages: 1, window: 1,
			metrics: []metric{residentBytes.goal(centrifugeNode, 0.6).atMost(16 << 10)},
		}, {
			name: "pairs", title: "durable 1:1, 200 in flight", kind: kindPairs, systems: []string{ours, gobwasHub},
			clients: 200, warm: 4000, messages: 80000, window: 200,
			metrics: []metric{perSecond.goal(gobwasHub, 0.8), cpuPerMessage},
		}, {
			name: "pairs-paced", title: "durable 1:1, 1,000 messages a second", kind: kindPairs, systems: []string{ours, gobwasHub},
			clients: 200, warm: 1000, messages: 8000, rate: 1000,
			metrics: []metric{median, p99, p999, cpuPerMessage},
		}, {
			name: "open", title: "opening 10,000 sessions, 16 at a time", kind: kindOpen, systems: []string{ours, centrifugeNode, gobwasHub},
			clients: 10000, warm: 400, window: 16,
			metrics: []metric{cpuPerSession.goal(centrifugeNode, 0.75)},
		}, {
			name: "stalled", title: "1 to 1,000, 20 messages a second, one member more who reads nothing", kind: kindFan, systems: []string{ours, undisturbed},
			clients: 1000, warm: 4000, messages: 200, rate: 20, disturbance: stalling, disturbers: 1, rounds: 5,
			metrics: []metric{p99.goal(undisturbed, 1.25), median, gaps},
		}, {
			name: "storm", title: "1 to 100, 50 messages a second, while 10,000 other sessions come back at once", kind: kindFan, systems: []string{ours, undisturbed},
			clients: 100, warm: 100, messages: 1000, rate: 50, disturbance: storming, disturbers: 10000,
			metrics: []metric{allBack.atMost(30), refusals, failures.atMost(0), p99.goal(undisturbed, 2), median},
		},
	}
}

// quickScenarios are the same in small, which says nothing about speed.
func quickScenarios() []scenario {
	list := scenarios()
	for i := range list {
		s := &list[i]
		s.clients = min(s.clients, 50)
		s.disturbers, s.rounds = min(s.disturbers, 50), 0
		s.warm = min(s.warm, 5)
		s.messages = min(s.messages, 20)
		s.window = min(s.window, 8)
		s.title = s.name + ", in small"
		s.metrics = slices.Clone(s.metrics)
		for j := range s.metrics {
			s.metrics[j].goals, s.metrics[j].limit = nil, 0
		}
	}
	return list
}

func scenarioNames() []string {
	var names []string
	for _, s := range scenarios() {
		names = append(names, s.name)
	}
	return names
}
