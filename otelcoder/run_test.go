package otelcoder_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
	"github.com/agentuity/coder-go/otelcoder"
)

// What is said, and must not be told unless it is asked for.
const (
	secretTask   = "Find the orange elephant"
	secretPrompt = "Paint the purple walrus"
	secretArgs   = "yellow-giraffe"
	secretResult = "green-lobster"
	secretAnswer = "The blue penguin is done."
	secretKey    = "delivery-8417"
)

// work is an answer with two tools, the second of which fails.
var work = []codertest.AgentTurn{
	{Text: "I will look.", Tools: []codertest.AgentTool{
		{Name: "read", Args: map[string]any{"path": secretArgs}, Result: secretResult},
		{Name: "bash", Args: map[string]any{"command": secretArgs}, Result: secretResult, IsError: true},
	}},
	{Text: secretAnswer},
}

// idle returns an agent that has nothing to do.
func idle(t *testing.T, hub *codertest.Hub) *codertest.SessionControl {
	t.Helper()
	session := hub.Session(newSession(t, hub))
	session.Answer()
	session.SetStatus("active")
	time.Sleep(time.Minute)
	return session
}

func attach(t *testing.T, c *coder.Client, id string) *coder.HubConn {
	t.Helper()
	conn, err := c.Attach(t.Context(), id, nil)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// assertWork checks the spans of an agent that did the work, and returns that of the call.
func assertWork(t *testing.T, p *probe, operation, id string) tracetest.SpanStub {
	t.Helper()
	call := p.one(t, "invoke_agent")
	attrs := attributes(call.Attributes)
	assert.Equal(t, trace.SpanKindClient, call.SpanKind)
	assert.Equal(t, codes.Unset, call.Status.Code)
	assert.Positive(t, attrs["gen_ai.usage.input_tokens"])
	assert.Positive(t, attrs["gen_ai.usage.output_tokens"])
	for _, name := range []string{"gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens", "gen_ai.usage.cache_read.input_tokens",
		"gen_ai.usage.cache_creation.input_tokens", "gen_ai.usage.reasoning.output_tokens"} {
		delete(attrs, name)
	}
	want := map[string]any{
		"gen_ai.operation.name": "invoke_agent", "gen_ai.provider.name": "agentuity", "agentuity.coder.operation": operation,
		"gen_ai.conversation.id": id, "gen_ai.response.model": "codertest-1", "gen_ai.response.finish_reasons": []string{"stop"},
	}
	if operation == "RunSession" {
		want["agentuity.coder.session.outcome"] = "turn_ended"
	}
	assert.Equal(t, want, attrs)
	for name, failed := range map[string]bool{"read": false, "bash": true} {
		tool := p.one(t, "execute_tool "+name)
		assert.Equal(t, call.SpanContext.SpanID(), tool.Parent.SpanID())
		assert.Equal(t, trace.SpanKindInternal, tool.SpanKind)
		attrs := attributes(tool.Attributes)
		assert.NotEmpty(t, attrs["gen_ai.tool.call.id"])
		delete(attrs, "gen_ai.tool.call.id")
		want := map[string]any{"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": name, "gen_ai.tool.type": "extension"}
		if failed {
			want["error.type"] = "tool_failed"
		}
		assert.Equal(t, want, attrs)
		assert.Equal(t, failed, tool.Status.Code == codes.Error)
		assert.Empty(t, tool.Status.Description)
		assert.False(t, tool.EndTime.Before(tool.StartTime))
		assert.False(t, tool.StartTime.Before(call.StartTime), "the fake Hub has the same clock")
		assert.False(t, tool.EndTime.After(call.EndTime))
	}
	assert.Equal(t, []string{
		"error.type=tool_failed operation.name=execute_tool operation=" + operation + " provider.name=agentuity tool.name=bash: 1",
		"operation.name=execute_tool operation=" + operation + " provider.name=agentuity tool.name=read: 1",
		"operation.name=invoke_agent operation=" + operation + " provider.name=agentuity response.model=codertest-1: 1",
	}, p.lines(t, "gen_ai.client.operation.duration"))
	assert.Equal(t, []string{
		"operation.name=invoke_agent operation=" + operation + " provider.name=agentuity response.model=codertest-1 token.type=input: 2",
		"operation.name=invoke_agent operation=" + operation + " provider.name=agentuity response.model=codertest-1 token.type=output: 2",
	}, p.lines(t, "gen_ai.client.token.usage"), "each message of the model counts once")
	return call
}

// TestObserver_Ask: an answer with tools, also when the connection is cut in the middle of it.
func TestObserver_Ask(t *testing.T) {
	for seed := range uint64(12) {
		r := rand.New(rand.NewPCG(seed, 1))
		bubble(t, func(t *testing.T, hub *codertest.Hub) {
			p := newProbe()
			session := idle(t, hub)
			conn := attach(t, p.client(t, hub), session.ID())
			p.spans.Reset()
			session.Answer(work...)
			if seed > 0 {
				time.AfterFunc(time.Duration(r.IntN(8000))*time.Millisecond, session.CutStreams)
			}
			answer, err := conn.Ask(t.Context(), secretPrompt, nil)
			require.NoError(t, err)
			call := assertWork(t, p, "Ask", session.ID())
			attrs := attributes(call.Attributes)
			assert.Equal(t, answer.Usage.Output, attrs["gen_ai.usage.output_tokens"])
			assert.Equal(t, answer.Usage.Input+answer.Usage.CacheRead+answer.Usage.CacheWrite, attrs["gen_ai.usage.input_tokens"])
			assert.Equal(t, call.SpanContext.SpanID(), p.one(t, "WebSocket Ask").Parent.SpanID(), "of the prompt itself")
			require.NoError(t, conn.Close())
		}, codertest.WithAgentPace(500*time.Millisecond), codertest.WithAgentVersion([]string{"0.74.2", "1.6.0"}[r.IntN(2)]))
	}
}

// TestObserver_RunSession: a task, with all that is needed to do it.
func TestObserver_RunSession(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub) {
		p := newProbe()
		hub.Answer(work...)
		hub.OnSession(func(s *codertest.SessionControl) {
			s.Set("usage", map[string]any{"inputTokens": 1200, "outputTokens": 340})
		})
		result, err := p.client(t, hub).RunSession(t.Context(), secretKey, coder.CreateSessionRequest{Task: secretTask}, nil)
		require.NoError(t, err)
		require.NotNil(t, result.Usage)
		require.Equal(t, secretAnswer, result.Answer)
		assertWork(t, p, "RunSession", result.SessionID)
		for _, path := range []string{
			"invoke_agent > coder.EnsureSession > POST /api/hub/session",
			"invoke_agent > coder.WaitForSession > " + get,
			"invoke_agent > execute_tool read",
		} {
			assert.Contains(t, p.paths(), path)
		}
		for _, path := range p.paths() {
			assert.True(t, strings.HasPrefix(path, "invoke_agent"), path)
		}
		assert.Equal(t, []string{"operation=RunSession: 1"}, p.lines(t, "agentuity.coder.operation.duration"))

		again := newProbe()
		_, err = again.client(t, hub).RunSession(t.Context(), secretKey, coder.CreateSessionRequest{Task: secretTask}, nil)
		require.NoError(t, err)
		assert.NotContains(t, attributes(again.one(t, "invoke_agent").Attributes), "gen_ai.usage.output_tokens", "they count once")
		assert.Empty(t, again.lines(t, "gen_ai.client.token.usage"))
	}, codertest.WithAgentPace(500*time.Millisecond))
}

// TestObserver_RunSession_Failed: a session that did not succeed is an error, although RunSession returns none.
func TestObserver_RunSession_Failed(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub) {
		p := newProbe()
		result, err := p.client(t, hub).RunSession(t.Context(), secretKey, coder.CreateSessionRequest{Task: secretTask}, nil)
		require.NoError(t, err)
		require.Equal(t, coder.OutcomeFailed, result.Outcome.Kind)
		call := p.one(t, "invoke_agent")
		assert.Equal(t, codes.Error, call.Status.Code)
		assert.Equal(t, "failed", attributes(call.Attributes)["error.type"])
		assert.Equal(t, []string{"error"}, attributes(call.Attributes)["gen_ai.response.finish_reasons"])
	}, codertest.WithAgentErrors(codertest.AgentInvalidRequest))
	bubble(t, func(t *testing.T, hub *codertest.Hub) {
		p := newProbe()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := p.client(t, hub).RunSession(ctx, secretKey, coder.CreateSessionRequest{Task: secretTask}, nil)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		attrs := attributes(p.one(t, "invoke_agent").Attributes)
		assert.Equal(t, "timeout", attrs["error.type"])
		assert.Equal(t, hub.SessionIDs()[0], attrs["gen_ai.conversation.id"])
	}, codertest.WithoutAgent())
}

// TestObserver_Ask_Failed: an error of the agent, and of the program.
func TestObserver_Ask_Failed(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub) {
		p := newProbe()
		session := idle(t, hub)
		conn := attach(t, p.client(t, hub), session.ID())
		session.FailModel(codertest.AgentInvalidRequest)
		_, err := conn.Ask(t.Context(), secretPrompt, nil)
		require.ErrorIs(t, err, coder.ErrAgentFailed)
		call := p.one(t, "invoke_agent")
		assert.Equal(t, codes.Error, call.Status.Code)
		assert.Equal(t, "agent_failed", attributes(call.Attributes)["error.type"])
		assert.NotContains(t, attributes(call.Attributes), "agentuity.coder.outcome_unknown")

		p.spans.Reset()
		func() {
			defer func() { assert.NotNil(t, recover()) }()
			_, _ = conn.Ask(t.Context(), secretPrompt, &coder.AskOptions{OnText: func(string) { panic("of the program") }})
		}()
		assert.Equal(t, codes.Error, p.one(t, "invoke_agent").Status.Code, "a call that has panicked is over")
		require.NoError(t, conn.Close())
	})
}

// TestObserver_Unfinished: a tool that is at work when the call is cancelled ends with it, and what comes later has no effect.
func TestObserver_Unfinished(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub) {
		p := newProbe()
		session := idle(t, hub)
		conn := attach(t, p.client(t, hub), session.ID())
		session.Answer(codertest.AgentTurn{Tools: []codertest.AgentTool{{Ask: &codertest.AgentQuestion{Method: "input"}}}})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := conn.Ask(ctx, secretPrompt, &coder.AskOptions{OnQuestion: func(ctx context.Context, _ *coder.RPCUIRequestMessage) (any, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorIs(t, err, coder.ErrOutcomeUnknown)
		call, tool := p.one(t, "invoke_agent"), p.one(t, "execute_tool ask_user")
		assert.Equal(t, true, attributes(call.Attributes)["agentuity.coder.outcome_unknown"])
		assert.Equal(t, "timeout", attributes(call.Attributes)["error.type"])
		assert.Equal(t, true, attributes(tool.Attributes)["agentuity.coder.unfinished"])
		assert.Equal(t, codes.Unset, tool.Status.Code, "nobody knows")
		assert.Equal(t, call.SpanContext.SpanID(), tool.Parent.SpanID())
		assert.Equal(t, call.EndTime, tool.EndTime)
		require.NoError(t, conn.Close())
	})
}

// TestObserver_Tasks: an agent that delegates.
func TestObserver_Tasks(t *testing.T) {
	for _, failure := range []string{"", "it was too much"} {
		bubble(t, func(t *testing.T, hub *codertest.Hub) {
			p := newProbe()
			hub.Answer(codertest.AgentTurn{Tools: []codertest.AgentTool{{Task: &codertest.AgentTask{
				Agent: "scout", Prompt: secretPrompt, Result: secretResult, Error: failure,
			}}}}, codertest.AgentTurn{Text: secretAnswer})
			_, err := p.client(t, hub).RunSession(t.Context(), secretKey, coder.CreateSessionRequest{Task: secretTask}, nil)
			require.NoError(t, err)
			task := p.one(t, "invoke_agent scout")
			assert.Equal(t, p.one(t, "invoke_agent").SpanContext.SpanID(), task.Parent.SpanID())
			assert.Equal(t, trace.SpanKindInternal, task.SpanKind)
			assert.Equal(t, "scout", attributes(task.Attributes)["gen_ai.agent.name"])
			assert.Equal(t, failure != "", task.Status.Code == codes.Error)
			assert.Empty(t, task.Status.Description)
			assert.NotContains(t, attributes(task.Attributes), "agentuity.coder.unfinished")
		}, codertest.WithAgentPace(500*time.Millisecond))
	}
}

// everything makes calls of all kinds, which succeed and which fail.
func everything(t *testing.T, hub *codertest.Hub, p *probe) (ids []string) {
	t.Helper()
	c := p.client(t, hub)
	hub.Answer(work...)
	result, err := c.RunSession(t.Context(), secretKey, coder.CreateSessionRequest{Task: secretTask, Label: secretTask}, nil)
	require.NoError(t, err)
	conn := attach(t, c, result.SessionID)
	hub.Session(result.SessionID).Answer(work...)
	_, err = conn.Ask(t.Context(), secretPrompt, nil)
	require.NoError(t, err)
	hub.Session(result.SessionID).FailModel(codertest.AgentInvalidRequest)
	_, err = conn.Ask(t.Context(), secretPrompt, nil)
	require.Error(t, err)
	require.NoError(t, conn.Close())
	_, err = c.GetSession(t.Context(), "codesess_none")
	require.Error(t, err)
	require.Error(t, c.Do(t.Context(), "GET", "/hub/none/"+result.SessionID, nil, nil))
	_, err = c.ListSessions(t.Context(), &coder.ListSessionsParams{Search: secretTask})
	require.NoError(t, err)
	hub.Inject(codertest.Fault{Status: 400, Body: []byte(`{"error":"bad key ` + testKey + ` of ` + result.SessionID + `"}`)})
	_, err = c.GetSession(t.Context(), result.SessionID)
	require.Error(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	hub.Answer(codertest.AgentTurn{Tools: []codertest.AgentTool{{Ask: &codertest.AgentQuestion{Method: "input", Params: map[string]any{"title": secretPrompt}}}}})
	_, err = c.RunSession(ctx, secretKey+"-2", coder.CreateSessionRequest{Task: secretTask}, nil)
	require.NoError(t, err)
	away := hub.Inject(codertest.Fault{Count: -1, Status: 503})
	defer away.Remove()
	_, err = c.RunSession(ctx, secretKey+"-3", coder.CreateSessionRequest{Task: secretTask}, nil)
	require.Error(t, err)
	return append(hub.SessionIDs(), "codesess_none")
}

// TestObserver_NothingPrivate: no id but in gen_ai.conversation.id, no key, and nothing that was said.
func TestObserver_NothingPrivate(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub) {
		p := newProbe()
		private := append(everything(t, hub, p), testKey, secretKey, secretTask, secretPrompt, secretArgs, secretResult, secretAnswer)
		texts := p.texts(t)
		require.Greater(t, len(texts), 300)
		for _, text := range texts {
			for _, secret := range private {
				assert.NotContains(t, strings.ToLower(text), strings.ToLower(secret))
			}
			assert.NotContains(t, text, "?")
			assert.NotContains(t, text, "url.full")
		}
	}, codertest.WithAPIKey(testKey))
}

// TestWithContent: what is said, where it was asked for; the key never.
func TestWithContent(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub) {
		p := newProbe(otelcoder.WithContent())
		everything(t, hub, p)
		var said []map[string]any
		for _, s := range p.ended("invoke_agent") {
			said = append(said, attributes(s.Attributes))
		}
		require.GreaterOrEqual(t, len(said), 3)
		assert.JSONEq(t, `[{"role":"user","parts":[{"type":"text","content":"`+secretTask+`"}]}]`, said[0]["gen_ai.input.messages"].(string))
		assert.JSONEq(t, `[{"role":"user","parts":[{"type":"text","content":"`+secretPrompt+`"}]}]`, said[1]["gen_ai.input.messages"].(string))
		for _, attrs := range said[:2] {
			assert.JSONEq(t, `[{"role":"assistant","parts":[{"type":"text","content":"`+secretAnswer+`"}],"finish_reason":"stop"}]`, attrs["gen_ai.output.messages"].(string))
		}
		assert.NotEmpty(t, p.ended("invoke_agent")[2].Status.Description)
		tool := attributes(p.ended("execute_tool bash")[0].Attributes)
		var args map[string]string
		require.NoError(t, json.Unmarshal([]byte(tool["gen_ai.tool.call.arguments"].(string)), &args))
		assert.Equal(t, map[string]string{"command": secretArgs}, args)
		assert.Equal(t, secretResult, tool["gen_ai.tool.call.result"])
		assert.Equal(t, secretResult, p.ended("execute_tool bash")[0].Status.Description)
		for _, text := range p.texts(t) {
			assert.NotContains(t, text, testKey)
		}
	}, codertest.WithAPIKey(testKey))
}

// TestWithFilter: what is below a call without a span is a child of what is above it, and counts as before.
func TestWithFilter(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub) {
		p := newProbe(otelcoder.WithFilter(func(info coder.CallInfo) bool { return info.Method == "" && info.Operation != "WaitForSession" }), otelcoder.WithFilter(nil))
		hub.Answer(work...)
		_, err := p.client(t, hub).RunSession(t.Context(), secretKey, coder.CreateSessionRequest{Task: secretTask}, nil)
		require.NoError(t, err)
		assert.Equal(t, []string{"invoke_agent", "invoke_agent > coder.EnsureSession", "invoke_agent > execute_tool bash", "invoke_agent > execute_tool read"}, p.paths())
		assert.NotEmpty(t, p.lines(t, "http.client.request.duration"))
		assert.Equal(t, []string{"operation=RunSession: 1"}, p.lines(t, "agentuity.coder.operation.duration"))
	})
}

// TestWithoutAgentEvents: the tokens are those of the result, and a run reads less.
func TestWithoutAgentEvents(t *testing.T) {
	requests := map[bool]int{}
	for _, with := range []bool{true, false} {
		bubble(t, func(t *testing.T, hub *codertest.Hub) {
			var opts []otelcoder.Option
			if !with {
				opts = append(opts, otelcoder.WithoutAgentEvents())
			}
			p := newProbe(opts...)
			c := p.client(t, hub)
			hub.Answer(work...)
			hub.OnSession(func(s *codertest.SessionControl) {
				s.Set("usage", map[string]any{"inputTokens": 1200, "outputTokens": 340, "reasoningTokens": 56})
			})
			result, err := c.RunSession(t.Context(), secretKey, coder.CreateSessionRequest{Task: secretTask}, nil)
			require.NoError(t, err)
			requests[with] = len(hub.Requests())
			attrs := attributes(p.one(t, "invoke_agent").Attributes)
			if with {
				assert.NotEqual(t, int64(340), attrs["gen_ai.usage.output_tokens"], "what was seen")
				return
			}
			assert.Equal(t, int64(340), attrs["gen_ai.usage.output_tokens"])
			assert.Equal(t, int64(56), attrs["gen_ai.usage.reasoning.output_tokens"])
			conn := attach(t, c, result.SessionID)
			answer, err := conn.Ask(t.Context(), secretPrompt, nil)
			require.NoError(t, err)
			require.NoError(t, conn.Close())
			assert.InDelta(t, 1540+float64(answer.Usage.Input+answer.Usage.CacheRead+
				answer.Usage.CacheWrite+answer.Usage.Output), p.sum(t, "gen_ai.client.token.usage"), 0)
			assert.Empty(t, p.ended("execute_tool read"))
			assert.Empty(t, p.lines(t, "agentuity.coder.agent.events"))
		})
	}
	assert.Less(t, requests[false], requests[true])
	t.Logf("a run of two turns and two tools: %d requests with the events of the agent, %d without", requests[true], requests[false])
}

// TestObserver_Bounded: a Hub that names everything anew makes neither labels nor memory without end.
func TestObserver_Bounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProbe()
		ctx, over := p.observer.Call(t.Context(), coder.CallInfo{Operation: "Ask"})
		tell := func(name string, event coder.AgentEvent) {
			p.observer.Agent(ctx, coder.AgentInfo{Operation: "Ask", SessionID: "s", Name: name, Event: event, At: time.Now()})
		}
		tell(strings.Repeat("x", 1000), nil)
		tell("bad \xff", nil)
		for i := range 5000 {
			name := fmt.Sprint("name", i)
			tell(name, &coder.ToolExecutionStart{ToolCallID: name, ToolName: name})
			tell(name, &coder.MessageEnd{Message: coder.AgentMessage{Role: "assistant", Model: name, Usage: &coder.AgentUsage{Output: 1}}})
		}
		tell("tool_execution_start", &coder.ToolExecutionStart{ToolCallID: "late", ToolName: "late"})
		for i := range 5000 {
			name := fmt.Sprint("name", i)
			tell(name, &coder.ToolExecutionEnd{ToolCallID: name, ToolName: name})
		}
		tell("tool_execution_end", &coder.ToolExecutionEnd{ToolCallID: "late", ToolName: "late"})
		over(coder.CallResult{})
		assert.Len(t, p.lines(t, "agentuity.coder.agent.events"), 201)
		assert.Len(t, p.lines(t, "gen_ai.client.token.usage"), 201)
		assert.Len(t, p.lines(t, "gen_ai.client.operation.duration"), 202, "200 tools, other tools, and the call")
		names := map[string]int{}
		for _, s := range p.spans.GetSpans() {
			names[s.Name]++
		}
		assert.Len(t, names, 202)
		assert.Len(t, p.spans.GetSpans(), 1001, "tools that are open at a time")
		for _, text := range p.texts(t) {
			assert.Less(t, len(text), 200)
		}
	})
}

// TestObserver_Clocks: a tool whose end another clock says, or whose beginning nobody saw.
func TestObserver_Clocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProbe()
		ctx, over := p.observer.Call(t.Context(), coder.CallInfo{Operation: "Ask"})
		now := time.Now()
		tell := func(event coder.AgentEvent, at time.Time) {
			p.observer.Agent(ctx, coder.AgentInfo{Operation: "Ask", Event: event, At: at})
		}
		tell(&coder.ToolExecutionStart{ToolCallID: "1", ToolName: "read"}, now)
		tell(&coder.ToolExecutionEnd{ToolCallID: "1", ToolName: "read"}, now.Add(-time.Hour))
		tell(&coder.ToolExecutionEnd{ToolCallID: "2", ToolName: "bash", Duration: coder.Milliseconds(3000)}, now)
		tell(&coder.ToolExecutionEnd{ToolCallID: "3", ToolName: "grep"}, now)
		tell(&coder.ToolExecutionStart{ToolName: "nameless"}, time.Time{})
		tell(&coder.ToolExecutionEnd{ToolName: "nameless"}, time.Time{})
		over(coder.CallResult{})
		tell(&coder.ToolExecutionStart{ToolCallID: "4", ToolName: "late"}, now)
		tell(&coder.ToolExecutionEnd{ToolCallID: "4", ToolName: "late"}, now)
		assert.Equal(t, now.UTC(), p.one(t, "execute_tool read").EndTime.UTC())
		assert.Equal(t, 3*time.Second, now.Sub(p.one(t, "execute_tool bash").StartTime))
		assert.Equal(t, now.UTC(), p.one(t, "execute_tool nameless").StartTime.UTC())
		assert.NotContains(t, p.names(), "execute_tool grep")
		assert.NotContains(t, p.names(), "execute_tool late")
		assert.Zero(t, p.sum(t, "agentuity.coder.operation.duration"))
	})
}

// TestObserver_ToolsOfTasks: the tools of another agent are below its task, and are not taken for those of the first.
func TestObserver_ToolsOfTasks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProbe()
		ctx, over := p.observer.Call(t.Context(), coder.CallInfo{Operation: "RunSession"})
		tell := func(task string, event coder.AgentEvent) {
			p.observer.Agent(ctx, coder.AgentInfo{Operation: "RunSession", TaskID: task, Event: event, At: time.Now()})
		}
		tell("", &coder.ToolExecutionStart{ToolCallID: "1", ToolName: "task"})
		tell("", &coder.MessageEnd{Message: coder.AgentMessage{Role: "assistant", Model: "large", StopReason: "stop", Usage: &coder.AgentUsage{Output: 5}}})
		tell("", &coder.MessageEnd{Message: coder.AgentMessage{Role: "user", Model: "nobody", Usage: &coder.AgentUsage{Output: 100}}})
		tell("t", &coder.TaskStart{TaskID: "t", Agent: "scout"})
		tell("t", &coder.ToolExecutionStart{ToolCallID: "1", ToolName: "read"})
		tell("t", &coder.ToolExecutionStart{ToolCallID: "1", ToolName: "read"}) // once more
		time.Sleep(time.Second)
		tell("t", &coder.ToolExecutionEnd{ToolCallID: "1", ToolName: "read"})
		tell("t", &coder.MessageEnd{Message: coder.AgentMessage{Role: "assistant", Model: "small", StopReason: "length", Usage: &coder.AgentUsage{Output: 7}}})
		tell("t", &coder.TaskComplete{TaskID: "t"})
		tell("t", &coder.ToolExecutionStart{ToolCallID: "2", ToolName: "late"})
		tell("t", &coder.ToolExecutionEnd{ToolCallID: "2", ToolName: "late"})
		tell("", &coder.ToolExecutionEnd{ToolCallID: "1", ToolName: "task"})
		over(coder.CallResult{})
		assert.Equal(t, []string{
			"invoke_agent", "invoke_agent > execute_tool late", "invoke_agent > execute_tool task", "invoke_agent > invoke_agent scout",
			"invoke_agent > invoke_agent scout > execute_tool read",
		}, p.paths())
		read := p.one(t, "execute_tool read")
		assert.Equal(t, time.Second, read.EndTime.Sub(read.StartTime))
		attrs := attributes(p.one(t, "invoke_agent").Attributes)
		assert.Equal(t, int64(12), attrs["gen_ai.usage.output_tokens"], "of all agents")
		assert.Equal(t, "large", attrs["gen_ai.response.model"])
		assert.Equal(t, []string{"stop"}, attrs["gen_ai.response.finish_reasons"])
	})
}

// TestObserver_EventsAtOnce: events of one call that several goroutines tell, while it ends.
func TestObserver_EventsAtOnce(t *testing.T) {
	p := newProbe()
	ctx, over := p.observer.Call(t.Context(), coder.CallInfo{Operation: "RunSession"})
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for j := range 200 {
				id := fmt.Sprint(i, " ", j)
				tell := func(event coder.AgentEvent) {
					p.observer.Agent(ctx, coder.AgentInfo{Operation: "RunSession", Name: id, Event: event, At: time.Now()})
				}
				tell(&coder.ToolExecutionStart{ToolCallID: id, ToolName: id})
				tell(&coder.MessageEnd{Message: coder.AgentMessage{Role: "assistant", Model: id, Usage: &coder.AgentUsage{Output: 1}}})
				tell(&coder.ToolExecutionEnd{ToolCallID: id, ToolName: id})
				if i == 0 && j == 100 {
					over(coder.CallResult{})
				}
			}
		})
	}
	all.Wait()
	p.one(t, "invoke_agent")
	assert.InDelta(t, 4800, p.sum(t, "agentuity.coder.agent.events"), 0)
}

// TestObserver_TwoObservers: a call of another client, made with the context of a call, is one of the program's to its own observer.
func TestObserver_TwoObservers(t *testing.T) {
	one, two := newProbe(), newProbe()
	ctx, over := one.observer.Call(t.Context(), coder.CallInfo{Operation: "Ask"})
	inner, innerOver := two.observer.Call(ctx, coder.CallInfo{Operation: "GetState", Route: "/ws"})
	two.observer.Agent(ctx, coder.AgentInfo{Operation: "Ask", Event: &coder.MessageEnd{Message: coder.AgentMessage{Role: "assistant", Usage: &coder.AgentUsage{Output: 1}}}})
	one.observer.Connection(inner, coder.ConnectionInfo{Change: coder.ConnectionOpened})
	innerOver(coder.CallResult{})
	over(coder.CallResult{})
	assert.Equal(t, []string{"operation=GetState: 1"}, two.lines(t, "agentuity.coder.operation.duration"))
	assert.Empty(t, one.lines(t, "gen_ai.client.token.usage"))
	assert.Empty(t, two.one(t, "WebSocket GetState").Events)
	assert.Equal(t, one.one(t, "invoke_agent").SpanContext.SpanID(), two.one(t, "WebSocket GetState").Parent.SpanID(), "the trace is one")
}
