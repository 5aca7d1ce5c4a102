package codertest_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

func ExampleHub() {
	hub := codertest.NewHub()
	defer hub.Close()
	client, err := hub.NewClient()
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	created, err := client.CreateSession(ctx, coder.CreateSessionRequest{Task: "Fix the flaky test"})
	if err != nil {
		fmt.Println(err)
		return
	}
	for range 3 {
		session, err := client.GetSession(ctx, created.SessionID)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(session.SessionID, session.Status)
	}
	for _, request := range hub.Requests() {
		fmt.Println(request)
	}
	// Output:
	// codesess_000000000001 creating
	// codesess_000000000001 provisioning
	// codesess_000000000001 active
	// POST /api/hub/session: 201
	// GET /api/hub/session/codesess_000000000001: 200
	// GET /api/hub/session/codesess_000000000001: 200
	// GET /api/hub/session/codesess_000000000001: 200
}

// A program that observes a session, while the network breaks down.
func ExampleSessionControl() {
	hub := codertest.NewHub()
	defer hub.Close()
	client, err := hub.NewClient()
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	created, err := client.CreateSession(ctx, coder.CreateSessionRequest{Task: "Fix the flaky test"})
	if err != nil {
		fmt.Println(err)
		return
	}
	session := hub.Session(created.SessionID)
	disturb := []func(){
		session.CutStreams,
		func() { session.EndStreams(coder.CloseNormal, "") },
		session.Shutdown,
	}
	options := &coder.StreamEventsOptions{Subscribe: []string{"turn"}, ReconnectDelay: time.Millisecond}
	for event, err := range client.StreamEvents(ctx, created.SessionID, options) {
		if err != nil {
			fmt.Println(err)
			return
		}
		switch m := event.Data.(type) {
		case *coder.SSEHydrationMessage:
			fmt.Println("connected:", m.Entries[0].Content)
			session.Emit(codertest.Event{Event: coder.EventTurnEnd})
		case *coder.BroadcastEventMessage:
			fmt.Println(m.Event)
			if m.Event == coder.EventTurnEnd {
				disturb[0]()
				disturb = disturb[1:]
			}
		}
	}
	// Output:
	// connected: Fix the flaky test
	// turn_end
	// connected: Fix the flaky test
	// turn_end
	// connected: Fix the flaky test
	// turn_end
	// session_shutdown
}

// A create that was not sent because the Hub was down is sent again. One that a
// gateway has answered may have worked.
func ExampleHub_Restart() {
	hub := codertest.NewHub()
	defer hub.Close()
	client, err := hub.NewClient()
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	task := coder.CreateSessionRequest{Task: "Fix the flaky test"}

	down := hub.Restart(100*time.Millisecond, codertest.Outage{})
	_, err = client.CreateSession(ctx, task)
	fmt.Println(err, down.Hits() > 0, len(hub.SessionIDs()))

	down = hub.Restart(time.Hour, codertest.Outage{Kind: codertest.OutageBadGateway})
	_, err = client.CreateSession(ctx, task)
	fmt.Println(errors.Is(err, coder.ErrOutcomeUnknown), len(hub.SessionIDs()))
	down.End()
	_, err = client.CreateSession(ctx, task)
	fmt.Println(err, len(hub.SessionIDs()))
	// Output:
	// <nil> true 1
	// true 1
	// <nil> 2
}

// A program that talks to the agent of a session.
func ExampleHub_agent() {
	hub := codertest.NewHub()
	defer hub.Close()
	client, err := hub.NewClient()
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	created, err := client.CreateSession(ctx, coder.CreateSessionRequest{Task: "Fix the flaky test"})
	if err != nil {
		fmt.Println(err)
		return
	}
	hub.Session(created.SessionID).SetStatus("active") // nobody has to wait for it
	conn, err := client.Attach(ctx, created.SessionID, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close()
	if err := conn.Prompt(ctx, "Rename the package, but confirm it first"); err != nil {
		fmt.Println(err)
		return
	}
	for message, err := range conn.Messages(ctx) {
		if err != nil {
			fmt.Println(err)
			return
		}
		switch m := message.(type) {
		case *coder.RPCUIRequestMessage:
			fmt.Println("asked to", m.Method)
			if err := conn.RespondUI(ctx, m.ID, true); err != nil {
				fmt.Println(err)
				return
			}
		case *coder.RPCEventMessage:
			if m.EventType != coder.EventMessageUpdate {
				fmt.Println(m.EventType)
			}
		}
		if event, ok := message.(*coder.RPCEventMessage); ok && event.EventType == coder.EventAgentEnd {
			break
		}
	}
	for _, frame := range hub.Session(created.SessionID).Frames() {
		fmt.Println(frame.Role, "sent", frame.Type)
	}
	// Output:
	// agent_start
	// turn_start
	// message_start
	// message_end
	// message_start
	// message_end
	// tool_execution_start
	// asked to confirm
	// tool_execution_end
	// message_start
	// message_end
	// turn_end
	// turn_start
	// message_start
	// message_end
	// tool_execution_start
	// tool_execution_end
	// message_start
	// message_end
	// turn_end
	// turn_start
	// message_start
	// message_end
	// turn_end
	// agent_end
	// controller sent bootstrap_ready
	// controller sent rpc_command
	// controller sent rpc_ui_response
}

// The Hub's agent begins with the task of a session. Here a test says what it
// answers.
func ExampleHub_Answer() {
	hub := codertest.NewHub()
	defer hub.Close()
	hub.Answer(
		codertest.AgentTurn{
			Thinking: "Where is it?",
			Text:     "I will look.",
			Tools:    []codertest.AgentTool{{Name: "grep", Args: map[string]any{"pattern": "Sleep"}, Result: "parser_test.go:7"}},
		},
		codertest.AgentTurn{Text: "The test sleeps in line 7."},
	)
	client, err := hub.NewClient()
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	created, err := client.CreateSession(ctx, coder.CreateSessionRequest{Task: "Find the flaky test"})
	if err != nil {
		fmt.Println(err)
		return
	}
	hub.Session(created.SessionID).SetStatus("active") // nobody has to wait for it
	for entry, err := range client.ReplayEntries(ctx, created.SessionID, nil) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%s: %s\n", entry.Type, cmp.Or(entry.Content, entry.ToolName))
	}
	// Output:
	// user_prompt: Find the flaky test
	// thinking: Where is it?
	// message: I will look.
	// tool_call: grep
	// tool_result: parser_test.go:7
	// message: The test sleeps in line 7.
}
