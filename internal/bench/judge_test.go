package main

import (
	"math"
	"testing"
)

// cpus are rounds in which ours took these times, and the handwritten client 1.
func cpus(values ...float64) (rounds []round) {
	for _, v := range values {
		rounds = append(rounds, round{"ours": {N: 1, CPU: v, Instructions: 2 * v}, "base": {N: 1, CPU: 1, Instructions: 1}})
	}
	return rounds
}

func TestGoal_Judge(t *testing.T) {
	cpu := over(cpuEach, "ours", "base")
	for name, test := range map[string]struct {
		goal   goal
		rounds []round
		want   string
	}{
		"met by far":                         {faster(0.9), cpus(0.5, 0.6, 0.55), "met"},
		"missed by far":                      {faster(0.9), cpus(1.5, 1.6, 1.55), "missed"},
		"the spread is wider":                {faster(0.9), cpus(0.7, 0.95, 0.8), "not judged: spread (2 of 3 rounds met it)"},
		"wider, although all met it":         {faster(0.9), cpus(0.8, 0.85, 0.89), "not judged: spread (all rounds met it)"},
		"wider, and none met it":             {faster(0.9), cpus(0.95, 1.2, 1), "not judged: spread (no round met it)"},
		"one round has no spread":            {faster(0.9), cpus(0.5), "not judged: one round"},
		"a size needs no spread":             {smaller(0.9), cpus(0.89), "met"},
		"a size is always judged":            {smaller(0.9), cpus(0.7, 0.95, 0.8), "met (2 of 3 rounds met it)"},
		"the worst round of a count":         {within(0.9, ""), cpus(0.7, 0.95, 0.8), "missed (2 of 3 rounds met it)"},
		"a count is what is printed":         {within(75, ""), cpus(75.02, 74.9), "met"},
		"and no more than that":              {within(75, ""), cpus(75.06), "missed"},
		"as another figure, which is larger": {smaller(0.9).or("base", of(cpuEach, "base")), cpus(0.95, 0.95), "met"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := test.goal.judge(cpu, test.rounds); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestByInstructions(t *testing.T) {
	cpu := over(cpuEach, "ours", "base")
	counted, ok := byInstructions(cpu, cpus(1, 2))
	if !ok || median(valuesOf(cpu, counted)) != 3 {
		t.Errorf("got %v of %v, want the ratio of the instructions", ok, valuesOf(cpu, counted))
	}
	if _, ok := byInstructions(of(wallEach, "ours"), cpus(1)); ok {
		t.Error("a wall time cannot be had by instructions")
	}
	uncounted := []round{{"ours": {N: 1, CPU: 1}, "base": {N: 1, CPU: 1}}}
	if _, ok := byInstructions(cpu, uncounted); ok {
		t.Error("nothing was counted")
	}
	if v := median(valuesOf(cpu, []round{{}})); !math.IsNaN(v) {
		t.Errorf("a round without the runs has no figure, got %v", v)
	}
}
