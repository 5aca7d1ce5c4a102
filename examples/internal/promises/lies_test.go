package promises

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/agentuity/coder-go/codertest"
)

// liar is a transport that falsifies what it passes on.
type liar struct {
	hub    *codertest.Hub
	honest http.RoundTripper
	lie    func(l *liar, request *http.Request) (*http.Response, error)

	mu   sync.Mutex
	seen map[string]int // requests by what a lie counts
}

func (l *liar) RoundTrip(request *http.Request) (*http.Response, error) {
	answer, err := l.lie(l, request)
	if err == nil {
		l.note(is(request, http.MethodPatch, "/*"), "updates")
		l.note(is(request, http.MethodPost, "/archive"), "archives")
	}
	return answer, err
}

func (l *liar) note(happened bool, what string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if happened {
		l.seen[what]++
	}
}

// times counts.
func (l *liar) times(what string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.seen[what]
}

// nth counts, and tells how often it has by now.
func (l *liar) nth(what string) int {
	l.note(true, what)
	return l.times(what)
}

// is tells whether a request is about a session: by "/*" the session itself, else what comes after its id; "s" is the list.
func is(request *http.Request, method, what string) bool {
	if request.Method != method {
		return false
	}
	rest, ok := strings.CutPrefix(request.URL.Path, "/api/hub/session/")
	switch {
	case what == "s":
		return request.URL.Path == "/api/hub/sessions"
	case what == "/*":
		return ok && !strings.Contains(rest, "/")
	}
	return ok && strings.HasSuffix(rest, what)
}

func missing(request *http.Request) bool {
	return strings.Contains(request.URL.String(), "codesess_missing")
}

func has(request *http.Request, name, value string) bool {
	return request.URL.Query().Get(name) == value
}

func searches(request *http.Request) bool {
	return strings.HasPrefix(request.URL.Query().Get("search"), "promises-")
}

// with passes a request on with another query.
func (l *liar) with(request *http.Request, change func(url.Values)) (*http.Response, error) {
	request = request.Clone(request.Context())
	query := request.URL.Query()
	change(query)
	request.URL.RawQuery = query.Encode()
	return l.honest.RoundTrip(request)
}

func (l *liar) without(request *http.Request, names ...string) (*http.Response, error) {
	return l.with(request, func(q url.Values) {
		for _, name := range names {
			q.Del(name)
		}
	})
}

type object = map[string]any

// changed passes a request on, and changes the JSON that is answered.
func (l *liar) changed(request *http.Request, change func(object)) (*http.Response, error) {
	answer, err := l.honest.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	var body object
	if err := json.NewDecoder(answer.Body).Decode(&body); err != nil {
		return nil, err
	}
	change(body)
	raw, err := json.Marshal(body)
	answer.Body = io.NopCloser(bytes.NewReader(raw))
	answer.ContentLength = int64(len(raw))
	answer.Header.Del("Content-Length")
	return answer, err
}

// says answers in the Hub's place.
func (l *liar) says(request *http.Request, status int, body string) (*http.Response, error) {
	return &http.Response{
		StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: request,
		Header: http.Header{"Content-Type": {"application/json"}, "Date": {"Sat, 01 Jan 2000 00:00:00 GMT"}},
		Body:   io.NopCloser(strings.NewReader(body)),
	}, nil
}

func sessionsOf(body object) []any { return body["sessions"].(object)["websocket"].([]any) }

// only keeps the listed sessions that are wanted.
func only(body object, wanted func(session object) bool) {
	kept := []any{}
	for _, s := range sessionsOf(body) {
		if wanted(s.(object)) {
			kept = append(kept, s)
		}
	}
	body["sessions"].(object)["websocket"] = kept
}

func each(body object, list string, change func(object)) {
	for _, element := range body[list].([]any) {
		change(element.(object))
	}
}

func keep(body object, list string, wanted func(object) bool) {
	kept := []any{}
	for _, element := range body[list].([]any) {
		if wanted(element.(object)) {
			kept = append(kept, element)
		}
	}
	body[list] = kept
}

// message is the message of an event, empty if it has none.
func message(event object) object {
	payload, _ := event["payload"].(object)
	m, _ := payload["message"].(object)
	return m
}

// blocks passes on a stream of events, and what becomes of each of its blocks.
func (l *liar) blocks(request *http.Request, change func(string) string) (*http.Response, error) {
	answer, err := l.honest.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	from := bufio.NewReader(answer.Body)
	answer.Body = &filtered{Closer: answer.Body, next: func() ([]byte, error) {
		var block strings.Builder
		for {
			line, err := from.ReadString('\n')
			block.WriteString(line)
			if err != nil || line == "\n" {
				return []byte(change(block.String())), err
			}
		}
	}}
	return answer, nil
}

// frames passes on a WebSocket, and those of the Hub's frames that are wanted, changed. Frames of the Hub are not masked.
func (l *liar) frames(request *http.Request, change func(text string) (string, bool)) (*http.Response, error) {
	answer, err := l.honest.RoundTrip(request)
	if err != nil || answer.StatusCode != http.StatusSwitchingProtocols {
		return answer, err
	}
	from := bufio.NewReader(answer.Body)
	socket := answer.Body.(io.ReadWriteCloser)
	answer.Body = &filteredSocket{Writer: socket, filtered: filtered{Closer: socket, next: func() ([]byte, error) {
		head := make([]byte, 2)
		if _, err := io.ReadFull(from, head); err != nil {
			return nil, err
		}
		size := int(head[1])
		switch size {
		case 126:
			var n uint16
			if err := binary.Read(from, binary.BigEndian, &n); err != nil {
				return nil, err
			}
			size = int(n)
		case 127:
			var n uint64
			if err := binary.Read(from, binary.BigEndian, &n); err != nil {
				return nil, err
			}
			size = int(n)
		}
		body := make([]byte, size)
		if _, err := io.ReadFull(from, body); err != nil {
			return nil, err
		}
		if opcode := head[0] & 0x0f; opcode == 1 || opcode == 8 { // text or close
			text, wanted := change(string(body))
			if !wanted {
				return nil, nil
			}
			body = []byte(text)
		}
		frame := append([]byte{head[0], 127}, binary.BigEndian.AppendUint64(nil, uint64(len(body)))...)
		if len(body) < 126 { // control frames must be short
			frame = []byte{head[0], byte(len(body))}
		} else if len(body) < 1<<16 {
			frame = append([]byte{head[0], 126}, binary.BigEndian.AppendUint16(nil, uint16(len(body)))...)
		}
		return append(frame, body...), nil
	}}}
	return answer, nil
}

// filtered is read piece by piece.
type filtered struct {
	io.Closer
	next func() ([]byte, error)
	rest []byte
	err  error
}

func (f *filtered) Read(p []byte) (int, error) {
	for len(f.rest) == 0 {
		if f.err != nil {
			return 0, f.err
		}
		f.rest, f.err = f.next()
	}
	n := copy(p, f.rest)
	f.rest = f.rest[n:]
	return n, nil
}

type filteredSocket struct {
	io.Writer
	filtered
}

const (
	conflict = `{"success":false,"code":"CODER_SESSION_CONFLICT","message":"No."}`
	refused  = `{"success":false,"code":"CODER_INVALID_REQUEST","message":"No."}`
)

// lies break one promise each. Some hide others with it, which cannot be settled then.
var lies = map[string]struct {
	tell  func(l *liar, r *http.Request) (*http.Response, error)
	hides []string
}{
	"created-found": {tell: func(l *liar, r *http.Request) (*http.Response, error) {
		if is(r, "GET", "/*") && l.nth("read") == 1 {
			return l.says(r, 404, `{"code":"CODER_SESSION_NOT_FOUND","message":"Unknown session"}`)
		}
		return l.honest.RoundTrip(r)
	}},
	"created-listed": {tell: func(l *liar, r *http.Request) (*http.Response, error) {
		if is(r, "GET", "s") && has(r, "search", "") && has(r, "includeArchived", "") {
			return l.changed(r, func(body object) { only(body, func(s object) bool { return s["label"] != label }) })
		}
		return l.honest.RoundTrip(r)
	}},
	"search-metadata": {tell: func(l *liar, r *http.Request) (*http.Response, error) {
		if is(r, "GET", "s") && searches(r) && l.times("archives") == 0 {
			return l.changed(r, func(body object) { only(body, func(object) bool { return false }) })
		}
		return l.honest.RoundTrip(r)
	}},
	"metadata-key": {tell: func(l *liar, r *http.Request) (*http.Response, error) {
		if is(r, "GET", "/*") && l.times("updates") == 0 && !missing(r) {
			return l.changed(r, func(body object) { body["metadata"].(object)["idempotencyKey"] = "another" })
		}
		return l.honest.RoundTrip(r)
	}},
	"metadata-json": {tell: func(l *liar, r *http.Request) (*http.Response, error) {
		if is(r, "GET", "/*") && l.times("updates") == 0 && !missing(r) {
			return l.changed(r, func(body object) { body["metadata"].(object)["number"] = "12.5" })
		}
		return l.honest.RoundTrip(r)
	}},
	"created-ready": {tell: func(l *liar, r *http.Request) (*http.Response, error) {
		l.note(is(r, "GET", "/events/history"), "looks")
		if is(r, "GET", "/*") && l.times("looks") == 0 {
			return l.changed(r, func(body object) { body["runtimeAvailable"] = false })
		}
		return l.honest.RoundTrip(r)
	}},
	"task-ends": {tell: func(l *liar, r *http.Request) (*http.Response, error) {
		l.note(has(r, "limit", "4"), "looked") // where the look at histories begins
		if is(r, "GET", "/events/history") && l.times("looked") == 0 {
			return l.changed(r, func(body object) { body["events"] = []any{} })
		}
		return l.honest.RoundTrip(r)
	}},
	"sessions-limit": {tell: func(l *liar, r *http.Request) (*http.Response, error) {
		if is(r, "GET", "s") && has(r, "limit", "1") {
			return l.without(r, "limit")
		}
		return l.honest.RoundTrip(r)
	}},
	"sessions-offset": {tell: func(l *liar, r *http.Request) (*http.Response, error) {
		if is(r, "GET", "s") {
			return l.without(r, "offset")
		}
		return l.honest.RoundTrip(r)
	}},
	"sessions-order": {tell: func(l *liar, r *http.Request) (*http.Response, error) {
		if is(r, "GET", "s") && has(r, "limit", "10") && l.nth("lists")%2 == 0 {
			return l.changed(r, func(body object) {
				list := sessionsOf(body)
				list[0], list[1] = list[1], list[0]
			})
		}
		return l.honest.RoundTrip(r)
	}},
	"sessions-total": {tell: func(l *liar, r *http.Request) (*http.Response, error) {
		if is(r, "GET", "s") {
			return l.changed(r, func(body object) { body["total"] = len(sessionsOf(body)) })
		}
		return l.honest.RoundTrip(r)
	}},
	"sessions-tell": {tell: func(l *liar, r *http.Request) (*http.Response, error) {
		if is(r, "GET", "s") {
			return l.changed(r, func(body object) { only(body, func(s object) bool { delete(s, "bucket"); return true }) })
		}
		return l.honest.RoundTrip(r)
	}},
	"search-selects": {tell: func(l *liar, r *http.Request) (*http.Response, error) {
		if is(r, "GET", "s") && !searches(r) {
			return l.without(r, "search")
		}
		return l.honest.RoundTrip(r)
	}},
	"users-offset": {tell: func(l *liar, r *http.Request) (*http.Response, error) {
		if strings.HasSuffix(r.URL.Path, "/hub/users") {
			return l.without(r, "offset")
		}
		return l.honest.RoundTrip(r)
	}},
	"missing-session": {tell: func(l *liar, r *http.Request) (*http.Response, error) {
		if is(r, "GET", "/*") && missing(r) {
			return l.says(r, 400, refused)
		}
		return l.honest.RoundTrip(r)
	}},
	"error-form": {tell: func(l *liar, r *http.Request) (*http.Response, error) {
		if is(r, "GET", "/replay") && missing(r) {
			return l.says(r, 404, `{"error":"No."}`)
		}
		return l.honest.RoundTrip(r)
	}},
	"missing-stream": {tell: func(l *liar, r *http.Request) (*http.Response, error) {
		if is(r, "GET", "/events") && missing(r) {
			r = r.Clone(r.Context())
			r.URL.Path = "/api/hub/session/" + l.hub.SessionIDs()[0] + "/events"
			r.URL.RawPath = ""
		}
		return l.honest.RoundTrip(r)
	}},
	"missing-socket": {tell: func(l *liar, r *http.Request) (*http.Response, error) {
		if r.URL.Path == "/api/ws" && missing(r) {
			return l.frames(r, func(text string) (string, bool) {
				text = strings.Replace(text, "\x11\x34", "\x11\x38", 1) // 4408 in the place of 4404
				return text, !strings.Contains(text, "connection_rejected")
			})
		}
		return l.honest.RoundTrip(r)
	}},
	"history-limit": {tell: func(l *liar, r *http.Request) (*http.Response, error) {
		if is(r, "GET", "/events/history") && has(r, "limit", "2") && has(r, "beforeId", "") {
			return l.without(r, "limit")
		}
		return l.honest.RoundTrip(r)
	}},
	"history-newest": {tell: func(l *liar, r *http.Request) (*http.Response, error) {
		if is(r, "GET", "/events/history") && has(r, "limit", "1") && l.times("updates") == 0 {
			return l.with(r, func(q url.Values) { q.Set("beforeId", "2") })
		}
		return l.honest.RoundTrip(r)
	}},
	"history-before": {tell: func(l *liar, r *http.Request) (*http.Response, error) {
		if is(r, "GET", "/events/history") && has(r, "limit", "5") {
			return l.without(r, "beforeId")
		}
		return l.honest.RoundTrip(r)
	}},
	"history-end": {tell: func(l *liar, r *http.Request) (*http.Response, error) {
		if is(r, "GET", "/events/history") && has(r, "beforeId", "1") {
			return l.without(r, "beforeId")
		}
		return l.honest.RoundTrip(r)
	}},
	"history-ids": {tell: func(l *liar, r *http.Request) (*http.Response, error) {
		if is(r, "GET", "/events/history") && has(r, "limit", "50") {
			return l.changed(r, func(body object) {
				list := body["events"].([]any)
				list[len(list)-1].(object)["ingestedAt"] = "2001-01-01T00:00:00Z" // later than all others
			})
		}
		return l.honest.RoundTrip(r)
	}},
	"history-times": {tell: func(l *liar, r *http.Request) (*http.Response, error) {
		if is(r, "GET", "/events/history") && has(r, "limit", "50") {
			return l.changed(r, func(body object) { each(body, "events", func(e object) { delete(e, "ingestedAt") }) })
		}
		return l.honest.RoundTrip(r)
	}, hides: []string{"history-ids"}},
	"history-prompts": {tell: func(l *liar, r *http.Request) (*http.Response, error) {
		if is(r, "GET", "/events/history") && has(r, "limit", "50") {
			return l.changed(r, func(body object) {
				keep(body, "events", func(e object) bool { return message(e)["role"] != "user" })
			})
		}
		return l.honest.RoundTrip(r)
	}},
	"history-stops": {tell: func(l *liar, r *http.Request) (*http.Response, error) {
		if is(r, "GET", "/events/history") && has(r, "limit", "50") {
			return l.changed(r, func(body object) { each(body, "events", func(e object) { delete(message(e), "stopReason") }) })
		}
		return l.honest.RoundTrip(r)
	}},
	"replay-order": {tell: func(l *liar, r *http.Request) (*http.Response, error) {
		if is(r, "GET", "/replay") && !missing(r) {
			return l.changed(r, func(body object) {
				list := body["entries"].([]any)
				list[len(list)-1].(object)["timestamp"] = 0
			})
		}
		return l.honest.RoundTrip(r)
	}},
	"replay-stable": {tell: func(l *liar, r *http.Request) (*http.Response, error) {
		if is(r, "GET", "/replay") && !missing(r) && l.nth("replays") == 2 {
			return l.changed(r, func(body object) { body["entries"] = body["entries"].([]any)[1:] })
		}
		return l.honest.RoundTrip(r)
	}},
	"replay-answers": {tell: func(l *liar, r *http.Request) (*http.Response, error) {
		if is(r, "GET", "/replay") && !missing(r) {
			return l.changed(r, func(body object) { keep(body, "entries", func(e object) bool { return e["type"] != "message" }) })
		}
		return l.honest.RoundTrip(r)
	}},
	"stream-begins": {tell: func(l *liar, r *http.Request) (*http.Response, error) {
		if is(r, "GET", "/events") && !missing(r) {
			return l.blocks(r, func(block string) string {
				if strings.Contains(block, "event: snapshot") {
					return ""
				}
				return block
			})
		}
		return l.honest.RoundTrip(r)
	}},
	"stream-unnumbered": {tell: func(l *liar, r *http.Request) (*http.Response, error) {
		if is(r, "GET", "/events") && !missing(r) {
			return l.blocks(r, func(block string) string { return "id: 7\n" + block })
		}
		return l.honest.RoundTrip(r)
	}},
	"socket-init": {tell: func(l *liar, r *http.Request) (*http.Response, error) {
		if r.URL.Path == "/api/ws" && !missing(r) && l.nth("sockets") == 1 {
			return l.frames(r, func(text string) (string, bool) {
				return text, !strings.Contains(text, `"type":"init"`)
			})
		}
		return l.honest.RoundTrip(r)
	}, hides: []string{"socket-hydrated", "socket-pongs"}},
	"socket-hydrated": {tell: func(l *liar, r *http.Request) (*http.Response, error) {
		if r.URL.Path == "/api/ws" && !missing(r) && l.nth("sockets") == 1 {
			return l.frames(r, func(text string) (string, bool) {
				return text, !strings.Contains(text, `"type":"session_hydration"`)
			})
		}
		return l.honest.RoundTrip(r)
	}},
	"socket-pongs": {tell: func(l *liar, r *http.Request) (*http.Response, error) {
		if r.URL.Path == "/api/ws" && !missing(r) && l.nth("sockets") == 1 {
			return l.frames(r, func(text string) (string, bool) {
				return text, !strings.Contains(text, `"type":"pong"`)
			})
		}
		return l.honest.RoundTrip(r)
	}},
	"stream-tells": {tell: func(l *liar, r *http.Request) (*http.Response, error) {
		if is(r, "GET", "/events") && !missing(r) {
			return l.blocks(r, func(block string) string {
				if strings.Contains(block, "event: broadcast") {
					return ""
				}
				return block
			})
		}
		return l.honest.RoundTrip(r)
	}, hides: []string{"history-follows"}},
	"history-follows": {tell: func(l *liar, r *http.Request) (*http.Response, error) {
		if is(r, "GET", "/events/history") && has(r, "limit", "20") {
			return l.changed(r, func(body object) {
				keep(body, "events", func(e object) bool { return e["event"] != "session_label_updated" })
			})
		}
		return l.honest.RoundTrip(r)
	}},
	"update-applies": {tell: func(l *liar, r *http.Request) (*http.Response, error) {
		if is(r, "PATCH", "/*") && l.times("updates") < 2 {
			body := `{"label":"` + relabel + `"}`
			r = r.Clone(r.Context())
			r.Body, r.GetBody, r.ContentLength = io.NopCloser(strings.NewReader(body)), nil, int64(len(body))
		}
		return l.honest.RoundTrip(r)
	}},
	"update-keeps": {tell: func(l *liar, r *http.Request) (*http.Response, error) {
		if is(r, "GET", "/*") && l.times("updates") > 0 && l.times("archives") == 0 {
			return l.changed(r, func(body object) { delete(body, "metadata") })
		}
		return l.honest.RoundTrip(r)
	}, hides: []string{"update-fixed"}},
	"update-repeats": {tell: func(l *liar, r *http.Request) (*http.Response, error) {
		if is(r, "PATCH", "/*") && l.times("updates") == 1 {
			return l.changed(r, func(body object) { body["label"] = "another" })
		}
		return l.honest.RoundTrip(r)
	}},
	"update-fixed": {tell: func(l *liar, r *http.Request) (*http.Response, error) {
		if is(r, "GET", "/*") && l.times("updates") > 2 && l.times("archives") == 0 {
			return l.changed(r, func(body object) { body["env"] = object{"CODER_GO_PROMISE": "changed"} })
		}
		return l.honest.RoundTrip(r)
	}},
	"ask-answers": {tell: func(l *liar, r *http.Request) (*http.Response, error) {
		if r.URL.Path == "/api/ws" && !missing(r) && l.nth("sockets") == 2 {
			return l.frames(r, func(text string) (string, bool) { return text, !strings.Contains(text, "rpc_") })
		}
		return l.honest.RoundTrip(r)
	}},
	"resume-repeats": {tell: func(l *liar, r *http.Request) (*http.Response, error) {
		if is(r, "POST", "/resume") && l.times("archives") == 0 {
			return l.says(r, 409, conflict)
		}
		return l.honest.RoundTrip(r)
	}},
	"archive-ends": {tell: func(l *liar, r *http.Request) (*http.Response, error) {
		if is(r, "GET", "/*") && l.times("archives") == 1 {
			return l.changed(r, func(body object) { body["status"], body["historyOnly"] = "active", false })
		}
		return l.honest.RoundTrip(r)
	}},
	"archive-repeats": {tell: func(l *liar, r *http.Request) (*http.Response, error) {
		if is(r, "POST", "/archive") && l.times("archives") == 1 {
			return l.says(r, 409, conflict)
		}
		return l.honest.RoundTrip(r)
	}},
	"archived-hidden": {tell: func(l *liar, r *http.Request) (*http.Response, error) {
		if is(r, "GET", "s") && !searches(r) {
			return l.with(r, func(q url.Values) { q.Set("includeArchived", "true") })
		}
		return l.honest.RoundTrip(r)
	}},
	"archived-searched": {tell: func(l *liar, r *http.Request) (*http.Response, error) {
		if is(r, "GET", "s") && searches(r) {
			return l.changed(r, func(body object) { only(body, func(s object) bool { return s["status"] != "archived" }) })
		}
		return l.honest.RoundTrip(r)
	}},
	"archived-replayed": {tell: func(l *liar, r *http.Request) (*http.Response, error) {
		if is(r, "GET", "/replay") && l.times("archives") > 0 {
			return l.says(r, 410, `{"code":"CODER_SESSION_ARCHIVED","message":"No."}`)
		}
		return l.honest.RoundTrip(r)
	}},
	"resume-declined": {tell: func(l *liar, r *http.Request) (*http.Response, error) {
		if is(r, "POST", "/resume") && l.times("archives") > 0 {
			id := strings.Split(r.URL.Path, "/")[4]
			return l.says(r, 200, `{"sessionId":"`+id+`","resumed":true}`)
		}
		return l.honest.RoundTrip(r)
	}},
	"delete-ends": {tell: func(l *liar, r *http.Request) (*http.Response, error) {
		if is(r, "DELETE", "/*") && l.nth("deletes") == 1 {
			return l.says(r, 200, `{}`)
		}
		return l.honest.RoundTrip(r)
	}, hides: []string{"delete-repeats"}},
	"delete-repeats": {tell: func(l *liar, r *http.Request) (*http.Response, error) {
		if is(r, "DELETE", "/*") && l.nth("deletes") == 2 {
			return l.says(r, 403, `{"error":"No."}`)
		}
		return l.honest.RoundTrip(r)
	}},
	"answers-dated": {tell: func(l *liar, r *http.Request) (*http.Response, error) {
		answer, err := l.honest.RoundTrip(r)
		if err == nil && is(r, "GET", "/participants") || is(r, "PATCH", "/*") {
			answer.Header.Del("Date")
		}
		return answer, err
	}},
}

// TestEveryPromiseCanBeBroken tells each lie in turn, and wants that one promise reported, and no other.
func TestEveryPromiseCanBeBroken(t *testing.T) {
	for _, p := range All() {
		lie, ok := lies[p.Name]
		if !assert.True(t, ok, "there is a lie that breaks %s", p.Name) {
			continue
		}
		t.Run(p.Name, func(t *testing.T) {
			examined(t, func(hub *codertest.Hub, honest http.RoundTripper) http.RoundTripper {
				return &liar{hub: hub, honest: honest, lie: lie.tell, seen: make(map[string]int)}
			}, func(t *testing.T, hub *codertest.Hub, report *Report) {
				found := statuses(report, Broken)
				assert.Contains(t, found, p.Name)
				assert.NotEmpty(t, found[p.Name], "it says what was seen")
				delete(found, p.Name)
				assert.Empty(t, found, "no other is broken")
				hidden := statuses(report, Unsettled)
				for _, name := range lie.hides {
					assert.Contains(t, hidden, name)
					delete(hidden, name)
				}
				assert.Empty(t, hidden, "all others can be settled")
				assert.Empty(t, report.Left)
				assert.Len(t, hub.SessionIDs(), 3, "what was made is deleted again")
			})
		})
	}
	assert.Len(t, lies, len(All()))
}
