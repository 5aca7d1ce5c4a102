package codertest_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/agentuity/coder-go/codertest"
)

func TestGitHub(t *testing.T) {
	f := start(t)
	assert.Equal(t, map[string]any{"connected": false, "accounts": []any{}}, f.get("/hub/github/accounts"))
	labs := f.AddGitHubAccount(codertest.GitHubAccount{
		AccountID: "90 210/x", AccountName: "labs", InstallationID: "5123", IntegrationID: "int_5", AvatarURL: "https://a",
		Repositories: []codertest.GitHubRepository{
			{ID: 700100200, Name: "checkout", Private: true, DefaultBranch: "trunk"}, {Name: "billing", Archived: true, Disabled: true},
		},
	})
	dana := f.AddGitHubAccount(codertest.GitHubAccount{AccountType: "User", AvatarURL: "https://b"})
	accounts := f.get("/hub/github/accounts")
	assert.Equal(t, "true "+dana+" https://b", text(accounts, "connected", "username", "avatarUrl"))
	assert.Equal(t, "5123 int_5 90 210/x labs Organization https://a",
		text(at(t, accounts, "accounts", 0), "installationId", "integrationId", "accountId", "accountName", "accountType", "avatarUrl"))

	repos := f.get("/hub/github/repos?accountId=90%20210%2Fx")
	assert.Equal(t, labs+" 2", text(repos, "accountId", "totalCount"))
	assert.Equal(t, map[string]any{
		"id": 700100200.0, "name": "checkout", "fullName": "labs/checkout", "private": true, "defaultBranch": "trunk",
		"cloneUrl": "https://github.com/labs/checkout.git", "htmlUrl": "https://github.com/labs/checkout", "visibility": "private",
		"archived": false, "disabled": false, "owner": map[string]any{"login": "labs", "avatarUrl": "https://a"},
	}, at(t, repos, "repositories", 0))
	assert.Equal(t, "main public true true", text(at(t, repos, "repositories", 1), "defaultBranch", "visibility", "archived", "disabled"))
	assert.Equal(t, []any{}, f.get("/hub/github/repos?accountId=" + dana)["repositories"])
	f.call(404, "GET", "/hub/github/repos?accountId=nope", "")
	f.call(400, "GET", "/hub/github/repos?accountId=", "")
}
