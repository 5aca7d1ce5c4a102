package coder_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

// historyQueries returns the queries of the requests for a history, in order.
func historyQueries(hub *codertest.Hub) (queries []string) {
	for _, r := range hub.Requests() {
		if r.Route == historyRoute {
			queries = append(queries, r.RawQuery)
		}
	}
	return queries
}

// TestCheckSession_Looks has what one look says, and how far back it reads for that.
func TestCheckSession_Looks(t *testing.T) {
	chatter := emit(slices.Repeat([]string{"session_join", "presence_update", "session_leave"}, 20)...)
	retried := func(s *codertest.SessionControl) { // two attempts that failed, 40 s apart, the last one 20 s ago
		ended("error", "529 overloaded")(s)
		time.Sleep(40 * time.Second)
		failure := map[string]any{"role": "assistant", "stopReason": "error", "errorMessage": "529 overloaded"}
		emit("agent_start")(s)
		payload("message_start", map[string]any{"message": failure})(s)
		payload("agent_end", map[string]any{"messages": []any{failure}})(s)
		time.Sleep(20 * time.Second)
	}
	wait := func(d time.Duration) step { return func(*codertest.SessionControl) { time.Sleep(d) } }
	for name, test := range map[string]struct {
		state    step
		want     coder.OutcomeKind
		evidence string // the first of it
		queries  []string
	}{
		"at work":                     {emit("turn_start", "message_update", "message_update", "message_update"), coder.OutcomeWorking, "status is active", []string{"limit=3"}},
		"at work with a tool":         {emit("turn_start", "tool_execution_update", "tool_execution_update", "tool_execution_update"), coder.OutcomeWorking, "status is active", []string{"limit=3"}},
		"just answered":               {ended("stop", ""), coder.OutcomeWorking, "status is active", []string{"limit=3"}},
		"answered":                    {inOrder(ended("stop", ""), wait(2*time.Second)), coder.OutcomeTurnEnded, "the run ended with stop", []string{"limit=3", "limit=12&beforeId=N-2"}},
		"answered, then much ado":     {inOrder(ended("stop", ""), chatter, wait(2*time.Second)), coder.OutcomeTurnEnded, "the run ended with stop", []string{"limit=3", "limit=12&beforeId=N-2", "limit=50&beforeId=N-14"}},
		"a retry that may follow":     {retried, coder.OutcomeWorking, "status is active", []string{"limit=3", "limit=12&beforeId=N-2"}},
		"the wait for it is over":     {inOrder(retried, wait(70*time.Second)), coder.OutcomeFailed, "no retry followed with error", []string{"limit=3", "limit=12&beforeId=N-2"}},
		"a question":                  {payload("rpc_ui_request", map[string]any{"id": "1", "method": "input"}), coder.OutcomeNeedsInput, "a question is open", []string{"limit=3"}},
		"an input that nobody took":   {inOrder(ended("stop", ""), emit("input"), wait(2*time.Minute)), coder.OutcomeWorking, "status is active", []string{"limit=3", "limit=12&beforeId=N-2"}},
		"archived after its answer":   {inOrder(ended("stop", ""), wait(2*time.Second), (*codertest.SessionControl).Archive), coder.OutcomeArchived, "status is archived", nil},
		"paused":                      {(*codertest.SessionControl).Pause, coder.OutcomePaused, "status is paused", nil},
		"failed, and the Hub says so": {inOrder(set("status", "failed"), set("error", "out of memory")), coder.OutcomeFailed, "status is failed", nil},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, hub *codertest.Hub) {
				c := hubClient(t, hub)
				id, _ := sessionInTurn(t, hub)
				test.state(hub.Session(id))
				outcome, err := c.CheckSession(t.Context(), id)
				require.NoError(t, err)
				assert.Equal(t, test.want, outcome.Kind, "from %q", outcome.Evidence)
				assert.Equal(t, test.evidence, outcome.Evidence[0])
				assert.Equal(t, id, outcome.Session.SessionID)
				if strings.HasPrefix(name, "archived") {
					assert.True(t, outcome.Succeeded())
					assert.Equal(t, coder.OutcomeTurnEnded, outcome.Finished)
				}
				if strings.HasPrefix(name, "failed, and") {
					assert.Contains(t, outcome.Evidence, "the session says: out of memory")
				}
				if test.queries != nil {
					newest := newestEvent(t, c, id)
					var got []string
					for _, q := range historyQueries(hub)[:len(historyQueries(hub))-1] {
						query, before, ok := strings.Cut(q, "beforeId=")
						if n, err := strconv.Atoi(before); ok && err == nil {
							query += fmt.Sprintf("beforeId=N-%d", newest-n)
						}
						got = append(got, query)
					}
					assert.Equal(t, test.queries, got)
				}
			})
		})
	}
}

func TestCheckSession_Errors(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub) {
		c := hubClient(t, hub)
		_, err := c.CheckSession(t.Context(), "")
		var bad *coder.ValidationError
		require.ErrorAs(t, err, &bad)
		assert.Equal(t, "CheckSession", bad.Operation)
		_, err = c.CheckSession(t.Context(), "nobody")
		require.ErrorIs(t, err, coder.ErrSessionNotFound)

		id := workingSession(t, hub)
		hub.Inject(codertest.Fault{Route: historyRoute, Status: 503})
		outcome, err := c.CheckSession(t.Context(), id)
		require.NoError(t, err, "it is tried again as every call")
		assert.Equal(t, coder.OutcomeWorking, outcome.Kind)
		hub.Inject(codertest.Fault{Route: historyRoute, Status: 403})
		_, err = c.CheckSession(t.Context(), id)
		require.ErrorIs(t, err, coder.ErrForbidden, "without a history there is no telling")
		hub.Inject(codertest.Fault{Route: historyRoute, Status: 404})
		outcome, err = c.CheckSession(t.Context(), id)
		require.NoError(t, err, "a Hub that has none")
		assert.Equal(t, coder.OutcomeWorking, outcome.Kind)
		loopAt("running")(hub.Session(id))
		hub.Inject(codertest.Fault{Route: loopRoute, Status: 500})
		_, err = c.CheckSession(t.Context(), id)
		require.Error(t, err)
	})
}

// TestWaitForSession_AfterEvent: the answer to the prompt before does not end a wait, and the one after it does.
func TestWaitForSession_AfterEvent(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub) {
		c := hubClient(t, hub)
		id := workingSession(t, hub)
		ended("error", "400 No")(hub.Session(id))
		time.Sleep(time.Minute)
		after := newestEvent(t, c, id)
		time.AfterFunc(time.Minute, func() {
			inOrder(emit("input", "agent_start", "turn_start"), ended("stop", ""))(hub.Session(id))
		})
		began := time.Now()
		outcome, err := c.WaitForSession(anHour(t), id, &coder.WaitForSessionOptions{AfterEvent: after})
		require.NoError(t, err)
		assert.Equal(t, coder.OutcomeTurnEnded, outcome.Kind)
		assert.GreaterOrEqual(t, time.Since(began), time.Minute)

		outcome, err = c.WaitForSession(anHour(t), id, &coder.WaitForSessionOptions{AfterEvent: newestEvent(t, c, id), StallTimeout: time.Minute})
		require.NoError(t, err)
		assert.Equal(t, coder.OutcomeStalled, outcome.Kind, "nothing came after it")
	})
}

// TestWaitForSession_ReadsLittle: a session at work costs two small requests a look, however much it says; what a look
// has read the next one does not read again.
func TestWaitForSession_ReadsLittle(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub) {
		c := hubClient(t, hub)
		id := workingSession(t, hub)
		s := hub.Session(id)
		go func() {
			for range 2000 { // 200 s of an answer
				payload("message_update", map[string]any{"message": map[string]any{"role": "assistant", "content": strings.Repeat("x", 1000)}})(s)
				time.Sleep(100 * time.Millisecond)
			}
			ended("error", "529 overloaded")(s)
		}()
		outcome, err := c.WaitForSession(anHour(t), id, nil)
		require.NoError(t, err)
		assert.Equal(t, coder.OutcomeFailed, outcome.Kind)
		queries := historyQueries(hub)
		pages := slices.DeleteFunc(slices.Clone(queries), func(q string) bool { return q == "limit=3" })
		assert.Len(t, pages, 1, "the end is looked at more closely, once: %q", queries)
		assert.Len(t, queries, len(looks(hub))+1)
	})
}

// TestWaitForSession_LargeEvents: the larger the events are, the rarer the looks.
func TestWaitForSession_LargeEvents(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub) {
		id := workingSession(t, hub)
		s := hub.Session(id)
		again := payload("turn_start", map[string]any{"context": strings.Repeat("x", 1<<20)})
		s.Script(slices.Repeat([]step{again}, 12)...)
		_, err := hubClient(t, hub).WaitForSession(anHour(t), id, &coder.WaitForSessionOptions{StallTimeout: time.Minute})
		require.NoError(t, err)
		assert.Equal(t, []float64{4, 8, 12, 12, 12, 12}, rounded(gaps(looks(hub))[:6]), "256 KiB a second: one event of 1 MiB, then two, then three")
	})
}

func rounded(seconds []float64) []float64 {
	for i := range seconds {
		seconds[i] = float64(int(seconds[i]))
	}
	return seconds
}

// TestCheckSession_OtherHubs: a Hub may cap limit, ignore it or beforeId, begin its ids anywhere, and not say when it
// got an event.
// TestCheckSession_Silent: a Hub that does not tell the history is unavailable. The context of the program has not ended.
func TestCheckSession_Silent(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub) {
		c := hubClient(t, hub)
		id := newSession(t, c)
		hub.Inject(codertest.Fault{Route: historyRoute, Stall: true, Count: -1})
		began := time.Now()
		_, err := c.CheckSession(t.Context(), id)
		require.Error(t, err)
		require.NotErrorIs(t, err, context.DeadlineExceeded)
		assert.True(t, coder.IsTransient(err))
		assert.Contains(t, err.Error(), "the Hub has not answered for 30s")
		assert.Equal(t, 30*time.Second, time.Since(began))

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = c.CheckSession(ctx, id)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.False(t, coder.IsTransient(err))
	})
}

func TestCheckSession_OtherHubs(t *testing.T) {
	message := `{"role":"assistant","stopReason":"stop","content":"Said."}`
	var events []string // oldest first
	for i, e := range []string{
		`"event":"agent_start"`, `"event":"turn_start"`, `"event":"message_end","payload":{"message":` + message + `}`,
		`"event":"agent_end","payload":{"messages":[` + message + `]}`,
	} {
		events = append(events, fmt.Sprintf(`{"id":%d,%s,"ingestedAt":"2026-11-01T10:00:00Z"}`, 500+7*i, e))
	}
	for i := range 30 {
		events = append(events, fmt.Sprintf(`{"id":%d,"event":"session_join","ingestedAt":"2026-11-01T10:00:01Z"}`, 600+3*i))
	}
	slices.Reverse(events)
	for name, page := range map[string]func(limit, before int) []string{
		"whole": func(int, int) []string { return events },
		"as asked": func(limit, before int) []string {
			return paged(events, limit, before)
		},
		"two at a time": func(_, before int) []string { return paged(events, 2, before) },
		"without beforeId": func(limit, _ int) []string {
			return paged(events, limit, 0)
		},
	} {
		t.Run(name, func(t *testing.T) {
			requests := 0
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				requests++
				w.Header().Set("Content-Type", "application/json")
				if !strings.HasSuffix(r.URL.Path, "/history") {
					_, _ = w.Write([]byte(`{"sessionId":"s","status":"active","bucket":"running","runtimeAvailable":true}`))
					return
				}
				limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
				before, _ := strconv.Atoi(r.URL.Query().Get("beforeId"))
				_, _ = w.Write([]byte(`{"sessionId":"s","events":[` + strings.Join(page(limit, before), ",") + `]}`))
			}))
			defer server.Close()
			c, err := coder.NewClient(coder.WithURL(server.URL), coder.WithAPIKey("k"))
			require.NoError(t, err)
			defer c.CloseIdleConnections()
			outcome, err := c.CheckSession(t.Context(), "s")
			require.NoError(t, err)
			assert.Equal(t, coder.OutcomeTurnEnded, outcome.Kind, "from %q", outcome.Evidence)
			assert.Equal(t, coder.StopReasonStop, outcome.StopReason)
			assert.Less(t, requests, 25)
		})
	}
}

// paged is what a Hub answers.
func paged(events []string, limit, before int) []string {
	var page []string
	for _, text := range events {
		var e struct{ ID int }
		if json.Unmarshal([]byte(text), &e) == nil && (before == 0 || e.ID < before) && len(page) < limit {
			page = append(page, text)
		}
	}
	return page
}
