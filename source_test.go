package coder_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestSource_PathsAreBuiltInOnePlace reads the source of the package: a route is only ever a constant
// template in a call of the functions that escape what goes into it, and every method's comment
// names the route it calls.
func TestSource_PathsAreBuiltInOnePlace(t *testing.T) {
	builders := map[string]bool{"get": true, "patch": true, "del": true, "create": true, "act": true}
	readers := map[string]bool{"CutPrefix": true, "HasPrefix": true} // taking a path apart is no building
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	routes := 0
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		set := token.NewFileSet()
		tree, err := parser.ParseFile(set, file, nil, parser.ParseComments)
		require.NoError(t, err)
		allowed := make(map[ast.Node]bool)
		ast.Inspect(tree, func(n ast.Node) bool {
			if fn, ok := n.(*ast.FuncDecl); ok {
				checkDocumentedRoutes(t, set, fn, builders)
			}
			if call, ok := n.(*ast.CallExpr); ok {
				name := ""
				switch f := call.Fun.(type) {
				case *ast.Ident:
					name = f.Name
				case *ast.SelectorExpr:
					name = f.Sel.Name
				}
				if (builders[name] || readers[name]) && len(call.Args) > 1 {
					allowed[call.Args[1]] = true
				}
			}
			literal, ok := n.(*ast.BasicLit)
			if !ok || literal.Kind != token.STRING {
				return true
			}
			text, err := strconv.Unquote(literal.Value)
			require.NoError(t, err)
			if strings.HasPrefix(text, "/hub") || strings.Contains(text, "/hub/") {
				routes++
				assert.True(t, allowed[n], "%s: the route %q is not given to one of the request functions", set.Position(n.Pos()), text)
			}
			return true
		})
	}
	assert.Greater(t, routes, 12, "the test looks in the right place")
}

var documentedRoute = regexp.MustCompile(`(GET|POST|PATCH|DELETE) (/\S+?)[,.]?(\s|$)`)

// checkDocumentedRoutes compares the routes in a method's comment with those in its body.
func checkDocumentedRoutes(t *testing.T, set *token.FileSet, fn *ast.FuncDecl, builders map[string]bool) {
	t.Helper()
	if fn.Recv == nil || !fn.Name.IsExported() || fn.Body == nil {
		return
	}
	verbs := map[string]string{"get": "GET", "patch": "PATCH", "del": "DELETE", "create": "POST", "act": "POST"}
	var documented []string
	for _, m := range documentedRoute.FindAllStringSubmatch(fn.Doc.Text(), -1) {
		documented = append(documented, m[1]+" "+withoutNames(m[2]))
	}
	ast.Inspect(fn.Body, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		name, ok := call.Fun.(*ast.Ident)
		if !ok || !builders[name.Name] || len(call.Args) < 2 {
			return true
		}
		template, ok := call.Args[1].(*ast.BasicLit)
		require.True(t, ok, "%s: the route is a constant", set.Position(call.Pos()))
		text, err := strconv.Unquote(template.Value)
		require.NoError(t, err)
		assert.Contains(t, documented, verbs[name.Name]+" "+withoutNames(text), "the comment of %s names its route", fn.Name.Name)
		return true
	})
}

var placeholder = regexp.MustCompile(`\{\w+\}`)

func withoutNames(route string) string {
	route, _, _ = strings.Cut(route, "?")
	return placeholder.ReplaceAllString(route, "{}")
}

// TestSource_EveryFieldIsDocumented: what no linter asks for.
func TestSource_EveryFieldIsDocumented(t *testing.T) {
	for _, pattern := range []string{"*.go", "codertest/*.go"} {
		files, err := filepath.Glob(pattern)
		require.NoError(t, err)
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			set := token.NewFileSet()
			tree, err := parser.ParseFile(set, file, nil, parser.ParseComments)
			require.NoError(t, err)
			ast.Inspect(tree, func(n ast.Node) bool {
				spec, ok := n.(*ast.TypeSpec)
				if !ok || !spec.Name.IsExported() {
					return true
				}
				if s, ok := spec.Type.(*ast.StructType); ok {
					for _, f := range undocumented(set, s) {
						assert.Fail(t, "a field has no comment", "%s: of %s", set.Position(f.Pos()), spec.Name.Name)
					}
				}
				return true
			})
		}
	}
}

// undocumented returns the exported fields without a comment. A comment above a field also serves the
// fields that follow it, up to a blank line or the next comment above one: they are a group.
func undocumented(set *token.FileSet, s *ast.StructType) (fields []*ast.Field) {
	grouped, last := false, 0
	for _, f := range s.Fields.List {
		first := set.Position(f.Pos()).Line
		if f.Doc != nil {
			first = set.Position(f.Doc.Pos()).Line
		}
		grouped = f.Doc != nil || grouped && first == last+1
		last = set.Position(f.End()).Line
		named := len(f.Names) > 0 && f.Names[0].IsExported()
		if named && !grouped && f.Comment == nil {
			fields = append(fields, f)
		}
	}
	return fields
}

func TestSource_UndocumentedFieldsAreFound(t *testing.T) {
	set := token.NewFileSet()
	tree, err := parser.ParseFile(set, "", `package p
type T struct {
	// Of both.
	A, B int
	C int

	Lonely int
	D int // of D
	AfterD int
	// Of E and F.
	E int
	F int
	unexported int
}`, parser.ParseComments)
	require.NoError(t, err)
	var names []string
	ast.Inspect(tree, func(n ast.Node) bool {
		if s, ok := n.(*ast.StructType); ok {
			for _, f := range undocumented(set, s) {
				names = append(names, f.Names[0].Name)
			}
		}
		return true
	})
	assert.Equal(t, []string{"Lonely", "AfterD"}, names)
}
