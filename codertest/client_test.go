package codertest_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

func TestNewClient(t *testing.T) {
	t.Setenv("AGENTUITY_SDK_KEY", "real key")
	t.Setenv("AGENTUITY_CODER_URL", "https://hub.example")
	for name, opts := range map[string][]codertest.Option{
		"loopback":          nil,
		"loopback and key":  {codertest.WithAPIKey("agc_secret")},
		"in memory":         {codertest.WithInMemoryNetwork()},
		"in memory and key": {codertest.WithInMemoryNetwork(), codertest.WithAPIKey("secret")},
	} {
		t.Run(name, func(t *testing.T) {
			hub := codertest.NewHub(opts...)
			defer hub.Close()
			client, err := hub.NewClient()
			require.NoError(t, err)
			created, err := client.CreateSession(t.Context(), coder.CreateSessionRequest{Task: "x"})
			require.NoError(t, err)
			session, err := client.GetSession(t.Context(), created.SessionID)
			require.NoError(t, err)
			assert.Equal(t, "x", session.Task)
			for _, request := range hub.Requests() {
				assert.NotContains(t, request.Header.Get("Authorization"), "real key")
			}
		})
	}
}

func TestNewClientOptionsWin(t *testing.T) {
	hub := codertest.NewHub(codertest.WithInMemoryNetwork(), codertest.WithAPIKey("secret"))
	defer hub.Close()
	client, err := hub.NewClient(coder.WithAPIKey("wrong"), coder.WithRetryPolicy(coder.RetryPolicy{MaxAttempts: 1}))
	require.NoError(t, err)
	_, err = client.GetSession(t.Context(), "codesess_000000000001")
	require.ErrorIs(t, err, coder.ErrUnauthorized)
}
