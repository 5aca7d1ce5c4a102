package coder_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go/internal/hang"
)

// The methods by what may be expected of them where nobody answers.
var (
	// senders return when what they send is on the socket, and Submit soon after that.
	senders = []string{"Send", "Prompt", "Steer", "FollowUp", "Abort", "Compact", "RespondUI", "Submit"}
	// askers wait for a response over the socket, the first two at most 30 s.
	askers = []string{"GetState", "GetMessages", "SendAndWait"}
	// readers of the history ask over HTTP before they send something.
	readers = []string{"Ask", "Submit"}
	// listeners only hear.
	listeners = []string{"Messages", "Listen"}
	// ensurers look before they create.
	ensurers = []string{"EnsureSession", "RunSession"}
)

// creators are the methods that must not be repeated.
func creators() []string {
	names := []string{"ConnectNew"}
	for _, m := range methods {
		if m.create {
			names = append(names, m.name)
		}
	}
	return names
}

// TestDeadlines_NamesAreMethods: a method that has another name now would not be looked for.
func TestDeadlines_NamesAreMethods(t *testing.T) {
	calls, err := hang.Calls()
	require.NoError(t, err)
	var names []string
	for _, call := range calls {
		names = append(names, call.Method())
	}
	assert.Subset(t, names, slices.Concat(senders, askers, readers, listeners, ensurers, creators()))
}

// TestDeadlines_NothingElseWaits: what takes a context is a method of Client or HubConn, which the table finds. Of another type or
// none, it would be missing there.
func TestDeadlines_NothingElseWaits(t *testing.T) {
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	found := 0
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		for _, decl := range file.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if !ok || !f.Name.IsExported() || !slices.ContainsFunc(f.Type.Params.List, func(p *ast.Field) bool {
				return types.ExprString(p.Type) == "context.Context"
			}) {
				continue
			}
			receiver := ""
			if f.Recv != nil {
				receiver = strings.TrimPrefix(types.ExprString(f.Recv.List[0].Type), "*")
			}
			if receiver != "" && !ast.IsExported(receiver) {
				continue
			}
			found++
			assert.Contains(t, []string{"Client", "HubConn"}, receiver, "%s: %s", name, f.Name)
		}
	}
	assert.Greater(t, found, 60)
}

// mayWork says that a call needs nothing of what does not come.
func mayWork(call *hang.Call, way hang.Way, after time.Duration) bool {
	name := call.Method()
	switch {
	case way.Later, name == "URL" && (way.Sent || !way.Discovers): // it is known, or discovered
		return true
	case !way.Keeps || !slices.Contains(senders, name) && name != "SendAndWait":
		return false
	case way.Reads: // all that they need
		return name != "SendAndWait" && (name != "Submit" || !way.All)
	}
	// What was written without effect goes out over the next connection, if there is one.
	return !way.All && after > time.Second
}

// needsNothing says that a call may end before it meets what does not come.
func needsNothing(call *hang.Call, way hang.Way) bool {
	return way.Later || way.Keeps && slices.Contains(listeners, call.Method())
}

// mayEndEarly says that a call may end before its context does: since the Hub has answered, or by a limit of the library.
func mayEndEarly(way hang.Way, after time.Duration) bool {
	return way.Answers || way.Later || after > time.Second
}

// unknown says that a call that has failed may have had an effect, and whether that is certain.
func unknown(call *hang.Call, way hang.Way, after time.Duration) (unknown, certain bool) {
	name := call.Method()
	brief := after <= time.Second
	switch {
	case slices.Contains(ensurers, name):
		return way.Later, true
	case !call.OnConn && (way.Later || name == "ConnectNew" && way.Refuses):
		return false, false
	case !call.OnConn:
		return way.Sent && slices.Contains(creators(), name), true
	case !way.Keeps: // nothing can be sent until there is another connection
		return false, !way.Later && !way.Sockets
	case slices.Contains(readers, name):
		return !way.All, brief
	case slices.Contains(askers, name):
		return way.Reads && name == "SendAndWait" || brief, true
	}
	return brief && slices.Contains(senders, name), true
}
