package coder

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"
)

// GitHubAccountListResponse lists the GitHub accounts the caller can reach.
type GitHubAccountListResponse struct {
	// Connected says that the caller has connected GitHub. If not, there are no accounts.
	Connected bool `json:"connected"`
	// Username and AvatarURL, the address of a picture, are the caller's at GitHub.
	Username  string `json:"username,omitzero"`
	AvatarURL string `json:"avatarUrl,omitzero"`
	// Accounts has those that have installed the GitHub App: users and organizations.
	Accounts []GitHubAccount `json:"accounts"`
	// Extra holds the members this package has no field for.
	Extra map[string]json.RawMessage `json:",embed"`
}

func (r *GitHubAccountListResponse) problem() error {
	return missingIn("accounts", r.Accounts, "accountId", func(a *GitHubAccount) string { return a.AccountID })
}

// GitHubAccount is a user or an organization at GitHub that has installed the GitHub App.
type GitHubAccount struct {
	// InstallationID names the installation of the App at GitHub, IntegrationID the Hub's record of it.
	InstallationID string `json:"installationId"`
	IntegrationID  string `json:"integrationId"`
	// AccountID is what [Client.ListGitHubRepos] takes.
	AccountID   string `json:"accountId"`
	AccountName string `json:"accountName"`
	// AccountType is "User" or "Organization".
	AccountType string `json:"accountType"`
	// AvatarURL is the address of a picture.
	AvatarURL string `json:"avatarUrl,omitzero"`
	// Extra holds the members this package has no field for.
	Extra map[string]json.RawMessage `json:",embed"`
}

// GitHubRepositoryListResponse lists the repositories of a GitHub account.
type GitHubRepositoryListResponse struct {
	// AccountID is the id that was asked for.
	AccountID string `json:"accountId"`
	// TotalCount is the number of repositories, as the Hub counts them.
	TotalCount   int                `json:"totalCount"`
	Repositories []GitHubRepository `json:"repositories"`
	// Extra holds the members this package has no field for.
	Extra map[string]json.RawMessage `json:",embed"`
}

func (r *GitHubRepositoryListResponse) problem() error {
	if err := missingText("accountId", r.AccountID); err != nil {
		return err
	}
	return missingIn("repositories", r.Repositories, "id", (*GitHubRepository).identity)
}

// GitHubRepository is a repository at GitHub.
type GitHubRepository struct {
	// ID is GitHub's. FullName is owner/name.
	ID       int64  `json:"id"`
	Name     string `json:"name"`
	FullName string `json:"fullName"`
	// Private says that the repository is not public.
	Private bool `json:"private"`
	// DefaultBranch may be empty.
	DefaultBranch string `json:"defaultBranch,omitzero"`
	// CloneURL is for Git, HTMLURL for browsers.
	CloneURL string `json:"cloneUrl"`
	HTMLURL  string `json:"htmlUrl"`
	// Visibility is "public", "private" or another.
	Visibility string `json:"visibility,omitzero"`
	// Archived says that the repository is read-only, Disabled that GitHub has disabled it.
	Archived bool `json:"archived"`
	Disabled bool `json:"disabled"`
	// Owner is a user or an organization.
	Owner GitHubRepositoryOwner `json:"owner"`
	// Extra holds the members this package has no field for.
	Extra map[string]json.RawMessage `json:",embed"`
}

func (r *GitHubRepository) identity() string {
	if r.ID == 0 {
		return ""
	}
	return strconv.FormatInt(r.ID, 10)
}

// GitHubRepositoryOwner is the account a repository belongs to.
type GitHubRepositoryOwner struct {
	// Login is the name of the account, AvatarURL the address of a picture.
	Login     string `json:"login"`
	AvatarURL string `json:"avatarUrl,omitzero"`
	// Extra holds the members this package has no field for.
	Extra map[string]json.RawMessage `json:",embed"`
}

// ListGitHubAccounts returns the GitHub accounts the caller can reach through the GitHub App. If the caller
// has not connected GitHub, a Hub responds with Connected false and an empty list, or with 409: the error
// then matches [ErrConflict] and says what to do.
//
// GET /hub/github/accounts
func (c *Client) ListGitHubAccounts(ctx context.Context) (*GitHubAccountListResponse, error) {
	return call[GitHubAccountListResponse](ctx, c, get("ListGitHubAccounts", "/hub/github/accounts"))
}

// ListGitHubRepos returns the repositories of one account: the id is [GitHubAccount].AccountID. If the caller
// has not connected GitHub, a Hub responds with 409: the error then matches [ErrConflict].
//
// GET /hub/github/repos
func (c *Client) ListGitHubRepos(ctx context.Context, accountID string) (*GitHubRepositoryListResponse, error) {
	r := get("ListGitHubRepos", "/hub/github/repos?accountId={accountID}", accountID)
	// This one parameter is an id, and is checked and escaped like those in paths.
	if query := strings.IndexByte(r.path, '?'); query >= 0 {
		r.path, r.query = r.path[:query], r.path[query:]
	}
	return call[GitHubRepositoryListResponse](ctx, c, r)
}
