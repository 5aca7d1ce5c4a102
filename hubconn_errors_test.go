package coder_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/agentuity/coder-go"
)

// TestHubConnError_LogValue: what an operator looks for.
func TestHubConnError_LogValue(t *testing.T) {
	e := &coder.HubConnError{Operation: "Connect", Code: coder.ConnLost, SessionID: "s", CloseCode: 4404, CloseReason: "a\nb"}
	var b strings.Builder
	slog.New(slog.NewTextHandler(&b, nil)).LogAttrs(context.Background(), slog.LevelInfo, "x", slog.Any("error", e))
	assert.Contains(t, b.String(), "error.close_code=4404")
	assert.Contains(t, b.String(), "error.session_id=s")
	assert.Contains(t, b.String(), "coder: Connect: the Hub has ended the connection: closed with 4404 SESSION_NOT_FOUND (a b)")
	e.CloseCode = 1006
	assert.Equal(t, "coder: Connect: the connection was lost: closed with 1006 (a b)", e.Error())
}

// TestCloseCode: which are terminal, and what they are called.
func TestCloseCode(t *testing.T) {
	for code := range coder.CloseCode(6000) {
		assert.Equal(t, code >= 4000 && code <= 4999 && code != 4408 && code != 4429, code.Terminal(), "%d", code)
	}
	assert.Equal(t, "4404 SESSION_NOT_FOUND", coder.CloseSessionNotFound.String())
	assert.Equal(t, "4711", coder.CloseCode(4711).String())
}
