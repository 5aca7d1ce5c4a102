package codertest_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go/codertest"
)

// A cut is noticed at once, and not when something is to be sent.
func TestCutsAreNoticedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t)
		defer f.Close()
		id := f.create(newSession)
		o := f.observe(id, "")
		defer o.close()
		o.expect(opening...)
		began := time.Now()
		f.Session(id).CutStreams()
		o.broken()
		assert.Zero(t, time.Since(began))
	})
}

// StallStreams and a Fault that stalls leave a connection without a word, even
// at the end of the session, and CutStreams ends it all the same.
func TestStalledConnectionsStaySilent(t *testing.T) {
	for _, cut := range []codertest.CutPoint{codertest.CutNone, codertest.CutAfterEffect, codertest.CutMidBody} {
		for _, transport := range []string{"sse", "ws"} {
			synctest.Test(t, func(t *testing.T) {
				f := start(t, codertest.WithStreamQueue(8))
				defer f.Close()
				id := f.active()
				if cut != codertest.CutNone {
					f.Inject(codertest.Fault{Method: "GET", Cut: cut, Stall: true})
				}
				ended := make(chan error, 1)
				go func() { ended <- f.readAll(transport, id) }()
				synctest.Wait()
				require.Equal(t, 1, f.Session(id).Streams())
				if cut == codertest.CutNone {
					f.Session(id).StallStreams()
				}
				for range 100 {
					f.Session(id).Emit(eventNamed("turn_end"))
				}
				f.Session(id).EndStreams(1000, "")
				f.Session(id).Shutdown()
				time.Sleep(time.Hour)
				select {
				case err := <-ended:
					t.Errorf("%s, cut %d: it should hang, and not end with %v", transport, cut, err)
				default:
				}
				assert.Equal(t, 1, f.Session(id).Streams())
				began := time.Now()
				f.Session(id).CutStreams()
				require.Error(t, <-ended, "%s, cut %d", transport, cut)
				assert.Zero(t, time.Since(began))
				synctest.Wait()
				assert.Equal(t, 0, f.Streams())
			})
		}
	}
}

// readAll follows a session until it cannot any more.
func (f fixture) readAll(transport, id string) error {
	if transport == "sse" {
		f.client.CloseIdleConnections() // on a new connection nothing is repeated
		_, err := read(f.client.Get(f.URL() + "/api/hub/session/" + id + "/events"))
		return err
	}
	conn, _, err := websocket.Dial(context.Background(), f.URL()+"/api/ws?sessionId="+id, &websocket.DialOptions{HTTPClient: f.client})
	if err != nil {
		return err
	}
	defer func() { _ = conn.CloseNow() }()
	for {
		if _, _, err := conn.Read(context.Background()); err != nil {
			return err
		}
	}
}

// WithStreamQueue says how many messages may wait, besides the one that is
// being sent.
func TestStreamQueueIsExact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit = 5
		f := start(t, codertest.WithStreamQueue(limit))
		defer f.Close()
		id := f.create(newSession)
		o := f.observe(id, "")
		defer o.close()
		o.expect(opening...)
		for range 1 + limit {
			f.Session(id).Emit(eventNamed("turn_end"))
			synctest.Wait()
			require.Equal(t, 1, f.Streams())
		}
		f.Session(id).Emit(eventNamed("turn_end"))
		synctest.Wait()
		assert.Equal(t, 0, f.Streams())
	})
}

// No more than 64 MiB wait, and what has been sent does not count.
func TestStreamQueueIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t)
		defer f.Close()
		id := f.create(newSession)
		o := f.observe(id, "")
		defer o.close()
		o.expect(opening...)
		block := ": " + strings.Repeat("x", 32<<20-4) + "\n\n"
		for range 3 {
			f.Session(id).SendRaw(block)
			_, err := io.CopyN(io.Discard, o.lines, int64(len(block)))
			require.NoError(t, err)
		}
		f.Session(id).Emit(eventNamed("turn_end"))
		o.expect("broadcast turn_end") // then nothing of the last one is under way
		for range 4 {                  // the first will be
			synctest.Wait()
			require.Equal(t, 1, f.Streams())
			f.Session(id).SendRaw(block)
		}
		synctest.Wait()
		assert.Equal(t, 0, f.Streams())
	})
}

// Close also ends what another server has accepted for the Hub, and lets
// nobody in any more.
func TestCloseOfAHandler(t *testing.T) {
	hub := codertest.NewHub()
	server := httptest.NewServer(hub.Handler())
	defer server.Close()
	f := fixture{TB: t, Hub: hub, client: hub.HTTPClient()}
	id := f.create(newSession)
	url := server.URL + "/api/hub/session/" + id + "/events"
	resp, err := server.Client().Get(url)
	require.NoError(t, err)
	defer resp.Body.Close()
	o := &observed{TB: t, resp: resp, lines: bufio.NewReader(resp.Body)}
	o.expect(opening...)
	dial := func() (*websocket.Conn, error) {
		conn, _, err := websocket.Dial(t.Context(), server.URL+"/api/ws?sessionId="+id, nil)
		return conn, err
	}
	conn, err := dial()
	require.NoError(t, err)
	hub.Close()
	o.broken()
	(&client{TB: t, conn: conn}).lost()
	assert.Equal(t, 0, hub.Streams())

	_, err = read(server.Client().Get(url))
	require.Error(t, err)
	_, err = dial()
	require.Error(t, err)
	assert.Equal(t, 0, hub.Streams())
}

// pipeWriter answers a request to upgrade over one end of a net.Pipe.
type pipeWriter struct {
	http.ResponseWriter
	conn   net.Conn
	before func()
}

func (w pipeWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	w.before()
	return w.conn, bufio.NewReadWriter(bufio.NewReader(w.conn), bufio.NewWriter(w.conn)), nil
}

// serveSocket serves a socket without a server: before is called when the Hub
// knows of the connection and has not taken it over. It returns the client's
// end, and what is closed when it has been served.
func (f fixture) serveSocket(query string, before func()) (net.Conn, chan struct{}) {
	mine, hubs := net.Pipe()
	r := httptest.NewRequest("GET", "/api/ws?"+query, nil)
	for name, value := range map[string]string{
		"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
	} {
		r.Header.Set(name, value)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		f.Handler().ServeHTTP(pipeWriter{httptest.NewRecorder(), hubs, before}, r)
	}()
	return mine, served
}

func TestCloseWhileASocketOpens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t)
		closed := make(chan struct{})
		conn, served := f.serveSocket("", func() {
			go func() {
				f.Close()
				close(closed)
			}()
			synctest.Wait()
		})
		defer conn.Close()
		<-served
		<-closed
		_, err := io.ReadAll(conn)
		require.NoError(t, err)
	})
}

// textFrame is a short frame of a client.
func textFrame(text string) []byte {
	return append([]byte{0x81, 0x80 | byte(len(text)), 0, 0, 0, 0}, text...)
}

// What had arrived before Close, and is looked at afterwards, wakes no agent.
func TestAgentDoesNotOutliveTheHub(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t)
		id := f.active()
		conn, served := f.serveSocket("role=controller&sessionId="+id, func() {})
		defer conn.Close()
		go func() { _, _ = io.Copy(io.Discard, conn) }()
		f.OnRequest(func(codertest.LeadRequest) ([]codertest.Action, bool) {
			time.Sleep(time.Minute)
			return nil, false
		})
		_, err := conn.Write(bytes.Join([][]byte{
			textFrame(`{"type":"tool","id":"1","name":"wait"}`),
			textFrame(`{"type":"rpc_command","command":{"type":"prompt","message":"x"}}`),
		}, nil))
		require.NoError(t, err)
		synctest.Wait()
		f.Close()
		<-served
		require.Len(t, f.Session(id).Frames(), 2)
		history := httptest.NewRecorder()
		f.Handler().ServeHTTP(history, httptest.NewRequest("GET", "/api/hub/session/"+id+"/events/history", nil))
		var answer map[string]any
		require.NoError(t, json.Unmarshal(history.Body.Bytes(), &answer))
		assert.NotContains(t, all(t, answer["events"], "event"), "turn_start")
	})
}

// A timer that goes off in the moment in which the agent changes its course
// does not hurry it on.
func TestAgentIsSteeredInTheLastMoment(t *testing.T) {
	for range 50 {
		synctest.Test(t, func(t *testing.T) {
			f := start(t, codertest.WithAgentPace(time.Second))
			defer f.Close()
			id := f.active()
			c := f.control(id)
			f.OnRequest(func(codertest.LeadRequest) ([]codertest.Action, bool) {
				time.Sleep(time.Second)
				return nil, false
			})
			conn, served := f.serveSocket("role=controller&sessionId="+id, func() {})
			go func() { _, _ = io.Copy(io.Discard, conn) }()
			c.expect("presence session_join", "broadcast session_join")
			c.command("prompt", "one two three four five six")
			c.expect("rpc agent_start", "rpc turn_start", "rpc message_start", "rpc message_update")
			_, err := conn.Write(bytes.Join([][]byte{
				textFrame(`{"type":"tool","id":"1","name":"wait"}`),
				textFrame(`{"type":"rpc_command","command":{"type":"steer","message":"y"}}`),
			}, nil))
			require.NoError(t, err)
			c.until("rpc message_end")
			c.expect("broadcast user_prompt", "rpc message_start")
			began := time.Now()
			c.expect("rpc message_update")
			assert.Equal(t, time.Second, time.Since(began))
			_ = conn.Close()
			<-served
		})
	}
}

func TestRefusedStreamsHaveHeaders(t *testing.T) {
	f := start(t)
	id := f.create(newSession)
	header := http.Header{"Retry-After": {"7"}, "Content-Type": nil}
	f.Session(id).RefuseStreams(codertest.Refusal{Header: header, Count: 2})
	header["Retry-After"][0] = "8"
	f.Inject(codertest.Fault{Route: "/hub/session/{id}/events", Header: http.Header{"X-Mine": {"1"}}})
	f.Inject(codertest.Fault{Route: "/hub/session/{id}/events", Header: http.Header{"Retry-After": {"9"}}})
	for _, want := range []string{"7 1", "9 "} {
		r, err := f.try("GET", "/hub/session/"+id+"/events", "")
		require.NoError(t, err)
		assert.Equal(t, 503, r.status)
		assert.Equal(t, want, r.header.Get("Retry-After")+" "+r.header.Get("X-Mine"))
		assert.NotContains(t, r.header, "Content-Type")
	}
	f.Session(id).RefuseStreams(codertest.Refusal{Header: http.Header{"Retry-After": {"7"}}})
	c := f.dial("sessionId=" + id)
	c.closed(4408, "")
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
