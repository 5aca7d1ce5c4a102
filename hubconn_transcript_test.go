package coder_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
)

// transcript is a ws-*.json of the contract.
type transcript struct {
	Connect struct {
		SessionID, Role, Origin, Label, Task        string
		DriverMode, DriverInstanceID, DriverVersion string
		Subscribe                                   []string
	}
	Frames []struct {
		From  string
		Frame jsonText
	}
	Close struct {
		From, Reason string
		Code         int
	}
}

// server plays the Hub's part: it expects what the client says, and says the rest.
func (s *transcript) server(p *peer) {
	p.pings = true
	for _, f := range s.Frames {
		if f.From == "server" {
			if !assert.NoError(p.t, p.say(string(f.Frame))) {
				return
			}
			continue
		}
		frame, err := p.hear()
		if !assert.NoError(p.t, err) {
			return
		}
		var want map[string]any
		assert.NoError(p.t, json.Unmarshal(f.Frame, &want))
		switch {
		case want["authorization"] != nil:
			want = map[string]any{"authorization": testKey, "org_id": "org_2f9c1d"}
		case want["type"] == "ping":
			want = map[string]any{"type": "ping", "timestamp": frame["timestamp"]}
		}
		withoutIDs(want)
		withoutIDs(frame)
		assert.Equal(p.t, want, frame)
	}
	if s.Close.From == "server" {
		_ = p.Close(websocket.StatusCode(s.Close.Code), s.Close.Reason)
		return
	}
	p.listen()
	assert.EqualValues(p.t, s.Close.Code, p.closed.Code)
	assert.Equal(p.t, s.Close.Reason, p.closed.Reason)
}

// withoutIDs takes out the ids of requests, which are our own.
func withoutIDs(frame map[string]any) {
	if id, _ := frame["id"].(string); frame["type"] != "rpc_ui_response" && id != "" {
		delete(frame, "id")
	}
	if command, _ := frame["command"].(map[string]any); command != nil {
		delete(command, "id")
	}
}

func playTranscript(t *testing.T, name string, client func(t *testing.T, conn *coder.HubConn)) {
	t.Helper()
	var s transcript
	decodeSample(t, "stream/"+name, &s)
	live(t, s.server, func(t *testing.T, hub *liveHub) {
		conn, err := hub.client().Connect(t.Context(), s.Connect.SessionID, &coder.HubConnectOptions{
			Role: coder.HubRole(s.Connect.Role), Label: s.Connect.Label, Task: s.Connect.Task,
			Origin: s.Connect.Origin, Subscribe: s.Connect.Subscribe, DriverMode: s.Connect.DriverMode,
			DriverInstanceID: s.Connect.DriverInstanceID, DriverVersion: s.Connect.DriverVersion,
		})
		require.NoError(t, err)
		client(t, conn)
		synctest.Wait()
		require.NoError(t, conn.Close())
	})
}

func TestHubConn_Transcript_Controller(t *testing.T) {
	playTranscript(t, "ws-controller.json", func(t *testing.T, conn *coder.HubConn) {
		ctx := t.Context()
		hydration := next(t, conn).(*coder.HubHydrationMessage)
		assert.Equal(t, "OAuth login", hydration.Label)
		assert.Len(t, hydration.Entries, 2)
		assert.Equal(t, coder.EntryUserPrompt, hydration.Entries[0].Type)
		assert.True(t, *hydration.LeadConnected)
		assert.Equal(t, "Editing src/auth/callback.ts\n\n", hydration.Stream.Tasks["task_02"].Output)
		assert.Equal(t, coder.TaskFailed, hydration.Tasks[2].Status)
		assert.True(t, *hydration.StreamingState.IsStreaming)
		assert.Equal(t, []coder.HubActiveTask{{TaskID: "task_02", Agent: "builder"}}, hydration.StreamingState.ActiveTasks)
		assert.EqualValues(t, 1768473737512, hydration.ResumedAt.UnixMilli())
		assert.Equal(t, "stream_9d41", next(t, conn).(*coder.HubStreamReadyMessage).StreamID)

		require.NoError(t, conn.Send(ctx, &coder.RPCCommandMessage{Command: coder.RPCCommand{Type: coder.CommandGetState, ID: "cmd-1"}}))
		response := next(t, conn).(*coder.RPCResponseMessage)
		assert.Equal(t, coder.CommandGetState, response.Response.Command)
		assert.True(t, response.Response.Success)
		require.NoError(t, conn.Prompt(ctx, "Also cover the error path"))
		event := next(t, conn).(*coder.RPCEventMessage)
		assert.Equal(t, "agent_start", event.EventType)
		assert.False(t, event.Replay)
		var body struct {
			AgentName string `json:"agentName"`
		}
		require.NoError(t, event.Decode(&body))
		assert.Equal(t, "lead", body.AgentName)
		ui := next(t, conn).(*coder.RPCUIRequestMessage)
		assert.Equal(t, coder.UIConfirm, ui.Method)
		assert.True(t, ui.Method.Answered())
		var params coder.RPCUIParams
		require.NoError(t, ui.Decode(&params))
		assert.Equal(t, coder.RPCUIParams{Title: "Push branch?", Message: "feature/oauth will be pushed"}, params)
		require.NoError(t, conn.RespondUI(ctx, ui.ID, true))
		require.NoError(t, conn.Steer(ctx, "Keep the diff small"))
		require.NoError(t, conn.FollowUp(ctx, "Then run the tests"))
		require.NoError(t, conn.Abort(ctx))
		require.NoError(t, conn.Compact(ctx))
		require.NoError(t, conn.Send(ctx, &coder.RPCCommandMessage{Command: coder.RPCCommand{Type: coder.CommandGetMessages, ID: "cmd-2"}}))
		_ = next(t, conn).(*coder.RPCResponseMessage)
		assert.Contains(t, next(t, conn).(*coder.RPCCommandErrorMessage).Error, "not connected")
		require.NoError(t, conn.Send(ctx, &coder.PingMessage{}))
		assert.EqualValues(t, 1768473737517, next(t, conn).(*coder.PongMessage).EchoedTimestamp.UnixMilli())
		presence := next(t, conn).(*coder.PresenceEventMessage)
		assert.Len(t, presence.Participants, 2)
		_, err := messages(t, conn)
		e := connError(t, err)
		assert.Equal(t, coder.CloseSessionNotFound, e.CloseCode)
		require.ErrorIs(t, err, coder.ErrSessionNotFound)
	})
}

func TestHubConn_Transcript_Lead(t *testing.T) {
	var s transcript
	decodeSample(t, "stream/ws-lead.json", &s)
	// Ids are ours: the Hub answers to those it was told.
	play := func(p *peer) {
		var id any
		for _, f := range s.Frames {
			var frame map[string]any
			assert.NoError(p.t, json.Unmarshal(f.Frame, &frame))
			if f.From == "server" {
				if frame["id"] != nil {
					frame["id"] = id
				}
				text, _ := json.Marshal(frame)
				assert.NoError(p.t, p.say(string(text)))
				continue
			}
			got, err := p.hear()
			if !assert.NoError(p.t, err) {
				return
			}
			id = got["id"]
			if frame["authorization"] == nil {
				withoutIDs(frame)
				withoutIDs(got)
				assert.Equal(p.t, frame, got)
			}
		}
		_ = p.Close(websocket.StatusCode(s.Close.Code), s.Close.Reason)
	}
	live(t, play, func(t *testing.T, hub *liveHub) {
		conn := connectedTo(t, hub, "", func(o *coder.HubConnectOptions) { o.Role, o.Origin = coder.RoleLead, "tui" })
		ctx := t.Context()
		init := conn.Init()
		assert.Equal(t, "codesess_a41b7e5520fd", conn.SessionID())
		assert.Equal(t, "memory_service_search", init.Tools[0].Name)
		assert.EqualValues(t, 15000, init.Tools[0].TimeoutMs)
		assert.Equal(t, []coder.HubCommandDefinition{{Name: "deck", Description: "Creates a slide deck"}}, init.Commands)
		assert.Equal(t, coder.AgentAvailable, init.Agents[0].Status)
		assert.InDelta(t, 0.2, *init.Agents[0].Temperature, 0)
		assert.Equal(t, "Team rules apply.", init.Config.SystemPromptPrefix)
		assert.Equal(t, &coder.HubModel{Provider: "provider", ID: "model-large"}, init.Model)
		assert.Equal(t, "/workspace", init.Resume.Cwd)

		for i, test := range []struct {
			request coder.HubRequest
			want    []coder.HubAction
		}{
			{&coder.EventRequest{Event: coder.EventSessionStart, Data: map[string]any{"agentRole": "lead"}}, []coder.HubAction{
				&coder.StatusAction{Key: "phase", Text: "planning"}, &coder.NotifyAction{Message: "Memory loaded", Level: coder.NotifyInfo}, &coder.AckAction{},
			}},
			{
				&coder.EventRequest{Event: coder.EventBeforeAgentStart, Data: map[string]any{"systemPrompt": "base", "agentRole": "lead"}},
				[]coder.HubAction{&coder.SystemPromptAction{SystemPrompt: "Follow the team rules.", Mode: coder.SystemPromptSuffix}},
			},
			{
				&coder.ToolRequest{Name: "memory_service_search", ToolCallID: "call_9", Params: map[string]any{"query": "parser"}},
				[]coder.HubAction{&coder.ReturnAction{Result: jsonText(`{"hits":[]}`)}},
			},
			{
				&coder.EventRequest{Event: coder.EventToolCall, Data: map[string]any{
					"toolName": "bash", "input": map[string]any{"command": "rm -rf build"}, "agentRole": "lead",
				}},
				[]coder.HubAction{&coder.ConfirmAction{Title: "Delete files?", Message: "build will be removed", DenyReason: "Not allowed"}},
			},
			{
				&coder.EventRequest{Event: coder.EventToolCall, Data: map[string]any{
					"toolName": "bash", "input": map[string]any{"command": "git push --force"}, "agentRole": "lead",
				}},
				[]coder.HubAction{&coder.BlockAction{Reason: "Force push is disabled"}},
			},
			{
				&coder.CommandRequest{Name: "deck", Args: "status report"},
				[]coder.HubAction{&coder.InjectMessageAction{Message: coder.InjectedMessage{Role: "user", Content: "Create a deck"}}},
			},
		} {
			response, err := conn.SendAndWait(ctx, test.request)
			require.NoError(t, err)
			assert.Equal(t, test.want, response.Actions, fmt.Sprint(i))
			assert.Equal(t, response, next(t, conn), "it is a message too")
		}
		require.NoError(t, conn.Send(ctx, &coder.SessionWriteMessage{Path: "/workspace/session.jsonl", Content: "{\"type\":\"session\"}\n"}))
		require.NoError(t, conn.Send(ctx, &coder.SessionEntryMessage{Path: "/workspace/session.jsonl", Line: `{"type":"message"}`}))
		command := next(t, conn).(*coder.RPCCommandMessage)
		assert.Equal(t, coder.RPCCommand{Type: coder.CommandPrompt, Message: "Check the edge cases", Agent: "scout"}, command.Command)
		assert.Equal(t, "prd_1", next(t, conn).(*coder.HubSessionResumeMessage).ActivePRDKey)
		_, err := messages(t, conn)
		assert.Equal(t, coder.CloseStaleDriver, connError(t, err).CloseCode)
	})
}

func TestHubConn_Transcript_Observer(t *testing.T) {
	playTranscript(t, "ws-observer.json", func(t *testing.T, conn *coder.HubConn) {
		assert.IsType(t, &coder.HubHydrationMessage{}, next(t, conn))
		assert.Equal(t, "p_obs2", next(t, conn).(*coder.PresenceEventMessage).Participant.ID)
		require.NoError(t, conn.Send(t.Context(), &coder.ObserverSubscribeMessage{Patterns: []string{"*"}}))
		broadcast := next(t, conn).(*coder.BroadcastEventMessage)
		assert.Equal(t, coder.EventTaskStart, broadcast.Event)
	})
}
