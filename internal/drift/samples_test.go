package drift

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go/internal/sse"
)

// sample is something that a Hub has sent, or could have.
type sample struct {
	file     string
	recorded bool   // it is not made up
	route    string // method and path; "" for a message
	status   int
	event    string // the name of an event of a stream; "" for a frame of a WebSocket
	text     []byte
}

func (s *sample) look(text []byte) []Report {
	switch {
	case s.route != "":
		method, path, _ := strings.Cut(s.route, " ")
		return Answer(method, path, s.status, text)
	case s.event != "":
		return Event(s.event, text)
	}
	return Frame(text)
}

func (s *sample) where() string {
	switch {
	case s.route != "":
		return s.route
	case s.event != "":
		return EventStream
	}
	return WebSocket
}

// routesOf says which route the samples of answers are of.
var routesOf = map[string]string{
	"agent-archive": "POST /hub/agents/{agentIDOrSlug}/archive", "agent-create": "POST /hub/agents",
	"agent-get": "GET /hub/agents/{agentIDOrSlug}", "agent-publish": "POST /hub/agents/{agentIDOrSlug}/publish",
	"agent-update": "PATCH /hub/agents/{agentIDOrSlug}", "agent-versions": "GET /hub/agents/{agentIDOrSlug}/versions",
	"agents-list": "GET /hub/agents", "bucket-create": "POST /hub/skills/buckets",
	"bucket-delete": "DELETE /hub/skills/buckets/{bucketID}", "buckets-list": "GET /hub/skills/buckets", "discover": "GET /coder",
	"github-accounts": "GET /hub/github/accounts", "github-accounts-disconnected": "GET /hub/github/accounts",
	"github-repos": "GET /hub/github/repos", "hub-init": "GET /hub/init", "hub-skills": "GET /hub/skills",
	"session-archive": "POST /hub/session/{sessionID}/archive", "session-create": "POST /hub/session",
	"session-create-builder": "POST /hub/session/builder", "session-create-full": "POST /hub/session",
	"session-delete": "DELETE /hub/session/{sessionID}", "session-events-history": "GET /hub/session/{sessionID}/events/history",
	"session-get": "GET /hub/session/{sessionID}", "session-get-builder": "GET /hub/session/{sessionID}",
	"session-get-history": "GET /hub/session/{sessionID}", "session-get-minimal": "GET /hub/session/{sessionID}",
	"session-get-paused": "GET /hub/session/{sessionID}", "session-loop": "GET /hub/session/{sessionID}/loop",
	"session-loop-none": "GET /hub/session/{sessionID}/loop", "session-participants": "GET /hub/session/{sessionID}/participants",
	"session-replay": "GET /hub/session/{sessionID}/replay", "session-resume": "POST /hub/session/{sessionID}/resume",
	"session-todos": "GET /hub/session/{sessionID}/todos", "session-update": "PATCH /hub/session/{sessionID}",
	"sessions-list": "GET /hub/sessions", "sessions-list-empty": "GET /hub/sessions",
	"skill-create-custom": "POST /hub/skills/library",
	"skill-delete":        "DELETE /hub/skills/library/{skillID}", "skill-save": "POST /hub/skills/library",
	"skills-library-list": "GET /hub/skills/library", "users-list-array": "GET /hub/users", "users-list-object": "GET /hub/users",
	"workspace-create": "POST /hub/workspaces", "workspace-delete": "DELETE /hub/workspaces/{workspaceID}",
	"workspace-get":                   "GET /hub/workspaces/{workspaceID}",
	"workspace-refresh":               "POST /hub/workspaces/{workspaceID}/snapshot/refresh",
	"workspace-update":                "PATCH /hub/workspaces/{workspaceID}",
	"workspace-validate-dependencies": "POST /hub/workspaces/dependencies/validate", "workspaces-list": "GET /hub/workspaces",
}

// samples are those of the library and of the fake Hub, each once.
func samples(t *testing.T) []sample {
	t.Helper()
	var all []sample
	seen := make(map[string]bool)
	for _, dir := range []string{"../../testdata", "../../codertest/testdata"} {
		for _, file := range files(t, dir+"/responses/*.json") {
			name := strings.TrimSuffix(filepath.Base(file), ".json")
			require.Contains(t, routesOf, name, "%s: add its route", file)
			all = append(all, sample{file: file, route: routesOf[name], status: 200, text: read(t, file)})
		}
		for _, file := range files(t, dir+"/errors/*.json") {
			var failure struct {
				Status int
				Body   json.RawMessage
			}
			require.NoError(t, json.Unmarshal(read(t, file), &failure))
			all = append(all, sample{file: file, route: "GET /hub/session/{sessionID}", status: failure.Status, text: failure.Body})
		}
		for _, file := range files(t, dir+"/stream/ws-*.json") {
			for _, frame := range framesOf(t, file) {
				all = append(all, sample{file: file, text: frame})
			}
		}
	}
	for _, file := range files(t, "../../testdata/stream/*.sse") {
		reader := sse.NewReader(bytes.NewReader(read(t, file)), 0)
		for event, err := reader.Next(); err == nil; event, err = reader.Next() {
			all = append(all, sample{file: file, event: event.Name, text: bytes.Clone(event.Data)})
		}
	}
	return slices.DeleteFunc(all, func(s sample) bool {
		key := s.where() + string(s.text)
		twice := seen[key]
		seen[key] = true
		return twice
	})
}

// framesOf returns the frames of a server in a transcript.
func framesOf(t *testing.T, file string) (frames []json.RawMessage) {
	t.Helper()
	type line struct {
		From  string
		Frame json.RawMessage
	}
	var transcript struct{ Frames []line }
	if text := read(t, file); text[0] == '[' {
		require.NoError(t, json.Unmarshal(text, &transcript.Frames))
	} else {
		require.NoError(t, json.Unmarshal(text, &transcript))
	}
	for _, f := range transcript.Frames {
		if f.From != "client" {
			frames = append(frames, f.Frame)
		}
	}
	return frames
}

// recordings are what the real agent was recorded to say, as a Hub sends it on: to controllers in frames, to observers in
// an event stream.
func recordings(t *testing.T) (all []sample) {
	t.Helper()
	for _, file := range slices.Concat(files(t, "../../testdata/agent/*/*.jsonl"), files(t, "../agentrun/testdata/*/*.jsonl")) {
		for text := range bytes.Lines(read(t, file)) {
			var line struct {
				Channel, Direction string
				Frame              json.RawMessage
			}
			require.NoError(t, json.Unmarshal(text, &line))
			var frame struct {
				Type, Event string
				Data        json.RawMessage
			}
			if json.Unmarshal(line.Frame, &frame) != nil || bytes.Contains(line.Frame, []byte(`"(`)) { // shortened: a note, a close
				continue
			}
			switch {
			case line.Direction == "s2c" && (line.Channel == "lead" || line.Channel == "controller"):
				all = append(all, sample{file: file, recorded: true, text: line.Frame})
			case line.Channel == "sse" && len(frame.Data) > 0:
				all = append(all, sample{file: file, recorded: true, event: "message", text: frame.Data})
			case line.Channel == "lead" && line.Direction == "c2s" && frame.Type == "event":
				text := `{"type":"broadcast","event":` + quoted(frame.Event) + `,"category":"agent","data":` + string(frame.Data) +
					`,"sessionId":"codesess_1","timestamp":1700000000000}`
				all = append(all, sample{file: file, recorded: true, event: "broadcast", text: []byte(text)})
			case line.Channel == "pi-stdout" && frame.Type == "response":
				text := `{"type":"rpc_response","response":` + string(line.Frame) + `}`
				all = append(all, sample{file: file, recorded: true, text: []byte(text)})
			case line.Channel == "pi-stdout" && frame.Type != "extension_ui_request":
				text := `{"type":"rpc_event","event":` + string(line.Frame) + `,"timestamp":1700000000000}`
				all = append(all, sample{file: file, recorded: true, text: []byte(text)})
			}
		}
	}
	return all
}

func quoted(s string) string {
	text, _ := json.Marshal(s) //nolint:errchkjson // a text
	return string(text)
}

func files(t *testing.T, pattern string) []string {
	t.Helper()
	found, err := filepath.Glob(pattern)
	require.NoError(t, err)
	return found
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	return text
}

// listed is the drift of the samples, with the reason.
var listed = map[string][]Report{
	// They show that an origin may have more members than its type.
	"session-get-history.json": {{"GET /hub/session/{sessionID}", "origin.client", UnknownMember, ""}},
	"sessions-list.json":       {{"GET /hub/sessions", "sessions.websocket[].origin.client", UnknownMember, ""}},
	// It shows what one bad member does to an error body.
	"404-form-f-null-member.json": {{"GET /hub/session/{sessionID}, 404", "code", WrongKind, "null, not text"}},
}

// TestSamples: nothing is reported of what the contract of the Hub has as samples, and of the recordings of the agent.
func TestSamples(t *testing.T) {
	all := samples(t)
	assert.Greater(t, len(all), 85)
	recorded := recordings(t)
	assert.Greater(t, len(recorded), 3500)
	for _, s := range slices.Concat(all, recorded) {
		assert.Equal(t, listed[filepath.Base(s.file)], s.look(s.text), "%s: %.300s", s.file, s.text)
	}
	t.Logf("%d samples and %d recorded messages", len(all), len(recorded))
}
