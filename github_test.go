package coder_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

// TestListGitHubAccounts_WithoutALogin: the Hub answers 409, and the error says what to do.
func TestListGitHubAccounts_WithoutALogin(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub) {
		c := hubClient(t, hub)
		hub.Inject(codertest.Fault{Route: "/hub/github/accounts", Status: 409})
		hub.Inject(codertest.Fault{Route: "/hub/github/repos", Status: 409})
		_, err := c.ListGitHubAccounts(t.Context())
		require.ErrorIs(t, err, coder.ErrConflict)
		assert.ErrorContains(t, err, "connect GitHub")
		_, err = c.ListGitHubRepos(t.Context(), "1")
		require.ErrorIs(t, err, coder.ErrConflict)
		assert.ErrorContains(t, err, "connect GitHub")
		hub.Inject(codertest.Fault{Route: "/hub/session/{id}", Status: 409})
		_, err = c.GetSession(t.Context(), "x")
		assert.NotContains(t, err.Error(), "GitHub")
	})
}
