package coder_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"

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
