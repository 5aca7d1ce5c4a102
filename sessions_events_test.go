package coder_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

// TestAllEventHistory_WhileTheyHappen: those after the first page do not appear, whenever the loop ends.
func TestAllEventHistory_WhileTheyHappen(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub) {
		c := hubClient(t, hub)
		session := hub.Session(newSession(t, c))
		newest := 0
		for range 20 {
			newest = session.Emit(codertest.Event{Event: "turn_end"})
		}
		next := newest
		for e, err := range c.AllEventHistory(t.Context(), session.ID(), &coder.ListEventHistoryParams{Limit: 3}) {
			require.NoError(t, err)
			require.Equal(t, next, e.ID)
			next--
			session.Emit(codertest.Event{Event: "turn_start"})
		}
		assert.Zero(t, next)

		got := 0
		var last error
		for _, err := range c.AllEventHistory(t.Context(), session.ID(), &coder.ListEventHistoryParams{Limit: 3}) {
			if last = err; err != nil {
				continue
			}
			if got++; got == 4 {
				require.NoError(t, c.DeleteSession(t.Context(), session.ID()))
			}
		}
		assert.Equal(t, 6, got)
		require.ErrorIs(t, last, coder.ErrSessionNotFound)
	})
}
