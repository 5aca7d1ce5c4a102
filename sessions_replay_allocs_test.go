//go:build !race

package coder_test

import (
	"bytes"
	"errors"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
)

// TestReplayEntries_ForgetsWhatItDelivered: what is kept for a comparison does not grow with the entries.
func TestReplayEntries_ForgetsWhatItDelivered(t *testing.T) {
	var body bytes.Buffer
	body.WriteString(`{"sessionId":"x","entries":[`)
	for range 1000 {
		body.WriteString(`{"type":"turn","timestamp":0,"sequence":1},`)
	}
	body.WriteString(`{"type":"turn","timestamp":0,"sequence":1}]}`)
	count := func(params *coder.GetSessionReplayParams) float64 {
		return testing.AllocsPerRun(5, func() {
			hub := &replays{answers: []replayAnswer{{body: body.String()}}}
			c, err := coder.NewClient(coder.WithURL("http://hub.test"), coder.WithHTTPClient(&http.Client{Transport: hub}))
			err = errors.Join(err, func() error { _, err := take(c.ReplayEntries(t.Context(), "x", params), 2000); return err }())
			require.NoError(t, err)
		})
	}
	assert.InDelta(t, count(&coder.GetSessionReplayParams{NoResume: true}), count(nil), 10, "no allocation an entry for the sake of resuming, of 1,001")
}

// TestGetReplay_Memory: what is allocated for a large transcript is little more than its texts, not the body besides.
func TestGetReplay_Memory(t *testing.T) {
	const entries, size = 3200, 10 << 10
	var body bytes.Buffer
	body.WriteString(`{"sessionId":"x","entries":[`)
	for range entries {
		body.WriteString(`{"type":"message","content":"` + strings.Repeat("x", size) + `"},`)
	}
	body.WriteString(`{"type":"turn"}]}`)
	hub := &replays{answers: []replayAnswer{{body: body.String()}}}
	c, err := coder.NewClient(coder.WithURL("http://hub.test"), coder.WithHTTPClient(&http.Client{Transport: hub}))
	require.NoError(t, err)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	replay, err := c.GetReplay(t.Context(), "x", nil)
	runtime.ReadMemStats(&after)
	require.NoError(t, err)
	require.Len(t, replay.Entries, entries+1)
	assert.Less(t, float64(after.TotalAlloc-before.TotalAlloc)/float64(body.Len()), 1.5)
}
