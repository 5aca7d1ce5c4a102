package coder_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

const replayRoute = "/hub/session/{id}/replay"

// says is the end of a message.
func says(role, text, stop string) step {
	return payload("message_end", map[string]any{"message": map[string]any{
		"role": role, "stopReason": stop,
		"content": []any{map[string]any{"type": "thinking", "thinking": "Hm."}, map[string]any{"type": "text", "text": text}},
	}})
}

// TestLastAnswer: the last that the agent has said, wherever it stands, and nothing that others have said.
func TestLastAnswer(t *testing.T) {
	replayed := func(s *codertest.SessionControl) {
		s.AddReplayEntries(
			codertest.ReplayEntry{Type: coder.EntryMessage, Content: "An earlier one."}, codertest.ReplayEntry{Type: coder.EntryMessage, Content: "Of the replay."},
			codertest.ReplayEntry{Type: coder.EntryMessage, Content: "Of a task.", Members: map[string]any{"taskId": "t1"}}, codertest.ReplayEntry{Type: coder.EntryUserPrompt, Content: "Thanks"},
		)
	}
	for name, test := range map[string]struct {
		state step
		want  string
	}{
		"nothing":                       {nil, ""},
		"one":                           {says("assistant", "It is done.", "stop"), "It is done."},
		"the last":                      {inOrder(says("assistant", "It is done.", "stop"), says("user", "More", ""), says("assistant", "It is too.", "stop")), "It is too."},
		"none to the last prompt yet":   {inOrder(says("assistant", "It is done.", "stop"), says("user", "More", "")), "It is done."},
		"before tools and results":      {inOrder(says("assistant", "I look.", "toolUse"), says("assistant", "", "toolUse"), says("toolResult", "a.go", "")), "I look."},
		"before one that was aborted":   {inOrder(says("assistant", "It is done.", "stop"), says("assistant", "", "aborted")), "It is done."},
		"before one that has failed":    {inOrder(says("assistant", "It is done.", "stop"), says("assistant", "", "error")), "It is done."},
		"aborted in the middle":         {inOrder(says("assistant", "It is done.", "stop"), says("assistant", "It is al", "aborted")), "It is al"},
		"an empty one":                  {inOrder(says("assistant", "It is done.", "stop"), says("assistant", "", "stop")), ""},
		"by the end of the run":         {payload("agent_end", map[string]any{"messages": []any{map[string]any{"role": "assistant", "stopReason": "stop", "content": "Good."}}}), "Good."},
		"before a task":                 {inOrder(says("assistant", "It is done.", "stop"), payload("message_end", map[string]any{"taskId": "t1", "message": map[string]any{"role": "assistant", "stopReason": "stop", "content": "Mine."}})), "It is done."},
		"behind many events":            {inOrder(says("assistant", "It is done.", "stop"), emit(strings.Fields(strings.Repeat("presence_update ", 300))...)), "It is done."},
		"in the replay":                 {replayed, "Of the replay."},
		"in the replay, which is older": {inOrder(replayed, says("assistant", "It is done.", "stop")), "It is done."},
		"behind one that was trimmed": {inOrder(replayed, says("assistant", "An old one.", "stop"), func(s *codertest.SessionControl) {
			s.Emit(codertest.Event{Event: "message_end", Payload: "trimmed"})
		}), "Of the replay."},
		"behind too many events": {inOrder(replayed, says("assistant", "It is done.", "stop"), emit(strings.Fields(strings.Repeat("presence_update ", 1000))...)), "Of the replay."},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, hub *codertest.Hub) {
				c := hubClient(t, hub)
				id := workingSession(t, hub)
				inOrder(test.state)(hub.Session(id))
				got, err := c.LastAnswer(t.Context(), id)
				require.NoError(t, err)
				assert.Equal(t, test.want, got)
			})
		})
	}
}

// TestLastAnswer_Errors: what one route does not have the other one may; what neither has is an error if there is no session.
func TestLastAnswer_Errors(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub) {
		var calls []coder.CallInfo
		c := hubClient(t, hub, coder.WithObserver(coder.Observer{Call: func(ctx context.Context, info coder.CallInfo) (context.Context, func(coder.CallResult)) {
			calls = append(calls, info)
			return ctx, nil
		}}))
		for _, id := range []string{"", ".."} {
			_, err := c.LastAnswer(t.Context(), id)
			var bad *coder.ValidationError
			require.ErrorAs(t, err, &bad)
			assert.Equal(t, "LastAnswer", bad.Operation)
		}
		var none context.Context
		_, err := c.LastAnswer(none, "s")
		var bad *coder.ValidationError
		require.ErrorAs(t, err, &bad)
		assert.Equal(t, "ctx", bad.Field)
		assert.Empty(t, calls, "nothing is sent, and an observer is told of nothing")

		_, err = c.LastAnswer(t.Context(), "nobody")
		require.ErrorIs(t, err, coder.ErrSessionNotFound)
		assert.Contains(t, err.Error(), "coder: LastAnswer: ")

		id := newSession(t, c)
		session := hub.Session(id)
		session.AddReplayEntries(codertest.ReplayEntry{Type: coder.EntryMessage, Content: "Of the replay."})
		fails := func(route string, status int) *codertest.Injection {
			return hub.Inject(codertest.Fault{Route: route, Status: status, Count: -1})
		}
		fault := fails(historyRoute, http.StatusNotFound)
		got, err := c.LastAnswer(t.Context(), id)
		require.NoError(t, err, "a Hub without a history")
		assert.Equal(t, "Of the replay.", got)
		fault.Remove()
		require.GreaterOrEqual(t, len(calls), 3)
		calls = calls[len(calls)-3:]
		assert.Equal(t, coder.CallInfo{Operation: "LastAnswer", SessionID: id}, calls[0], "the call, and then its requests")
		for _, call := range calls[1:] {
			assert.Equal(t, "LastAnswer", call.Operation)
			assert.NotEmpty(t, call.Route)
		}

		cut := hub.Inject(codertest.Fault{Route: replayRoute, Count: -1, Body: []byte(`{"sessionId":"` + id + `","entries":[{"type":"message","content":"Half of it"}`)})
		got, err = c.LastAnswer(t.Context(), id)
		require.Error(t, err, "a replay that is cut")
		assert.Empty(t, got)
		cut.Remove()

		fault = fails(replayRoute, http.StatusNotFound)
		got, err = c.LastAnswer(t.Context(), id)
		require.NoError(t, err, "a session without a replay")
		assert.Empty(t, got)
		fault.Remove()

		for _, route := range []string{historyRoute, replayRoute} {
			fault = fails(route, http.StatusForbidden)
			got, err = c.LastAnswer(t.Context(), id)
			require.ErrorIs(t, err, coder.ErrForbidden)
			assert.Contains(t, err.Error(), "coder: LastAnswer: ")
			assert.Empty(t, got)
			fault.Remove()
		}
	})
}

// TestLastAnswer_IsThatOfRunSession: both say the same of a session, whatever its agent has done.
func TestLastAnswer_IsThatOfRunSession(t *testing.T) {
	for i, turns := range [][]codertest.AgentTurn{
		{{Text: "Done."}},
		{{Text: "I look.", Tools: []codertest.AgentTool{{Name: "read", Result: "ok"}}}, {Text: "It is a race."}},
		{{Text: "I ask.", Tools: []codertest.AgentTool{{Ask: &codertest.AgentQuestion{Method: "confirm"}}}}},
	} {
		bubbleWith(t, func(t *testing.T, hub *codertest.Hub) {
			c := hubClient(t, hub)
			hub.Answer(turns...)
			result, err := c.RunSession(t.Context(), fmt.Sprint("key", i), runTask, nil)
			require.NoError(t, err)
			got, err := c.LastAnswer(t.Context(), result.SessionID)
			require.NoError(t, err)
			assert.Equal(t, result.Answer, got)
			assert.Equal(t, turns[len(turns)-1].Text, got)
		})
	}
}
