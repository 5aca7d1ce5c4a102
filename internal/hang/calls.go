// Package hang has every method of the library that can wait, and every way in which the other side lets it wait: for the
// table of deadlines in the tests of the root, in fake time, and for internal/lateness, which measures the same over
// sockets. It is no part of the library.
package hang

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/agentuity/coder-go"
)

// Call is a method of Client or HubConn, with arguments.
type Call struct {
	// Name is the name of the method, after that of its type: "Client.GetSession".
	Name string
	// OnConn says that it is one of HubConn.
	OnConn bool
	// Iterates says that it returns an iterator.
	Iterates bool
	// Connects says that it returns a live connection.
	Connects bool

	index     int
	arguments []reflect.Value // all but the context
}

// without are the methods that take no context, and why they need none.
var without = map[string]string{
	"Client.CloseIdleConnections": "closes what waits, and waits for nothing",
	"Client.Format":               "prints",
	"Client.LogValue":             "prints",
	"HubConn.Close":               "ends by itself: it has a test of its own",
	"HubConn.DiscardMessages":     "says what is to be done with what comes later",
	"HubConn.Format":              "prints",
	"HubConn.LogValue":            "prints",
	"HubConn.Init":                "tells what is known",
	"HubConn.SessionID":           "tells what is known",
	"HubConn.State":               "tells what is known",
}

// special are arguments that their type does not tell.
var special = map[string][]any{
	"Client.Do":            {http.MethodPost, "/hub/skills/library", map[string]any{"skillId": "x"}, nil},
	"Client.ListUsers":     {&coder.ListUsersParams{Limit: 1}},
	"Client.ReplayEntries": {SessionID, &coder.GetSessionReplayParams{Limit: 1}},
}

// usual are arguments by their type. Texts are ids of a session, and pointers are nil: the defaults.
var usual = map[reflect.Type]any{
	reflect.TypeFor[coder.CreateSessionRequest]():             coder.CreateSessionRequest{Task: "Sort the list"},
	reflect.TypeFor[coder.UpdateSessionRequest]():             coder.UpdateSessionRequest{Label: new("Sorting")},
	reflect.TypeFor[coder.CreateAgentBuilderSessionRequest](): coder.CreateAgentBuilderSessionRequest{Prompt: "Build it"},
	reflect.TypeFor[coder.CreateWorkspaceRequest]():           coder.CreateWorkspaceRequest{Name: "Lists", Dependencies: []string{"git"}},
	reflect.TypeFor[coder.UpdateWorkspaceRequest]():           coder.UpdateWorkspaceRequest{Description: new("All lists")},
	reflect.TypeFor[coder.SaveSkillRequest]():                 coder.SaveSkillRequest{Repo: "a/b", SkillID: "sort", Name: "Sort"},
	reflect.TypeFor[coder.CreateCustomSkillRequest](): coder.CreateCustomSkillRequest{
		SkillID: "sort", Name: "Sort", Content: "# Sort\n",
	},
	reflect.TypeFor[coder.CreateSkillBucketRequest](): coder.CreateSkillBucketRequest{Name: "Kit", SavedSkillIDs: []string{"sk_1"}},
	reflect.TypeFor[coder.CreateCustomAgentRequest](): coder.CreateCustomAgentRequest{
		Slug: "sorter", DisplayName: "Sorter", Instructions: "Sort.",
	},
	reflect.TypeFor[coder.UpdateCustomAgentRequest](): coder.UpdateCustomAgentRequest{DisplayName: new("Sorter")},
	reflect.TypeFor[[]string]():                       []string{"git"},
	reflect.TypeFor[*coder.Receipt]():                 &coder.Receipt{SessionID: SessionID, Digest: "d", SentAt: time.Now()},
	reflect.TypeFor[coder.ClientMessage]():            &coder.SessionEntryMessage{},
	reflect.TypeFor[coder.HubRequest]():               &coder.EventRequest{Event: "turn_end"},
}

// Calls are all methods of Client and HubConn that take a context, as package reflect finds them. The error names those
// that it has no arguments for, and those that take no context and do not say here why they need none.
func Calls() ([]Call, error) {
	var (
		calls   []Call
		missing []error
		known   = make(map[string]bool)
	)
	for _, receiver := range []reflect.Type{reflect.TypeFor[*coder.Client](), reflect.TypeFor[*coder.HubConn]()} {
		for i := range receiver.NumMethod() {
			method := receiver.Method(i)
			name := receiver.Elem().Name() + "." + method.Name
			known[name] = true
			if method.Type.NumIn() < 2 || method.Type.In(1) != reflect.TypeFor[context.Context]() {
				if without[name] == "" {
					missing = append(missing, fmt.Errorf("%s takes no context: say in without why it needs none", name))
				}
				continue
			}
			arguments, err := argumentsOf(name, method.Type)
			if err != nil {
				missing = append(missing, err)
				continue
			}
			calls = append(calls, Call{
				Name: name, OnConn: receiver == reflect.TypeFor[*coder.HubConn](), index: i, arguments: arguments,
				Connects: method.Type.Out(0) == reflect.TypeFor[*coder.HubConn](), Iterates: method.Type.Out(0).Kind() == reflect.Func,
			})
		}
	}
	for name := range without {
		if !known[name] {
			missing = append(missing, fmt.Errorf("there is no %s", name))
		}
	}
	return calls, errors.Join(missing...)
}

// argumentsOf are arguments for a method, without the receiver and the context.
func argumentsOf(name string, method reflect.Type) ([]reflect.Value, error) {
	var arguments []reflect.Value
	for i := 2; i < method.NumIn(); i++ {
		kind := method.In(i)
		value, found := usual[kind]
		if given := special[name]; given != nil {
			value, found = given[i-2], true
		}
		switch {
		case value != nil:
			argument := reflect.New(kind).Elem()
			argument.Set(reflect.ValueOf(value))
			arguments = append(arguments, argument)
		case kind.Kind() == reflect.String:
			arguments = append(arguments, reflect.ValueOf(SessionID).Convert(kind))
		case found, kind.Kind() == reflect.Pointer, kind == reflect.TypeFor[any]():
			arguments = append(arguments, reflect.Zero(kind))
		default:
			return nil, fmt.Errorf("%s takes a %s: give one in usual or special", name, kind)
		}
	}
	return arguments, nil
}

// Method is the name of the method without its type.
func (c *Call) Method() string {
	_, method, _ := strings.Cut(c.Name, ".")
	return method
}

// Do calls the method. It ranges over an iterator until that ends. A live connection is then that of the Stage.
func (c *Call) Do(ctx context.Context, s *Stage) error {
	results := c.call(ctx, s)
	if c.Iterates {
		for _, err := range results[0].Seq2() {
			if err := asError(err); err != nil {
				return err
			}
		}
		return nil
	}
	if conn, ok := results[0].Interface().(*coder.HubConn); ok && conn != nil {
		s.Conn = conn
	}
	return asError(results[len(results)-1])
}

// Range is the iterator of a method that returns one: the errors that come with its elements.
func (c *Call) Range(ctx context.Context, s *Stage) iter.Seq[error] {
	return func(yield func(error) bool) {
		for _, err := range c.call(ctx, s)[0].Seq2() {
			if !yield(asError(err)) {
				return
			}
		}
	}
}

func (c *Call) call(ctx context.Context, s *Stage) []reflect.Value {
	receiver := reflect.ValueOf(s.Client)
	if c.OnConn {
		receiver = reflect.ValueOf(s.Conn)
	}
	return receiver.Method(c.index).Call(append([]reflect.Value{reflect.ValueOf(ctx)}, c.arguments...))
}

func asError(v reflect.Value) error {
	err, _ := v.Interface().(error)
	return err
}
