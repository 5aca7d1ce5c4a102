//go:build !race

package coder

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go/internal/sse"
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

// TestObserverEvent_Allocations holds the budget of an event of a stream: the event, and its data. The names and categories
// that this package has constants for cost none, nor does the id of the session.
func TestObserverEvent_Allocations(t *testing.T) {
	source, err := os.ReadFile("sessions_events.go")
	require.NoError(t, err)
	constants := regexp.MustCompile(`(?m)^\tEvent\w+ +Event(Name|Category) += "(\w+)"`).FindAllSubmatch(source, -1)
	require.Greater(t, len(constants), 70)
	for _, constant := range constants {
		block := sse.Event{Name: "broadcast", Data: fmt.Appendf(nil, `{"event":%q,"category":%[1]q,"data":{"a":1},"sessionId":"codesess_1"}`, constant[2])}
		allocs := testing.AllocsPerRun(10, func() {
			if quickEvent(block, "codesess_1") == nil {
				t.Fatal("not a usual broadcast")
			}
		})
		assert.LessOrEqual(t, allocs, 2.0, "%s", constant[2])
	}
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
