package coder_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
)

func TestSession_Details(t *testing.T) {
	var s coder.Session
	require.NoError(t, json.Unmarshal([]byte(sample(t, "responses/session-get.json")), &s))
	usage, err := s.Usage()
	require.NoError(t, err)
	assert.EqualValues(t, 182334, usage.InputTokens)
	assert.InDelta(t, 1.87, usage.CostUSD, 0)
	assert.EqualValues(t, 1768473737512, usage.UpdatedAt.UnixMilli())
	tasks, err := s.Tasks()
	require.NoError(t, err)
	assert.Len(t, tasks, 3)
	assert.Equal(t, 140*time.Second, tasks[0].Duration.Duration())
	assert.Equal(t, coder.TaskFailed, tasks[2].Status)
	activity, err := s.AgentActivity()
	require.NoError(t, err)
	assert.Equal(t, 21, activity["builder"].ToolCallCount)
	stream, err := s.Stream()
	require.NoError(t, err)
	assert.Equal(t, "Adding the callback route.\n\n", stream.Output)
	assert.Contains(t, stream.Tasks, "task_02")
	where, err := s.RuntimeContext()
	require.NoError(t, err)
	assert.Equal(t, "/workspace/checkout", where.WorkingDirectory)
	workers, err := s.Workers()
	require.NoError(t, err)
	assert.Nil(t, workers)
	what, err := s.RuntimeError()
	require.NoError(t, err)
	assert.Empty(t, what)

	require.NoError(t, json.Unmarshal([]byte(`{"sessionId":"x","usage":"much","error":"out of memory","workers":[{"sessionId":"w"}]}`), &s))
	_, err = s.Usage()
	require.ErrorContains(t, err, `"usage"`)
	what, err = s.RuntimeError()
	require.NoError(t, err)
	assert.Equal(t, "out of memory", what)
	workers, err = s.Workers()
	require.NoError(t, err)
	assert.Equal(t, "w", workers[0].SessionID)
}
