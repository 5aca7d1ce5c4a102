package codertest_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

func ExampleWithAPIKey() {
	hub := codertest.NewHub(codertest.WithAPIKey("agc_1234"))
	defer hub.Close()

	for _, key := range []string{"agc_1234", "agc_other"} {
		client, err := hub.NewClient(coder.WithAPIKey(key))
		if err != nil {
			log.Fatal(err)
		}
		_, err = client.ListSessions(context.Background(), nil)
		fmt.Println(key, errors.Is(err, coder.ErrUnauthorized))
	}
	// Output:
	// agc_1234 false
	// agc_other true
}

// In a testing/synctest bubble time is fake, as long as nothing waits for a real network.
func ExampleWithInMemoryNetwork() {
	hub := codertest.NewHub(codertest.WithInMemoryNetwork())
	defer hub.Close()

	// Its clients reach it whatever host they name.
	client, err := hub.NewClient(coder.WithURL("http://hub.example"))
	if err != nil {
		log.Fatal(err)
	}
	exampleCreate(client, "Fix the flaky test")
	fmt.Println(len(hub.SessionIDs()), "session")
	// Output: 1 session
}

// A fixed address, for a program that is not written in Go.
func ExampleWithListener() {
	listener, err := net.Listen("tcp", "127.0.0.1:0") // usually a port that the program knows
	if err != nil {
		log.Fatal(err)
	}
	hub := codertest.NewHub(codertest.WithListener(listener))
	defer hub.Close() // closes the listener, too

	fmt.Println(hub.URL() == "http://"+listener.Addr().String())
	// Output: true
}

// Something before the Hub counts the requests by their routes.
func ExampleWithMiddleware() {
	var mu sync.Mutex
	counts := make(map[string]int)
	hub, client := exampleHub(codertest.WithMiddleware(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(w, r)
			mu.Lock()
			defer mu.Unlock()
			counts[r.Pattern]++ // known once the Hub had the request
		})
	}))
	id := exampleCreate(client, "Fix the flaky test")
	for range 2 {
		if _, err := client.GetSession(context.Background(), id); err != nil {
			log.Fatal(err)
		}
	}
	hub.Close() // no request is under way any more

	fmt.Println(counts)
	// Output: map[GET /api/hub/session/{id}:2 POST /api/hub/session:1]
}

// A Hub that runs for days.
func ExampleWithLogLimit() {
	hub, client := exampleHub(codertest.WithLogLimit(1))
	defer hub.Close()
	id := exampleCreate(client, "Fix the flaky test")
	if _, err := client.GetSession(context.Background(), id); err != nil {
		log.Fatal(err)
	}
	fmt.Println(hub.Requests())
	// Output: [GET /api/hub/session/codesess_000000000001: 200]
}

// A stream of events on which nothing happens.
func ExampleWithKeepAlive() {
	hub := codertest.NewHub(codertest.WithKeepAlive(time.Millisecond))
	defer hub.Close()
	session := hub.AddSession(codertest.Session{Task: "Fix the flaky test"})

	response, err := hub.HTTPClient().Get(hub.URL() + "/api/hub/session/" + session.ID() + "/events")
	if err != nil {
		log.Fatal(err)
	}
	defer response.Body.Close()
	for lines := bufio.NewScanner(response.Body); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), ":") { // a comment, which programs pass over
			fmt.Println("the Hub is alive")
			break
		}
	}
	// Output: the Hub is alive
}

// A program that takes longer than the Hub likes.
func ExampleWithStreamQueue() {
	hub, client := exampleHub(codertest.WithInMemoryNetwork(), codertest.WithStreamQueue(4))
	defer hub.Close()
	session := hub.AddSession(codertest.Session{Task: "Fix the flaky test"})

	late := false
	for event, err := range client.StreamEvents(context.Background(), session.ID(), &coder.StreamEventsOptions{ReconnectDelay: time.Millisecond}) {
		if err != nil {
			log.Fatal(err)
		}
		switch event.Data.(type) {
		case *coder.SSEHydrationMessage:
			for range 100 { // while the program is at this message
				if !late {
					session.Emit(codertest.Event{Event: coder.EventTurnEnd})
				}
			}
			late = true
		case *coder.ReconnectedMessage:
			fmt.Println("the connection was cut")
			return
		}
	}
	// Output: the connection was cut
}

// Nobody works on a session, so that a test says everything that happens in it.
func ExampleWithoutAgent() {
	hub, client := exampleHub(codertest.WithoutAgent())
	defer hub.Close()
	session := hub.Session(exampleCreate(client, "Fix the flaky test"))
	session.SetStatus(coder.StatusActive)

	fmt.Println(len(session.Entries()), "entry")
	session.AddReplayEntries(codertest.ReplayEntry{Type: coder.EntryMessage, Content: "It is a race."})
	fmt.Println(session.Entries()[1].Content)
	// Output:
	// 1 entry
	// It is a race.
}

// An agent that takes its time can be interrupted.
func ExampleWithAgentPace() {
	_, conn, done := exampleAgent(codertest.WithAgentPace(20 * time.Millisecond))
	defer done()
	if err := conn.Prompt(context.Background(), "Rename the package"); err != nil {
		log.Fatal(err)
	}

	aborted := false
	for event := range exampleEvents(conn) {
		switch e := event.(type) {
		case *coder.MessageUpdate:
			if !aborted {
				if err := conn.Abort(context.Background()); err != nil { // the program under test
					log.Fatal(err)
				}
				aborted = true
			}
		case *coder.AgentEnd:
			fmt.Println(e.Answer().StopReason)
			return
		}
	}
	// Output: aborted
}

// The model refuses what it is sent. Others, such as AgentOverloaded, are tried again.
func ExampleWithAgentErrors() {
	hub, client := exampleHub(codertest.WithAgentErrors(codertest.AgentInvalidRequest))
	defer hub.Close()
	session := hub.Session(exampleCreate(client, "Fix the flaky test"))
	session.SetStatus(coder.StatusActive) // now the agent runs the task

	for _, event := range session.Events() {
		if end, ok := event.AgentEvent().(*coder.AgentEnd); ok {
			fmt.Println(end.Answer().StopReason, end.Answer().ErrorMessage)
		}
	}
	// Output: error 400 Invalid request: the model does not exist
}

// The newer agent says when it has settled.
func ExampleWithAgentVersion() {
	for _, version := range []string{"0.74.2", "1.6.0"} {
		hub, client := exampleHub(codertest.WithAgentVersion(version))
		session := hub.Session(exampleCreate(client, "Fix the flaky test"))
		session.SetStatus(coder.StatusActive)
		events := session.Events()
		fmt.Println(version, events[len(events)-1].Event)
		hub.Close()
	}
	// Output:
	// 0.74.2 agent_end
	// 1.6.0 agent_settled
}

// An agent in a terminal answers no commands.
func ExampleWithAgentDialect() {
	_, conn, done := exampleAgent(codertest.WithAgentDialect(codertest.DialectExtension))
	defer done()

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	_, err := conn.GetState(ctx)
	fmt.Println(errors.Is(err, context.DeadlineExceeded))
	// Output: true
}

// A controller is sent events that it must not take for new ones.
func ExampleWithEventReplay() {
	hub, client := exampleHub(codertest.WithEventReplay(2))
	defer hub.Close()
	session := hub.Session(exampleCreate(client, "Fix the flaky test"))
	session.SetStatus(coder.StatusActive)

	conn, err := client.Attach(context.Background(), session.ID(), nil)
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	for message, err := range conn.Messages(context.Background()) {
		if err != nil {
			log.Fatal(err)
		}
		if event, ok := message.(*coder.RPCEventMessage); ok {
			fmt.Println(event.EventType, event.Replay)
			if event.EventType == coder.EventAgentEnd {
				break
			}
		}
	}
	// Output:
	// turn_end true
	// agent_end true
}
