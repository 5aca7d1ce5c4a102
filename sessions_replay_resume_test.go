package coder_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

// replays answers each request with the next of its answers, and with the last one from then on.
type replays struct {
	answers []replayAnswer
	asked   int
	queries []string
}

// replayAnswer is a body. If it is cut, the connection is lost behind it, or ends as if it were whole.
type replayAnswer struct {
	body       string
	cut, clean bool
	status     int
	header     http.Header
}

func (r *replays) RoundTrip(req *http.Request) (*http.Response, error) {
	a := r.answers[min(r.asked, len(r.answers)-1)]
	r.asked++
	r.queries = append(r.queries, req.URL.RawQuery)
	var body io.Reader = strings.NewReader(a.body)
	if a.cut && !a.clean {
		body = io.MultiReader(body, failingReader{})
	}
	header := http.Header{"Content-Type": {"application/json"}}
	for name, values := range a.header {
		header[name] = values
	}
	status := http.StatusOK
	if a.status != 0 {
		status = a.status
	}
	return &http.Response{
		StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: header, Body: io.NopCloser(body), ContentLength: -1, Request: req,
	}, nil
}

type failingReader struct{}

func (failingReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func (r *replays) client(t *testing.T, opts ...coder.Option) *coder.Client {
	t.Helper()
	return newClient(t, append([]coder.Option{
		coder.WithURL("http://hub.test"), coder.WithAPIKey(testKey), coder.WithHTTPClient(&http.Client{Transport: r}),
	}, opts...)...)
}

// replayOf is a replay with these entries.
func replayOf(entries ...string) string {
	return `{"sessionId":"x","entries":[` + strings.Join(entries, ",") + `]}`
}

// cutBefore is the replay up to the first occurrence of a text.
func cutBefore(body, text string) replayAnswer {
	return replayAnswer{body: body[:strings.Index(body, text)], cut: true}
}

func numbered(i int) string { return fmt.Sprintf(`{"type":"turn","timestamp":0,"sequence":%d}`, i) }

// contents are what tells the entries of these tests apart.
func contents(entries []coder.ConversationEntry) (all []string) {
	for _, e := range entries {
		if e.Sequence != nil {
			all = append(all, fmt.Sprint(*e.Sequence))
		} else {
			all = append(all, e.Content)
		}
	}
	return all
}

// TestReplayEntries_CutAnywhere reads 2,000 transcripts. One in ten is cut, up to eight times, at any byte,
// though not so often in a row without a further entry that the policy ends it.
func TestReplayEntries_CutAnywhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		random := rand.New(rand.NewPCG(5, 2000)) //nolint:gosec // so that a failure can be repeated
		cut := 0
		for i := range 2000 {
			var want, entries []string
			for n := range 1 + random.IntN(60) {
				text := strings.Repeat(string(rune('a'+n%26)), random.IntN(300))
				entry, _ := json.Marshal(map[string]any{"type": "message", "timestamp": 7, "content": text + `"\é`})
				content := text + `"\é`
				if i%2 == 0 {
					entry, content = []byte(numbered(n)), fmt.Sprint(n)
				}
				entries, want = append(entries, string(entry)), append(want, content)
			}
			body := replayOf(entries...)
			hub := &replays{answers: []replayAnswer{{body: body}}}
			if i%10 == 0 {
				cut++
				at, standstills := 0, 0
				hub.answers = nil
				for range 1 + random.IntN(8) {
					next := random.IntN(len(body))
					if strings.Count(body[:next], `"type"`) <= strings.Count(body[:at], `"type"`)+1 {
						if standstills++; standstills > 2 {
							break
						}
					} else {
						standstills = 0
					}
					at = max(at, next)
					hub.answers = append(hub.answers, replayAnswer{body: body[:next], cut: true})
				}
				hub.answers = append(hub.answers, replayAnswer{body: body})
			}
			got, err := collect(t, hub.client(t))
			require.NoError(t, err, "transcript %d", i)
			require.Equal(t, want, contents(got), "transcript %d: whole, and nothing twice", i)
			require.Equal(t, len(hub.answers), hub.asked, "transcript %d", i)
		}
		assert.Equal(t, 200, cut)
	})
}

// TestReplayEntries_GoesOn says what is resumed, and what has to be the same for it.
func TestReplayEntries_GoesOn(t *testing.T) {
	text := func(s string) string { return `{"type":"message","timestamp":3,"content":"` + s + `"}` }
	tool := func(args string) string {
		return `{"type":"tool_call","timestamp":4,"content":"T","toolArgs":` + args + `}`
	}
	whole := replayOf(numbered(1), numbered(2), numbered(3))
	lost := cutBefore(whole, "3}")
	words := replayOf(text("a"), text("b"), text("c"))
	for name, test := range map[string]struct {
		answers []replayAnswer
		want    string // contents
		fails   string // in the error; "": none
		again   bool   // IsTransient
	}{
		"more at the end":   {answers: []replayAnswer{lost, {body: replayOf(numbered(1), numbered(2), numbered(3), numbered(4))}}, want: "1 2 3 4"},
		"ends as if whole":  {answers: []replayAnswer{{body: lost.body, cut: true, clean: true}, {body: whole}}, want: "1 2 3"},
		"cut at the end":    {answers: []replayAnswer{{body: whole[:len(whole)-1], cut: true}, {body: whole}}, want: "1 2 3"},
		"cut while passing": {answers: []replayAnswer{lost, cutBefore(whole, "2}"), cutBefore(whole, "1}"), {body: whole}}, want: "1 2 3"},
		"the content of a numbered entry may grow": {
			answers: []replayAnswer{
				cutBefore(replayOf(`{"type":"message","timestamp":1,"sequence":1,"content":"a"}`, numbered(2)), "2}"),
				{body: replayOf(`{"type":"message","timestamp":1,"sequence":1,"content":"ab"}`, numbered(2))},
			}, want: "1 2",
		},
		"the order of members does not matter": {
			answers: []replayAnswer{
				cutBefore(replayOf(tool(`{"a":[1,null,true],"b":{"c":"d"}}`), text("end")), "end"),
				{body: replayOf(`{"content":"T","toolArgs":{"b":{"c":"d"},"a":[1,null,true]},"timestamp":4,"type":"tool_call"}`, text("end"))},
			}, want: "T end",
		},
		"another sequence":      {answers: []replayAnswer{lost, {body: replayOf(numbered(1), numbered(7), numbered(3))}}, want: "1 2", fails: "has changed"},
		"another order":         {answers: []replayAnswer{lost, {body: replayOf(numbered(2), numbered(1), numbered(3))}}, want: "1 2", fails: "has changed"},
		"another text":          {answers: []replayAnswer{cutBefore(words, `"c"`), {body: replayOf(text("a"), text("B"), text("c"))}}, want: "a b", fails: "has changed"},
		"text in another entry": {answers: []replayAnswer{cutBefore(words, `"c"`), {body: replayOf(text("ab"), text(""), text("c"))}}, want: "a b", fails: "has changed"},
		"other arguments": {
			answers: []replayAnswer{
				cutBefore(replayOf(tool(`{"a":[1,2]}`), text("end")), "end"), {body: replayOf(tool(`{"a":[1,3]}`), text("end"))},
			}, want: "T", fails: "has changed",
		},
		"changed while passing, after a cut there": {
			answers: []replayAnswer{lost, cutBefore(whole, "2}"), {body: replayOf(numbered(1), numbered(9), numbered(3))}},
			want:    "1 2", fails: "has changed",
		},
		"shorter": {answers: []replayAnswer{lost, {body: replayOf(numbered(1))}}, want: "1 2", fails: "has changed since the connection was lost: it has 1 entries"},
		"empty":   {answers: []replayAnswer{lost, {body: replayOf()}}, want: "1 2", fails: "it has 0 entries"},
		"refused": {
			answers: []replayAnswer{lost, {status: http.StatusNotFound, body: `{"error":"gone"}`}}, want: "1 2", fails: "404 Not Found: gone",
		},
		"broken by itself": {answers: []replayAnswer{{body: replayOf(numbered(1), `{"type":nonsense}`)}}, want: "1", fails: "not valid JSON"},
		"never further":    {answers: []replayAnswer{lost}, want: "1 2", fails: "unexpected EOF", again: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hub := &replays{answers: test.answers}
				got, err := collect(t, hub.client(t))
				assert.Equal(t, test.want, strings.Join(contents(got), " "))
				if test.fails == "" {
					require.NoError(t, err)
					assert.Equal(t, len(test.answers), hub.asked)
					return
				}
				require.ErrorContains(t, err, test.fails)
				var ended *coder.ReplayError
				require.ErrorAs(t, err, &ended)
				assert.Equal(t, len(got), ended.Delivered, "each is counted once")
				assert.Equal(t, test.again, coder.IsTransient(err))
			})
		})
	}
}

// TestReplayEntries_Bounds: MaxAttempts requests in a row without a further entry are the end; a further
// entry begins the count anew.
func TestReplayEntries_Bounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		body := replayOf(numbered(1), numbered(2), numbered(3), numbered(4), numbered(5))
		stuck := cutBefore(body, "2}")
		hub := &replays{answers: []replayAnswer{stuck}}
		began := time.Now()
		_, err := collect(t, hub.client(t, coder.WithRetryPolicy(coder.RetryPolicy{MinBackoff: time.Second})))
		var failed *coder.RequestError
		require.ErrorAs(t, err, &failed)
		assert.Equal(t, 4, hub.asked, "the one that has brought something, and three more")
		assert.Equal(t, hub.asked, failed.Attempts)
		assert.GreaterOrEqual(t, time.Since(began), 7*time.Second/2, "waits of 1, 2 and 4 s, less what is taken off at random")
		assert.LessOrEqual(t, time.Since(began), 7*time.Second)

		hub = &replays{answers: []replayAnswer{
			stuck, stuck, stuck, cutBefore(body, "4}"), stuck, stuck, cutBefore(body, "5}"), stuck, stuck, {body: body},
		}}
		got, err := collect(t, hub.client(t))
		require.NoError(t, err)
		assert.Len(t, got, 5)

		for name, read := range map[string]func() ([]coder.ConversationEntry, error){
			"NoResume": func() ([]coder.ConversationEntry, error) {
				hub = &replays{answers: []replayAnswer{stuck, {body: body}}}
				params := &coder.GetSessionReplayParams{Limit: 5, NoResume: true}
				return take(hub.client(t).ReplayEntries(t.Context(), "x", params), 9)
			},
			"MaxAttempts 1": func() ([]coder.ConversationEntry, error) {
				hub = &replays{answers: []replayAnswer{stuck, {body: body}}}
				return collect(t, hub.client(t, coder.WithRetryPolicy(coder.RetryPolicy{MaxAttempts: 1})))
			},
		} {
			_, err := read()
			require.ErrorIs(t, err, io.ErrUnexpectedEOF, name)
			assert.Equal(t, 1, hub.asked, name)
		}

		hub = &replays{answers: []replayAnswer{stuck, {body: body}}}
		_, err = take(hub.client(t).ReplayEntries(t.Context(), "x", &coder.GetSessionReplayParams{Limit: 5, Offset: 2}), 9)
		require.NoError(t, err)
		assert.Equal(t, []string{"limit=5&offset=2", "limit=5&offset=2"}, hub.queries, "the same entries are asked for again")
	})
}

// TestReplayEntries_WaitsAsAsked: a Hub that is away after the cut says how long to wait.
func TestReplayEntries_WaitsAsAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		body := replayOf(numbered(1), numbered(2))
		busy := replayAnswer{status: http.StatusTooManyRequests, body: `{}`, header: http.Header{"Retry-After": {"7"}}}
		hub := &replays{answers: []replayAnswer{cutBefore(body, "2}"), busy, {body: body}}}
		began := time.Now()
		got, err := collect(t, hub.client(t))
		require.NoError(t, err)
		assert.Len(t, got, 2)
		assert.GreaterOrEqual(t, time.Since(began), 7*time.Second)

		busy.header = http.Header{"Retry-After": {"3600"}}
		hub = &replays{answers: []replayAnswer{cutBefore(body, "2}"), busy}}
		_, err = collect(t, hub.client(t))
		require.ErrorIs(t, err, coder.ErrRateLimited)
		assert.True(t, coder.IsTransient(err))
		var api *coder.APIError
		require.ErrorAs(t, err, &api)
		assert.Equal(t, time.Hour, api.RetryAfter)
		assert.Equal(t, 2, api.Attempts)
	})
}

// TestReplayEntries_TheContextEndsAWait says why there was a wait.
func TestReplayEntries_TheContextEndsAWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := &replays{answers: []replayAnswer{cutBefore(replayOf(numbered(1), numbered(2)), "2}")}}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		c := hub.client(t, coder.WithRetryPolicy(coder.RetryPolicy{MinBackoff: time.Hour, MaxBackoff: time.Hour}))
		var last error
		for _, last = range c.ReplayEntries(ctx, "x", nil) {
		}
		require.ErrorIs(t, last, context.DeadlineExceeded)
		require.ErrorIs(t, last, io.ErrUnexpectedEOF)
		assert.False(t, coder.IsTransient(last))
		var ended *coder.ReplayError
		require.ErrorAs(t, last, &ended)
		assert.Equal(t, 1, ended.Delivered)
	})
}

// TestReplayEntries_GoesOnAtAHub: the same over a connection, which is cut, and falls silent.
func TestReplayEntries_GoesOnAtAHub(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub) {
		c := hubClient(t, hub)
		id := newSession(t, c)
		for i := range 100 {
			hub.Session(id).AddReplayEntries(codertest.ReplayEntry{Type: "message", Content: fmt.Sprint(i)})
		}
		whole, err := c.GetReplay(t.Context(), id, &coder.GetSessionReplayParams{NoResume: true})
		require.NoError(t, err)
		for _, request := range hub.Requests() {
			assert.Empty(t, request.RawQuery, "NoResume is not sent")
		}
		cut := hub.Inject(codertest.Fault{Cut: codertest.CutMidBody, Route: "/hub/session/{id}/replay", Count: 2})
		silent := hub.Inject(codertest.Fault{Cut: codertest.CutMidBody, Stall: true})
		got, err := take(c.ReplayEntries(t.Context(), id, nil), 1000)
		require.NoError(t, err)
		assert.Equal(t, whole.Entries, got)
		assert.Equal(t, 3, cut.Hits()+silent.Hits())
	})
}
