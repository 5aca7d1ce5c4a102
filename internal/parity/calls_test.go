//go:build parity

package parity

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/agentuity/coder-go"
)

// method is a method of both clients. Its arguments are JSON, in the same order for both.
type method struct {
	name    string // in Go
	wrapper string // the member of the answer that is the result, if it is not all of it
	sample  []any  // arguments that get as far as a request
	binding
}

// original is the name in TypeScript, by the naming rule.
func (m *method) original() string {
	if m.name == "URL" {
		return "getUrl" // Go has no get in the names of accessors
	}
	return strings.ToLower(m.name[:1]) + m.name[1:]
}

// binding makes a Go method callable with JSON, and knows the types it is declared with.
type binding struct {
	call       func(ctx context.Context, c *coder.Client, args []json.RawMessage) (any, error)
	id         bool         // the first argument is an id
	in, result reflect.Type // the request or the parameters; what is returned. Either may be nil
}

type object = map[string]any

const sampleID = "id_1"

var methods = []method{
	{name: "URL", binding: binding{call: func(ctx context.Context, c *coder.Client, _ []json.RawMessage) (any, error) {
		return c.URL(ctx)
	}}},
	{name: "CreateSession", sample: []any{object{"task": "x"}}, binding: withBody((*coder.Client).CreateSession)},
	{name: "CreateAgentBuilderSession", sample: []any{object{}}, binding: withBody((*coder.Client).CreateAgentBuilderSession)},
	{name: "GetSession", sample: []any{sampleID}, binding: withID((*coder.Client).GetSession)},
	{name: "UpdateSession", sample: []any{sampleID, object{}}, binding: withIDAndBody((*coder.Client).UpdateSession)},
	{name: "ListSessions", binding: withBody((*coder.Client).ListSessions)},
	{name: "DeleteSession", sample: []any{sampleID}, binding: deletion((*coder.Client).DeleteSession)},
	{name: "ArchiveSession", sample: []any{sampleID}, binding: withID((*coder.Client).ArchiveSession)},
	{name: "ResumeSession", sample: []any{sampleID}, binding: withID((*coder.Client).ResumeSession)},
	{name: "PrepareSessionForRemoteAttach", sample: []any{sampleID}, binding: withIDAndBody(prepare)},
	{name: "ListConnectableSessions", binding: withBody((*coder.Client).ListConnectableSessions)},
	{name: "GetReplay", sample: []any{sampleID}, binding: withIDAndBody((*coder.Client).GetReplay)},
	{name: "ListParticipants", sample: []any{sampleID}, binding: withIDAndBody((*coder.Client).ListParticipants)},
	{name: "ListEventHistory", sample: []any{sampleID}, binding: withIDAndBody((*coder.Client).ListEventHistory)},
	{name: "GetLoopState", sample: []any{sampleID}, binding: withID((*coder.Client).GetLoopState)},
	{name: "CreateWorkspace", wrapper: "workspace", sample: []any{object{"name": "x", "dependencies": []any{"git"}}}, binding: withBody((*coder.Client).CreateWorkspace)},
	{name: "UpdateWorkspace", wrapper: "workspace", sample: []any{sampleID, object{"name": "x"}}, binding: withIDAndBody((*coder.Client).UpdateWorkspace)},
	{name: "GetWorkspace", wrapper: "workspace", sample: []any{sampleID}, binding: withID((*coder.Client).GetWorkspace)},
	{name: "ListWorkspaces", binding: withNothing((*coder.Client).ListWorkspaces)},
	{name: "DeleteWorkspace", sample: []any{sampleID}, binding: deletion((*coder.Client).DeleteWorkspace)},
	{name: "RefreshWorkspaceSnapshot", wrapper: "workspace", sample: []any{sampleID}, binding: withID((*coder.Client).RefreshWorkspaceSnapshot)},
	{name: "ValidateWorkspaceDependencies", wrapper: "data", sample: []any{[]any{"git"}}, binding: withBody((*coder.Client).ValidateWorkspaceDependencies)},
	{name: "SaveSkill", wrapper: "skill", sample: []any{object{"repo": "a", "skillId": "b", "name": "c"}}, binding: withBody((*coder.Client).SaveSkill)},
	{name: "CreateCustomSkill", wrapper: "skill", sample: []any{object{"skillId": "a", "name": "b", "content": "c"}}, binding: withBody((*coder.Client).CreateCustomSkill)},
	{name: "ListSavedSkills", binding: withNothing((*coder.Client).ListSavedSkills)},
	{name: "DeleteSavedSkill", sample: []any{sampleID}, binding: deletion((*coder.Client).DeleteSavedSkill)},
	{name: "CreateSkillBucket", wrapper: "bucket", sample: []any{object{"name": "x"}}, binding: withBody((*coder.Client).CreateSkillBucket)},
	{name: "ListSkillBuckets", binding: withNothing((*coder.Client).ListSkillBuckets)},
	{name: "DeleteSkillBucket", sample: []any{sampleID}, binding: deletion((*coder.Client).DeleteSkillBucket)},
	{name: "ListGitHubAccounts", binding: withNothing((*coder.Client).ListGitHubAccounts)},
	{name: "ListGitHubRepos", sample: []any{sampleID}, binding: withID((*coder.Client).ListGitHubRepos)},
	{name: "ListUsers", binding: withBody((*coder.Client).ListUsers)},
	{name: "ListCustomAgents", binding: withBody((*coder.Client).ListCustomAgents)},
	{name: "GetCustomAgent", wrapper: "agent", sample: []any{sampleID}, binding: withID((*coder.Client).GetCustomAgent)},
	{name: "CreateCustomAgent", wrapper: "agent", sample: []any{object{"slug": "a", "displayName": "b", "instructions": "c"}}, binding: withBody((*coder.Client).CreateCustomAgent)},
	{name: "UpdateCustomAgent", wrapper: "agent", sample: []any{sampleID, object{}}, binding: withIDAndBody((*coder.Client).UpdateCustomAgent)},
	{name: "PublishCustomAgent", wrapper: "agent", sample: []any{sampleID}, binding: withID((*coder.Client).PublishCustomAgent)},
	{name: "ArchiveCustomAgent", wrapper: "agent", sample: []any{sampleID}, binding: withID((*coder.Client).ArchiveCustomAgent)},
	{name: "ListCustomAgentVersions", sample: []any{sampleID}, binding: withID((*coder.Client).ListCustomAgentVersions)},
}

// discovery is the one method that makes no request on a Hub.
func (m *method) discovery() bool { return m.name == "URL" }

func methodNamed(name string) *method {
	i := slices.IndexFunc(methods, func(m method) bool { return m.name == name })
	if i < 0 {
		panic("no method " + name)
	}
	return &methods[i]
}

// attachOptions are RemoteAttachPreparationOptions as the original takes them.
type attachOptions struct {
	TimeoutMs      int
	PollIntervalMs int
}

//nolint:revive // the arguments are in the order of a method expression
func prepare(c *coder.Client, ctx context.Context, id string, o *attachOptions) (*coder.Session, error) {
	if o == nil {
		return c.PrepareSessionForRemoteAttach(ctx, id, nil)
	}
	return c.PrepareSessionForRemoteAttach(ctx, id, &coder.RemoteAttachPreparationOptions{
		Timeout:      time.Duration(o.TimeoutMs) * time.Millisecond,
		PollInterval: time.Duration(o.PollIntervalMs) * time.Millisecond,
	})
}

func withNothing[R any](f func(*coder.Client, context.Context) (*R, error)) binding {
	return binding{
		result: reflect.TypeFor[R](),
		call: func(ctx context.Context, c *coder.Client, _ []json.RawMessage) (any, error) {
			return result(f(c, ctx))
		},
	}
}

func withID[R any](f func(*coder.Client, context.Context, string) (*R, error)) binding {
	return binding{
		id: true, result: reflect.TypeFor[R](),
		call: func(ctx context.Context, c *coder.Client, args []json.RawMessage) (any, error) {
			return result(f(c, ctx, argument[string](args, 0)))
		},
	}
}

func deletion(f func(*coder.Client, context.Context, string) error) binding {
	return binding{
		id: true,
		call: func(ctx context.Context, c *coder.Client, args []json.RawMessage) (any, error) {
			return nil, f(c, ctx, argument[string](args, 0))
		},
	}
}

// withBody also serves parameters, for which B is a pointer.
func withBody[B, R any](f func(*coder.Client, context.Context, B) (*R, error)) binding {
	return binding{
		in: reflect.TypeFor[B](), result: reflect.TypeFor[R](),
		call: func(ctx context.Context, c *coder.Client, args []json.RawMessage) (any, error) {
			return result(f(c, ctx, argument[B](args, 0)))
		},
	}
}

func withIDAndBody[B, R any](f func(*coder.Client, context.Context, string, B) (*R, error)) binding {
	return binding{
		id: true, in: reflect.TypeFor[B](), result: reflect.TypeFor[R](),
		call: func(ctx context.Context, c *coder.Client, args []json.RawMessage) (any, error) {
			return result(f(c, ctx, argument[string](args, 0), argument[B](args, 1)))
		},
	}
}

// result keeps a nil pointer from becoming a value.
func result[R any](r *R, err error) (any, error) {
	if r == nil {
		return nil, err
	}
	return r, err
}

// argument decodes an argument. A member that the Go type does not know is a mistake of the
// scenario, or of the type.
func argument[T any](args []json.RawMessage, i int) T {
	var out T
	if i >= len(args) {
		return out
	}
	d := json.NewDecoder(bytes.NewReader(args[i]))
	d.DisallowUnknownFields()
	if err := d.Decode(&out); err != nil {
		panic(misfitError{fmt.Errorf("the argument %s is no %T: %w", args[i], out, err)})
	}
	return out
}

// misfitError is the panic of an argument that does not fit a Go type.
type misfitError struct{ error }

// file is a file's content among arguments, in the form the driver understands.
func file(content []byte) object { return object{"$bytes": content} }

// goArguments turns arguments into what the Go types decode: content is plain base64 there.
func goArguments(args []any) []json.RawMessage {
	var out []json.RawMessage
	for _, arg := range args {
		text, err := json.Marshal(withoutMarks(arg))
		if err != nil {
			panic(err)
		}
		out = append(out, text)
	}
	return out
}

func withoutMarks(v any) any {
	switch v := v.(type) {
	case object:
		if content, marked := v["$bytes"]; marked {
			return content
		}
		out := make(object, len(v))
		for name, member := range v {
			out[name] = withoutMarks(member)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, element := range v {
			out[i] = withoutMarks(element)
		}
		return out
	}
	return v
}
