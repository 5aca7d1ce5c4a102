package otelcoder_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

// get is the name of the span of GetSession.
const get = "GET /api/hub/session/{sessionID}"

// TestObserver_Retried: a call that succeeds at the third attempt is one span, whose events are the attempts, and no error.
func TestObserver_Retried(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub) {
		p := newProbe()
		c := p.client(t, hub)
		id := newSession(t, hub)
		hub.Inject(codertest.Fault{Method: http.MethodGet, Status: 503, Header: http.Header{"Retry-After": {"2"}}})
		hub.Inject(codertest.Fault{Method: http.MethodGet, Cut: codertest.CutMidBody})
		ctx, program := p.tracers.Tracer("program").Start(t.Context(), "program")
		_, err := c.GetSession(ctx, id)
		require.NoError(t, err)
		program.End()

		span := p.one(t, get)
		assert.Equal(t, trace.SpanKindClient, span.SpanKind)
		assert.Equal(t, program.SpanContext().SpanID(), span.Parent.SpanID())
		assert.Equal(t, program.SpanContext().TraceID(), span.SpanContext.TraceID())
		assert.Equal(t, codes.Unset, span.Status.Code)
		assert.Equal(t, "github.com/agentuity/coder-go/otelcoder", span.InstrumentationScope.Name)
		assert.Equal(t, "https://opentelemetry.io/schemas/1.41.0", span.InstrumentationScope.SchemaURL)
		assert.Equal(t, map[string]any{
			"agentuity.coder.operation": "GetSession", "http.request.method": "GET", "url.template": "/api/hub/session/{sessionID}",
			"server.address": strings.TrimPrefix(hub.URL(), "http://"), "server.port": int64(80), "http.response.status_code": int64(200), "http.request.resend_count": int64(2),
		}, attributes(span.Attributes))
		require.Len(t, span.Events, 3)
		wait := func(i int) float64 {
			seconds, _ := attributes(span.Events[i].Attributes)["agentuity.coder.attempt.wait"].(float64)
			return seconds
		}
		assert.GreaterOrEqual(t, wait(0), 2.0)
		assert.Positive(t, wait(1))
		assert.Equal(t, map[string]any{
			"agentuity.coder.attempt.number": int64(1), "http.response.status_code": int64(503), "error.type": "503",
			"agentuity.coder.attempt.failure": "unavailable", "agentuity.coder.attempt.wait": wait(0),
		}, attributes(span.Events[0].Attributes))
		assert.Equal(t, map[string]any{
			"agentuity.coder.attempt.number": int64(2), "error.type": "lost",
			"agentuity.coder.attempt.failure": "lost", "agentuity.coder.attempt.wait": wait(1),
		}, attributes(span.Events[1].Attributes))
		assert.Equal(t, map[string]any{"agentuity.coder.attempt.number": int64(3), "http.response.status_code": int64(200)},
			attributes(span.Events[2].Attributes))

		const route = "http.request.method=GET "
		assert.Equal(t, []string{
			"error.type=503 " + route + "http.response.status_code=503 url.template=/api/hub/session/{sessionID}: 1",
			"error.type=lost " + route + "url.template=/api/hub/session/{sessionID}: 1",
			route + "http.response.status_code=200 url.template=/api/hub/session/{sessionID}: 1",
		}, p.lines(t, "http.client.request.duration"))
		assert.Equal(t, []string{"attempt.failure=lost operation=GetSession: 1", "attempt.failure=unavailable operation=GetSession: 1"},
			p.lines(t, "agentuity.coder.retries"))
		assert.Equal(t, []string{"operation=GetSession: 1"}, p.lines(t, "agentuity.coder.operation.duration"))
		assert.GreaterOrEqual(t, p.sum(t, "agentuity.coder.operation.duration"), 2.0, "the waits count")
		assert.Less(t, p.sum(t, "http.client.request.duration"), 1.0, "the waits do not count")
	})
}

// TestObserver_Failed: what a call is said to have failed with.
func TestObserver_Failed(t *testing.T) {
	type result struct {
		span, kind string
		unknown    bool
	}
	const list, create = "GET /api/hub/sessions", "POST /api/hub/session"
	for name, test := range map[string]struct {
		fault codertest.Fault
		call  func(context.Context, *coder.Client) error
		want  result
	}{
		"not found": {codertest.Fault{Status: 404}, listSessions, result{list, "404", false}},
		"redirect":  {codertest.Fault{Status: 302}, listSessions, result{list, "302", false}},
		"unusable":  {codertest.Fault{Body: []byte("{}")}, listSessions, result{list, "unusable", false}},
		"lost":      {codertest.Fault{Cut: codertest.CutMidBody, Count: -1}, listSessions, result{list, "lost", false}},
		"503":       {codertest.Fault{Status: 503, Count: -1}, listSessions, result{list, "503", false}},
		"cancelled": {codertest.Fault{Delay: time.Minute}, func(ctx context.Context, c *coder.Client) error {
			ctx, cancel := context.WithCancel(ctx)
			time.AfterFunc(time.Second, cancel)
			return listSessions(ctx, c)
		}, result{list, "canceled", false}},
		"timeout": {codertest.Fault{Delay: time.Minute}, func(ctx context.Context, c *coder.Client) error {
			ctx, cancel := context.WithTimeout(ctx, time.Second)
			defer cancel()
			return listSessions(ctx, c)
		}, result{list, "timeout", false}},
		"cancelled before another attempt": {codertest.Fault{Status: 503, Count: -1}, func(ctx context.Context, c *coder.Client) error {
			ctx, cancel := context.WithCancel(ctx)
			time.AfterFunc(time.Second, cancel)
			return listSessions(ctx, c)
		}, result{list, "canceled", false}},
		"a create, 503":  {codertest.Fault{Status: 503}, createSession, result{create, "503", true}},
		"a create, lost": {codertest.Fault{Cut: codertest.CutAfterEffect}, createSession, result{create, "lost", true}},
		"a create, cancelled": {codertest.Fault{Delay: time.Minute}, func(ctx context.Context, c *coder.Client) error {
			ctx, cancel := context.WithCancel(ctx)
			time.AfterFunc(time.Second, cancel)
			return createSession(ctx, c)
		}, result{create, "canceled", true}},
		"Do": {codertest.Fault{Status: 418}, func(ctx context.Context, c *coder.Client) error {
			return c.Do(ctx, http.MethodPut, "/hub/secret/7?key=x", nil, nil)
		}, result{"PUT", "418", false}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, hub *codertest.Hub) {
				p := newProbe()
				hub.Inject(test.fault)
				require.Error(t, test.call(t.Context(), p.client(t, hub)))
				span := p.one(t, test.want.span)
				attrs := attributes(span.Attributes)
				assert.Equal(t, codes.Error, span.Status.Code, "a call that returns an error has failed, also if it was cancelled")
				assert.Empty(t, span.Status.Description)
				assert.Equal(t, test.want.kind, attrs["error.type"])
				assert.Equal(t, test.want.unknown, attrs["agentuity.coder.outcome_unknown"] == true)
				operation, _ := attrs["agentuity.coder.operation"].(string)
				assert.Equal(t, []string{"error.type=" + test.want.kind + " operation=" + operation + ": 1"}, p.lines(t, "agentuity.coder.operation.duration"))
				if test.want.unknown {
					assert.Equal(t, []string{"operation=" + operation + " scope=program: 1"}, p.lines(t, "agentuity.coder.unknown_outcomes"))
				} else {
					assert.Empty(t, p.lines(t, "agentuity.coder.unknown_outcomes"))
				}
			})
		})
	}
}

func listSessions(ctx context.Context, c *coder.Client) error {
	_, err := c.ListSessions(ctx, nil)
	return err
}

func createSession(ctx context.Context, c *coder.Client) error {
	_, err := c.CreateSession(ctx, coder.CreateSessionRequest{Task: "Say hello"})
	return err
}

// TestObserver_DoneBefore: what an attempt has done whose answer was lost is no error, although the last answer was 404.
func TestObserver_DoneBefore(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub) {
		p := newProbe()
		id := newSession(t, hub)
		hub.Inject(codertest.Fault{Method: http.MethodDelete, Cut: codertest.CutAfterEffect})
		require.NoError(t, p.client(t, hub).DeleteSession(t.Context(), id))
		span := p.one(t, "DELETE /api/hub/session/{sessionID}")
		assert.Equal(t, codes.Unset, span.Status.Code)
		assert.Equal(t, int64(404), attributes(span.Attributes)["http.response.status_code"])
		assert.NotContains(t, attributes(span.Attributes), "error.type")
	})
}

// TestObserver_NoCredential: a call that made no attempt has failed too.
func TestObserver_NoCredential(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub) {
		p := newProbe()
		refused := errors.New("refused")
		c, err := coder.NewClient(coder.WithURL(hub.URL()), coder.WithHTTPClient(hub.HTTPClient()), coder.WithObserver(p.observer),
			coder.WithCredential(func(context.Context) (string, error) { return "", refused }))
		require.NoError(t, err)
		require.ErrorIs(t, listSessions(t.Context(), c), refused)
		span := p.one(t, "GET /api/hub/sessions")
		assert.Equal(t, "no_credential", attributes(span.Attributes)["error.type"])
		assert.Empty(t, span.Events)
	})
}

// TestObserver_Ports: a port that the URL does not name is that of its scheme.
func TestObserver_Ports(t *testing.T) {
	for url, want := range map[string][2]any{
		"http://hub.test":        {"hub.test", int64(80)},
		"https://hub.test/x":     {"hub.test", int64(443)},
		"https://[::1]:8443":     {"::1", int64(8443)},
		"https://[2001:db8::7]/": {"2001:db8::7", int64(443)},
	} {
		p := newProbe()
		refuse := roundTripper(func(*http.Request) (*http.Response, error) { return nil, errors.New("no network") })
		c, err := coder.NewClient(coder.WithURL(url), coder.WithAPIKey(testKey), coder.WithObserver(p.observer),
			coder.WithHTTPClient(&http.Client{Transport: refuse}), coder.WithRetryPolicy(coder.RetryPolicy{MaxAttempts: 1}))
		require.NoError(t, err)
		require.Error(t, listSessions(t.Context(), c))
		attrs := attributes(p.one(t, "GET /api/hub/sessions").Attributes)
		assert.Equal(t, want, [2]any{attrs["server.address"], attrs["server.port"]}, url)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestObserver_Composite: a call made of several is above theirs, and only it counts as a call of the program.
func TestObserver_Composite(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub) {
		p := newProbe()
		c := p.client(t, hub)
		hub.Inject(codertest.Fault{Method: http.MethodPost, Cut: codertest.CutAfterEffect})
		ensured, err := c.EnsureSession(t.Context(), "delivery-42", coder.CreateSessionRequest{Task: "Say hello"}, nil)
		require.NoError(t, err)
		conn, err := c.Attach(t.Context(), ensured.SessionID, nil)
		require.NoError(t, err)
		conn.DiscardMessages()
		_, err = conn.GetState(t.Context())
		require.NoError(t, err)
		require.NoError(t, conn.Close())

		assert.Equal(t, []string{
			"WebSocket GetState", "coder.Attach", "coder.Attach > " + get,
			"coder.EnsureSession", "coder.EnsureSession > " + get, "coder.EnsureSession > GET /api/hub/sessions", "coder.EnsureSession > POST /api/hub/session",
		}, p.paths())
		assert.Equal(t, trace.SpanKindInternal, p.one(t, "coder.EnsureSession").SpanKind)
		assert.Equal(t, codes.Unset, p.one(t, "coder.EnsureSession").Status.Code, "it has found out")
		assert.Equal(t, map[string]any{"agentuity.coder.operation": "EnsureSession"}, attributes(p.one(t, "coder.EnsureSession").Attributes))
		assert.Equal(t, codes.Error, p.one(t, "POST /api/hub/session").Status.Code)
		assert.Equal(t, trace.SpanKindClient, p.one(t, "WebSocket GetState").SpanKind)
		assert.Equal(t, []string{"operation=Attach: 1", "operation=EnsureSession: 1", "operation=GetState: 1"}, p.lines(t, "agentuity.coder.operation.duration"))
		assert.Equal(t, []string{"operation=EnsureSession scope=inner: 1"}, p.lines(t, "agentuity.coder.unknown_outcomes"))
		events := p.one(t, "coder.Attach").Events
		require.Len(t, events, 1)
		assert.Equal(t, map[string]any{
			"agentuity.coder.operation": "Attach", "agentuity.coder.connection.change": "opened", "agentuity.coder.attempt.number": int64(1),
		}, attributes(events[0].Attributes))
	})
}

// TestObserver_UnknownOnce: an unknown outcome counts once, whatever the call that is told of it is made of, and the span of a message
// has another name than that of the method which sends it.
func TestObserver_UnknownOnce(t *testing.T) {
	for name, send := range map[string]func(context.Context, *coder.HubConn) error{
		"Prompt": func(ctx context.Context, conn *coder.HubConn) error { return conn.Prompt(ctx, "Say hello") },
		"Submit": func(ctx context.Context, conn *coder.HubConn) error {
			_, err := conn.Submit(ctx, "Say hello")
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, hub *codertest.Hub) {
				p := newProbe()
				network := hub.HTTPClient().Transport.(*http.Transport).Clone()
				defer network.CloseIdleConnections()
				var breaks atomic.Bool
				dial := network.DialContext
				network.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
					conn, err := dial(ctx, network, address)
					return &breakingConn{conn, &breaks}, err
				}
				conn := attach(t, p.client(t, hub, coder.WithHTTPClient(&http.Client{Transport: network})), idle(t, hub).ID())
				synctest.Wait()
				breaks.Store(true)
				require.ErrorIs(t, send(t.Context(), conn), coder.ErrOutcomeUnknown)
				require.NoError(t, conn.Close())
				assert.Equal(t, []string{"operation=" + name + " scope=program: 1"}, p.lines(t, "agentuity.coder.unknown_outcomes"))
				assert.Contains(t, p.paths(), "coder."+name+" > WebSocket "+name)
				assert.Equal(t, trace.SpanKindClient, p.one(t, "WebSocket "+name).SpanKind)
			})
		})
	}
}

// breakingConn is a connection that breaks in the middle of a message.
type breakingConn struct {
	net.Conn
	breaks *atomic.Bool
}

func (c *breakingConn) Write(p []byte) (int, error) {
	if p[0] != 0x81 || !c.breaks.Load() { // the first byte of a message
		return c.Conn.Write(p)
	}
	n, _ := c.Conn.Write(p[:len(p)/2])
	_ = c.Close()
	return n, io.ErrClosedPipe
}

// TestObserver_UnknownCounts: which of the calls above one another counts.
func TestObserver_UnknownCounts(t *testing.T) {
	p := newProbe()
	unknown := coder.CallResult{Err: coder.ErrOutcomeUnknown}
	call := func(ctx context.Context, operation string) (context.Context, func(coder.CallResult)) {
		return p.observer.Call(ctx, coder.CallInfo{Operation: operation, Route: "/ws"})
	}
	run, runOver := call(t.Context(), "RunSession")
	ensure, ensureOver := call(run, "EnsureSession")
	_, over := call(ensure, "EnsureSession")
	over(unknown)
	_, over = call(ensure, "EnsureSession")
	over(unknown)
	ensureOver(unknown) // of the second: the first is another outcome, which it has dealt with
	runOver(coder.CallResult{})
	assert.Equal(t, []string{"operation=EnsureSession scope=inner: 2"}, p.lines(t, "agentuity.coder.unknown_outcomes"))

	prompt, promptOver := call(t.Context(), "Prompt")
	_, over = call(prompt, "Prompt")
	over(unknown)
	promptOver(unknown)
	assert.Equal(t, []string{"operation=EnsureSession scope=inner: 2", "operation=Prompt scope=program: 1"},
		p.lines(t, "agentuity.coder.unknown_outcomes"))

	ask, askOver := call(t.Context(), "Ask")
	_, late := call(ask, "Ask")
	askOver(unknown) // what it was told of has not ended yet
	late(unknown)
	assert.Equal(t, []string{"operation=Ask scope=inner: 1", "operation=Ask scope=program: 1", "operation=EnsureSession scope=inner: 2",
		"operation=Prompt scope=program: 1"}, p.lines(t, "agentuity.coder.unknown_outcomes"), "what ends later is another outcome")
}

// TestObserver_Discovery: finding the Hub is below the call that needs it, and its route is not below /api.
func TestObserver_Discovery(t *testing.T) {
	for _, name := range []string{"AGENTUITY_CODER_URL", "AGENTUITY_REGION", "AGENTUITY_TRANSPORT_URL"} {
		t.Setenv(name, "")
	}
	hub := codertest.NewHub()
	defer hub.Close()
	t.Setenv("AGENTUITY_CATALYST_URL", hub.URL())
	p := newProbe()
	c, err := coder.NewClient(coder.WithAPIKey(testKey), coder.WithHTTPClient(hub.HTTPClient()), coder.WithObserver(p.observer))
	require.NoError(t, err)
	require.NoError(t, listSessions(t.Context(), c))
	assert.Equal(t, []string{"GET /api/hub/sessions", "GET /api/hub/sessions > GET /coder"}, p.paths())
}

// TestObserver_Streams: live connections that are lost and back.
func TestObserver_Streams(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub) {
		p := newProbe()
		c := p.client(t, hub)
		id := newSession(t, hub)
		session := hub.Session(id)
		session.SetStatus("active")
		conn, err := c.Connect(t.Context(), id, &coder.HubConnectOptions{ReconnectDelay: time.Second})
		require.NoError(t, err)
		conn.DiscardMessages()
		var streams sync.WaitGroup
		streams.Go(func() {
			for _, err := range c.StreamEvents(t.Context(), id, nil) {
				assert.NoError(t, err)
			}
		})
		time.Sleep(10 * time.Second)
		assert.Equal(t, []string{"operation=Connect: 1", "operation=StreamEvents: 1"}, p.lines(t, "agentuity.coder.connection.active"))
		session.RefuseStreams(codertest.Refusal{Count: 2, Status: 503})
		session.CutStreams()
		time.Sleep(time.Minute)
		assert.InDelta(t, 2, p.sum(t, "agentuity.coder.connection.active"), 0)
		session.Archive()
		streams.Wait()
		require.NoError(t, conn.Close())

		assert.Equal(t, []string{"operation=Connect: 0", "operation=StreamEvents: 0"}, p.lines(t, "agentuity.coder.connection.active"))
		changes := map[string]int{}
		for _, line := range p.lines(t, "agentuity.coder.connection.changes") {
			name, count, _ := strings.Cut(line, ": ")
			n, err := strconv.Atoi(count)
			require.NoError(t, err)
			change, operation, _ := strings.Cut(name, " operation=")
			change, _, _ = strings.Cut(change, " ")
			changes[operation+" "+strings.TrimPrefix(change, "connection.change=")] += n
		}
		assert.Equal(t, 1, changes["Connect opened"])
		assert.Equal(t, 1, changes["Connect lost"])
		assert.Equal(t, 1, changes["Connect back"])
		assert.Equal(t, 1, changes["StreamEvents back"])
		assert.Equal(t, 2, changes["Connect failed"]+changes["StreamEvents failed"])
		assert.Equal(t, []string{"operation=Connect: 1", "operation=StreamEvents: 1"}, p.lines(t, "agentuity.coder.connection.down_time"))
		assert.Positive(t, p.sum(t, "agentuity.coder.connection.down_time"))

		other := hub.Session(newSession(t, hub))
		other.SetStatus("active")
		away, err := c.Connect(t.Context(), other.ID(), nil)
		require.NoError(t, err)
		away.DiscardMessages()
		other.RefuseStreams(codertest.Refusal{Count: -1, Status: 503})
		other.CutStreams()
		time.Sleep(time.Second)
		require.NoError(t, away.Close())
		assert.Equal(t, []string{"operation=Connect: 0", "operation=StreamEvents: 0"}, p.lines(t, "agentuity.coder.connection.active"), "it was closed while it was away")
	}, codertest.WithoutAgent())
}

// TestObserver_Transport: each request has the span of its call in its context, for a transport that sends it on.
func TestObserver_Transport(t *testing.T) {
	p := newProbe()
	var sent trace.SpanContext
	c := benchClient(t, coder.WithObserver(p.observer), coder.WithHTTPClient(&http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		sent = trace.SpanContextFromContext(r.Context())
		return canned(r)
	})}))
	_, err := c.GetSession(t.Context(), "codesess_1")
	require.NoError(t, err)
	assert.Equal(t, p.one(t, get).SpanContext.SpanID(), sent.SpanID())
}
