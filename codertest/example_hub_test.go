package codertest_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"runtime"
	"time"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

// exampleHub starts a Hub, and makes the client of a program under test.
func exampleHub(options ...codertest.Option) (*codertest.Hub, *coder.Client) {
	hub := codertest.NewHub(options...)
	client, err := hub.NewClient(coder.WithRetryPolicy(coder.RetryPolicy{MinBackoff: time.Millisecond}))
	if err != nil {
		log.Fatal(err)
	}
	return hub, client
}

// exampleCreate creates a session, as a program under test does.
func exampleCreate(client *coder.Client, task string) string {
	created, err := client.CreateSession(context.Background(), coder.CreateSessionRequest{Task: task})
	if err != nil {
		log.Fatal(err)
	}
	return created.SessionID
}

func ExampleNewHub() {
	hub := codertest.NewHub() // codertest.WithInMemoryNetwork() in a testing/synctest bubble
	defer hub.Close()

	// A program that reads its Hub from a flag or a variable is given this URL.
	client, err := coder.NewClient(coder.WithURL(hub.URL()))
	if err != nil {
		log.Fatal(err)
	}
	defer client.CloseIdleConnections()
	exampleCreate(client, "Fix the flaky test")
	fmt.Println(hub.SessionIDs())
	// Output: [codesess_000000000001]
}

func ExampleHub_NewClient() {
	hub := codertest.NewHub(codertest.WithAPIKey("agc_1234"))
	defer hub.Close()

	// It has the Hub's URL and key; options of the program come after that.
	client, err := hub.NewClient(coder.WithUserAgent("billing-bot/1.4"))
	if err != nil {
		log.Fatal(err)
	}
	exampleCreate(client, "Fix the flaky test")
	fmt.Println(hub.Requests()[0].Header.Get("User-Agent")[:len("billing-bot/1.4")])
	// Output: billing-bot/1.4
}

// A program that makes requests by itself, in whatever way.
func ExampleHub_URL() {
	hub := codertest.NewHub()
	defer hub.Close()

	response, err := http.Get(hub.URL() + "/api/hub/sessions")
	if err != nil {
		log.Fatal(err)
	}
	_ = response.Body.Close()
	fmt.Println(response.Status)
	// Output: 200 OK
}

// On the network in memory nothing but this client reaches the Hub.
func ExampleHub_HTTPClient() {
	hub := codertest.NewHub(codertest.WithInMemoryNetwork())
	defer hub.Close()

	response, err := hub.HTTPClient().Get(hub.URL() + "/api/hub/sessions")
	if err != nil {
		log.Fatal(err)
	}
	_ = response.Body.Close()
	fmt.Println(response.Status)
	// Output: 200 OK
}

// A Hub below a path prefix, and over TLS.
func ExampleHub_Handler() {
	hub := codertest.NewHub()
	defer hub.Close()
	server := httptest.NewTLSServer(http.StripPrefix("/hubs/eu", hub.Handler()))
	defer server.Close()

	client, err := coder.NewClient(coder.WithURL(server.URL+"/hubs/eu"), coder.WithHTTPClient(server.Client()))
	if err != nil {
		log.Fatal(err)
	}
	exampleCreate(client, "Fix the flaky test")
	fmt.Println(hub.Requests()[0])
	// Output: POST /api/hub/session: 201
}

// A Hub that is gone for good. Restart is for one that comes back.
func ExampleHub_Close() {
	hub := codertest.NewHub()
	defer hub.Close() // harmless a second time
	client, err := hub.NewClient(coder.WithRetryPolicy(coder.RetryPolicy{MaxAttempts: 1}))
	if err != nil {
		log.Fatal(err)
	}
	hub.Close()

	_, err = client.ListSessions(context.Background(), nil)
	fmt.Println(coder.IsTransient(err))
	// Output: true
}

// A program that keeps the id of its session to itself.
func ExampleHub_SessionIDs() {
	hub, client := exampleHub()
	defer hub.Close()
	exampleCreate(client, "Fix the flaky test")

	ids := hub.SessionIDs()
	fmt.Println(ids, hub.Session(ids[0]).Task())
	// Output: [codesess_000000000001] Fix the flaky test
}

// The sandbox of a session falls asleep. Does the program wake it up?
func ExampleHub_Session() {
	hub, client := exampleHub()
	defer hub.Close()
	id := exampleCreate(client, "Fix the flaky test")
	hub.Session(id).Pause()

	if _, err := client.ResumeSession(context.Background(), id); err != nil { // the program under test
		log.Fatal(err)
	}
	fmt.Println(hub.Session(id).Status())
	// Output: resuming
}

// What a program has asked for, and what it has sent.
func ExampleHub_Requests() {
	hub, client := exampleHub()
	defer hub.Close()
	_, err := client.CreateSession(context.Background(), coder.CreateSessionRequest{Task: "Fix the flaky test", Tags: []string{"ci"}})
	if err != nil {
		log.Fatal(err)
	}

	for _, request := range hub.Requests() {
		fmt.Println(request) // without the query, where some clients put a key
		fmt.Println(request.Route, string(request.Body))
	}
	// Output:
	// POST /api/hub/session: 201
	// /hub/session {"task":"Fix the flaky test","tags":["ci"]}
}

// The Hub has an error 500, once. A read is not repeated after that, and a 503 is.
func ExampleHub_Inject() {
	hub, client := exampleHub()
	defer hub.Close()
	hub.Inject(codertest.Fault{Route: "/hub/sessions", Status: http.StatusInternalServerError})
	hub.Inject(codertest.Fault{Route: "/hub/sessions", Status: http.StatusServiceUnavailable})

	for range 2 {
		_, err := client.ListSessions(context.Background(), nil)
		fmt.Println(err == nil, len(hub.Requests()), "requests so far")
	}
	// Output:
	// false 1 requests so far
	// true 3 requests so far
}

// How often was the program hit by what the test has injected?
func ExampleInjection_Hits() {
	hub, client := exampleHub()
	defer hub.Close()
	fault := hub.Inject(codertest.Fault{Status: http.StatusServiceUnavailable, Count: 2})
	if _, err := client.ListSessions(context.Background(), nil); err != nil { // it is repeated
		log.Fatal(err)
	}
	fmt.Println(fault.Hits())
	// Output: 2
}

// Everything fails until the test takes that back.
func ExampleInjection_Remove() {
	hub, client := exampleHub()
	defer hub.Close()
	fault := hub.Inject(codertest.Fault{Status: http.StatusForbidden, Count: -1})
	_, err := client.ListSessions(context.Background(), nil)
	fmt.Println(errors.Is(err, coder.ErrForbidden))

	fault.Remove()
	_, err = client.ListSessions(context.Background(), nil)
	fmt.Println(err)
	// Output:
	// true
	// <nil>
}

// Nobody may follow a session, for now. Does the program try again?
func ExampleHub_RefuseStreams() {
	hub, client := exampleHub()
	defer hub.Close()
	session := hub.AddSession(codertest.Session{Task: "Fix the flaky test"})
	refusal := hub.RefuseStreams(codertest.Refusal{Count: 2, CloseCode: coder.CloseRateLimited})

	conn, err := client.Connect(context.Background(), session.ID(), &coder.HubConnectOptions{ReconnectDelay: time.Millisecond})
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	fmt.Println(conn.State(), "after", refusal.Hits(), "refusals")
	// Output: connected after 2 refusals
}

// Does the program close what it has opened?
func ExampleHub_Streams() {
	hub, client := exampleHub()
	defer hub.Close()
	session := hub.AddSession(codertest.Session{Task: "Fix the flaky test"})

	for _, err := range client.StreamEvents(context.Background(), session.ID(), nil) { // the program under test
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(hub.Streams())
		break
	}
	// The Hub notices a little later. In a bubble: synctest.Wait.
	for hub.Streams() > 0 {
		runtime.Gosched()
	}
	fmt.Println(hub.Streams())
	// Output:
	// 1
	// 0
}

// The key is rotated. A program with the old one is turned away.
func ExampleHub_SetAPIKey() {
	hub, client := exampleHub(codertest.WithAPIKey("agc_monday"))
	defer hub.Close()
	exampleCreate(client, "Fix the flaky test")

	hub.SetAPIKey("agc_tuesday")
	_, err := client.ListSessions(context.Background(), nil)
	fmt.Println(errors.Is(err, coder.ErrUnauthorized))
	// Output: true
}

// What a program that leads is told.
func ExampleHub_SetInit() {
	hub, client := exampleHub()
	defer hub.Close()
	hub.SetInit(map[string]any{"model": map[string]any{"provider": "provider", "id": "model-large"}})

	conn, err := client.ConnectNew(context.Background(), &coder.HubConnectOptions{Role: coder.RoleLead, Task: "Release it"})
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	fmt.Println(conn.Init().Model.ID)
	// Output: model-large
}

// A program that leads, and a Hub that runs a tool for it.
func ExampleHub_OnRequest() {
	hub, client := exampleHub()
	defer hub.Close()
	hub.OnRequest(func(request codertest.LeadRequest) ([]codertest.Action, bool) {
		if request.Type == "tool" && request.Name == "web_search" {
			return []codertest.Action{{"action": "RETURN", "result": "nothing was found"}}, true
		}
		return nil, true // what the Hub answers by itself
	})
	ctx := context.Background()
	conn, err := client.ConnectNew(ctx, &coder.HubConnectOptions{Role: coder.RoleLead, Task: "Release it"})
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()

	response, err := conn.SendAndWait(ctx, &coder.ToolRequest{Name: "web_search", ToolCallID: "1", Params: map[string]any{"query": "flaky"}})
	if err != nil {
		log.Fatal(err)
	}
	if result, ok := response.Actions[0].(*coder.ReturnAction); ok {
		fmt.Printf("%s\n", result.Result)
	}
	// Output: "nothing was found"
}

func ExampleHub_AddUser() {
	hub, client := exampleHub()
	defer hub.Close()
	id := hub.AddUser(codertest.User{DisplayName: "Ada"})

	list, err := client.ListUsers(context.Background(), &coder.ListUsersParams{Search: "ada"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(list.Users[0].UserID == id, list.Users[0].DisplayName)
	// Output: true Ada
}

func ExampleHub_AddGitHubAccount() {
	hub, client := exampleHub()
	defer hub.Close()
	id := hub.AddGitHubAccount(codertest.GitHubAccount{
		AccountName: "example", Repositories: []codertest.GitHubRepository{{Name: "billing", Private: true}},
	})

	repos, err := client.ListGitHubRepos(context.Background(), id)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(repos.Repositories[0].FullName, repos.Repositories[0].Visibility)
	// Output: example/billing private
}

// A program that waits until the Hub is back.
func ExampleDowntime_Over() {
	hub, client := exampleHub()
	defer hub.Close()
	<-hub.Restart(time.Millisecond, codertest.Outage{Kind: codertest.OutageClosed}).Over()

	exampleCreate(client, "Fix the flaky test")
	fmt.Println(len(hub.SessionIDs()))
	// Output: 1
}

// How often does a program try while the Hub is away?
func ExampleDowntime_Hits() {
	hub := codertest.NewHub()
	defer hub.Close()
	client, err := hub.NewClient(coder.WithRetryPolicy(coder.RetryPolicy{
		MaxAttempts: 3, UnavailableWindow: -1, MinBackoff: time.Millisecond,
	}))
	if err != nil {
		log.Fatal(err)
	}
	down := hub.Restart(time.Hour, codertest.Outage{Kind: codertest.OutageUnavailable})

	_, err = client.ListSessions(context.Background(), nil)
	fmt.Println(errors.Is(err, coder.ErrUnavailable), down.Hits())
	// Output: true 3
}

// The Hub is back when the test says so.
func ExampleDowntime_End() {
	hub, client := exampleHub()
	defer hub.Close()
	session := hub.AddSession(codertest.Session{Task: "Fix the flaky test"})
	down := hub.Restart(time.Hour, codertest.Outage{Kind: codertest.OutageRetryAfter})

	_, err := client.GetSession(context.Background(), session.ID())
	var api *coder.APIError
	if errors.As(err, &api) {
		fmt.Println("come back in", api.RetryAfter)
	}
	down.End()
	got, err := client.GetSession(context.Background(), session.ID())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(got.Status)
	// Output:
	// come back in 1h0m0s
	// active
}
