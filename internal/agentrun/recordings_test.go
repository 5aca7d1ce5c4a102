package agentrun

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// recorded is a line of a recording.
type recorded struct {
	T         float64         `json:"t"`
	Channel   string          `json:"channel"`
	Direction string          `json:"direction"`
	Frame     json.RawMessage `json:"frame"`
}

// start is when all recordings begin.
var start = time.UnixMilli(1700000000000)

// eventsOf returns the events of a recording: those that the lead reports or, where the agent runs in its RPC mode,
// those that it prints.
func eventsOf(t *testing.T, file string) (events []Event) {
	t.Helper()
	f, err := os.Open(file)
	require.NoError(t, err)
	defer func() { _ = f.Close() }()
	rpc := strings.HasPrefix(filepath.Base(file), "rpc-")
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var line recorded
		require.NoError(t, json.Unmarshal(lines.Bytes(), &line))
		at := start.Add(time.Duration(line.T * float64(time.Millisecond)))
		var frame struct {
			Type  string          `json:"type"`
			Event string          `json:"event"`
			Data  json.RawMessage `json:"data"`
			Close *int            `json:"(close)"`
		}
		if json.Unmarshal(line.Frame, &frame) != nil {
			continue
		}
		switch {
		case rpc && line.Channel == "pi-stdout" && line.Direction == "out":
			events = append(events, Decode(frame.Type, line.Frame, at))
		case !rpc && line.Channel == "lead" && line.Direction == "c2s" && frame.Type == "event":
			events = append(events, Decode(frame.Event, frame.Data, at))
		case !rpc && line.Channel == "lead" && line.Direction == "c2s" && frame.Close != nil:
			events = append(events, Event{At: at, Name: "session_leave", Participant: "lead"})
		}
	}
	require.NoError(t, lines.Err())
	return events
}

// story is what the readings of a recording are, one after the other, work left out.
func story(events []Event) (lines []string) {
	var (
		run  = Run{Whole: true}
		last string
	)
	note := func(now time.Time) time.Time {
		reading := run.At(now)
		line := string(reading.Kind)
		if reading.Answer.StopReason != "" {
			line += " " + reading.Answer.StopReason
		}
		if reading.Answer.ErrorMessage != "" {
			line += fmt.Sprintf(" (%.20s)", reading.Answer.ErrorMessage)
		}
		if reading.Answer.Text != "" {
			line += fmt.Sprintf(" %.30q", reading.Answer.Text)
		}
		if line != last && reading.Kind != Working && reading.Kind != Idle {
			lines = append(lines, fmt.Sprintf("%6d %s", now.Sub(start).Milliseconds(), line))
		}
		last = line
		return reading.Until
	}
	due := time.Time{}
	for i := range events {
		for !due.IsZero() && !due.After(events[i].At) {
			due = note(due)
		}
		run.Apply(&events[i])
		due = note(events[i].At)
	}
	for !due.IsZero() {
		due = note(due)
	}
	return lines
}

// TestRecordings plays every recording of the real agent. testdata/stories.txt says for each what is right, and when
// that can be known: a second after an answer, since a compaction may follow; at once where the agent says that it
// has settled; when no retry can follow any more. It was compared with the tables of the recordings line by line.
func TestRecordings(t *testing.T) {
	text, err := os.ReadFile("testdata/stories.txt")
	require.NoError(t, err)
	want := make(map[string][]string)
	var name string
	for line := range strings.Lines(string(text)) {
		switch line = strings.TrimRight(line, "\n"); {
		case strings.HasPrefix(line, "#"), line == "":
		case strings.HasPrefix(line, "= "):
			name = line[2:]
			want[name] = nil
		default:
			want[name] = append(want[name], line)
		}
	}
	for file := range want {
		t.Run(file, func(t *testing.T) {
			assert.Equal(t, want[file], story(eventsOf(t, filepath.Join("testdata", file+".jsonl"))))
		})
	}
	files, err := filepath.Glob("testdata/*/*.jsonl")
	require.NoError(t, err)
	assert.Len(t, want, len(files), "every recording has its story")
}

// TestRecordingsFromTheMiddle: whoever begins to look in the middle, as a program that was restarted or that reads
// only the newest events, is told the same, or that work goes on, and never that it is over too early.
func TestRecordingsFromTheMiddle(t *testing.T) {
	files, err := filepath.Glob("testdata/*/*.jsonl")
	require.NoError(t, err)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			events := eventsOf(t, file)
			for first := range events {
				for last := first + 1; last <= len(events); last++ {
					now := events[last-1].At
					whole, part := Read(events[:last], true, now), Read(events[first:last], false, now)
					if part.Kind.Over() && !whole.Kind.Over() {
						t.Fatalf("events %d to %d: %s (%s), in truth %s (%s)", first, last, part.Kind, part.Reason, whole.Kind, whole.Reason)
					}
				}
			}
		})
	}
}
