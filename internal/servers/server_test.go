//go:build servers

package servers

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
)

const bunProgram = "node_modules/bun/bin/bun.exe" // its name on every system; in the folder js

// servers are the servers there are.
var servers = []*server{
	{name: "Bun.serve", program: bunProgram, script: "bun.mjs", ticks: 4 * time.Second, closesAfter: 12 * time.Second},
	{name: "Node, ws", program: "node", script: "node.mjs"},
	{name: "Hono", program: "node", script: "hono.mjs"},
}

// server is a kind of server: what it is, and how it closes idle connections.
type server struct {
	name, program, script string
	// It looks at its connections each so often, and closes those that are idle since before closesAfter,
	// rounded up. 0: each connection has a timer of its own.
	ticks, closesAfter time.Duration
}

// settings are those of js/hub.mjs. Times are in milliseconds.
type settings struct {
	Comments    int64 `json:"comments,omitzero"`
	EndSilent   int64 `json:"endSilent,omitzero"`
	DropSilent  int64 `json:"dropSilent,omitzero"`
	Largest     int64 `json:"largest,omitzero"`
	LargestBody int64 `json:"largestBody,omitzero"`
	Compress    bool  `json:"compress,omitzero"`
}

// behaviour is how a session behaves.
type behaviour string

const (
	usual      behaviour = ""
	greets     behaviour = "greets"      // each connection is greeted and dropped
	slowCreate behaviour = "slow create" // the create is answered late
	slowRead   behaviour = "slow read"   // the first GetSession is answered late
)

// rig is a client and a server.
type rig struct {
	client *coder.Client
	url    string
}

func newRig(t *testing.T, s *server, o settings) *rig {
	t.Helper()
	_, g := launch(t, s.program, s.script, o)
	results.version(s, g.Version)
	r := &rig{url: fmt.Sprintf("http://127.0.0.1:%d", g.Port)}
	r.client = r.newClient(t)
	return r
}

// newClient returns a client as most programs have it, with the library's own transport unless told otherwise.
func (r *rig) newClient(t *testing.T, options ...coder.Option) *coder.Client {
	t.Helper()
	client, err := coder.NewClient(append(options, coder.WithURL(r.url), coder.WithAPIKey("key"))...)
	require.NoError(t, err)
	t.Cleanup(client.CloseIdleConnections)
	return client
}

// session creates a session.
func (r *rig) session(t *testing.T, b behaviour) string {
	t.Helper()
	created, err := r.client.CreateSession(within(t, patience), coder.CreateSessionRequest{
		Task: "Pass", Metadata: map[string]any{"behaviour": b},
	})
	require.NoError(t, err)
	return created.SessionID
}

// books are what a server has noted.
type books struct {
	Creates  map[string]int // how often each task arrived
	Sessions map[string]sessionBooks
}

type sessionBooks struct {
	Reads     int      // that arrived
	Streams   int      // that were opened
	Observers int      // that are open, as far as the server knows
	Encodings []string // Accept-Encoding of each stream
	Sockets   int      // that were opened
	Heard     []string // names of the events that came
}

func (r *rig) books(t *testing.T) (b books) {
	t.Helper()
	r.control(t, http.MethodGet, "/control/books", nil, &b)
	return b
}

func (r *rig) sessionBooks(t *testing.T, id string) sessionBooks {
	t.Helper()
	return r.books(t).Sessions[id]
}

// emit sends a broadcast to everybody in a session. Its data are pairs of names and values.
func (r *rig) emit(t *testing.T, id, event string, pairs ...any) {
	t.Helper()
	data := make(map[string]any)
	for pair := range slices.Chunk(pairs, 2) {
		data[pair[0].(string)] = pair[1]
	}
	var answer struct{ Reached int }
	r.control(t, http.MethodPost, "/control/emit", map[string]any{"sessionId": id, "message": map[string]any{
		"type": "broadcast", "event": event, "category": "turn", "data": data,
	}}, &answer)
	assert.Positive(t, answer.Reached, "nobody is in session %s", id)
}

// control asks the server itself, over a connection of its own.
func (r *rig) control(t *testing.T, method, path string, in, out any) {
	t.Helper()
	text, err := json.Marshal(in)
	require.NoError(t, err)
	request, err := http.NewRequestWithContext(within(t, patience), method, r.url+path, nil)
	require.NoError(t, err)
	if in != nil {
		request, err = http.NewRequestWithContext(within(t, patience), method, r.url+path, bytes.NewReader(text))
		require.NoError(t, err)
	}
	request.Close = true
	answer, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer answer.Body.Close()
	require.Equal(t, http.StatusOK, answer.StatusCode)
	require.NoError(t, json.NewDecoder(answer.Body).Decode(out))
}

// within returns a context for what has to come soon.
func within(t *testing.T, limit time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)
	return ctx
}
