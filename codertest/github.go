package codertest

import (
	"cmp"
	"fmt"
)

// GitHubAccount is an account that has been linked to the Hub.
type GitHubAccount struct {
	// AccountID identifies the account in requests. Empty: the Hub makes one.
	AccountID string
	// AccountName is the login, and the owner of the repositories. Empty: the
	// id.
	AccountName string
	// AccountType is User or Organization. Empty: Organization.
	AccountType string
	// InstallationID and IntegrationID are made from the account's id if they
	// are empty.
	InstallationID, IntegrationID string
	// AvatarURL is a picture, if there is one.
	AvatarURL string
	// Repositories are the repositories of the account.
	Repositories []GitHubRepository
}

// GitHubRepository is a repository of a GitHubAccount. Its addresses and its
// full name follow from the account.
type GitHubRepository struct {
	// ID is GitHub's number. 0: the Hub makes one.
	ID int64
	// Name is the short name.
	Name string
	// DefaultBranch is the default branch. Empty: main.
	DefaultBranch string
	// Private, Archived and Disabled say what the repository is.
	Private, Archived, Disabled bool
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

// AddGitHubAccount links a GitHub account with its repositories and returns
// the account's id. Until the first is linked, GitHub is not connected. The
// first account of type User is the one that is connected.
func (h *Hub) AddGitHubAccount(a GitHubAccount) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.github.add(func(id string) githubAccount {
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
			h.repositories++
			r.ID = cmp.Or(r.ID, h.repositories)
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

func (h *Hub) listGitHubAccounts(*call) (any, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var list githubAccounts
	for account := range h.github.oldestFirst() {
		list.Connected = true
		list.Accounts = append(list.Accounts, account)
		if account.AccountType == "User" && list.Username == "" {
			list.Username, list.AvatarURL = account.AccountName, account.AvatarURL
		}
	}
	return list, nil
}

func (h *Hub) listGitHubRepos(c *call) (any, error) {
	id := c.query.Get("accountId")
	if id == "" {
		return nil, invalid("The query parameter accountId is required")
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for account := range h.github.oldestFirst() {
		if account.AccountID == id {
			return githubRepositories{AccountID: id, TotalCount: len(account.repositories), Repositories: account.repositories}, nil
		}
	}
	return nil, notFound("No GitHub account with this id")
}
