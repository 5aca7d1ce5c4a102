package otelcoder

import (
	"cmp"
	"context"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.41.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/agentuity/coder-go"
)

// mostOpen is how many tools and tasks of one call can be open at a time. What begins beyond that has no span.
const mostOpen = 1000

// run is what an agent does in one call. Events may come from several goroutines.
type run struct {
	call *call

	mu     sync.Mutex
	ended  bool              // the call is over
	open   map[string]*step  // tools and tasks at work
	usage  *coder.AgentUsage // of the messages that were told, nil for none
	model  string            // who has written the last message of the agent
	reason coder.StopReason  // how that has ended
	prompt string            // what the agent was told, if content is wanted
}

// step is a call of a tool, or a task of another agent, that is under way.
type step struct {
	span  trace.Span
	began time.Time
	tool  string // as a label; "" for a task
}

// event takes an event of the agent.
func (r *run) event(info *coder.AgentInfo) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended {
		return
	}
	switch e := info.Event.(type) {
	case *coder.ToolExecutionStart:
		attrs := r.toolAttributes(e.ToolName, e.ToolCallID)
		if r.call.recorder.content && len(e.Args) > 0 {
			attrs = append(attrs, semconv.GenAIToolCallArgumentsKey.String(string(e.Args)))
		}
		r.begin(info, toolKey(info, e.ToolCallID, e.ToolName), executeTool, r.call.recorder.tools.name(e.ToolName), info.At, attrs)
	case *coder.ToolExecutionEnd:
		r.toolEnds(info, e)
	case *coder.TaskStart:
		attrs := genAI(invokeAgent)
		if e.Agent != "" {
			attrs = append(attrs, semconv.GenAIAgentName(e.Agent))
		}
		if r.call.recorder.content {
			attrs = append(attrs, inputMessages(e.Prompt))
		}
		r.begin(info, taskKey(e.TaskID), invokeAgent, r.call.recorder.agents.name(e.Agent), info.At, attrs)
	case *coder.TaskComplete:
		var attrs []attribute.KeyValue
		if r.call.recorder.content {
			attrs = append(attrs, outputMessages(e.Result, ""))
		}
		r.end(taskKey(e.TaskID), info.At, "", "", attrs...)
	case *coder.TaskError:
		r.end(taskKey(e.TaskID), info.At, errorType(coder.ErrAgentFailed), e.Error)
	case *coder.MessageEnd:
		r.message(info, &e.Message)
	}
}

// The keys of steps. A tool without an id is known by its name.
func taskKey(id string) string { return "task " + id }

func toolKey(info *coder.AgentInfo, id, name string) string {
	return "tool " + info.TaskID + " " + cmp.Or(id, name)
}

func (r *run) toolAttributes(name, id string) []attribute.KeyValue {
	attrs := []attribute.KeyValue{
		semconv.GenAIOperationNameKey.String(executeTool), semconv.GenAIToolName(name), semconv.GenAIToolType("extension"),
	}
	if id != "" {
		attrs = append(attrs, semconv.GenAIToolCallID(id))
	}
	return attrs
}

// begin opens the span of a step, below that of the task it belongs to.
func (r *run) begin(info *coder.AgentInfo, key, operation, name string, at time.Time, attrs []attribute.KeyValue) {
	if r.open[key] != nil || len(r.open) >= mostOpen {
		return
	}
	ctx := r.call.ctx
	if task := r.open[taskKey(info.TaskID)]; task != nil {
		ctx = trace.ContextWithSpan(ctx, task.span)
	}
	spanName, tool := operation, ""
	if name != "" {
		spanName += " " + name
	}
	if operation == executeTool {
		tool = name
	}
	_, span := r.call.recorder.tracer.Start(ctx, spanName, trace.WithSpanKind(trace.SpanKindInternal), trace.WithTimestamp(at),
		trace.WithAttributes(attrs...))
	if r.open == nil {
		r.open = make(map[string]*step)
	}
	r.open[key] = &step{span: span, began: at, tool: tool}
}

// end ends a step, if it is open. The clocks of its beginning and its end may be different ones.
func (r *run) end(key string, at time.Time, kind, description string, attrs ...attribute.KeyValue) {
	s := r.open[key]
	if s == nil {
		return
	}
	delete(r.open, key)
	if at.Before(s.began) {
		at = s.began
	}
	if kind != "" {
		attrs = append(attrs, semconv.ErrorTypeKey.String(kind))
		if !r.call.recorder.content {
			description = ""
		}
		s.span.SetStatus(codes.Error, description)
	}
	s.span.SetAttributes(attrs...)
	s.span.End(trace.WithTimestamp(at))
}

// toolFailed is the error type of a tool that has failed.
const toolFailed = "tool_failed"

func (r *run) toolEnds(info *coder.AgentInfo, e *coder.ToolExecutionEnd) {
	recorder, key := r.call.recorder, toolKey(info, e.ToolCallID, e.ToolName)
	took := e.Duration.Duration()
	if r.open[key] == nil && took > 0 { // it began before anybody looked
		r.begin(info, key, executeTool, recorder.tools.name(e.ToolName), info.At.Add(-took), r.toolAttributes(e.ToolName, e.ToolCallID))
	}
	s := r.open[key]
	if s == nil {
		return
	}
	kind := ""
	if e.IsError {
		kind = toolFailed
	}
	if took <= 0 {
		took = max(info.At.Sub(s.began), 0)
	}
	recorder.metrics.agent.Record(r.call.ctx, took.Seconds(), recorder.agentSets.of(agentSet{
		genAI: executeTool, operation: info.Operation, tool: s.tool, errorType: kind,
	}).record...)
	text, attrs := "", []attribute.KeyValue(nil)
	if recorder.content {
		text = e.Result.Content.Text()
		attrs = append(attrs, semconv.GenAIToolCallResultKey.String(text))
	}
	r.end(key, info.At, kind, text, attrs...)
}

func (r *run) message(info *coder.AgentInfo, m *coder.AgentMessage) {
	switch {
	case m.Role == "user" && info.TaskID == "" && r.prompt == "" && r.call.recorder.content:
		r.prompt = m.Content.Text()
	case m.Role != "assistant":
		return
	}
	if info.TaskID == "" {
		r.model, r.reason = m.Model, m.StopReason
	}
	if m.Usage == nil {
		return
	}
	if r.usage == nil {
		r.usage = new(coder.AgentUsage)
	}
	r.usage.Input += m.Usage.Input
	r.usage.Output += m.Usage.Output
	r.usage.CacheRead += m.Usage.CacheRead
	r.usage.CacheWrite += m.Usage.CacheWrite
	r.usage.Reasoning += m.Usage.Reasoning
	r.call.recorder.count(r.call.ctx, info.Operation, m.Model, m.Usage)
}

// count counts the tokens of a message.
func (r *recorder) count(ctx context.Context, operation, model string, usage *coder.AgentUsage) {
	model = r.models.name(model)
	if read := read(usage); read > 0 {
		r.tokens.Record(ctx, read, r.tokenSets.of(tokenSet{operation, model, "input"}).record...)
	}
	if usage.Output > 0 {
		r.tokens.Record(ctx, usage.Output, r.tokenSets.of(tokenSet{operation, model, "output"}).record...)
	}
}

// read is what the model has read, with what it had cached, as the conventions want it.
func read(u *coder.AgentUsage) int64 { return u.Input + u.CacheRead + u.CacheWrite }

// over ends what is still open, and tells what the run came to.
func (r *run) over(result *coder.CallResult, kind string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = true
	now := time.Now()
	for key := range r.open {
		r.end(key, now, "", "", unfinishedKey.Bool(true))
	}
	c, recorder := r.call, r.call.recorder
	answer := ""
	if a := result.Answer; a != nil {
		answer, r.reason = a.Text, a.StopReason
		if r.usage == nil && a.Usage != nil {
			r.usage = a.Usage
			recorder.count(c.ctx, c.info.Operation, r.model, r.usage)
		}
	}
	if s := result.Session; s != nil {
		answer = s.Answer
		if u := s.Usage; r.usage == nil && u != nil && s.Created {
			r.usage = &coder.AgentUsage{Input: u.InputTokens, Output: u.OutputTokens, Reasoning: u.ReasoningTokens}
			recorder.count(c.ctx, c.info.Operation, r.model, r.usage)
		}
		if s.Outcome != nil {
			r.reason = cmp.Or(s.Outcome.StopReason, r.reason)
		}
	}
	recorder.metrics.agent.Record(c.ctx, result.Duration.Seconds(), recorder.agentSets.of(agentSet{
		genAI: invokeAgent, operation: c.info.Operation, model: recorder.models.name(r.model), errorType: kind,
	}).record...)
	if c.span == nil || !c.span.IsRecording() {
		return
	}
	var attrs []attribute.KeyValue
	if result.SessionID != "" {
		attrs = append(attrs, semconv.GenAIConversationID(result.SessionID))
	}
	if s := result.Session; s != nil && s.Outcome != nil {
		attrs = append(attrs, outcomeKey.String(string(s.Outcome.Kind)))
	}
	if r.model != "" {
		attrs = append(attrs, semconv.GenAIResponseModel(r.model))
	}
	if r.reason != "" {
		attrs = append(attrs, semconv.GenAIResponseFinishReasons(r.reason))
	}
	if u := r.usage; u != nil {
		attrs = append(attrs, semconv.GenAIUsageInputTokens(int(read(u))), semconv.GenAIUsageOutputTokens(int(u.Output)))
		for key, n := range map[attribute.Key]int64{
			semconv.GenAIUsageCacheReadInputTokensKey:     u.CacheRead,
			semconv.GenAIUsageCacheCreationInputTokensKey: u.CacheWrite,
			semconv.GenAIUsageReasoningOutputTokensKey:    u.Reasoning,
		} {
			if n > 0 {
				attrs = append(attrs, key.Int64(n))
			}
		}
	}
	if recorder.content {
		if r.prompt != "" {
			attrs = append(attrs, inputMessages(r.prompt))
		}
		if answer != "" {
			attrs = append(attrs, outputMessages(answer, r.reason))
		}
	}
	c.span.SetAttributes(attrs...)
}
