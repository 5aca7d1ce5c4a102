package coder_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
)

const testKey = "sk_live_S3CR3T-abcdef"

// prefix is where test servers live, so that a client that loses the path of the Hub's URL fails.
const prefix = "/tenants/one"

// server is a Hub that answers as it is told, with the bytes it is told.
type server struct {
	*httptest.Server
	mu       sync.Mutex
	requests []seen
}

type seen struct {
	method, target string // target: escaped path without the prefix, and query
	header         http.Header
	body           []byte
}

func newServer(t *testing.T, handler http.HandlerFunc) *server {
	t.Helper()
	s := &server{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		path := r.URL.EscapedPath()
		if len(path) < len(prefix) || path[:len(prefix)] != prefix {
			http.Error(w, "outside the prefix", http.StatusTeapot)
			return
		}
		target := path[len(prefix):]
		if r.URL.RawQuery != "" {
			target += "?" + r.URL.RawQuery
		}
		s.mu.Lock()
		s.requests = append(s.requests, seen{r.Method, target, r.Header.Clone(), body})
		s.mu.Unlock()
		handler(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *server) seen() []seen {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]seen(nil), s.requests...)
}

// client returns a client of the server that makes one attempt a call, unless opts say otherwise.
func (s *server) client(t *testing.T, opts ...coder.Option) *coder.Client {
	t.Helper()
	return newClient(t, append([]coder.Option{
		coder.WithURL(s.URL + prefix), coder.WithAPIKey(testKey), coder.WithRetryPolicy(coder.RetryPolicy{MaxAttempts: 1}),
	}, opts...)...)
}

func newClient(t *testing.T, opts ...coder.Option) *coder.Client {
	t.Helper()
	c, err := coder.NewClient(opts...)
	require.NoError(t, err)
	t.Cleanup(c.CloseIdleConnections)
	return c
}

// answer is a handler that always answers the same.
func answer(status int, contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.Header().Set("X-Session-Id", "trace_1")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func answerJSON(status int, body string) http.HandlerFunc {
	return answer(status, "application/json", body)
}

func sample(t testing.TB, path string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", path))
	require.NoError(t, err)
	return string(data)
}

func errorsIs(err, target error) bool { return errors.Is(err, target) }
