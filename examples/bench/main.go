// Bench measures the chat server beside what people would pick instead:
// centrifuge, a gobwas/ws hub, melody, and a hub on nhooyr.io/websocket written
// the way its examples go.
//
//	make bench         minutes; the figures of the README
//	make bench-quick   seconds; whether the tool works, not how fast anything is
//
// Every system runs in a process of its own, the clients in another, and the
// systems take turns, so that a busy machine is busy for all of them: trust the
// ratios. Each acknowledgement and each delivery is counted; a run that misses
// one fails.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
)

func main() {
	if err := run(os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) > 0 && args[0] == roleServer {
		return serve(args[1:])
	}
	if len(args) > 0 && args[0] == roleLoad {
		return load(args[1:])
	}
	if len(args) > 0 && args[0] == roleDisturb {
		return disturb(args[1:])
	}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	quick := flags.Bool("quick", false, "small and short: a test of the tool")
	rounds := flags.Int("rounds", 3, "how `often` each system is measured; the table has medians")
	only := flags.String("only", "", "comma-separated `scenarios`: "+strings.Join(scenarioNames(), ", "))
	systems := flags.String("systems", "", "comma-separated `systems`: "+strings.Join(systemNames(), ", "))
	profile := flags.String("profile", "", "`directory` for CPU profiles of the servers")
	if err := flags.Parse(args); err != nil {
		return err
	}
	list := scenarios()
	if *quick {
		list, *rounds = quickScenarios(), 1
	}
	if *rounds < 1 {
		return errors.New("-rounds is at least 1")
	}
	list, err := pick(list, *only, func(s scenario) string { return s.name })
	if err != nil {
		return err
	}
	wanted, err := pick(systemNames(), *systems, func(s string) string { return s })
	if err != nil {
		return err
	}
	var t table
	for _, s := range list {
		of := slices.DeleteFunc(slices.Clone(s.systems), func(name string) bool { return !slices.Contains(wanted, name) })
		results, err := measure(s, of, max(*rounds, s.rounds), *profile)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		t.add(s, of, results)
	}
	return t.write(os.Stdout)
}

// pick returns those of all that the comma-separated names ask for; all for none.
func pick[T any](all []T, names string, name func(T) string) ([]T, error) {
	if names == "" {
		return all, nil
	}
	var picked []T
	for want := range strings.SplitSeq(names, ",") {
		i := slices.IndexFunc(all, func(t T) bool { return name(t) == want })
		if i < 0 {
			return nil, fmt.Errorf("%q is unknown; -h lists the names", want)
		}
		picked = append(picked, all[i])
	}
	return picked, nil
}
