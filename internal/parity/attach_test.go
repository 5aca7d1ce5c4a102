//go:build parity

package parity

import (
	"fmt"
	"maps"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
)

// sessionIn is a session whose flags are these.
func sessionIn(g *generator, flags object) answer {
	g.richness = minimal
	s := g.object(*known.Calls["getSession"].Response)
	s["sessionId"] = "s"
	maps.Copy(s, flags)
	return ok(encode(s))
}

// TestAttach plays the ways a session can be made attachable: what is looked at, what is woken,
// and how often.
func TestAttach(t *testing.T) {
	g := newGenerator("attach")
	paused := sessionIn(g, object{"wakeAvailable": true, "runtimeAvailable": false, "historyOnly": false, "label": "paused"})
	running := sessionIn(g, object{"wakeAvailable": false, "runtimeAvailable": true, "historyOnly": false, "label": "running"})
	over := sessionIn(g, object{"wakeAvailable": false, "runtimeAvailable": false, "historyOnly": true, "label": "over"})
	broken := answer{status: 500, body: `{"error":"Oops"}`}
	gone := answer{status: 404, body: `{"error":"gone"}`}
	resumed := ok(`{"sessionId":"s","resumed":true}`)
	options := []any{"s", object{"timeoutMs": 60_000, "pollIntervalMs": 1}}

	for name, script := range map[string][]answer{
		"back at once":              {paused, resumed, running},
		"back after a while":        {paused, resumed, paused, paused, paused, running},
		"over in the meantime":      {paused, resumed, paused, over},
		"polls that fail":           {paused, resumed, broken, gone, ok("<html>"), running},
		"the first look fails":      {broken},
		"the first look finds none": {gone},
		"the resume fails":          {paused, broken},
		"the resume says nothing":   {paused, ok(`{"sessionId":"s"}`), running},
		"the resume is no answer":   {paused, ok(`{}`)},
	} {
		t.Run(name, func(t *testing.T) {
			scenario{method: "PrepareSessionForRemoteAttach", args: options, answers: script}.check(t)
		})
	}
	for flags := range 8 {
		name := fmt.Sprintf("flags %03b", flags)
		first := sessionIn(g, object{"wakeAvailable": flags&1 > 0, "runtimeAvailable": flags&2 > 0, "historyOnly": flags&4 > 0})
		t.Run(name, func(t *testing.T) {
			scenario{method: "PrepareSessionForRemoteAttach", args: options, answers: []answer{first, resumed, running}}.check(t)
		})
	}
}

// TestAttachDifferences: what waiting does not swallow here.
func TestAttachDifferences(t *testing.T) {
	g := newGenerator("attach differences")
	paused := sessionIn(g, object{"wakeAvailable": true, "runtimeAvailable": false, "historyOnly": false})
	running := sessionIn(g, object{"wakeAvailable": false, "runtimeAvailable": true, "historyOnly": false})
	resumed := ok(`{"sessionId":"s","resumed":true}`)
	options := []any{"s", object{"timeoutMs": 60_000, "pollIntervalMs": 1}}

	for status, sentinel := range map[int]error{
		401: coder.ErrUnauthorized, 402: coder.ErrPaymentRequired, 403: coder.ErrForbidden, 426: coder.ErrUpgradeRequired,
	} {
		there, here := scenario{method: "PrepareSessionForRemoteAttach", args: options,
			answers: []answer{paused, resumed, {status: status, body: `{"error":"no"}`}, running}}.play(t)
		require.NoError(t, there.err)
		assert.Len(t, there.requests, 4, "the original goes on")
		require.ErrorIs(t, here.err, sentinel)
		assert.Len(t, here.requests, 3)
	}
	tally.met("polls-that-are-refused")

	there, here := scenario{method: "PrepareSessionForRemoteAttach",
		args: []any{"s", object{"timeoutMs": 0, "pollIntervalMs": 1}}, answers: []answer{paused, resumed, running}}.play(t)
	assert.Len(t, there.requests, 2, "0 ms are no wait there")
	assert.Equal(t, false, there.result.(object)["runtimeAvailable"])
	assert.Len(t, here.requests, 3, "0 is the default here")
	assert.Equal(t, true, here.result.(object)["runtimeAvailable"])
	tally.met("attach-without-a-timeout")

	for _, refusal := range []string{
		`{"sessionId":"s","resumed":false}`, `{"sessionId":"s","error":"no runtime"}`, `{"sessionId":"s","resumed":false,"error":"no runtime"}`,
	} {
		there, here := scenario{method: "PrepareSessionForRemoteAttach", args: options, answers: []answer{paused, ok(refusal), running}}.play(t)
		require.NoError(t, there.err)
		require.ErrorIs(t, here.err, coder.ErrResumeDeclined)
		assert.Len(t, here.requests, 2)
		there, here = scenario{method: "ResumeSession", args: []any{"s"}, answers: []answer{ok(refusal)}}.play(t)
		require.NoError(t, there.err)
		require.ErrorIs(t, here.err, coder.ErrResumeDeclined)
	}
	tally.met("declined-resume")
}
