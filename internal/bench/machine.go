package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// load is how busy the machine has been since it started, and how much of that was this program and the
// processes that it has started and that have ended.
type load struct {
	at           time.Time
	average      string  // of one minute, as Linux has it
	busy, stolen float64 // seconds of processors; stolen: the hypervisor gave them to others
	own          float64
}

// userHz is the unit of /proc/stat on every Linux there is.
const userHz = 100

func loadNow() load {
	l := load{at: time.Now(), average: after("/proc/loadavg", "", " ")}
	// user, nice, system, idle, iowait, irq, softirq, steal
	for i, field := range strings.Fields(after("/proc/stat", "cpu ", "\n")) {
		ticks, _ := strconv.ParseFloat(field, 64)
		switch {
		case i == 7:
			l.stolen = ticks / userHz
		case i < 7 && i != 3 && i != 4:
			l.busy += ticks / userHz
		}
	}
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		l.own += cpuOf(who)
	}
	return l
}

// since says what the load was meanwhile. To count, processes must have ended.
func (l load) since(before load) string {
	wall := l.at.Sub(before.at).Seconds()
	cores := func(seconds float64) string { return strconv.FormatFloat(max(0, seconds/wall), 'f', 2, 64) }
	return fmt.Sprintf("load %s at the start and %s at the end; on average %s of %d cores were busy, %s of them with this measurement; %s were stolen by the hypervisor",
		before.average, l.average, cores(l.busy-before.busy), runtime.NumCPU(), cores(l.own-before.own), cores(l.stolen-before.stolen))
}

// machine says where and with what it was measured.
func (r *runner) machine(ctx context.Context) string {
	node, err := exec.CommandContext(ctx, "node", "--version").Output()
	if err != nil {
		node = []byte("unknown")
	}
	versions := make([]string, len(r.toolchains))
	for i, t := range r.toolchains {
		versions[i] = t.version
	}
	text := fmt.Sprintf("%s; %d cores, %s; %s, Node %s", time.Now().Format(time.DateOnly), runtime.NumCPU(),
		after("/proc/cpuinfo", "model name\t: ", "\n"), strings.Join(versions, " and "), strings.TrimSpace(string(node)))
	for _, version := range r.missing {
		text += "; " + version + " could not be had, so the goals were held against " + r.newest().version
	}
	return text
}

// after reads what stands behind a label in a file.
func after(file, label, end string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return "unknown"
	}
	_, rest, _ := strings.Cut(string(text), label)
	value, _, _ := strings.Cut(rest, end)
	return value
}
