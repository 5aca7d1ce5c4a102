package codertest

import (
	"fmt"
	"time"

	"github.com/agentuity/coder-go/codertest/internal/world"
)

// AgentTurn is what one model call of the Hub's own agent says: thoughts, then
// text, then the tools it calls, each of which may be missing. After tools another
// turn follows.
type AgentTurn struct {
	// Thinking and Text are sent in pieces.
	Thinking, Text string
	// Tools are called in this order.
	Tools []AgentTool
	// StopReason is how the turn ends: stop, length, error or aborted. Empty:
	// toolUse if there are tools, else stop. With any other than toolUse the tools
	// do not run. An error here is not retried: see [AgentError] for errors that
	// are.
	StopReason string
	// ErrorMessage is the agent's text of an error.
	ErrorMessage string
	// ContextFull makes the agent compact the conversation after its answer, as
	// it does when the context of the model is nearly full.
	ContextFull bool
}

// AgentTool is a call of a tool, and what comes of it.
type AgentTool struct {
	// Name is the tool, such as read or bash. Empty: ask_user if it asks, task if
	// it delegates, else read.
	Name string
	// Args are the arguments. Nil: an empty object.
	Args map[string]any
	// Result is the text that the tool returns. A tool that asks returns the
	// answer, and a tool that delegates returns the result of the task.
	Result string
	// IsError says that it has failed.
	IsError bool
	// Ask is what the tool asks the user, or nil. The agent waits for the answer.
	Ask *AgentQuestion
	// Task is what the tool delegates to another agent, or nil.
	Task *AgentTask
}

// AgentQuestion is what an agent asks its user. Controllers get it as
// rpc_ui_request, and the first answer counts.
type AgentQuestion struct {
	// Method is confirm, select, input or editor.
	Method string
	// Params are members such as title, message, options and placeholder.
	Params map[string]any
	// Timeout is how long the agent waits before it goes on without an answer. 0:
	// for ever.
	Timeout time.Duration
}

// AgentTask is what an agent delegates to another.
type AgentTask struct {
	// Agent is the agent that does the task. Empty: scout.
	Agent string
	// Prompt is the prompt of the task, and Description says what it is about.
	Prompt, Description string
	// Progress is what it says while it works.
	Progress []string
	// Result is what the other agent answers, as task_complete reports it.
	Result string
	// Error is why the task has failed. Empty: it has not failed.
	Error string
}

// AgentError is how a model call of the Hub's own agent ends.
type AgentError int

const (
	// AgentNoError lets the call succeed. Put it before an error that is for a
	// later call.
	AgentNoError = AgentError(world.AgentNoError)
	// AgentOverloaded is status 529. The agent tries again after 2, 4 and 8
	// seconds, and then gives up.
	AgentOverloaded = AgentError(world.AgentOverloaded)
	// AgentServerError is status 500. The agent tries again as with
	// AgentOverloaded.
	AgentServerError = AgentError(world.AgentServerError)
	// AgentInvalidRequest is status 400. The agent gives up at once.
	AgentInvalidRequest = AgentError(world.AgentInvalidRequest)
	// AgentContextOverflow is a conversation that is too long. The agent compacts
	// it and tries again, once. The compaction is a model call as well: if an error
	// follows in the list, it fails.
	AgentContextOverflow = AgentError(world.AgentContextOverflow)
	// AgentNoModelKey means that the agent has no key for its model. It refuses
	// the prompt or, in [DialectExtension], says nothing more about it.
	AgentNoModelKey = AgentError(world.AgentNoModelKey)
)

func worldErrors(errs []AgentError) []world.AgentError {
	all := make([]world.AgentError, len(errs))
	for i, err := range errs {
		if err < AgentNoError || err > AgentNoModelKey {
			panic(fmt.Sprintf("codertest: there is no AgentError %d", err))
		}
		all[i] = world.AgentError(err)
	}
	return all
}

// Answer sets what the Hub's own agent answers to the next prompt of the session
// that has no answer yet: one turn for each model call. Without turns the agent
// says nothing. A second Answer is for the prompt after that. If the last turn has
// tools, the agent adds a turn by itself and says "Done.".
//
//	hub.Session(id).Answer(
//		codertest.AgentTurn{
//			Text:  "I will look.",
//			Tools: []codertest.AgentTool{{Name: "read", Args: map[string]any{"path": "go.mod"}, Result: "go 1.26"}},
//		},
//		codertest.AgentTurn{Text: "It is Go 1.26."},
//	)
//
// The task of a session is its first prompt. Answer panics if a question has no
// method, and in [DialectExtension] if there is one.
func (c *SessionControl) Answer(turns ...AgentTurn) { c.session.Answer(c.hub.worldTurns(turns)) }

// Answer is [SessionControl.Answer] for the next prompt of any session that has no
// answer of its own, such as the task of a session that will be created.
func (h *Hub) Answer(turns ...AgentTurn) { h.world.Answer(h.worldTurns(turns)) }

// FailModel sets how the next model calls of the session end, after those whose
// end is set already. See [WithAgentErrors].
func (c *SessionControl) FailModel(errs ...AgentError) { c.session.FailModel(worldErrors(errs)) }

// EndTurn ends the current turn of the Hub's own agent: with stop or length its
// text ends there, with error the turn fails and is not retried, and with aborted
// somebody has aborted it. Tools that run end first. EndTurn has no effect while no
// run is under way, except that aborted also ends the wait for a retry and a
// compaction. The text of an error is errorMessage.
func (c *SessionControl) EndTurn(stopReason, errorMessage string) {
	c.session.EndTurn(stopReason, errorMessage)
}

func (h *Hub) worldTurns(turns []AgentTurn) []world.AgentTurn {
	all := make([]world.AgentTurn, len(turns))
	for i, turn := range turns {
		all[i] = world.AgentTurn{
			Thinking: turn.Thinking, Text: turn.Text, StopReason: turn.StopReason,
			ErrorMessage: turn.ErrorMessage, ContextFull: turn.ContextFull,
		}
		for _, tool := range turn.Tools {
			if tool.Ask != nil && h.config.dialect == DialectExtension {
				panic("codertest: in DialectExtension nobody on the Hub hears what the agent asks")
			}
			all[i].Tools = append(all[i].Tools, tool.world())
		}
	}
	return all
}

func (t AgentTool) world() world.AgentTool {
	tool := world.AgentTool{Name: t.Name, Result: t.Result, IsError: t.IsError}
	name := "read"
	if t.Args != nil {
		tool.Args = world.Encode(t.Args)
	}
	if q := t.Ask; q != nil {
		if q.Method == "" {
			panic("codertest: a question of an agent has a method")
		}
		name = "ask_user"
		tool.Ask = &world.AgentQuestion{Method: q.Method, Params: world.Encode(q.params()), Timeout: q.Timeout}
	}
	if task := t.Task; task != nil {
		name = "task"
		delegated := world.AgentTask(*task)
		if delegated.Agent == "" {
			delegated.Agent = "scout"
		}
		tool.Task = &delegated
	}
	if tool.Name == "" {
		tool.Name = name
	}
	return tool
}

// params are the parameters of the question with its timeout in milliseconds.
func (q *AgentQuestion) params() map[string]any {
	params := make(map[string]any)
	for name, value := range q.Params {
		params[name] = value
	}
	if q.Timeout > 0 {
		params["timeout"] = q.Timeout.Milliseconds()
	}
	return params
}
