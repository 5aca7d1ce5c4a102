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

// A task from its beginning to its answer.
func ExampleClient_WaitForSession_answer() {
	hub := codertest.NewHub(codertest.WithAgentVersion("1.6.0")) // which says when it has settled
	defer hub.Close()
	client, err := hub.NewClient()
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	created, err := client.CreateSession(ctx, coder.CreateSessionRequest{Task: "Explain the retry policy"})
	if err != nil {
		log.Fatal(err)
	}
	// A real session takes longer: leave PollInterval out.
	outcome, err := client.WaitForSession(ctx, created.SessionID, &coder.WaitForSessionOptions{PollInterval: 10 * time.Millisecond})
	if err != nil {
		log.Fatal(err)
	}
	if !outcome.Succeeded() {
		log.Fatal(outcome) // such as "failed: overloaded"
	}
	fmt.Println(outcome.Kind, outcome.StopReason)
	answer, err := client.LastAnswer(ctx, created.SessionID)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(answer)
	// Output:
	// turn_ended stop
	// Done.
}

func ExampleClient_LastAnswer() {
	hub, client := exampleHub()
	defer hub.Close()
	session := hub.AddSession(codertest.Session{Task: "Explain the retry policy"})
	session.AddReplayEntries(codertest.ReplayEntry{Type: coder.EntryMessage, Content: "Each wait is twice as long."})

	answer, err := client.LastAnswer(context.Background(), session.ID())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(answer)
	// Output: Each wait is twice as long.
}

// An agent that asks something on its way: the outcome has the question, and a connection takes the answer.
func ExampleClient_WaitForSession_question() {
	hub, client := exampleHub()
	defer hub.Close()
	ctx := context.Background()
	hub.Answer(codertest.AgentTurn{Tools: []codertest.AgentTool{{Ask: &codertest.AgentQuestion{
		Method: "select", Params: map[string]any{"title": "Which branch?", "options": []string{"main", "next"}},
	}}}}, codertest.AgentTurn{Text: "I take next."})
	created, err := client.CreateSession(ctx, coder.CreateSessionRequest{Task: "Fix it"})
	if err != nil {
		log.Fatal(err)
	}

	for answered := ""; ; {
		// A real session takes longer: leave PollInterval out.
		outcome, err := client.WaitForSession(ctx, created.SessionID, &coder.WaitForSessionOptions{PollInterval: 10 * time.Millisecond})
		if err != nil {
			log.Fatal(err)
		}
		question := outcome.Question
		switch {
		case question == nil:
			fmt.Println(outcome)
			return
		case question.ID == answered:
			continue // the agent has not taken the answer yet
		}
		var asked coder.RPCUIParams
		if err := question.Decode(&asked); err != nil {
			log.Fatal(err)
		}
		fmt.Println(asked.Title, asked.Options)
		conn, err := client.Attach(ctx, created.SessionID, nil)
		if err != nil {
			log.Fatal(err)
		}
		if err := conn.RespondUI(ctx, question.ID, "next"); err != nil {
			log.Fatal(err)
		}
		_ = conn.Close()
		answered = question.ID
	}
	// Output:
	// Which branch? [main next]
	// turn_ended
}

func ExampleClient_CheckSession() {
	hub := codertest.NewHub(codertest.WithAgentVersion("1.6.0"))
	defer hub.Close()
	client, err := hub.NewClient()
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	created, err := client.CreateSession(ctx, coder.CreateSessionRequest{Task: "Explain the retry policy"})
	if err != nil {
		log.Fatal(err)
	}
	for range 3 { // a job queue that looks in from time to time
		outcome, err := client.CheckSession(ctx, created.SessionID)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(outcome.Session.Status, outcome.Kind)
	}
	// Output:
	// creating working
	// provisioning working
	// active turn_ended
}

func ExampleClient_RunSession() {
	hub, client := exampleHub()
	defer hub.Close()
	ctx := context.Background()
	hub.Answer(codertest.AgentTurn{Text: "It is a race in the parser."})

	// A worker of a job queue, which is restarted in the middle: the second call finds what the first has begun.
	for range 2 {
		result, err := client.RunSession(ctx, "job-42", coder.CreateSessionRequest{Task: "Why is the build red?"}, &coder.RunSessionOptions{
			Limits: coder.Limits{Turns: 50, SameCall: 5},
		})
		if err != nil {
			log.Fatal(err) // coder.IsTransient(err): back into the queue
		}
		fmt.Println(result.Outcome.Kind, result.Answer)
	}
	fmt.Println(len(hub.SessionIDs()), "session")
	// Output:
	// turn_ended It is a race in the parser.
	// turn_ended It is a race in the parser.
	// 1 session
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
