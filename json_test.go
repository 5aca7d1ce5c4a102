package coder

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// codec is one of the two JSON packages.
type codec struct {
	name    string
	marshal func(any) ([]byte, error)
	read    func([]byte, any) error
}

var (
	v1 = codec{"v1", json.Marshal, json.Unmarshal}
	v2 = codec{
		"v2",
		func(v any) ([]byte, error) { return jsonv2.Marshal(v, jsonv2.Deterministic(true)) },
		func(text []byte, v any) error { return jsonv2.Unmarshal(text, v) },
	}
	codecs = []codec{v1, v2}
)

// goVersion is the version of Go, as far as the package differs between versions.
func goVersion() string {
	if slices.Contains(build.Default.ReleaseTags, "go1.27") {
		return "go1.27"
	}
	return "go1.26"
}

// beyondClient are the models that no method of Client and HubConn takes or returns, and the
// messages, which those know as interfaces only.
var beyondClient = []any{
	EventRequest{}, ToolRequest{}, CommandRequest{}, SessionEntryMessage{}, SessionWriteMessage{}, BootstrapReadyMessage{},
	ObserverSubscribeMessage{}, RPCCommandMessage{}, RPCUIResponseMessage{}, RenameSessionMessage{}, PingMessage{},
	SSESessionSnapshotMessage{}, SSEHydrationMessage{}, PresenceEventMessage{}, BroadcastEventMessage{},
	HubInitMessage{}, HubHydrationMessage{}, HubStreamReadyMessage{}, HubSessionResumeMessage{}, PongMessage{},
	ConnectionRejectedMessage{}, ProtocolErrorMessage{}, RPCCommandErrorMessage{}, RPCResponse{}, RPCUIParams{},
	AgentEnd{}, AgentSettled{}, BeforeAgentStart{}, AgentContext{}, TurnStart{}, TurnEnd{}, MessageStart{}, MessageEnd{}, ToolOutput{},
	TaskStart{}, AgentProgress{}, TaskComplete{}, TaskError{}, Input{}, QueueUpdate{}, AutoRetryStart{}, AutoRetryEnd{},
	CompactionStart{}, CompactionEnd{}, SessionBeforeCompact{}, SessionCompact{}, Compaction{}, SessionStart{}, SessionBeforeSwitch{},
	SessionShutdown{}, EntryAppended{}, ExtensionError{}, ConversationMessage{}, ConversationToolCall{},
	ConversationChange{}, ConversationAsked{},
	AckAction{}, BlockAction{}, ConfirmAction{}, NotifyAction{}, ReturnAction{}, StatusAction{}, SystemPromptAction{}, InjectMessageAction{},
}

// models returns every exported type of the package with a JSON form, by name.
func models() map[string]reflect.Type {
	found, seen := make(map[string]reflect.Type), make(map[reflect.Type]bool)
	var visit func(reflect.Type)
	visit = func(t reflect.Type) {
		if seen[t] {
			return
		}
		seen[t] = true
		if t == reflect.TypeFor[Receipt]() { // it is a text
			return
		}
		if t.Name() != "" && t.PkgPath() != "" {
			for i := range reflect.PointerTo(t).NumMethod() {
				visit(reflect.PointerTo(t).Method(i).Type)
			}
		}
		switch t.Kind() {
		case reflect.Map:
			visit(t.Key())
			visit(t.Elem())
		case reflect.Pointer, reflect.Slice:
			visit(t.Elem())
		case reflect.Func:
			for i := range t.NumIn() {
				visit(t.In(i))
			}
			for i := range t.NumOut() {
				visit(t.Out(i))
			}
		case reflect.Struct:
			for f := range t.Fields() {
				if f.IsExported() {
					visit(f.Type)
				}
				if _, tagged := f.Tag.Lookup("json"); tagged && t.PkgPath() == reflect.TypeFor[Client]().PkgPath() && token.IsExported(t.Name()) {
					found[t.Name()] = t
				}
			}
		}
	}
	visit(reflect.TypeFor[*Client]())
	visit(reflect.TypeFor[*HubConn]())
	for _, v := range beyondClient {
		visit(reflect.TypeOf(v))
		found[reflect.TypeOf(v).Name()] = reflect.TypeOf(v) // also those without members
	}
	for _, t := range []reflect.Type{
		reflect.TypeFor[SessionOrigin](), reflect.TypeFor[MessageContent](), reflect.TypeFor[UnixMilli](), reflect.TypeFor[PromptText](),
	} {
		found[t.Name()] = t // they have a form without tags
	}
	return found
}

// declaredModels returns the names of the exported types whose declaration has a JSON tag or a
// JSON method.
func declaredModels(t *testing.T) []string {
	t.Helper()
	names := make(map[string]bool)
	for _, file := range sourceFiles(t) {
		tree, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		for _, d := range tree.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if name := receiver(d); token.IsExported(name) && strings.HasSuffix(d.Name.Name, "arshalJSON") {
					names[name] = true
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					spec, ok := spec.(*ast.TypeSpec)
					if !ok || !spec.Name.IsExported() {
						continue
					}
					if s, ok := spec.Type.(*ast.StructType); ok && slices.ContainsFunc(s.Fields.List, hasJSONTag) {
						names[spec.Name.Name] = true
					}
				}
			}
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// receiver returns the name of the type that a function is a method of, "" if it is none or if the
// type has parameters.
func receiver(d *ast.FuncDecl) string {
	if d.Recv == nil {
		return ""
	}
	t := d.Recv.List[0].Type
	if pointer, ok := t.(*ast.StarExpr); ok {
		t = pointer.X
	}
	name, _ := t.(*ast.Ident)
	if name == nil {
		return ""
	}
	return name.Name
}

// hasJSONTag reports whether a field has a name in JSON. Errors keep theirs out of it with "-".
func hasJSONTag(f *ast.Field) bool {
	return f.Tag != nil && strings.Contains(f.Tag.Value, `json:"`) && f.Tag.Value != "`json:\"-\"`"
}

func sourceFiles(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	return slices.DeleteFunc(files, func(f string) bool { return strings.HasSuffix(f, "_test.go") })
}

// TestJSON_Models: the tests below forget none.
func TestJSON_Models(t *testing.T) {
	found := slices.Sorted(maps.Keys(models()))
	for _, name := range declaredModels(t) {
		if name == "Conversation" { // is only written
			continue
		}
		assert.Contains(t, found, name, "add it to beyondClient")
	}
	assert.Greater(t, len(found), 100)
}

// sampleFill makes values of which every member is set.
type sampleFill struct {
	suffix string // of every text
	number int64  // that all numbers begin with
}

// fill sets v and all that is in it. A type within itself stays empty.
func (s sampleFill) fill(v reflect.Value, within ...reflect.Type) {
	t := v.Type()
	if slices.Contains(within, t) {
		return
	}
	within = append(within, t)
	switch to := v.Addr().Interface().(type) {
	case *time.Time:
		*to = time.Date(2026, 1, 15, 10, 42, 17, 512e6+int(s.number), time.UTC)
		return
	case *UnixMilli:
		*to = UnixMilli{time.UnixMilli(1768473737512 + s.number).Add(250 * time.Microsecond).UTC()}
		return
	case *Nullable[string]:
		*to = Value("nullable" + s.suffix)
		return
	case *Nullable[CustomAgentThinkingLevel]:
		*to = Value(CustomAgentThinkingLevel("deep" + s.suffix))
		return
	case *SessionOrigin:
		*to = SessionOrigin{Type: "web" + s.suffix, Extra: s.extra()}
		return
	case *json.RawMessage:
		*to = json.RawMessage(fmt.Sprintf(`{"raw":[%d,null,"<é%s>"]}`, s.number, s.suffix))
		return
	case *map[string]json.RawMessage:
		*to = s.extra()
		return
	case *any:
		*to = map[string]any{"any": []any{float64(s.number), "<é" + s.suffix, nil, true}}
		return
	}
	switch t.Kind() {
	case reflect.String:
		v.SetString("é" + s.suffix)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(s.number)
	case reflect.Uint8:
		v.SetUint(255)
	case reflect.Float64:
		v.SetFloat(float64(s.number) + 0.5)
	case reflect.Pointer:
		v.Set(reflect.New(t.Elem()))
		s.fill(v.Elem(), within...)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(t, 1, 1))
		s.fill(v.Index(0), within...)
	case reflect.Map:
		elem := reflect.New(t.Elem()).Elem()
		s.fill(elem, within...)
		v.Set(reflect.MakeMap(t))
		v.SetMapIndex(reflect.ValueOf("key"), elem)
	case reflect.Struct:
		for f := range t.Fields() {
			if f.Tag.Get("json") != "-" {
				s.fill(v.FieldByIndex(f.Index), within...)
			}
		}
	default:
		panic("no sample of " + t.String())
	}
}

func (s sampleFill) extra() map[string]json.RawMessage {
	return map[string]json.RawMessage{
		"unknown": json.RawMessage(`{"a":[1,{"b":null}]}`),
		"zz":      json.RawMessage(`"<é` + s.suffix + `>"`),
	}
}

// known returns the JSON names of the fields of a struct, with those of the structs it embeds.
func known(t reflect.Type) map[string]reflect.StructField {
	names := make(map[string]reflect.StructField)
	if t.Kind() != reflect.Struct {
		return names
	}
	for _, f := range reflect.VisibleFields(t) {
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" && name != "-" {
			names[name] = f
		}
	}
	return names
}

// emptied sets every list and map of a model to an empty one that is not nil, Extra excepted.
func emptied(v reflect.Value) {
	for _, f := range known(v.Type()) {
		switch f.Type.Kind() {
		case reflect.Slice:
			if f.Type != reflect.TypeFor[json.RawMessage]() {
				v.FieldByIndex(f.Index).Set(reflect.MakeSlice(f.Type, 0, 0))
			}
		case reflect.Map:
			v.FieldByIndex(f.Index).Set(reflect.MakeMap(f.Type))
		}
	}
}

// nulled sets every member of a model to what it is after null was read.
func nulled(v reflect.Value) {
	for _, f := range known(v.Type()) {
		switch to := v.FieldByIndex(f.Index).Addr().Interface().(type) {
		case *json.RawMessage:
			*to = json.RawMessage("null")
		case *Nullable[string]:
			*to = Null[string]()
		case *Nullable[CustomAgentThinkingLevel]:
			*to = Null[CustomAgentThinkingLevel]()
		}
	}
}

// newModel returns a pointer to a new value that was prepared.
func newModel(t reflect.Type, prepare func(reflect.Value)) any {
	v := reflect.New(t)
	prepare(v.Elem())
	return v.Interface()
}

func fullModel(t reflect.Type, s sampleFill) any {
	return newModel(t, func(v reflect.Value) { s.fill(v) })
}

var standard = sampleFill{suffix: "", number: 7}

// difference says where two values differ, "" if they are equal: nil and empty lists are, unless a
// member is left out when it is nil, and so is JSON that means the same.
func difference(a, b reflect.Value, path string, strict bool) string {
	unequal := func() string { return fmt.Sprintf("%s: %v is not %v", path, a, b) }
	t := a.Type()
	switch t {
	case reflect.TypeFor[time.Time]():
		if !a.Interface().(time.Time).Equal(b.Interface().(time.Time)) {
			return unequal()
		}
		return ""
	case reflect.TypeFor[json.RawMessage]():
		if canonical(a.Bytes()) != canonical(b.Bytes()) {
			return unequal()
		}
		return ""
	}
	switch t.Kind() {
	case reflect.Slice, reflect.Map:
		if a.Len() != b.Len() || strict && a.IsNil() != b.IsNil() {
			return unequal()
		}
	case reflect.Pointer, reflect.Interface:
		if a.IsNil() != b.IsNil() {
			return unequal()
		}
		if a.IsNil() {
			return ""
		}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return difference(a.Elem(), b.Elem(), path, false)
	case reflect.Interface:
		if !reflect.DeepEqual(a.Interface(), b.Interface()) {
			return unequal()
		}
	case reflect.Slice:
		for i := range a.Len() {
			if d := difference(a.Index(i), b.Index(i), fmt.Sprintf("%s[%d]", path, i), false); d != "" {
				return d
			}
		}
	case reflect.Map:
		for _, key := range a.MapKeys() {
			if !b.MapIndex(key).IsValid() {
				return unequal()
			}
			if d := difference(a.MapIndex(key), b.MapIndex(key), path+"."+key.String(), false); d != "" {
				return d
			}
		}
	case reflect.Struct:
		for f := range t.Fields() {
			if f.Tag.Get("json") == "-" {
				continue
			}
			strict := strings.Contains(f.Tag.Get("json"), "omitzero")
			if d := difference(a.FieldByIndex(f.Index), b.FieldByIndex(f.Index), path+"."+f.Name, strict); d != "" {
				return d
			}
		}
	default:
		if !a.Equal(b) {
			return unequal()
		}
	}
	return ""
}

func canonical(raw []byte) string {
	value := jsontext.Value(bytes.Clone(raw))
	if err := value.Canonicalize(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)); err != nil {
		return string(raw)
	}
	return string(value)
}

// assertReads checks that a text is read into this value, given as a pointer.
func assertReads(t *testing.T, c codec, text string, want any, message string) {
	t.Helper()
	got := reflect.New(reflect.TypeOf(want).Elem())
	if err := c.read([]byte(text), got.Interface()); assert.NoError(t, err, "%s: %s reads %s", message, c.name, text) {
		d := difference(reflect.ValueOf(want).Elem(), got.Elem(), "", false)
		assert.Empty(t, d, "%s: %s reads %s", message, c.name, text)
	}
}

// object writes members in order, each with what name makes of its name.
func object(t *testing.T, text []byte, member func(name string, value jsontext.Value) string) string {
	t.Helper()
	dec := jsontext.NewDecoder(bytes.NewReader(text))
	var members []string
	_, err := dec.ReadToken()
	require.NoError(t, err)
	for dec.PeekKind() == jsontext.KindString {
		name, err := dec.ReadToken()
		require.NoError(t, err)
		key := name.String()
		value, err := dec.ReadValue()
		require.NoError(t, err)
		members = append(members, member(key, value))
	}
	return "{" + strings.Join(members, ",") + "}"
}

func member(name string, value jsontext.Value) string { return fmt.Sprintf("%q:%s", name, value) }

// TestJSON_Inputs reads texts that are not as they should be. Into what does not depend on the Go
// version, and so it need not be in the golden file.
func TestJSON_Inputs(t *testing.T) {
	for name, model := range models() {
		t.Run(name, func(t *testing.T) {
			full, zero := fullModel(model, standard), reflect.New(model).Interface()
			text, err := v2.marshal(full)
			require.NoError(t, err)
			fields := known(model)
			if len(fields) == 0 {
				for _, c := range codecs {
					assertReads(t, c, string(text), full, "all members")
					assertReads(t, c, "null", zero, "null")
				}
				return
			}
			_, open := model.FieldByName("Extra")
			nulls := object(t, text, func(name string, value jsontext.Value) string {
				if _, ok := fields[name]; ok {
					value = jsontext.Value("null")
				}
				return member(name, value)
			})
			afterNulls := newModel(model, func(v reflect.Value) {
				nulled(v)
				if extra := v.FieldByName("Extra"); extra.IsValid() {
					extra.Set(reflect.ValueOf(standard.extra()))
				}
			})
			unknown := object(t, text, func(name string, value jsontext.Value) string {
				if !open {
					return member("not known before "+name, value) + "," + member(name, value)
				}
				return member(name, value)
			})
			for _, c := range codecs {
				assertReads(t, c, nulls, afterNulls, "nulls")
				assertReads(t, c, unknown, full, "unknown members")
				assertReads(t, c, "null", zero, "null")
			}

			otherText, err := v2.marshal(fullModel(model, sampleFill{suffix: "!", number: 8}))
			require.NoError(t, err)
			twice := string(otherText[:len(otherText)-1]) + "," + string(text[1:])
			assertReads(t, v1, twice, full, "duplicate names: the last counts")
			require.ErrorIs(t, v2.read([]byte(twice), reflect.New(model).Interface()), jsontext.ErrDuplicateName)

			bad := sampleFill{suffix: "\ufffd", number: 7}
			badText, err := v2.marshal(fullModel(model, bad))
			require.NoError(t, err)
			if marked := bytes.ReplaceAll(badText, []byte("\ufffd"), []byte{0xff}); !bytes.Equal(marked, badText) {
				assertReads(t, v1, string(marked), fullModel(model, bad), "invalid UTF-8: it is replaced")
				require.Error(t, v2.read(marked, reflect.New(model).Interface()), "invalid UTF-8")
			}

			shouted := object(t, text, func(name string, value jsontext.Value) string {
				if _, ok := fields[name]; ok {
					name = strings.ToUpper(name)
				}
				return member(name, value)
			})
			assertReads(t, v1, shouted, full, "names in another case: v1 takes them for the fields")
		})
	}
}
