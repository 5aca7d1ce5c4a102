package coder_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log"
	"log/slog"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
)

// TestHubConn_Log: each attempt and each end, and nothing that is secret or said by a user.
func TestHubConn_Log(t *testing.T) {
	live(t, func(p *peer) {
		switch p.n {
		case 1:
			p.admit()
			_, _ = p.hear()
			_ = p.Close(1001, "restart of "+testKey)
		case 2:
			_, _ = p.hear()
			_ = p.Close(1013, "not yet")
		case 3:
			p.admit()
			_ = p.Close(4404, "gone")
		}
	}, func(t *testing.T, hub *liveHub) {
		hub.setRefuse(syscall.ECONNREFUSED)
		time.AfterFunc(500*time.Millisecond, func() { hub.setRefuse(nil) })
		var logged bytes.Buffer
		logger := slog.New(slog.NewJSONHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
		conn, err := hub.client(coder.WithLogger(logger)).Connect(t.Context(), "codesess_1", &coder.HubConnectOptions{
			Role: coder.RoleController, Task: "private task", Label: "private label",
		})
		require.NoError(t, err)
		require.NoError(t, conn.Prompt(t.Context(), "private prompt"))
		_, err = messages(t, conn)
		require.ErrorIs(t, err, coder.ErrSessionNotFound)
		require.NoError(t, conn.Close())

		for _, secret := range []string{testKey, "private", "hub.invalid"} {
			assert.NotContains(t, logged.String(), secret)
		}
		const attempted, ended = "coder hub connection", "coder hub connection ended"
		for _, want := range []struct {
			msg, operation, reason string
			attempt                int
		}{
			{attempted, "Connect", "refused", 1},
			{attempted, "Connect", "", 2},
			{ended, "HubConn", "1001", 0},
			{attempted, "HubConn", "1013", 1},
			{attempted, "HubConn", "", 2},
			{ended, "HubConn", "4404", 0},
		} {
			line, err := logged.ReadBytes('\n')
			require.NoError(t, err, "%+v", want)
			var got struct {
				Msg, Level, Operation, Error string
				SessionID                    string `json:"session_id"`
				Attempt                      int
				Duration                     *int64
			}
			require.NoError(t, json.Unmarshal(line, &got))
			assert.Equal(t, want.msg, got.Msg)
			assert.Equal(t, "DEBUG", got.Level)
			assert.Equal(t, want.operation, got.Operation)
			assert.Equal(t, want.attempt, got.Attempt)
			assert.Equal(t, "codesess_1", got.SessionID)
			assert.NotNil(t, got.Duration)
			assert.Contains(t, got.Error, want.reason)
			assert.Equal(t, want.reason == "", got.Error == "", "%s", line)
		}
		assert.Empty(t, logged.String(), "one record each")
	})
}

// TestHubConn_Log_SilentByDefault: nothing is logged unless the program wants it.
func TestHubConn_Log_SilentByDefault(t *testing.T) {
	var logged bytes.Buffer
	before, out, flags := slog.Default(), log.Writer(), log.Flags()
	slog.SetDefault(slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug})))
	defer func() {
		slog.SetDefault(before)
		log.SetOutput(out) // which SetDefault has taken too
		log.SetFlags(flags)
	}()
	live(t, func(p *peer) {
		if p.admit(); p.n > 1 {
			p.listen()
		}
	}, func(t *testing.T, hub *liveHub) {
		conn := connected(t, hub)
		assert.IsType(t, &coder.ReconnectedMessage{}, next(t, conn))
		require.NoError(t, conn.Close())
	})
	assert.Empty(t, logged.String())
}

// TestHubConn_SecretsStaySecret: what the Hub says in messages and in close frames reaches errors, logs and
// printed values without the key.
func TestHubConn_SecretsStaySecret(t *testing.T) {
	const key = "agc_made/up-key.of+32=characters"
	admit := func(p *peer) {
		assert.NoError(p.t, p.say(`{"type":"init","role":"controller","sessionId":"codesess_1"}`))
	}
	inJSON := `\u0061gc_made\/up\u002dkey.of+32=characters`
	for name, play := range map[string]func(*peer){
		"another session": func(p *peer) { _ = p.say(`{"type":"init","role":"controller","sessionId":"` + inJSON + `"}`) },
		"rejected": func(p *peer) {
			_ = p.say(`{"type":"connection_rejected","code":"` + inJSON + `","message":"` + inJSON + `","timestamp":1}`)
		},
		"rejected and closed": func(p *peer) {
			_ = p.say(`{"type":"connection_rejected","code":"` + inJSON + `"}`)
			_ = p.Close(4403, "bad key "+key)
		},
		"refused":       func(p *peer) { _ = p.say(`{"error":{"key":"` + inJSON + `"}}`) },
		"closed before": func(p *peer) { _ = p.Close(4401, "bad key "+key) },
		"closed after":  func(p *peer) { admit(p); _ = p.Close(4404, "bad key "+key) },
		"command": func(p *peer) {
			admit(p)
			for {
				m, err := p.hear()
				if err != nil {
					return
				}
				if m["type"] == "rpc_command" {
					_ = p.say(`{"type":"rpc_command_error","error":"bad key ` + inJSON + `"}`)
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			hub := newLiveHub(t, play)
			var logged bytes.Buffer
			logger := slog.New(slog.NewJSONHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
			c := hub.client(coder.WithLogger(logger), coder.WithAPIKey(key))
			conn, err := c.Connect(t.Context(), "codesess_1", &coder.HubConnectOptions{
				Role: coder.RoleController, MaxReconnectAttempts: -1,
			})
			if err == nil {
				_, err = conn.GetState(t.Context())
				assertNoSecret(t, key, "the connection", fmt.Sprintf("%+v", conn))
				require.NoError(t, conn.Close())
			}
			require.Error(t, err)
			logger.Error("failed", "error", err)
			assertNoSecret(t, key, name, err)
			assertNoSecret(t, key, "the log", logged.String())
			assert.Contains(t, err.Error(), "[API key]")
		})
	}
	// A Hub that calls the session by the key: the id is the program's to use, and is not printed.
	hub := newLiveHub(t, func(p *peer) {
		_ = p.say(`{"type":"init","role":"lead","sessionId":"` + inJSON + `"}`)
		_, _ = p.hear()
		_ = p.Close(4404, "gone")
	})
	var logged bytes.Buffer
	logger := slog.New(slog.NewJSONHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
	conn, err := hub.client(coder.WithLogger(logger), coder.WithAPIKey(key)).ConnectNew(t.Context(), nil)
	require.NoError(t, err)
	assert.Equal(t, key, conn.SessionID())
	assertNoSecret(t, key, "the connection", fmt.Sprintf("%+v", conn))
	_, err = messages(t, conn)
	require.Error(t, err)
	assertNoSecret(t, key, "the error", err)
	require.NoError(t, conn.Close())
	assertNoSecret(t, key, "the log", logged.String())
}
