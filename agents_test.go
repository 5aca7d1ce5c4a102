package coder_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
)

// TestCustomAgent_RoundTrip: what an agent embeds does not take its JSON methods, with either package.
func TestCustomAgent_RoundTrip(t *testing.T) {
	const version = `{"slug":"s","displayName":"d","instructions":"i","headlessCompatible":true,"tools":["read","fly"],
		"serviceTools":[],"savedSkills":[{"skillId":"k","repo":"r"}],"id":"agentver_1","agentId":"agent_1","version":2,
		"createdByUserId":"user_1","createdAt":"2026-01-13T15:00:00Z","changelog":["a"]}`
	const agent = `{"slug":"s","displayName":"d","description":"x","instructions":"i","model":"m","thinkingLevel":"ultra",
		"headlessCompatible":true,"tools":[],"serviceTools":["web_search"],"savedSkills":[],"companionAgents":["scout"],
		"id":"agent_1","ownerUserId":"user_1","lifecycle":"published","visibility":"org","createdAt":"2026-01-12T09:30:00Z",
		"updatedAt":"2026-01-13T15:00:00Z","hasPublishedVersion":true,"hasUnpublishedChanges":true,"latestPublishedVersion":2,
		"latestPublishedAt":"2026-01-13T15:00:00Z","published":` + version + `,"draft":{"slug":"s","displayName":"d",
		"instructions":"j","headlessCompatible":true,"tools":[],"serviceTools":[],"savedSkills":[],"secret":{"b":1}},"stars":5}`
	type holder struct {
		Agent   coder.CustomAgent         `json:"agent"`
		Version *coder.CustomAgentVersion `json:"version"`
	}
	text := fmt.Sprintf(`{"agent":%s,"version":%s}`, agent, version)
	var v1, v2 holder
	require.NoError(t, json.Unmarshal([]byte(text), &v1))
	require.NoError(t, jsonv2.Unmarshal([]byte(text), &v2))
	assert.Equal(t, v1, v2)
	assert.Equal(t, 2, v1.Agent.LatestPublishedVersion)
	assert.Equal(t, 2, v1.Agent.Published.Version)
	assert.Equal(t, *v1.Version, *v1.Agent.Published)
	assert.JSONEq(t, `5`, string(v1.Agent.Extra["stars"]))
	assert.JSONEq(t, `["a"]`, string(v1.Version.Extra["changelog"]))
	assert.JSONEq(t, `{"b":1}`, string(v1.Agent.Draft.Extra["secret"]))
	assert.Len(t, v1.Agent.Extra, 1, "known members are no unknown ones")
	for _, encode := range []func(any) ([]byte, error){json.Marshal, func(v any) ([]byte, error) { return jsonv2.Marshal(v) }} {
		for _, v := range []any{v1, &v1} {
			out, err := encode(v)
			require.NoError(t, err)
			assert.JSONEq(t, text, string(out))
		}
	}
}

func TestGetCustomAgent_SlugWithSlashes(t *testing.T) {
	s := newServer(t, answerJSON(http.StatusOK, `{"agent":{"id":"agent_1"},"versions":[]}`))
	c := s.client(t)
	const slug = "team a/doc-writer~2(é)"
	const escaped = "/api/hub/agents/team%20a%2Fdoc-writer~2(%C3%A9)"
	for want, call := range map[string]func(context.Context, string) error{
		"GET " + escaped:               func(ctx context.Context, id string) error { _, err := c.GetCustomAgent(ctx, id); return err },
		"POST " + escaped + "/publish": func(ctx context.Context, id string) error { _, err := c.PublishCustomAgent(ctx, id); return err },
		"POST " + escaped + "/archive": func(ctx context.Context, id string) error { _, err := c.ArchiveCustomAgent(ctx, id); return err },
		"GET " + escaped + "/versions": func(ctx context.Context, id string) error { _, err := c.ListCustomAgentVersions(ctx, id); return err },
	} {
		require.NoError(t, call(t.Context(), slug))
		seen := s.seen()[len(s.seen())-1]
		assert.Equal(t, want, seen.method+" "+seen.target)
	}
}
