package main

import (
	"context"
	"fmt"

	"github.com/agentuity/coder-go"
)

// spent is what a session has used. Nil: not known.
type spent struct {
	ToolCalls *int64   `json:"toolCalls,omitzero"`
	Tokens    *int64   `json:"tokens,omitzero"`
	CostUSD   *float64 `json:"costUsd,omitzero"`
	// CostIsMore says that CostUSD is not all: the price of some calls of the model is not known.
	CostIsMore bool `json:"costIsMore,omitzero"`
}

// known reports whether there is nothing left to find out.
func (s *spent) known() bool {
	return s.ToolCalls != nil && s.Tokens != nil && s.CostUSD != nil && !s.CostIsMore
}

// add adds what another has used, as far as that is known.
func (s *spent) add(other spent) {
	addTo(&s.ToolCalls, other.ToolCalls)
	addTo(&s.Tokens, other.Tokens)
	s.CostIsMore = s.CostIsMore || other.CostIsMore || other.CostUSD == nil
	addTo(&s.CostUSD, other.CostUSD)
}

func addTo[N int64 | float64](sum **N, more *N) {
	if more == nil {
		return
	}
	if *sum == nil {
		*sum = new(N)
	}
	**sum += *more
}

// whatWasSpent asks the Hub what a session has used: the session may say so, else its history does. What cannot be read is not
// known.
func whatWasSpent(ctx context.Context, client *coder.Client, sessionID string, session *coder.Session) spent {
	var s spent
	if session != nil {
		s = said(session)
	}
	if s.known() {
		return s
	}
	counted := counted(ctx, client, sessionID)
	if s.ToolCalls == nil {
		s.ToolCalls = counted.ToolCalls
	}
	if s.Tokens == nil {
		s.Tokens = counted.Tokens
	}
	if s.CostUSD == nil {
		s.CostUSD, s.CostIsMore = counted.CostUSD, counted.CostIsMore
	}
	return s
}

// said is what the Hub says of a session.
func said(session *coder.Session) (s spent) {
	if usage, err := session.Usage(); err == nil && usage != nil {
		s.Tokens = new(usage.InputTokens + usage.OutputTokens)
		s.CostUSD = usage.CostUSD
	}
	return s
}

// counted is what the history of a session tells. A history may tell everything twice: a message is known by its time, a call of
// a tool by its id. A message that failed, or was aborted, need not have cost anything.
func counted(ctx context.Context, client *coder.Client, sessionID string) spent {
	var (
		calls, tokens int64
		cost          float64
		more          bool
		seen          = make(map[string]bool)
	)
	for e, err := range client.AllEventHistory(ctx, sessionID, nil) {
		if err != nil {
			return spent{}
		}
		switch event := e.AgentEvent().(type) {
		case *coder.ToolExecutionStart:
			if id := event.ToolCallID; id == "" || !seen["call "+id] {
				seen["call "+id] = true
				calls++
			}
		case *coder.MessageEnd:
			m := &event.Message
			id := fmt.Sprint("message ", e.TaskID, m.Timestamp.UnixMilli())
			if m.Role != "assistant" || seen[id] {
				continue
			}
			seen[id] = !m.Timestamp.IsZero()
			price := 0.0
			if m.Usage != nil {
				tokens += allTokens(m.Usage)
				if m.Usage.Cost != nil {
					price = m.Usage.Cost.Total
				}
			}
			cost += price
			more = more || price == 0 && m.StopReason != coder.StopReasonError && m.StopReason != coder.StopReasonAborted
		}
	}
	s := spent{ToolCalls: &calls}
	if tokens > 0 {
		s.Tokens = &tokens
	}
	if cost > 0 {
		s.CostUSD, s.CostIsMore = &cost, more
	}
	return s
}

func allTokens(u *coder.AgentUsage) int64 {
	if u.TotalTokens > 0 {
		return u.TotalTokens
	}
	return u.Input + u.Output + u.CacheRead + u.CacheWrite
}
