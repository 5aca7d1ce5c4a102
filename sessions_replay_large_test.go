package coder_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
)

// TestGetReplay_Large: a transcript that is decoded while it arrives is the one that is decoded whole, and so is the error
// of one that cannot be used.
func TestGetReplay_Large(t *testing.T) {
	const long = `{"type":"message","timestamp":1768473737522,"content":"%s"}`
	for name, body := range map[string]string{
		"usual":                     `{"sessionId":"x","entriesSource":"session_entries","sourceCounts":{"sessionEntries":3},"entries":[%s,{"type":"turn","timestamp":5}]}`,
		"entries first":             `{"entries":[%s],"sessionId":"x"}`,
		"blanks":                    " {\n \"entries\" : [ %s , {\"type\":\"turn\"} ] , \"sessionId\" : \"x\" }\r\n",
		"members of another Hub":    `{"sessionId":"x","later":{"a":[1,null]},"entries":[%s],"näch\"ster":"\u00e4","replay":{"a":1},"events":[1,{"b":2}]}`,
		"members of an entry":       `{"sessionId":"x","entries":[{"type":"tool_call","toolArgs":{"n":9007199254740993,"f":1e400},"later":[1]},%s]}`,
		"of the wrong kind":         `{"sessionId":"x","entriesSource":7,"entries":[{"type":1,"timestamp":"x","content":"kept","isError":"no"},%s]}`,
		"entries twice":             `{"sessionId":"x","entries":[{"type":"turn"}],"entries":[%s]}`,
		"a second, empty list":      `{"sessionId":"x","entries":[%s],"entries":[]}`,
		"no entries":                `{"sessionId":"x","later":%s}`,
		"entries are null":          `{"sessionId":"x","entries":null,"later":%s}`,
		"entries are an object":     `{"sessionId":"x","entries":%s}`,
		"an entry is null":          `{"sessionId":"x","entries":[%s,null]}`,
		"an entry is a text":        `{"sessionId":"x","entries":[{"type":"turn"},"x",%s]}`,
		"an entry is a list":        `{"sessionId":"x","entries":[%s,[]]}`,
		"no session":                `{"entries":[%s]}`,
		"another session":           `{"sessionId":"y","entries":[%s]}`,
		"refused":                   `{"ok":false,"sessionId":"x","entries":[%s]}`,
		"no JSON in an entry":       `{"sessionId":"x","entries":[%s,{"type":tru}]}`,
		"no JSON in another member": `{"sessionId":"x","entries":[%s],"later":{"a" 1}}`,
		"no JSON between entries":   `{"sessionId":"x","entries":[%s {"type":"turn"}]}`,
		"more than an object":       `{"sessionId":"x","entries":[%s]} {}`,
		"a bad byte":                "{\"sessionId\":\"x\",\"entries\":[%s,{\"type\":\"message\",\"content\":\"\xff\"}]}",
	} {
		t.Run(name, func(t *testing.T) {
			get := func(padding string) (*coder.SessionReplay, error) {
				text := fmt.Sprintf(body, fmt.Sprintf(long, padding))
				replay, err := newServer(t, answerJSON(http.StatusOK, text)).client(t).GetReplay(t.Context(), "x", nil)
				if replay != nil {
					for i := range replay.Entries {
						if replay.Entries[i].Content == padding {
							replay.Entries[i].Content = "padding"
						}
					}
					delete(replay.Extra, "later")
				}
				return replay, err
			}
			want, wantErr := get("x")
			got, err := get(strings.Repeat("x", 3<<20))
			assert.Equal(t, want, got)
			if wantErr == nil {
				require.NoError(t, err)
				return
			}
			var unusable, wanted *coder.ResponseError
			require.ErrorAs(t, err, &unusable)
			require.ErrorAs(t, wantErr, &wanted)
			assert.Equal(t, wanted.Reason, unusable.Reason)
			assert.NotEmpty(t, unusable.Body)
			assert.Equal(t, errors.Is(wantErr, coder.ErrOutcomeUnknown), errors.Is(err, coder.ErrOutcomeUnknown))
		})
	}
}

// TestGetReplay_LargeAndCut: it is asked for again, and nothing of the first answer is in the second.
func TestGetReplay_LargeAndCut(t *testing.T) {
	var requests atomic.Int32
	server := newServer(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		n := requests.Add(1)
		var b strings.Builder
		b.WriteString(`{"sessionId":"x","entries":[`)
		for i := range 4000 {
			fmt.Fprintf(&b, `{"type":"message","sequence":%d,"content":"%d %s"},`, i, n, strings.Repeat("x", 1000))
		}
		b.WriteString(`{"type":"turn"}]}`)
		text := b.String()
		if n == 1 {
			w.Header().Set("Content-Length", fmt.Sprint(len(text)))
			text = text[:len(text)/2]
		}
		_, _ = w.Write([]byte(text))
	})
	replay, err := server.client(t, coder.WithRetryPolicy(coder.RetryPolicy{})).GetReplay(t.Context(), "x", nil)
	require.NoError(t, err)
	require.Len(t, replay.Entries, 4001)
	for i := range 4000 {
		require.Equal(t, int64(i), *replay.Entries[i].Sequence)
		require.True(t, strings.HasPrefix(replay.Entries[i].Content, "2 "))
	}
	assert.Equal(t, int32(2), requests.Load())
}

// TestGetReplay_LargerThanAllowed: no more than the limit is read.
func TestGetReplay_LargerThanAllowed(t *testing.T) {
	text := `{"sessionId":"x","entries":[` + strings.Repeat(`{"type":"turn","content":"`+strings.Repeat("x", 10_000)+`"},`, 400) + `{"type":"turn"}]}`
	for _, announced := range []bool{true, false} {
		server := newServer(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			if announced {
				w.Header().Set("Content-Length", fmt.Sprint(len(text)))
			}
			for part := text; part != ""; part = part[min(len(part), 1<<16):] {
				if _, err := w.Write([]byte(part[:min(len(part), 1<<16)])); err != nil {
					return
				}
			}
		})
		_, err := server.client(t, coder.WithMaxResponseSize(2<<20)).GetReplay(t.Context(), "x", nil)
		require.ErrorIs(t, err, coder.ErrResponseTooLarge)
		_, err = server.client(t, coder.WithMaxResponseSize(int64(len(text)))).GetReplay(t.Context(), "x", nil)
		require.NoError(t, err)
	}
}

// TestGetReplay_LargeList is none of a small one either, which lacks its entries.
func TestGetReplay_LargeList(t *testing.T) {
	_, err := newServer(t, answerJSON(http.StatusOK, `["`+strings.Repeat("x", 3<<20)+`"]`)).client(t).GetReplay(t.Context(), "x", nil)
	var unusable *coder.ResponseError
	require.ErrorAs(t, err, &unusable)
	assert.Equal(t, "it is not an object", unusable.Reason)
}
