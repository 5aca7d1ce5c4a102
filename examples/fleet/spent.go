package main

import (
	"context"
	"slices"
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

// spentOf is what a session has used: as RunSession has counted it, unless the session says so itself.
func spentOf(counted *coder.Spent, session *coder.Session) (s spent) {
	if counted != nil {
		s.ToolCalls = new(int64(counted.ToolCalls))
		if counted.Tokens > 0 {
			s.Tokens = &counted.Tokens
		}
		if counted.CostUSD > 0 {
			s.CostUSD, s.CostIsMore = &counted.CostUSD, slices.Contains(counted.NotTold, "CostUSD")
		}
	}
	if session == nil {
		return s
	}
	usage, err := session.Usage()
	if err != nil || usage == nil { // a form that is not known is as good as nothing
		return s
	}
	s.Tokens = new(usage.InputTokens + usage.OutputTokens)
	if usage.CostUSD != nil {
		s.CostUSD, s.CostIsMore = usage.CostUSD, false
	}
	return s
}

// lastHeard is when the agent of a session has last said something, zero if that cannot be read.
func lastHeard(ctx context.Context, client *coder.Client, sessionID string) time.Time {
	for e, err := range client.AllEventHistory(ctx, sessionID, nil) { // the newest comes first
		if err != nil {
			break
		}
		if _, ok := e.AgentEvent().(*coder.MessageEnd); ok {
			return e.OccurredAt
		}
	}
	return time.Time{}
}
