package coder_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
)

// FuzzAnswers gives every method any answer: there is a value or an error, never both and never neither; an error is one of
// the types that the documentation names, of one line, with nothing of the key that the Hub may repeat; and a value can be written.
func FuzzAnswers(f *testing.F) {
	ids := make([]string, len(methods))
	for i, m := range methods {
		text := sample(f, m.sample)
		ids[i] = "codesess_1"
		var about struct {
			SessionID string `json:"sessionId"`
		}
		if strings.Contains(m.route, "/session/ID") && json.Unmarshal([]byte(text), &about) == nil && about.SessionID != "" {
			ids[i] = about.SessionID
		}
		f.Add(uint8(i), uint16(200), []byte(text))
		f.Add(uint8(i), uint16(404), []byte(`{"error":"there is no `+testKey+`","code":"CODER_SESSION_NOT_FOUND"}`))
		f.Add(uint8(i), uint16(201), []byte(`{"`+testKey+"\n"+`":1,"ok":false}`))
	}
	for i, body := range []string{``, `null`, `[]`, `{}`, `<html>`, `{"error":{"issues":[{"path":["a",0],"message":"x"}]}}`, "{\"error\":\"a\\nb\xff\"}"} {
		f.Add(uint8(3*i), uint16(200), []byte(body))
		f.Add(uint8(3*i+1), uint16(400+i), []byte(body))
		f.Add(uint8(3*i+2), uint16(502), []byte(body))
	}
	f.Fuzz(func(t *testing.T, which uint8, status uint16, body []byte) {
		i := int(which) % len(methods)
		m := methods[i]
		if status = 200 + status%400; status/100 == 3 || m.name == "PrepareSessionForRemoteAttach" { // one is followed, the other polls
			return
		}
		c := newClient(t,
			coder.WithURL("http://hub.test"), coder.WithAPIKey(testKey), coder.WithRetryPolicy(coder.RetryPolicy{MaxAttempts: 1}),
			coder.WithHTTPClient(&http.Client{Transport: tripper(func(r *http.Request) (*http.Response, error) {
				return &http.Response{
					StatusCode: int(status), Header: http.Header{"Content-Type": {"application/json"}}, Request: r, ContentLength: -1,
					Body: io.NopCloser(bytes.NewReader(body)),
				}, nil
			})}))
		got, err := m.call(t.Context(), c, ids[i])
		if err == nil {
			require.Equal(t, 2, int(status/100))
			if !m.bodied {
				require.NotNil(t, got)
				require.True(t, jsontext.Value(body).IsValid(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)), "%s", m.name)
			}
			if v := reflect.ValueOf(got); v.IsValid() && v.Kind() == reflect.Pointer {
				require.False(t, v.IsNil(), "%s", m.name)
			}
			_, err := json.Marshal(got)
			require.NoError(t, err)
			return
		}
		require.NotContains(t, err.Error(), testKey, "%s", m.name)
		require.False(t, strings.ContainsFunc(err.Error(), func(r rune) bool { return r < ' ' }), "%s: %q", m.name, err.Error())
		require.True(t, strings.HasPrefix(err.Error(), "coder: "), "%s: %v", m.name, err)
		require.Less(t, len(err.Error()), 4096)
		var (
			api      *coder.APIError
			unusable *coder.ResponseError
		)
		switch {
		case errors.As(err, &api):
			require.Equal(t, int(status), api.StatusCode)
			require.NotContains(t, string(api.Body)+api.Message, testKey)
			details, err := json.Marshal(api.Details)
			require.NoError(t, err)
			require.NotContains(t, string(details), testKey)
		case errors.As(err, &unusable):
			require.Equal(t, 2, int(status/100))
			require.NotContains(t, string(unusable.Body), testKey)
			require.Equal(t, m.create, errors.Is(err, coder.ErrOutcomeUnknown), "%s: %v", m.name, err)
		default:
			require.Fail(t, "an error of another type", "%s: %T: %v", m.name, err, err)
		}
	})
}
