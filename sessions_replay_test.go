package coder_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

// collect ranges over a replay and returns what came.
func collect(t *testing.T, c *coder.Client) (entries []coder.ConversationEntry, err error) {
	t.Helper()
	for entry, e := range c.ReplayEntries(t.Context(), "x", nil) {
		require.NoError(t, err, "nothing comes after an error")
		if e != nil {
			err = e
			continue
		}
		entries = append(entries, entry)
	}
	return entries, err
}

const twoEntries = `[{"type":"user_prompt","timestamp":1,"content":"a","new":{"kept":1}},{"type":"message","timestamp":"bad","content":"b"}]`

func TestReplayEntries(t *testing.T) {
	for name, body := range map[string]string{
		"as documented":        `{"sessionId":"x","entriesSource":"session_entries","sourceCounts":{"a":[1]},"entries":` + twoEntries + `}`,
		"entries first":        `{"entries":` + twoEntries + `,"events":[{"a":[{}]}],"sessionId":"x"}`,
		"blanks and more":      " { \"replay\" : null , \"sessionId\" : \"x\",\n\"entries\" : " + twoEntries + " , \"z\":1.5 } \n",
		"two lists of entries": `{"sessionId":"x","entries":[{"type":"user_prompt","timestamp":1,"content":"a","new":{"kept":1}}],"entries":[{"type":"message","content":"b"}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, answerJSON(http.StatusOK, body))
			entries, err := collect(t, s.client(t))
			require.NoError(t, err)
			require.Len(t, entries, 2)
			assert.Equal(t, coder.EntryUserPrompt, entries[0].Type)
			assert.JSONEq(t, `{"kept":1}`, string(entries[0].Extra["new"]))
			assert.Equal(t, "b", entries[1].Content)
			assert.True(t, entries[1].Timestamp.IsZero(), "one bad member does not cost the others")
		})
	}
	t.Run("an empty one", func(t *testing.T) {
		s := newServer(t, answerJSON(http.StatusOK, `{"sessionId":"x","entries":[]}`))
		entries, err := collect(t, s.client(t))
		require.NoError(t, err)
		assert.Empty(t, entries)
	})
	t.Run("the sample, as GetReplay has it", func(t *testing.T) {
		text := strings.Replace(sample(t, "responses/session-replay.json"), `"codesess_91c4f07e66d3"`, `"x"`, 1)
		s := newServer(t, answerJSON(http.StatusOK, text))
		entries, err := collect(t, s.client(t))
		require.NoError(t, err)
		whole, err := s.client(t).GetReplay(t.Context(), "x", nil)
		require.NoError(t, err)
		assert.Equal(t, whole.Entries, entries)
	})
}

// TestGetReplay_WithoutEntries is an error, as it is of ReplayEntries.
func TestGetReplay_WithoutEntries(t *testing.T) {
	for _, body := range []string{`{"sessionId":"x"}`, `{"sessionId":"x","entries":null}`, `{"sessionId":"x","entries":{"a":1}}`} {
		replay, err := newServer(t, answerJSON(http.StatusOK, body)).client(t).GetReplay(t.Context(), "x", nil)
		assert.Nil(t, replay)
		var unusable *coder.ResponseError
		require.ErrorAs(t, err, &unusable)
		assert.Equal(t, `the list "entries" is missing`, unusable.Reason)
	}
}

func TestReplayEntries_UnusableAnswers(t *testing.T) {
	for body, want := range map[string]struct {
		delivered int
		says      string
	}{
		`{"sessionId":"x","entries":` + twoEntries + `} x`:          {2, "not valid JSON"},
		`{"sessionId":"x","entries":` + twoEntries:                  {2, "not valid JSON"},
		`{"sessionId":"x","entries":` + twoEntries[:50]:             {0, "not valid JSON"},
		`{"entries":` + twoEntries + `}`:                            {2, `"sessionId" is missing`},
		`{"sessionId":"x"}`:                                         {0, `"entries" is missing`},
		`{"sessionId":"x","entries":null}`:                          {0, `"entries" is missing`},
		`{"sessionId":"x","entries":{"a":1}}`:                       {0, `"entries" is missing`},
		`{"sessionId":"y","entries":` + twoEntries + `}`:            {0, `"y", and "x" was asked for`},
		`{"entries":` + twoEntries + `,"sessionId":"y"}`:            {2, `"y", and "x" was asked for`},
		`{"sessionId":"x","entries":` + twoEntries + `,"ok":false}`: {2, "request failed"},
		`[]`: {0, "not valid JSON"}, `null`: {0, "not valid JSON"}, ``: {0, "not valid JSON"}, `<html>`: {0, "not valid JSON"},
	} {
		t.Run(body, func(t *testing.T) {
			s := newServer(t, answerJSON(http.StatusOK, body))
			entries, err := collect(t, s.client(t))
			assert.Len(t, entries, want.delivered)
			var ended *coder.ReplayError
			require.ErrorAs(t, err, &ended)
			assert.Equal(t, want.delivered, ended.Delivered)
			var bad *coder.ResponseError
			require.ErrorAs(t, err, &bad)
			assert.Contains(t, bad.Reason, want.says)
			assert.Equal(t, "trace_1", bad.RequestID)
			assert.Regexp(t, `^coder: ReplayEntries: unusable answer: .*\(after \d entries\)$`, err.Error())
		})
	}
}

// slowReplay writes entries until the client leaves, and tells when it has.
func slowReplay(left chan<- struct{}) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		defer close(left)
		w.Header().Set("Content-Type", "application/json")
		_, err := io.WriteString(w, `{"sessionId":"x","entries":[{"type":"turn","timestamp":0}`)
		for i := 1; err == nil; i++ {
			_, err = fmt.Fprintf(w, `,{"type":"message","timestamp":%d,"content":"%s"}`, i, strings.Repeat("x", 1000))
		}
	}
}

func TestReplayEntries_BreakClosesTheConnection(t *testing.T) {
	left := make(chan struct{})
	s := newServer(t, slowReplay(left))
	n := 0
	for entry, err := range s.client(t).ReplayEntries(t.Context(), "x", nil) {
		require.NoError(t, err)
		assert.EqualValues(t, n, entry.Timestamp.UnixMilli())
		if n++; n == 10 {
			break
		}
	}
	<-left
}

func TestReplayEntries_EndsWithTheContext(t *testing.T) {
	left := make(chan struct{})
	s := newServer(t, slowReplay(left))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	n := 0
	var last error
	for _, err := range s.client(t).ReplayEntries(ctx, "x", nil) {
		if last = err; err == nil {
			if n++; n == 5 {
				cancel()
			}
		}
	}
	<-left
	require.ErrorIs(t, last, context.Canceled)
	var ended *coder.ReplayError
	require.ErrorAs(t, last, &ended)
	assert.Equal(t, n, ended.Delivered)
}

func TestReplayEntries_LostInTheMiddle(t *testing.T) {
	for name, test := range map[string]struct {
		fault codertest.Fault
		took  time.Duration
	}{
		"cut":    {codertest.Fault{Cut: codertest.CutMidBody}, 0},
		"silent": {codertest.Fault{Cut: codertest.CutMidBody, Stall: true}, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, hub *codertest.Hub) {
				given := *hub.HTTPClient()
				given.Timeout = time.Second // of unary calls, not of a stream
				c := hubClient(t, hub, coder.WithHTTPClient(&given))
				id := newSession(t, c)
				for i := range 100 {
					hub.Session(id).AddReplayEntries(codertest.ReplayEntry{Type: "message", Content: fmt.Sprint(i)})
				}
				hub.Inject(codertest.Fault{Status: 503}) // the way to the headers is repeated
				hub.Inject(test.fault)
				began, n := time.Now(), 0
				var last error
				for _, err := range c.ReplayEntries(t.Context(), id, &coder.GetSessionReplayParams{NoResume: true}) {
					if last = err; err == nil {
						n++
					}
				}
				var ended *coder.ReplayError
				require.ErrorAs(t, last, &ended)
				assert.True(t, coder.IsTransient(last), "the same call may work")
				assert.Equal(t, n, ended.Delivered)
				assert.Positive(t, n)
				assert.Less(t, n, 101)
				var failed *coder.RequestError
				require.ErrorAs(t, last, &failed)
				assert.Equal(t, 2, failed.Attempts)
				assert.InDelta(t, test.took.Seconds(), time.Since(began).Seconds(), 0.2)

				n = 0
				for _, err := range c.ReplayEntries(t.Context(), id, nil) {
					require.NoError(t, err, "ranging again starts over")
					n++
				}
				assert.Equal(t, 101, n)
			})
		})
	}
}

// TestReplayEntries_Memory: 16 MB go by, and the live heap stays small.
func TestReplayEntries_Memory(t *testing.T) {
	const entries, size = 16_000, 1000
	s := newServer(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"sessionId":"x","entries":[{"type":"turn","timestamp":0}`)
		entry := `,{"type":"message","timestamp":1,"content":"` + strings.Repeat("x", size) + `"}`
		for range entries {
			_, _ = io.WriteString(w, entry)
		}
		_, _ = io.WriteString(w, `]}`)
	})
	var before, now runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	n, most := 0, uint64(0)
	for _, err := range s.client(t).ReplayEntries(t.Context(), "x", nil) {
		require.NoError(t, err)
		if n++; n%4_000 == 0 {
			runtime.GC()
			runtime.ReadMemStats(&now)
			most = max(most, now.HeapAlloc)
		}
	}
	assert.Equal(t, entries+1, n)
	assert.Less(t, int64(most)-int64(before.HeapAlloc), int64(1<<20), "what is held does not grow with the replay")
}

func TestReplayEntries_BoundsAnEntry(t *testing.T) {
	huge := `{"type":"message","timestamp":1,"content":"` + strings.Repeat("x", 1<<20) + `"}`
	passed := `"events":[` + strings.Repeat(`"`+strings.Repeat("y", 1000)+`",`, 1000) + `1]`
	s := newServer(t, answerJSON(http.StatusOK, `{"sessionId":"x",`+passed+`,"entries":[{"type":"turn","timestamp":1},`+huge+`]}`))
	entries, err := collect(t, s.client(t, coder.WithMaxResponseSize(512<<10)))
	assert.Len(t, entries, 1, "what is passed over may be of any size")
	require.ErrorIs(t, err, coder.ErrResponseTooLarge)
}
