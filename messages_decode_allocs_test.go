//go:build !race

package coder

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
)

// TestServerMessage_Allocations holds the budget: 4 for an event of 250 B, the copy of the frame included.
func TestServerMessage_Allocations(t *testing.T) {
	frame := fmt.Appendf(nil, benchBroadcast, "x")
	assert.InDelta(t, 250, len(frame), 30)
	allocs := testing.AllocsPerRun(1000, func() {
		if _, ok := decodeServerMessage(bytes.Clone(frame)).(*BroadcastEventMessage); !ok {
			t.Fatal("not a broadcast")
		}
	})
	assert.LessOrEqual(t, allocs, 4.0)
}
