package coder

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestCursor_OneForm: cursors are compared as texts, so that each place has one.
func TestCursor_OneForm(t *testing.T) {
	hub := hubName("https://hub.example")
	good := newCursor(hub, "ab", 7)
	require.Equal(t, Cursor("cursor1."+hub+".YWI.7"), good)
	_, err := good.of(hub, "ab")
	require.NoError(t, err)
	for _, session := range []string{"YW\nI", "YWJ", "YWI\r", "YWI="} {
		_, err := Cursor("cursor1."+hub+"."+session+".7").of(hub, "ab")
		require.ErrorAs(t, err, new(*ValidationError), "%q", session)
		require.NotErrorIs(t, err, ErrForeignCursor)
	}
}

// FuzzStoredTexts: a cursor and a receipt that are taken back are those that were given out, byte by byte.
func FuzzStoredTexts(f *testing.F) {
	const hub = "https://hub.example"
	f.Add(string(newCursor(hubName(hub), "codesess_1", 7)), "codesess_1")
	f.Add(string(newCursor(hubName(hub), "ab", 0)), "ab")
	f.Add("cursor1."+hubName(hub)+".YW\nI.7", "ab")
	f.Add("cursor1."+hubName(hub)+".YWJ.7", "ab")
	for _, r := range []Receipt{{}, {
		SessionID: "codesess_1", AfterEvent: 7, Digest: "d", Before: 1, Command: true, SentAt: time.Date(2026, 1, 15, 9, 30, 0, 5, time.UTC), Disposition: PromptQueued,
	}} {
		text, err := r.MarshalText()
		require.NoError(f, err)
		f.Add(string(text), "codesess_1")
		f.Add(string(text)+"\n", "codesess_1")
	}
	f.Fuzz(func(t *testing.T, text, session string) {
		if id, err := Cursor(text).of(hubName(hub), session); err != nil {
			assert.NotContains(t, err.Error(), hub)
			assert.NotContains(t, err.Error(), "\n")
		} else if text != "" {
			require.Equal(t, Cursor(text), newCursor(hubName(hub), session, id))
		}
		var r, again Receipt
		if r.UnmarshalText([]byte(text)) != nil {
			return
		}
		out, err := r.MarshalText()
		require.NoError(t, err, "%+v", r)
		require.NotContains(t, string(out), "\n")
		require.NoError(t, again.UnmarshalText(out))
		require.True(t, r.SentAt.Equal(again.SentAt))
		again.SentAt = r.SentAt
		require.Equal(t, r, again)
	})
}
