package main

import (
	"context"
	"fmt"
	"time"

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

// whatWasSpent asks the Hub what a session has used, and when its agent was last heard. The session may say so, and its history
// does: all of it is read. What cannot be read is not known.
func whatWasSpent(ctx context.Context, client *coder.Client, sessionID string, session *coder.Session) (s spent, heard time.Time) {
	s, heard = counted(ctx, client, sessionID)
	if session == nil {
		return s, heard
	}
	usage, err := session.Usage()
	if err != nil || usage == nil { // a form that is not known is as good as nothing
		return s, heard
	}
	s.Tokens = new(usage.InputTokens + usage.OutputTokens)
	if usage.CostUSD != nil {
		s.CostUSD, s.CostIsMore = usage.CostUSD, false
	}
	return s, heard
}

// counted is what the history of a session tells. A history may tell everything twice: a message is known by its time, a call of
// a tool by its id. A message that failed, or was aborted, need not have cost anything.
func counted(ctx context.Context, client *coder.Client, sessionID string) (s spent, heard time.Time) {
	var (
		calls, tokens int64
		cost          float64
		more          bool
		seen          = make(map[string]bool)
	)
	for e, err := range client.AllEventHistory(ctx, sessionID, nil) {
		if err != nil {
			return spent{}, heard
		}
		switch event := e.AgentEvent().(type) {
		case *coder.ToolExecutionStart:
			if id := event.ToolCallID; id == "" || !seen["call "+id] {
				seen["call "+id] = true
				calls++
			}
		case *coder.MessageEnd:
			m := &event.Message
			if heard.IsZero() { // the newest comes first
				heard = e.OccurredAt
			}
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
	s.ToolCalls = &calls
	if tokens > 0 {
		s.Tokens = &tokens
	}
	if cost > 0 {
		s.CostUSD, s.CostIsMore = &cost, more
	}
	return s, heard
}

func allTokens(u *coder.AgentUsage) int64 {
	if u.TotalTokens > 0 {
		return u.TotalTokens
	}
	return u.Input + u.Output + u.CacheRead + u.CacheWrite
}
