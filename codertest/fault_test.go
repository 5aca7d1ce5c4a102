package codertest_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go/codertest"
)

func TestCutPoints(t *testing.T) {
	for _, network := range [][]codertest.Option{nil, {codertest.WithInMemoryNetwork()}} {
		for _, test := range []struct {
			cut           codertest.CutPoint
			created       int
			status        int
			atLeast, most int
		}{
			{codertest.CutBeforeEffect, 0, 0, 0, 0},
			{codertest.CutAfterEffect, 1, 0, 0, 0},
			{codertest.CutMidBody, 1, 201, 10, 100},
		} {
			t.Run(fmt.Sprintf("%d options, cut %d", len(network), test.cut), func(t *testing.T) {
				hub := codertest.NewHub(network...)
				defer hub.Close()
				f := fixture{TB: t, Hub: hub, client: hub.HTTPClient()}
				fault := f.Inject(codertest.Fault{Method: "POST", Route: "/hub/session", Cut: test.cut})
				r, err := f.try("POST", "/hub/session", newSession)
				require.Error(t, err)
				assert.Equal(t, test.status, r.status)
				assert.GreaterOrEqual(t, len(r.body), test.atLeast)
				assert.LessOrEqual(t, len(r.body), test.most)
				if test.cut == codertest.CutMidBody {
					require.ErrorIs(t, err, io.ErrUnexpectedEOF)
				}
				assert.Len(t, f.SessionIDs(), test.created)
				assert.Equal(t, 1, fault.Hits())
				require.Len(t, f.Requests(), 1)
				assert.Equal(t, test.status, f.Requests()[0].Status)
				assert.Equal(t, newSession, string(f.Requests()[0].Body))

				f.create(newSession) // the fault is spent
			})
		}
	}
}

func TestStalls(t *testing.T) {
	for _, test := range []struct {
		cut     codertest.CutPoint
		created int
	}{
		{codertest.CutNone, 0},
		{codertest.CutBeforeEffect, 0},
		{codertest.CutAfterEffect, 1},
		{codertest.CutMidBody, 1},
	} {
		f := start(t)
		fault := f.Inject(codertest.Fault{Route: "/hub/session", Cut: test.cut, Stall: true})
		ctx, cancel := context.WithCancel(t.Context())
		req, err := http.NewRequestWithContext(ctx, "POST", f.URL()+"/api/hub/session", strings.NewReader(newSession))
		require.NoError(t, err)
		ended := make(chan error)
		answered := make(chan struct{})
		go func() {
			resp, err := f.client.Do(req)
			if err == nil {
				_, err = io.ReadFull(resp.Body, make([]byte, 10))
				close(answered)
			}
			if err == nil {
				_, err = io.ReadAll(resp.Body)
			}
			ended <- err
		}()
		if test.cut == codertest.CutMidBody {
			<-answered
		}
		require.Eventually(t, func() bool { return fault.Hits() == 1 && len(f.SessionIDs()) == test.created }, 10*time.Second, time.Millisecond)
		select {
		case err := <-ended:
			t.Fatalf("cut %d: the answer did not stall: %v", test.cut, err)
		default:
		}
		cancel()
		require.ErrorIs(t, <-ended, context.Canceled)
		f.create(newSession)
	}
}

func TestFaultAnswersInTheHubsPlace(t *testing.T) {
	f := start(t)
	for _, test := range []struct {
		fault       codertest.Fault
		status      int
		contentType string
		body        string
		created     int
	}{
		{codertest.Fault{Status: 503}, 503, "application/json", `{"success":false,"message":"Injected fault"}`, 0},
		{codertest.Fault{Status: 502, Effect: true}, 502, "application/json", `{"success":false,"message":"Injected fault"}`, 1},
		{codertest.Fault{Status: 500, Body: []byte{}}, 500, "application/json", "", 0},
		{codertest.Fault{Status: 204}, 204, "", "", 0},
		{codertest.Fault{Body: []byte("{")}, 200, "application/json", "{", 0},
		{codertest.Fault{Status: 502, Body: []byte("<p>no"), Header: http.Header{"content-type": {"text/html"}}}, 502, "text/html", "<p>no", 0},
		{codertest.Fault{Status: 200, Body: []byte("null"), Effect: true}, 200, "application/json", "null", 1},
	} {
		before := len(f.SessionIDs())
		f.Inject(test.fault)
		r, err := f.try("POST", "/hub/session", newSession)
		require.NoError(t, err)
		assert.Equal(t, test.status, r.status)
		assert.Equal(t, test.contentType, r.header.Get("Content-Type"))
		assert.Equal(t, test.body, string(r.body))
		assert.NotEmpty(t, r.header.Get("x-session-id"))
		assert.Equal(t, test.created, len(f.SessionIDs())-before, "%+v", test.fault)
	}
}

func TestFaultHeaderJoinsTheHubsAnswer(t *testing.T) {
	f := start(t)
	f.Inject(codertest.Fault{Header: http.Header{"retry-after": {"7"}, "X-Session-Id": nil, "Content-Type": {"text/plain"}}})
	r, err := f.try("POST", "/hub/session", newSession)
	require.NoError(t, err)
	assert.Equal(t, 201, r.status)
	assert.Equal(t, "7", r.header.Get("Retry-After"))
	assert.Equal(t, "text/plain", r.header.Get("Content-Type"))
	assert.NotContains(t, r.header, "X-Session-Id")
	assert.Len(t, f.SessionIDs(), 1)
}

func TestCutOfAnInjectedAnswer(t *testing.T) {
	f := start(t)
	f.Inject(codertest.Fault{Status: 200, Body: []byte("0123456789"), Cut: codertest.CutMidBody})
	r, err := f.try("GET", "/hub/sessions", "")
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	assert.Equal(t, "01234", string(r.body))
	assert.Equal(t, "10", r.header.Get("Content-Length"))
}

func TestSkipAndCount(t *testing.T) {
	for _, test := range []struct {
		skip, count int
		want        []int
	}{
		{0, 0, []int{503, 200, 200, 200, 200}},
		{0, 1, []int{503, 200, 200, 200, 200}},
		{2, 0, []int{200, 200, 503, 200, 200}},
		{1, 3, []int{200, 503, 503, 503, 200}},
		{1, -1, []int{200, 503, 503, 503, 503}},
	} {
		f := start(t)
		fault := f.Inject(codertest.Fault{Status: 503, Skip: test.skip, Count: test.count})
		var got []int
		hits := 0
		for range test.want {
			r, err := f.try("GET", "/hub/sessions", "")
			require.NoError(t, err)
			got = append(got, r.status)
			if r.status == 503 {
				hits++
			}
			assert.Equal(t, hits, fault.Hits())
		}
		assert.Equal(t, test.want, got, "skip %d, count %d", test.skip, test.count)
		fault.Remove()
		fault.Remove()
		f.get("/hub/sessions")
	}
}

func TestFaultsActInOrder(t *testing.T) {
	f := start(t)
	f.Inject(codertest.Fault{Status: 500, Skip: 1, Count: 2})
	f.Inject(codertest.Fault{Status: 501})
	f.Inject(codertest.Fault{Status: 502, Skip: 1})
	var got []int
	for range 6 {
		r, err := f.try("GET", "/hub/sessions", "")
		require.NoError(t, err)
		got = append(got, r.status)
	}
	assert.Equal(t, []int{501, 500, 500, 200, 502, 200}, got)
}

func TestFaultMatching(t *testing.T) {
	f := start(t)
	id := f.create(newSession)
	for _, test := range []struct {
		method, route string
		request       string
		want          bool
	}{
		{"", "", "GET /hub/sessions", true},
		{"", "", "GET /nonsense", true},
		{"GET", "", "GET /hub/sessions", true},
		{"POST", "", "GET /hub/sessions", false},
		{"", "/hub/sessions", "GET /hub/sessions", true},
		{"", "/hub/sessions", "GET /hub/sessions?limit=1", true},
		{"", "/hub/session/{id}", "GET /hub/session/" + id, true},
		{"", "/hub/session/{anything}", "GET /hub/session/a%2Fb", true},
		{"GET", "/hub/session/{id}", "PATCH /hub/session/" + id, false},
		{"", "/hub/session/" + id, "GET /hub/session/" + id, true},
		{"", "/hub/session/" + id, "GET /hub/session/other", false},
		{"", "/hub/session/a%2Fb", "GET /hub/session/a%2Fb", true},
		{"", "/hub/session/{id}", "POST /hub/session/builder", false},
		{"", "/hub/session/builder", "POST /hub/session/builder", true},
		{"", "/hub/session/{id}", "GET /hub/session/" + id + "/loop", false},
		{"", "/hub/session/{id}/archive", "POST /hub/session/" + id + "/archive", true},
		{"", "/{a}/{b}", "GET /hub/sessions", false},
		{"", "/hub/{b}", "GET /hub/unknown", true},
		{"", "/hub/unknown", "GET /hub/unknown", true},
	} {
		fault := f.Inject(codertest.Fault{Method: test.method, Route: test.route, Status: 418, Count: -1})
		method, path, _ := strings.Cut(test.request, " ")
		r, err := f.try(method, path, "")
		require.NoError(t, err)
		assert.Equal(t, test.want, r.status == 418, "%s %s meets %s", test.method, test.route, test.request)
		fault.Remove()
	}
	f.Inject(codertest.Fault{Route: "/coder", Status: 418})
	f.call(404, "GET", "/coder", "")
	r, err := read(f.client.Get(f.URL() + "/coder"))
	require.NoError(t, err)
	assert.Equal(t, 418, r.status)
}

func TestImpossibleFaults(t *testing.T) {
	f := start(t)
	for _, fault := range []codertest.Fault{
		{Route: "hub/session"}, {Route: "/api/hub/session"}, {Status: 100}, {Status: 1000}, {Status: -1},
		{Skip: -1}, {Delay: -1}, {Cut: 9}, {Cut: -1},
	} {
		assert.Panics(t, func() { f.Inject(fault) }, "%+v", fault)
	}
}

func TestFaultsComeBeforeCredentials(t *testing.T) {
	f := start(t, codertest.WithAPIKey("key"))
	f.Inject(codertest.Fault{Status: 503})
	f.call(503, "GET", "/hub/sessions", "")
	f.call(401, "GET", "/hub/sessions", "")
}

func TestConcurrentFaults(t *testing.T) {
	f := start(t)
	fault := f.Inject(codertest.Fault{Status: 503, Skip: 10, Count: 20})
	var mu sync.Mutex
	count := map[int]int{}
	var running sync.WaitGroup
	for range 64 {
		running.Go(func() {
			r, err := f.try("GET", "/hub/sessions", "")
			assert.NoError(t, err)
			mu.Lock()
			defer mu.Unlock()
			count[r.status]++
		})
	}
	running.Wait()
	assert.Equal(t, map[int]int{503: 20, 200: 44}, count)
	assert.Equal(t, 20, fault.Hits())
}

// A connection that was cut must not be taken for one that can be reused.
func TestCutEndsTheConnection(t *testing.T) {
	f := start(t)
	transport := f.HTTPClient().Transport.(*http.Transport)
	conn, err := transport.DialContext(t.Context(), "tcp", "anywhere:80")
	require.NoError(t, err)
	defer conn.Close()
	f.Inject(codertest.Fault{Cut: codertest.CutAfterEffect})
	_, err = io.WriteString(conn, "GET /api/hub/sessions HTTP/1.1\r\nHost: hub\r\n\r\n")
	require.NoError(t, err)
	_, err = bufio.NewReader(conn).ReadByte()
	require.ErrorIs(t, err, io.EOF)
}

func TestBodyInPlaceOfAStream(t *testing.T) {
	f := start(t)
	id := f.create(newSession)
	f.Inject(codertest.Fault{Body: []byte(`{"not":"a stream"}`)})
	r, err := f.try("GET", "/hub/session/"+id+"/events", "")
	require.NoError(t, err)
	assert.Equal(t, `200 application/json {"not":"a stream"}`, text(map[string]any{
		"status": r.status, "type": r.header.Get("Content-Type"), "body": string(r.body),
	}, "status", "type", "body"))
	f.Inject(codertest.Fault{Body: []byte("no")})
	_, _, err = websocket.Dial(t.Context(), f.URL()+"/api/ws", &websocket.DialOptions{HTTPClient: f.client})
	require.Error(t, err)
	require.NotErrorIs(t, err, io.EOF)
	assert.Len(t, f.SessionIDs(), 1)
	assert.Equal(t, 0, f.Streams())
}
