package coder

import (
	"context"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestAgentTeller_KeepsNoTexts: what an agent does is told once each, however long it is at work, and however long the ids are.
func TestAgentTeller_KeepsNoTexts(t *testing.T) {
	told := 0
	c, err := NewClient(WithURL("http://hub.invalid"), WithObserver(Observer{Agent: func(context.Context, AgentInfo) { told++ }}))
	require.NoError(t, err)
	teller := c.agentTeller(t.Context(), "Ask", "x")
	held := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := held()
	for i := range 32 {
		id := strings.Repeat(string(rune('a'+i)), 1<<20)
		for range 2 {
			if event := (&ToolExecutionStart{ToolCallID: id}); teller.isNew(event, "") {
				told++
			}
		}
	}
	assert.Equal(t, 32, told, "each once")
	assert.Less(t, held()-before, int64(8<<20))
	runtime.KeepAlive(teller)
}
