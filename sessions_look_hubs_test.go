package coder_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
)

// oddHub is a Hub whose history and clock are what a test makes of them. It answers without a network.
type oddHub struct {
	mu      sync.Mutex
	events  []oddEvent // oldest first
	nextID  int
	asked   []string                                      // the queries for the history
	ahead   time.Duration                                 // of our clock
	date    func(n int) string                            // of the answer n; nil: by the Hub's clock
	bare    bool                                          // events do not have ingestedAt
	page    func(limit, before int, all []oddEvent) []any // nil: as the Hub should
	session string                                        // more members of the session
}

type oddEvent struct {
	id      int
	name    string
	payload any
	at      time.Time
}

func (h *oddHub) emit(name string, payload any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.nextID++
	h.events = append(h.events, oddEvent{h.nextID, name, payload, time.Now()})
}

// ends is the end of a run.
func (h *oddHub) ends(stop, errorMessage string) {
	message := map[string]any{"role": "assistant", "stopReason": stop, "errorMessage": errorMessage, "content": "Said."}
	h.emit("message_end", map[string]any{"message": message})
	h.emit("turn_end", map[string]any{"message": message})
	h.emit("agent_end", map[string]any{"messages": []any{message}})
}

// begins is a prompt that the agent begins to work on.
func (h *oddHub) begins() {
	h.emit("agent_start", nil)
	h.emit("turn_start", nil)
	h.emit("message_end", map[string]any{"message": map[string]any{"role": "user", "content": "Say it."}})
}

// retries is the end of a run of which the agent tries again.
func (h *oddHub) retries() {
	h.ends("error", "529 overloaded")
	time.Sleep(10 * time.Second)
	h.emit("agent_start", nil)
	h.emit("turn_start", nil)
}

func (h *oddHub) show(e oddEvent) any {
	shown := map[string]any{"id": e.id, "event": e.name, "payload": e.payload, "occurredAt": e.at.Add(h.ahead)}
	if !h.bare {
		shown["ingestedAt"] = e.at.Add(h.ahead)
	}
	return shown
}

func (h *oddHub) RoundTrip(r *http.Request) (*http.Response, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	body := `{"sessionId":"s","status":"active","bucket":"running","runtimeAvailable":true` + h.session + `}`
	status := http.StatusOK
	if strings.HasSuffix(r.URL.Path, "/history") {
		h.asked = append(h.asked, r.URL.RawQuery)
		limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
		before, _ := strconv.Atoi(r.URL.Query().Get("beforeId"))
		page := h.page
		if page == nil {
			page = h.newest
		}
		events := page(limit, before, h.events)
		if events == nil {
			status = http.StatusInternalServerError
		}
		text, err := json.Marshal(map[string]any{"sessionId": "s", "events": events})
		if err != nil {
			return nil, err
		}
		body = string(text)
	}
	header := http.Header{"Content-Type": {"application/json"}}
	date := time.Now().Add(h.ahead).UTC().Format(http.TimeFormat)
	if h.date != nil {
		date = h.date(len(h.asked))
	}
	if date != "" {
		header.Set("Date", date)
	}
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

// newest is the page that a Hub should answer.
func (h *oddHub) newest(limit, before int, all []oddEvent) []any {
	page := []any{}
	for _, e := range slices.Backward(all) {
		if len(page) < limit && (before == 0 || e.id < before) {
			page = append(page, h.show(e))
		}
	}
	return page
}

// odd runs a test against such a Hub, in fake time.
func odd(t *testing.T, hub *oddHub, test func(t *testing.T, c *coder.Client)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c, err := coder.NewClient(coder.WithURL("http://hub"), coder.WithAPIKey("k"), coder.WithHTTPClient(&http.Client{Transport: hub}))
		require.NoError(t, err)
		test(t, c)
	})
}

// story runs what happens on the side. The test ends after it.
func story(t *testing.T, happens func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		happens()
	}()
	t.Cleanup(func() { <-done })
}

// TestWaitForSession_Clocks: whatever the clocks of the Hub, of gateways before it and of this machine say, an error is not
// final while a retry may follow, and what is final is noticed soon.
func TestWaitForSession_Clocks(t *testing.T) {
	const minutes = 5 * time.Minute
	at := func(offset time.Duration) string { return time.Now().Add(offset).UTC().Format(http.TimeFormat) }
	for name, hub := range map[string]*oddHub{
		"as it should be":                    {},
		"the Hub is ahead of us":             {ahead: minutes},
		"the Hub is behind us":               {ahead: -minutes},
		"no Date":                            {date: func(int) string { return "" }},
		"no Date, and the Hub is ahead":      {ahead: minutes, date: func(int) string { return "" }},
		"no Date, and the Hub is behind":     {ahead: -minutes, date: func(int) string { return "" }},
		"no time of events":                  {bare: true},
		"a gateway that is ahead":            {date: func(int) string { return at(minutes) }},
		"a gateway that is behind":           {date: func(int) string { return at(-minutes) }},
		"one gateway ahead, and one is not":  {date: func(n int) string { return at(minutes * time.Duration(n%2)) }},
		"one gateway behind, and one is not": {date: func(n int) string { return at(-minutes * time.Duration(n%2)) }},
	} {
		t.Run(name, func(t *testing.T) {
			odd(t, hub, func(t *testing.T, c *coder.Client) {
				hub.begins()
				var ended atomic.Int64
				story(t, func() {
					time.Sleep(7300 * time.Millisecond)
					hub.retries()
					time.Sleep(time.Minute)
					hub.ends("error", "400 No")
					ended.Store(time.Now().UnixNano())
				})
				outcome, err := c.WaitForSession(anHour(t), "s", nil)
				require.NoError(t, err)
				assert.Equal(t, "400 No", outcome.ErrorMessage, "it was not over before")
				assert.LessOrEqual(t, time.Since(time.Unix(0, ended.Load())), 20*time.Second)
			})
		})
	}
}

// TestWaitForSession_ClocksAtFirst: an error that was there before the wait began, with a gateway that is ahead
// answering the first look only.
func TestWaitForSession_ClocksAtFirst(t *testing.T) {
	hub := &oddHub{}
	hub.date = func(n int) string {
		offset := time.Duration(0)
		if n == 1 {
			offset = 5 * time.Minute
		}
		return time.Now().Add(offset).UTC().Format(http.TimeFormat)
	}
	odd(t, hub, func(t *testing.T, c *coder.Client) {
		hub.begins()
		story(t, func() {
			hub.retries()
			time.Sleep(time.Minute)
			hub.ends("stop", "")
		})
		time.Sleep(time.Second)
		outcome, err := c.WaitForSession(anHour(t), "s", nil)
		require.NoError(t, err)
		assert.Equal(t, coder.OutcomeTurnEnded, outcome.Kind, "from %q", outcome.Evidence)
	})
}

// TestCheckSession_WithoutIngestedAt: one look cannot know when the events came; what happened long ago is over all the
// same.
func TestCheckSession_WithoutIngestedAt(t *testing.T) {
	hub := &oddHub{bare: true}
	odd(t, hub, func(t *testing.T, c *coder.Client) {
		hub.begins()
		hub.ends("stop", "")
		for _, kind := range []coder.OutcomeKind{coder.OutcomeWorking, coder.OutcomeTurnEnded} {
			time.Sleep(6 * time.Minute)
			outcome, err := c.CheckSession(t.Context(), "s")
			require.NoError(t, err)
			assert.Equal(t, kind, outcome.Kind, "from %q", outcome.Evidence)
		}
	})
}

// TestWaitForSession_HalfAHistory: where the pages that decide cannot be read, nothing is concluded from the others.
func TestWaitForSession_HalfAHistory(t *testing.T) {
	hub := &oddHub{}
	hub.page = func(limit, before int, all []oddEvent) []any {
		if before > 0 {
			return nil
		}
		return hub.newest(limit, before, all)
	}
	odd(t, hub, func(t *testing.T, c *coder.Client) {
		hub.begins()
		hub.ends("stop", "")
		hub.emit("session_shutdown", map[string]any{"reason": "quit"})
		hub.emit("input", nil) // a stray one
		hub.emit("session_leave", map[string]any{"participant": map[string]any{"role": "lead"}})
		hub.emit("agent_end", nil)
		hub.emit("session_join", nil)
		hub.emit("session_join", nil)
		time.Sleep(time.Minute)
		outcome, err := c.WaitForSession(anHour(t), "s", &coder.WaitForSessionOptions{StallTimeout: time.Minute})
		require.NoError(t, err)
		assert.Equal(t, coder.OutcomeStalled, outcome.Kind, "from %q", outcome.Evidence)
		assert.Empty(t, outcome.Finished)
		hub.page = nil
		outcome, err = c.WaitForSession(anHour(t), "s", nil)
		require.NoError(t, err)
		assert.Equal(t, coder.OutcomeTurnEnded, outcome.Kind, "from %q", outcome.Evidence)
	})
}

// TestCheckSession_OddHistories: pages with an event twice, and ids that begin anywhere and have gaps.
func TestCheckSession_OddHistories(t *testing.T) {
	for name, page := range map[string]func(h *oddHub) func(limit, before int, all []oddEvent) []any{
		"each event twice": func(h *oddHub) func(int, int, []oddEvent) []any {
			return func(limit, before int, all []oddEvent) []any {
				page := h.newest(limit, before, all)
				return slices.Concat(page, page)
			}
		},
		"pages overlap": func(h *oddHub) func(int, int, []oddEvent) []any {
			return func(limit, before int, all []oddEvent) []any {
				if before > 0 {
					before += 2
				}
				return h.newest(limit, before, all)
			}
		},
		"one at a time": func(h *oddHub) func(int, int, []oddEvent) []any {
			return func(_, before int, all []oddEvent) []any { return h.newest(1, before, all) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			hub := &oddHub{nextID: 4711}
			hub.page = page(hub)
			odd(t, hub, func(t *testing.T, c *coder.Client) {
				hub.begins()
				hub.emit("tool_execution_start", map[string]any{"toolCallId": "1"})
				hub.emit("tool_execution_start", map[string]any{"toolCallId": "2"})
				hub.emit("rpc_ui_request", map[string]any{"id": "q", "method": "confirm"})
				hub.emit("tool_execution_end", map[string]any{"toolCallId": "1"})
				hub.emit("session_join", nil)
				hub.emit("session_join", nil)
				hub.emit("session_join", nil)
				time.Sleep(2 * time.Minute)
				outcome, err := c.CheckSession(t.Context(), "s")
				require.NoError(t, err)
				assert.Equal(t, coder.OutcomeNeedsInput, outcome.Kind, "from %q", outcome.Evidence)
				assert.Less(t, len(hub.asked), 20, fmt.Sprint(hub.asked))
			})
		})
	}
}

// TestWaitForSession_ShrinkingHistory: a Hub that has lost the newest events, or all, makes nothing over.
func TestWaitForSession_ShrinkingHistory(t *testing.T) {
	for name, keep := range map[string]int{"some are left": 3, "none is left": 0} {
		t.Run(name, func(t *testing.T) {
			hub := &oddHub{}
			odd(t, hub, func(t *testing.T, c *coder.Client) {
				hub.begins()
				story(t, func() {
					time.Sleep(10 * time.Second)
					hub.ends("error", "529 overloaded")
					time.Sleep(8 * time.Second)
					hub.mu.Lock()
					hub.events, hub.nextID = hub.events[:keep], keep
					hub.mu.Unlock()
					time.Sleep(time.Minute)
					hub.emit("agent_start", nil)
					hub.ends("stop", "")
				})
				outcome, err := c.WaitForSession(anHour(t), "s", nil)
				require.NoError(t, err)
				assert.Equal(t, coder.OutcomeTurnEnded, outcome.Kind, "from %q", outcome.Evidence)
			})
		})
	}
}

// TestWaitForSession_HiddenQuestion: a tool asks while another one goes on talking, and then ends. Nothing that comes
// after the question says that it is open.
func TestWaitForSession_HiddenQuestion(t *testing.T) {
	hub := &oddHub{}
	odd(t, hub, func(t *testing.T, c *coder.Client) {
		hub.begins()
		hub.emit("tool_execution_start", map[string]any{"toolCallId": "1"})
		hub.emit("tool_execution_start", map[string]any{"toolCallId": "2"})
		hub.emit("rpc_ui_request", map[string]any{"id": "q", "method": "confirm"})
		for range 10 {
			hub.emit("tool_execution_update", map[string]any{"toolCallId": "1"})
		}
		hub.emit("tool_execution_end", map[string]any{"toolCallId": "1"})
		began := time.Now()
		outcome, err := c.WaitForSession(anHour(t), "s", nil)
		require.NoError(t, err)
		assert.Equal(t, coder.OutcomeNeedsInput, outcome.Kind, "from %q", outcome.Evidence)
		assert.LessOrEqual(t, time.Since(began), 2*time.Minute)
		deep := 0
		for _, q := range hub.asked {
			if q != "limit=3" {
				deep++
			}
		}
		assert.Equal(t, 2, deep, "it is looked at more closely once: %q", hub.asked)
	})
}
