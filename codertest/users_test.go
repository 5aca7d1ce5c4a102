package codertest_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/agentuity/coder-go/codertest"
)

func TestUsers(t *testing.T) {
	f := start(t)
	assert.Equal(t, map[string]any{"users": []any{}, "total": 0.0, "offset": 0.0}, f.get("/hub/users"))
	login := time.Date(2026, 1, 15, 8, 55, 0, 0, time.FixedZone("CET", 3600))
	dana := f.AddUser(codertest.User{
		UserID: "user_dana", DisplayName: "Dana Reyes", Email: "dana@x.example", Provider: "google", AvatarURL: "https://a", LastLoginAt: login,
	})
	assert.Equal(t, "user_dana", dana)
	sam := f.AddUser(codertest.User{DisplayName: "Sam Okafor"})
	f.AddUser(codertest.User{DisplayName: "Daniel"})

	first := at(t, f.get("/hub/users"), "users", 0)
	assert.Equal(t, "user_dana Dana Reyes dana@x.example google https://a 2026-01-15T07:55:00.000Z",
		text(first, "userId", "displayName", "email", "provider", "avatarUrl", "lastLoginAt"))
	second := at(t, f.get("/hub/users"), "users", 1)
	assert.Equal(t, sam, at(t, second, "userId"))
	assert.NotContains(t, second, "avatarUrl")
	for _, member := range []string{"email", "provider", "lastLoginAt", "lastSeenAt", "createdAt"} {
		assert.NotEmpty(t, at(t, second, member), member)
	}
	for query, want := range map[string]struct {
		names []any
		total float64
	}{
		"":                            {[]any{"Dana Reyes", "Sam Okafor", "Daniel"}, 3},
		"search=DAN":                  {[]any{"Dana Reyes", "Daniel"}, 2},
		"search=dan&limit=1&offset=1": {[]any{"Daniel"}, 2},
		"search=x.example":            {[]any{}, 0}, // the name, not the address
		"limit=0":                     {[]any{}, 3},
		"limit=2":                     {[]any{"Dana Reyes", "Sam Okafor"}, 3},
		"offset=9":                    {[]any{}, 3},
	} {
		list := f.get("/hub/users?" + query)
		assert.Equal(t, want.names, all(t, list["users"], "displayName"), query)
		assert.InDelta(t, want.total, list["total"], 0, query)
	}
	page := f.get("/hub/users?limit=2&offset=1")
	assert.Equal(t, "2 1", text(page, "limit", "offset"))
	f.call(400, "GET", "/hub/users?limit=x", "")
}
