package coder

import (
	"bytes"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go/internal/wire"
)

// hasExtra reports whether a model keeps unknown members.
func hasExtra(model reflect.Type) bool {
	if model.Kind() != reflect.Struct {
		return false
	}
	f, ok := model.FieldByName("Extra")
	return ok && f.Type == reflect.TypeFor[map[string]json.RawMessage]()
}

// TestJSON_Methods: a type has JSON methods of its own only where neither of the two packages can do
// without, which before Go 1.27 is where Extra is.
func TestJSON_Methods(t *testing.T) {
	byHand := map[string][2]bool{ // marshals, unmarshals
		"SessionOrigin":  {true, true},  // a text or an object
		"UnixMilli":      {true, true},  // a number
		"MessageContent": {false, true}, // a text or a list
		"PromptText":     {false, true}, // the same
	}
	for name, model := range models() {
		want, ok := byHand[name]
		if !ok && goVersion() == "go1.26" && hasExtra(model) {
			want = [2]bool{true, true}
		}
		got := [2]bool{
			reflect.PointerTo(model).Implements(reflect.TypeFor[json.Marshaler]()),
			reflect.PointerTo(model).Implements(reflect.TypeFor[json.Unmarshaler]()),
		}
		assert.Equal(t, want, got, name)
	}
}

// TestJSON_NamesNoOtherModule: what is public names types of the standard library and of this
// module only, so that a version of another module is no part of the API.
func TestJSON_NamesNoOtherModule(t *testing.T) {
	public := 0
	for _, file := range sourceFiles(t) {
		set := token.NewFileSet()
		tree, err := parser.ParseFile(set, file, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		foreign := make(map[string]string)
		for _, spec := range tree.Imports {
			path, err := strconv.Unquote(spec.Path.Value)
			require.NoError(t, err)
			first, _, _ := strings.Cut(path, "/")
			if !strings.Contains(first, ".") || strings.HasPrefix(path, "github.com/agentuity/coder-go") {
				continue
			}
			name := path[strings.LastIndex(path, "/")+1:]
			if spec.Name != nil {
				name = spec.Name.Name
			}
			foreign[name] = path
		}
		var check func(ast.Node)
		check = func(n ast.Node) {
			ast.Inspect(n, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.StructType:
					for _, f := range n.Fields.List {
						if len(f.Names) == 0 || f.Names[0].IsExported() {
							check(f.Type)
						}
					}
					return false
				case *ast.SelectorExpr:
					if x, ok := n.X.(*ast.Ident); ok {
						assert.Empty(t, foreign[x.Name], "%s: %s.%s", set.Position(n.Pos()), x.Name, n.Sel.Name)
					}
				}
				return true
			})
		}
		for _, d := range tree.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Name.IsExported() && (d.Recv == nil || token.IsExported(receiver(d))) {
					public++
					check(d.Type)
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					switch spec := spec.(type) {
					case *ast.TypeSpec:
						if spec.Name.IsExported() {
							public++
							check(spec)
						}
					case *ast.ValueSpec:
						if spec.Names[0].IsExported() {
							public++
							check(spec)
						}
					}
				}
			}
		}
	}
	assert.Greater(t, public, 500)
}

// TestJSON_UnknownMembersSurvive checks both packages, values, pointers and elements of others.
func TestJSON_UnknownMembersSurvive(t *testing.T) {
	const text = `{"unknown":{"a":[1,{"b":null}]},"type":"x"}`
	found := 0
	for name, model := range models() {
		if !hasExtra(model) {
			continue
		}
		found++
		t.Run(name, func(t *testing.T) {
			one, two := reflect.New(model), reflect.New(model)
			require.NoError(t, v1.read([]byte(text), one.Interface()))
			require.NoError(t, v2.read([]byte(text), two.Interface()))
			assert.Equal(t, one.Interface(), two.Interface())
			extra := one.Elem().FieldByName("Extra").Interface().(map[string]json.RawMessage)
			assert.JSONEq(t, `{"a":[1,{"b":null}]}`, string(extra["unknown"]))

			inSlice := reflect.MakeSlice(reflect.SliceOf(model), 1, 1)
			inSlice.Index(0).Set(one.Elem())
			inMap := map[string]any{"a": one.Elem().Interface()}
			for _, c := range codecs {
				for _, v := range []any{one.Interface(), one.Elem().Interface(), inSlice.Interface(), inMap} {
					out, err := c.marshal(v)
					require.NoError(t, err, c.name)
					assert.Contains(t, string(out), `"unknown":{"a":[1,{"b":null}]}`, c.name)
				}
			}
			require.Error(t, json.Unmarshal([]byte(`{"unknown":`), one.Interface()))
		})
	}
	assert.GreaterOrEqual(t, found, 37)
}

// TestJSON_HubNamesAreExact: the JSON of the Hub is read by the same rules on every Go version, in
// structs within structs too. Methods for encoding/json would take names in any case.
func TestJSON_HubNamesAreExact(t *testing.T) {
	found := 0
	for name, model := range models() {
		for member, f := range known(model) {
			inner, list := f.Type, false
			for inner.Kind() == reflect.Pointer || inner.Kind() == reflect.Slice {
				list = list || inner.Kind() == reflect.Slice
				inner = inner.Elem()
			}
			if !hasExtra(inner) || inner == reflect.TypeFor[SessionOrigin]() {
				continue
			}
			found++
			for innerMember := range known(inner) {
				shouted := strings.ToUpper(innerMember)
				text := `{"` + shouted + `":null}`
				if list {
					text = "[" + text + "]"
				}
				got := reflect.New(model)
				require.NoError(t, wire.Unmarshal([]byte(`{"`+member+`":`+text+`}`), got.Interface()))
				at := got.Elem().FieldByIndex(f.Index)
				for at.Kind() == reflect.Pointer || at.Kind() == reflect.Slice {
					if at.Kind() == reflect.Slice {
						at = at.Index(0)
					} else {
						at = at.Elem()
					}
				}
				assert.Contains(t, at.FieldByName("Extra").Interface(), shouted, "%s.%s", name, member)
			}
		}
	}
	assert.Greater(t, found, 20)
}

// TestJSON_RequestsAreExact: what has no JSON form is refused in structs with an Extra too, where the
// methods for encoding/json would replace it.
func TestJSON_RequestsAreExact(t *testing.T) {
	for name, bad := range map[string]SessionRepositoryRef{
		"a text":       {URL: "a\xff"},
		"a name twice": {URL: "a", Extra: map[string]json.RawMessage{"url": json.RawMessage(`"b"`)}},
		"no JSON":      {Extra: map[string]json.RawMessage{"x": json.RawMessage(`{`)}},
	} {
		body := CreateSessionRequest{Task: "t", Repos: []SessionRepositoryRef{{}, bad}}
		_, err := createSession("CreateSession", &body).encode()
		var invalid *ValidationError
		require.ErrorAs(t, err, &invalid, name)
		assert.Regexp(t, `^repos\.1\b`, invalid.Field, name)
	}
	_, err := encodeMessage("Send", &RPCCommandMessage{RPCCommand{Attachments: []PromptAttachmentDescriptor{{Name: "\xff"}}}}, "")
	require.ErrorContains(t, err, "command.attachments.0.name")
}

// legacyRules tells whether a package reads and writes a model by the rules of encoding/json.
func legacyRules(c codec, model reflect.Type) bool {
	return c.name == "v1" || goVersion() == "go1.26" && hasExtra(model)
}

// TestJSON_Rules: the rules are those of the package that was called, as the package comment says.
func TestJSON_Rules(t *testing.T) {
	type rules struct{ anyCase, keptAtNull, repaired bool }
	for _, c := range codecs {
		for _, value := range []any{SavedSkill{}, SkillRef{}} { // with an Extra, and without
			model := reflect.TypeOf(value)
			var got rules

			v := reflect.New(model)
			require.NoError(t, c.read([]byte(`{"SKILLID":"k"}`), v.Interface()))
			got.anyCase = v.Elem().FieldByName("SkillID").String() == "k"
			if extra := v.Elem().FieldByName("Extra"); extra.IsValid() && !got.anyCase {
				assert.Contains(t, extra.Interface(), "SKILLID")
			}

			require.NoError(t, c.read([]byte(`{"skillId":"k"}`), v.Interface()))
			require.NoError(t, c.read([]byte(`{"skillId":null}`), v.Interface()))
			got.keptAtNull = v.Elem().FieldByName("SkillID").String() == "k"

			v.Elem().FieldByName("SkillID").SetString("a\xff")
			text, err := c.marshal(v.Interface())
			got.repaired = err == nil
			if err == nil {
				assert.Regexp(t, `"a(\\ufffd|\x{fffd})"`, string(text))
			}

			legacy := legacyRules(c, model)
			assert.Equal(t, rules{legacy, legacy, legacy}, got, "%s %s", c.name, model)
		}
	}

	// What no package can tell: a name in Extra that differs from that of a field only in letter case.
	text, err := v2.marshal(SavedSkill{SkillID: "k", Extra: map[string]json.RawMessage{"SkillID": json.RawMessage(`"other"`)}})
	require.NoError(t, err)
	var s SavedSkill
	require.NoError(t, v1.read(text, &s))
	assert.Equal(t, SavedSkill{SkillID: "other"}, s)
}

// TestJSON_WrongKinds: before Go 1.27 the methods accept what the Hub's JSON may have, a member of the
// wrong kind, where encoding/json on Go 1.27 has an error. A value that is no object is one on both.
func TestJSON_WrongKinds(t *testing.T) {
	var s Session
	err := json.Unmarshal([]byte(`{"sessionId":7,"taskCount":"x","label":"l","repo":{"name":[],"url":"u"}}`), &s)
	assert.Equal(t, goVersion() == "go1.26", err == nil)
	assert.Empty(t, s.SessionID)
	assert.Equal(t, "l", s.Label)
	assert.Equal(t, "u", s.Repo.URL)
	for _, text := range []string{`7`, `[]`, `"x"`} {
		for _, c := range codecs {
			require.Error(t, c.read([]byte(text), new(Session)), "%s %s", c.name, text)
			require.Error(t, c.read([]byte(`[`+text+`]`), new([]SavedSkill)), "%s %s", c.name, text)
			require.Error(t, c.read([]byte(`{"participants":[`+text+`]}`), new(SessionParticipants)), "%s %s", c.name, text)
		}
	}

	// A value that has members already keeps those that the text does not have.
	s = Session{Task: "t", SessionListItem: SessionListItem{Status: "active", Extra: map[string]json.RawMessage{"a": json.RawMessage("1")}}}
	_ = json.Unmarshal([]byte(`{"taskCount":"x","b":2}`), &s)
	assert.Equal(t, Session{Task: "t", SessionListItem: SessionListItem{
		Status: "active", Extra: map[string]json.RawMessage{"a": json.RawMessage("1"), "b": json.RawMessage("2")},
	}}, s)
}

// TestJSON_EscapingIsTheCallers: encoding/json escapes HTML unless it is told not to.
func TestJSON_EscapingIsTheCallers(t *testing.T) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	require.NoError(t, enc.Encode(Session{Task: "<é\u2028>"}))
	assert.Contains(t, b.String(), `"task":"<é\u2028>"`)
	out, err := json.Marshal(Session{Task: "<é\u2028>"})
	require.NoError(t, err)
	assert.Contains(t, string(out), `"task":"\u003cé\u2028\u003e"`)
}
