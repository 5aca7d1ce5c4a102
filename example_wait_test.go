package coder_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

func ExampleClient_WaitForSession() {
	hub, client := exampleHub()
	defer hub.Close()
	ctx := context.Background()
	created, err := client.CreateSession(ctx, coder.CreateSessionRequest{
		Task:         "Migrate the tests to synctest",
		WorkflowMode: coder.WorkflowLoop,
		Loop:         &coder.SessionLoopConfig{MaxIterations: new(2)},
	})
	if err != nil {
		log.Fatal(err)
	}

	// A real session takes longer: leave PollInterval out.
	outcome, err := client.WaitForSession(ctx, created.SessionID, &coder.WaitForSessionOptions{PollInterval: 10 * time.Millisecond})
	if err != nil {
		log.Fatal(err)
	}
	switch outcome.Kind {
	case coder.OutcomeCompleted:
		fmt.Println("done after", outcome.Loop.Iteration, "iterations:", outcome.Evidence[0])
	case coder.OutcomeNeedsInput, coder.OutcomeBlocked:
		fmt.Println("somebody has to help")
	default:
		fmt.Println("it will not go on:", outcome.Kind, outcome.Evidence)
	}
	// Output: done after 2 iterations: loop status is completed
}

func ExampleClient_WaitForSession_turn() {
	hub, client := exampleHub()
	defer hub.Close()
	ctx := context.Background()
	created, err := client.CreateSession(ctx, coder.CreateSessionRequest{Task: "Explain the retry policy"})
	if err != nil {
		log.Fatal(err)
	}

	// What happens on the Hub before each look.
	hub.Session(created.SessionID).Script(
		nil,
		func(s *codertest.SessionControl) {
			s.SetStatus("active")
			s.Emit(codertest.Event{Event: "turn_start"})
		},
		func(s *codertest.SessionControl) {
			message := coder.AgentMessage{Role: "assistant", StopReason: coder.StopReasonStop}
			s.Emit(codertest.Event{Event: coder.EventAgentEnd, Payload: coder.AgentEnd{Messages: []coder.AgentMessage{message}}})
			s.Emit(codertest.Event{Event: coder.EventAgentSettled})
		},
	)
	outcome, err := client.WaitForSession(ctx, created.SessionID, &coder.WaitForSessionOptions{
		PollInterval: 10 * time.Millisecond,
		OnPoll:       func(s *coder.Session) { fmt.Println(s.Status) },
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(outcome.Kind, outcome.StopReason)
	// Output:
	// creating
	// active
	// active
	// active
	// turn_ended stop
}

func ExampleWaitError() {
	hub, client := exampleHub()
	defer hub.Close()
	created, err := client.CreateSession(context.Background(), coder.CreateSessionRequest{Task: "Rewrite everything"})
	if err != nil {
		log.Fatal(err)
	}

	ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
	defer cancel()
	_, err = client.WaitForSession(ctx, created.SessionID, nil)
	var unfinished *coder.WaitError
	if errors.Is(err, context.DeadlineExceeded) && errors.As(err, &unfinished) {
		fmt.Println("out of time, last seen", unfinished.Session.Status)
	}
	// Output: out of time, last seen creating
}
