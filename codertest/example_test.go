package codertest_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
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

// A program that archives what nobody has used for a month.
func ExampleHub_AddSession() {
	hub := codertest.NewHub()
	defer hub.Close()
	client, err := hub.NewClient()
	if err != nil {
		fmt.Println(err)
		return
	}
	monthAgo := time.Now().AddDate(0, -1, 0)
	forgotten := hub.AddSession(codertest.Session{
		Task:    "Fix the flaky test",
		Owner:   coder.SessionOwner{UserID: "user_alice", Name: "Alice"},
		Created: monthAgo.AddDate(0, -1, 0), LastActivity: monthAgo.AddDate(0, 0, -1),
	})
	inUse := hub.AddSession(codertest.Session{Task: "Review", Created: monthAgo.AddDate(0, -1, 0), LastActivity: time.Now()})

	ctx := context.Background()
	for session, err := range client.AllSessions(ctx, nil) {
		if err != nil {
			fmt.Println(err)
			return
		}
		if session.LastActivityAt.Before(monthAgo) {
			if _, err := client.ArchiveSession(ctx, session.SessionID); err != nil {
				fmt.Println(err)
				return
			}
			fmt.Println("archived a session of", session.Owner.Name)
		}
	}
	fmt.Println(forgotten.Archived(), inUse.Archived())
	// Output:
	// archived a session of Alice
	// true false
}

// What the agent answers to the task of each session that a program creates.
func ExampleHub_OnSession() {
	hub := codertest.NewHub()
	defer hub.Close()
	hub.OnSession(func(s *codertest.SessionControl) {
		s.Answer(codertest.AgentTurn{Text: fmt.Sprintf("%s: nothing to do for ticket %v.", s.Task(), s.Metadata()["ticket"])})
		s.SetStatus("active") // nobody has to wait for it
	})
	client, err := hub.NewClient()
	if err != nil {
		fmt.Println(err)
		return
	}
	for ticket := range 2 { // the program under test, which keeps the ids to itself
		_, err := client.CreateSession(context.Background(), coder.CreateSessionRequest{
			Task: "Look into it", Metadata: map[string]any{"ticket": ticket},
		})
		if err != nil {
			fmt.Println(err)
			return
		}
	}
	for _, id := range hub.SessionIDs() {
		conversation := hub.Session(id).Entries()
		fmt.Println(conversation[len(conversation)-1].Content)
	}
	// Output:
	// Look into it: nothing to do for ticket 0.
	// Look into it: nothing to do for ticket 1.
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

// A program that shows the todo list of a session.
func ExampleSessionControl_SetTodos() {
	hub := codertest.NewHub()
	defer hub.Close()
	client, err := hub.NewClient()
	if err != nil {
		fmt.Println(err)
		return
	}
	session := hub.AddSession(codertest.Session{Task: "Add OAuth login"})
	session.SetTodos(
		codertest.Todo{Title: "Add the callback route", Status: coder.TodoDone},
		codertest.Todo{Title: "Validate the state", Status: coder.TodoInProgress, Priority: "high"},
	)

	list, err := client.SessionTodos(context.Background(), session.ID(), &coder.SessionTodosParams{IncludeTerminal: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, todo := range list.Todos {
		fmt.Println(todo.Status, todo.Title)
	}
	fmt.Println("done:", list.Summary.Done)
	// Output:
	// done Add the callback route
	// in_progress Validate the state
	// done: 1
}

// A program that writes skills to disk must not trust their paths.
func ExampleHub_AddSkillFile() {
	hub := codertest.NewHub()
	defer hub.Close()
	client, err := hub.NewClient()
	if err != nil {
		fmt.Println(err)
		return
	}
	hub.AddSkillFile(".agents/skills/review/SKILL.md", "# Review\n")
	hub.AddSkillFile("../../.profile", "surprise")

	skills, err := client.HubSkills(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, file := range skills.Skills {
		fmt.Println(file.Path, filepath.IsLocal(filepath.FromSlash(file.Path)))
	}
	// Output:
	// .agents/skills/review/SKILL.md true
	// ../../.profile false
}

// A program whose session was recorded meets the same Hub again.
func ExampleReplay() {
	// The recording: usually a file that has been written long ago, with a real Hub.
	var recording bytes.Buffer
	recorder, err := coder.NewRecorder(&recording, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	once := codertest.NewHub()
	defer once.Close()
	recorded, err := once.NewClient(coder.WithRecorder(recorder))
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	if _, err := recorded.CreateSession(ctx, coder.CreateSessionRequest{Task: "Fix the flaky test"}); err != nil {
		fmt.Println(err)
		return
	}
	if err := recorder.Close(); err != nil {
		fmt.Println(err)
		return
	}

	hub, err := codertest.Replay(&recording)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer hub.Close()
	client, err := hub.NewClient()
	if err != nil {
		fmt.Println(err)
		return
	}
	created, err := client.CreateSession(ctx, coder.CreateSessionRequest{Task: "Fix the flaky test"})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(created.SessionID, created.Status)
	_, err = client.CreateSession(ctx, coder.CreateSessionRequest{Task: "Remove the flaky test"})
	fmt.Println(err)
	fmt.Println(hub.Missing())
	// Output:
	// codesess_000000000001 creating
	// coder: CreateSession: 501 Not Implemented: codertest.Replay: POST /api/hub/session: it was recorded with another body (at /task) (POST /hub/session; NOT_RECORDED)
	// [POST /api/hub/session: it was recorded with another body (at /task)]
}
