package coder_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

func ExampleClient_ListGitHubAccounts() {
	hub, client := exampleHub()
	defer hub.Close()
	ctx := context.Background()
	hub.Inject(codertest.Fault{Route: "/hub/github/accounts", Skip: 1, Status: http.StatusConflict})

	// Whoever has not connected GitHub is told so in one of two ways.
	connected := func() bool {
		list, err := client.ListGitHubAccounts(ctx)
		if err != nil && !errors.Is(err, coder.ErrConflict) {
			log.Fatal(err)
		}
		return err == nil && list.Connected
	}
	fmt.Println(connected(), connected())

	hub.AddGitHubAccount(codertest.GitHubAccount{AccountID: "1", AccountName: "example"})
	fmt.Println(connected())
	// Output:
	// false false
	// true
}

func ExampleClient_ListGitHubRepos() {
	hub, client := exampleHub()
	defer hub.Close()
	ctx := context.Background()
	hub.AddGitHubAccount(codertest.GitHubAccount{AccountName: "example", Repositories: []codertest.GitHubRepository{
		{Name: "billing", DefaultBranch: "main"}, {Name: "legacy", Archived: true},
	}})

	accounts, err := client.ListGitHubAccounts(ctx)
	if err != nil {
		log.Fatal(err)
	}
	for _, account := range accounts.Accounts {
		repos, err := client.ListGitHubRepos(ctx, account.AccountID)
		if err != nil {
			log.Fatal(err)
		}
		for _, repo := range repos.Repositories {
			if repo.Archived { // it cannot be written to
				continue
			}
			// What CreateSessionRequest.Repo takes.
			ref := coder.SessionRepositoryRef{CloneURL: repo.CloneURL, Branch: repo.DefaultBranch}
			fmt.Println(repo.FullName, ref.CloneURL, ref.Branch)
		}
	}
	// Output: example/billing https://github.com/example/billing.git main
}
