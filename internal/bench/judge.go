package main

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// goal is the largest value wanted.
type goal struct {
	most float64
	unit string // of the figure as well; "×" is a ratio, "" a count
	// time: the figure is a time or made of times, which the neighbours on the machine change. Everything else
	// (counts, sizes, instructions) is what it is.
	time bool
	// worst: every round must meet it, not the median.
	worst bool
	// like is a figure that the goal follows where it is larger.
	like     figure
	likeName string
}

// faster is a goal for a ratio of times, smaller for one of sizes, within for a count or a size, seconds for a time.
func faster(most float64) goal              { return goal{most: most, unit: "×", time: true} }
func smaller(most float64) goal             { return goal{most: most, unit: "×"} }
func within(most float64, unit string) goal { return goal{most: most, unit: unit, worst: true} }
func seconds(most float64) goal             { return goal{most: most, unit: "s", time: true} }

// or makes the goal follow another figure where that is larger.
func (g goal) or(name string, like figure) goal {
	g.like, g.likeName = like, name
	return g
}

func (g goal) String() string {
	text := "≤ " + number64(g.most, g.unit)
	if g.like != nil {
		text += ", or as " + g.likeName
	}
	return text
}

// judge says whether the rounds have met the goal.
func (g goal) judge(is figure, rounds []round) string {
	values, most := valuesOf(is, rounds), g.most
	if g.like != nil {
		most = max(most, median(valuesOf(g.like, rounds)))
	}
	met := 0
	for i, v := range values {
		if g.unit == "" { // the process does a little besides: 75.02 allocations of each are 75, as is printed
			values[i] = math.Round(10*v) / 10
		}
		if values[i] <= most {
			met++
		}
	}
	how := ""
	switch {
	case met == len(values) && len(values) > 1:
		how = "all rounds met it"
	case met > 0 && met < len(values):
		how = fmt.Sprintf("%d of %d rounds met it", met, len(values))
	}
	middle := median(values)
	if g.time && len(values) == 1 {
		return "not judged: one round"
	}
	// A time says nothing about a goal that is nearer than its rounds are to one another.
	if g.time && slices.Max(values)-slices.Min(values) > math.Abs(middle-most) {
		return "not judged: spread (" + cmp.Or(how, "no round met it") + ")"
	}
	verdict := "missed"
	if g.worst && met == len(values) || !g.worst && middle <= most {
		verdict = "met"
	}
	if met > 0 && met < len(values) {
		verdict += " (" + how + ")"
	}
	return verdict
}

// valuesOf are those of the rounds that have the figure.
func valuesOf(is figure, rounds []round) (values []float64) {
	for _, r := range rounds {
		if v := is(r); !math.IsNaN(v) && !math.IsInf(v, 0) {
			values = append(values, v)
		}
	}
	if len(values) == 0 {
		return []float64{math.NaN()}
	}
	return values
}

// byInstructions are the rounds with instructions in the place of CPU time, so that every figure made of one can be
// made of the other. ok: the figure can.
func byInstructions(is figure, rounds []round) (counted []round, ok bool) {
	for _, r := range rounds {
		other := make(round)
		for name, m := range r {
			if m.CPU = m.Instructions; m.CPU == 0 {
				m.CPU = math.NaN()
			}
			m.Wall = math.NaN()
			other[name] = m
		}
		counted = append(counted, other)
	}
	return counted, !math.IsNaN(valuesOf(is, counted)[0])
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}
