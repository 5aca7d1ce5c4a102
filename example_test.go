package coder_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

// The examples talk to a Hub of package codertest. Your program makes its client with NewClient.
func exampleHub() (*codertest.Hub, *coder.Client) {
	hub := codertest.NewHub()
	client, err := hub.NewClient()
	if err != nil {
		log.Fatal(err)
	}
	return hub, client
}

func ExampleClient_CreateSession() {
	hub, client := exampleHub()
	defer hub.Close()
	ctx := context.Background()

	created, err := client.CreateSession(ctx, coder.CreateSessionRequest{
		Task:  "Add a /healthz endpoint that answers 200",
		Label: "healthz",
		Tags:  []string{"backend"},
		Files: []coder.FileToWrite{{Path: "notes.txt", Content: []byte("see ticket 7")}},
	})
	if errors.Is(err, coder.ErrOutcomeUnknown) {
		log.Fatal("the session may exist, look before you create it again: ", err)
	}
	if err != nil {
		log.Fatal(err)
	}
	session, err := client.GetSession(ctx, created.SessionID)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(session.SessionID, session.Label, session.Status)
	// Output: codesess_000000000001 healthz creating
}

func ExampleClient_CreateSession_extra() {
	hub, client := exampleHub()
	defer hub.Close()

	// A newer Hub takes a model, for which this package has no field.
	request := coder.CreateSessionRequest{
		Task:  "Add a /healthz endpoint that answers 200",
		Extra: map[string]json.RawMessage{"model": json.RawMessage(`"provider/model-large"`)},
	}
	if _, err := client.CreateSession(context.Background(), request); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", hub.Requests()[0].Body)

	// What has a field must be said there.
	request.Extra["label"] = json.RawMessage(`"healthz"`)
	_, err := client.CreateSession(context.Background(), request)
	fmt.Println(err)
	// Output:
	// {"task":"Add a /healthz endpoint that answers 200","model":"provider/model-large"}
	// coder: CreateSession: extra.label has a field of its own, which must be used
}

func ExampleClient_EnsureSession() {
	hub, client := exampleHub()
	defer hub.Close()
	ctx := context.Background()
	request := coder.CreateSessionRequest{Task: "Review pull request 7"}

	// The Hub creates the session, and its answer is lost on the way.
	hub.Inject(codertest.Fault{Method: http.MethodPost, Route: "/hub/session", Cut: codertest.CutAfterEffect})

	// The webhook is delivered twice.
	for range 2 {
		got, err := client.EnsureSession(ctx, "delivery-42", request, nil)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(got.SessionID, "created:", got.Created, "recovered:", got.Recovered)
	}
	fmt.Println(len(hub.SessionIDs()), "session")
	// Output:
	// codesess_000000000001 created: true recovered: true
	// codesess_000000000001 created: false recovered: false
	// 1 session
}

func ExampleIsTransient() {
	hub, client := exampleHub()
	defer hub.Close()
	ctx := context.Background()

	// A worker of a job queue: what may work later goes back into the queue.
	work := func(sessionID string) string {
		_, err := client.ArchiveSession(ctx, sessionID)
		switch {
		case err == nil:
			return "done"
		case coder.IsTransient(err):
			return "later"
		default:
			return "never"
		}
	}
	fmt.Println(work("codesess_unknown"))
	hub.Inject(codertest.Fault{Status: http.StatusInternalServerError})
	fmt.Println(work("codesess_unknown"))
	// Output:
	// never
	// later
}

func ExampleClient_ReplayEntries() {
	hub, client := exampleHub()
	defer hub.Close()
	ctx := context.Background()
	created, err := client.CreateSession(ctx, coder.CreateSessionRequest{Task: "Add a /healthz endpoint"})
	if err != nil {
		log.Fatal(err)
	}
	hub.Session(created.SessionID).AddReplayEntries(
		codertest.ReplayEntry{Type: "thinking", Content: "Where are the routes?"},
		codertest.ReplayEntry{Type: "message", Content: "It answers 200 now."},
	)

	for entry, err := range client.ReplayEntries(ctx, created.SessionID, nil) {
		if err != nil {
			log.Fatal(err) // a *coder.ReplayError says how many entries came before
		}
		if entry.Type == coder.EntryMessage || entry.Type == coder.EntryUserPrompt {
			fmt.Printf("%s: %s\n", entry.Type, entry.Content)
		}
	}
	// Output:
	// user_prompt: Add a /healthz endpoint
	// message: It answers 200 now.
}

func ExampleAPIError() {
	hub, client := exampleHub()
	defer hub.Close()

	_, err := client.GetSession(context.Background(), "codesess_unknown")
	fmt.Println(errors.Is(err, coder.ErrSessionNotFound))
	var api *coder.APIError
	if errors.As(err, &api) {
		fmt.Println(api.StatusCode, api.Code, api.SessionID)
	}
	// Output:
	// true
	// 404 CODER_SESSION_NOT_FOUND codesess_unknown
}

func ExampleClient_AllSessions() {
	hub, client := exampleHub()
	defer hub.Close()
	ctx := context.Background()
	for _, task := range []string{"Fix billing", "Add a /healthz endpoint", "Test billing", "Document billing"} {
		if _, err := client.CreateSession(ctx, coder.CreateSessionRequest{Task: task, Label: task}); err != nil {
			log.Fatal(err)
		}
	}

	// Three sessions in pages of two: the Hub is asked twice.
	for session, err := range client.AllSessions(ctx, &coder.ListSessionsParams{Search: "billing", Limit: 2}) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(session.SessionID, session.Label)
	}
	// Output:
	// codesess_000000000004 Document billing
	// codesess_000000000003 Test billing
	// codesess_000000000001 Fix billing
}

func ExampleClient_AllConnectableSessions() {
	hub, client := exampleHub()
	defer hub.Close()
	ctx := context.Background()
	for _, status := range []string{"active", "paused", "archived"} {
		created, err := client.CreateSession(ctx, coder.CreateSessionRequest{Task: "Review pull request 7"})
		if err != nil {
			log.Fatal(err)
		}
		hub.Session(created.SessionID).SetStatus(status)
	}

	for session, err := range client.AllConnectableSessions(ctx, nil) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(session.SessionID, session.Status)
	}
	// Output:
	// codesess_000000000002 paused
	// codesess_000000000001 active
}

func ExampleClient_AllUsers() {
	hub, client := exampleHub()
	defer hub.Close()
	for _, name := range []string{"Ada", "Grace", "Alan"} {
		hub.AddUser(codertest.User{DisplayName: name})
	}

	for user, err := range client.AllUsers(context.Background(), &coder.ListUsersParams{Search: "a", Limit: 1}) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(user.DisplayName)
		if user.DisplayName == "Grace" {
			break // no request is made for the rest
		}
	}
	fmt.Println(len(hub.Requests()), "requests")
	// Output:
	// Ada
	// Grace
	// 2 requests
}

func ExampleClient_AllEventHistory() {
	hub, client := exampleHub()
	defer hub.Close()
	ctx := context.Background()
	created, err := client.CreateSession(ctx, coder.CreateSessionRequest{Task: "Add a /healthz endpoint"})
	if err != nil {
		log.Fatal(err)
	}
	for _, event := range []string{"turn_start", "tool_call", "tool_result", "turn_end"} {
		hub.Session(created.SessionID).Emit(codertest.Event{Event: event})
	}

	// What happened since the last turn began, newest first?
	for event, err := range client.AllEventHistory(ctx, created.SessionID, nil) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(event.Event)
		if event.Event == "turn_start" {
			break
		}
	}
	// Output:
	// turn_end
	// tool_result
	// tool_call
	// turn_start
}

// The key is in a file that something else writes anew when it rotates.
func ExampleWithCredential() {
	hub := codertest.NewHub(codertest.WithAPIKey("agc_monday"))
	defer hub.Close()
	dir, err := os.MkdirTemp("", "key")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	file := filepath.Join(dir, "key")
	rotate := func(key string) {
		if err := os.WriteFile(file, []byte(key+"\n"), 0o600); err != nil {
			log.Fatal(err)
		}
		hub.SetAPIKey(key)
	}
	rotate("agc_monday")

	client, err := coder.NewClient(
		coder.WithURL(hub.URL()),
		coder.WithCredential(func(context.Context) (string, error) {
			key, err := os.ReadFile(file)
			return strings.TrimSpace(string(key)), err
		}),
	)
	if err != nil {
		log.Fatal(err)
	}
	defer client.CloseIdleConnections()
	for _, key := range []string{"agc_monday", "agc_tuesday"} {
		rotate(key)
		list, err := client.ListSessions(context.Background(), nil)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println("sessions:", list.Total)
	}

	// Without the file nothing is sent.
	_ = os.Remove(file)
	_, err = client.ListSessions(context.Background(), nil)
	fmt.Println(errors.Is(err, fs.ErrNotExist), coder.IsTransient(err))
	// Output:
	// sessions: 0
	// sessions: 0
	// true false
}

func ExampleClient_ReplayEntries_resumed() {
	hub, client := exampleHub()
	defer hub.Close()
	ctx := context.Background()
	created, err := client.CreateSession(ctx, coder.CreateSessionRequest{Task: "Count to three"})
	if err != nil {
		log.Fatal(err)
	}
	for _, text := range []string{"one", "two", "three"} {
		hub.Session(created.SessionID).AddReplayEntries(codertest.ReplayEntry{Type: coder.EntryMessage, Agent: "lead", Content: text})
	}

	// The connection is lost in the middle of the transcript, twice.
	hub.Inject(codertest.Fault{Route: "/hub/session/{id}/replay", Cut: codertest.CutMidBody, Count: 2})
	for entry, err := range client.ReplayEntries(ctx, created.SessionID, nil) {
		if err != nil {
			log.Fatal(err)
		}
		if entry.Type == coder.EntryMessage && entry.Agent == "lead" {
			fmt.Println(entry.Content)
		}
	}
	// Output:
	// one
	// two
	// three
}

func ExampleClient_SessionTodos() {
	hub, client := exampleHub()
	defer hub.Close()
	session := hub.AddSession(codertest.Session{Task: "Add OAuth login"})
	session.SetTodos(
		codertest.Todo{Title: "Add the callback route", Status: coder.TodoDone},
		codertest.Todo{Title: "Validate the state", Status: coder.TodoInProgress, Priority: "high"},
		codertest.Todo{Title: "Write the documentation", Priority: "low"},
	)

	list, err := client.SessionTodos(context.Background(), session.ID(), nil)
	if err != nil {
		log.Fatal(err)
	}
	if list.Unavailable {
		log.Fatal("nobody knows what is to be done: ", list.Message)
	}
	for _, todo := range list.Todos {
		priority, _ := todo.Priority.Get()
		fmt.Println(todo.Title, todo.Status, priority)
	}
	fmt.Println(list.Summary.Done, "done")
	// Output:
	// Validate the state in_progress high
	// Write the documentation open low
	// 1 done
}

func ExampleClient_HubInit() {
	hub, client := exampleHub()
	defer hub.Close()
	hub.SetInit(map[string]any{
		"model": map[string]any{"provider": "provider", "id": "model-large"},
		"tools": []any{map[string]any{
			"name": "memory_service_search", "label": "Search memory", "description": "Looks up stored notes",
			"promptGuidelines": []string{"Use it before asking the user.", "Quote what you have found."},
		}},
	})

	init, err := client.HubInit(context.Background(), nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(init.AgentRole, init.Model.ID)
	for _, tool := range init.Tools {
		fmt.Println(tool.Name)
		fmt.Println(tool.PromptGuidelines)
	}
	// Output:
	// lead model-large
	// memory_service_search
	// Use it before asking the user.
	// Quote what you have found.
}

func ExampleClient_HubSkills() {
	hub, client := exampleHub()
	defer hub.Close()
	ctx := context.Background()
	_, err := client.CreateCustomSkill(ctx, coder.CreateCustomSkillRequest{
		SkillID: "release-checklist", Name: "Release checklist", Content: "# Release checklist\n",
	})
	if err != nil {
		log.Fatal(err)
	}

	skills, err := client.HubSkills(ctx)
	if err != nil {
		log.Fatal(err)
	}
	for _, file := range skills.Skills {
		if !filepath.IsLocal(filepath.FromSlash(file.Path)) || strings.ContainsRune(file.Path, 0) {
			continue // it would be written to elsewhere
		}
		fmt.Println(file.Path, len(file.Content))
	}
	// Output: .agents/skills/release-checklist/SKILL.md 20
}
