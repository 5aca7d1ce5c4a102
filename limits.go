package coder

import (
	"fmt"
	"hash/maphash"
	"slices"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/agentuity/coder-go/internal/quote"
)

// Limits bound what an agent may spend: in [Client.RunSession] on the session, and in [HubConn.Ask] on the prompt. Each is
// the largest value that is allowed: the first event that goes beyond one aborts the agent. A member that is zero sets no
// limit.
//
// A history may hold a message or a tool call twice. It counts only once: messages are recognized by their time, tool
// calls by their id. Without these they count twice.
type Limits struct {
	// CostUSD is the price of all model calls, in US dollars, as the agent computes it.
	CostUSD float64
	// Tokens is the number of tokens that the model has read, cached ones included, and written.
	Tokens int
	// Turns is the number of model calls, also those that failed.
	Turns int
	// ToolCalls is the number of tool calls, SameCall that of calls of one tool with the same arguments.
	ToolCalls int
	SameCall  int
}

func (l *Limits) check(op string) error {
	for field, negative := range map[string]bool{
		"Limits.CostUSD": !(l.CostUSD >= 0), "Limits.Tokens": l.Tokens < 0, "Limits.Turns": l.Turns < 0,
		"Limits.ToolCalls": l.ToolCalls < 0, "Limits.SameCall": l.SameCall < 0,
	} {
		if negative {
			return invalid(op, field, "must not be negative")
		}
	}
	return nil
}

func (l Limits) any() bool { return l != Limits{} }

// tally counts what a run has spent. A history may have everything twice, from the driver of a sandbox and from the agent's
// extension: a message is known by its time, a call of a tool by its id.
type tally struct {
	limits Limits
	begun  map[messageKey]bool
	ended  map[messageKey]bool
	open   bool // a message without a time has begun
	turns  int
	tokens int64
	cost   float64
	// Of ids and arguments, which may be megabytes, there are digests. The seed keeps others from making two that are alike.
	calls   map[uint64]bool // of the ids of the calls of tools
	unnamed int             // calls of tools without an id
	same    map[uint64]int  // of the tools with their arguments
	seed    maphash.Seed
	silent  map[string]bool // the limits of which a message of the agent says nothing
	beyond  string          // the first limit that was crossed, in words
}

// messageKey tells the messages of agents apart.
type messageKey struct {
	taskID string
	at     int64
}

func newTally(limits Limits) *tally {
	return &tally{
		limits: limits, begun: make(map[messageKey]bool), ended: make(map[messageKey]bool),
		calls: make(map[uint64]bool), same: make(map[uint64]int), seed: maphash.MakeSeed(), silent: make(map[string]bool),
	}
}

// add counts an event, and reports whether a limit is crossed.
func (t *tally) add(event AgentEvent, taskID string) bool {
	switch e := event.(type) {
	case *MessageStart:
		if e.Message.Role == "assistant" {
			t.begin(keyOf(&e.Message, taskID))
		}
	case *MessageEnd:
		if e.Message.Role == "assistant" {
			t.end(&e.Message, keyOf(&e.Message, taskID))
		}
	case *ToolExecutionStart:
		t.call(e.ToolCallID, e.ToolName, jsontext.Value(e.Args))
	}
	return t.beyond != ""
}

func keyOf(m *AgentMessage, taskID string) messageKey {
	if m.Timestamp.IsZero() {
		return messageKey{taskID: taskID}
	}
	return messageKey{taskID, m.Timestamp.UnixMilli()}
}

// begin counts a turn.
func (t *tally) begin(key messageKey) {
	switch {
	case key.at == 0:
		t.open = true
	case t.begun[key]:
		return
	}
	t.begun[key] = true
	if t.turns++; t.limits.Turns > 0 && t.turns > t.limits.Turns {
		t.cross("more than %d turns", t.limits.Turns)
	}
}

// end counts what a message has cost, and what it calls.
func (t *tally) end(m *AgentMessage, key messageKey) {
	switch {
	case key.at == 0:
		if !t.open { // its start was not reported
			t.begin(key)
		}
		t.open = false
	case t.ended[key]:
		return
	default:
		t.begin(key)
		t.ended[key] = true
	}
	for _, call := range m.Content.ToolCalls() {
		t.call(call.ID, call.Name, jsontext.Value(call.Arguments))
	}
	tokens, cost := m.Usage.total(), 0.0
	if m.Usage != nil && m.Usage.Cost != nil {
		cost = m.Usage.Cost.Total
	}
	if m.StopReason != StopReasonError && m.StopReason != StopReasonAborted { // these need not have cost anything
		t.silent["Tokens"] = t.silent["Tokens"] || tokens == 0
		t.silent["CostUSD"] = t.silent["CostUSD"] || cost == 0
	}
	t.tokens += tokens
	t.cost += cost
	if most := t.limits.Tokens; most > 0 && t.tokens > int64(most) {
		t.cross("more than %d tokens", most)
	}
	if most := t.limits.CostUSD; most > 0 && t.cost > most {
		t.cross("more than %g US dollars", most)
	}
}

// total is the number of all tokens.
func (u *AgentUsage) total() int64 {
	switch {
	case u == nil:
		return 0
	case u.TotalTokens > 0:
		return u.TotalTokens
	}
	return u.Input + u.Output + u.CacheRead + u.CacheWrite
}

// call counts a call of a tool: a message makes it, and then the tool begins.
func (t *tally) call(id, name string, args jsontext.Value) {
	if id == "" {
		t.unnamed++
	} else {
		known := maphash.String(t.seed, id)
		if t.calls[known] {
			return
		}
		t.calls[known] = true
	}
	if most := t.limits.ToolCalls; most > 0 && len(t.calls)+t.unnamed > most {
		t.cross("more than %d calls of tools", most)
	}
	if most := t.limits.SameCall; most > 0 {
		args = args.Clone()
		_ = args.Canonicalize() // what is no JSON is compared as it is
		key := maphash.String(t.seed, name+" "+string(args))
		if t.same[key]++; t.same[key] > most {
			t.cross("more than %d times the same call of %q", most, quote.Line(name))
		}
	}
}

func (t *tally) cross(format string, args ...any) {
	if t.beyond == "" {
		t.beyond = fmt.Sprintf(format, args...)
	}
}

// Spent is what the agents of a session have spent according to its history: the lead, and the agents that it gave
// tasks to.
type Spent struct {
	// Turns is the number of model calls, also those that failed, and ToolCalls that of tool calls.
	Turns     int
	ToolCalls int
	// Tokens is the number of tokens that the model has read, cached ones included, and written. CostUSD is their price in
	// US dollars, as the agents compute it.
	Tokens  int64
	CostUSD float64
	// NotTold names the figures that at least one message of the model did not report, "CostUSD" or "Tokens": the true
	// figure is then higher. A price of 0 counts as not reported.
	NotTold []string
}

func (t *tally) spent() *Spent {
	return &Spent{
		Turns: t.turns, ToolCalls: len(t.calls) + t.unnamed, Tokens: t.tokens, CostUSD: t.cost,
		NotTold: t.notTold(func(string) bool { return true }),
	}
}

// notEnforced names the limits that were given and of which the other side did not tell.
func (t *tally) notEnforced() []string {
	given := map[string]bool{"CostUSD": t.limits.CostUSD > 0, "Tokens": t.limits.Tokens > 0}
	return t.notTold(func(name string) bool { return given[name] })
}

// notTold names what a message of the agent did not tell, of that which is asked about.
func (t *tally) notTold(asked func(name string) bool) (names []string) {
	for name, silent := range t.silent {
		if silent && asked(name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
