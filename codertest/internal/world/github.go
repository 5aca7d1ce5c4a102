package world

import (
	"cmp"
	"fmt"
)

// GitHubAccount is an account that is linked to the Hub. The zero value of a
// member is replaced by a value that is made up, save for AvatarURL.
type GitHubAccount struct {
	AccountID, AccountName, AccountType string
	InstallationID, IntegrationID       string
	AvatarURL                           string
	Repositories                        []GitHubRepository
}

// GitHubRepository is a repository of a GitHubAccount.
type GitHubRepository struct {
	ID                          int64
	Name, DefaultBranch         string
	Private, Archived, Disabled bool
}

// github is what GitHub has for the Hub, oldest first.
type github struct {
	accounts     collection[githubAccount]
	repositories int64 // of all accounts
}

type githubAccounts struct {
	Connected bool            `json:"connected"`
	Username  string          `json:"username,omitzero"`
	AvatarURL string          `json:"avatarUrl,omitzero"`
	Accounts  []githubAccount `json:"accounts"`
}

type githubAccount struct {
	InstallationID string `json:"installationId"`
	IntegrationID  string `json:"integrationId"`
	AccountID      string `json:"accountId"`
	AccountName    string `json:"accountName"`
	AccountType    string `json:"accountType"`
	AvatarURL      string `json:"avatarUrl,omitzero"`

	repositories []githubRepository
}

type githubRepositories struct {
	AccountID    string             `json:"accountId"`
	TotalCount   int                `json:"totalCount"`
	Repositories []githubRepository `json:"repositories"`
}

type githubRepository struct {
	ID            int64       `json:"id"`
	Name          string      `json:"name"`
	FullName      string      `json:"fullName"`
	Private       bool        `json:"private"`
	DefaultBranch string      `json:"defaultBranch"`
	CloneURL      string      `json:"cloneUrl"`
	HTMLURL       string      `json:"htmlUrl"`
	Visibility    string      `json:"visibility"`
	Archived      bool        `json:"archived"`
	Disabled      bool        `json:"disabled"`
	Owner         githubOwner `json:"owner"`
}

type githubOwner struct {
	Login     string `json:"login"`
	AvatarURL string `json:"avatarUrl,omitzero"`
}

// AddGitHubAccount links an account with its repositories and returns its id.
func (w *World) AddGitHubAccount(a GitHubAccount) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.github.accounts.add(func(id string) githubAccount {
		id = cmp.Or(a.AccountID, id)
		account := githubAccount{
			InstallationID: cmp.Or(a.InstallationID, "inst_"+id),
			IntegrationID:  cmp.Or(a.IntegrationID, "int_"+id),
			AccountID:      id,
			AccountName:    cmp.Or(a.AccountName, id),
			AccountType:    cmp.Or(a.AccountType, "Organization"),
			AvatarURL:      a.AvatarURL,
		}
		for _, r := range a.Repositories {
			w.github.repositories++
			r.ID = cmp.Or(r.ID, w.github.repositories)
			account.repositories = append(account.repositories, account.repository(r))
		}
		return account
	}).AccountID
}

func (a githubAccount) repository(r GitHubRepository) githubRepository {
	full := fmt.Sprintf("%s/%s", a.AccountName, r.Name)
	visibility := "public"
	if r.Private {
		visibility = "private"
	}
	return githubRepository{
		ID:            r.ID,
		Name:          r.Name,
		FullName:      full,
		Private:       r.Private,
		DefaultBranch: cmp.Or(r.DefaultBranch, "main"),
		CloneURL:      "https://github.com/" + full + ".git",
		HTMLURL:       "https://github.com/" + full,
		Visibility:    visibility,
		Archived:      r.Archived,
		Disabled:      r.Disabled,
		Owner:         githubOwner{Login: a.AccountName, AvatarURL: a.AvatarURL},
	}
}

// listAccounts also says whose account it is that is connected: the first of a
// user.
func (g *github) listAccounts(*Call) (any, error) {
	var list githubAccounts
	for account := range g.accounts.oldestFirst() {
		list.Connected = true
		list.Accounts = append(list.Accounts, account)
		if account.AccountType == "User" && list.Username == "" {
			list.Username, list.AvatarURL = account.AccountName, account.AvatarURL
		}
	}
	return list, nil
}

func (g *github) listRepositories(c *Call) (any, error) {
	id := c.Query.Get("accountId")
	if id == "" {
		return nil, invalid("The query parameter accountId is required")
	}
	for account := range g.accounts.oldestFirst() {
		if account.AccountID == id {
			return githubRepositories{AccountID: id, TotalCount: len(account.repositories), Repositories: account.repositories}, nil
		}
	}
	return nil, notFound("No GitHub account with this id")
}
