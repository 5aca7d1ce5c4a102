package main

import (
	"context"
	"fmt"
	"time"

	"github.com/agentuity/coder-go/examples/internal/promises"
)

// beliefs compares what the Hub does with what the library believes.
func (d *doctor) beliefs(ctx context.Context) bool {
	if d.silent {
		d.add(Line{Check: "promises", Status: Skipped, Seen: "not tried: each may wait as long as the routes above, and there are many"})
		return true
	}
	d.results = promises.Check(ctx, d.client, promises.Options{Write: d.write, Wire: d.wire, Progress: func(r promises.Result) {
		seen := d.foreign(r.Seen)
		line := Line{Check: "promise " + r.Name, Seen: r.Belief + " Seen: " + seen}
		switch r.Status {
		case promises.Held:
			line.Status, line.detail = OK, true
		case promises.Broken:
			line.Status = Wrong
			line.Seen = "not so: " + r.Belief + " Seen: " + seen
			line.Advice = "It matters to " + r.Needs + ": " + r.Otherwise + " Report it with -json."
		case promises.NotAsked:
			line.Status, line.detail, line.Seen = Skipped, true, "-write settles it: "+r.Belief
		default:
			line.Status, line.detail, line.Seen = Skipped, true, seen
		}
		d.add(line)
	}})
	count := d.results.Count
	line := Line{Check: "promises", Status: OK, Seen: fmt.Sprintf("%d of %d held, %d broken, %d could not be settled, %d not asked",
		count(promises.Held), len(d.results.Results), count(promises.Broken), count(promises.Unsettled), count(promises.NotAsked))}
	if count(promises.NotAsked) > 0 || count(promises.Unsettled) > 0 {
		line.Advice = "-v shows each."
		if !d.write {
			line.Advice = "-v shows each, -write asks the rest: it makes a session with a small task, and deletes it."
		}
	}
	d.add(line)
	if d.write {
		d.streams()
	}
	for _, left := range d.results.Left {
		d.add(Line{Check: "left behind", Status: Wrong, Seen: d.foreign(left), Advice: "Delete it by hand."})
	}
	return true
}

// streams looks at the streams that the promises have opened, and at how long an event took from what caused it.
func (d *doctor) streams() {
	if times := d.probe.times(); !d.live && !times.first.IsZero() {
		d.add(times.line())
	}
	took := d.results.EventDelay
	line := Line{Check: "event delay", Status: OK, Seen: "an event comes soon after what has caused it", Took: ms(took)}
	switch {
	case took == 0:
		line = Line{Check: "event delay", Status: Skipped, Seen: "no event came that had been caused"}
	case took > lateEvent:
		line.Status, line.Seen, line.Advice = Wrong, fmt.Sprintf("an event came %v after what has caused it", took.Round(time.Millisecond)), unbuffer
	}
	d.add(line)
}
