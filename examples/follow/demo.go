package main

import (
	"context"
	"time"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

// demonstrate follows a session on an embedded Hub, in which a short play is given.
func demonstrate(ctx context.Context, hub *codertest.Hub, options *coder.StreamEventsOptions, p *printer) error {
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
	done := make(chan struct{})
	go func() {
		defer close(done)
		play(ctx, hub.Session(created.SessionID))
	}()
	err = follow(ctx, client, created.SessionID, options, p)
	cancel()
	<-done
	return err
}

// play lets an agent work, lose its audience, and finish.
func play(ctx context.Context, session *codertest.SessionControl) {
	update := func(delta string) func() {
		return func() {
			session.Broadcast(codertest.Event{Event: coder.EventMessageUpdate, Payload: map[string]any{
				"assistantMessageEvent": map[string]any{"type": "text_delta", "delta": delta},
			}})
		}
	}
	emit := func(event string, payload map[string]any) func() {
		return func() { session.Emit(codertest.Event{Event: event, Agent: "lead", Payload: payload}) }
	}
	interval := func() {}
	for _, act := range []func(){
		emit(coder.EventTurnStart, nil),
		emit(coder.EventToolExecutionStart, map[string]any{"toolName": "grep", "args": map[string]any{"pattern": "customers"}}),
		update("The customers are in "), update("customers.go. "), update("I will sort them by name."),
		emit(coder.EventToolExecutionStart, map[string]any{"toolName": "edit", "args": map[string]any{"path": "customers.go"}}),
		session.CutStreams,
		func() {
			session.AddReplayEntries(codertest.ReplayEntry{Type: coder.EntryMessage, Agent: "lead", Content: "Sorted, and the tests pass."})
		},
		interval, interval, interval, // until the audience is back
		emit(coder.EventTaskComplete, map[string]any{"agent": "tester", "result": "customers.go is sorted"}),
		session.Shutdown,
	} {
		select {
		case <-time.After(400 * time.Millisecond):
		case <-ctx.Done():
			return
		}
		act()
	}
}
