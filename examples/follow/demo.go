package main

import (
	"context"
	"errors"
	"time"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
	"github.com/agentuity/coder-go/examples/internal/transcript"
)

// pace is how long the agent of the demonstration rests before each step.
const pace = 80 * time.Millisecond

// demonstrate follows a session on an embedded Hub, in which a short play is given.
func demonstrate(ctx context.Context, hub *codertest.Hub, options *coder.StreamEventsOptions, view *transcript.View) error {
	client, err := hub.NewClient()
	if err != nil {
		return err
	}
	created, err := client.CreateSession(ctx, coder.CreateSessionRequest{Task: "Sort the list of customers", Label: "Demonstration"})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	played := make(chan error, 1)
	go func() {
		err := play(ctx, client, hub.Session(created.SessionID))
		if err != nil {
			cancel() // nothing more will happen
		}
		played <- err
	}()
	err = follow(ctx, client, created.SessionID, options, view)
	cancel()
	if e := <-played; e != nil && !errors.Is(e, context.Canceled) {
		return e
	}
	return err
}

// play lets an agent think, work, fail, lose its audience, delegate, and answer somebody who comes by.
func play(ctx context.Context, client *coder.Client, session *codertest.SessionControl) error {
	session.Answer(
		codertest.AgentTurn{
			Thinking: "Who reads the list?\nWho writes it?\nI have to look.", Text: "I will look for the customers.",
			Tools: []codertest.AgentTool{{Name: "grep", Args: map[string]any{"pattern": "customers"}, Result: "customers.go\ncustomers_test.go"}},
		},
		codertest.AgentTurn{
			Text: "They are in customers.go, in the order in which they came. I sort them by name, and somebody else tests that.",
			Tools: []codertest.AgentTool{
				{Name: "edit", Args: map[string]any{"path": "customers.go"}, Result: "ok"},
				{Task: &codertest.AgentTask{Agent: "tester", Description: "Test customers.go", Prompt: "Run the tests", Result: "All of them pass."}},
			},
		},
		codertest.AgentTurn{Text: "Sorted, and the tests pass.", ContextFull: true},
	)
	session.Answer(codertest.AgentTurn{Thinking: "I should be brief.", Text: "Only customers.go."})
	session.FailModel(codertest.AgentNoError, codertest.AgentOverloaded)

	rest(ctx, 5*pace) // until the audience is there
	session.SetStatus("active")
	rest(ctx, 2*time.Second+19*pace) // it has waited, and is in the middle of its second text
	session.CutStreams()
	if _, err := client.WaitForSession(ctx, session.ID(), &coder.WaitForSessionOptions{PollInterval: pace}); err != nil {
		return err
	}
	conn, err := client.Attach(ctx, session.ID(), nil)
	if err != nil {
		return err
	}
	_, err = conn.Ask(ctx, "What have you changed?", nil)
	_ = conn.Close()
	rest(ctx, 5*pace)
	session.Shutdown()
	return err
}

func rest(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
