package coder_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

// TestWaitForSession_Follow: how long after the event that decides it an outcome is known, with the stream and without. Each
// session ends in one of the ways there are, at a random moment.
func TestWaitForSession_Follow(t *testing.T) {
	ends := map[string]struct {
		errs []codertest.AgentError
		end  func(*codertest.SessionControl) // nil: the agent does it
		want coder.OutcomeKind
		most time.Duration // with the stream
	}{
		"answered":  {nil, nil, coder.OutcomeTurnEnded, 1500 * time.Millisecond},
		"refused":   {[]codertest.AgentError{codertest.AgentInvalidRequest}, nil, coder.OutcomeFailed, 2500 * time.Millisecond},
		"archived":  {nil, (*codertest.SessionControl).Archive, coder.OutcomeArchived, 500 * time.Millisecond},
		"asleep":    {nil, (*codertest.SessionControl).Pause, coder.OutcomePaused, 16 * time.Second}, // no event tells of it
		"loop ends": {nil, func(s *codertest.SessionControl) { s.SetLoop(codertest.Loop{Status: coder.LoopCompleted}) }, coder.OutcomeCompleted, 500 * time.Millisecond},
	}
	for name, e := range ends {
		for _, follow := range []bool{true, false} {
			var late []time.Duration
			for seed := range uint64(max(4, *simulatedRuns/10)) {
				r := rand.New(rand.NewPCG(seed, 41))
				options := []codertest.Option{
					codertest.WithAgentVersion([]string{"0.74.2", "1.6.0"}[r.IntN(2)]), codertest.WithAgentDialect(codertest.AgentDialect(r.IntN(2))),
					codertest.WithAgentPace(time.Duration(100+r.IntN(2000)) * time.Millisecond), codertest.WithAgentErrors(e.errs...),
				}
				if e.end != nil {
					options = []codertest.Option{codertest.WithoutAgent()}
				}
				bubbleWith(t, func(t *testing.T, hub *codertest.Hub) {
					c := hubClient(t, hub)
					id := newSession(t, c)
					session := hub.Session(id)
					var ended time.Time
					if e.end != nil {
						time.AfterFunc(time.Minute+time.Duration(r.IntN(60_000))*time.Millisecond, func() { ended = time.Now(); e.end(session) })
					}
					session.SetStatus("active")
					if e.end != nil {
						session.Emit(codertest.Event{Event: coder.EventAgentStart})
					}
					outcome, err := c.WaitForSession(t.Context(), id, &coder.WaitForSessionOptions{Follow: follow})
					require.NoError(t, err)
					require.Equal(t, e.want, outcome.Kind, "%v", outcome.Evidence)
					if e.end == nil {
						ended = lastAgentEnd(t, session)
					}
					late = append(late, time.Since(ended))
				}, options...)
			}
			slices.Sort(late)
			t.Logf("%s, follow %t: median %v, worst %v", name, follow, late[len(late)/2], late[len(late)-1])
			if follow {
				assert.LessOrEqual(t, late[len(late)-1], e.most, name)
			}
		}
	}
}

// lastAgentEnd is when the agent's last run ended.
func lastAgentEnd(t *testing.T, session *codertest.SessionControl) time.Time {
	t.Helper()
	for _, e := range slices.Backward(session.Events()) {
		if e.Event == coder.EventAgentEnd {
			return e.OccurredAt
		}
	}
	require.Fail(t, "no run has ended")
	return time.Time{}
}

// TestWaitForSession_FollowRequests: while nothing happens, one look in MaxPollInterval; where there is no stream, as many
// as without Follow.
func TestWaitForSession_FollowRequests(t *testing.T) {
	for _, refused := range []bool{false, true} {
		bubble(t, func(t *testing.T, hub *codertest.Hub) {
			c := hubClient(t, hub)
			id := newSession(t, c)
			session := hub.Session(id)
			session.SetStatus("active")
			if refused {
				session.RefuseStreams(codertest.Refusal{Count: -1, Status: 403})
			}
			looks := make(chan int, 1)
			time.AfterFunc(time.Hour, func() {
				n := 0
				for _, r := range hub.Requests() {
					if strings.HasSuffix(r.Path, "/"+id) && r.Method == "GET" {
						n++
					}
				}
				looks <- n
				session.Archive()
			})
			outcome, err := c.WaitForSession(t.Context(), id, &coder.WaitForSessionOptions{Follow: true, MaxPollInterval: time.Minute, StallTimeout: -1})
			require.NoError(t, err)
			assert.Equal(t, coder.OutcomeArchived, outcome.Kind)
			n := <-looks
			t.Logf("refused %t: %d looks in an hour", refused, n)
			assert.LessOrEqual(t, n, map[bool]int{false: 63, true: 75}[refused])
			assert.GreaterOrEqual(t, n, 58)
		})
	}
}
