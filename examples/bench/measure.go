package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// result is what one run of one system gave.
type result struct {
	cpu        time.Duration // of the server, while measured
	took       time.Duration
	resident   int64 // more than before the first client
	sessions   int
	acks       int
	deliveries int
	latency    latencies
	disturbed  disturbReport
}

// spareFiles are a process's descriptors besides its connections.
const spareFiles = 200

// measure runs the systems in turn, so often, and returns the results by system.
func measure(s scenario, systems []string, rounds int, profile string) (map[string][]*result, error) {
	conns := s.clients + s.warm + s.disturbers
	if s.kind == kindPairs {
		conns = 2 * s.clients
	}
	if err := raiseFiles(uint64(conns + spareFiles)); err != nil {
		return nil, err
	}
	results := map[string][]*result{}
	for round := range rounds {
		for _, name := range systems {
			fmt.Fprintf(os.Stderr, "%s, round %d: %s\n", s.name, round+1, name)
			file := ""
			if profile != "" {
				file = filepath.Join(profile, s.name+"-"+name+".pprof")
			}
			r, err := runOnce(s, name, file)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			results[name] = append(results[name], r)
		}
	}
	return results, nil
}

// runOnce measures one system in new processes.
func runOnce(s scenario, name, profile string) (*result, error) {
	clients := strconv.Itoa(s.clients)
	members := s.clients
	if s.disturbance == stalling {
		members += s.disturbers
	}
	server, err := start(roleServer, "-system", name, "-kind", s.kind, "-clients", strconv.Itoa(members), "-profile", profile)
	if err != nil {
		return nil, err
	}
	defer server.stop()
	var hello struct {
		Addr string `json:"addr"`
	}
	var none struct{}
	if err := server.ask("", &hello); err != nil {
		return nil, err
	}
	if err := server.ask("free", &none); err != nil {
		return nil, err
	}
	empty, err := server.resident()
	if err != nil {
		return nil, err
	}

	var others *process
	disturbed := s.disturbance != "" && name == ours
	if disturbed {
		others, err = start(roleDisturb, "-kind", s.disturbance, "-addr", hello.Addr, "-clients", strconv.Itoa(s.disturbers), "-first", clients)
		if err != nil {
			return nil, err
		}
		defer others.stop()
		if err := others.ask("", &none); err != nil {
			return nil, err
		}
	}

	clientsOf, err := start(roleLoad, "-system", name, "-kind", s.kind, "-addr", hello.Addr, "-clients", clients,
		"-warm", strconv.Itoa(s.warm), "-messages", strconv.Itoa(s.messages), "-rate", strconv.Itoa(s.rate), "-window", strconv.Itoa(s.window))
	if err != nil {
		return nil, err
	}
	defer clientsOf.stop()
	if err := clientsOf.ask("", &none); err != nil { // connected and warm
		return nil, err
	}
	if err := server.ask("begin", &none); err != nil {
		return nil, err
	}
	before, err := server.cpu()
	if err != nil {
		return nil, err
	}
	var report loadReport
	var seen disturbReport
	done := make(chan error, 1)
	if disturbed {
		go func() { done <- others.ask("begin", &seen) }()
	}
	if err := clientsOf.ask("go", &report); err != nil {
		return nil, err
	}
	if disturbed {
		if err := <-done; err != nil {
			return nil, err
		}
	}
	after, err := server.cpu()
	if err != nil {
		return nil, err
	}
	if err := server.ask("end", &none); err != nil {
		return nil, err
	}
	if disturbed {
		if err := others.ask("end", &seen); err != nil {
			return nil, err
		}
	}
	if err := server.ask("free", &none); err != nil {
		return nil, err
	}
	full, err := server.resident()
	if err != nil {
		return nil, err
	}
	return &result{
		cpu: after - before, took: time.Duration(report.TookNanos), resident: full - empty,
		sessions: s.clients, acks: report.Acks, deliveries: report.Deliveries, latency: report.Latency, disturbed: seen,
	}, nil
}
