package coder_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"testing"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
)

// openTypes are the types that keep unknown members.
var openTypes = []any{
	coder.AgentBuilderProposal{}, coder.AgentBuilderSessionState{}, coder.ConversationAuthor{}, coder.ConversationEntry{},
	coder.CreateSessionResponse{}, coder.CustomAgent{}, coder.CustomAgentListResponse{}, coder.CustomAgentSnapshot{},
	coder.CustomAgentVersion{}, coder.CustomAgentVersionListResponse{}, coder.GitHubAccount{}, coder.GitHubAccountListResponse{},
	coder.GitHubRepository{}, coder.GitHubRepositoryListResponse{}, coder.GitHubRepositoryOwner{},
	coder.InvalidWorkspaceDependency{}, coder.LifecycleResponse{}, coder.Participant{}, coder.PromptAttachmentDescriptor{},
	coder.RuntimePreviewDescriptor{}, coder.RuntimeProcessDescriptor{}, coder.SavedSkill{}, coder.SavedSkillListResponse{},
	coder.Session{}, coder.SessionEvent{}, coder.SessionEventHistory{}, coder.SessionListItem{}, coder.SessionOrigin{},
	coder.SessionReplay{}, coder.SessionRepositoryRef{}, coder.SkillBucket{}, coder.SkillBucketListResponse{},
	coder.UpdateSessionResponse{}, coder.WorkspaceDependencyValidationResponse{}, coder.WorkspaceDetail{},
	coder.WorkspaceListResponse{}, coder.WorkspaceSnapshot{},
}

// TestOpenTypesAreListed finds every type of the package that has JSON methods of its own.
func TestOpenTypesAreListed(t *testing.T) {
	var listed []string
	for _, v := range openTypes {
		listed = append(listed, reflect.TypeOf(v).Name())
	}
	notOpen := []string{"UnixMilli", "Nullable"}
	method := regexp.MustCompile(`(?m)^func \(\w+ (\w+)(?:\[T\])?\) MarshalJSON\(\)`)
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	for _, file := range files {
		source, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, m := range method.FindAllStringSubmatch(string(source), -1) {
			assert.Contains(t, append(notOpen, listed...), m[1])
		}
	}
}

// TestUnknownMembersSurvive checks both JSON packages, values, pointers and elements of others.
func TestUnknownMembersSurvive(t *testing.T) {
	const text = `{"unknown":{"a":[1,{"b":null}]},"type":"x"}`
	for _, zero := range openTypes {
		kind := reflect.TypeOf(zero)
		t.Run(kind.Name(), func(t *testing.T) {
			one, two := reflect.New(kind), reflect.New(kind)
			require.NoError(t, json.Unmarshal([]byte(text), one.Interface()))
			require.NoError(t, jsonv2.Unmarshal([]byte(text), two.Interface()))
			assert.Equal(t, one.Interface(), two.Interface())
			extra := one.Elem().FieldByName("Extra").Interface().(map[string]json.RawMessage)
			assert.JSONEq(t, `{"a":[1,{"b":null}]}`, string(extra["unknown"]))

			inSlice := reflect.MakeSlice(reflect.SliceOf(kind), 1, 1)
			inSlice.Index(0).Set(one.Elem())
			for name, encode := range map[string]func(any) ([]byte, error){
				"v1": json.Marshal,
				"v2": func(v any) ([]byte, error) { return jsonv2.Marshal(v) },
			} {
				for _, v := range []any{one.Interface(), one.Elem().Interface(), inSlice.Interface()} {
					out, err := encode(v)
					require.NoError(t, err, name)
					assert.Contains(t, string(out), `"unknown":{"a":[1,{"b":null}]}`, name)
				}
			}
			require.Error(t, json.Unmarshal([]byte(`{"unknown":`), one.Interface()))
		})
	}
}
