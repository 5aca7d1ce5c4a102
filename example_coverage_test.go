package coder_test

import (
	"fmt"
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
)

// TestDocs_EveryMethod: the package documentation lists each method of a Client and a HubConn once, by what it is for.
func TestDocs_EveryMethod(t *testing.T) {
	text, err := os.ReadFile("doc.go")
	require.NoError(t, err)
	_, section, ok := strings.Cut(string(text), "// # Methods\n")
	require.True(t, ok)
	section, _, _ = strings.Cut(section, "// # ")
	var listed []string
	for _, found := range regexp.MustCompile(`\[((?:Client|HubConn)\.\w+)\]`).FindAllStringSubmatch(section, -1) {
		listed = append(listed, found[1])
	}
	var want []string
	for _, of := range []reflect.Type{reflect.TypeFor[*coder.Client](), reflect.TypeFor[*coder.HubConn]()} {
		for i := range of.NumMethod() {
			m := of.Method(i)
			if m.Name != "Format" && m.Name != "LogValue" {
				want = append(want, of.Elem().Name()+"."+m.Name)
			}
		}
	}
	assert.ElementsMatch(t, want, listed)
}

// TestExamples_EveryMethod: who looks up a function or a method finds an example that calls it, with an output that is
// checked.
func TestExamples_EveryMethod(t *testing.T) {
	for folder, actors := range map[string][]string{
		".":         {"Client", "HubConn", "Conversation"},
		"codertest": {"Hub", "SessionControl", "ReplayHub", "Downtime", "Injection"},
	} {
		p := parsePackage(t, folder)
		require.NotEmpty(t, p.wanted(actors), "the test looks in the right place")
		for _, problem := range p.problems(actors) {
			assert.Fail(t, "an example is missing, or of no use", "%s: %s", folder, problem)
		}
	}
}

// Methods that the formats of others call, and no user.
var calledByOthers = []string{
	"Error", "Unwrap", "Is", "String", "Format", "LogValue", "MarshalJSON", "UnmarshalJSON", "MarshalText", "UnmarshalText",
}

// sharedExamples are methods of actors that one example of the type serves: it calls them side by side, and each alone would
// print a single value.
var sharedExamples = []string{
	"SessionControl.ID", "SessionControl.Label", "SessionControl.Task", "SessionControl.Metadata",
	"SessionControl.Status", "SessionControl.Archived", "SessionControl.Deleted",
}

// examplesOf is a package as package doc, and so pkg.go.dev, shows it.
type examplesOf struct {
	*doc.Package
}

func parsePackage(t *testing.T, folder string) examplesOf {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(folder, "*.go"))
	require.NoError(t, err)
	set := token.NewFileSet()
	var files []*ast.File
	for _, name := range names {
		file, err := parser.ParseFile(set, name, nil, parser.ParseComments)
		require.NoError(t, err)
		files = append(files, file)
	}
	p, err := doc.NewFromFiles(set, files, "github.com/agentuity/coder-go/"+folder)
	require.NoError(t, err)
	return examplesOf{p}
}

// wantedExample is a function, a method or an error type. It is served by an example of itself, or, where of is set, by one of
// the type it belongs to; calls is what that must call.
type wantedExample struct {
	name, calls string
	own, of     []*doc.Example
}

// wanted lists what must have an example. The methods of actors each need one of their own, but for sharedExamples. Those of
// all other types, which are values, share the examples of their type.
func (p examplesOf) wanted(actors []string) (all []wantedExample) {
	for _, f := range p.Funcs {
		all = append(all, wantedExample{name: f.Name, calls: f.Name, own: f.Examples})
	}
	for _, typ := range p.Types {
		for _, f := range typ.Funcs {
			all = append(all, wantedExample{name: f.Name, calls: f.Name, own: f.Examples})
		}
		for _, m := range typ.Methods {
			if m.Name == "Error" {
				all = append(all, wantedExample{name: typ.Name, own: typ.Examples})
			}
			if slices.Contains(calledByOthers, m.Name) {
				continue
			}
			w := wantedExample{name: typ.Name + "." + m.Name, calls: m.Name, own: m.Examples}
			if !slices.Contains(actors, typ.Name) || slices.Contains(sharedExamples, w.name) {
				w.of = typ.Examples
			}
			all = append(all, w)
		}
	}
	return all
}

// problems says what has no example, and which examples show nothing.
func (p examplesOf) problems(actors []string) (all []string) {
	for _, w := range p.wanted(actors) {
		served := func(e *doc.Example) bool { return w.calls == "" || callsIn(e.Code, w.calls) }
		switch {
		case slices.ContainsFunc(w.own, served), slices.ContainsFunc(w.of, served):
		case len(w.own) > 0:
			all = append(all, fmt.Sprintf("the example of %s does not call it", w.name))
		default:
			all = append(all, fmt.Sprintf("%s has no example", w.name))
		}
	}
	for _, e := range p.everyExample() {
		if strings.TrimSpace(e.Output) == "" {
			all = append(all, fmt.Sprintf("Example%s prints nothing that is checked", e.Name))
		}
	}
	return all
}

func (p examplesOf) everyExample() []*doc.Example {
	all := slices.Clone(p.Examples)
	for _, f := range p.Funcs {
		all = append(all, f.Examples...)
	}
	for _, typ := range p.Types {
		all = append(all, typ.Examples...)
		for _, f := range append(slices.Clone(typ.Funcs), typ.Methods...) {
			all = append(all, f.Examples...)
		}
	}
	return all
}

// callsIn reports whether code calls a function or a method of this name.
func callsIn(code ast.Node, name string) (found bool) {
	ast.Inspect(code, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return !found
		}
		called := call.Fun
		if generic, ok := called.(*ast.IndexExpr); ok {
			called = generic.X
		}
		if s, ok := called.(*ast.SelectorExpr); ok && s.Sel.Name == name {
			found = true
		}
		return !found
	})
	return found
}

func TestExamples_MissingOnesAreFound(t *testing.T) {
	set := token.NewFileSet()
	parse := func(name, text string) *ast.File {
		file, err := parser.ParseFile(set, name, text, parser.ParseComments)
		require.NoError(t, err)
		return file
	}
	library := parse("p.go", `package p
type Actor struct{}
func NewActor() *Actor { return nil }
func (*Actor) Good() {}
func (*Actor) Shared() {}
func (*Actor) Other() {}
func (*Actor) String() string { return "" }
type Value int
func (Value) Get() {}
func (Value) Lost() {}
type FooError struct{}
func (*FooError) Error() string { return "" }
type BarError struct{}
func (*BarError) Error() string { return "" }
func Lonely() {}
func hidden() {}
`)
	examples := parse("p_test.go", `package p_test
func ExampleActor() {
	p.NewActor().Shared()
	// Output: 1
}
func ExampleNewActor() {
	p.NewActor()
	// Output: 1
}
func ExampleActor_Good() {
	p.NewActor().Good()
	// Output: 1
}
func ExampleActor_Other_suffix() {
	p.NewActor().Good()
	// Output: 1
}
func ExampleValue() {
	p.Value(1).Get()
	println(p.Value(1).Lost)
}
func ExampleFooError() {
	println()
	// Output: 1
}
`)
	p, err := doc.NewFromFiles(set, []*ast.File{library, examples}, "p")
	require.NoError(t, err)
	assert.ElementsMatch(t, []string{
		"Actor.Shared has no example",
		"the example of Actor.Other does not call it",
		"Value.Lost has no example",
		"BarError has no example",
		"Lonely has no example",
		"ExampleValue prints nothing that is checked",
	}, examplesOf{p}.problems([]string{"Actor"}))
}
