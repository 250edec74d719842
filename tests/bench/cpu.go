package main

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// clockTick is the unit of /proc/<pid>/stat: USER_HZ, 100 on every Linux that Go
// runs on.
const clockTick = 10 * time.Millisecond

// usage is the processor time that the stack's processes have taken, by name.
// Those of Postgres serve LNTPay and Temporal.
type usage map[string]time.Duration

// usage reads /proc; empty where there is none.
func (b *bench) usage() usage {
	used := usage{}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		pid, parent, took, ok := readStat(path)
		if !ok {
			continue
		}
		for name, own := range b.dev.Processes {
			if pid == own || parent == own {
				used[name] += took
			}
		}
	}

	return used
}

// readStat reads who a process is and what it, and its children that have ended,
// took (proc(5)).
func readStat(path string) (pid, parent int, took time.Duration, ok bool) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, 0, 0, false
	}
	// The name may hold spaces and parentheses.
	before, after, found := strings.Cut(string(text), " (")
	end := strings.LastIndex(after, ") ")
	if !found || end < 0 {
		return 0, 0, 0, false
	}
	fields := strings.Fields(after[end+2:])
	const (
		fieldParent = 1
		fieldUser   = 11 // utime, stime, cutime, cstime
		fieldLast   = 14
	)
	if len(fields) <= fieldLast {
		return 0, 0, 0, false
	}
	numbers := make([]int, 0, 6)
	for _, field := range append([]string{before, fields[fieldParent]}, fields[fieldUser:fieldLast+1]...) {
		number, err := strconv.Atoi(field)
		if err != nil {
			return 0, 0, 0, false
		}
		numbers = append(numbers, number)
	}

	return numbers[0], numbers[1], time.Duration(numbers[2]+numbers[3]+numbers[4]+numbers[5]) * clockTick, true
}

// minus is what was taken in between.
func (u usage) minus(before usage) usage {
	took := usage{}
	for name, now := range u {
		took[name] = now - before[name]
	}

	return took
}

// print says what one of so many took, by process.
func (u usage) print(what string, count int) {
	if count == 0 || len(u) == 0 {
		return
	}
	names := slices.SortedFunc(maps.Keys(u), func(a, b string) int { return cmp.Compare(u[b], u[a]) })
	var all time.Duration
	parts := make([]string, 0, len(names))
	for _, name := range names {
		all += u[name]
		if share := ms(u[name]) / float64(count); share >= 0.05 {
			parts = append(parts, fmt.Sprintf("%s %.1f", name, share))
		}
	}
	fmt.Printf("processor time for %s, ms: %.1f (%s)\n\n", what, ms(all)/float64(count), strings.Join(parts, ", "))
}
