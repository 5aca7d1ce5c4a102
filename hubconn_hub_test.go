package coder_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

// TestAttachToTheHub takes a session from its creation to an answer of its agent.
func TestAttachToTheHub(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub) {
		c := hubClient(t, hub)
		id := newSession(t, c)
		conn, err := c.Attach(t.Context(), id, nil)
		require.NoError(t, err, "a session that was just created is waited for")
		defer func() { assert.NoError(t, conn.Close()) }()
		assert.Equal(t, id, conn.SessionID())
		assert.Equal(t, coder.RoleController, conn.Init().Role)

		require.NoError(t, conn.Prompt(t.Context(), "Say hello"))
		hydrated, ended := false, false
		for m, err := range conn.Messages(t.Context()) {
			require.NoError(t, err)
			switch m := m.(type) {
			case *coder.HubHydrationMessage:
				hydrated = true
			case *coder.RPCEventMessage:
				ended = m.EventType == coder.EventTurnEnd
			}
			if ended {
				break
			}
		}
		assert.True(t, hydrated)
		state, err := conn.GetState(t.Context())
		require.NoError(t, err)
		assert.False(t, state.IsStreaming)
		messages, err := conn.GetMessages(t.Context())
		require.NoError(t, err)
		assert.NotEmpty(t, messages)

		hub.Session(id).Archive()
		_, err = c.Attach(t.Context(), id, nil)
		require.ErrorIs(t, err, coder.ErrNotAttachable)
	})
}
