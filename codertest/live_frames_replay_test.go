package codertest_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

func TestEventReplay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, codertest.WithEventReplay(4))
		defer f.Close()
		id := f.active()
		first := f.control(id) // with something to replay already: the end of the task
		for _, want := range []string{"message_start", "message_end", "turn_end", "agent_end"} {
			assert.Equal(t, want, at(t, first.expect("rpc_event"), "event", "type"))
		}
		time.Sleep(time.Minute)
		f.Session(id).Emit(codertest.Event{Event: "turn_start", Payload: map[string]any{"turnId": "t"}, Agent: "scout"})
		f.Session(id).Broadcast(eventNamed("turn_end")) // not part of the history
		f.call(200, "PATCH", "/hub/session/"+id, `{"label":"not the agent"}`)
		first.expect("broadcast turn_start", "broadcast turn_end", "broadcast session_label_updated")
		first.prompt("select one")
		var live []any
		for len(live) == 0 || text(live[len(live)-1], "type") != "tool_execution_start" {
			live = append(live, at(t, first.next(), "data", "event"))
		}
		time.Sleep(time.Minute)
		first.expect("broadcast rpc_ui_request")

		second := f.control(id)
		for _, want := range live[len(live)-4:] {
			if event := want.(map[string]any); event["type"] == "message_update" {
				assert.Contains(t, event, "message")
				delete(event, "message")
				assert.Contains(t, event["assistantMessageEvent"], "partial")
				delete(event["assistantMessageEvent"].(map[string]any), "partial")
			}
			frame := second.next()
			assert.Equal(t, "rpc_event", frame["type"])
			assert.Equal(t, want, frame["event"], "as it was told live, without copies")
			assert.Equal(t, at(t, want, "timestamp"), frame["timestamp"])
		}
		second.expect("broadcast rpc_ui_request")
		f.Session(id).Emit(eventNamed("turn_end"))
		second.expect("broadcast turn_end")
		f.watch(id).ping() // not for observers
	})
}

func TestEventReplayOfWhatATestEmits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, codertest.WithEventReplay(100))
		defer f.Close()
		id := f.create(newSession)
		for _, name := range []string{"agent_start", "turn_start", "tool_call", "task_start", "thinking_start", "loop_started", "runtime_process_start", "odd"} {
			f.Session(id).Emit(codertest.Event{Event: name, Agent: "scout"})
			time.Sleep(time.Second)
		}
		c := f.dial("role=controller&sessionId=" + id)
		c.expect("init")
		c.send(`{"type":"bootstrap_ready"}`)
		c.expect("session_hydration")
		for i, name := range []string{"agent_start", "turn_start", "tool_call", "task_start", "thinking_start"} {
			at := time.Date(2000, 1, 1, 0, 0, i, 0, time.UTC).UnixMilli()
			frame := c.expect("rpc_event")
			assert.InDelta(t, at, frame["timestamp"], 0)
			assert.Equal(t, map[string]any{"type": name, "timestamp": float64(at), "agent": "scout"}, frame["event"])
		}
	})
}

func TestNoEventReplayByDefault(t *testing.T) {
	for _, opts := range [][]codertest.Option{nil, {codertest.WithEventReplay(0)}, {codertest.WithEventReplay(-1)}} {
		f := start(t, opts...)
		f.control(f.active()).ping()
	}
}

// untilAgentEnd is how a program waits for the answer to its prompt.
func untilAgentEnd(ctx context.Context, conn *coder.HubConn, isNews func(*coder.RPCEventMessage) bool) (said string, err error) {
	for message, err := range conn.Messages(ctx) {
		if err != nil {
			return said, err
		}
		event, ok := message.(*coder.RPCEventMessage)
		if !ok || !isNews(event) {
			continue
		}
		switch event.EventType {
		case coder.EventMessageEnd:
			var data struct {
				Message struct {
					Role    string `json:"role"`
					Content []struct {
						Text string `json:"text"`
					} `json:"content"`
				} `json:"message"`
			}
			if err := event.Decode(&data); err != nil {
				return said, err
			}
			if data.Message.Role == "assistant" {
				said += data.Message.Content[0].Text + "\n"
			}
		case coder.EventAgentEnd:
			return said, nil
		}
	}
	return said, nil
}

// A loop that does not look at Replay takes the end of an old run, here of the
// session's task, for that of its own.
func TestReplayFoolsWhoDoesNotLook(t *testing.T) {
	for _, test := range []struct {
		name   string
		isNews func(*coder.RPCEventMessage) bool
		want   string
	}{
		{"fooled", func(*coder.RPCEventMessage) bool { return true }, "Working on it: x\nDone.\n"},
		{"not fooled", func(m *coder.RPCEventMessage) bool { return !m.Replay }, "Working on it: the new prompt\nDone.\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hub := codertest.NewHub(codertest.WithInMemoryNetwork(), codertest.WithEventReplay(1000))
				defer hub.Close()
				client, err := hub.NewClient()
				require.NoError(t, err)
				created, err := client.CreateSession(t.Context(), coder.CreateSessionRequest{Task: "x"})
				require.NoError(t, err)
				hub.Session(created.SessionID).SetStatus("active") // and the task is run

				conn, err := client.Attach(t.Context(), created.SessionID, nil)
				require.NoError(t, err)
				defer func() { require.NoError(t, conn.Close()) }()
				require.NoError(t, conn.Prompt(t.Context(), "the new prompt"))
				said, err := untilAgentEnd(t.Context(), conn, test.isNews)
				require.NoError(t, err)
				assert.Equal(t, test.want, said)
			})
		})
	}
}
