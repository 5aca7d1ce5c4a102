package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
)

var update = flag.Bool("update", false, "write testdata again")

// some results of every kind.
func some() []*result {
	return []*result{
		{Task: "Find the race in the parser, and write a test that shows it", SessionID: "codesess_1", Outcome: coder.OutcomeTurnEnded, Succeeded: true, Answer: "It is the map.\nHere is why.", Seconds: 83.25, spent: spent{ToolCalls: new(int64(12)), Tokens: new(int64(1234567)), CostUSD: new(1.5)}},
		{Task: "x", Label: "PR <7> & \"8\" \x1b[2J\u202e", SessionID: "codesess_2", Outcome: coder.OutcomeCompleted, Succeeded: true, Answer: "Good", Truncated: true, NotEnforced: []string{"CostUSD", "Tokens"}, Seconds: 9.99, spent: spent{ToolCalls: new(int64(0))}, earlier: true},
		{Task: "日本語のタスク", SessionID: "codesess_3", Outcome: coder.OutcomeFailed, Reason: "529\noverloaded", Seconds: 0.04, spent: spent{ToolCalls: new(int64(3)), Tokens: new(int64(900)), CostUSD: new(0.0123), CostIsMore: true}},
		{Task: "Tidy up", SessionID: "codesess_4", Outcome: coder.OutcomeLimited, Reason: "more than 4 turns", Seconds: 61, spent: spent{ToolCalls: new(int64(4)), Tokens: new(int64(1000)), CostUSD: new(0.25)}},
		{Task: "Ask me", SessionID: "codesess_5", Outcome: coder.OutcomeNeedsInput, Reason: "it has asked something", Seconds: 30},
		{Task: "Be refused", Outcome: outcomeError, Reason: "coder: RunSession: 403 Forbidden", Seconds: 0.5},
		{Task: "Be interrupted", SessionID: "codesess_6", Outcome: outcomeInterrupted, Archived: true, Seconds: 45},
		{Task: "Wait", Outcome: outcomeNotBegun},
	}
}

// golden compares with a file in testdata.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	name = filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(name, got, 0o644))
	}
	want, err := os.ReadFile(name)
	require.NoError(t, err)
	assert.Equal(t, string(want), string(got), "go test ./examples/fleet -update writes it again")
}

func TestSummary(t *testing.T) {
	var out bytes.Buffer
	summarize(&out, some(), 95*time.Second)
	golden(t, "summary.golden", out.Bytes())
}

func TestClock(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0.0s", 290 * time.Millisecond: "0.2s", 59999 * time.Millisecond: "59.9s", time.Minute: "1m00s", 3599 * time.Second: "59m59s", 3661 * time.Second: "1h01m", 49 * time.Hour: "49h00m",
	} {
		assert.Equal(t, want, clock(d))
	}
}

func TestChart(t *testing.T) {
	picture := chart(some())
	golden(t, "chart.svg", picture)
	decoder := xml.NewDecoder(bytes.NewReader(picture))
	var elements []string
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		if start, ok := token.(xml.StartElement); ok {
			elements = append(elements, start.Name.Local)
		}
	}
	assert.Equal(t, []string{"svg", "title", "desc"}, elements[:3], "for who listens to it")
	assert.NotContains(t, string(picture), "\x1b")
	for _, results := range [][]*result{nil, {{Outcome: outcomeNotBegun}}, {{Seconds: 1e7}}} {
		picture := chart(results)
		require.NoError(t, xml.Unmarshal(picture, new(struct{})), "%s", picture)
		assert.NotContains(t, string(picture), "NaN")
		assert.Less(t, strings.Count(string(picture), "<line"), 8)
	}
}

// TestChart_Contrast: bars have a contrast of 3 with the paper, and text one of 4.5, as WCAG 2 wants it.
func TestChart_Contrast(t *testing.T) {
	assert.InDelta(t, 21, contrast(t, "#000000", "#ffffff"), 0.01)
	for _, c := range classes {
		assert.GreaterOrEqual(t, contrast(t, c.light, paperLight), 3.0, c.name)
		assert.GreaterOrEqual(t, contrast(t, c.dark, paperDark), 3.0, c.name)
	}
	assert.GreaterOrEqual(t, contrast(t, inkLight, paperLight), 4.5)
	assert.GreaterOrEqual(t, contrast(t, inkDark, paperDark), 4.5)
}

func contrast(t *testing.T, a, b string) float64 {
	t.Helper()
	brighter, darker := luminance(t, a), luminance(t, b)
	if brighter < darker {
		brighter, darker = darker, brighter
	}
	return (brighter + 0.05) / (darker + 0.05)
}

func luminance(t *testing.T, colour string) (sum float64) {
	t.Helper()
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		value, err := strconv.ParseUint(colour[1+2*i:3+2*i], 16, 8)
		require.NoError(t, err)
		part := float64(value) / 255
		if part <= 0.04045 {
			sum += weight * part / 12.92
		} else {
			sum += weight * math.Pow((part+0.055)/1.055, 2.4)
		}
	}
	return sum
}

func TestTick(t *testing.T) {
	for d := time.Millisecond; d < 1000*time.Hour; d = d*3/2 + 1 {
		step := tick(d)
		assert.LessOrEqual(t, (d+step-1)/step, time.Duration(5), "%v in steps of %v", d, step)
	}
	for d, want := range map[time.Duration]string{0: "0s", 90 * time.Second: "1m30s", 10 * time.Minute: "10m", time.Hour: "1h", 90 * time.Minute: "1h30m", 20 * time.Second: "20s"} {
		assert.Equal(t, want, tickText(d))
	}
}

func TestWriteChart(t *testing.T) {
	name := filepath.Join(t.TempDir(), "chart.svg")
	for range 2 {
		require.NoError(t, writeChart(name, some()))
		assert.Equal(t, string(chart(some())), contents(t, name))
	}
	left, err := os.ReadDir(filepath.Dir(name))
	require.NoError(t, err)
	assert.Len(t, left, 1)
	require.Error(t, writeChart(filepath.Join(t.TempDir(), "nowhere", "chart.svg"), some()))
}
