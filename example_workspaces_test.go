package coder_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

// exampleWorkspace is a Hub with a workspace.
func exampleWorkspace() (*codertest.Hub, *coder.Client, *coder.WorkspaceDetail) {
	hub, client := exampleHub()
	workspace, err := client.CreateWorkspace(context.Background(), coder.CreateWorkspaceRequest{
		Name: "Billing", Dependencies: []string{"jq"}, SetupScript: "make tools",
	})
	if err != nil {
		log.Fatal(err)
	}
	return hub, client, workspace
}

func ExampleClient_CreateWorkspace() {
	hub, client := exampleHub()
	defer hub.Close()
	ctx := context.Background()

	workspace, err := client.CreateWorkspace(ctx, coder.CreateWorkspaceRequest{
		Name:         "Billing",
		Repos:        []coder.SessionRepositoryRef{{URL: "https://github.com/example/billing", Branch: "main"}},
		Dependencies: []string{"jq"},
		SystemPrompt: "Amounts are in cents.",
	})
	if err != nil {
		log.Fatal(err)
	}
	created, err := client.CreateSession(ctx, coder.CreateSessionRequest{Task: "Round down", WorkspaceID: workspace.ID})
	if err != nil {
		log.Fatal(err)
	}
	session, err := client.GetSession(ctx, created.SessionID)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(session.Workspace.Name, session.Repos[0].URL)
	// Output: Billing https://github.com/example/billing
}

func ExampleClient_GetWorkspace() {
	hub, client, workspace := exampleWorkspace()
	defer hub.Close()
	ctx := context.Background()

	// Wait until the image is prepared. A real one takes minutes: wait between two looks.
	for {
		got, err := client.GetWorkspace(ctx, workspace.ID)
		if err != nil {
			log.Fatal(err) // ErrNotFound: it was deleted
		}
		if got.Snapshot == nil {
			log.Fatal("it has none")
		}
		if got.Snapshot.Error != "" {
			log.Fatal(got.Snapshot.Error)
		}
		fmt.Println(got.Snapshot.Status)
		if got.Snapshot.Status == "ready" {
			break
		}
	}
	// Output:
	// queued
	// building
	// ready
}

func ExampleClient_ListWorkspaces() {
	hub, client, _ := exampleWorkspace()
	defer hub.Close()

	list, err := client.ListWorkspaces(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	for _, workspace := range list.Workspaces {
		fmt.Println(workspace.Name, workspace.Scope, workspace.Dependencies)
	}
	// Output: Billing user [jq]
}

func ExampleClient_UpdateWorkspace() {
	hub, client, workspace := exampleWorkspace()
	defer hub.Close()
	ctx := context.Background()

	// Nil leaves a member as it is, an empty list or text clears it.
	updated, err := client.UpdateWorkspace(ctx, workspace.ID, coder.UpdateWorkspaceRequest{
		Dependencies: []string{"jq", "ripgrep"},
		SetupScript:  new(""),
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s %v %q\n", updated.Name, updated.Dependencies, updated.SetupScript)

	_, err = client.UpdateWorkspace(ctx, workspace.ID, coder.UpdateWorkspaceRequest{})
	fmt.Println(err)
	// Output:
	// Billing [jq ripgrep] ""
	// coder: UpdateWorkspace: body must change something
}

func ExampleClient_DeleteWorkspace() {
	hub, client, workspace := exampleWorkspace()
	defer hub.Close()
	ctx := context.Background()

	if err := client.DeleteWorkspace(ctx, workspace.ID); err != nil {
		log.Fatal(err)
	}
	// To delete what is gone is an error, but for a lost answer: then the first attempt has deleted it.
	err := client.DeleteWorkspace(ctx, workspace.ID)
	fmt.Println(errors.Is(err, coder.ErrNotFound))
	// Output: true
}

func ExampleClient_RefreshWorkspaceSnapshot() {
	hub, client, workspace := exampleWorkspace()
	defer hub.Close()
	ctx := context.Background()
	status := func() string {
		got, err := client.GetWorkspace(ctx, workspace.ID)
		if err != nil {
			log.Fatal(err)
		}
		return got.Snapshot.Status
	}
	for status() != "ready" { // a real one takes minutes: wait between two looks
	}
	_, err := client.UpdateWorkspace(ctx, workspace.ID, coder.UpdateWorkspaceRequest{Dependencies: []string{"jq", "ripgrep"}})
	if err != nil {
		log.Fatal(err)
	}

	// The image is that of before, until it is built anew. That begins here, and takes a while.
	if _, err := client.RefreshWorkspaceSnapshot(ctx, workspace.ID); err != nil {
		log.Fatal(err)
	}
	fmt.Println(status())
	// Output: queued
}

func ExampleClient_ValidateWorkspaceDependencies() {
	hub, client := exampleHub()
	defer hub.Close()

	result, err := client.ValidateWorkspaceDependencies(context.Background(), []string{"jq", "no-such-thing"})
	if err != nil {
		log.Fatal(err) // a package that cannot be installed is none
	}
	fmt.Println("valid:", result.Valid)
	for _, bad := range result.Invalid {
		fmt.Printf("%s: %s\n", bad.Package, bad.Error)
	}
	// Output:
	// valid: [jq]
	// no-such-thing: Package is unknown
}
