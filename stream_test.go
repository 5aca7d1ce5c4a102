package coder_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
)

// streamOf answers the stream with a text, and the question after it with a session that is over.
func streamOf(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/events") {
			answerJSON(http.StatusOK, `{"sessionId":"x","historyOnly":true}`)(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, text)
	}
}

// observe ranges over a stream and returns what came.
func observe(t *testing.T, c *coder.Client, o *coder.StreamEventsOptions) (events []*coder.SSEEvent, err error) {
	t.Helper()
	for event, e := range c.StreamEvents(t.Context(), "x", o) {
		require.NoError(t, err, "nothing comes after an error")
		if e != nil {
			err = e
			continue
		}
		events = append(events, event)
	}
	return events, err
}

func TestStreamEvents_Sample(t *testing.T) {
	s := newServer(t, streamOf(sample(t, "stream/observer.sse")))
	events, err := observe(t, s.client(t), &coder.StreamEventsOptions{Subscribe: []string{"message", "task_*"}})
	require.NoError(t, err)
	require.Len(t, s.seen(), 1, "a session that was shut down is over, nobody need ask")
	request := s.seen()[0]
	assert.Equal(t, "/api/hub/session/x/events?subscribe=message%2Ctask_*%2Csession_shutdown", request.target)
	assert.Equal(t, "text/event-stream", request.header.Get("Accept"))
	assert.Equal(t, "Bearer "+testKey, request.header.Get("Authorization"))

	require.Len(t, events, 7)
	snapshot := events[0].Data.(*coder.SSESessionSnapshotMessage)
	assert.Equal(t, "OAuth login", snapshot.Label)
	assert.Equal(t, coder.RoleLead, snapshot.Participants[0].Role)
	assert.Equal(t, 21, snapshot.AgentActivity["builder"].ToolCallCount)
	hydration := events[1].Data.(*coder.SSEHydrationMessage)
	assert.Len(t, hydration.Entries, 2)
	assert.Len(t, hydration.Tasks, 3)
	joined := events[2].Data.(*coder.PresenceEventMessage)
	assert.Equal(t, "session_join", joined.Event)
	assert.Equal(t, []string{"*"}, joined.Participant.Subscriptions)
	update := events[3].Data.(*coder.BroadcastEventMessage)
	assert.Equal(t, "message_update", update.Event)
	var data struct {
		AssistantMessageEvent struct {
			Delta string `json:"delta"`
		} `json:"assistantMessageEvent"`
	}
	require.NoError(t, update.Decode(&data))
	assert.Equal(t, "Adding ", data.AssistantMessageEvent.Delta)
	assert.Equal(t, "broadcast", events[3].Event)
	assert.Len(t, events[5].Data.(*coder.PresenceEventMessage).Participants, 2)
}

func TestStreamEvents_AwkwardFraming(t *testing.T) {
	s := newServer(t, streamOf(sample(t, "stream/framing.sse")))
	events, err := observe(t, s.client(t), nil)
	require.NoError(t, err, "the Hub says that the session is over")
	require.Len(t, s.seen(), 2)
	var want []struct{ Event, Type, Inner string }
	require.NoError(t, json.Unmarshal([]byte(sample(t, "stream/framing.expected.json")), &want))
	require.Len(t, events, len(want))
	for i, e := range events {
		assert.Equal(t, want[i].Event, e.Event)
		switch m := e.Data.(type) {
		case *coder.PresenceEventMessage:
			assert.Equal(t, want[i].Type+want[i].Inner, "presence"+m.Event)
		case *coder.BroadcastEventMessage:
			assert.Equal(t, want[i].Type+want[i].Inner, "broadcast"+m.Event)
		default:
			t.Errorf("%T", m)
		}
	}
}

// TestStreamEvents_Unknown: what cannot be decoded is delivered, and ends nothing.
func TestStreamEvents_Unknown(t *testing.T) {
	blocks := map[string]string{
		"event: dream\ndata: {\"a\":1}":                                  "dream",
		"data: {\"type\":\"dream\",\"a\":1}":                             "dream",
		"event: broadcast\ndata: {\"type\":\"dream\"}":                   "dream",
		"event: broadcast\ndata: not JSON":                               "broadcast",
		"event: broadcast\ndata: {\"event\":\"x\",\"data\":7}":           "broadcast",
		"event: broadcast\ndata: {\"data\":{}}":                          "broadcast",
		"event: message_update\ndata: {\"text\":\"payload\"}":            "message_update",
		"event: presence\ndata: []":                                      "presence",
		"event: snapshot\ndata: {\"label\":\"no id\"}":                   "snapshot",
		"event: hydration\ndata:":                                        "hydration",
		"event: hydration\ndata: {\"sessionId\":\"s\"}":                  "hydration",
		"event: hydration\ndata: {\"entries\":[]}":                       "hydration",
		"event: hydration\ndata: {\"sessionId\":\"s\",\"entries\":null}": "hydration",
		"data: {\"event\":\"turn_end\",\"data\":{}}":                     "message",
		"event: broadcast\ndata: {\"event\":\"x\",\"data\":{},":          "broadcast",
	}
	for block, kind := range blocks {
		t.Run(block, func(t *testing.T) {
			good := "event: broadcast\ndata: {\"event\":\"turn_end\",\"data\":{},\"timestamp\":\"bad\"}\n\n"
			s := newServer(t, streamOf(block+"\n\n"+good))
			events, err := observe(t, s.client(t), nil)
			require.NoError(t, err)
			require.Len(t, events, 2)
			unknown, ok := events[0].Data.(*coder.UnknownMessage)
			require.True(t, ok, "%T", events[0].Data)
			assert.Equal(t, kind, unknown.Type)
			_, data, _ := strings.Cut(block, "data:")
			assert.Equal(t, strings.TrimPrefix(data, " "), string(unknown.Raw))
			last := events[1].Data.(*coder.BroadcastEventMessage)
			assert.Equal(t, "turn_end", last.Event)
			assert.True(t, last.Timestamp.IsZero(), "one bad member does not cost the others")
		})
	}
}

func TestStreamEvents_Refusals(t *testing.T) {
	for _, status := range []int{400, 401, 402, 403, 404, 410, 426} {
		s := newServer(t, answerJSON(status, `{"message":"no"}`))
		events, err := observe(t, s.client(t), nil)
		assert.Empty(t, events)
		var api *coder.APIError
		require.ErrorAs(t, err, &api)
		assert.Equal(t, status, api.StatusCode)
		assert.Equal(t, "StreamEvents", api.Operation)
		assert.Len(t, s.seen(), 1, "the next attempt would be answered the same")
	}
	for field, o := range map[string]*coder.StreamEventsOptions{
		"Subscribe[1]": {Subscribe: []string{"task", "a,b"}}, "Subscribe[0]": {Subscribe: []string{""}},
		"ReconnectDelay": {ReconnectDelay: -1}, "MaxReconnectDelay": {MaxReconnectDelay: -1},
	} {
		s := newServer(t, answerJSON(200, ""))
		_, err := observe(t, s.client(t), o)
		var invalid *coder.ValidationError
		require.ErrorAs(t, err, &invalid)
		assert.Equal(t, field, invalid.Field)
		assert.Empty(t, s.seen())
	}
}

func TestStreamEvents_Subscription(t *testing.T) {
	for filter, want := range map[string]string{
		"": "", "*": "*", "session": "session", "session_*": "session_*", "session_shutdown": "session_shutdown",
		"se*": "se*", "task": "task%2Csession_shutdown", "turn_*": "turn_*%2Csession_shutdown",
	} {
		s := newServer(t, streamOf(""))
		o := &coder.StreamEventsOptions{}
		if filter != "" {
			o.Subscribe = []string{filter}
		}
		_, err := observe(t, s.client(t), o)
		require.NoError(t, err)
		_, query, _ := strings.Cut(s.seen()[0].target, "?subscribe=")
		assert.Equal(t, want, query)
	}
}

func TestStreamEvents_BreakClosesTheConnection(t *testing.T) {
	left := make(chan struct{})
	s := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		defer close(left)
		_, _ = io.WriteString(w, sample(t, "stream/framing.sse"))
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	for event, err := range s.client(t).StreamEvents(t.Context(), "x", nil) {
		require.NoError(t, err)
		if _, ok := event.Data.(*coder.BroadcastEventMessage); ok {
			break
		}
	}
	<-left
	assert.Len(t, s.seen(), 1)
}
