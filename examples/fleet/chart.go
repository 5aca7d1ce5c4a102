package main

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/agentuity/coder-go"
)

// class is a group of outcomes that have one colour. Each bar also says its outcome in words: nobody needs to tell colours apart.
type class struct{ name, about, light, dark string }

var (
	classDone    = class{"done", "ended well", "#1a7f37", "#3fb950"}
	classFailed  = class{"failed", "failed", "#cf222e", "#ff7b72"}
	classLimited = class{"limited", "went beyond a limit", "#9a6700", "#d29922"}
	classOpen    = class{"open", "did not finish", "#57606a", "#9aa4af"}
	classes      = []class{classDone, classFailed, classLimited, classOpen}
)

func classOf(r *result) class {
	switch {
	case r.Succeeded:
		return classDone
	case r.Outcome == coder.OutcomeLimited:
		return classLimited
	case r.Outcome == coder.OutcomeFailed, r.Outcome == outcomeError:
		return classFailed
	}
	return classOpen
}

// The paper and the ink of the chart, on a light page and on a dark one.
const (
	paperLight, inkLight, faintLight = "#ffffff", "#24292f", "#d0d7de"
	paperDark, inkDark, faintDark    = "#0d1117", "#e6edf3", "#30363d"
)

// The measures of the chart.
const (
	chartWidth = 800
	labelWidth = 240
	barsWidth  = 380
	rowHeight  = 26
	barHeight  = 16
	top        = 78
)

// chart draws the duration of each task as a bar, in the colour of its outcome.
func chart(results []*result) []byte {
	longest := time.Duration(0)
	ofClass := make(map[string]int)
	for _, r := range results {
		longest = max(longest, r.duration())
		ofClass[classOf(r).name]++
	}
	step := tick(longest)
	ticks := max(int(math.Ceil(longest.Seconds()/step.Seconds())), 1)
	end := time.Duration(ticks) * step
	x := func(d time.Duration) float64 { return labelWidth + barsWidth*d.Seconds()/end.Seconds() }
	bottom := top + rowHeight*len(results)

	var b bytes.Buffer
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img" aria-labelledby="title desc">`,
		chartWidth, bottom+40, chartWidth, bottom+40)
	line(`<title id="title">How long %d tasks took</title>`, len(results))
	line(`<desc id="desc">%s</desc>`, escape(description(results, ofClass)))
	line(`<style>`)
	line(`text { font: 12px system-ui, sans-serif; fill: %s }`, inkLight)
	line(`.heading { font-size: 15px; font-weight: 600 } .end { text-anchor: end } .middle { text-anchor: middle }`)
	line(`.paper { fill: %s } .grid { stroke: %s }`, paperLight, faintLight)
	for _, c := range classes {
		line(`.%s { fill: %s }`, c.name, c.light)
	}
	line(`@media (prefers-color-scheme: dark) {`)
	line(`text { fill: %s } .paper { fill: %s } .grid { stroke: %s }`, inkDark, paperDark, faintDark)
	for _, c := range classes {
		line(`.%s { fill: %s }`, c.name, c.dark)
	}
	line(`}`)
	line(`</style>`)
	line(`<rect class="paper" width="100%%" height="100%%"/>`)
	line(`<text class="heading" x="16" y="26">How long %d tasks took</text>`, len(results))
	at := 16
	for _, c := range classes {
		if ofClass[c.name] == 0 {
			continue
		}
		text := fmt.Sprintf("%d %s", ofClass[c.name], c.about)
		line(`<rect class="%s" x="%d" y="40" width="12" height="12" rx="2"/><text x="%d" y="50">%s</text>`, c.name, at, at+18, text)
		at += 18 + 8*len(text) + 16
	}
	for i := range ticks + 1 {
		d := time.Duration(i) * step
		line(`<line class="grid" x1="%.1f" y1="%d" x2="%.1f" y2="%d"/><text class="middle" x="%.1f" y="%d">%s</text>`,
			x(d), top-8, x(d), bottom, x(d), bottom+20, tickText(d))
	}
	for i, r := range results {
		y := top + rowHeight*i
		line(`<g><title>%s</title>`, escape(oneLine(r.title())+": "+r.verdict()))
		line(`<text class="end" x="%d" y="%d">%s</text>`, labelWidth-8, y+12, escape(fit(oneLine(r.title()), 32)))
		line(`<rect class="%s" x="%d" y="%d" width="%.1f" height="%d" rx="2"/>`, classOf(r).name, labelWidth, y, max(x(r.duration())-labelWidth, 1), barHeight)
		line(`<text x="%.1f" y="%d">%s</text></g>`, x(r.duration())+6, y+12, escape(barText(r)))
	}
	line(`</svg>`)
	return b.Bytes()
}

// barText says what a bar shows.
func barText(r *result) string {
	if r.Outcome == outcomeNotBegun {
		return r.verdict()
	}
	return clock(r.duration()) + ", " + r.verdict()
}

// tick is the time between two lines: so that there are 2 to 6 of them.
func tick(longest time.Duration) time.Duration {
	for _, seconds := range []int{1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 2 * 3600, 4 * 3600, 12 * 3600} {
		if step := time.Duration(seconds) * time.Second; longest <= 5*step {
			return step
		}
	}
	days := int(longest.Hours()/(5*24)) + 1
	return time.Duration(days) * 24 * time.Hour
}

func tickText(d time.Duration) string {
	text := d.String()
	for _, nothing := range []string{"m0s", "h0m"} {
		if short, found := strings.CutSuffix(text, nothing); found {
			text = short + nothing[:1]
		}
	}
	return text
}

// description is for those who do not see the chart.
func description(results []*result, ofClass map[string]int) string {
	var groups, bars []string
	for _, c := range classes {
		if ofClass[c.name] > 0 {
			groups = append(groups, fmt.Sprintf("%d %s", ofClass[c.name], c.about))
		}
	}
	for _, r := range results {
		bars = append(bars, oneLine(r.title())+": "+barText(r))
	}
	return "A bar for each task, as long as it took. " + strings.Join(groups, ", ") + ". " + strings.Join(bars, "; ") + "."
}

func escape(text string) string {
	var b bytes.Buffer
	_ = xml.EscapeText(&b, []byte(text)) // a buffer takes everything
	return b.String()
}

// writeChart replaces a file by a chart, at once.
func writeChart(name string, results []*result) error {
	file, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+"-*")
	if err != nil {
		return err
	}
	_, err = file.Write(chart(results))
	if e := file.Chmod(0o644); err == nil {
		err = e
	}
	if e := file.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(file.Name(), name)
	}
	if err != nil {
		_ = os.Remove(file.Name())
	}
	return err
}
