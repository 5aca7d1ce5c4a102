package coder_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"strings"
	"time"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

func ExampleValidationError() {
	hub, client := exampleHub()
	defer hub.Close()

	_, err := client.CreateSession(context.Background(), coder.CreateSessionRequest{Task: "  "})
	var invalid *coder.ValidationError
	if errors.As(err, &invalid) {
		fmt.Println(invalid.Operation, invalid.Field, invalid.Reason)
	}
	fmt.Println(len(hub.Requests()), "requests")
	// Output:
	// CreateSession task must not be empty
	// 0 requests
}

// A plan that does not cover the request, and a Hub that asks to come back in an hour.
func ExampleAPIError_details() {
	hub, client := exampleHub()
	defer hub.Close()
	hub.Inject(codertest.Fault{Status: http.StatusPaymentRequired, Header: http.Header{"X-Upgrade-Url": {"https://example.com/plans"}}})
	hub.Inject(codertest.Fault{Status: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {"3600"}}})

	for range 2 {
		_, err := client.ListSessions(context.Background(), nil)
		var api *coder.APIError
		switch {
		case errors.Is(err, coder.ErrPaymentRequired) && errors.As(err, &api):
			fmt.Println("choose a plan:", api.UpgradeURL)
		case errors.Is(err, coder.ErrRateLimited) && errors.As(err, &api):
			fmt.Println("come back in", api.RetryAfter) // longer than RetryPolicy.MaxRetryAfter
		}
	}
	// Output:
	// choose a plan: https://example.com/plans
	// come back in 1h0m0s
}

func ExampleRequestError() {
	hub, client := exampleClient(coder.WithRetryPolicy(coder.RetryPolicy{MaxAttempts: 1}))
	defer hub.Close()
	ctx := context.Background()

	// The connection is lost after the Hub has created the session.
	hub.Inject(codertest.Fault{Method: http.MethodPost, Cut: codertest.CutAfterEffect})
	_, err := client.CreateSession(ctx, coder.CreateSessionRequest{Task: "Fix the flaky test"})
	var lost *coder.RequestError
	if errors.As(err, &lost) {
		fmt.Println("sent:", lost.Sent, "outcome unknown:", errors.Is(err, coder.ErrOutcomeUnknown))
	}

	// Nobody listens: nothing was sent, and it can be tried again.
	hub.Close()
	_, err = client.CreateSession(ctx, coder.CreateSessionRequest{Task: "Fix the flaky test"})
	if errors.As(err, &lost) {
		fmt.Println("sent:", lost.Sent, "transient:", coder.IsTransient(err))
	}
	// Output:
	// sent: yes outcome unknown: true
	// sent: no transient: true
}

func ExampleResponseError() {
	hub, client := exampleHub()
	defer hub.Close()

	// The URL leads to something else, which answers everything with a page.
	hub.Inject(codertest.Fault{Body: []byte("<html>Welcome</html>"), Header: http.Header{"Content-Type": {"text/html"}}})
	_, err := client.ListSessions(context.Background(), nil)
	var unusable *coder.ResponseError
	if errors.As(err, &unusable) {
		fmt.Println(unusable.StatusCode, unusable.Reason)
		fmt.Printf("%s\n", unusable.Body) // never part of the text of the error
	}
	// Output:
	// 200 it is not valid JSON
	// <html>Welcome</html>
}

func ExampleReplayError() {
	hub, client := exampleHub()
	defer hub.Close()
	session := hub.AddSession(codertest.Session{Task: "Count to three"})
	for _, text := range []string{"one", "two", "three"} {
		session.AddReplayEntries(codertest.ReplayEntry{Type: coder.EntryMessage, Content: strings.Repeat(text, 2000)})
	}
	hub.Inject(codertest.Fault{Route: "/hub/session/{id}/replay", Cut: codertest.CutMidBody})

	// With NoResume it does not go on by itself where the connection was lost.
	for _, err := range client.ReplayEntries(context.Background(), session.ID(), &coder.GetSessionReplayParams{NoResume: true}) {
		var broken *coder.ReplayError
		if errors.As(err, &broken) {
			fmt.Println("lost after", broken.Delivered, "entries, transient:", coder.IsTransient(err))
		}
	}
	// Output: lost after 2 entries, transient: true
}

func ExampleHistoryGapError() {
	hub, client := exampleHub()
	defer hub.Close()
	ctx := context.Background()
	session := hub.AddSession(codertest.Session{Task: "Add a /healthz endpoint"})
	session.Emit(codertest.Event{Event: coder.EventTurnEnd})
	session.Archive()
	var stored coder.Cursor
	for event, err := range client.WatchEvents(ctx, session.ID(), &coder.WatchEventsOptions{Settle: -1}) {
		if err != nil {
			log.Fatal(err)
		}
		stored = event.Cursor
	}

	// Meanwhile the Hub has lost its history, and begins anew.
	hub.Inject(codertest.Fault{Route: "/hub/session/{id}/events/history", Count: -1, Body: fmt.Appendf(nil,
		`{"sessionId": %q, "events": [{"id": 1, "event": "session_start", "occurredAt": "2026-01-01T00:00:00Z"}]}`, session.ID())})
	for _, err := range client.WatchEvents(ctx, session.ID(), &coder.WatchEventsOptions{After: stored, Settle: -1}) {
		var gap *coder.HistoryGapError
		if errors.As(err, &gap) {
			fmt.Println("what follows event", gap.After, "is lost: read the replay, and watch from the start")
		}
	}
	// Output: what follows event 4 is lost: read the replay, and watch from the start
}

func ExampleHubConnError() {
	hub, client := exampleHub()
	defer hub.Close()

	_, err := client.Connect(context.Background(), "codesess_unknown", nil)
	var failed *coder.HubConnError
	if errors.As(err, &failed) {
		fmt.Println(failed.Operation, failed.Code, failed.CloseCode)
	}
	fmt.Println(errors.Is(err, coder.ErrSessionNotFound), coder.IsTransient(err))
	// Output:
	// Connect connection_error 4404 SESSION_NOT_FOUND
	// true false
}

func ExampleCloseCode() {
	for _, code := range []coder.CloseCode{coder.CloseGoingAway, coder.CloseSessionNotFound, coder.CloseRateLimited, 4999} {
		fmt.Println(code, "useless to connect again:", code.Terminal())
	}
	// Output:
	// 1001 useless to connect again: false
	// 4404 SESSION_NOT_FOUND useless to connect again: true
	// 4429 RATE_LIMITED useless to connect again: false
	// 4999 useless to connect again: true
}

func ExampleAgentError() {
	session, conn, done := exampleAgent()
	defer done()
	session.Answer(codertest.AgentTurn{Text: "There are two branches.", Tools: []codertest.AgentTool{{
		Ask: &codertest.AgentQuestion{Method: "confirm", Params: map[string]any{"title": "Delete both?"}},
	}}})

	// Without OnQuestion a question ends Ask.
	_, err := conn.Ask(context.Background(), "Clean up", nil)
	var failed *coder.AgentError
	switch {
	case errors.Is(err, coder.ErrNeedsInput) && errors.As(err, &failed):
		fmt.Printf("it said %q, and asks: %s\n", failed.Answer.Text, failed.Question.Params)
	case errors.Is(err, coder.ErrAgentAborted):
		fmt.Println("somebody has stopped it")
	case errors.As(err, &failed):
		fmt.Println("it has failed:", failed.Reason)
	}
	// Output: it said "There are two branches.", and asks: {"title":"Delete both?"}
}

func ExampleRunError() {
	hub, client := exampleHub()
	defer hub.Close()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()

	// The worker is told to stop. The session goes on, and the same key finds it again.
	_, err := client.RunSession(ctx, "job-42", coder.CreateSessionRequest{Task: "Rewrite everything"}, &coder.RunSessionOptions{
		OnPoll: func(*coder.Session) { cancel() },
	})
	var unfinished *coder.RunError
	if errors.As(err, &unfinished) {
		fmt.Println(unfinished.Key, unfinished.SessionID, errors.Is(err, context.Canceled))
	}
	// Output: job-42 codesess_000000000001 true
}

// A deadline that ended before the Hub has answered.
func ExampleRequestError_deadline() {
	hub, client := exampleHub()
	defer hub.Close()
	hub.Inject(codertest.Fault{Stall: true})

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	_, err := client.ListSessions(ctx, nil)
	fmt.Println(errors.Is(err, context.DeadlineExceeded), coder.IsTransient(err)) // there is no time for another call
	// Output: true false
}
