package main

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/coder/websocket"

	"github.com/agentuity/coder-go"
)

// way is one way of an answer to be large.
type way struct {
	name, title string
	says        string // what the library has to say
	size        int64  // of what is sent, in bytes; 0: it has no end
	bound       int64  // what is promised for the peak, in bytes; 0: nothing
	serve       func(http.ResponseWriter, *http.Request, int64) error
	use         func(context.Context, *coder.Client) error
}

const (
	session = "codesess_1"
	modest  = "modest"

	largest = 256 << 20 // the default of WithMaxResponseSize
	event   = 64 << 20  // the largest event of a stream, and what may wait of messages
)

// proportion is what is promised of whatever is decoded: 20 times its size, and 64 MB.
func proportion(size int64) int64 { return 20*size + 64*mega }

// What the library says.
const (
	accepted = "accepted"
	large    = "`ErrResponseTooLarge`"
	unusable = "`ResponseError`"
	refused  = "`APIError`"
	lost     = "`RequestError`"
)

// ways are those that there are. The lengths of elements with blanks are those that came out worst where a limit counts
// elements, as in the comparison.
var ways = []way{
	{"tiny", "a list of `{}`", large, 8 * mega, proportion(8 * mega), list("{}", 3), sessions},
	{"sessions", "a list of small sessions", unusable, 8 * mega, proportion(8 * mega), list(`{"a":0}`, 77), sessions},
	{"entries", "a replay of small entries", accepted, 8 * mega, proportion(8 * mega), body(`{"sessionId":"`+session+`","entries":[`, `{"":[]}`, 60, `]}`), replay},
	{"free", "free JSON, a list of texts", accepted, 8 * mega, proportion(8 * mega), metadata(`""`, 3), get},
	{"names", "free JSON, members", accepted, 8 * mega, proportion(8 * mega), names, get},
	{"nesting", "nesting", unusable, 8 * mega, proportion(8 * mega), body(`{"sessionId":"`+session+`","metadata":{"a":`, "[", 1, ``), get},
	{"text", "one text", accepted, 200 * mega, proportion(200 * mega), body(`{"sessionId":"`+session+`","label":"`, "x", 1, `"}`), get},
	{"members", "unknown members", accepted, 8 * mega, proportion(8 * mega), unknown, get},
	{"endless", "a text without end", large, 0, proportion(largest), body(`{"sessionId":"`+session+`","label":"`, "x", 1, ""), get},
	{"gzip", "gzip of zeros, without end", large, 0, proportion(largest), zeros, get},
	{"error", "an error, gzip of zeros, without end", refused, 0, 16 * mega, failing(zeros), get},
	{"endless error", "an error without end", refused, 0, 16 * mega, failing(body(`{"error":"`, "x", 1, "")), get},
	{"header", "a header without end", lost, 0, 16 * mega, header, get},
	{"headers", "headers without end", lost, 0, 16 * mega, headers, get},
	{"entry", "ReplayEntries: an entry without end", large, 0, proportion(largest), body(`{"sessionId":"`+session+`","entries":[{"content":"`, "x", 1, ""), replayEntries},
	{"many entries", "ReplayEntries: 500 MB of entries", accepted, 500 * mega, 64 * mega, body(`{"sessionId":"`+session+`","entries":[`, `{"type":"message"}`, 19, `]}`), replayEntries},
	{"event", "StreamEvents: an event without end", large, 0, proportion(event), body("data: ", "x", 1, ""), stream},
	{"lines", "StreamEvents: an event of empty lines without end", large, 0, proportion(event), body("", "data\n", 5, ""), stream},
	{"comment", "StreamEvents: a comment without end", large, 0, proportion(event), body(": ", "x", 1, ""), stream},
	{"event of tiny", "StreamEvents: an event with a list of `{}`", large, 8 * mega, proportion(8 * mega), body(`data: {"type":"hydration","sessionId":"x","entries":[`, `{}`, 3, "]}\n\n"), stream},
	{"events", "StreamEvents: 50 MB of small events", lost, 50 * mega, 64 * mega, body("", "data: {\"type\":\"x\"}\n\n", 20, ""), stream},
	{"frame", "HubConn: a message without end", large, 0, proportion(largest), socket(0, "x"), messages},
	{"frame of tiny", "HubConn: a message with a list of `{}`", large, 8 * mega, proportion(8 * mega), socket(8*mega, `{},`), messages},
	{"frames", "HubConn: 500 MB of messages that nobody takes", accepted, 500 * mega, proportion(event), frames, untaken},
}

// client is a client that tries once.
func client(url, name string) (*coder.Client, error) {
	return coder.NewClient(coder.WithURL(url+"/"+strings.ReplaceAll(name, " ", "-")), coder.WithRetryPolicy(coder.RetryPolicy{MaxAttempts: 1}))
}

// child meets one way, and prints what the library said and the status of the process.
func child(url, name string) error {
	use := get
	for _, w := range ways {
		if w.name == name {
			use = w.use
		}
	}
	c, err := client(url, name)
	if err != nil {
		return err
	}
	said := accepted
	switch err := use(context.Background(), c); {
	case errors.Is(err, coder.ErrResponseTooLarge):
		said = large
	case errors.As(err, new(*coder.ResponseError)):
		said = unusable
	case errors.As(err, new(*coder.APIError)):
		said = refused
	case errors.As(err, new(*coder.RequestError)):
		said = lost
	case err != nil:
		said = strings.NewReplacer("|", " ", "\n", " ").Replace(fmt.Sprintf("%.60s", strings.TrimPrefix(err.Error(), "coder: ")))
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return err
	}
	fmt.Printf("%s\n%s", said, status)
	return nil
}

func get(ctx context.Context, c *coder.Client) error {
	_, err := c.GetSession(ctx, session)
	return err
}

func sessions(ctx context.Context, c *coder.Client) error {
	_, err := c.ListSessions(ctx, nil)
	return err
}

func replay(ctx context.Context, c *coder.Client) error {
	_, err := c.GetReplay(ctx, session, nil)
	return err
}

func replayEntries(ctx context.Context, c *coder.Client) error {
	for _, err := range c.ReplayEntries(ctx, session, &coder.GetSessionReplayParams{NoResume: true}) {
		if err != nil {
			return err
		}
	}
	return nil
}

func stream(ctx context.Context, c *coder.Client) error {
	for _, err := range c.StreamEvents(ctx, session, &coder.StreamEventsOptions{MaxReconnectAttempts: -1}) {
		if err != nil {
			return err
		}
	}
	return nil
}

func connect(ctx context.Context, c *coder.Client) (*coder.HubConn, error) {
	return c.Connect(ctx, session, &coder.HubConnectOptions{Role: coder.RoleObserver, MaxReconnectAttempts: -1})
}

func messages(ctx context.Context, c *coder.Client) error {
	conn, err := connect(ctx, c)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	for m, err := range conn.Messages(ctx) {
		if err != nil {
			return err
		}
		if u, ok := m.(*coder.UnknownMessage); ok && u.Type == "end" {
			return nil
		}
	}
	return nil
}

// untaken leaves messages where they are until the Hub has sent them, or cannot send more.
func untaken(ctx context.Context, c *coder.Client) error {
	conn, err := connect(ctx, c)
	if err != nil {
		return err
	}
	response, err := http.Get(mustURL(ctx, c) + "/sent") //nolint:noctx,gosec // the server of this program
	if err == nil {
		_, err = io.Copy(io.Discard, response.Body)
		_ = response.Body.Close()
	}
	return errors.Join(err, conn.Close())
}

func mustURL(ctx context.Context, c *coder.Client) string {
	url, err := c.URL(ctx)
	if err != nil {
		panic(err)
	}
	return url
}

// fill writes a unit again and again: so many bytes, or until the reader has gone.
func fill(w io.Writer, unit string, size int64) error {
	block := []byte(strings.Repeat(unit, 1+(64<<10)/len(unit)))
	for left := size; size == 0 || left > 0; left -= int64(len(block)) {
		if size != 0 && left < int64(len(block)) {
			block = block[:left/int64(len(unit))*int64(len(unit))]
			left = 0
		}
		if _, err := w.Write(block); err != nil {
			return err
		}
	}
	return nil
}

// body is a body with so many elements of a length between head and tail; elements longer than one byte have commas between them
// where they are JSON.
func body(head, element string, length int, tail string) func(http.ResponseWriter, *http.Request, int64) error {
	return func(w http.ResponseWriter, _ *http.Request, size int64) error {
		unit := element + strings.Repeat(" ", max(0, length-1-len(element)))
		comma := strings.HasPrefix(element, "{") || strings.HasPrefix(element, `"`)
		if comma {
			head, unit := head+element, ","+unit
			if _, err := io.WriteString(w, head); err != nil {
				return err
			}
			if err := fill(w, unit, size); err != nil {
				return err
			}
		} else {
			if _, err := io.WriteString(w, head); err != nil {
				return err
			}
			if err := fill(w, element, size); err != nil {
				return err
			}
		}
		_, err := io.WriteString(w, tail)
		return err
	}
}

func list(element string, length int) func(http.ResponseWriter, *http.Request, int64) error {
	return body(`{"total":1,"sessions":{"sandbox":[],"websocket":[`, element, length, `]}}`)
}

func metadata(element string, length int) func(http.ResponseWriter, *http.Request, int64) error {
	return body(`{"sessionId":"`+session+`","metadata":{"a":[`, element, length, `]}}`)
}

func names(w http.ResponseWriter, _ *http.Request, size int64) error {
	return members(w, `{"sessionId":"`+session+`","metadata":{"a":0`, size, `}}`)
}

func unknown(w http.ResponseWriter, _ *http.Request, size int64) error {
	return members(w, `{"sessionId":"`+session+`"`, size, `}`)
}

// members writes members, each with another name.
func members(w io.Writer, head string, size int64, tail string) error {
	if _, err := io.WriteString(w, head); err != nil {
		return err
	}
	for i, left := 0, size; left > 0; i++ {
		n, err := fmt.Fprintf(w, `,"%x":1`, i)
		if err != nil {
			return err
		}
		left -= int64(n)
	}
	_, err := io.WriteString(w, tail)
	return err
}

func zeros(w http.ResponseWriter, _ *http.Request, _ int64) error {
	w.Header().Set("Content-Encoding", "gzip")
	return fill(gzip.NewWriter(w), "\x00", 0)
}

func failing(serve func(http.ResponseWriter, *http.Request, int64) error) func(http.ResponseWriter, *http.Request, int64) error {
	return func(w http.ResponseWriter, r *http.Request, size int64) error {
		return serve(status{w}, r, size)
	}
}

// status makes an answer one that failed, once its header is known.
type status struct{ http.ResponseWriter }

func (s status) Write(p []byte) (int, error) {
	s.WriteHeader(http.StatusBadRequest)
	return s.ResponseWriter.Write(p)
}

func (s status) WriteHeader(int) {
	if s.Header().Get("X-Begun") == "" {
		s.Header().Set("X-Begun", "1")
		s.ResponseWriter.WriteHeader(http.StatusBadRequest)
	}
}

func header(w http.ResponseWriter, _ *http.Request, _ int64) error {
	return hijacked(w, "X-Long: ", "x")
}

func headers(w http.ResponseWriter, _ *http.Request, _ int64) error {
	return hijacked(w, "", "X-A: b\r\n")
}

// hijacked writes a header that does not end.
func hijacked(w http.ResponseWriter, head, unit string) error {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if _, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"+head); err != nil {
		return err
	}
	return fill(conn, unit, 0)
}

// socket admits, and sends one message with a list of so many bytes.
func socket(size int64, unit string) func(http.ResponseWriter, *http.Request, int64) error {
	return func(w http.ResponseWriter, r *http.Request, _ int64) error {
		conn, err := admit(w, r)
		if err != nil {
			return err
		}
		defer func() { _ = conn.CloseNow() }()
		message, err := conn.Writer(r.Context(), websocket.MessageText)
		if err != nil {
			return err
		}
		if _, err := io.WriteString(message, `{"type":"session_hydration","sessionId":"`+session+`","entries":[`); err != nil {
			return err
		}
		if err := fill(message, unit, size); err != nil {
			return err
		}
		if _, err := io.WriteString(message, `{}]}`); err != nil {
			return err
		}
		if err := message.Close(); err != nil {
			return err
		}
		if err := conn.Write(r.Context(), websocket.MessageText, []byte(`{"type":"end"}`)); err != nil {
			return err
		}
		<-conn.CloseRead(r.Context()).Done()
		return nil
	}
}

func admit(w http.ResponseWriter, r *http.Request) (*websocket.Conn, error) {
	conn, err := websocket.Accept(w, r, nil)
	if err != nil {
		return nil, err
	}
	err = conn.Write(r.Context(), websocket.MessageText, []byte(`{"type":"init","sessionId":"`+session+`"}`))
	return conn, err
}
