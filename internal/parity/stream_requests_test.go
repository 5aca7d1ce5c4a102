//go:build parity

package parity

import (
	"testing"
	"time"

	"github.com/agentuity/coder-go/codertest"
)

// TestRequests: what becomes of requests that are answered badly, or not at all.
func TestRequests(t *testing.T) {
	event := object{"type": "event", "event": "turn_end", "data": object{}}
	channelScenario{name: "an answer without actions", play: func(s *stage) {
		s.hub.OnRequest(func(r codertest.LeadRequest) ([]codertest.Action, bool) {
			s.session.SendRaw(encode(object{"id": r.ID}))
			return nil, false
		})
		l := s.connect("lead", "lead", nil)
		l.untilType("session_hydration")
		l.request(event, patience)
		l.untilAnswered("failure")
	}}.check(t)
	channelScenario{name: "no answer", play: func(s *stage) {
		s.hub.OnRequest(func(codertest.LeadRequest) ([]codertest.Action, bool) { return nil, false })
		l := s.connect("lead", "lead", nil)
		l.untilType("session_hydration")
		l.request(event, 50*time.Millisecond)
		l.untilKind("failure")
	}}.check(t)
	channelScenario{name: "an empty answer, and one to somebody else", play: func(s *stage) {
		s.hub.OnRequest(func(codertest.LeadRequest) ([]codertest.Action, bool) {
			s.session.SendRaw(encode(object{"id": notMine, "actions": []any{object{"action": "BLOCK", "reason": "no"}}}))
			return []codertest.Action{}, true
		})
		l := s.connect("lead", "lead", nil)
		l.untilType("session_hydration")
		l.request(event, patience)
		l.untilAnswered("answer")
	}}.check(t)
}
