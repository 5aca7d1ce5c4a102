package coder_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

// exampleClient is a client of a Hub, made with options.
func exampleClient(options ...coder.Option) (*codertest.Hub, *coder.Client) {
	hub := codertest.NewHub()
	client, err := hub.NewClient(options...)
	if err != nil {
		log.Fatal(err)
	}
	return hub, client
}

func ExampleNewClient() {
	hub := codertest.NewHub(codertest.WithAPIKey("agc_1234"))
	defer hub.Close()

	// Without options: the key from AGENTUITY_SDK_KEY, the Hub from AGENTUITY_CODER_URL or by discovery.
	client, err := coder.NewClient(coder.WithURL(hub.URL()), coder.WithAPIKey("agc_1234"))
	if err != nil {
		log.Fatal(err)
	}
	defer client.CloseIdleConnections()
	list, err := client.ListSessions(context.Background(), nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(list.Total, "sessions")

	// What cannot be used is found here, and not with the first call.
	_, err = coder.NewClient(coder.WithURL("ftp://hub.example"))
	fmt.Println(err)
	// Output:
	// 0 sessions
	// coder: NewClient: WithURL must be an absolute http or https URL
}

// A transport that behaves as the usual one, with one setting of your own.
func ExampleNewTransport() {
	transport := coder.NewTransport()
	transport.TLSHandshakeTimeout = 3 * time.Second

	hub, client := exampleClient(coder.WithHTTPClient(&http.Client{Transport: transport}))
	defer hub.Close()
	defer transport.CloseIdleConnections()
	list, err := client.ListSessions(context.Background(), nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(list.Total, "sessions")
	// Output: 0 sessions
}

func ExampleWithURL() {
	// The forms that people copy from elsewhere are understood, and a path prefix is kept.
	for _, url := range []string{"https://hub.example", " wss://hub.example/api/ws", "https://example.com/hubs/eu/api/hub"} {
		client, err := coder.NewClient(coder.WithURL(url), coder.WithAPIKey("agc_1234"))
		if err != nil {
			log.Fatal(err)
		}
		base, err := client.URL(context.Background())
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(base)
	}
	// Output:
	// https://hub.example
	// https://hub.example
	// https://example.com/hubs/eu
}

func ExampleClient_URL() {
	hub := codertest.NewHub()
	defer hub.Close()
	restore := exampleDiscovery(hub) // in the place of the Agentuity API
	defer restore()

	// Without WithURL, and without the variable AGENTUITY_CODER_URL, the first call that needs the Hub discovers it.
	client, err := coder.NewClient(coder.WithAPIKey("agc_1234"))
	if err != nil {
		log.Fatal(err)
	}
	defer client.CloseIdleConnections()
	for range 2 {
		url, err := client.URL(context.Background())
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(url == hub.URL())
	}
	fmt.Println(len(hub.Requests()), "request")
	// Output:
	// true
	// true
	// 1 request
}

// exampleDiscovery lets a Hub answer discovery, and returns what puts the environment back.
func exampleDiscovery(hub *codertest.Hub) (restore func()) {
	before := make(map[string]string)
	for name, value := range map[string]string{"AGENTUITY_CODER_URL": "", "AGENTUITY_CATALYST_URL": hub.URL()} {
		before[name] = os.Getenv(name) // an empty one counts as none
		if err := os.Setenv(name, value); err != nil {
			log.Fatal(err)
		}
	}
	return func() {
		for name, value := range before {
			_ = os.Setenv(name, value)
		}
	}
}

func ExampleWithAPIKey() {
	hub := codertest.NewHub(codertest.WithAPIKey("agc_1234"))
	defer hub.Close()

	for _, key := range []string{"agc_1234", "agc_old"} {
		client, err := coder.NewClient(coder.WithURL(hub.URL()), coder.WithAPIKey(key))
		if err != nil {
			log.Fatal(err)
		}
		_, err = client.ListSessions(context.Background(), nil)
		fmt.Println(err == nil, errors.Is(err, coder.ErrUnauthorized))
		client.CloseIdleConnections()
	}
	// Output:
	// true false
	// false true
}

func ExampleWithOrgID() {
	// For a key that belongs to several organizations.
	hub, client := exampleClient(coder.WithOrgID("org_1"))
	defer hub.Close()
	if _, err := client.ListSessions(context.Background(), nil); err != nil {
		log.Fatal(err)
	}
	fmt.Println(hub.Requests()[0].Header.Get("X-Agentuity-Orgid"))
	// Output: org_1
}

func ExampleWithRegion() {
	// Discovery asks the region for its Hub. With a URL there is nothing to discover.
	_, err := coder.NewClient(coder.WithRegion("usc"), coder.WithAPIKey("agc_1234"))
	fmt.Println(err)
	_, err = coder.NewClient(coder.WithRegion("us.central/1"), coder.WithAPIKey("agc_1234"))
	fmt.Println(err)
	// Output:
	// <nil>
	// coder: NewClient: WithRegion must be letters, digits and hyphens
}

func ExampleWithHTTPClient() {
	// A limit for each attempt of a call. It is none for streams, and the client is copied.
	hub, client := exampleClient(
		coder.WithHTTPClient(&http.Client{Timeout: time.Millisecond}),
		coder.WithRetryPolicy(coder.RetryPolicy{MaxAttempts: 1}),
	)
	defer hub.Close()
	hub.Inject(codertest.Fault{Stall: true})

	_, err := client.ListSessions(context.Background(), nil)
	fmt.Println(coder.IsTransient(err)) // the Hub was slow: another attempt may work
	// Output: true
}

func ExampleWithLogger() {
	var lines bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&lines, &slog.HandlerOptions{
		Level: slog.LevelDebug, // there is one debug record for each attempt
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey || a.Key == "duration" || a.Key == "request_id" {
				return slog.Attr{} // each time another one
			}
			return a
		},
	}))
	hub, client := exampleClient(coder.WithLogger(logger), coder.WithRetryPolicy(coder.RetryPolicy{MinBackoff: time.Millisecond}))
	defer hub.Close()
	hub.Inject(codertest.Fault{Status: http.StatusServiceUnavailable})

	if _, err := client.ListSessions(context.Background(), nil); err != nil {
		log.Fatal(err)
	}
	fmt.Print(lines.String())
	// Output:
	// level=DEBUG msg="coder hub request" method=GET path=/hub/sessions status=503 attempt=1
	// level=DEBUG msg="coder hub request" method=GET path=/hub/sessions status=200 attempt=2
}

func ExampleWithMaxResponseSize() {
	hub, client := exampleClient(coder.WithMaxResponseSize(1 << 10))
	defer hub.Close()
	session := hub.AddSession(codertest.Session{Task: "Print the log"})
	session.AddReplayEntries(codertest.ReplayEntry{Type: coder.EntryMessage, Content: string(make([]byte, 2000))})

	_, err := client.GetReplay(context.Background(), session.ID(), nil)
	fmt.Println(errors.Is(err, coder.ErrResponseTooLarge))
	// Output: true
}

func ExampleWithUserAgent() {
	hub, client := exampleClient(coder.WithUserAgent("billing-bot/1.4"))
	defer hub.Close()
	if _, err := client.ListSessions(context.Background(), nil); err != nil {
		log.Fatal(err)
	}
	var name, library string
	_, _ = fmt.Sscanf(hub.Requests()[0].Header.Get("User-Agent"), "%s %s", &name, &library)
	fmt.Println(name)
	// Output: billing-bot/1.4
}

func ExampleWithRetryPolicy() {
	// A page that somebody waits for: better an error soon than an answer late.
	hub, client := exampleClient(coder.WithRetryPolicy(coder.RetryPolicy{
		MaxAttempts: 2, MinBackoff: time.Millisecond, UnavailableWindow: -1, MaxRetryAfter: time.Second,
	}))
	defer hub.Close()
	hub.Inject(codertest.Fault{Status: http.StatusServiceUnavailable, Count: -1})

	_, err := client.ListSessions(context.Background(), nil)
	var api *coder.APIError
	if errors.As(err, &api) {
		fmt.Println(api.StatusCode, "after", api.Attempts, "attempts")
	}
	fmt.Println(errors.Is(err, coder.ErrUnavailable), coder.IsTransient(err))
	// Output:
	// 503 after 2 attempts
	// true true
}

func ExampleWithConnectRate() {
	// By default 40 open at once, and 200 in a second. This program is alone with its Hub, and need not wait.
	hub := codertest.NewHub(codertest.WithInMemoryNetwork())
	defer hub.Close()
	client, err := hub.NewClient(coder.WithConnectRate(-1))
	if err != nil {
		log.Fatal(err)
	}
	session := hub.AddSession(codertest.Session{Task: "Review pull request 7"})

	conns := make([]*coder.HubConn, 45)
	for i := range conns {
		conns[i], err = client.Connect(context.Background(), session.ID(), nil)
		if err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println(hub.Streams(), "connections")
	for _, conn := range conns {
		_ = conn.Close()
	}
	// Output: 45 connections
}

// What a client does, for metrics.
func ExampleWithObserver() {
	var mu sync.Mutex // the functions are called by several goroutines
	failed := make(map[string]int)
	observer := coder.Observer{
		Attempt: func(_ context.Context, attempt coder.AttemptInfo) {
			mu.Lock()
			defer mu.Unlock()
			if attempt.Failure != "" {
				failed[attempt.Route+" "+string(attempt.Failure)]++ // a template and a word: both can be labels
			}
		},
	}
	hub, client := exampleClient(coder.WithObserver(observer), coder.WithRetryPolicy(coder.RetryPolicy{MinBackoff: time.Millisecond}))
	defer hub.Close()
	session := hub.AddSession(codertest.Session{Task: "Review pull request 7"})
	hub.Inject(codertest.Fault{Status: http.StatusServiceUnavailable, Count: 2})

	if _, err := client.GetSession(context.Background(), session.ID()); err != nil {
		log.Fatal(err)
	}
	fmt.Println(failed)
	// Output: map[/hub/session/{sessionID} unavailable:2]
}

// Somebody who meets a problem records it, and sends you the file.
func ExampleWithRecorder() {
	file := new(bytes.Buffer) // usually an *os.File
	recorder, err := coder.NewRecorder(file, nil)
	if err != nil {
		log.Fatal(err)
	}
	hub, client := exampleClient(coder.WithRecorder(recorder), coder.WithAPIKey("agc_S3CR3T"))
	defer hub.Close()
	session := hub.AddSession(codertest.Session{Task: "Review pull request 7"})
	if _, err := client.GetSession(context.Background(), session.ID()); err != nil {
		log.Fatal(err)
	}
	if err := recorder.Close(); err != nil { // what was not written
		log.Fatal(err)
	}
	fmt.Println(bytes.Contains(file.Bytes(), []byte("pull request 7")), bytes.Contains(file.Bytes(), []byte("S3CR3T")))
	// Output: true false
}

func ExampleNewRecorder() {
	// The texts of sessions, which are kept by default, are taken out too.
	file := new(bytes.Buffer)
	recorder, err := coder.NewRecorder(file, &coder.RecorderOptions{OmitTexts: true})
	if err != nil {
		log.Fatal(err)
	}
	hub, client := exampleClient(coder.WithRecorder(recorder))
	defer hub.Close()
	if _, err := client.CreateSession(context.Background(), coder.CreateSessionRequest{Task: "Buy ACME"}); err != nil {
		log.Fatal(err)
	}
	if err := recorder.Close(); err != nil {
		log.Fatal(err)
	}
	fmt.Println(bytes.Contains(file.Bytes(), []byte("Buy ACME")), bytes.Contains(file.Bytes(), []byte("xxx xxxx")))
	// Output: false true
}

func ExampleRecorder() {
	recorder, err := coder.NewRecorder(new(fullDisk), nil)
	fmt.Println(recorder != nil, err)

	file := &fullDisk{room: 1 << 10}
	if recorder, err = coder.NewRecorder(file, nil); err != nil {
		log.Fatal(err)
	}
	hub, client := exampleClient(coder.WithRecorder(recorder))
	defer hub.Close()
	for range 10 { // calls do not fail when the recording does
		if _, err := client.ListSessions(context.Background(), nil); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println(recorder.Close())
	// Output:
	// false coder: NewRecorder: no space left on device
	// coder: Recorder: no space left on device
}

// fullDisk takes so many bytes.
type fullDisk struct{ room int }

func (d *fullDisk) Write(p []byte) (int, error) {
	if d.room -= len(p); d.room < 0 {
		return 0, errors.New("no space left on device")
	}
	return len(p), nil
}

func ExampleClient_CloseIdleConnections() {
	hub := codertest.NewHub()
	defer hub.Close()
	client, err := coder.NewClient(coder.WithURL(hub.URL()))
	if err != nil {
		log.Fatal(err)
	}
	// For a client that is not used for long. It stays usable, and opens connections anew.
	for range 2 {
		if _, err := client.ListSessions(context.Background(), nil); err != nil {
			log.Fatal(err)
		}
		client.CloseIdleConnections()
	}
	fmt.Println(len(hub.Requests()), "requests")
	// Output: 2 requests
}
