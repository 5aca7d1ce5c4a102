package drift

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
)

// call is a call of the library. The id is that of what the answer is about.
type call func(ctx context.Context, c *coder.Client, id string) (any, error)

func plain[T any](f func(*coder.Client, context.Context) (T, error)) call {
	return func(ctx context.Context, c *coder.Client, _ string) (any, error) { return f(c, ctx) }
}

func with[P, T any](f func(*coder.Client, context.Context, P) (T, error), p P) call {
	return func(ctx context.Context, c *coder.Client, _ string) (any, error) { return f(c, ctx, p) }
}

func byID[T any](f func(*coder.Client, context.Context, string) (T, error)) call {
	return func(ctx context.Context, c *coder.Client, id string) (any, error) { return f(c, ctx, id) }
}

func byIDWith[P, T any](f func(*coder.Client, context.Context, string, P) (T, error), p P) call {
	return func(ctx context.Context, c *coder.Client, id string) (any, error) { return f(c, ctx, id, p) }
}

func deletion(f func(*coder.Client, context.Context, string) error) call {
	return func(ctx context.Context, c *coder.Client, id string) (any, error) { return nil, f(c, ctx, id) }
}

// calls are the calls of the library by route.
var calls = map[string]call{
	"GET /hub/sessions":         with((*coder.Client).ListSessions, nil),
	"POST /hub/session":         with((*coder.Client).CreateSession, coder.CreateSessionRequest{Task: "x"}),
	"POST /hub/session/builder": with((*coder.Client).CreateAgentBuilderSession, coder.CreateAgentBuilderSessionRequest{}),

	"GET /hub/session/{sessionID}":                byID((*coder.Client).GetSession),
	"PATCH /hub/session/{sessionID}":              byIDWith((*coder.Client).UpdateSession, coder.UpdateSessionRequest{}),
	"DELETE /hub/session/{sessionID}":             deletion((*coder.Client).DeleteSession),
	"POST /hub/session/{sessionID}/archive":       byID((*coder.Client).ArchiveSession),
	"POST /hub/session/{sessionID}/resume":        byID((*coder.Client).ResumeSession),
	"GET /hub/session/{sessionID}/replay":         byIDWith((*coder.Client).GetReplay, nil),
	"GET /hub/session/{sessionID}/participants":   byIDWith((*coder.Client).ListParticipants, nil),
	"GET /hub/session/{sessionID}/events/history": byIDWith((*coder.Client).ListEventHistory, nil),
	"GET /hub/session/{sessionID}/loop":           byID((*coder.Client).GetLoopState),
	"GET /hub/session/{sessionID}/todos":          byIDWith((*coder.Client).SessionTodos, nil),

	"GET /hub/workspaces": plain((*coder.Client).ListWorkspaces),
	"POST /hub/workspaces": with((*coder.Client).CreateWorkspace,
		coder.CreateWorkspaceRequest{Name: "x"}),
	"GET /hub/workspaces/{workspaceID}": byID((*coder.Client).GetWorkspace),
	"PATCH /hub/workspaces/{workspaceID}": byIDWith((*coder.Client).UpdateWorkspace,
		coder.UpdateWorkspaceRequest{Name: new("x")}),
	"DELETE /hub/workspaces/{workspaceID}":                deletion((*coder.Client).DeleteWorkspace),
	"POST /hub/workspaces/{workspaceID}/snapshot/refresh": byID((*coder.Client).RefreshWorkspaceSnapshot),
	"POST /hub/workspaces/dependencies/validate":          with((*coder.Client).ValidateWorkspaceDependencies, []string{"git"}),

	"GET /hub/agents": with((*coder.Client).ListCustomAgents, nil),
	"POST /hub/agents": with((*coder.Client).CreateCustomAgent,
		coder.CreateCustomAgentRequest{Slug: "x", DisplayName: "x", Instructions: "x"}),
	"GET /hub/agents/{agentIDOrSlug}":          byID((*coder.Client).GetCustomAgent),
	"PATCH /hub/agents/{agentIDOrSlug}":        byIDWith((*coder.Client).UpdateCustomAgent, coder.UpdateCustomAgentRequest{}),
	"POST /hub/agents/{agentIDOrSlug}/publish": byID((*coder.Client).PublishCustomAgent),
	"POST /hub/agents/{agentIDOrSlug}/archive": byID((*coder.Client).ArchiveCustomAgent),
	"GET /hub/agents/{agentIDOrSlug}/versions": byID((*coder.Client).ListCustomAgentVersions),

	"GET /hub/skills":         plain((*coder.Client).HubSkills),
	"GET /hub/skills/library": plain((*coder.Client).ListSavedSkills),
	"POST /hub/skills/library": with((*coder.Client).SaveSkill,
		coder.SaveSkillRequest{Repo: "x", SkillID: "x", Name: "x"}),
	"DELETE /hub/skills/library/{skillID}":  deletion((*coder.Client).DeleteSavedSkill),
	"GET /hub/skills/buckets":               plain((*coder.Client).ListSkillBuckets),
	"POST /hub/skills/buckets":              with((*coder.Client).CreateSkillBucket, coder.CreateSkillBucketRequest{Name: "x"}),
	"DELETE /hub/skills/buckets/{bucketID}": deletion((*coder.Client).DeleteSkillBucket),

	"GET /hub/init":            with((*coder.Client).HubInit, nil),
	"GET /hub/github/accounts": plain((*coder.Client).ListGitHubAccounts),
	"GET /hub/github/repos":    byID((*coder.Client).ListGitHubRepos),
	"GET /hub/users":           with((*coder.Client).ListUsers, nil),
}

// canned answers every request with the same.
type canned struct {
	status int
	kind   string
	text   []byte
}

func (c *canned) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: c.status, Header: http.Header{"Content-Type": {c.kind}}, Request: r, ProtoMajor: 1, ProtoMinor: 1,
		ContentLength: int64(len(c.text)), Body: io.NopCloser(bytes.NewReader(c.text)),
	}, nil
}

func (c *canned) client(t *testing.T) *coder.Client {
	t.Helper()
	client, err := coder.NewClient(coder.WithURL("http://hub.example"), coder.WithAPIKey("key-of-a-test"),
		coder.WithHTTPClient(&http.Client{Transport: c}), coder.WithRetryPolicy(coder.RetryPolicy{MaxAttempts: 1}))
	require.NoError(t, err)
	return client
}

// TestNoCallIsLost: an answer with any mutation is decoded as before but for that member, or is an error that names it.
func TestNoCallIsLost(t *testing.T) {
	answer := &canned{kind: "application/json"}
	client := answer.client(t)
	made, refused := 0, make(map[string]bool)
	for _, s := range samples(t) {
		call := calls[s.route]
		if call == nil { // a message; discovery is below
			require.True(t, s.route == "" || s.route == "GET /coder", s.route)
			continue
		}
		id := cmp.Or(peekText(s.text, "sessionId"), "some_1")
		answer.status, answer.text = s.status, s.text
		want, err := call(t.Context(), client, id)
		if s.status == 200 {
			require.NoError(t, err, s.file)
		}
		whole := tree(t, want)
		all, _ := mutations(&s)
		for _, m := range all {
			made++
			answer.text = m.text
			got, err := call(t.Context(), client, id)
			if s.status != 200 {
				var api *coder.APIError
				require.ErrorAs(t, err, &api, "%s: %s %s", s.file, m.kind, m.at)
				assert.Equal(t, s.status, api.StatusCode)
				continue
			}
			if err != nil {
				assert.Contains(t, err.Error(), lastName(m.at), "%s: %s", s.file, m.kind)
				assert.Regexp(t, necessary, lastName(m.at), "%s: %s", s.file, m.kind)
				refused[s.route+" "+m.at] = true
				continue
			}
			for _, changed := range differences("", whole, tree(t, got)) {
				assert.True(t, m.touches(changed), "%s: %s %s has changed %s", s.file, m.kind, m.at, changed)
			}
		}
	}
	t.Logf("%d mutated answers; without one of these it is none:\n%s", made,
		strings.Join(slices.Sorted(maps.Keys(refused)), "\n"))
	assert.Greater(t, made, 2500)
}

// necessary are the members without which an answer is none: what identifies things, lists, and what the result is in.
var necessary = regexp.MustCompile(`^(id|sessionId|userId|accountId|path|event|type|sessions|websocket|entries|participants|` +
	`events|todos|workspaces?|data|valid|invalid|agents?|versions|skills?|buckets?|accounts|repositories|users)$`)

// lastName is the name of the member in a path.
func lastName(at string) string {
	return strings.TrimRight(at[strings.LastIndexByte(at, '.')+1:], "[]")
}

func tree(t *testing.T, v any) any {
	t.Helper()
	text, err := json.Marshal(v)
	require.NoError(t, err)
	var out any
	require.NoError(t, json.Unmarshal(text, &out))
	return out
}

// differences returns the paths at which two trees differ.
func differences(at string, a, b any) (paths []string) {
	switch a := a.(type) {
	case map[string]any:
		if b, ok := b.(map[string]any); ok {
			for name := range a {
				paths = append(paths, differences(member(at, name), a[name], b[name])...)
			}
			for name := range b {
				if _, both := a[name]; !both {
					paths = append(paths, member(at, name))
				}
			}
			return paths
		}
	case []any:
		if b, ok := b.([]any); ok && len(a) == len(b) {
			for i := range a {
				paths = append(paths, differences(at+"[]", a[i], b[i])...)
			}
			return paths
		}
	}
	if !reflect.DeepEqual(a, b) {
		paths = append(paths, at)
	}
	return paths
}

// wrapped are the answers whose result is one member of them.
var wrapped = regexp.MustCompile(`^\w+ /hub/(workspaces/.*|agents/.*|skills/\w+)$|^POST /hub/(workspaces|agents)$`)

// touches tells whether a member of a result is the one of the mutation, or below or above it.
func (m *mutation) touches(changed string) bool {
	at, _, _ := strings.Cut(m.at, "*")
	switch {
	case m.route == "GET /hub/sessions":
		at = strings.Replace(strings.Replace(at, "sessions.websocket", "sessions", 1), "sessions.sandbox", "sandboxSessions", 1)
	case strings.HasPrefix(at, "[]"): // a plain list of users
		at = "users" + at
	case wrapped.MatchString(m.route):
		at = regexp.MustCompile(`^(workspace|agent|skill|bucket|data)\.`).ReplaceAllString(at, "")
	}
	return strings.HasPrefix(changed, at) || strings.HasPrefix(at, changed)
}

// TestNoEventIsLost: an event with any mutation arrives, as what it was or with all that was sent.
func TestNoEventIsLost(t *testing.T) {
	stream := &canned{status: 200, kind: "text/event-stream"}
	client := stream.client(t)
	once := &coder.StreamEventsOptions{MaxReconnectAttempts: -1}
	receive := func(name string, text []byte) coder.ObserverSSEMessage {
		var line bytes.Buffer
		require.NoError(t, json.Compact(&line, text))
		stream.text = fmt.Appendf(nil, "event: %s\ndata: %s\n\n", name, line.Bytes())
		for event, err := range client.StreamEvents(t.Context(), "codesess_1", once) {
			require.NoError(t, err, "%s %s", name, line.Bytes())
			return event.Data
		}
		t.Fatalf("lost: %s %s", name, line.Bytes())
		return nil
	}
	made := 0
	for _, s := range messages(t) {
		if s.event == "" {
			continue
		}
		want := receive(s.event, s.text)
		all, _ := mutations(&s)
		for _, m := range all {
			made++
			checkMessage(t, &m, want, receive(s.event, m.text))
		}
	}
	t.Logf("%d mutated events", made)
	assert.Greater(t, made, 500)
}

// messages are samples of messages: those of the contract, and of the agent each form.
func messages(t *testing.T) []sample {
	t.Helper()
	all := slices.Concat(samples(t), recordedForms(t))
	return slices.DeleteFunc(all, func(s sample) bool { return s.route != "" })
}

// checkMessage: a message is what it was, or has all that was sent.
func checkMessage(t *testing.T, m *mutation, want, got any) {
	t.Helper()
	what := fmt.Sprintf("%s: %s %s", m.file, m.kind, m.at)
	if unknown, ok := got.(*coder.UnknownMessage); ok {
		assert.JSONEq(t, string(m.text), string(unknown.Raw), what)
	}
	if reflect.TypeOf(want) != reflect.TypeOf(got) {
		assert.Regexp(t, needed, m.at, "%s: %T became %T", what, want, got)
		return
	}
	type agents interface{ AgentEvent() coder.AgentEvent }
	if want, ok := want.(agents); ok {
		before, after := want.AgentEvent(), got.(agents).AgentEvent()
		if reflect.TypeOf(before) != reflect.TypeOf(after) {
			assert.Regexp(t, `(^|\.)(event|type|data)$`, m.at, "%s: %T became %T", what, before, after)
		}
	}
}

// needed are the members without which a message is another one, or none.
const needed = `^(type|event|data|sessionId|entries|id|actions|method|command|command\.type|response|` +
	`data\.(event|response|id|method)|error)$`

// TestNoFrameIsLost: a frame with any mutation arrives, as what it was or with all that was sent, and costs the
// connection nothing.
func TestNoFrameIsLost(t *testing.T) {
	var frames [][]byte
	var of []*mutation // nil: the sample itself
	for _, s := range messages(t) {
		if s.event != "" {
			continue
		}
		frames, of = append(frames, s.text), append(of, nil)
		all, _ := mutations(&s)
		for _, m := range all {
			frames, of = append(frames, m.text), append(of, &m)
		}
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer ws.CloseNow() //nolint:errcheck // it is over
		go func() {
			for {
				if _, _, err := ws.Read(r.Context()); err != nil {
					return
				}
			}
		}()
		write := func(frame []byte) bool { return ws.Write(r.Context(), websocket.MessageText, frame) == nil }
		sent := write([]byte(`{"type":"init","role":"observer","sessionId":"codesess_1"}`))
		for i := 0; i < len(frames) && sent; i++ {
			sent = write(frames[i]) && write([]byte(`{"type":"rpc_command","command":{"type":"marker","id":"`+strconv.Itoa(i)+`"}}`))
		}
		<-r.Context().Done()
	}))
	t.Cleanup(server.Close)
	client, err := coder.NewClient(coder.WithURL(server.URL), coder.WithAPIKey("key-of-a-test"))
	require.NoError(t, err)
	t.Cleanup(client.CloseIdleConnections)
	once := &coder.HubConnectOptions{MaxReconnectAttempts: -1, HeartbeatInterval: -1}
	conn, err := client.Connect(t.Context(), "codesess_1", once)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })

	var want any
	var got []coder.ServerMessage
	i := 0
	for message, err := range conn.Messages(t.Context()) {
		require.NoError(t, err)
		if marker, ok := message.(*coder.RPCCommandMessage); !ok || marker.Command.Type != "marker" {
			got = append(got, message)
			continue
		}
		require.Len(t, got, 1, "%s", frames[i])
		if of[i] == nil {
			want = got[0]
		} else {
			checkMessage(t, of[i], want, got[0])
		}
		got = got[:0]
		if i++; i == len(frames) {
			break
		}
	}
	require.Equal(t, len(frames), i)
	t.Logf("%d frames", len(frames))
	assert.Greater(t, len(frames), 5000)
}
