package codertest_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"strings"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

// exampleRecording is a recording of a program that has looked at its sessions, created one, and looked at it.
func exampleRecording() io.Reader {
	recording := new(bytes.Buffer)
	recorder, err := coder.NewRecorder(recording, nil)
	if err != nil {
		log.Fatal(err)
	}
	once := codertest.NewHub() // usually a real one
	defer once.Close()
	client, err := once.NewClient(coder.WithRecorder(recorder))
	if err != nil {
		log.Fatal(err)
	}
	if _, err := client.ListSessions(context.Background(), nil); err != nil {
		log.Fatal(err)
	}
	if _, err := client.GetSession(context.Background(), exampleCreate(client, "Fix the flaky test")); err != nil {
		log.Fatal(err)
	}
	if err := recorder.Close(); err != nil {
		log.Fatal(err)
	}
	return recording
}

// exampleReplay plays that recording.
func exampleReplay(options ...codertest.Option) (*codertest.ReplayHub, *coder.Client) {
	hub, err := codertest.Replay(exampleRecording(), options...)
	if err != nil {
		log.Fatal(err)
	}
	client, err := hub.NewClient()
	if err != nil {
		log.Fatal(err)
	}
	return hub, client
}

func ExampleReplayHub_NewClient() {
	hub, err := codertest.Replay(exampleRecording())
	if err != nil {
		log.Fatal(err)
	}
	defer hub.Close()

	client, err := hub.NewClient()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(exampleCreate(client, "Fix the flaky test"))
	// Output: codesess_000000000001
}

// The program has changed, and asks for what nobody has recorded.
func ExampleReplayHub_Missing() {
	hub, client := exampleReplay()
	defer hub.Close()

	_, err := client.GetSession(context.Background(), "codesess_unknown")
	fmt.Println(err != nil)
	fmt.Println(strings.Join(hub.Missing(), "\n"))
	// Output:
	// true
	// GET /api/hub/session/codesess_unknown: it was not recorded
}

// The program no longer asks for what it did.
func ExampleReplayHub_Unasked() {
	hub, client := exampleReplay()
	defer hub.Close()
	exampleCreate(client, "Fix the flaky test")

	fmt.Println(strings.Join(hub.Unasked(), "\n"))
	// Output:
	// GET /api/hub/sessions
	// GET /api/hub/session/codesess_000000000001
}

// A program that is not written in Go is given this URL.
func ExampleReplayHub_URL() {
	hub, _ := exampleReplay()
	defer hub.Close()

	client, err := coder.NewClient(coder.WithURL(hub.URL()))
	if err != nil {
		log.Fatal(err)
	}
	defer client.CloseIdleConnections()
	list, err := client.ListSessions(context.Background(), nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(list.Total, "sessions")
	// Output: 0 sessions
}

func ExampleReplayHub_HTTPClient() {
	hub, _ := exampleReplay(codertest.WithInMemoryNetwork())
	defer hub.Close()

	response, err := hub.HTTPClient().Get(hub.URL() + "/api/hub/sessions")
	if err != nil {
		log.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", body)
	// Output: {"sessions":{"websocket":[],"sandbox":[]},"total":0}
}

// Over TLS, by a server of the test.
func ExampleReplayHub_Handler() {
	hub, _ := exampleReplay()
	defer hub.Close()
	server := httptest.NewTLSServer(hub.Handler())
	defer server.Close()

	client, err := coder.NewClient(coder.WithURL(server.URL), coder.WithHTTPClient(server.Client()))
	if err != nil {
		log.Fatal(err)
	}
	list, err := client.ListSessions(context.Background(), nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(list.Total, "sessions")
	// Output: 0 sessions
}

func ExampleReplayHub_Close() {
	hub, _ := exampleReplay()
	client, err := hub.NewClient(coder.WithRetryPolicy(coder.RetryPolicy{MaxAttempts: 1}))
	if err != nil {
		log.Fatal(err)
	}
	hub.Close()

	_, err = client.ListSessions(context.Background(), nil)
	fmt.Println(coder.IsTransient(err)) // nobody listens
	// Output: true
}

// The answer came an hour after the request. Outside of a bubble that is not waited for, unless a test says so.
func ExampleWithReplayPace() {
	recording := `{"cassette":1,"library":"agentuity-coder-go/0.1.0","began":"2026-01-01T00:00:00Z"}
{"t":0,"n":1,"is":"request","method":"GET","url":"http://hub.example/api/hub/sessions","header":{}}
{"t":3600000,"n":1,"is":"answer","status":200,"header":{"Content-Type":["application/json"]}}
{"t":3600000,"n":1,"is":"body","json":{"sessions":{"websocket":[],"sandbox":[]},"total":0}}
{"t":3600000,"n":1,"is":"end","how":"whole"}
`
	hub, err := codertest.Replay(strings.NewReader(recording), codertest.WithReplayPace(1e6)) // a million times as fast
	if err != nil {
		log.Fatal(err)
	}
	defer hub.Close()
	client, err := hub.NewClient()
	if err != nil {
		log.Fatal(err)
	}
	list, err := client.ListSessions(context.Background(), nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(list.Total, "sessions")
	// Output: 0 sessions
}
