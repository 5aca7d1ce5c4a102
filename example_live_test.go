package coder_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

func ExampleClient_StreamEvents() {
	hub, client := exampleHub()
	defer hub.Close()
	ctx := context.Background()
	created, err := client.CreateSession(ctx, coder.CreateSessionRequest{Task: "Sort the list"})
	if err != nil {
		log.Fatal(err)
	}
	session := hub.Session(created.SessionID)

	lost := false
	// Over a real network leave ReconnectDelay out.
	options := &coder.StreamEventsOptions{Subscribe: []string{"turn"}, ReconnectDelay: time.Millisecond}
	for event, err := range client.StreamEvents(ctx, created.SessionID, options) {
		if err != nil {
			log.Fatal(err)
		}
		switch m := event.Data.(type) {
		case *coder.SSEHydrationMessage: // with each connection: it replaces what was known
			fmt.Println(len(m.Entries), "entry so far:", m.Entries[0].Content)
			if lost {
				session.Emit(codertest.Event{Event: coder.EventTurnEnd}) // as the agent would
			} else {
				session.Emit(codertest.Event{Event: coder.EventTurnStart})
			}
		case *coder.BroadcastEventMessage:
			fmt.Println(m.Event)
			switch m.Event {
			case coder.EventTurnStart:
				session.CutStreams() // as a network would
			case coder.EventTurnEnd:
				session.Shutdown()
			}
		case *coder.ReconnectedMessage:
			fmt.Println("what came meanwhile is lost")
			lost = true
		}
	}
	fmt.Println("the session is over")
	// Output:
	// 1 entry so far: Sort the list
	// turn_start
	// what came meanwhile is lost
	// 1 entry so far: Sort the list
	// turn_end
	// session_shutdown
	// the session is over
}

func ExampleClient_Attach() {
	hub, client := exampleHub()
	defer hub.Close()
	ctx := context.Background()
	created, err := client.CreateSession(ctx, coder.CreateSessionRequest{Task: "Be there for questions"})
	if err != nil {
		log.Fatal(err)
	}
	hub.Session(created.SessionID).SetStatus("active") // it has woken up

	conn, err := client.Attach(ctx, created.SessionID, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	if err := conn.Prompt(ctx, "Please confirm this"); err != nil {
		log.Fatal(err)
	}
	for message, err := range conn.Messages(ctx) {
		if err != nil {
			log.Fatal(err)
		}
		switch m := message.(type) {
		case *coder.RPCUIRequestMessage: // the agent asks
			fmt.Printf("[asked to %s] ", m.Method)
			if err := conn.RespondUI(ctx, m.ID, true); err != nil {
				log.Fatal(err)
			}
		case *coder.RPCCommandErrorMessage:
			log.Fatal(m.Error)
		case *coder.RPCEventMessage:
			if m.Replay { // history, which the hydration has too
				continue
			}
			switch event := m.AgentEvent().(type) {
			case *coder.MessageUpdate:
				fmt.Print(event.TextDelta())
			case *coder.AgentEnd:
				if answer := event.Answer(); answer != nil && answer.StopReason != coder.StopReasonError { // else it tries again
					fmt.Println()
					return
				}
			}
		}
	}
	// Output: Working on it: Please confirm this[asked to confirm] Confirmed. Done.
}

func ExampleClient_WatchEvents() {
	hub, client := exampleHub()
	defer hub.Close()
	ctx := context.Background()
	created, err := client.CreateSession(ctx, coder.CreateSessionRequest{Task: "Add a /healthz endpoint"})
	if err != nil {
		log.Fatal(err)
	}
	session := hub.Session(created.SessionID)
	for range 3 {
		session.Emit(codertest.Event{Event: coder.EventTurnEnd})
	}
	session.Archive()

	// The program stores the cursor with what it has made of the event, and is killed at event 2.
	var stored coder.Cursor
	for range 2 {
		options := &coder.WatchEventsOptions{After: stored, Settle: -1}
		for event, err := range client.WatchEvents(ctx, created.SessionID, options) {
			if err != nil {
				log.Fatal(err)
			}
			if event.ID > 0 { // else it only says that nothing older is missing
				fmt.Println(event.ID, event.Event)
			}
			stored = event.Cursor
			if event.ID == 2 {
				break
			}
		}
	}
	// Output:
	// 1 session_start
	// 2 turn_end
	// 3 turn_end
	// 4 turn_end
	// 5 session_shutdown
}
