package coder_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
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

// assertNoSecret looks for a key in a value: printed with every verb, encoded, in the texts of all errors below
// it, and in everything of this module that can be reached from it with package reflect.
func assertNoSecret(t *testing.T, key, name string, v any) {
	t.Helper()
	check := func(how, text string) {
		t.Helper()
		for _, form := range []string{key, url.QueryEscape(key), fmt.Sprintf("%x", key), fmt.Sprintf("%X", key), key[:len(key)-3]} {
			assert.NotContains(t, text, form, "%s, %s", name, how)
		}
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x", "%X"} {
		check(verb, fmt.Sprintf(verb, v))
	}
	encoded, err := json.Marshal(v)
	if err == nil {
		check("JSON", string(encoded))
	}
	var walk func(v reflect.Value, path string, depth int)
	walk = func(v reflect.Value, path string, depth int) {
		if depth > 12 || !v.IsValid() {
			return
		}
		if v.CanInterface() {
			if err, ok := v.Interface().(error); ok && (v.Kind() != reflect.Pointer || !v.IsNil()) {
				check("the error "+path, err.Error())
			}
		}
		switch v.Kind() {
		case reflect.String:
			check(path, v.String())
		case reflect.Pointer, reflect.Interface:
			walk(v.Elem(), path, depth+1)
		case reflect.Struct:
			for i := range v.NumField() {
				walk(v.Field(i), path+"."+v.Type().Field(i).Name, depth+1)
			}
		case reflect.Slice, reflect.Array:
			if v.Type().Elem().Kind() == reflect.Uint8 && v.Kind() == reflect.Slice {
				check(path, string(v.Bytes()))
				return
			}
			for i := range min(v.Len(), 100) {
				walk(v.Index(i), path+"[]", depth+1)
			}
		case reflect.Map:
			for _, k := range v.MapKeys() {
				walk(k, path+"[key]", depth+1)
				walk(v.MapIndex(k), path+"["+k.String()+"]", depth+1)
			}
		}
	}
	if _, client := v.(*coder.Client); !client { // which reaches net/http, and its open connections
		walk(reflect.ValueOf(v), "", 0)
	}
}

// clearEnv takes away what the environment says about Hubs and keys.
func clearEnv(t *testing.T) {
	t.Helper()
	for _, name := range []string{
		"AGENTUITY_SDK_KEY", "AGENTUITY_CLI_KEY", "AGENTUITY_CODER_URL", "AGENTUITY_REGION",
		"AGENTUITY_CATALYST_URL", "AGENTUITY_TRANSPORT_URL",
	} {
		t.Setenv(name, "")
	}
}

// take ranges over an iterator up to an error or n elements.
func take[T any](all iter.Seq2[T, error], n int) ([]T, error) {
	list := []T{}
	for v, err := range all {
		if err != nil {
			return nil, err
		}
		if list = append(list, v); len(list) == n {
			break
		}
	}
	return list, nil
}

// queries are the queries of the requests from the given one on.
func queries(t *testing.T, hub *codertest.Hub, from int) (list []url.Values) {
	t.Helper()
	for _, request := range hub.Requests()[from:] {
		query, err := url.ParseQuery(request.RawQuery)
		require.NoError(t, err)
		list = append(list, query)
	}
	return list
}

// assertSameJSON compares JSON with what a value is encoded as: times as times, and a member that
// is false like one that is absent.
func assertSameJSON(t *testing.T, want string, got any, why string) {
	t.Helper()
	encoded, err := json.Marshal(got)
	require.NoError(t, err)
	var w, g any
	require.NoError(t, json.Unmarshal([]byte(want), &w))
	require.NoError(t, json.Unmarshal(encoded, &g))
	assert.Equal(t, normal(w), normal(g), why)
}

func getSession(t *testing.T, body string) (*coder.Session, error) {
	t.Helper()
	s := newServer(t, answerJSON(http.StatusOK, body))
	return s.client(t).GetSession(t.Context(), "x")
}

// bubble runs a test on a Hub in memory, in fake time. A goroutine that is left fails it. Nobody works on the
// sessions, so that only what the test makes happen happens.
func bubble(t *testing.T, test func(t *testing.T, hub *codertest.Hub)) {
	t.Helper()
	bubbleWith(t, test, codertest.WithoutAgent())
}

// bubbleWith is bubble with the options of the Hub.
func bubbleWith(t *testing.T, test func(t *testing.T, hub *codertest.Hub), opts ...codertest.Option) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		hub := codertest.NewHub(append(opts, codertest.WithInMemoryNetwork())...)
		defer hub.Close()
		test(t, hub)
	})
}

func hubClient(t *testing.T, hub *codertest.Hub, opts ...coder.Option) *coder.Client {
	t.Helper()
	c, err := hub.NewClient(opts...)
	require.NoError(t, err)
	return c
}

func newSession(t *testing.T, c *coder.Client) string {
	t.Helper()
	created, err := c.CreateSession(t.Context(), coder.CreateSessionRequest{Task: "Sort the list"})
	require.NoError(t, err)
	return created.SessionID
}

// unreachable is a client of a Hub that no connection can be made to until restart.
func unreachable(t *testing.T, hub *codertest.Hub, fail error, opts ...coder.Option) (c *coder.Client, restart func(), dials *atomic.Int32) {
	t.Helper()
	base := hub.HTTPClient().Transport.(*http.Transport).Clone()
	dial := base.DialContext
	var up atomic.Bool
	dials = new(atomic.Int32)
	base.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		dials.Add(1)
		if !up.Load() {
			return nil, &net.OpError{Op: "dial", Net: network, Err: fail}
		}
		return dial(ctx, network, address)
	}
	opts = append([]coder.Option{coder.WithHTTPClient(&http.Client{Transport: base})}, opts...)
	return hubClient(t, hub, opts...), func() { up.Store(true) }, dials
}

var refused = os.NewSyscallError("connect", syscall.ECONNREFUSED)

// away makes the Hub answer 501 on routes.
func away(hub *codertest.Hub, routes ...string) {
	for _, route := range routes {
		hub.Inject(codertest.Fault{Route: route, Status: http.StatusNotImplemented, Count: -1})
	}
}

// looks are the times at which a session was looked at.
func looks(hub *codertest.Hub) []time.Time {
	var times []time.Time
	for _, r := range hub.Requests() {
		if r.Method == http.MethodGet && r.Route == detailRoute {
			times = append(times, r.Time)
		}
	}
	return times
}

// gaps are the seconds between looks.
func gaps(times []time.Time) []float64 {
	var between []float64
	for i := 1; i < len(times); i++ {
		between = append(between, times[i].Sub(times[i-1]).Seconds())
	}
	return between
}
