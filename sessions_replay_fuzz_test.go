package coder_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
)

// FuzzReplayEntries compares the two ways to read a replay: GetReplay, which wants all of it, and ReplayEntries, which yields
// as it comes, also of a body that breaks off or ends anywhere.
func FuzzReplayEntries(f *testing.F) {
	const id = "codesess_1"
	for _, body := range []string{
		sample(f, "responses/session-replay.json"),
		`{"sessionId":"codesess_1","entries":[]}`,
		`{"entries":[{"type":"turn"},{"type":"message","content":"x","timestamp":1768473737512.25,"later":[1]}],"sessionId":"codesess_1"}`,
		`{"sessionId":"codesess_1","entries":[{"type":"turn"}],"entries":[{"type":"message"},{}]}`,
		`{"sessionId":"codesess_1","entries":[{"type":"turn"},null]}`, `{"sessionId":"codesess_1","entries":[{"type":"turn"},{"type":tru}]}`,
		`{"sessionId":"codesess_2","entries":[{"type":"turn"}]}`, `{"entries":[{"type":"turn"}]}`, `{"entries":[{}],"sessionId":7}`,
		`{"ok":false,"sessionId":"codesess_1","entries":[{}]}`, `{"entries":[{}],"sessionId":"codesess_1","success":false}`,
		`{"sessionId":"codesess_1","entries":null}`, `{"sessionId":"codesess_1","entries":{}}`, `null`, ``, `[{"entries":[]}]`,
		`{"sessionId":"codesess_1","entries":[{"type":"turn","sequence":1.0,"toolArgs":{"n":9007199254740993}}]} `,
		`{"sessionId":"codesess_1","entries":[{"type":"turn","content":"` + "\xff" + `"}],"a":"\ud800"} {}`,
	} {
		f.Add([]byte(body), uint16(len(body)/2), false)
		f.Add([]byte(body), uint16(len(body)-1), true)
	}
	// client answers with the first bytes of a body, and then fails with cut, if there is such an error.
	client := func(t testing.TB, body []byte, cut error) *coder.Client {
		c, err := coder.NewClient(
			coder.WithURL("http://hub.test"), coder.WithRetryPolicy(coder.RetryPolicy{MaxAttempts: 1}),
			coder.WithHTTPClient(&http.Client{Transport: tripper(func(r *http.Request) (*http.Response, error) {
				var source io.Reader = bytes.NewReader(body)
				if cut != nil {
					source = io.MultiReader(source, failing{cut})
				}
				return &http.Response{
					StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Request: r, ContentLength: -1,
					Body: io.NopCloser(source),
				}, nil
			})}),
		)
		require.NoError(t, err)
		return c
	}
	read := func(c *coder.Client, t *testing.T) (entries []coder.ConversationEntry, err error) {
		for entry, failed := range c.ReplayEntries(t.Context(), id, nil) {
			require.NoError(t, err, "an error is the last thing")
			if err = failed; err == nil {
				entries = append(entries, entry)
			}
		}
		return entries, err
	}
	f.Fuzz(func(t *testing.T, body []byte, at uint16, ends bool) {
		if namedTwice(body) {
			return // the last one counts for GetReplay, but the first has been yielded by then
		}
		whole := client(t, body, nil)
		replay, wholeErr := whole.GetReplay(t.Context(), id, nil)
		entries, err := read(whole, t)
		valid := func(text []byte) bool {
			return jsontext.Value(text).IsValid(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
		}
		if !valid(body) {
			require.Error(t, wholeErr) // ReplayEntries passes unread over what it does not want
		} else if wholeErr == nil {
			require.NoError(t, err)
			require.Equal(t, jsonOf(t, replay.Entries), jsonOf(t, entries), "both ways yield the same")
		} else {
			require.Error(t, err, "GetReplay: %v", wholeErr)
			unusable := new(coder.ResponseError)
			require.ErrorAs(t, err, &unusable)
		}

		cut := error(nil)
		if !ends {
			cut = io.ErrUnexpectedEOF
		}
		some := client(t, body[:min(int(at), len(body))], cut)
		begun, err := read(some, t)
		require.LessOrEqual(t, len(begun), len(entries))
		require.Equal(t, jsonOf(t, entries[:len(begun)]), jsonOf(t, begun), "what breaks off is the beginning of the whole")
		_, cutErr := some.GetReplay(t.Context(), id, nil)
		require.False(t, cutErr == nil && err != nil, "%v", err)
		require.False(t, cutErr != nil && err == nil && valid(body), "%v", cutErr)
		if err == nil {
			require.True(t, ends, "what has not ended is not whole")
			return
		}
		broke := new(coder.ReplayError)
		if errors.As(err, &broke) {
			require.Equal(t, len(begun), broke.Delivered)
		} else {
			require.Empty(t, begun)
		}
		require.NotErrorIs(t, err, coder.ErrOutcomeUnknown)
	})
}

// namedTwice reports whether an object has two members of one name, as far as it is JSON.
func namedTwice(object []byte) bool {
	dec := jsontext.NewDecoder(bytes.NewReader(object), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if token, err := dec.ReadToken(); err != nil || token.Kind() != jsontext.KindBeginObject {
		return false
	}
	names := make(map[string]bool)
	for {
		name, err := dec.ReadToken()
		if err != nil || name.Kind() != jsontext.KindString {
			return false
		}
		if names[name.String()] {
			return true
		}
		names[name.String()] = true
		if dec.SkipValue() != nil {
			return false
		}
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// jsonOf compares values also where they hold what is equal to nothing, and where one is nil and one empty.
func jsonOf(t *testing.T, entries []coder.ConversationEntry) string {
	t.Helper()
	text, err := json.Marshal(append([]coder.ConversationEntry{}, entries...))
	require.NoError(t, err)
	return string(text)
}
