package drift

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"net/http"
	"os/exec"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
)

// source is the library, parsed.
func source(t *testing.T) []*ast.File {
	t.Helper()
	var trees []*ast.File
	for _, file := range files(t, "../../*.go") {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		tree, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		trees = append(trees, tree)
	}
	require.Greater(t, len(trees), 40)
	return trees
}

func eachNode[N ast.Node](t *testing.T, look func(n N)) {
	t.Helper()
	for _, tree := range source(t) {
		ast.Inspect(tree, func(n ast.Node) bool {
			if n, ok := n.(N); ok {
				look(n)
			}
			return true
		})
	}
}

// literal is the value of a text in the source, "" if it is something else.
func literal(e ast.Expr) string {
	l, ok := e.(*ast.BasicLit)
	if !ok || l.Kind != token.STRING {
		return ""
	}
	value, _ := strconv.Unquote(l.Value)
	return value
}

// methodOf has the functions that make the library's requests.
var methodOf = map[string]string{
	"get": http.MethodGet, "patch": http.MethodPatch, "del": http.MethodDelete, "create": http.MethodPost, "act": http.MethodPost,
}

// TestAllRoutes: every route that the library asks is known here, and no other.
func TestAllRoutes(t *testing.T) {
	asked := map[string]bool{"GET /coder": true} // by a constant
	eachNode(t, func(c *ast.CallExpr) {
		name, ok := c.Fun.(*ast.Ident)
		if !ok || methodOf[name.Name] == "" || len(c.Args) < 2 {
			return
		}
		template := literal(c.Args[1])
		if template == "" || template == "/hub/session/{sessionID}/events" { // an event stream
			return
		}
		template, _, _ = strings.Cut(template, "?")
		asked[methodOf[name.Name]+" "+template] = true
	})
	answered := slices.Sorted(maps.Keys(newShapes().answers()))
	assert.Equal(t, slices.Sorted(maps.Keys(asked)), answered, "what the library asks, and what answers() knows")
	delete(asked, "GET /coder")
	assert.Equal(t, slices.Sorted(maps.Keys(asked)), slices.Sorted(maps.Keys(calls)), "so that no answer is lost")
}

// walked are the types that the walk has reached.
func walked() *shapes {
	s := newShapes()
	s.answers()
	s.frame()
	s.observed()
	return s
}

// notFromHub are the types with members that a Hub does not send: what programs send and keep, and what the library
// puts together.
var notFromHub = regexp.MustCompile(`^((Create|Update|Save)\w+Request|(Event|Tool|Command)Request|` +
	`Sandbox(Resources|\w+Config|Command)|FileToWrite|SessionLoopConfig|Session(Entry|Write)Message|ObserverSubscribeMessage|` +
	`RPCUIResponseMessage|RenameSessionMessage|PingMessage|SessionListResponse|` +
	`Conversation(Message|ToolCall|Change|Asked)|WatchedEvent)$`)

// TestAllTypes: every type with JSON members is walked, unless a Hub does not send it.
func TestAllTypes(t *testing.T) {
	reached := make(map[string]bool)
	for kind := range walked().structs {
		reached[kind.Name()] = true
	}
	count := 0
	eachNode(t, func(spec *ast.TypeSpec) {
		s, ok := spec.Type.(*ast.StructType)
		if !ok || !spec.Name.IsExported() || len(tagsOf(s)) == 0 {
			return
		}
		count++
		assert.NotEqual(t, notFromHub.MatchString(spec.Name.Name), reached[spec.Name.Name],
			"%s: it is either walked or not from the Hub", spec.Name.Name)
	})
	assert.Greater(t, count, 100)
}

// tagsOf returns the names of the JSON members of a struct, and of those that are declared within.
func tagsOf(s *ast.StructType) (names []string) {
	ast.Inspect(s, func(n ast.Node) bool {
		if f, ok := n.(*ast.Field); ok && f.Tag != nil {
			tag, _ := strconv.Unquote(f.Tag.Value)
			if name, _, _ := strings.Cut(reflect.StructTag(tag).Get("json"), ","); name != "" && name != "-" {
				names = append(names, name)
			}
		}
		return true
	})
	return names
}

// TestAllForms: what the library decodes into types that are not exported has the members that are known here.
func TestAllForms(t *testing.T) {
	s := walked()
	forms := map[string]object{ // by the type, or by the function that it is declared in
		"sessionPage": {"sessions": nil, "websocket": nil, "sandbox": nil, "total": nil}, "workspaceAnswer": {"workspace": nil},
		"workspaceDependenciesAnswer": {"data": nil}, "customAgentAnswer": {"agent": nil}, "savedSkillAnswer": {"skill": nil},
		"skillBucketAnswer": {"bucket": nil}, "discovery": {"url": nil}, "hubInit": {"type": nil},
		"sessionOriginObject": {"type": nil}, "done": {"sessionId": nil},

		"frameType": {"type": nil}, "decodeObserverEvent": {"type": nil}, "broadcastWire": {"type": nil},
		"decodeServerBroadcast": {"data": nil}, "rpcOrigin": {"sessionId": nil, "timestamp": nil},
		"decodeRPC": s.uiRequest().with(object{"event": nil, "response": nil}), "questionOf": s.uiRequest(),
		"decodeHubResponse": s.hubResponse(), "decodeHubAction": {"action": nil}, "Disposition": {"disposition": nil},
		"GetMessages": {"messages": nil}, "answeredBy": {"type": nil, "echoedTimestamp": nil},
		"refusal":   members[coder.ConnectionRejectedMessage](s).with(object{"type": nil, "error": nil}),
		"note":      {"type": nil, "event": nil, "reason": nil},
		"frameHead": {"type": nil, "id": nil, "event": nil, "sessionId": nil, "error": nil, "response": nil, "data": nil},

		"decodeAgentEvent": userPrompt, "decodeToolEvent": s.toolEvent(), "decodeUpdate": s.messageUpdate().with(s.update()),
	}
	own := []string{"hello", "typed", "customSkill", "workspaceDependencies", "receiptWire", "MarshalJSON"}
	seen := make(map[string]bool)
	look := func(name string, n ast.Node) {
		ast.Inspect(n, func(n ast.Node) bool {
			if s, ok := n.(*ast.StructType); ok && !slices.Contains(own, name) {
				for _, tag := range tagsOf(s) {
					seen[name] = true
					assert.Contains(t, slices.Collect(maps.Keys(forms[name])), tag, "%s reads %q: make it known here", name, tag)
				}
			}
			return true
		})
	}
	for _, tree := range source(t) {
		for _, d := range tree.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				look(d.Name.Name, d.Body)
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					if spec, ok := spec.(*ast.TypeSpec); ok && !spec.Name.IsExported() {
						look(spec.Name.Name, spec)
					}
				}
			}
		}
	}
	assert.ElementsMatch(t, slices.Collect(maps.Keys(forms)), slices.Collect(maps.Keys(seen)))
}

// TestAllMessages: what the library tells apart by a name is told apart here.
func TestAllMessages(t *testing.T) {
	constants := make(map[string]string)
	eachNode(t, func(spec *ast.ValueSpec) {
		if len(spec.Values) == 1 && strings.HasPrefix(spec.Names[0].Name, "type") {
			constants[spec.Names[0].Name] = literal(spec.Values[0])
		}
	})
	probe := map[string]func(name string) []Report{
		"decodeKnown": func(name string) []Report { return Frame([]byte(`{"type":` + quoted(name) + `}`)) },
		"newHubAction": func(name string) []Report {
			return Frame([]byte(`{"id":"x","actions":[{"action":` + quoted(name) + `}]}`))
		},
		"decodeObserverMessage": func(name string) []Report { return Event(name, []byte(`{}`)) },
	}
	count := 0
	eachNode(t, func(f *ast.FuncDecl) {
		look := probe[f.Name.Name]
		if look == nil {
			return
		}
		ast.Inspect(f, func(n ast.Node) bool {
			clause, ok := n.(*ast.CaseClause)
			if !ok {
				return true
			}
			for _, e := range clause.List {
				name := literal(e)
				if id, ok := e.(*ast.Ident); ok {
					name = constants[id.Name]
				}
				if name == "" { // a response
					continue
				}
				count++
				for _, r := range look(name) {
					assert.NotEqual(t, UnknownMessage, r.Kind, "%s: %q", f.Name.Name, name)
				}
				for _, r := range look(name + "x") {
					assert.Equal(t, UnknownMessage, r.Kind, "%s: %q", f.Name.Name, name)
				}
			}
			return true
		})
	})
	assert.Equal(t, 14+8+4, count)
}

// TestAllLaterMembers: what methods of Session decode on demand is known with its type.
func TestAllLaterMembers(t *testing.T) {
	s := walked()
	members := s.extras(reflect.TypeFor[coder.Session]())
	types := slices.Collect(maps.Keys(s.structs))
	count := 0
	eachNode(t, func(c *ast.CallExpr) {
		generic, ok := c.Fun.(*ast.IndexExpr)
		if !ok || fmt.Sprint(generic.X) != "extra" {
			return
		}
		count++
		assert.Contains(t, members, literal(c.Args[1]))
		ast.Inspect(generic.Index, func(n ast.Node) bool {
			if kind, ok := n.(*ast.Ident); ok && kind.IsExported() {
				assert.True(t, slices.ContainsFunc(types, func(t reflect.Type) bool { return t.Name() == kind.Name }), kind.Name)
			}
			return true
		})
	})
	assert.Equal(t, len(members)-1, count, "GetLoopState reads the loop")
}

// TestAllEnumerations: every enumeration is one of a member that is walked, or is none of the Hub.
func TestAllEnumerations(t *testing.T) {
	const own = "is the library's own"
	used := map[string]string{
		"UpdateKind": "in update", "UpdatePhase": "in update", "EventName": "tells payloads apart", "ErrorCode": "in failure",
		"SessionStatus": "is free text", "EventCategory": "Hubs send others", "SandboxCommandMode": "is only sent",
		"RPCUIMethod": "in uiRequest", "RPCDisposition": "in rpcResponse",
		"ConversationChangeKind": own, "ConversationState": own, "HubConnErrorCode": own, "HubConnState": own, "OutcomeKind": own,
		"AttemptFailure": own, "ConnectionChange": own,
	}
	for kind := range walked().structs {
		for i := range kind.NumField() {
			field := kind.Field(i)
			element := field.Type
			for element.Kind() == reflect.Pointer || element.Kind() == reflect.Slice {
				element = element.Elem()
			}
			used[element.Name()] = field.Name
			used[aliased[kind.Name()+"."+field.Name]] = field.Name
		}
	}
	for kind := range values {
		assert.NotEmpty(t, used[kind], "%s: where does a Hub send it?", kind)
	}
	for _, table := range []map[string][]string{closed, further} {
		for field := range table {
			assertField(t, field)
		}
	}
	for _, field := range nullable {
		assertField(t, field)
	}
}

// assertField: a table names a field that there is.
func assertField(t *testing.T, name string) {
	t.Helper()
	kind, field, _ := strings.Cut(name, ".")
	for s := range walked().structs {
		if s.Name() == kind {
			_, ok := s.FieldByName(field)
			assert.True(t, ok, name)
			return
		}
	}
	assert.Fail(t, "no such type", name)
}

// TestNothingOfItIsInTheLibrary: the library does not import this package.
func TestNothingOfItIsInTheLibrary(t *testing.T) {
	command := exec.CommandContext(t.Context(), "go", "list", "-deps", ".")
	command.Dir = "../.."
	out, err := command.Output()
	require.NoError(t, err)
	assert.Contains(t, string(out), "coder-go/internal/wire\n")
	assert.NotContains(t, string(out), "drift")
}
