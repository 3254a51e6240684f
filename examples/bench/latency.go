package main

import "slices"

// latencies are microseconds from the time at which a message was to be sent,
// whether or not it could be, to its arrival.
type latencies []int32

func (l latencies) sort() { slices.Sort(l) }

// at returns a quantile in milliseconds; l is sorted.
func (l latencies) at(q float64) float64 {
	if len(l) == 0 {
		return 0
	}
	return float64(l[min(len(l)-1, int(q*float64(len(l))))]) / 1000
}
