package coder

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// TestSpending_Add: the agent is aborted once while it works, and what was spent before is no reason until it works again.
func TestSpending_Add(t *testing.T) {
	s := &spending{tally: newTally(Limits{ToolCalls: 1})}
	call := func(id string, live bool) bool {
		return s.add(&ToolExecutionStart{ToolCallID: id, ToolName: "read"}, "", live)
	}
	assert.False(t, call("1", false), "within the limit")
	assert.True(t, call("2", false), "beyond it: somebody may be at work")
	assert.False(t, call("3", false), "nobody was, and this was before")
	assert.True(t, call("4", true), "at work again")
	assert.False(t, call("5", true), "that was seen to")
}

// TestIsTransient_AbortOfUnknownOutcome: RunSession finds out what has become of it.
func TestIsTransient_AbortOfUnknownOutcome(t *testing.T) {
	abort := &HubConnError{Operation: "Abort", Code: ConnLost, outcomeUnknown: true}
	assert.False(t, IsTransient(abort))
	assert.True(t, IsTransient(&RunError{Key: "key", SessionID: "x", Err: abort}))
}
