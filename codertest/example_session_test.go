package codertest_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"log"
	"runtime"
	"time"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

// exampleAgent attaches a program to a session whose agent waits for a prompt.
func exampleAgent(options ...codertest.Option) (*codertest.SessionControl, *coder.HubConn, func()) {
	hub, client := exampleHub(options...)
	session := hub.AddSession(codertest.Session{Task: "Be there for questions"})
	conn, err := client.Attach(context.Background(), session.ID(), &coder.AttachOptions{
		Connection: coder.HubConnectOptions{ReconnectDelay: time.Millisecond},
	})
	if err != nil {
		log.Fatal(err)
	}
	return session, conn, func() { _ = conn.Close(); hub.Close() }
}

// exampleEvents has what the agent does, as a program hears it.
func exampleEvents(conn *coder.HubConn) iter.Seq[coder.AgentEvent] {
	return func(yield func(coder.AgentEvent) bool) {
		for message, err := range conn.Messages(context.Background()) {
			if err != nil {
				log.Fatal(err)
			}
			if event, ok := message.(*coder.RPCEventMessage); ok && !yield(event.AgentEvent()) {
				return
			}
		}
	}
}

// exampleStream follows a session, as a program does, and reconnects at once.
func exampleStream(client *coder.Client, session *codertest.SessionControl) iter.Seq[coder.ObserverSSEMessage] {
	options := &coder.StreamEventsOptions{ReconnectDelay: time.Millisecond}
	return func(yield func(coder.ObserverSSEMessage) bool) {
		for event, err := range client.StreamEvents(context.Background(), session.ID(), options) {
			if err != nil {
				fmt.Println(err)
				return
			}
			if !yield(event.Data) {
				return
			}
		}
	}
}

// What a program has created, and what has become of it.
func ExampleSessionControl_look() {
	hub, client := exampleHub()
	defer hub.Close()
	ctx := context.Background()
	created, err := client.CreateSession(ctx, coder.CreateSessionRequest{
		Task: "Fix the flaky test", Label: "flaky", Metadata: map[string]any{"ticket": "7"},
	})
	if err != nil {
		log.Fatal(err)
	}

	session := hub.Session(created.SessionID)
	fmt.Println(session.ID(), session.Label(), session.Task(), session.Metadata()["ticket"])
	fmt.Println(session.Status(), session.Archived(), session.Deleted()) // looking moves nothing on
	if _, err := client.ArchiveSession(ctx, session.ID()); err != nil {
		log.Fatal(err)
	}
	fmt.Println(session.Status(), session.Archived(), session.Deleted())
	if err := client.DeleteSession(ctx, session.ID()); err != nil {
		log.Fatal(err)
	}
	fmt.Println(session.Status(), session.Archived(), session.Deleted())
	// Output:
	// codesess_000000000001 flaky Fix the flaky test 7
	// creating false false
	// archived true false
	// archived true true
}

// What a client would be told now.
func ExampleSessionControl_Detail() {
	hub, client := exampleHub()
	defer hub.Close()
	session := hub.Session(exampleCreate(client, "Fix the flaky test"))
	_, err := client.UpdateSession(context.Background(), session.ID(), coder.UpdateSessionRequest{Tags: []string{"ci"}})
	if err != nil {
		log.Fatal(err)
	}

	detail := session.Detail() // as GetSession would return it
	fmt.Println(detail.Tags, detail.Visibility, detail.Bucket)
	// Output: [ci] private provisioning
}

// A session that becomes ready, and then loses its runtime.
func ExampleSessionControl_SetStatus() {
	hub, client := exampleHub()
	defer hub.Close()
	id := exampleCreate(client, "Fix the flaky test")

	for _, status := range []string{coder.StatusActive, coder.StatusFailed} {
		hub.Session(id).SetStatus(status)
		got, err := client.GetSession(context.Background(), id)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(got.Status, got.RuntimeAvailable) // what follows from the status is as it has to be
	}
	// Output:
	// active true
	// failed false
}

// The session falls asleep while the program has something to say.
func ExampleSessionControl_Pause() {
	hub, client := exampleHub()
	defer hub.Close()
	session := hub.AddSession(codertest.Session{Task: "Fix the flaky test"})
	session.Pause()

	// The program under test.
	conn, err := client.Attach(context.Background(), session.ID(), &coder.AttachOptions{
		Preparation: coder.RemoteAttachPreparationOptions{PollInterval: time.Millisecond},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	fmt.Println(session.Status())
	// Output: active
}

// Somebody else archives the session.
func ExampleSessionControl_Archive() {
	hub, client := exampleHub()
	defer hub.Close()
	session := hub.AddSession(codertest.Session{Task: "Fix the flaky test"})
	session.Archive()

	_, err := client.ResumeSession(context.Background(), session.ID())
	fmt.Println(errors.Is(err, coder.ErrSessionArchived))
	// Output: true
}

// The agent is done and leaves. Unlike an archived session it is still listed.
func ExampleSessionControl_Shutdown() {
	hub, client := exampleHub()
	defer hub.Close()
	session := hub.AddSession(codertest.Session{Task: "Fix the flaky test"})
	session.Shutdown()

	list, err := client.ListSessions(context.Background(), nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(list.Sessions[0].Status, list.Sessions[0].HistoryOnly)
	// Output: shutdown true
}

// What each of the next looks at the session sees.
func ExampleSessionControl_Script() {
	hub, client := exampleHub()
	defer hub.Close()
	session := hub.Session(exampleCreate(client, "Fix the flaky test"))
	session.Script(
		nil, // as it is
		(*codertest.SessionControl).Pause,
		func(s *codertest.SessionControl) { s.SetStatus(coder.StatusFailed) },
	)

	for range 3 {
		got, err := client.GetSession(context.Background(), session.ID())
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(got.Status)
	}
	// Output:
	// creating
	// paused
	// failed
}

// A member that the Hub does not have by itself, or that has another form.
func ExampleSessionControl_Set() {
	hub, client := exampleHub()
	defer hub.Close()
	session := hub.AddSession(codertest.Session{Task: "Fix the flaky test"})
	session.Set("usage", map[string]any{"inputTokens": 5200})
	session.Set("tasks", "none")

	got, err := client.GetSession(context.Background(), session.ID())
	if err != nil {
		log.Fatal(err)
	}
	usage, err := got.Usage()
	fmt.Println(usage.InputTokens, err)
	_, err = got.Tasks()
	fmt.Println(err != nil)
	// Output:
	// 5200 <nil>
	// true
}

// A program that follows the loop of a session.
func ExampleSessionControl_SetLoop() {
	hub, client := exampleHub()
	defer hub.Close()
	session := hub.AddSession(codertest.Session{Task: "Migrate the tests"})
	session.SetLoop(codertest.Loop{Status: coder.LoopAwaitingInput, Iteration: 2, NextAction: "Needs a token"})

	outcome, err := client.CheckSession(context.Background(), session.ID())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(outcome.Kind, outcome.Loop.NextAction)
	// Output: needs_input Needs a token
}

// A session in somebody's terminal cannot be controlled by others.
func ExampleSessionControl_SetMode() {
	hub, client := exampleHub()
	defer hub.Close()
	session := hub.AddSession(codertest.Session{Task: "Fix the flaky test"})
	session.SetMode(coder.SessionModeTUI)

	list, err := client.ListConnectableSessions(context.Background(), nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(list.Sessions), "to connect to")
	// Output: 0 to connect to
}

// What the agent answers to the next prompt of this session.
func ExampleSessionControl_Answer() {
	session, conn, done := exampleAgent()
	defer done()
	session.Answer(
		codertest.AgentTurn{Text: "I will look.", Tools: []codertest.AgentTool{{Name: "read", Result: "go 1.26"}}},
		codertest.AgentTurn{Text: "It is Go 1.26."},
	)

	answer, err := conn.Ask(context.Background(), "Which Go is it?", nil) // the program under test
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(answer.Text, answer.ToolCalls)
	// Output: It is Go 1.26. 1
}

// The model fails at the next prompt.
func ExampleSessionControl_FailModel() {
	session, conn, done := exampleAgent()
	defer done()
	session.FailModel(codertest.AgentInvalidRequest)
	if err := conn.Prompt(context.Background(), "Which Go is it?"); err != nil {
		log.Fatal(err)
	}

	for event := range exampleEvents(conn) {
		if end, ok := event.(*coder.AgentEnd); ok {
			fmt.Println(end.Answer().StopReason)
			break
		}
	}
	// Output: error
}

// The model has no room for more, in the middle of an answer.
func ExampleSessionControl_EndTurn() {
	session, conn, done := exampleAgent(codertest.WithAgentPace(20 * time.Millisecond))
	defer done()
	session.Answer(codertest.AgentTurn{Text: "One two three four five six seven eight nine ten"})
	if err := conn.Prompt(context.Background(), "Count"); err != nil {
		log.Fatal(err)
	}

	for event := range exampleEvents(conn) {
		switch e := event.(type) {
		case *coder.MessageUpdate:
			session.EndTurn("length", "")
		case *coder.AgentEnd:
			fmt.Println(e.Answer().StopReason)
			return
		}
	}
	// Output: length
}

// A conversation that a test writes by itself.
func ExampleSessionControl_AddReplayEntries() {
	hub, client := exampleHub()
	defer hub.Close()
	session := hub.AddSession(codertest.Session{Task: "Fix the flaky test"})
	session.AddReplayEntries(codertest.ReplayEntry{
		Type: coder.EntryToolCall, Agent: "lead", Members: map[string]any{"toolName": "grep", "toolCallId": "1"},
	})

	for entry, err := range client.ReplayEntries(context.Background(), session.ID(), nil) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s: %s\n", entry.Type, cmp.Or(entry.Content, entry.ToolName))
	}
	// Output:
	// user_prompt: Fix the flaky test
	// tool_call: grep
}

// What has been said, whoever has said it.
func ExampleSessionControl_Entries() {
	session, conn, done := exampleAgent()
	defer done()
	session.Answer(codertest.AgentTurn{Text: "It is Go 1.26."})
	if _, err := conn.Ask(context.Background(), "Which Go is it?", nil); err != nil {
		log.Fatal(err)
	}

	for _, entry := range session.Entries() {
		fmt.Printf("%s: %s\n", entry.Type, entry.Content)
	}
	// Output:
	// user_prompt: Be there for questions
	// user_prompt: Which Go is it?
	// message: It is Go 1.26.
}

// What has happened, without a request of a client.
func ExampleSessionControl_Events() {
	hub, client := exampleHub()
	defer hub.Close()
	session := hub.AddSession(codertest.Session{Task: "Fix the flaky test"})
	if _, err := client.UpdateSession(context.Background(), session.ID(), coder.UpdateSessionRequest{Label: new("flaky")}); err != nil {
		log.Fatal(err)
	}

	for _, event := range session.Events() {
		fmt.Println(event.ID, event.Event)
	}
	// Output:
	// 1 session_start
	// 2 session_label_updated
}

// An event is told to those who follow, and stays in the history.
func ExampleSessionControl_Emit() {
	hub, client := exampleHub()
	defer hub.Close()
	session := hub.AddSession(codertest.Session{Task: "Fix the flaky test"})

	for message := range exampleStream(client, session) {
		switch m := message.(type) {
		case *coder.SSEHydrationMessage:
			id := session.Emit(codertest.Event{Event: "deploy_started", Payload: map[string]any{"stage": "canary"}})
			fmt.Println("event", id)
		case *coder.BroadcastEventMessage:
			if m.Event == "deploy_started" {
				fmt.Printf("%s %s\n", m.Event, m.Data)
				return
			}
		}
	}
	// Output:
	// event 3
	// deploy_started {"stage":"canary"}
}

// An event that is told and forgotten: who was away never hears of it.
func ExampleSessionControl_Broadcast() {
	hub, client := exampleHub()
	defer hub.Close()
	session := hub.AddSession(codertest.Session{Task: "Fix the flaky test"})

	for message := range exampleStream(client, session) {
		switch m := message.(type) {
		case *coder.SSEHydrationMessage:
			session.Broadcast(codertest.Event{Event: "deploy_started"})
		case *coder.BroadcastEventMessage:
			if m.Event == "deploy_started" {
				last := session.Events()[len(session.Events())-1]
				fmt.Println("told:", m.Event, "last in the history:", last.Event)
				return
			}
		}
	}
	// Output: told: deploy_started last in the history: session_join
}

// The network fails. Does the program connect again?
func ExampleSessionControl_CutStreams() {
	hub, client := exampleHub()
	defer hub.Close()
	session := hub.AddSession(codertest.Session{Task: "Fix the flaky test"})

	cut := false
	for message := range exampleStream(client, session) {
		switch message.(type) {
		case *coder.SSEHydrationMessage:
			if !cut {
				session.CutStreams()
				cut = true
			}
		case *coder.ReconnectedMessage:
			fmt.Println("it has connected again")
			return
		}
	}
	// Output: it has connected again
}

// The Hub closes connections in good order.
func ExampleSessionControl_EndStreams() {
	session, conn, done := exampleAgent()
	defer done()
	session.EndStreams(coder.CloseSessionNotFound, "the session was moved")

	for _, err := range conn.Messages(context.Background()) {
		var lost *coder.HubConnError
		if errors.As(err, &lost) { // a code after which nobody connects again
			fmt.Println(lost.CloseCode, lost.CloseReason)
		}
	}
	// Output: 4404 SESSION_NOT_FOUND the session was moved
}

// The connection is there, and nothing comes. Does the program notice?
func ExampleSessionControl_StallStreams() {
	hub, client := exampleHub()
	defer hub.Close()
	session := hub.AddSession(codertest.Session{Task: "Fix the flaky test"})

	stalled := false
	options := &coder.StreamEventsOptions{IdleTimeout: 30 * time.Millisecond, ReconnectDelay: time.Millisecond}
	for event, err := range client.StreamEvents(context.Background(), session.ID(), options) {
		if err != nil {
			log.Fatal(err)
		}
		switch event.Data.(type) {
		case *coder.SSEHydrationMessage:
			if !stalled {
				session.StallStreams()
				stalled = true
			}
		case *coder.ReconnectedMessage:
			fmt.Println("it has connected again")
			return
		}
	}
	// Output: it has connected again
}

// The Hub takes nothing any more. Does the program wait for ever?
func ExampleSessionControl_StopReading() {
	hub, client := exampleHub(codertest.WithInMemoryNetwork())
	session := hub.AddSession(codertest.Session{Task: "Fix the flaky test"})
	conn, err := client.Attach(context.Background(), session.ID(), nil)
	if err != nil {
		log.Fatal(err)
	}
	session.StopReading()

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	for err == nil { // until the buffers of the network are full
		err = conn.Send(ctx, &coder.RenameSessionMessage{Label: "flaky"})
	}
	fmt.Println(errors.Is(err, context.DeadlineExceeded))
	hub.Close()
	_ = conn.Close()
	// Output: true
}

// What a real Hub would never send. Does the program survive it?
func ExampleSessionControl_SendRaw() {
	hub, client := exampleHub()
	defer hub.Close()
	session := hub.AddSession(codertest.Session{Task: "Fix the flaky test"})

	for message := range exampleStream(client, session) {
		switch m := message.(type) {
		case *coder.SSEHydrationMessage:
			session.SendRaw("event: broadcast\ndata: {\"event\": 7\n\n")
		case *coder.UnknownMessage:
			fmt.Printf("%s\n", m.Raw)
			return
		}
	}
	// Output: {"event": 7
}

// Clients are turned away from one session.
func ExampleSessionControl_RefuseStreams() {
	hub, client := exampleHub()
	defer hub.Close()
	session := hub.AddSession(codertest.Session{Task: "Fix the flaky test"})
	refusal := session.RefuseStreams(codertest.Refusal{Code: "session_expired", Message: "too old", CloseCode: coder.CloseForbidden})

	_, err := client.Connect(context.Background(), session.ID(), nil)
	var failed *coder.HubConnError
	if errors.As(err, &failed) {
		fmt.Println(failed.ServerCode, failed.ServerMessage, refusal.Hits())
	}
	// Output: session_expired too old 1
}

// Does the program leave a connection open?
func ExampleSessionControl_Streams() {
	session, conn, done := exampleAgent()
	defer done()
	fmt.Println(session.Streams())

	if err := conn.Close(); err != nil { // the program under test
		log.Fatal(err)
	}
	for session.Streams() > 0 { // the Hub notices a little later; in a bubble: synctest.Wait
		runtime.Gosched()
	}
	fmt.Println(session.Streams())
	// Output:
	// 1
	// 0
}

// What a program has sent over its sockets.
func ExampleSessionControl_Frames() {
	session, conn, done := exampleAgent()
	defer done()
	if _, err := conn.GetState(context.Background()); err != nil { // its answer says that it has arrived
		log.Fatal(err)
	}

	for _, frame := range session.Frames() {
		fmt.Println(frame.Role, frame.Type)
	}
	// Output:
	// controller bootstrap_ready
	// controller rpc_command
}

// What a program that leads has written.
func ExampleSessionControl_Files() {
	hub, client := exampleHub()
	defer hub.Close()
	ctx := context.Background()
	conn, err := client.ConnectNew(ctx, &coder.HubConnectOptions{Role: coder.RoleLead, Task: "Release it"})
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	if err := conn.Send(ctx, &coder.SessionWriteMessage{Path: "notes.md", Content: "# Release\n"}); err != nil {
		log.Fatal(err)
	}
	// The Hub reads one message after the other: with the answer to the second it has the first.
	if _, err := conn.SendAndWait(ctx, &coder.EventRequest{Event: coder.EventTurnEnd}); err != nil {
		log.Fatal(err)
	}

	fmt.Printf("%q\n", hub.Session(conn.SessionID()).Files())
	// Output: map["notes.md":"# Release\n"]
}

// Other people in a session.
func ExampleSessionControl_AddParticipant() {
	hub, client := exampleHub()
	defer hub.Close()
	session := hub.AddSession(codertest.Session{Task: "Fix the flaky test"})
	id := session.AddParticipant(codertest.Participant{Role: coder.RoleController, Metadata: map[string]any{"name": "Ada"}})

	list, err := client.ListParticipants(context.Background(), session.ID(), nil)
	if err != nil {
		log.Fatal(err)
	}
	for _, p := range list.Participants {
		if p.ID == id {
			fmt.Println(p.Role, p.Metadata["name"])
		}
	}
	// Output: controller Ada
}

// As whom a program takes part.
func ExampleSessionControl_Participants() {
	session, _, done := exampleAgent()
	defer done()

	for _, p := range session.Participants() {
		fmt.Println(p.Role, p.Transport)
	}
	// Output:
	// lead ws
	// controller ws
}

// One client is sent away, and the others stay.
func ExampleSessionControl_DisconnectParticipant() {
	session, conn, done := exampleAgent()
	defer done()
	for _, p := range session.Participants() {
		if p.Role == coder.RoleController {
			session.DisconnectParticipant(p.ID)
		}
	}

	for message, err := range conn.Messages(context.Background()) {
		if err != nil {
			log.Fatal(err)
		}
		if _, ok := message.(*coder.ReconnectedMessage); ok {
			fmt.Println("it has connected again")
			break
		}
	}
	// Output: it has connected again
}

// A program that shows who is there.
func ExampleSessionControl_UpdatePresence() {
	hub, client := exampleHub()
	defer hub.Close()
	session := hub.AddSession(codertest.Session{Task: "Fix the flaky test"})

	for message := range exampleStream(client, session) {
		switch m := message.(type) {
		case *coder.SSEHydrationMessage:
			session.UpdatePresence()
		case *coder.PresenceEventMessage:
			if m.Event == "presence_update" { // others say who has come or left
				fmt.Println(len(m.Participants), "participants")
				return
			}
		}
	}
	// Output: 2 participants
}
