package coder

import (
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// TestTally: each limit is the most that is allowed, and what is told twice counts once.
func TestTally(t *testing.T) {
	at := func(k int) time.Time { return time.UnixMilli(1760000000000 + int64(k)) }
	end := func(k int, tokens int64, cost float64) *MessageEnd {
		return &MessageEnd{Message: AgentMessage{
			Role: "assistant", StopReason: StopReasonStop, Timestamp: UnixMilli{at(k)},
			Usage: &AgentUsage{TotalTokens: tokens, Cost: &AgentCost{Total: cost}},
		}}
	}
	call := func(id, args string) *ToolExecutionStart {
		return &ToolExecutionStart{ToolCallID: id, ToolName: "read", Args: []byte(args)}
	}
	for name, test := range map[string]struct {
		limits Limits
		within []AgentEvent
		beyond AgentEvent
		why    string
	}{
		"cost":   {Limits{CostUSD: 0.3}, []AgentEvent{end(1, 1, 0.1), end(1, 1, 0.1), end(2, 1, 0.1)}, end(3, 1, 0.11), "more than 0.3 US dollars"},
		"tokens": {Limits{Tokens: 30}, []AgentEvent{end(1, 10, 0), end(2, 20, 0), end(2, 20, 0)}, end(3, 1, 0), "more than 30 tokens"},
		"turns":  {Limits{Turns: 2}, []AgentEvent{end(1, 1, 0), end(2, 1, 0), end(1, 1, 0)}, end(3, 1, 0), "more than 2 turns"},
		"calls":  {Limits{ToolCalls: 2}, []AgentEvent{call("a", "{}"), call("b", "{}"), call("a", "{}")}, call("c", "{}"), "more than 2 calls of tools"},
		"same call": {
			Limits{SameCall: 2}, []AgentEvent{call("a", `{"x":1,"y":2}`), call("b", `{ "y":2, "x":1 }`), call("c", `{"x":1}`), call("a", `{"x":1,"y":2}`)},
			call("d", `{"y":2,"x":1}`), `more than 2 times the same call of "read"`,
		},
		"calls without an id": {Limits{ToolCalls: 3}, []AgentEvent{call("#1", "{}"), call("", "{}"), call("", "{}")}, call("", "{}"), "more than 3 calls of tools"},
		"a name with verbs": {
			Limits{SameCall: 1}, []AgentEvent{&ToolExecutionStart{ToolCallID: "a", ToolName: "%s%1000000d\n\u202e"}},
			&ToolExecutionStart{ToolCallID: "b", ToolName: "%s%1000000d\n\u202e"}, `more than 1 times the same call of "%s%1000000d  "`,
		},
		"a long name": {
			Limits{SameCall: 1}, []AgentEvent{&ToolExecutionStart{ToolCallID: "a", ToolName: strings.Repeat("x", 1<<20)}},
			&ToolExecutionStart{ToolCallID: "b", ToolName: strings.Repeat("x", 1<<20)},
			`more than 1 times the same call of "` + strings.Repeat("x", 300) + `…"`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			tally := newTally(test.limits)
			for _, e := range test.within {
				assert.False(t, tally.add(e, ""), "%v", e)
			}
			assert.True(t, tally.add(test.beyond, ""))
			assert.Equal(t, test.why, tally.beyond)
			assert.True(t, tally.add(test.beyond, ""), "it stays beyond")
		})
	}
}

// TestTally_Spent: what a history has twice counts once, if that can be told, and a call that failed need not have cost anything.
func TestTally_Spent(t *testing.T) {
	message := func(at int, stop StopReason, usage *AgentUsage) *MessageEnd {
		m := &MessageEnd{Message: AgentMessage{Role: "assistant", StopReason: stop, Usage: usage}}
		if at > 0 {
			m.Message.Timestamp = UnixMilli{time.UnixMilli(int64(at))}
		}
		return m
	}
	call := func(id string) *ToolExecutionStart { return &ToolExecutionStart{ToolCallID: id, ToolName: "read"} }
	priced := func(tokens int64, price float64) *AgentUsage {
		return &AgentUsage{TotalTokens: tokens, Cost: &AgentCost{Total: price}}
	}
	for name, test := range map[string]struct {
		events []AgentEvent
		want   Spent
	}{
		"nothing": {nil, Spent{}},
		"twice": {
			[]AgentEvent{call("a"), call("a"), call("b"), message(1, "stop", priced(100, 0.5)), message(1, "stop", priced(100, 0.5)), message(2, "stop", priced(10, 0.25))},
			Spent{Turns: 2, ToolCalls: 2, Tokens: 110, CostUSD: 0.75},
		},
		"without ids": {
			[]AgentEvent{call(""), call(""), message(0, "stop", priced(1, 1)), message(0, "stop", priced(1, 1))},
			Spent{Turns: 2, ToolCalls: 2, Tokens: 2, CostUSD: 2},
		},
		"unknown cost":   {[]AgentEvent{message(1, "stop", &AgentUsage{Input: 3, Output: 4, CacheRead: 5})}, Spent{Turns: 1, Tokens: 12, NotTold: []string{"CostUSD"}}},
		"nothing told":   {[]AgentEvent{message(1, "stop", nil)}, Spent{Turns: 1, NotTold: []string{"CostUSD", "Tokens"}}},
		"cost in part":   {[]AgentEvent{message(1, "stop", priced(1, 0.5)), message(2, "stop", priced(1, 0))}, Spent{Turns: 2, Tokens: 2, CostUSD: 0.5, NotTold: []string{"CostUSD"}}},
		"failed is free": {[]AgentEvent{message(1, "stop", priced(1, 0.5)), message(2, "error", nil)}, Spent{Turns: 2, Tokens: 1, CostUSD: 0.5}},
	} {
		tally := newTally(Limits{})
		for _, e := range test.events {
			tally.add(e, "")
		}
		assert.Equal(t, test.want, *tally.spent(), name)
	}
}

// TestTally_NotEnforced: what one message of several does not tell is not enforced.
func TestTally_NotEnforced(t *testing.T) {
	tally := newTally(Limits{CostUSD: 1, Tokens: 1000})
	message := func(stop string, usage *AgentUsage) *MessageEnd {
		return &MessageEnd{Message: AgentMessage{Role: "assistant", StopReason: stop, Usage: usage}}
	}
	tally.add(message(StopReasonStop, &AgentUsage{TotalTokens: 1, Cost: &AgentCost{Total: 0.1}}), "")
	tally.add(message(StopReasonError, nil), "")
	tally.add(message(StopReasonAborted, nil), "")
	assert.Empty(t, tally.notEnforced(), "what failed need not have cost anything")
	tally.add(message(StopReasonStop, &AgentUsage{Input: 3}), "")
	assert.Equal(t, []string{"CostUSD"}, tally.notEnforced())
	tally.add(message(StopReasonStop, nil), "")
	assert.Equal(t, []string{"CostUSD", "Tokens"}, tally.notEnforced())
}

// TestTally_KeepsNoTexts: ids, names and arguments of calls are an agent's to choose, and a run has many.
func TestTally_KeepsNoTexts(t *testing.T) {
	tally := newTally(Limits{ToolCalls: 1000, SameCall: 1000})
	held := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := held()
	for i := range 64 {
		text := strings.Repeat(string(rune('a'+i)), 1<<20)
		tally.add(&ToolExecutionStart{ToolCallID: text, ToolName: text, Args: []byte(`"` + text + `"`)}, "")
	}
	assert.Less(t, int64(held())-int64(before), int64(8<<20))
	assert.Len(t, tally.calls, 64)
	runtime.KeepAlive(tally)
}
