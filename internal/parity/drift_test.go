//go:build parity

package parity

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
)

const coderPath = "github.com/agentuity/coder-go"

// membersOf returns the JSON members of a struct, those of embedded ones included. Structs without
// tags are parameters: their members are the fields, in TypeScript's spelling, where lengths of time
// are milliseconds.
func membersOf(t reflect.Type) map[string]reflect.Type {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	out := make(map[string]reflect.Type)
	for f := range t.Fields() {
		tag, tagged := f.Tag.Lookup("json")
		name, _, _ := strings.Cut(tag, ",")
		switch {
		case f.Anonymous:
			maps.Copy(out, membersOf(f.Type))
		case !f.IsExported() || name == "-" || tagged && name == "":
		case !tagged && f.Type == reflect.TypeFor[time.Duration]():
			out[spelling(f.Name)+"Ms"] = f.Type
		case !tagged && f.Name != "Extra":
			out[spelling(f.Name)] = f.Type
		case tagged:
			out[name] = f.Type
		}
	}
	return out
}

// spelling is a Go name as TypeScript writes it.
func spelling(name string) string {
	for _, initialism := range []string{"ID", "URL", "API", "SSE", "RPC", "UI", "PRD"} {
		name = strings.ReplaceAll(name, initialism, initialism[:1]+strings.ToLower(initialism[1:]))
	}
	return strings.ToLower(name[:1]) + name[1:]
}

// goName is the Go name of a type of the original, by the naming rule.
func goName(name string) string {
	name = strings.TrimPrefix(name, "Coder")
	for _, word := range []string{"Sse", "Rpc", "Ui", "Url", "Api"} {
		name = strings.ReplaceAll(name, word, strings.ToUpper(word))
	}
	return name
}

// drift is what one side knows and the other does not.
type drift struct {
	item  string // a method, Type, Type.member or Type=value
	where string
}

const (
	onlyThere = "only the original"
	onlyHere  = "only here"
)

// pairing has what the original knows of a Go type: all of the schemas that stand for it together.
type pairing struct {
	members map[string]bool
	values  map[string]bool
}

// pairings go through the schemas of all methods and the Go types of their requests and results.
type pairings map[reflect.Type]*pairing

func (p pairings) of(t reflect.Type) *pairing {
	if p[t] == nil {
		p[t] = &pairing{members: make(map[string]bool), values: make(map[string]bool)}
	}
	return p[t]
}

func (p pairings) pair(s shape, t reflect.Type) {
	t = bare(t)
	for _, option := range s.Options {
		p.pair(option, t)
	}
	switch {
	case s.Type == "array" && t.Kind() == reflect.Slice, s.Type == "record" && t.Kind() == reflect.Map:
		p.pair(*s.Element, t.Elem())
	case s.Type == "enum" && t.Kind() == reflect.String && t.PkgPath() == coderPath:
		for _, v := range s.Values {
			p.of(t).values[fmt.Sprint(v)] = true
		}
	case s.Type == "object" && t.Kind() == reflect.Struct:
		have := membersOf(t)
		for name, member := range s.Members {
			p.of(t).members[name] = true
			if field, ok := have[name]; ok {
				p.pair(member, field)
				if member.Type == "enum" && bare(field) == reflect.TypeFor[string]() {
					for _, v := range member.Values {
						p.of(t).values[name+"="+fmt.Sprint(v)] = true
					}
				}
			}
		}
	}
}

// bare is the type that a pointer or a Nullable holds.
func bare(t reflect.Type) reflect.Type {
	for {
		switch {
		case t.Kind() == reflect.Pointer:
			t = t.Elem()
		case t.Kind() == reflect.Struct && strings.HasPrefix(t.Name(), "Nullable["):
			f, _ := t.FieldByName("value")
			t = f.Type
		default:
			return t
		}
	}
}

// compared are types that no method leads to by its signature, such as implementations of an
// interface.
var compared = append([]reflect.Type{reflect.TypeFor[coder.APIError]()}, streamTypes...)

// reachable are the types of package coder that its methods take, return or lead to, by name.
func reachable() map[string]reflect.Type {
	out := make(map[string]reflect.Type)
	var visit func(t reflect.Type)
	visit = func(t reflect.Type) {
		switch t.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Map:
			visit(t.Elem())
			return
		}
		t = bare(t)
		if t.PkgPath() != coderPath || out[t.Name()] != nil {
			return
		}
		out[t.Name()] = t
		if t.Kind() == reflect.Struct {
			for f := range t.Fields() {
				visit(f.Type)
			}
		}
		for m := range reflect.PointerTo(t).Methods() {
			for i := range m.Type.NumOut() {
				visit(m.Type.Out(i))
			}
		}
	}
	client := reflect.TypeFor[*coder.Client]()
	for m := range client.Methods() {
		for i := range m.Type.NumIn() {
			visit(m.Type.In(i))
		}
		for i := range m.Type.NumOut() {
			visit(m.Type.Out(i))
		}
	}
	for _, t := range compared {
		visit(t)
	}
	return out
}

// source is what reflection cannot tell: the declared types, the constants of each, and the types
// that have a method.
type source struct {
	types     map[string]bool
	constants map[string]map[string]bool
	methods   map[string]map[string]bool
}

func readSource(t *testing.T) source {
	t.Helper()
	out := source{make(map[string]bool), make(map[string]map[string]bool), make(map[string]map[string]bool)}
	files, err := filepath.Glob("../../*.go")
	require.NoError(t, err)
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		tree, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		require.NoError(t, err)
		ast.Inspect(tree, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.TypeSpec:
				out.types[n.Name.Name] = true
			case *ast.ValueSpec:
				out.constant(n)
			case *ast.FuncDecl:
				out.method(n)
			}
			return true
		})
	}
	return out
}

func (s *source) constant(spec *ast.ValueSpec) {
	typeName, ok := spec.Type.(*ast.Ident)
	if !ok || len(spec.Values) != 1 {
		return
	}
	literal, ok := spec.Values[0].(*ast.BasicLit)
	if !ok || literal.Kind != token.STRING {
		return
	}
	value, err := strconv.Unquote(literal.Value)
	if err != nil {
		return
	}
	if s.constants[typeName.Name] == nil {
		s.constants[typeName.Name] = make(map[string]bool)
	}
	s.constants[typeName.Name][value] = true
}

// paths and headers carry these, not the parameters: the original's own methods leave them out.
var notParameters = []string{"orgId", "sessionId"}

// findDrift compares everything.
func findDrift(t *testing.T) []drift {
	t.Helper()
	src := readSource(t)
	types := reachable()
	found := pairings{}
	for i := range methods {
		m := &methods[i]
		c := known.Calls[m.original()]
		if c.Body != nil && m.in != nil && m.name != "CreateCustomSkill" { // whose own schema has its own name
			found.pair(*c.Body, m.in)
		}
		if c.Response == nil || m.result == nil {
			continue
		}
		s := *c.Response
		switch {
		case m.wrapper != "":
			s = s.Members[m.wrapper]
		case strings.HasSuffix(m.name, "Sessions"): // whose answers look different, see sessionPage
			s = known.Schemas["CoderSessionListResponse"]
		}
		found.pair(s.object(), m.result)
	}
	live := forms{seen: make(map[string]bool)}
	var unreached []string
	for _, name := range slices.Sorted(maps.Keys(known.Schemas)) {
		s := known.Schemas[name]
		ours := cmp.Or(otherNames[name], goName(name))
		goType, there := types[ours]
		if there && slices.Contains(streamTypes, goType) {
			live.compare(s, goType)
		}
		switch {
		case strings.HasSuffix(name, "Params"):
			if there {
				found.pair(s.without(notParameters...), goType)
			}
		case there:
			found.pair(s, goType)
		case src.constants[ours] != nil:
		case unions[name] != "":
		case src.types[ours]:
			unreached = append(unreached, ours)
		default:
			found.of(nil).members[goName(name)] = true
		}
	}

	assert.Empty(t, unreached, "not compared, since no method leads to them: add them to compared")

	var out []drift
	for _, name := range sortedDifference(found.of(nil).members, nil) {
		out = append(out, drift{name, onlyThere})
	}
	out = append(out, live.out...)
	out = append(out, unionDrift(src)...)
	for t, p := range found {
		switch {
		case t == nil:
		case t.Kind() == reflect.String:
			out = append(out, compareSets(t.Name()+"=", p.values, src.constants[t.Name()])...)
		default:
			have := make(map[string]bool)
			for name := range membersOf(t) {
				have[name] = true
			}
			out = append(out, compareSets(t.Name()+".", p.members, have)...)
			out = append(out, compareSets(t.Name()+".", p.values, nil)...)
		}
	}
	out = append(out, compareSets("EventName=", set(known.Lists["CoderHubEventNames"]), src.constants["EventName"])...)
	out = append(out, compareSets("ErrorCode=", set(known.Schemas["CoderErrorCode"].Values), src.constants["ErrorCode"])...)

	ours := make(map[string]bool)
	for m := range reflect.TypeFor[*coder.Client]().Methods() {
		ours[m.Name] = true
	}
	theirs := make(map[string]bool)
	for i := range methods {
		if slices.Contains(known.Methods, methods[i].original()) {
			theirs[methods[i].name] = true
		}
	}
	out = append(out, compareSets("Client.", theirs, ours)...)
	slices.SortFunc(out, func(a, b drift) int { return strings.Compare(a.item, b.item) })
	return slices.Compact(out)
}

func set(values []any) map[string]bool {
	out := make(map[string]bool)
	for _, v := range values {
		out[fmt.Sprint(v)] = true
	}
	return out
}

func compareSets(prefix string, theirs, ours map[string]bool) []drift {
	var out []drift
	for _, name := range sortedDifference(theirs, ours) {
		out = append(out, drift{prefix + name, onlyThere})
	}
	for _, name := range sortedDifference(ours, theirs) {
		out = append(out, drift{prefix + name, onlyHere})
	}
	return out
}

// sortedDifference is what is in a and not in b.
func sortedDifference(a, b map[string]bool) []string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(a)) {
		if !b[name] {
			out = append(out, name)
		}
	}
	return out
}

// TestDrift prints the drift report. What the document does not explain fails, and so does an
// explanation of what is no longer there.
func TestDrift(t *testing.T) {
	found := findDrift(t)
	explained := 0
	used := make(map[string]bool)
	rows, err := table("Drift")
	require.NoError(t, err)
	for _, d := range found {
		i := slices.IndexFunc(rows, func(r row) bool {
			return r.where == d.where && r.why != "" && slices.ContainsFunc(r.names, func(pattern string) bool {
				matches, err := path.Match(pattern, d.item)
				if matches {
					used[pattern+r.where] = true
				}
				return err == nil && matches
			})
		})
		if i < 0 {
			tally.other()
			t.Errorf("drift: %s knows %s. Follow it, or explain it in docs/differences.md", d.where, d.item)
			continue
		}
		explained++
	}
	for _, r := range rows {
		for _, name := range r.names {
			extra := r.where == onlyHere && strings.HasPrefix(name, "Client.") // costs nobody anything
			assert.True(t, extra || used[name+r.where], "docs/differences.md explains %s (%s), but there is no such drift any more", name, r.where)
		}
	}
	for _, d := range found {
		fmt.Printf("drift: %s: %s\n", d.where, d.item)
	}
	fmt.Printf("drift: %d explained in docs/differences.md, %d not\n", explained, len(found)-explained)
}
