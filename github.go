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
	// Username is the caller's name at GitHub.
	Username string `json:"username,omitzero"`
	// AvatarURL is a picture of the caller.
	AvatarURL string `json:"avatarUrl,omitzero"`
	// Accounts are the accounts.
	Accounts []GitHubAccount `json:"accounts"`
	// Extra holds the members this package has no field for.
	Extra map[string]json.RawMessage `json:",embed"`
}

func (r *GitHubAccountListResponse) problem() error {
	return missingIn("accounts", r.Accounts, "accountId", func(a *GitHubAccount) string { return a.AccountID })
}

// GitHubAccount is a user or an organization at GitHub that has installed the GitHub App.
type GitHubAccount struct {
	// InstallationID is the id of that installation.
	InstallationID string `json:"installationId"`
	// IntegrationID is the id of the Hub's own record.
	IntegrationID string `json:"integrationId"`
	// AccountID is the id of the account, as ListGitHubRepos wants it.
	AccountID string `json:"accountId"`
	// AccountName is the name of the account.
	AccountName string `json:"accountName"`
	// AccountType is "User" or "Organization".
	AccountType string `json:"accountType"`
	// AvatarURL is a picture of the account.
	AvatarURL string `json:"avatarUrl,omitzero"`
	// Extra holds the members this package has no field for.
	Extra map[string]json.RawMessage `json:",embed"`
}

// GitHubRepositoryListResponse lists the repositories of a GitHub account.
type GitHubRepositoryListResponse struct {
	// AccountID is the id of the account.
	AccountID string `json:"accountId"`
	// TotalCount is the number of repositories.
	TotalCount int `json:"totalCount"`
	// Repositories are the repositories.
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
	// ID is the id of the repository at GitHub.
	ID int64 `json:"id"`
	// Name is the short name.
	Name string `json:"name"`
	// FullName is owner/name.
	FullName string `json:"fullName"`
	// Private says that it is not public.
	Private bool `json:"private"`
	// DefaultBranch is its default branch.
	DefaultBranch string `json:"defaultBranch,omitzero"`
	// CloneURL is the address to clone from.
	CloneURL string `json:"cloneUrl"`
	// HTMLURL is the web address.
	HTMLURL string `json:"htmlUrl"`
	// Visibility is "public", "private" or another.
	Visibility string `json:"visibility,omitzero"`
	// Archived says that it is read-only.
	Archived bool `json:"archived"`
	// Disabled says that GitHub has disabled it.
	Disabled bool `json:"disabled"`
	// Owner is the account it belongs to.
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
	// Login is the name of the account.
	Login string `json:"login"`
	// AvatarURL is a picture of the account.
	AvatarURL string `json:"avatarUrl,omitzero"`
	// Extra holds the members this package has no field for.
	Extra map[string]json.RawMessage `json:",embed"`
}

// ListGitHubAccounts returns the GitHub accounts the caller can reach through the GitHub App. For a
// caller who has not connected GitHub a Hub answers with Connected false and an empty list, or with 409:
// the error then matches [ErrConflict] and says what to do.
//
// GET /hub/github/accounts
func (c *Client) ListGitHubAccounts(ctx context.Context) (*GitHubAccountListResponse, error) {
	return call[GitHubAccountListResponse](ctx, c, get("ListGitHubAccounts", "/hub/github/accounts"))
}

// ListGitHubRepos returns the repositories of one account: the id is [GitHubAccount].AccountID. A Hub
// answers 409 for a caller who has not connected GitHub: the error then matches [ErrConflict].
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
