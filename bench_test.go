package coder_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
)

// cannedHub answers every request with the same bytes and allocates nothing while it does, so that
// what a benchmark counts is the client's.
func cannedHub(b *testing.B, status int, body string) (url string) {
	b.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(b, err)
	b.Cleanup(func() { _ = listener.Close() })
	response := fmt.Appendf(nil, "HTTP/1.1 %d OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", status, len(body), body)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go answerAll(conn, response)
		}
	}()
	return "http://" + listener.Addr().String()
}

func answerAll(conn net.Conn, response []byte) {
	defer conn.Close()
	buffer, filled := make([]byte, 64<<10), 0
	for {
		n, err := conn.Read(buffer[filled:])
		if err != nil {
			return
		}
		filled += n
		head := bytes.Index(buffer[:filled], []byte("\r\n\r\n"))
		if head < 0 || filled < head+4+contentLength(buffer[:head]) {
			continue
		}
		filled = 0
		if _, err := conn.Write(response); err != nil {
			return
		}
	}
}

func contentLength(head []byte) int {
	name := []byte("\r\nContent-Length: ")
	at := bytes.Index(head, name)
	if at < 0 {
		return 0
	}
	value, _, _ := bytes.Cut(head[at+len(name):], []byte("\r"))
	n, _ := strconv.Atoi(string(value)) // does not escape
	return n
}

func benchClient(b *testing.B, url string) *coder.Client {
	b.Helper()
	c, err := coder.NewClient(coder.WithURL(url), coder.WithAPIKey("key"))
	require.NoError(b, err)
	b.Cleanup(c.CloseIdleConnections)
	return c
}

// benchSession is a session of 1.2 KB with every member of the list item and detail present.
func benchSession(b *testing.B) string {
	b.Helper()
	var s map[string]json.RawMessage
	require.NoError(b, json.Unmarshal([]byte(sample(b, "responses/session-get.json")), &s))
	for _, companion := range []string{"participants", "tasks", "agentActivity", "stream", "streamId", "streamUrl", "context", "usage", "repos"} {
		delete(s, companion)
	}
	out, err := json.Marshal(s)
	require.NoError(b, err)
	return string(out)
}

func BenchmarkGetSession(b *testing.B) {
	body := benchSession(b)
	c := benchClient(b, cannedHub(b, 200, body))
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.GetSession(b.Context(), "codesess_7f3a9c21b4e0"); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkGetSessionHandwritten is what people write instead: net/http and encoding/json into the
// members they need, unknown ones lost, no retries, no checks.
func BenchmarkGetSessionHandwritten(b *testing.B) {
	url := cannedHub(b, 200, benchSession(b)) + "/api/hub/session/codesess_7f3a9c21b4e0"
	client := &http.Client{Transport: coder.NewTransport()}
	defer client.CloseIdleConnections()
	b.ReportAllocs()
	for b.Loop() {
		req, err := http.NewRequestWithContext(b.Context(), http.MethodGet, url, nil)
		if err != nil {
			b.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer key")
		req.Header.Set("Accept", "application/json")
		resp, err := client.Do(req)
		if err != nil {
			b.Fatal(err)
		}
		data, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil {
			b.Fatal(err)
		}
		var s handwrittenSession
		if err := json.Unmarshal(data, &s); err != nil {
			b.Fatal(err)
		}
	}
}

// handwrittenSession has the members of a session for encoding/json alone.
type handwrittenSession struct {
	SessionID     string            `json:"sessionId"`
	Label         string            `json:"label"`
	Status        string            `json:"status"`
	Mode          string            `json:"mode"`
	Visibility    string            `json:"visibility"`
	Owner         map[string]string `json:"owner"`
	Origin        any               `json:"origin"`
	Repo          *handwrittenRepo  `json:"repo"`
	Workspace     map[string]string `json:"workspace"`
	SessionKind   string            `json:"sessionKind"`
	WorkflowMode  string            `json:"workflowMode"`
	CreatedAt     time.Time         `json:"createdAt"`
	LastActivity  time.Time         `json:"lastActivityAt"`
	UpdatedAt     time.Time         `json:"updatedAt"`
	TaskCount     int               `json:"taskCount"`
	SubAgents     int               `json:"subAgentCount"`
	Observers     int               `json:"observerCount"`
	Participants  int               `json:"participantCount"`
	Tags          []string          `json:"tags"`
	Skills        []coder.SkillRef  `json:"skills"`
	EnabledAgents []string          `json:"enabledAgents"`
	DefaultAgent  string            `json:"defaultAgent"`
	Bucket        string            `json:"bucket"`
	Runtime       bool              `json:"runtimeAvailable"`
	Control       bool              `json:"controlAvailable"`
	Manage        bool              `json:"manageAvailable"`
	Wake          bool              `json:"wakeAvailable"`
	HistoryOnly   bool              `json:"historyOnly"`
	LiveExpected  bool              `json:"liveExpected"`
	Task          string            `json:"task"`
	Env           map[string]string `json:"env"`
	Metadata      map[string]any    `json:"metadata"`
}

type handwrittenRepo struct {
	RepoID        string `json:"repoId"`
	Type          string `json:"type"`
	Provider      string `json:"provider"`
	Owner         string `json:"owner"`
	Name          string `json:"name"`
	FullName      string `json:"fullName"`
	URL           string `json:"url"`
	CloneURL      string `json:"cloneUrl"`
	DefaultBranch string `json:"defaultBranch"`
	Branch        string `json:"branch"`
}

// BenchmarkExchange is a request and its answer without any of this package: what net/http takes.
func BenchmarkExchange(b *testing.B) {
	url := cannedHub(b, 200, benchSession(b)) + "/api/hub/session/codesess_7f3a9c21b4e0"
	client := &http.Client{Transport: coder.NewTransport()}
	defer client.CloseIdleConnections()
	buffer := make([]byte, 8<<10)
	b.ReportAllocs()
	for b.Loop() {
		req, err := http.NewRequestWithContext(b.Context(), http.MethodGet, url, nil)
		if err != nil {
			b.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer key")
		resp, err := client.Do(req)
		if err != nil {
			b.Fatal(err)
		}
		for err == nil {
			_, err = resp.Body.Read(buffer)
		}
		_ = resp.Body.Close()
	}
}

func BenchmarkCreateSession(b *testing.B) {
	c := benchClient(b, cannedHub(b, 201, sample(b, "responses/session-create.json")))
	request := coder.CreateSessionRequest{Task: "Sort the list", Tags: []string{"a", "b"}}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.CreateSession(b.Context(), request); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkListSessions1000(b *testing.B) {
	item := benchSession(b)
	body := `{"sessions":{"websocket":[` + string(bytes.Repeat([]byte(item+","), 999)) + item + `],"sandbox":[]},"total":1000}`
	c := benchClient(b, cannedHub(b, 200, body))
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		list, err := c.ListSessions(b.Context(), nil)
		if err != nil || len(list.Sessions) != 1000 {
			b.Fatal(err)
		}
	}
}

// replayBody is a replay of 8 MB.
func replayBody() string {
	var b bytes.Buffer
	b.WriteString(`{"sessionId":"x","entriesSource":"session_entries","entries":[`)
	for i := 0; b.Len() < 8<<20; i++ {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"type":"message","agent":"lead","turnId":"turn_%d","sequence":%d,"timestamp":%d,"content":"%s"}`,
			i/5, i, 1764662402000+i, "The exporter now writes CSV, and the tests that cover it pass. Next is the import, which reads what it wrote. ")
	}
	b.WriteString(`]}`)
	return b.String()
}

func BenchmarkReplayEntries(b *testing.B) {
	body := replayBody()
	c := benchClient(b, cannedHub(b, 200, body))
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		for _, err := range c.ReplayEntries(b.Context(), "x", nil) {
			if err != nil {
				b.Fatal(err)
			}
		}
	}
}

func BenchmarkGetReplay(b *testing.B) {
	body := replayBody()
	c := benchClient(b, cannedHub(b, 200, body))
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.GetReplay(b.Context(), "x", nil); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReplayHandwritten(b *testing.B) {
	body := replayBody()
	url := cannedHub(b, 200, body) + "/x"
	client := &http.Client{Transport: coder.NewTransport()}
	defer client.CloseIdleConnections()
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	type entry coder.ConversationEntry // the same members, without the methods
	for b.Loop() {
		resp, err := client.Get(url)
		if err != nil {
			b.Fatal(err)
		}
		data, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		var replay struct {
			SessionID string  `json:"sessionId"`
			Entries   []entry `json:"entries"`
		}
		if err != nil || json.Unmarshal(data, &replay) != nil {
			b.Fatal("unreadable")
		}
	}
}

const benchEvent = `event: broadcast
data: {"type":"broadcast","event":"message_update","category":"message","data":{"assistantMessageEvent":{"type":"text_delta","delta":"%s"},"agent":"lead"},"sessionId":"codesess_7f3a9c21b4e0","timestamp":1768473737522}

`

// BenchmarkStreamEvents is one typed event of 250 bytes.
func BenchmarkStreamEvents(b *testing.B) {
	benchEvents(b, fmt.Sprintf(benchEvent, "Adding the callback route."), 256)
}

// BenchmarkStreamEventsLarge is one typed event of the size of a long hydration. The cost is to grow
// with the size, and not faster.
func BenchmarkStreamEventsLarge(b *testing.B) {
	for _, size := range []int{1 << 20, 10 << 20} {
		b.Run(fmt.Sprintf("%dMB", size>>20), func(b *testing.B) {
			benchEvents(b, fmt.Sprintf(benchEvent, strings.Repeat("x", size)), 1)
		})
	}
}

// benchEvents reads b.N events from a Hub that sends the same block without end, so many at once.
func benchEvents(b *testing.B, block string, atOnce int) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(b, err)
	b.Cleanup(func() { _ = listener.Close() })
	many := bytes.Repeat([]byte(block), atOnce)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
				for err == nil {
					_, err = conn.Write(many)
				}
			}()
		}
	}()
	c := benchClient(b, "http://"+listener.Addr().String())
	b.SetBytes(int64(len(block)))
	b.ReportAllocs()
	n := 0
	for event, err := range c.StreamEvents(b.Context(), "x", nil) {
		if err != nil {
			b.Fatal(err)
		}
		if _, ok := event.Data.(*coder.BroadcastEventMessage); !ok {
			b.Fatalf("%T", event.Data)
		}
		if n++; n >= b.N {
			break
		}
	}
}
