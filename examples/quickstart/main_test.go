package main

import (
	"bytes"
	"context"
	"net/http"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

func TestWithoutAnAccount(t *testing.T) {
	t.Setenv("AGENTUITY_SDK_KEY", "")
	t.Setenv("AGENTUITY_CODER_URL", "")
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), &out))
	text := out.String()
	for _, line := range []string{
		"no AGENTUITY_SDK_KEY", "Hub          http://127.0.0.1:", "Created      codesess_", "Listed       1 of 1", "Prepared     active", "Waited       turn_ended, succeeded: true (",
		`Updated      label "Quickstart, renamed"`, " session_label_updated\nEvent ", " agent_end\nEvent ",
		"Entry        user_prompt: Add a /healthz endpoint", "Entry        message: Done.", "Archived     archived", "Deleted      it is not found",
	} {
		assert.Contains(t, text, line)
	}
}

func TestWithAHubFromTheEnvironment(t *testing.T) {
	hub := codertest.NewHub(codertest.WithAPIKey("key"), codertest.WithAgentVersion("1.6.0"))
	defer hub.Close()
	t.Setenv("AGENTUITY_CODER_URL", hub.URL())
	t.Setenv("AGENTUITY_SDK_KEY", "key")
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), &out))
	assert.Contains(t, out.String(), "the environment names")

	t.Setenv("AGENTUITY_SDK_KEY", "wrong")
	err := run(t.Context(), &out)
	require.ErrorIs(t, err, coder.ErrUnauthorized)

	t.Setenv("AGENTUITY_CODER_URL", "nowhere")
	require.ErrorContains(t, run(t.Context(), &out), "AGENTUITY_CODER_URL")
}

func TestFailuresLeaveNothingBehind(t *testing.T) {
	for name, fault := range map[string]codertest.Fault{
		"listing": {Method: http.MethodGet, Route: "/hub/sessions", Status: 403},
		"getting": {Method: http.MethodGet, Route: "/hub/session/{id}", Status: 403},
		"history": {Route: "/hub/session/{id}/events/history", Status: 403, Count: -1},
		"archive": {Route: "/hub/session/{id}/archive", Status: 403},
		"delete":  {Method: http.MethodDelete, Status: 403},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hub := codertest.NewHub(codertest.WithInMemoryNetwork())
				defer hub.Close()
				client, err := hub.NewClient()
				require.NoError(t, err)
				hub.Inject(fault)
				require.ErrorIs(t, tour(t.Context(), client, new(bytes.Buffer)), coder.ErrForbidden)
				assert.Empty(t, hub.SessionIDs())
			})
		})
	}
}

func TestInterruptedItStillDeletes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := codertest.NewHub(codertest.WithInMemoryNetwork())
		defer hub.Close()
		client, err := hub.NewClient()
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		hub.Inject(codertest.Fault{Route: "/hub/session/{id}/replay", Stall: true})
		go func() { synctest.Wait(); cancel() }()
		err = tour(ctx, client, new(bytes.Buffer))
		require.ErrorIs(t, err, context.Canceled)
		assert.Empty(t, hub.SessionIDs())
	})
}
