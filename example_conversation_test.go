package coder_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"slices"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

// exampleHistory is the history of a session in which one question was answered, oldest first.
func exampleHistory() []coder.SessionEvent {
	session, conn, done := exampleAgent()
	defer done()
	session.Answer(
		codertest.AgentTurn{Text: "I will look.", Tools: []codertest.AgentTool{{Name: "read", Result: "go 1.26"}}},
		codertest.AgentTurn{Text: "It is Go 1.26."},
	)
	if _, err := conn.Ask(context.Background(), "Which Go is it?", nil); err != nil {
		log.Fatal(err)
	}
	return session.Events()
}

func ExampleConversation_Apply() {
	session, conn, done := exampleAgent()
	defer done()
	session.Answer(codertest.AgentTurn{Text: "It is Go 1.26."})

	var conversation coder.Conversation
	_, err := conn.Ask(context.Background(), "Which Go is it?", &coder.AskOptions{
		OnMessage: func(m coder.ServerMessage) {
			for _, change := range conversation.Apply(m) { // to be sent to a page, as JSON
				if change.Kind == coder.ConversationAppend {
					fmt.Printf("message %d: %q\n", change.Index, change.Delta)
				}
			}
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(conversation.Text())
	// Output:
	// message 2: "It "
	// message 2: "is "
	// message 2: "Go "
	// message 2: "1.26."
	// It is Go 1.26.
}

func ExampleConversation_ApplyObserver() {
	hub, client := exampleHub()
	defer hub.Close()
	session := hub.AddSession(codertest.Session{Task: "Review pull request 7"})
	session.AddReplayEntries(codertest.ReplayEntry{Type: coder.EntryMessage, Content: "There are two mistakes."})

	var conversation coder.Conversation
	for event, err := range client.StreamEvents(context.Background(), session.ID(), nil) {
		if err != nil {
			log.Fatal(err)
		}
		conversation.ApplyObserver(event.Data)
		if _, ok := event.Data.(*coder.SSEHydrationMessage); ok {
			break // what was said so far; another one after a lost connection replaces it
		}
	}
	fmt.Println(conversation.Text())
	// Output: There are two mistakes.
}

func ExampleConversation_Sent() {
	var conversation coder.Conversation
	conversation.Apply(&coder.HubHydrationMessage{Entries: []coder.ConversationEntry{
		{Type: coder.EntryUserPrompt, Content: "Try it"}, // and its run has failed
	}})
	conversation.Sent("Try it") // HubConn.Submit, Prompt or Ask send it again
	conversation.Apply(&coder.RPCEventMessage{
		EventType: coder.EventMessageEnd, Event: json.RawMessage(`{"message":{"role":"user","content":"Try it"}}`),
	})
	fmt.Println(len(conversation.Messages()), "prompts")
	// Output: 2 prompts
}

func ExampleConversation_ApplyEvent() {
	// A history is read from the newest to the oldest, and applied the other way round.
	var conversation coder.Conversation
	for _, event := range exampleHistory() {
		conversation.ApplyEvent(event)
	}
	fmt.Println(conversation.Text())
	// Output:
	// I will look.
	//
	// It is Go 1.26.
}

func ExampleConversation_Messages() {
	var conversation coder.Conversation
	for _, event := range exampleHistory() {
		conversation.ApplyEvent(event)
	}

	for _, message := range conversation.Messages() {
		fmt.Printf("%s: %s\n", message.Role, message.Text)
		for _, call := range message.ToolCalls {
			fmt.Printf("  %s: %s\n", call.Name, call.Result)
		}
	}
	// Output:
	// user: Which Go is it?
	// assistant: I will look.
	//   read: go 1.26
	// assistant: It is Go 1.26.
}

func ExampleConversation_Text() {
	var conversation coder.Conversation
	for _, event := range exampleHistory() {
		conversation.ApplyEvent(event)
	}

	// A paragraph for each message of the agent, to be copied somewhere else.
	fmt.Println(conversation.Text())
	// Output:
	// I will look.
	//
	// It is Go 1.26.
}

func ExampleConversation_State() {
	var conversation coder.Conversation
	states := []coder.ConversationState{conversation.State()}
	for _, event := range exampleHistory() {
		conversation.ApplyEvent(event)
		states = append(states, conversation.State())
	}
	fmt.Println(slices.Compact(states)) // whether to show that the agent is at work
	// Output: [idle working idle]
}

func ExampleConversation_Disconnected() {
	var conversation coder.Conversation
	for _, event := range exampleHistory() {
		conversation.ApplyEvent(event)
	}

	// The connection is lost: HubConn.State says so before a message does.
	for _, change := range conversation.Disconnected() {
		line, err := json.Marshal(change)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s\n", line)
	}
	// Output: {"kind":"state","count":3,"index":0,"state":"disconnected"}
}
