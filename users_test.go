package coder_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
)

func TestListUsers_TakesBothShapes(t *testing.T) {
	list := func(t *testing.T, body string) (*coder.ListUsersResponse, error) {
		return newServer(t, answerJSON(http.StatusOK, body)).client(t).ListUsers(t.Context(), nil)
	}
	object, err := list(t, sample(t, "responses/users-list-object.json"))
	require.NoError(t, err)
	array, err := list(t, "\n "+sample(t, "responses/users-list-array.json"))
	require.NoError(t, err)
	assert.Equal(t, object.Users, array.Users, "the samples hold the same users")
	require.Len(t, array.Users, 2)
	assert.Equal(t, coder.User{
		UserID: "user_01k2sam3xf", DisplayName: "Sam Okafor", Email: "sam@northwind.example", Provider: "google",
		LastLoginAt: time.Date(2026, 1, 14, 17, 0, 0, 0, time.UTC), LastSeenAt: time.Date(2026, 1, 14, 19, 12, 0, 0, time.UTC),
		CreatedAt: time.Date(2025, 11, 21, 9, 0, 0, 0, time.UTC),
	}, array.Users[1])
	assert.Equal(t, []int{2, 10, 0}, []int{object.Total, object.Limit, object.Offset})
	assert.Equal(t, []int{2, 0, 0}, []int{array.Total, array.Limit, array.Offset}, "a plain list counts itself")

	for _, body := range []string{`[]`, `{"users":[]}`} {
		empty, err := list(t, body)
		require.NoError(t, err, body)
		assert.Equal(t, &coder.ListUsersResponse{Users: []coder.User{}}, empty, body)
	}
	for _, body := range []string{`[{"userId":"u","email":5,"createdAt":""}]`, `{"users":[{"userId":"u","email":5,"createdAt":""}],"total":1}`} {
		odd, err := list(t, body)
		require.NoError(t, err, body)
		assert.Equal(t, &coder.ListUsersResponse{Users: []coder.User{{UserID: "u"}}, Total: 1}, odd, "a bad member costs only itself")
	}
	for body, reason := range map[string]string{
		`[{"userId":"u"},{"displayName":"Dana"}]`:           `the member "users[1].userId" is missing`,
		`{"users":[{"userId":"u"},{"displayName":"Dana"}]}`: `the member "users[1].userId" is missing`,
		`[5]`:              `"[0]" is not an object`,
		`{"users":[null]}`: `"users[0]" is not an object`,
		`{"total":3}`:      `the list "users" is missing`,
		`{"users":{}}`:     `the list "users" is missing`,
		`[{"userId":"u"}`:  `it is not valid JSON`,
		`[] []`:            `it is not valid JSON`,
		`"users"`:          `the list "users" is missing`,
	} {
		got, err := list(t, body)
		var bad *coder.ResponseError
		require.ErrorAs(t, err, &bad, body)
		assert.Nil(t, got, body)
		assert.Equal(t, reason, bad.Reason, body)
	}
}
