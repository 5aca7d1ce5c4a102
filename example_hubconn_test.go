package coder_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"strings"
	"time"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

// exampleAgent attaches to a session whose agent waits for a prompt.
func exampleAgent(options ...codertest.Option) (*codertest.SessionControl, *coder.HubConn, func()) {
	hub := codertest.NewHub(options...)
	client, err := hub.NewClient()
	if err != nil {
		log.Fatal(err)
	}
	session := hub.AddSession(codertest.Session{Task: "Be there for questions"})
	conn, err := client.Attach(context.Background(), session.ID(), nil)
	if err != nil {
		log.Fatal(err)
	}
	return session, conn, func() { _ = conn.Close(); hub.Close() }
}

func ExampleHubConn_Ask() {
	session, conn, done := exampleAgent()
	defer done()
	session.Answer(
		codertest.AgentTurn{Text: "I will look.", Tools: []codertest.AgentTool{{Name: "read", Result: "go 1.26"}}},
		codertest.AgentTurn{Text: "It is Go 1.26."},
	)

	answer, err := conn.Ask(context.Background(), "Which Go is it?", &coder.AskOptions{
		OnText: func(delta string) { fmt.Print(delta, "|") }, // as it comes
		Limits: coder.Limits{ToolCalls: 20},
	})
	if err != nil {
		log.Fatal(err) // an *AgentError has what was said
	}
	fmt.Println()
	fmt.Println(answer.Text, answer.StopReason, answer.ToolCalls)
	// Output:
	// I |will |look.|It |is |Go |1.26.|
	// It is Go 1.26. stop 1
}

// The agent asks before it does something.
func ExampleHubConn_Ask_question() {
	session, conn, done := exampleAgent()
	defer done()
	session.Answer(codertest.AgentTurn{Tools: []codertest.AgentTool{{Ask: &codertest.AgentQuestion{
		Method: "confirm", Params: map[string]any{"title": "Delete the branch?"},
	}}}}, codertest.AgentTurn{Text: "It is gone."})

	answer, err := conn.Ask(context.Background(), "Clean up", &coder.AskOptions{
		OnQuestion: func(_ context.Context, question *coder.RPCUIRequestMessage) (any, error) {
			var params coder.RPCUIParams
			if err := question.Decode(&params); err != nil {
				return nil, err
			}
			fmt.Println(question.Method, params.Title)
			return true, nil
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(answer.Text)
	// Output:
	// confirm Delete the branch?
	// It is gone.
}

func ExampleHubConn_Submit() {
	session, conn, done := exampleAgent()
	defer done()
	session.Answer(codertest.AgentTurn{Text: "It is Go 1.26."})

	// A web server takes a question, and returns at once. The receipt is stored; it holds no text of the prompt.
	receipt, err := conn.Submit(context.Background(), "Which Go is it?")
	if err != nil && !errors.Is(err, coder.ErrOutcomeUnknown) { // it may have been sent: Answer finds out
		log.Fatal(err)
	}
	stored, err := receipt.MarshalText()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(receipt.SessionID == conn.SessionID(), strings.Contains(string(stored), "Which"))
	// Output: true false
}

func ExampleClient_Answer() {
	hub, client := exampleHub()
	defer hub.Close()
	ctx := context.Background()
	session := hub.AddSession(codertest.Session{Task: "Be there for questions"})
	session.Answer(codertest.AgentTurn{Text: "It is Go 1.26."})
	conn, err := client.Attach(ctx, session.ID(), nil)
	if err != nil {
		log.Fatal(err)
	}
	receipt, err := conn.Submit(ctx, "Which Go is it?")
	if err != nil {
		log.Fatal(err)
	}
	stored, err := receipt.MarshalText()
	if err != nil {
		log.Fatal(err)
	}
	_ = conn.Close() // the program ends

	// Another one has the receipt, and no connection.
	var again coder.Receipt
	if err := again.UnmarshalText(stored); err != nil {
		log.Fatal(err)
	}
	answer, err := client.Answer(ctx, &again)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(answer.Text)
	// Output: It is Go 1.26.
}

func ExampleHubConn_Listen() {
	session, conn, done := exampleAgent()
	defer done()
	session.Answer(codertest.AgentTurn{Tools: []codertest.AgentTool{{Ask: &codertest.AgentQuestion{
		Method: "input", Params: map[string]any{"title": "Which branch?"},
	}}}}, codertest.AgentTurn{Text: "Done on main."})
	if err := conn.Prompt(context.Background(), "Fix it"); err != nil { // as somebody else may do
		log.Fatal(err)
	}

	// A program that answers questions, whoever has made the agent work.
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	err := conn.Listen(ctx, &coder.AskOptions{
		OnQuestion: func(context.Context, *coder.RPCUIRequestMessage) (any, error) { return "main", nil },
		OnText: func(delta string) {
			fmt.Print(delta, "|")
			if strings.HasSuffix(delta, "main.") {
				stop()
			}
		},
	})
	fmt.Println(errors.Is(err, context.Canceled))
	// Output: Done |on |main.|true
}

func ExampleHubConn_Prompt() {
	_, conn, done := exampleAgent()
	defer done()
	ctx := context.Background()

	// It returns when the prompt is on the socket: the effects arrive as messages. Ask returns the answer.
	if err := conn.Prompt(ctx, "Which Go is it?"); err != nil {
		log.Fatal(err)
	}
	for message, err := range conn.Messages(ctx) {
		if err != nil {
			log.Fatal(err)
		}
		switch m := message.(type) {
		case *coder.RPCCommandErrorMessage:
			log.Fatal(m.Error) // it was not carried out
		case *coder.RPCEventMessage:
			if end, ok := m.AgentEvent().(*coder.MessageEnd); ok && end.Message.Role == "assistant" {
				fmt.Println(end.Message.Content.Text())
				return // there may be more
			}
		}
	}
	// Output: Working on it: Which Go is it?
}

func ExampleHubConn_Steer() {
	session, conn, done := exampleAgent()
	defer done()
	ctx := context.Background()
	exampleAtWork(session, conn)

	// What the agent is writing is finished first. To an idle one it is a prompt, or waits for the next.
	if err := conn.Steer(ctx, "Leave the tests alone"); err != nil {
		log.Fatal(err)
	}
	state, err := conn.GetState(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("at work:", state.IsStreaming, "waiting:", state.PendingMessageCount)
	// Output: at work: true waiting: 1
}

// exampleAtWork lets the agent work until it is aborted: it asks something that nobody answers.
func exampleAtWork(session *codertest.SessionControl, conn *coder.HubConn) {
	session.Answer(codertest.AgentTurn{Tools: []codertest.AgentTool{{Ask: &codertest.AgentQuestion{Method: "confirm"}}}})
	if err := conn.Prompt(context.Background(), "Fix the flaky test"); err != nil {
		log.Fatal(err)
	}
	exampleUntil(conn, func(m coder.ServerMessage) bool { _, asks := m.(*coder.RPCUIRequestMessage); return asks })
}

// exampleUntil reads messages up to one.
func exampleUntil(conn *coder.HubConn, last func(coder.ServerMessage) bool) {
	for message, err := range conn.Messages(context.Background()) {
		if err != nil {
			log.Fatal(err)
		}
		if last(message) {
			return
		}
	}
}

func ExampleHubConn_FollowUp() {
	session, conn, done := exampleAgent()
	defer done()
	ctx := context.Background()
	exampleAtWork(session, conn)

	// It comes when the agent is done with what it is at, and not before.
	if err := conn.FollowUp(ctx, "Then update the documentation"); err != nil {
		log.Fatal(err)
	}
	exampleUntil(conn, func(m coder.ServerMessage) bool {
		event, ok := m.(*coder.RPCEventMessage)
		if !ok {
			return false
		}
		queue, ok := event.AgentEvent().(*coder.QueueUpdate)
		if ok {
			fmt.Println(queue.FollowUp)
		}
		return ok
	})
	// Output: [Then update the documentation]
}

func ExampleHubConn_Abort() {
	session, conn, done := exampleAgent()
	defer done()
	ctx := context.Background()
	exampleAtWork(session, conn)

	if err := conn.Abort(ctx); err != nil {
		log.Fatal(err)
	}
	exampleUntil(conn, func(m coder.ServerMessage) bool {
		event, ok := m.(*coder.RPCEventMessage)
		if !ok {
			return false
		}
		end, ok := event.AgentEvent().(*coder.AgentEnd)
		if ok {
			fmt.Println("the run is over:", end.Answer().StopReason)
		}
		return ok
	})
	// Output: the run is over: aborted
}

func ExampleHubConn_Compact() {
	session, conn, done := exampleAgent()
	defer done()
	ctx := context.Background()
	session.Answer(codertest.AgentTurn{Text: "It is a long story."})
	if _, err := conn.Ask(ctx, "Tell me all of it", nil); err != nil {
		log.Fatal(err)
	}

	if err := conn.Compact(ctx); err != nil {
		log.Fatal(err)
	}
	exampleUntil(conn, func(m coder.ServerMessage) bool {
		event, ok := m.(*coder.RPCEventMessage)
		if !ok {
			return false
		}
		end, ok := event.AgentEvent().(*coder.CompactionEnd)
		if ok {
			fmt.Println("aborted:", end.Aborted, "smaller:", end.Result.TokensAfter < end.Result.TokensBefore)
		}
		return ok
	})
	// Output: aborted: false smaller: true
}

func ExampleHubConn_GetState() {
	_, conn, done := exampleAgent()
	defer done()

	state, err := conn.GetState(context.Background())
	var failed *coder.HubConnError
	if errors.As(err, &failed) && failed.Code == coder.ConnUnanswered {
		log.Fatal("an agent in a terminal answers no commands")
	}
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("at work:", state.IsStreaming, "waiting:", state.PendingMessageCount)
	// Output: at work: false waiting: 0
}

func ExampleHubConn_GetMessages() {
	session, conn, done := exampleAgent()
	defer done()
	ctx := context.Background()
	session.Answer(codertest.AgentTurn{Text: "It is Go 1.26."})
	if _, err := conn.Ask(ctx, "Which Go is it?", nil); err != nil {
		log.Fatal(err)
	}

	// The conversation as the agent has it, for those who come later.
	messages, err := conn.GetMessages(ctx)
	if err != nil {
		log.Fatal(err)
	}
	for _, m := range messages {
		if m.Role == "user" || m.Role == "assistant" {
			fmt.Printf("%s: %s\n", m.Role, m.Content.Text())
		}
	}
	// Output:
	// user: Which Go is it?
	// assistant: It is Go 1.26.
}

func ExampleHubConn_RespondUI() {
	session, conn, done := exampleAgent()
	defer done()
	ctx := context.Background()
	session.Answer(codertest.AgentTurn{Tools: []codertest.AgentTool{{Ask: &codertest.AgentQuestion{
		Method: "select", Params: map[string]any{"title": "Which one?", "options": []string{"main", "next"}},
	}}}}, codertest.AgentTurn{Text: "I take it."})
	if err := conn.Prompt(ctx, "Fix it"); err != nil {
		log.Fatal(err)
	}

	for message, err := range conn.Messages(ctx) {
		if err != nil {
			log.Fatal(err)
		}
		switch m := message.(type) {
		case *coder.RPCUIRequestMessage:
			if !m.Method.Answered() {
				continue // it is only to be shown
			}
			if err := conn.RespondUI(ctx, m.ID, "next"); err != nil { // nil: the user chose nothing
				log.Fatal(err)
			}
		case *coder.RPCEventMessage:
			switch e := m.AgentEvent().(type) {
			case *coder.ToolExecutionEnd:
				fmt.Println("the tool got", e.Result.Content.Text())
			case *coder.AgentEnd:
				return
			}
		}
	}
	// Output: the tool got next
}

func ExampleHubConn_Messages() {
	hub, client := exampleHub()
	defer hub.Close()
	ctx := context.Background()
	session := hub.AddSession(codertest.Session{Task: "Review pull request 7"})
	// Over a real network leave ReconnectDelay out.
	conn, err := client.Connect(ctx, session.ID(), &coder.HubConnectOptions{ReconnectDelay: time.Millisecond})
	if err != nil {
		log.Fatal(err)
	}

	lost := false
	for message, err := range conn.Messages(ctx) {
		if err != nil {
			log.Fatal(err) // the last that comes, when the connection is over for good
		}
		switch m := message.(type) {
		case *coder.ReconnectedMessage:
			fmt.Println("what was sent meanwhile is lost")
			lost = true
		case *coder.HubHydrationMessage: // with each connection: it replaces what was known
			fmt.Println("so far:", m.Entries[0].Content)
			if lost {
				_ = conn.Close() // ends the loop, without an error
			} else {
				session.CutStreams() // as a network would
			}
		}
	}
	fmt.Println(conn.State())
	// Output:
	// so far: Review pull request 7
	// what was sent meanwhile is lost
	// so far: Review pull request 7
	// closed
}

func ExampleHubConn_DiscardMessages() {
	_, conn, done := exampleAgent()
	defer done()

	// A program that only sends, and waits for responses. Without this, reading stops when too many messages wait.
	conn.DiscardMessages()
	for range 3 {
		if _, err := conn.GetState(context.Background()); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println(conn.State())
	// Output: connected
}

func ExampleHubConn_State() {
	_, conn, done := exampleAgent()
	defer done()

	// For a light in the corner of a window. It changes by itself when the connection is lost, and when it is back.
	fmt.Println(conn.State())
	if err := conn.Close(); err != nil {
		log.Fatal(err)
	}
	fmt.Println(conn.State())
	// Output:
	// connected
	// closed
}

func ExampleHubConn_Close() {
	_, conn, done := exampleAgent()
	defer done()

	if err := conn.Close(); err != nil { // always nil: it can be deferred, and called again
		log.Fatal(err)
	}
	err := conn.Prompt(context.Background(), "Are you there?")
	fmt.Println(errors.Is(err, coder.ErrConnClosed), errors.Is(err, coder.ErrOutcomeUnknown))
	// Output: true false
}

func ExampleHubConn_Send() {
	session, conn, done := exampleAgent()
	defer done()
	ctx := context.Background()

	// A prompt that is queued if the agent is at work, with an id that is known.
	err := conn.Send(ctx, &coder.RPCCommandMessage{Command: coder.RPCCommand{
		Type: coder.CommandPrompt, ID: "prompt-7", Message: "Fix it", StreamingBehavior: coder.QueueFollowUp,
	}})
	if errors.Is(err, coder.ErrOutcomeUnknown) {
		log.Fatal("the agent may have it: look before it is sent again")
	}
	if err != nil {
		log.Fatal(err)
	}
	exampleUntil(conn, func(m coder.ServerMessage) bool {
		response, ok := m.(*coder.RPCResponseMessage)
		if ok {
			fmt.Println(response.Response.ID, response.Response.Success)
		}
		return ok
	})
	fmt.Println(session.Entries()[1].Content)
	// Output:
	// prompt-7 true
	// Fix it
}

// A program that leads asks the Hub before it runs a tool.
func ExampleHubConn_SendAndWait() {
	hub, client := exampleHub()
	defer hub.Close()
	ctx := context.Background()
	hub.OnRequest(func(r codertest.LeadRequest) ([]codertest.Action, bool) {
		return []codertest.Action{{"action": "BLOCK", "reason": "not on a Friday"}}, true
	})
	conn, err := client.ConnectNew(ctx, &coder.HubConnectOptions{Role: coder.RoleLead, Task: "Release it"})
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()

	response, err := conn.SendAndWait(ctx, &coder.EventRequest{
		Event: coder.EventToolCall, Data: map[string]any{"toolName": "bash", "input": map[string]any{"command": "make release"}},
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, action := range response.Actions { // none means to proceed
		if block, ok := action.(*coder.BlockAction); ok {
			fmt.Println("blocked:", block.Reason)
		}
	}
	// Output: blocked: not on a Friday
}

func ExampleHubConn_Init() {
	hub, client := exampleHub()
	defer hub.Close()
	hub.SetInit(map[string]any{
		"tools": []any{map[string]any{"name": "web_search", "label": "Search the web", "description": "Searches"}},
	})
	conn, err := client.ConnectNew(context.Background(), &coder.HubConnectOptions{Role: coder.RoleLead, Task: "Release it"})
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()

	if init := conn.Init(); init != nil { // an observer may be admitted without one
		fmt.Println(init.Role, init.Task, init.Tools[0].Name)
	}
	// Output: lead Release it web_search
}

func ExampleHubConn_SessionID() {
	hub, client := exampleHub()
	defer hub.Close()
	ctx := context.Background()
	conn, err := client.ConnectNew(ctx, &coder.HubConnectOptions{Role: coder.RoleLead, Task: "Release it"})
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()

	// The Hub has made it up.
	session, err := client.GetSession(ctx, conn.SessionID())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(session.SessionID, session.Task)
	// Output: codesess_000000000001 Release it
}

func ExampleClient_Connect() {
	hub, client := exampleHub()
	defer hub.Close()
	session := hub.AddSession(codertest.Session{Task: "Review pull request 7"})

	// An observer who wants to know of tasks only. A controller attaches: see Attach.
	conn, err := client.Connect(context.Background(), session.ID(), &coder.HubConnectOptions{Subscribe: []string{"task"}})
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	session.Emit(codertest.Event{Event: coder.EventTurnEnd})
	session.Emit(codertest.Event{Event: coder.EventTaskStart, TaskID: "t1"})
	exampleUntil(conn, func(m coder.ServerMessage) bool {
		event, ok := m.(*coder.BroadcastEventMessage)
		if ok {
			fmt.Println(event.Event)
		}
		return ok
	})
	// Output: task_start
}

func ExampleClient_ConnectNew() {
	hub, client := exampleHub()
	defer hub.Close()

	// A program that leads a session of its own.
	conn, err := client.ConnectNew(context.Background(), &coder.HubConnectOptions{
		Role: coder.RoleLead, Task: "Release it", Label: "Release 1.4",
	})
	if errors.Is(err, coder.ErrOutcomeUnknown) {
		log.Fatal("the session may exist, look before you create it again: ", err)
	}
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	fmt.Println(conn.SessionID(), hub.Session(conn.SessionID()).Label())
	// Output: codesess_000000000001 Release 1.4
}

func ExampleRPCResponse() {
	// What a newer agent says of a prompt: whether it begins now, waits, or was a command.
	response := coder.RPCResponse{ID: "prompt-7", Command: coder.CommandPrompt, Success: true, Data: json.RawMessage(`{"disposition": "queued"}`)}
	switch response.Disposition() {
	case coder.PromptStarted:
		fmt.Println("the agent begins")
	case coder.PromptQueued:
		fmt.Println("the agent comes to it later")
	case "":
		fmt.Println("an older agent: wait for its events")
	}
	// Output: the agent comes to it later
}

func ExampleRPCUIMethod() {
	for _, method := range []coder.RPCUIMethod{coder.UIConfirm, coder.UINotify, "pickColor"} {
		fmt.Println(method, "wants an answer:", method.Answered())
	}
	// Output:
	// confirm wants an answer: true
	// notify wants an answer: false
	// pickColor wants an answer: true
}

func ExampleRPCUIRequestMessage() {
	session, conn, done := exampleAgent()
	defer done()
	session.Answer(codertest.AgentTurn{Tools: []codertest.AgentTool{{Ask: &codertest.AgentQuestion{
		Method: "select", Params: map[string]any{"title": "Which one?", "options": []string{"main", "next"}},
	}}}})
	if err := conn.Prompt(context.Background(), "Fix it"); err != nil {
		log.Fatal(err)
	}
	exampleUntil(conn, func(m coder.ServerMessage) bool {
		question, ok := m.(*coder.RPCUIRequestMessage)
		if ok {
			var params coder.RPCUIParams
			if err := question.Decode(&params); err != nil {
				log.Fatal(err)
			}
			fmt.Println(question.Method, params.Title, params.Options)
		}
		return ok
	})
	// Output: select Which one? [main next]
}

func ExampleRPCEventMessage() {
	message := coder.RPCEventMessage{ // as HubConn.Messages yields it
		EventType: coder.EventToolExecutionEnd,
		Event:     json.RawMessage(`{"type": "tool_execution_end", "toolCallId": "1", "toolName": "bash", "result": {"content": "ok"}, "exitCode": 0}`),
	}
	if end, ok := message.AgentEvent().(*coder.ToolExecutionEnd); ok {
		fmt.Println(end.ToolName, end.Result.Content.Text())
	}
	// A member for which the type has no field.
	var more struct {
		ExitCode int `json:"exitCode"`
	}
	if err := message.Decode(&more); err != nil {
		log.Fatal(err)
	}
	fmt.Println("exit", more.ExitCode)
	// Output:
	// bash ok
	// exit 0
}

func ExampleBroadcastEventMessage() {
	hub, client := exampleHub()
	defer hub.Close()
	session := hub.AddSession(codertest.Session{Task: "Review pull request 7"})

	// Events of the agent have types. Of all others the data can be decoded.
	for event, err := range client.StreamEvents(context.Background(), session.ID(), nil) {
		if err != nil {
			log.Fatal(err)
		}
		switch m := event.Data.(type) {
		case *coder.SSEHydrationMessage:
			session.Emit(codertest.Event{Event: coder.EventTurnStart, Payload: map[string]any{"turnIndex": 3}})
			session.Emit(codertest.Event{Event: "deploy_started", Payload: map[string]any{"stage": "canary"}})
		case *coder.BroadcastEventMessage:
			switch e := m.AgentEvent().(type) {
			case *coder.TurnStart:
				fmt.Println("the agent begins a turn")
			case *coder.UnknownAgentEvent:
				if m.Event != "deploy_started" {
					continue
				}
				var deploy struct {
					Stage string `json:"stage"`
				}
				if err := m.Decode(&deploy); err != nil {
					log.Fatal(err)
				}
				fmt.Println(e.Name, deploy.Stage)
				return
			}
		}
	}
	// Output:
	// the agent begins a turn
	// deploy_started canary
}

func ExampleMessageUpdate() {
	// Pieces of an answer, as they come. What is said to the reader is printed at once.
	for _, piece := range []string{
		`{"type": "message_update", "assistantMessageEvent": {"type": "thinking_delta", "contentIndex": 0, "delta": "Where is it?"}}`,
		`{"type": "message_update", "assistantMessageEvent": {"type": "text_delta", "contentIndex": 1, "delta": "It is in "}}`,
		`{"type": "message_update", "assistantMessageEvent": {"type": "text_delta", "contentIndex": 1, "delta": "line 7."}}`,
	} {
		message := coder.RPCEventMessage{EventType: coder.EventMessageUpdate, Event: json.RawMessage(piece)}
		if update, ok := message.AgentEvent().(*coder.MessageUpdate); ok {
			fmt.Print(update.TextDelta())
		}
	}
	// Output: It is in line 7.
}

func ExampleAgentEnd() {
	// The end of a run. Its last message of the assistant is the answer, unless the agent tries again.
	end := coder.AgentEnd{Messages: []coder.AgentMessage{
		{Role: "user", Content: coder.MessageContent{{Type: coder.BlockText, Text: "Which Go is it?"}}},
		{Role: "assistant", Content: coder.MessageContent{{Type: coder.BlockText, Text: "It is Go 1.26."}}, StopReason: coder.StopReasonStop},
	}}
	if answer := end.Answer(); answer != nil && answer.StopReason != coder.StopReasonError {
		fmt.Println(answer.Content.Text())
	}
	// Output: It is Go 1.26.
}

func ExampleMessageContent() {
	var content coder.MessageContent
	err := json.Unmarshal([]byte(`[
		{"type": "thinking", "thinking": "It must be in a test."},
		{"type": "text", "text": "I look for it."},
		{"type": "toolCall", "id": "1", "name": "grep", "arguments": {"pattern": "Sleep"}}
	]`), &content)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("text:", content.Text())
	fmt.Println("thinking:", content.Thinking())
	for _, call := range content.ToolCalls() {
		fmt.Printf("%s %s\n", call.Name, call.Arguments)
	}
	// Output:
	// text: I look for it.
	// thinking: It must be in a test.
	// grep {"pattern": "Sleep"}
}
