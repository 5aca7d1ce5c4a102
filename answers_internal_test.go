package coder

import (
	"bytes"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go/internal/agentrun"
)

// FuzzPromptWatch: whatever an agent reports, a prompt comes to an answer or to an error, and never to both or neither. Each
// line is an event.
func FuzzPromptWatch(f *testing.F) {
	const said = `{"type":"message_end","message":{"role":"assistant","stopReason":"stop","content":[{"type":"text","text":"Hi"}]}}`
	for _, seed := range []string{
		"", `{"type":"agent_start"}`, `{"type":"message_end","message":{"role":"user","content":"Hello"}}` + "\n" + said, said,
		`{"type":"input","text":"Hello"}` + "\n" + `{"type":"agent_start"}` + "\n" + `{"type":"agent_end","messages":[]}`,
		`{"type":"message_end","message":{"role":"user","content":"Hello"}}` + "\n" + `{"type":"session_shutdown","reason":"quit"}`,
		`{"type":"message_end","message":{"role":"user","content":"Hello"}}` + "\n" + `{"type":"session_start"}`,
		`{"type":"message_end","message":{"role":"user","content":"Hello"}}` + "\n" + `{"type":"message_end","message":{"role":"assistant","stopReason":"length"}}`,
	} {
		f.Add([]byte(seed))
	}
	client, err := NewClient(WithURL("http://127.0.0.1:1"), WithAPIKey("key"), WithLogger(slog.New(slog.DiscardHandler)))
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, events []byte) {
		at := time.UnixMilli(1_800_000_000_000)
		w := promptWatch{client: client, op: "Ask", sessionID: "s", prompt: agentrun.NewPrompt(agentrun.Digest("Hello"), at, agentrun.Run{}, agentrun.Queue{}, 0)}
		judge := func(now time.Time) {
			reading := w.prompt.At(now)
			if !reading.Kind.Over() {
				assert.True(t, reading.Until.IsZero() || reading.Until.After(now), "%v is due at %v, which is over", reading.Kind, reading.Until)
				return
			}
			answer, err := w.result(reading)
			assert.NotEqual(t, answer == nil, err == nil, "%v: %v, %v", reading.Kind, answer, err)
		}
		for line := range bytes.Lines(events) {
			name, _ := agentrun.Unwrap("rpc_event", append(append([]byte(`{"event":`), line...), '}'))
			at = at.Add(time.Second)
			w.event(name, line, at, "")
			judge(at)
			judge(at.Add(24 * time.Hour))
		}
	})
}

// TestPromptWatch_Result: each kind of end is an answer or an error.
func TestPromptWatch_Result(t *testing.T) {
	client, err := NewClient(WithURL("http://127.0.0.1:1"), WithAPIKey("key"))
	require.NoError(t, err)
	for _, kind := range []agentrun.PromptKind{
		agentrun.PromptAnswered, agentrun.PromptFailed, agentrun.PromptAborted, agentrun.PromptRefused, agentrun.PromptHandled,
		agentrun.PromptDropped, agentrun.PromptUnheard, agentrun.PromptUnheeded, "of a newer version",
	} {
		for _, messages := range [][]AgentMessage{nil, {{Role: "assistant", StopReason: StopReasonStop}}} {
			require.True(t, kind.Over())
			w := promptWatch{client: client, op: "Ask", prompt: &agentrun.Prompt{}, messages: messages}
			answer, err := w.result(agentrun.PromptReading{Kind: kind, Reason: "of the test"})
			assert.NotEqual(t, answer == nil, err == nil, "%v: %v, %v", kind, answer, err)
			assert.Equal(t, kind == agentrun.PromptAnswered && messages != nil || kind == agentrun.PromptHandled, err == nil, kind)
		}
	}
}

// TestPromptWatch_NotObeyed: it is told whether the agent was told to stop.
func TestPromptWatch_NotObeyed(t *testing.T) {
	client, err := NewClient(WithURL("http://127.0.0.1:1"), WithAPIKey("key"))
	require.NoError(t, err)
	waits, sent, failed := make(chan error, 1), make(chan error, 1), make(chan error, 1)
	sent <- nil
	failed <- newHubConnError("Abort", "x", ConnLost, nil)
	for aborted, why := range map[chan error]string{
		waits: "the abort could not be sent for 30s", sent: "it has not obeyed the abort for 30s", failed: "the abort has failed: the connection was lost",
	} {
		w := promptWatch{client: client, op: "Ask", prompt: &agentrun.Prompt{}, tally: newTally(Limits{Turns: 1}), aborted: aborted}
		w.tally.cross("more than %d turns", 1)
		err := w.notObeyed()
		require.ErrorIs(t, err, ErrLimitExceeded)
		assert.EqualError(t, err, "coder: Ask: limit exceeded: more than 1 turns, and "+why)
		assert.False(t, IsTransient(err))
	}
}
