package coder

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go/internal/wire"
)

// What one of the two JSON packages wrote on one version of Go, each of them reads on each version
// into an equal value: see "JSON" in the package comment. What other versions write is in
// testdata/json.golden. After a change of a model, write it again on each version:
//
//	go test -run TestJSON_WrittenByOthers -update .
//	GOTOOLCHAIN=go1.27.3 go test -run TestJSON_WrittenByOthers -update .
var update = flag.Bool("update", false, "write what this Go version writes to testdata/json.golden")

// sampleTypes are the types of the samples in testdata, and the members around the value. A name
// ends where its first "*" is.
var sampleTypes = []struct {
	file   string
	around string
	value  any
}{
	{"responses/agent-versions.json", "", CustomAgentVersionListResponse{}},
	{"responses/agent-*", "agent", CustomAgent{}},
	{"responses/agents-list.json", "", CustomAgentListResponse{}},
	{"responses/bucket-create.json", "bucket", SkillBucket{}},
	{"responses/buckets-list.json", "", SkillBucketListResponse{}},
	{"responses/github-accounts*", "", GitHubAccountListResponse{}},
	{"responses/github-repos.json", "", GitHubRepositoryListResponse{}},
	{"responses/hub-init.json", "", HubInitMessage{}},
	{"responses/hub-skills.json", "", HubSkillFiles{}},
	{"responses/session-archive.json", "", LifecycleResponse{}},
	{"responses/session-create*", "", CreateSessionResponse{}},
	{"responses/session-events-history.json", "", SessionEventHistory{}},
	{"responses/session-get*", "", Session{}},
	{"responses/session-loop*", "", LoopStateResponse{}},
	{"responses/session-participants.json", "", SessionParticipants{}},
	{"responses/session-replay.json", "", SessionReplay{}},
	{"responses/session-resume.json", "", LifecycleResponse{}},
	{"responses/session-todos.json", "", SessionTodosResponse{}},
	{"responses/session-update.json", "", UpdateSessionResponse{}},
	{"responses/sessions-list*", "sessions.websocket", []SessionListItem{}},
	{"responses/skill-create-custom.json", "skill", SavedSkill{}},
	{"responses/skill-save.json", "skill", SavedSkill{}},
	{"responses/skills-library-list.json", "", SavedSkillListResponse{}},
	{"responses/users-list-array.json", "", []User{}},
	{"responses/users-list-object.json", "", ListUsersResponse{}},
	{"responses/workspace-validate-dependencies.json", "data", WorkspaceDependencyValidationResponse{}},
	{"responses/workspace-*", "workspace", WorkspaceDetail{}},
	{"responses/workspaces-list.json", "", WorkspaceListResponse{}},
	{"requests/agent-create.json", "", CreateCustomAgentRequest{}},
	{"requests/agent-update.json", "", UpdateCustomAgentRequest{}},
	{"requests/bucket-create.json", "", CreateSkillBucketRequest{}},
	{"requests/session-create-builder.json", "", CreateAgentBuilderSessionRequest{}},
	{"requests/session-create*", "", CreateSessionRequest{}},
	{"requests/session-update.json", "", UpdateSessionRequest{}},
	{"requests/skill-create-custom.json", "", CreateCustomSkillRequest{}},
	{"requests/skill-save.json", "", SaveSkillRequest{}},
	{"requests/workspace-create.json", "", CreateWorkspaceRequest{}},
	{"requests/workspace-update.json", "", UpdateWorkspaceRequest{}},
}

// notModels are the samples that say no more than that something worked, or have no type.
var notModels = []string{
	"responses/bucket-delete.json", "responses/session-delete.json", "responses/skill-delete.json",
	"responses/workspace-delete.json", "responses/discover.json", "requests/workspace-validate-dependencies.json",
}

// samples returns the values of the samples in testdata, by the names of the files.
func samples(t *testing.T) map[string]any {
	t.Helper()
	values := make(map[string]any)
	for _, dir := range []string{"responses", "requests"} {
		files, err := filepath.Glob(filepath.Join("testdata", dir, "*.json"))
		require.NoError(t, err)
		require.NotEmpty(t, files)
		for _, file := range files {
			name := dir + "/" + filepath.Base(file)
			if slices.Contains(notModels, name) {
				continue
			}
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			values[name] = readSample(t, name, text)
		}
	}
	files, err := filepath.Glob("testdata/stream/ws-*.json")
	require.NoError(t, err)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		var transcript struct {
			Frames []struct {
				Frame json.RawMessage `json:"frame"`
			} `json:"frames"`
		}
		if wire.Unmarshal(text, &transcript) != nil || transcript.Frames == nil { // a list of rejections
			require.NoError(t, wire.Unmarshal(text, &transcript.Frames))
		}
		for i, frame := range transcript.Frames {
			message := reflect.ValueOf(decodeServerMessage(frame.Frame))
			if len(known(message.Type().Elem())) > 0 {
				values[fmt.Sprintf("stream/%s#%d", filepath.Base(file), i)] = message.Interface()
			}
		}
	}
	return values
}

func readSample(t *testing.T, name string, text []byte) any {
	t.Helper()
	for _, s := range sampleTypes {
		if prefix, _, any := strings.Cut(s.file, "*"); s.file != name && !(any && strings.HasPrefix(name, prefix)) {
			continue
		}
		raw := json.RawMessage(text)
		for around := range strings.SplitSeq(s.around, ".") {
			if around != "" {
				var members map[string]json.RawMessage
				require.NoError(t, json.Unmarshal(raw, &members))
				raw = members[around]
			}
		}
		value := reflect.New(reflect.TypeOf(s.value))
		require.NoError(t, wire.Unmarshal(raw, value.Interface()), name)
		require.False(t, value.Elem().IsZero(), "%s: %s", name, raw)
		return value.Interface()
	}
	require.Fail(t, "a sample without a type", name)
	return nil
}

// goldenValues returns the values in testdata/json.golden.
func goldenValues(t *testing.T) map[string]any {
	t.Helper()
	values := samples(t)
	for name, model := range models() {
		for state, prepare := range map[string]func(reflect.Value){
			"zero": func(reflect.Value) {}, "full": func(v reflect.Value) { standard.fill(v) }, "empty": emptied, "null": nulled,
		} {
			value := newModel(model, prepare)
			if state == "zero" || !reflect.ValueOf(value).Elem().IsZero() {
				values[name+"/"+state] = value
			}
		}
	}
	return values
}

// golden holds what was written: by value, by writer ("v1 go1.26").
type golden map[string]map[string]string

const goldenPath = "testdata/json.golden"

func readGolden(t *testing.T) golden {
	t.Helper()
	text, err := os.ReadFile(goldenPath)
	if os.IsNotExist(err) && *update {
		return golden{}
	}
	require.NoError(t, err)
	g, value := golden{}, ""
	for line := range strings.SplitSeq(strings.TrimSuffix(string(text), "\n"), "\n") {
		if line[0] != '\t' {
			value = line
			g[value] = make(map[string]string)
			continue
		}
		writers, written, _ := strings.Cut(line[1:], ": ")
		for writer := range strings.SplitSeq(writers, ", ") {
			g[value][writer] = written
		}
	}
	return g
}

// write writes every text once, with all who wrote it.
func (g golden) write(t *testing.T) {
	t.Helper()
	var b bytes.Buffer
	for _, value := range slices.Sorted(maps.Keys(g)) {
		b.WriteString(value + "\n")
		writers := make(map[string][]string)
		for _, writer := range slices.Sorted(maps.Keys(g[value])) {
			text := g[value][writer]
			writers[text] = append(writers[text], writer)
		}
		for _, text := range slices.Sorted(maps.Keys(writers)) {
			require.NotContains(t, text, "\n")
			b.WriteString("\t" + strings.Join(writers[text], ", ") + ": " + text + "\n")
		}
	}
	require.NoError(t, os.WriteFile(goldenPath, b.Bytes(), 0o644))
}

// TestJSON_WrittenByOthers: what each package wrote on each Go version both read into an equal value.
func TestJSON_WrittenByOthers(t *testing.T) {
	values, written := goldenValues(t), readGolden(t)
	now := make(golden)
	for name, value := range values {
		now[name] = make(map[string]string)
		for _, c := range codecs {
			text, err := c.marshal(value)
			require.NoError(t, err, name)
			byValue, err := c.marshal(reflect.ValueOf(value).Elem().Interface())
			require.NoError(t, err, name)
			require.Equal(t, string(text), string(byValue), "%s by pointer and by value", name)
			now[name][c.name+" "+goVersion()] = string(text)
		}
	}
	if *update {
		maps.DeleteFunc(written, func(name string, _ map[string]string) bool { return values[name] == nil })
		for name, texts := range now {
			if written[name] == nil {
				written[name] = make(map[string]string)
			}
			maps.Copy(written[name], texts)
		}
		written.write(t)
	}
	const again = "see -update at the top of json_golden_test.go"
	assert.Equal(t, slices.Sorted(maps.Keys(values)), slices.Sorted(maps.Keys(written)), again)
	for name, value := range values {
		for writer, text := range now[name] {
			assert.Equal(t, written[name][writer], text, "%s by %s: %s", name, writer, again)
		}
		for _, writer := range []string{"v1 go1.26", "v1 go1.27", "v2 go1.26", "v2 go1.27"} {
			text, ok := written[name][writer]
			if !*update {
				require.True(t, ok, "%s by %s: %s", name, writer, again)
			}
			for _, c := range codecs {
				if ok {
					assertReads(t, c, text, value, name+" written by "+writer)
				}
			}
		}
		// A program that is built with the next Go writes the same.
		if old, ok := written[name]["v1 go1.26"]; ok && written[name]["v1 go1.27"] != "" {
			assert.Equal(t, old, written[name]["v1 go1.27"], "%s by encoding/json", name)
		}
	}
}
