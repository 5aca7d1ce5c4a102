package codertest_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go/codertest"
)

// fixture is a Hub and a client that knows nothing but HTTP and JSON.
type fixture struct {
	testing.TB
	*codertest.Hub
	client *http.Client
}

func start(t testing.TB, opts ...codertest.Option) fixture {
	t.Helper()
	hub := codertest.NewHub(append([]codertest.Option{codertest.WithInMemoryNetwork()}, opts...)...)
	t.Cleanup(hub.Close)
	return fixture{TB: t, Hub: hub, client: watched(t, hub)}
}

// reply is an answer, read to its end.
type reply struct {
	status int
	header http.Header
	body   []byte
	json   map[string]any
}

// try sends a request to a path below /api.
func (f fixture) try(method, path, body string, header ...string) (reply, error) {
	f.Helper()
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(f.Context(), method, f.URL()+"/api"+path, reader)
	require.NoError(f, err)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	return read(f.client.Do(req))
}

func read(resp *http.Response, err error) (reply, error) {
	if err != nil {
		return reply{}, err
	}
	defer resp.Body.Close()
	r := reply{status: resp.StatusCode, header: resp.Header}
	r.body, err = io.ReadAll(resp.Body)
	if bytes.HasPrefix(r.body, []byte("{")) {
		_ = json.Unmarshal(r.body, &r.json)
	}
	return r, err
}

// call is try for a request that must get an answer of this status.
func (f fixture) call(want int, method, path, body string) map[string]any {
	f.Helper()
	r, err := f.try(method, path, body)
	require.NoError(f, err)
	require.Equal(f, want, r.status, "%s %s: %s", method, path, r.body)
	assert.Equal(f, "application/json", r.header.Get("Content-Type"))
	assert.NotEmpty(f, r.header.Get("X-Session-Id"))
	if want >= 400 {
		assert.Equal(f, false, r.json["success"])
		assert.NotEmpty(f, r.json["message"])
	}
	return r.json
}

func (f fixture) get(path string) map[string]any {
	f.Helper()
	return f.call(http.StatusOK, "GET", path, "")
}

const newSession = `{"task":"x"}`

// create makes a session and returns its id.
func (f fixture) create(body string) string {
	f.Helper()
	return f.call(http.StatusCreated, "POST", "/hub/session", body)["sessionId"].(string)
}

// active is a session that runs. Its task, which the agent begins with, is no
// test's subject: the answer is empty.
func (f fixture) active() string {
	f.Helper()
	f.Answer()
	id := f.create(`{"task":"Say hello","label":"Greeting"}`)
	f.Session(id).SetStatus("active")
	return id
}

// at digs into decoded JSON: strings name members, ints elements.
func at(t testing.TB, v any, path ...any) any {
	t.Helper()
	for _, step := range path {
		switch step := step.(type) {
		case string:
			object, ok := v.(map[string]any)
			require.True(t, ok, "%v is no object, but should have %q", v, step)
			v = object[step]
		case int:
			array, ok := v.([]any)
			require.True(t, ok && step < len(array), "%v is no array of more than %d", v, step)
			v = array[step]
		}
	}
	return v
}

// all collects one member of every element of an array.
func all(t testing.TB, array any, member string) []any {
	t.Helper()
	require.IsType(t, []any{}, array)
	values := []any{}
	for _, element := range array.([]any) {
		values = append(values, at(t, element, member))
	}
	return values
}

// encoded is a value as JSON.
func encoded(t testing.TB, v any) []byte {
	t.Helper()
	text, err := json.Marshal(v)
	require.NoError(t, err)
	return text
}

// text joins members of an object.
func text(object any, members ...string) string {
	joined := ""
	for i, member := range members {
		if i > 0 {
			joined += " "
		}
		joined += fmt.Sprint(object.(map[string]any)[member])
	}
	return joined
}

func kind(v any) string {
	if v == nil {
		return "null"
	}
	return fmt.Sprintf("%T", v)
}

func eventNamed(name string) codertest.Event { return codertest.Event{Event: name} }

// observed is a stream of events under way.
type observed struct {
	testing.TB
	cancel context.CancelFunc
	resp   *http.Response
	lines  *bufio.Reader
}

// observe opens a stream of events and checks that it is one.
func (f fixture) observe(id, query string) *observed {
	f.Helper()
	o := f.request(id, query)
	require.Equal(f, 200, o.resp.StatusCode)
	assert.Equal(f, "text/event-stream", o.resp.Header.Get("Content-Type"))
	assert.Equal(f, int64(-1), o.resp.ContentLength)
	return o
}

func (f fixture) request(id, query string, header ...string) *observed {
	f.Helper()
	ctx, cancel := context.WithCancel(f.Context())
	req, err := http.NewRequestWithContext(ctx, "GET", f.URL()+"/api/hub/session/"+id+"/events"+query, nil)
	require.NoError(f, err)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := f.client.Do(req)
	require.NoError(f, err)
	return &observed{TB: f, cancel: cancel, resp: resp, lines: bufio.NewReader(resp.Body)}
}

func (o *observed) close() {
	o.cancel()
	_ = o.resp.Body.Close()
}

// block returns the next block as it is, without the empty line.
func (o *observed) block() (string, error) {
	var block strings.Builder
	for {
		line, err := o.lines.ReadString('\n')
		if err != nil {
			return block.String() + line, err
		}
		if line == "\n" {
			return block.String(), nil
		}
		block.WriteString(line)
	}
}

// next returns the next message.
func (o *observed) next() map[string]any {
	o.Helper()
	block, err := o.block()
	require.NoError(o, err)
	name, data, ok := strings.Cut(strings.TrimSuffix(block, "\n"), "\ndata: ")
	require.True(o, ok, block)
	var message map[string]any
	require.NoError(o, json.Unmarshal([]byte(data), &message), block)
	assert.Equal(o, "event: "+message["type"].(string), name)
	return message
}

// expect reads messages that must be these: type, or type and event.
func (o *observed) expect(want ...string) {
	o.Helper()
	for _, want := range want {
		message := o.next()
		got := message["type"].(string)
		if event, ok := message["event"]; ok {
			got += " " + event.(string)
		}
		require.Equal(o, want, got)
	}
}

// ended checks that nothing but the end of the stream follows.
func (o *observed) ended() {
	o.Helper()
	rest, err := o.block()
	require.ErrorIs(o, err, io.EOF)
	require.NotErrorIs(o, err, io.ErrUnexpectedEOF)
	assert.Empty(o, rest)
}

// broken checks that the stream breaks off, whatever is read before that.
func (o *observed) broken() {
	o.Helper()
	for {
		if _, err := o.block(); err != nil {
			require.ErrorIs(o, err, io.ErrUnexpectedEOF)
			return
		}
	}
}

var opening = []string{"snapshot", "hydration", "presence session_join", "broadcast session_join"}

var observer = codertest.Participant{Role: "observer", Transport: "sse"}

// client is one end of a socket.
type client struct {
	testing.TB
	conn *websocket.Conn
}

// dial opens a socket.
func (f fixture) dial(query string, header ...string) *client {
	f.Helper()
	h := make(http.Header)
	for i := 0; i < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	conn, _, err := websocket.Dial(f.Context(), f.URL()+"/api/ws?"+query, &websocket.DialOptions{HTTPClient: f.client, HTTPHeader: h})
	require.NoError(f, err)
	conn.SetReadLimit(-1)
	f.Cleanup(func() { _ = conn.CloseNow() })
	return &client{TB: f, conn: conn}
}

// send sends a frame.
func (c *client) send(frame string) {
	c.Helper()
	require.NoError(c, c.conn.Write(context.Background(), websocket.MessageText, []byte(frame)))
}

// next returns the next frame.
func (c *client) next() map[string]any {
	c.Helper()
	kind, data, err := c.conn.Read(context.Background())
	require.NoError(c, err)
	require.Equal(c, websocket.MessageText, kind)
	var frame map[string]any
	require.NoError(c, json.Unmarshal(data, &frame), "%s", data)
	return frame
}

// nameOf is the type of a frame, and the event where there is one: of an
// rpc_event the one inside.
func nameOf(frame map[string]any) string {
	words := []string{}
	for _, member := range []string{"type", "event"} {
		if word, ok := frame[member].(string); ok {
			words = append(words, word)
		}
	}
	if frame["event"] == "rpc_event" {
		words[1] = frame["data"].(map[string]any)["event"].(map[string]any)["type"].(string)
		words[0] = "rpc"
	}
	return strings.Join(words, " ")
}

// expect reads frames that must have these names, and returns the last.
func (c *client) expect(want ...string) map[string]any {
	c.Helper()
	var frame map[string]any
	for _, want := range want {
		frame = c.next()
		require.Equal(c, want, nameOf(frame), "%v", frame)
	}
	return frame
}

// closed checks that the socket is closed next, and how.
func (c *client) closed(code int, reason string) {
	c.Helper()
	_, data, err := c.conn.Read(context.Background())
	var end websocket.CloseError
	require.ErrorAs(c, err, &end, "%s", data)
	assert.Equal(c, fmt.Sprint(code, " ", reason), fmt.Sprint(int(end.Code), " ", end.Reason))
}

// lost checks that the socket breaks off.
func (c *client) lost() {
	c.Helper()
	for {
		_, _, err := c.conn.Read(context.Background())
		if err == nil {
			continue
		}
		assert.EqualValues(c, -1, websocket.CloseStatus(err), "%v", err)
		return
	}
}

// ping checks that nothing was sent before the answer to a ping.
func (c *client) ping() {
	c.Helper()
	c.send(`{"type":"ping"}`)
	c.expect("pong")
}

// command sends an rpc_command.
func (c *client) command(kind, message string) {
	c.Helper()
	c.send(`{"type":"rpc_command","command":{"type":"` + kind + `","message":"` + message + `"}}`)
}

// until reads to the frame with this name and returns the names on the way,
// the updates of a message as one.
func (c *client) until(want string) []string {
	c.Helper()
	var names []string
	for {
		got := nameOf(c.next())
		if len(names) == 0 || got != "rpc message_update" || names[len(names)-1] != got {
			names = append(names, got)
		}
		if got == want {
			return names
		}
	}
}

// control connects a controller and brings it to where it hears what happens.
func (f fixture) control(id string) *client {
	f.Helper()
	c := f.dial("role=controller&sessionId=" + id)
	c.expect("init")
	c.send(`{"type":"bootstrap_ready"}`)
	c.expect("session_hydration")
	return c
}

// watch connects an observer and brings it to where it hears what happens.
func (f fixture) watch(id string) *client {
	f.Helper()
	c := f.dial("role=observer&sessionId=" + id)
	c.expect("init", "session_hydration", "presence session_join", "broadcast session_join")
	return c
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

// textFrame is a short frame of a client.
func textFrame(text string) []byte {
	return append([]byte{0x81, 0x80 | byte(len(text)), 0, 0, 0, 0}, text...)
}
