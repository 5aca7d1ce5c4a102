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

// TestAgentEvent_Allocations: an update costs the same however long the answer has become, although older agents send all
// of it twice with each.
func TestAgentEvent_Allocations(t *testing.T) {
	for _, length := range []int{100, 100_000} {
		message := fmt.Sprintf(`{"role":"assistant","content":[{"type":"text","text":%q}]}`, bytes.Repeat([]byte("x"), length))
		payload := fmt.Appendf(nil, `{"message":%s,"assistantMessageEvent":{"type":"text_delta","contentIndex":0,"delta":"x","partial":%[1]s}}`, message)
		allocs := testing.AllocsPerRun(100, func() {
			if decodeAgentEvent(EventMessageUpdate, payload).(*MessageUpdate).Delta != "x" {
				t.Fatal("not an update")
			}
		})
		assert.LessOrEqual(t, allocs, 5.0, "%d characters", length)
	}
}
