package main

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

// text is what is written by several goroutines.
type text struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (t *text) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.b.Write(p)
}

func (t *text) Close() error { return nil }

func (t *text) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.b.String()
}

// user is an MCP client that is connected with the server.
type user struct {
	t       *testing.T
	session *mcp.ClientSession
	log     text // of what comes and goes

	mu       sync.Mutex
	progress []*mcp.ProgressNotificationParams
}

// bubble makes a test in fake time: a Hub, the server before it, and a client before that.
func bubble(t *testing.T, test func(t *testing.T, hub *codertest.Hub, u *user), opts ...codertest.Option) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		hub := codertest.NewHub(append(opts, codertest.WithInMemoryNetwork(), codertest.WithAgentVersion("1.6.0"))...)
		defer hub.Close()
		client, err := hub.NewClient()
		require.NoError(t, err)
		u, closeUser := connected(t, client, nil, "")
		defer closeUser()
		test(t, hub, u)
	})
}

// connected connects a client with a server of its own. A version of "" is the newest of the protocol.
func connected(t *testing.T, client *coder.Client, elicit func(*mcp.ElicitParams) *mcp.ElicitResult, version string) (*user, func()) {
	t.Helper()
	here, there := mcp.NewInMemoryTransports()
	serving, err := newServer(t.Context(), client, slog.New(slog.DiscardHandler)).Connect(t.Context(), here, nil)
	require.NoError(t, err)
	u := &user{t: t}
	u.connect(there, elicit, version)
	return u, func() {
		_ = u.session.Close()
		_ = serving.Wait()
	}
}

func (u *user) connect(transport mcp.Transport, elicit func(*mcp.ElicitParams) *mcp.ElicitResult, version string) {
	options := &mcp.ClientOptions{ProgressNotificationHandler: func(_ context.Context, r *mcp.ProgressNotificationClientRequest) {
		u.mu.Lock()
		defer u.mu.Unlock()
		u.progress = append(u.progress, r.Params)
	}}
	if elicit != nil {
		options.ElicitationHandler = func(_ context.Context, r *mcp.ElicitRequest) (*mcp.ElicitResult, error) { return elicit(r.Params), nil }
	}
	var err error
	u.session, err = mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, options).
		Connect(u.t.Context(), &mcp.LoggingTransport{Transport: transport, Writer: &u.log}, &mcp.ClientSessionOptions{ProtocolVersion: version})
	require.NoError(u.t, err)
}

// arguments of a call.
type args = map[string]any

// say calls a tool whatever comes of it.
func (u *user) say(ctx context.Context, tool string, arguments args) (*mcp.CallToolResult, error) {
	params := &mcp.CallToolParams{Name: tool, Arguments: arguments}
	params.SetProgressToken(tool)
	return u.session.CallTool(ctx, params)
}

// fails calls a tool that is to fail, and returns what it says of that.
func (u *user) fails(tool string, arguments args) string {
	u.t.Helper()
	result, err := u.say(u.t.Context(), tool, arguments)
	require.NoError(u.t, err)
	assert.Nil(u.t, result.StructuredContent)
	require.True(u.t, result.IsError, "%s %v: %s", tool, arguments, texts(result))
	return texts(result)
}

// call calls a tool that is to work. It returns the text for models; the one for programs is in the result.
func call[Out any](u *user, tool string, arguments args) (*Out, string) {
	u.t.Helper()
	result, err := u.say(u.t.Context(), tool, arguments)
	require.NoError(u.t, err)
	require.False(u.t, result.IsError, "%s %v: %s", tool, arguments, texts(result))
	encoded, err := json.Marshal(result)
	require.NoError(u.t, err)
	assert.Less(u.t, len(encoded), 100_000, "a result is bounded")
	structured, err := json.Marshal(result.StructuredContent)
	require.NoError(u.t, err)
	out := new(Out)
	decoder := json.NewDecoder(bytes.NewReader(structured))
	decoder.DisallowUnknownFields()
	require.NoError(u.t, decoder.Decode(out))
	return out, texts(result)
}

func texts(result *mcp.CallToolResult) string {
	all := ""
	for _, content := range result.Content {
		all += content.(*mcp.TextContent).Text
	}
	return all
}

// told are the notifications so far.
func (u *user) told() []*mcp.ProgressNotificationParams {
	u.mu.Lock()
	defer u.mu.Unlock()
	all := u.progress
	u.progress = nil
	return all
}

// start starts a session, and returns its id.
func (u *user) start(task string) string {
	u.t.Helper()
	started, _ := call[startResult](u, "start_session", args{"task": task})
	require.True(u.t, started.Created)
	return started.SessionID
}
