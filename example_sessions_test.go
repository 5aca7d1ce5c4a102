package coder_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

func ExampleClient_GetSession() {
	hub, client := exampleHub()
	defer hub.Close()
	session := hub.AddSession(codertest.Session{Task: "Review pull request 7", Status: coder.StatusPaused})

	got, err := client.GetSession(context.Background(), session.ID())
	if errors.Is(err, coder.ErrSessionNotFound) {
		log.Fatal("somebody has deleted it")
	}
	if err != nil {
		log.Fatal(err)
	}
	// Status is free text. What can be done with the session is said by other members.
	switch {
	case got.HistoryOnly:
		fmt.Println("its transcript can be read")
	case got.RuntimeAvailable:
		fmt.Println("it can be attached to")
	case got.WakeAvailable:
		fmt.Println("it can be attached to, once it is awake")
	}
	// Output: it can be attached to, once it is awake
}

func ExampleClient_ListSessions() {
	hub, client := exampleHub()
	defer hub.Close()
	for _, task := range []string{"Fix billing", "Add a /healthz endpoint", "Test billing", "Document billing"} {
		hub.AddSession(codertest.Session{Task: task})
	}

	// A page for people. AllSessions gets all of them.
	page, err := client.ListSessions(context.Background(), &coder.ListSessionsParams{Search: "billing", Limit: 2})
	if err != nil {
		log.Fatal(err)
	}
	for _, session := range page.Sessions {
		fmt.Println(session.SessionID, session.Label)
	}
	fmt.Println("of", page.Total)
	// Output:
	// codesess_000000000004 Document billing
	// codesess_000000000003 Test billing
	// of 3
}

func ExampleClient_ListConnectableSessions() {
	hub, client := exampleHub()
	defer hub.Close()
	for _, status := range []string{coder.StatusActive, coder.StatusPaused, coder.StatusArchived, coder.StatusFailed} {
		hub.AddSession(codertest.Session{Task: "Review pull request 7", Status: status})
	}

	// What a user may choose from. It makes one request, for what the Hub puts on one page.
	list, err := client.ListConnectableSessions(context.Background(), &coder.ListConnectableSessionsParams{Limit: 10})
	if err != nil {
		log.Fatal(err)
	}
	for _, session := range list.Sessions {
		fmt.Println(session.SessionID, session.Status)
	}
	// Output:
	// codesess_000000000002 paused
	// codesess_000000000001 active
}

func ExampleClient_UpdateSession() {
	hub, client := exampleHub()
	defer hub.Close()
	session := hub.AddSession(codertest.Session{Task: "Review pull request 7", Tags: []string{"backend"}})
	visibility, err := coder.NormalizeVisibility("org") // as somebody has typed it
	if err != nil {
		log.Fatal(err)
	}

	// Nil leaves a member as it is, an empty list clears it.
	updated, err := client.UpdateSession(context.Background(), session.ID(), coder.UpdateSessionRequest{
		Label: new("Pull request 7"), Visibility: &visibility, Tags: []string{},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(updated.Label, updated.Visibility, len(updated.Tags))
	// Output: Pull request 7 organization 0
}

func ExampleClient_ArchiveSession() {
	hub, client := exampleHub()
	defer hub.Close()
	ctx := context.Background()
	session := hub.AddSession(codertest.Session{Task: "Review pull request 7"})

	// The answer to the first attempt is lost. The next one finds that it has worked.
	hub.Inject(codertest.Fault{Route: "/hub/session/{id}/archive", Cut: codertest.CutAfterEffect})
	archived, err := client.ArchiveSession(ctx, session.ID())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(archived.Status)

	// Its transcript stays.
	replay, err := client.GetReplay(ctx, session.ID(), nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(replay.Entries[0].Content)
	// Output:
	// archived
	// Review pull request 7
}

func ExampleClient_DeleteSession() {
	hub, client := exampleHub()
	defer hub.Close()
	ctx := context.Background()
	session := hub.AddSession(codertest.Session{Task: "Review pull request 7"})

	if err := client.DeleteSession(ctx, session.ID()); err != nil {
		log.Fatal(err)
	}
	// Unlike an archived one it is gone, and its transcript too.
	_, err := client.GetReplay(ctx, session.ID(), nil)
	fmt.Println(errors.Is(err, coder.ErrSessionNotFound))
	// Output: true
}

func ExampleClient_ResumeSession() {
	hub, client := exampleHub()
	defer hub.Close()
	ctx := context.Background()
	session := hub.AddSession(codertest.Session{Task: "Review pull request 7", Status: coder.StatusPaused})

	// It begins to wake. PrepareSessionForRemoteAttach waits until it is awake.
	resumed, err := client.ResumeSession(ctx, session.ID())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(resumed.Status)

	// One that is over is not woken, and a Hub may decline for reasons of its own.
	session.Archive()
	_, err = client.ResumeSession(ctx, session.ID())
	fmt.Println(errors.Is(err, coder.ErrSessionArchived))
	hub.Inject(codertest.Fault{Route: "/hub/session/{id}/resume", Body: []byte(`{"resumed": false, "error": "no capacity"}`)})
	_, err = client.ResumeSession(ctx, session.ID())
	fmt.Println(errors.Is(err, coder.ErrResumeDeclined))
	// Output:
	// resuming
	// true
	// true
}

func ExampleClient_PrepareSessionForRemoteAttach() {
	hub, client := exampleHub()
	defer hub.Close()
	ctx := context.Background()
	for _, status := range []string{coder.StatusPaused, coder.StatusArchived} {
		session := hub.AddSession(codertest.Session{Task: "Review pull request 7", Status: status})
		// A real session takes some seconds to wake: leave PollInterval out.
		got, err := client.PrepareSessionForRemoteAttach(ctx, session.ID(), &coder.RemoteAttachPreparationOptions{PollInterval: time.Millisecond})
		if err != nil {
			log.Fatal(err)
		}
		if !got.RuntimeAvailable { // no error: it is over, or still not awake
			fmt.Println("nobody can attach to it:", got.Status)
			continue
		}
		fmt.Println("ready:", got.Status)
	}
	// Output:
	// ready: active
	// nobody can attach to it: archived
}

func ExampleClient_GetLoopState() {
	hub, client := exampleHub()
	defer hub.Close()
	session := hub.AddSession(codertest.Session{Task: "Migrate the tests", Loop: &codertest.Loop{
		Status: coder.LoopBlocked, Iteration: 3, MaxIterations: 10, Summary: "40 of 57 packages", NextAction: "Needs a token",
	}})

	state, err := client.GetLoopState(context.Background(), session.ID())
	if err != nil {
		log.Fatal(err)
	}
	if state.Loop == nil {
		log.Fatal("it does not work in a loop")
	}
	fmt.Printf("%s after %d of %d: %s\n", state.Loop.Status, state.Loop.Iteration, *state.Loop.MaxIterations, state.Loop.Summary)
	fmt.Println(state.Loop.NextAction)
	// Output:
	// blocked after 3 of 10: 40 of 57 packages
	// Needs a token
}

func ExampleClient_GetReplay() {
	hub, client := exampleHub()
	defer hub.Close()
	session := hub.AddSession(codertest.Session{Task: "Add a /healthz endpoint"})
	session.AddReplayEntries(
		codertest.ReplayEntry{Type: coder.EntryThinking, Content: "Where are the routes?"},
		codertest.ReplayEntry{Type: coder.EntryMessage, Content: "It answers 200 now."},
	)

	// All of it at once. For long transcripts there is ReplayEntries.
	replay, err := client.GetReplay(context.Background(), session.ID(), nil)
	if err != nil {
		log.Fatal(err)
	}
	for _, entry := range slices.Backward(replay.Entries) {
		if entry.Type == coder.EntryMessage { // the last that an agent has said
			fmt.Println(entry.Content)
			break
		}
	}
	// Output: It answers 200 now.
}

func ExampleClient_ListEventHistory() {
	hub, client := exampleHub()
	defer hub.Close()
	session := hub.AddSession(codertest.Session{Task: "Add a /healthz endpoint"})
	for range 3 {
		session.Emit(codertest.Event{Event: coder.EventTurnEnd})
	}

	// The newest ones, and those before them. AllEventHistory does that by itself.
	params := coder.ListEventHistoryParams{Limit: 2}
	for range 2 {
		page, err := client.ListEventHistory(context.Background(), session.ID(), &params)
		if err != nil {
			log.Fatal(err)
		}
		for _, event := range page.Events { // in any order
			fmt.Println(event.ID, event.Event)
			if params.BeforeID == 0 || event.ID < params.BeforeID {
				params.BeforeID = event.ID
			}
		}
	}
	// Output:
	// 4 turn_end
	// 3 turn_end
	// 2 turn_end
	// 1 session_start
}

func ExampleClient_ListParticipants() {
	hub, client := exampleHub()
	defer hub.Close()
	session := hub.AddSession(codertest.Session{Task: "Review pull request 7"})
	watcher := session.AddParticipant(codertest.Participant{Role: coder.RoleObserver})
	session.DisconnectParticipant(watcher)

	list, err := client.ListParticipants(context.Background(), session.ID(), &coder.ListParticipantsParams{IncludeDisconnected: true})
	if err != nil {
		log.Fatal(err)
	}
	for _, p := range list.Participants {
		fmt.Println(p.Role, "has left:", !p.DisconnectedAt.IsZero())
	}
	// Output:
	// lead has left: false
	// observer has left: true
}

// What only some Hubs say of a session is decoded on demand.
func ExampleSession() {
	hub, client := exampleHub()
	defer hub.Close()
	control := hub.AddSession(codertest.Session{Task: "Review pull request 7"})
	control.Set("usage", map[string]any{"inputTokens": 5200, "outputTokens": 310, "costUsd": 0.04})
	control.Set("tasks", []any{map[string]any{"taskId": "t1", "agent": "scout", "status": "failed", "error": "no such file"}})
	control.Set("diagnostics", map[string]any{"inactiveRunningTasks": []any{map[string]any{"taskId": "t1", "agent": "scout", "inactivityMs": 90000}}})

	session, err := client.GetSession(context.Background(), control.ID())
	if err != nil {
		log.Fatal(err)
	}
	usage, err := session.Usage()
	if err != nil {
		log.Fatal(err) // the Hub says it in a form that this package does not know
	}
	if usage != nil { // else the Hub does not say
		fmt.Println(usage.InputTokens+usage.OutputTokens, "tokens")
	}
	tasks, err := session.Tasks()
	if err != nil {
		log.Fatal(err)
	}
	for _, task := range tasks {
		fmt.Println(task.Agent, task.Status, task.Error)
	}
	suspicious, err := session.Diagnostics()
	if err != nil {
		log.Fatal(err)
	}
	for _, task := range suspicious.InactiveRunningTasks {
		fmt.Println("nothing was heard of", task.TaskID, "for", task.InactivityMs.Duration())
	}
	// Output:
	// 5510 tokens
	// scout failed no such file
	// nothing was heard of t1 for 1m30s
}

// What the agents of a session are at.
func ExampleSession_agents() {
	hub, client := exampleHub()
	defer hub.Close()
	control := hub.AddSession(codertest.Session{Task: "Review pull request 7"})
	control.Set("agentActivity", map[string]any{"lead": map[string]any{"status": "tool_start", "currentTool": "grep", "toolCallCount": 12}})
	control.Set("workers", []any{map[string]any{"sessionId": "codesess_worker", "status": "active"}})
	control.Set("stream", map[string]any{"output": "There are two", "thinking": ""})
	control.Set("observed", map[string]any{"turnCount": 7, "compactionCount": 1})
	control.Set("participants", []any{map[string]any{"id": "p1", "role": "controller", "transport": "ws"}})

	session, err := client.GetSession(context.Background(), control.ID())
	if err != nil {
		log.Fatal(err)
	}
	// A member in a form that this package does not know is an error, one that the Hub leaves out is nil.
	activity, activityErr := session.AgentActivity()
	workers, workersErr := session.Workers()
	stream, streamErr := session.Stream()
	observed, observedErr := session.Observed()
	present, presentErr := session.Participants()
	if err := errors.Join(activityErr, workersErr, streamErr, observedErr, presentErr); err != nil {
		log.Fatal(err)
	}
	for name, agent := range activity {
		fmt.Println(name, agent.Status, agent.CurrentTool, agent.ToolCallCount)
	}
	for _, worker := range workers {
		fmt.Println(worker.SessionID, worker.Status)
	}
	fmt.Println("it says:", stream.Output)
	fmt.Println(observed.TurnCount, "turns,", len(present), "present")
	// Output:
	// lead tool_start grep 12
	// codesess_worker active
	// it says: There are two
	// 7 turns, 1 present
}

// Where a session works, and what has become of that.
func ExampleSession_runtime() {
	hub, client := exampleHub()
	defer hub.Close()
	control := hub.AddSession(codertest.Session{Task: "Review pull request 7", Status: coder.StatusError})
	control.Set("context", map[string]any{"branch": "fix-billing", "workingDirectory": "/workspace"})
	control.Set("error", "the sandbox has no memory left")
	control.Set("product", map[string]any{"activePrdKey": "billing-v2"})
	control.Set("streamId", "stream_1")
	control.Set("streamUrl", "https://streams.example/stream_1")

	session, err := client.GetSession(context.Background(), control.ID())
	if err != nil {
		log.Fatal(err)
	}
	where, whereErr := session.RuntimeContext()
	wrong, wrongErr := session.RuntimeError()
	product, productErr := session.Product()
	id, idErr := session.StreamID()
	url, urlErr := session.StreamURL()
	if err := errors.Join(whereErr, wrongErr, productErr, idErr, urlErr); err != nil {
		log.Fatal(err)
	}
	fmt.Println(where.Branch, where.WorkingDirectory)
	fmt.Println(wrong)
	fmt.Println(product.ActivePRDKey)
	fmt.Println(strings.HasSuffix(url, id))
	// Output:
	// fix-billing /workspace
	// the sandbox has no memory left
	// billing-v2
	// true
}

func ExampleSessionOutcome() {
	hub, client := exampleHub()
	defer hub.Close()
	done := hub.AddSession(codertest.Session{Task: "Migrate the tests", Loop: &codertest.Loop{Status: coder.LoopCompleted}})
	stuck := hub.AddSession(codertest.Session{Task: "Migrate the rest", Loop: &codertest.Loop{Status: coder.LoopBlocked}})

	for _, id := range []string{done.ID(), stuck.ID()} {
		outcome, err := client.CheckSession(context.Background(), id)
		if err != nil {
			log.Fatal(err)
		}
		switch {
		case outcome.Succeeded(): // whatever has become of the session since
			fmt.Println("done:", outcome.Kind)
		case outcome.Kind == coder.OutcomeWorking:
			fmt.Println("look again later")
		default:
			fmt.Println(outcome.Kind, outcome.Evidence)
		}
	}
	// Output:
	// done: completed
	// blocked [loop status is blocked loopStatus of the session is blocked]
}

func ExampleSessionEvent() {
	hub, client := exampleHub()
	defer hub.Close()
	session := hub.AddSession(codertest.Session{Task: "Which Go is it?", Events: []codertest.Event{
		{Event: coder.EventToolExecutionStart, Payload: map[string]any{"toolCallId": "1", "toolName": "read", "args": map[string]any{"path": "go.mod"}}},
		{Event: coder.EventSessionShutdown},
	}})

	for event, err := range client.AllEventHistory(context.Background(), session.ID(), nil) {
		if err != nil {
			log.Fatal(err)
		}
		switch e := event.AgentEvent().(type) {
		case *coder.ToolExecutionStart:
			fmt.Printf("the agent calls %s with %s\n", e.ToolName, e.Args)
		case *coder.UnknownAgentEvent: // not of the agent, or newer than this package
			fmt.Println(event.Event)
		}
	}
	// Output: the agent calls read with {"path":"go.mod"}
}

func ExampleNormalizeVisibility() {
	for _, typed := range []string{" Org ", "collab", "everybody"} {
		visibility, err := coder.NormalizeVisibility(typed)
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println(visibility)
	}
	// Output:
	// organization
	// collaborate
	// coder: NormalizeVisibility: visibility must be private, organization (or org) or collaborate (or collab)
}

// A member of an update is absent, null, or a value.
func ExampleNullable() {
	for _, model := range []coder.Nullable[string]{{}, coder.Null[string](), coder.Value("provider/model-large")} {
		name, set := model.Get()
		body, err := json.Marshal(coder.UpdateCustomAgentRequest{Model: model})
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("absent %t, null %t, %q %t: %s\n", model.IsZero(), model.IsNull(), name, set, body)
	}
	// Output:
	// absent true, null false, "" false: {}
	// absent false, null true, "" false: {"model":null}
	// absent false, null false, "provider/model-large" true: {"model":"provider/model-large"}
}

func ExampleNull() {
	hub, client, agent := exampleAgentDraft()
	defer hub.Close()

	// Null clears what is there; a member that is left out stays as it is.
	updated, err := client.UpdateCustomAgent(context.Background(), agent.ID, coder.UpdateCustomAgentRequest{Model: coder.Null[string]()})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%q\n", updated.Model)
	// Output: ""
}

func ExampleValue() {
	hub, client, agent := exampleAgentDraft()
	defer hub.Close()

	updated, err := client.UpdateCustomAgent(context.Background(), agent.ID, coder.UpdateCustomAgentRequest{
		Model:         coder.Value("provider/model-small"),
		ThinkingLevel: coder.Value(coder.ThinkingLow),
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(updated.Model, updated.ThinkingLevel)
	// Output: provider/model-small low
}

func ExampleMilliseconds() {
	// What a Hub writes as milliseconds, such as the duration of a tool, may have a fraction.
	end := coder.ToolExecutionEnd{ToolName: "bash", Duration: 1234.5}
	fmt.Println(end.Duration.Duration().Round(100 * time.Millisecond))
	// Output: 1.2s
}

func ExampleClient_Do() {
	hub, client := exampleHub()
	defer hub.Close()
	ctx := context.Background()
	session := hub.AddSession(codertest.Session{Task: "Review pull request 7"})

	// A route, or a parameter, that this package does not know.
	var out struct {
		Participants []json.RawMessage `json:"participants"`
	}
	if err := client.Do(ctx, http.MethodGet, "/hub/session/"+session.ID()+"/participants?limit=5", nil, &out); err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(out.Participants), "participants")

	// Its errors are those of every other method.
	err := client.Do(ctx, http.MethodPost, "/hub/session/codesess_unknown/archive", nil, nil)
	fmt.Println(errors.Is(err, coder.ErrSessionNotFound))
	// Output:
	// 1 participants
	// true
}
