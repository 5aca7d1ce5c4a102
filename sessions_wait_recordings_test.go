package coder_test

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

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

// recordingsPath has the recordings of the real agent, and what is right for each.
const recordingsPath = "internal/agentrun/testdata/"

// timedEvent is an event of a recording, so long after its beginning.
type timedEvent struct {
	after time.Duration
	event codertest.Event
}

// recording returns what a lead reports in a recording or, where the agent runs in its RPC mode, what it prints.
func recording(t *testing.T, name string) (events []timedEvent) {
	t.Helper()
	f, err := os.Open(recordingsPath + name + ".jsonl")
	require.NoError(t, err)
	defer func() { _ = f.Close() }()
	rpc := strings.HasPrefix(filepath.Base(name), "rpc-")
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var line struct {
			T                  float64
			Channel, Direction string
			Frame              json.RawMessage
		}
		require.NoError(t, json.Unmarshal(lines.Bytes(), &line))
		var frame struct {
			Type, Event string
			Data        json.RawMessage
			Close       *int `json:"(close)"`
		}
		if json.Unmarshal(line.Frame, &frame) != nil {
			continue
		}
		after := time.Duration(line.T * float64(time.Millisecond))
		switch {
		case rpc && line.Channel == "pi-stdout" && line.Direction == "out" && frame.Type != "response":
			events = append(events, timedEvent{after, codertest.Event{Event: frame.Type, Payload: line.Frame}})
		case !rpc && line.Channel == "lead" && line.Direction == "c2s" && frame.Type == "event":
			events = append(events, timedEvent{after, codertest.Event{Event: frame.Event, Payload: frame.Data}})
		case !rpc && line.Channel == "lead" && line.Direction == "c2s" && frame.Close != nil:
			events = append(events, timedEvent{after, codertest.Event{Event: coder.EventSessionLeave, Payload: map[string]any{"participant": map[string]any{"role": "lead"}}}})
		}
	}
	require.NoError(t, lines.Err())
	return events
}

// verdict is what is right from a time on.
type verdict struct {
	after time.Duration
	kind  coder.OutcomeKind
	stop  string
}

// stories returns what is right for each recording.
func stories(t *testing.T) map[string][]verdict {
	t.Helper()
	text, err := os.ReadFile(recordingsPath + "stories.txt")
	require.NoError(t, err)
	kinds := map[string]coder.OutcomeKind{
		"answered": coder.OutcomeTurnEnded, "failed": coder.OutcomeFailed, "aborted": coder.OutcomeAborted, "question": coder.OutcomeNeedsInput, "unheeded": coder.OutcomeStalled,
	}
	all := make(map[string][]verdict)
	var name string
	for line := range strings.Lines(string(text)) {
		var ms int
		var kind, stop string
		switch line = strings.TrimRight(line, "\n"); {
		case strings.HasPrefix(line, "= "):
			name = line[2:]
			all[name] = nil
		case strings.HasPrefix(line, "#"), line == "":
		default:
			n, _ := fmt.Sscan(line, &ms, &kind, &stop)
			require.GreaterOrEqual(t, n, 2, line)
			if strings.HasPrefix(stop, "(") || strings.HasPrefix(stop, `"`) {
				stop = ""
			}
			require.Contains(t, kinds, kind)
			all[name] = append(all[name], verdict{time.Duration(ms) * time.Millisecond, kinds[kind], stop})
		}
	}
	return all
}

// TestWaitForSession_Recordings plays what the real agent was recorded to say, at its pace, and waits for each answer
// in turn. What WaitForSession and CheckSession say must be right when they say it.
func TestWaitForSession_Recordings(t *testing.T) {
	for name, story := range stories(t) {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, hub *codertest.Hub) {
				playRecording(t, hub, recording(t, name), story)
			})
		})
	}
}

// playRecording emits the events and follows them with waits.
func playRecording(t *testing.T, hub *codertest.Hub, events []timedEvent, story []verdict) {
	t.Helper()
	c := hubClient(t, hub)
	id := newSession(t, c)
	hub.Session(id).SetStatus("active")
	began, after := time.Now(), newestEvent(t, c, id)
	go func() {
		for _, e := range events {
			time.Sleep(time.Until(began.Add(e.after)))
			hub.Session(id).Emit(e.event)
		}
	}()
	// The verdicts of the story that hold at a time, or have held since the look before it.
	holds := func(kind coder.OutcomeKind, stop string, from, to time.Duration) bool {
		for i, v := range story {
			ends := 24 * time.Hour
			if i+1 < len(story) {
				ends = story[i+1].after
			}
			if v.kind == kind && v.stop == stop && v.after <= to && ends >= from {
				return true
			}
		}
		return false
	}
	last := events[len(events)-1].after
	if len(story) > 0 {
		last = max(last, story[len(story)-1].after)
	}
	for first := true; ; first = false {
		outcome, err := c.WaitForSession(anHour(t), id, &coder.WaitForSessionOptions{StallTimeout: 2 * time.Minute, AfterEvent: after})
		require.NoError(t, err)
		now := time.Since(began)
		if outcome.Kind != coder.OutcomeStalled {
			assert.True(t, holds(outcome.Kind, outcome.StopReason, now-7*time.Second, now), "after %v: %s %s, from %q", now, outcome.Kind, outcome.StopReason, outcome.Evidence)
		}
		if now > last {
			if len(story) > 0 && first {
				final := story[len(story)-1]
				assert.Equal(t, final.kind, outcome.Kind, "from %q", outcome.Evidence)
				assert.LessOrEqual(t, now, final.after+21*time.Second, "it is noticed soon: two looks, and the Hub's clock")
			}
			return
		}
		after = newestEvent(t, c, id)
	}
}

// newestEvent returns the id of the newest event of a session.
func newestEvent(t *testing.T, c *coder.Client, id string) int {
	t.Helper()
	history, err := c.ListEventHistory(t.Context(), id, &coder.ListEventHistoryParams{Limit: 1})
	require.NoError(t, err)
	return history.Events[0].ID
}
