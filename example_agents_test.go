package coder_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

// exampleAgentDraft is a Hub with an agent that has not been published.
func exampleAgentDraft() (*codertest.Hub, *coder.Client, *coder.CustomAgent) {
	hub, client := exampleHub()
	agent, err := client.CreateCustomAgent(context.Background(), coder.CreateCustomAgentRequest{
		Slug: "reviewer", DisplayName: "Reviewer", Instructions: "Find mistakes.", Model: "provider/model-large",
	})
	if err != nil {
		log.Fatal(err)
	}
	return hub, client, agent
}

func ExampleClient_CreateCustomAgent() {
	hub, client := exampleHub()
	defer hub.Close()
	ctx := context.Background()
	request := coder.CreateCustomAgentRequest{
		Slug:         "reviewer",
		DisplayName:  "Reviewer",
		Instructions: "Read the change and find mistakes. Do not write code.",
		Tools:        []coder.CustomAgentTool{coder.ToolRead, coder.ToolGrep},
	}

	agent, err := client.CreateCustomAgent(ctx, request)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(agent.Slug, agent.Lifecycle, agent.Tools)

	// A slug names one agent.
	_, err = client.CreateCustomAgent(ctx, request)
	fmt.Println(errors.Is(err, coder.ErrConflict))
	// Output:
	// reviewer draft [read grep]
	// true
}

func ExampleClient_GetCustomAgent() {
	hub, client, created := exampleAgentDraft()
	defer hub.Close()

	// By its slug or by its id.
	for _, name := range []string{created.Slug, created.ID, "writer"} {
		agent, err := client.GetCustomAgent(context.Background(), name)
		switch {
		case errors.Is(err, coder.ErrNotFound):
			fmt.Println("there is no agent", name)
		case err != nil:
			log.Fatal(err)
		default:
			fmt.Println(agent.DisplayName)
		}
	}
	// Output:
	// Reviewer
	// Reviewer
	// there is no agent writer
}

func ExampleClient_UpdateCustomAgent() {
	hub, client, agent := exampleAgentDraft()
	defer hub.Close()

	// What is left out stays as it is; Null clears it.
	updated, err := client.UpdateCustomAgent(context.Background(), agent.ID, coder.UpdateCustomAgentRequest{
		Instructions: new("Find mistakes and tests that are missing."),
		Model:        coder.Null[string](),
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s: %s model %q\n", updated.Slug, updated.Instructions, updated.Model)
	// Output: reviewer: Find mistakes and tests that are missing. model ""
}

func ExampleClient_PublishCustomAgent() {
	hub, client, agent := exampleAgentDraft()
	defer hub.Close()
	ctx := context.Background()
	create := coder.CreateSessionRequest{Task: "Review pull request 7", DefaultAgent: agent.Slug}

	// Sessions can only use what is published.
	if _, err := client.PublishCustomAgent(ctx, agent.ID); err != nil {
		log.Fatal(err)
	}
	if _, err := client.CreateSession(ctx, create); err != nil {
		log.Fatal(err)
	}

	// Changes of the draft reach nobody before it is published again.
	_, err := client.UpdateCustomAgent(ctx, agent.ID, coder.UpdateCustomAgentRequest{Instructions: new("Find all mistakes.")})
	if err != nil {
		log.Fatal(err)
	}
	published, err := client.PublishCustomAgent(ctx, agent.ID)
	if err != nil {
		log.Fatal(err) // with ErrOutcomeUnknown: LatestPublishedVersion of GetCustomAgent tells
	}
	fmt.Println(published.Lifecycle, published.LatestPublishedVersion)
	// Output: published 2
}

func ExampleClient_ListCustomAgentVersions() {
	hub, client, agent := exampleAgentDraft()
	defer hub.Close()
	ctx := context.Background()
	for _, instructions := range []string{"Find mistakes.", "Find all mistakes."} {
		_, err := client.UpdateCustomAgent(ctx, agent.ID, coder.UpdateCustomAgentRequest{Instructions: &instructions})
		if err != nil {
			log.Fatal(err)
		}
		if _, err := client.PublishCustomAgent(ctx, agent.ID); err != nil {
			log.Fatal(err)
		}
	}

	list, err := client.ListCustomAgentVersions(ctx, "reviewer")
	if err != nil {
		log.Fatal(err)
	}
	versions := make(map[int]string) // they may come in any order
	for _, v := range list.Versions {
		versions[v.Version] = v.Instructions
	}
	fmt.Println(versions)
	// Output: map[1:Find mistakes. 2:Find all mistakes.]
}

func ExampleClient_ListCustomAgents() {
	hub, client, agent := exampleAgentDraft()
	defer hub.Close()
	ctx := context.Background()
	if _, err := client.PublishCustomAgent(ctx, agent.ID); err != nil {
		log.Fatal(err)
	}

	list, err := client.ListCustomAgents(ctx, nil)
	if err != nil {
		log.Fatal(err)
	}
	for _, agent := range list.Agents {
		if agent.HasPublishedVersion { // a session can use it
			fmt.Println(agent.Slug, "version", agent.LatestPublishedVersion)
		}
	}
	// Output: reviewer version 1
}

func ExampleClient_ArchiveCustomAgent() {
	hub, client, agent := exampleAgentDraft()
	defer hub.Close()
	ctx := context.Background()

	archived, err := client.ArchiveCustomAgent(ctx, agent.Slug)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(archived.Lifecycle)

	// It is no longer listed, unless that is asked for.
	for _, params := range []*coder.ListCustomAgentsParams{nil, {IncludeArchived: true}} {
		list, err := client.ListCustomAgents(ctx, params)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(len(list.Agents), "listed")
	}
	// Output:
	// archived
	// 0 listed
	// 1 listed
}

func ExampleClient_CreateAgentBuilderSession() {
	hub, client := exampleHub()
	defer hub.Close()
	ctx := context.Background()
	work := hub.AddSession(codertest.Session{Task: "Review pull request 7"})

	// An agent is to be made of what was done in a session.
	created, err := client.CreateAgentBuilderSession(ctx, coder.CreateAgentBuilderSessionRequest{
		SourceSessionID: work.ID(),
		Prompt:          "It is to review every pull request in this way.",
	})
	if err != nil {
		log.Fatal(err)
	}
	session, err := client.GetSession(ctx, created.SessionID)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(session.Builder.Mode, session.Builder.SourceSession.SessionID)

	// A mode tells what it needs before anything is sent.
	_, err = client.CreateAgentBuilderSession(ctx, coder.CreateAgentBuilderSessionRequest{Mode: coder.BuilderModeEdit})
	fmt.Println(err)
	// Output:
	// from_session codesess_000000000001
	// coder: CreateAgentBuilderSession: targetAgentId or targetAgentSlug must not be empty
}
