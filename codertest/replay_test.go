package codertest_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go/codertest"
)

// tape is a recording that was written by hand.
func tape(lines ...string) string {
	return `{"cassette":1,"library":"by hand","began":"2026-11-28T19:30:59Z"}` + "\n" + strings.Join(lines, "\n") + "\n"
}

// replayed plays a recording in a bubble.
func replayed(t *testing.T, recording string, test func(t *testing.T, f replayFixture), opts ...codertest.Option) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		hub, err := codertest.Replay(strings.NewReader(recording), append(opts, codertest.WithInMemoryNetwork())...)
		require.NoError(t, err)
		defer hub.Close()
		test(t, replayFixture{t, hub})
	})
}

type replayFixture struct {
	*testing.T
	*codertest.ReplayHub
}

// ask makes a request, with headers as name and value.
func (f replayFixture) ask(method, target, body string, header ...string) (reply, error) {
	f.Helper()
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(f.Context(), method, f.URL()+target, reader)
	require.NoError(f, err)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	client := *f.HTTPClient()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return read(client.Do(req))
}

// exchange is three lines: a request, its answer, and its end.
func exchange(n, request, status, body string) string {
	return `{"n":` + n + `,"is":"request",` + request + `}` + "\n" +
		`{"n":` + n + `,"is":"answer","status":` + status + `,"header":{"Content-Type":["application/json"],"X-Secret":["[removed]"]}}` + "\n" +
		`{"n":` + n + `,"is":"body","json":` + body + `}` + "\n" + `{"n":` + n + `,"is":"end","how":"whole"}`
}

// TestReplay_Finds: what does not matter does not count, everything else does.
func TestReplay_Finds(t *testing.T) {
	recording := tape(
		exchange("1", `"method":"GET","url":"https://real.example/tenants/one/api/hub/sessions?limit=5&search=a+b&orgId=org_1&api_key=%5Bremoved%5D"`, "200", `{"n":1}`),
		exchange("2", `"method":"POST","url":"https://real.example/api/hub/session","json":{"task":"x","env":{"A":"[removed]"},"n":1.0}`, "201", `{"n":2}`),
		exchange("3", `"method":"POST","url":"https://real.example/api/hub/session","json":{"task":"x","env":{"A":"[removed]"},"n":1.0}`, "201", `{"n":3}`),
		exchange("4", `"method":"POST","url":"https://real.example/api/hub/x","text":"no JSON"`, "201", `{"n":4}`),
		exchange("5", `"method":"GET","url":"https://real.example/api/hub/session/a%2Fb"`, "200", `{"n":5}`),
		exchange("6", `"method":"PATCH","url":"https://real.example/api/hub/x","json":{"a":[1,{"b~/c":2}]}`, "200", `{"n":6}`),
		exchange("7", `"method":"GET","url":"https://real.example"`, "200", `{"n":7}`),
		exchange("8", `"method":"GET","url":"https://real.example?at=/"`, "200", `{"n":8}`),
		exchange("9", `"method":"POST","url":"https://real.example/api/hub/y","text":"1"`, "200", `{"n":9}`),
	)
	replayed(t, recording, func(t *testing.T, f replayFixture) {
		for _, test := range []struct {
			name, method, target, body string
			want                       float64 // 0: it is not there
			says                       string
		}{
			{"another order", "GET", "/api/hub/sessions?search=a%20b&limit=5", "", 1, ""},
			{"another key and organization", "GET", "/else/where/api/hub/sessions?api_key=mine&org_id=x&limit=5&search=a+b", "", 1, ""},
			{"without a part", "GET", "/api/hub/sessions?limit=5", "", 0, "GET /api/hub/sessions?limit=5: it was recorded with another query"},
			{"another method", "HEAD", "/api/hub/sessions?search=a%20b&limit=5", "", 0, ""},
			{"JSON in another form", "POST", "/api/hub/session", `{"n":1.0, "env":{"A":"my secret"}, "task":"\u0078"}`, 2, ""},
			{"the second answer", "POST", "/api/hub/session", `{"n":1.0,"env":{"A":"my secret"},"task":"x"}`, 3, ""},
			{"the last one again", "POST", "/api/hub/session", `{"n":1.0,"env":{"A":"my secret"},"task":"x"}`, 3, ""},
			{"a member more", "POST", "/api/hub/session", `{"n":1.0,"env":{"A":"s"},"task":"x","more":1}`, 0, "POST /api/hub/session: it was recorded with another body (at /more)"},
			{"another variable", "POST", "/api/hub/session", `{"n":1.0,"env":{"B":"s"},"task":"x"}`, 0, "POST /api/hub/session: it was recorded with another body (at /env/A)"},
			{"a text", "POST", "/api/hub/x", "no JSON", 4, ""},
			{"a number", "POST", "/api/hub/y", "1", 9, ""},
			{"a number and more", "POST", "/api/hub/y", "1]", 0, "POST /api/hub/y: it was recorded with another body"},
			{"another text", "POST", "/api/hub/x", "some JSON", 0, "POST /api/hub/x: it was recorded with another body"},
			{"an escaped id", "GET", "/api/hub/session/a%2Fb", "", 5, ""},
			{"another id", "GET", "/api/hub/session/a/b", "", 0, "GET /api/hub/session/a/b: it was not recorded"},
			{"no path", "GET", "", "", 7, ""},
			{"no path, and a query", "GET", "/?at=/", "", 8, ""},
			{"deep", "PATCH", "/api/hub/x", `{"a":[1,{"b~/c":3}]}`, 0, "PATCH /api/hub/x: it was recorded with another body (at /a/1/b~0~1c)"},
			{"shorter", "PATCH", "/api/hub/x", `{"a":[1]}`, 0, "PATCH /api/hub/x: it was recorded with another body (at /a/1)"},
			{"another kind", "PATCH", "/api/hub/x", `[]`, 0, "PATCH /api/hub/x: it was recorded with another body (at the top)"},
		} {
			before := len(f.Missing())
			r, err := f.ask(test.method, test.target, test.body)
			require.NoError(t, err)
			assert.Empty(t, r.header.Get("X-Secret"))
			if test.want > 0 {
				assert.Equal(t, test.want, r.json["n"], test.name)
				assert.Len(t, f.Missing(), before)
				continue
			}
			assert.Equal(t, 501, r.status, test.name)
			missing := f.Missing()
			require.Len(t, missing, before+1, test.name)
			if test.says != "" {
				assert.Equal(t, test.says, missing[before])
				assert.Equal(t, "codertest.Replay: "+test.says, r.json["message"])
				assert.Equal(t, "NOT_RECORDED", r.json["code"])
			}
		}
		assert.Equal(t, []string{"PATCH /api/hub/x"}, f.Unasked())
	})
}

// TestReplay_LooksMoreOrLess: a program that looks more often than it did, or less, is not told what comes after what it has
// not done yet, nor what was before what it has done.
func TestReplay_LooksMoreOrLess(t *testing.T) {
	get, change := `"method":"GET","url":"http://h/api/hub/session/s"`, `"method":"POST","url":"http://h/api/hub/session/s/archive"`
	socket := `{"n":9,"is":"request",` + socketRequest + "\n" + `{"n":9,"is":"answer","status":101,"header":{"Upgrade":["websocket"]}}` + "\n" +
		`{"n":9,"is":"sent","json":{"type":"bootstrap_ready"}}` + "\n"
	recording := tape(
		exchange("1", get, "200", `{"n":1}`), exchange("2", get, "200", `{"n":2}`),
		exchange("3", change, "200", `{}`), exchange("4", get, "200", `{"n":3}`), exchange("5", get, "200", `{"n":4}`),
		socket+`{"n":9,"is":"sent","json":{"type":"rpc_command","command":{"type":"prompt"}}}`, exchange("6", get, "200", `{"n":5}`),
		exchange("7", `"method":"GET","url":"http://h/api/hub/other"`, "200", `{"n":6}`),
	)
	for name, test := range map[string]struct {
		does string // g: look, c: change, p: prompt, o: look at something else
		want []float64
	}{
		"the same":                       {"ggcggpgo", []float64{1, 2, 3, 4, 5, 6}},
		"more":                           {"ggggcggggpgg", []float64{1, 2, 2, 2, 3, 4, 4, 4, 5, 5}},
		"less":                           {"gcgpg", []float64{1, 3, 5}},
		"without the change":             {"gggg", []float64{1, 2, 2, 2}},
		"the prompt, and not the change": {"gpg", []float64{1, 5}},
		"what came last, first":          {"oog", []float64{6, 6, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			replayed(t, recording, func(t *testing.T, f replayFixture) {
				var got []float64
				for _, what := range test.does {
					method, path := "GET", "/api/hub/session/s"
					switch what {
					case 'c':
						method, path = "POST", path+"/archive"
					case 'o':
						path = "/api/hub/other"
					case 'p':
						conn := f.dial()
						say(t, conn, `{"type":"rpc_command","command":{"type":"prompt"}}`)
						synctest.Wait()
						continue
					}
					r, err := f.ask(method, path, "")
					require.NoError(t, err)
					if what != 'c' {
						got = append(got, r.json["n"].(float64))
					}
				}
				assert.Equal(t, test.want, got)
				assert.Empty(t, f.Missing())
			})
		})
	}
}

// TestReplay_Answers: what an answer is besides its body.
func TestReplay_Answers(t *testing.T) {
	recording := tape(
		`{"n":1,"is":"request","method":"GET","url":"https://real.example/p/api/hub/a"}`,
		`{"n":1,"is":"answer","status":302,"header":{"Location":["https://real.example/p/api/hub/b"],"Content-Length":["77"]}}`,
		`{"n":1,"is":"end","how":"whole"}`,
		`{"n":2,"is":"request","method":"GET","url":"https://real.example/p/api/hub/c"}`,
		`{"n":2,"is":"answer","status":302,"header":{"Location":["https://other.example/"]}}`,
		`{"n":2,"is":"end","how":"whole"}`,
		`{"n":3,"is":"request","method":"GET","url":"https://real.example/p/api/hub/long"}`,
		`{"n":3,"is":"answer","status":200}`,
		`{"n":3,"is":"body","text":"abc","omitted":7}`,
		`{"n":3,"is":"end","how":"whole"}`,
		`{"n":4,"is":"request","method":"GET","url":"https://real.example/p/api/hub/broken"}`,
		`{"n":4,"is":"answer","status":200}`,
		`{"n":4,"is":"body","text":"{\"a\":","omitted":7,"broken":true}`,
		`{"n":4,"is":"end","how":"whole"}`,
		`{"n":5,"is":"request","method":"GET","url":"https://real.example/p/coder"}`,
		`{"n":5,"is":"answer","status":200}`,
		`{"n":5,"is":"body","json":{"url":"https://real.example/p","x":1}}`,
		`{"n":5,"is":"end","how":"whole"}`,
		`{"n":6,"is":"request","method":"HEAD","url":"https://real.example/p/api/hub/a"}`,
		`{"n":6,"is":"answer","status":200,"header":{"Content-Length":["77"]}}`,
		`{"n":6,"is":"end","how":"whole"}`,
		`{"n":7,"is":"request","method":"GET","url":"https://real.example/p/api/hub/bytes"}`,
		`{"n":7,"is":"answer","status":200,"header":{"Content-Type":["application/octet-stream"]}}`,
		`{"n":7,"is":"body","base64":"/wA="}`,
		`{"n":7,"is":"end","how":"whole"}`,
	)
	replayed(t, recording, func(t *testing.T, f replayFixture) {
		assert.Len(t, f.Unasked(), 6, "discovery is left out")
		r, err := f.ask("GET", "/api/hub/a", "")
		require.NoError(t, err)
		assert.Equal(t, 302, r.status)
		assert.Equal(t, "/p/api/hub/b", r.header.Get("Location"), "to the Hub itself")
		assert.Empty(t, r.body)
		r, err = f.ask("GET", "/api/hub/c", "")
		require.NoError(t, err)
		assert.Equal(t, "https://other.example/", r.header.Get("Location"))
		r, err = f.ask("GET", "/api/hub/long", "")
		require.NoError(t, err)
		assert.Equal(t, 501, r.status)
		assert.Equal(t, []string{"GET /api/hub/long: the recording has all but 7 bytes of its answer: record with a larger MaxBody"}, f.Missing())
		r, err = f.ask("GET", "/api/hub/broken", "")
		require.NoError(t, err)
		assert.Equal(t, `{"a":`, string(r.body))
		r, err = f.ask("GET", "/coder", "")
		require.NoError(t, err)
		assert.Equal(t, map[string]any{"url": f.URL(), "x": 1.0}, r.json)
		r, err = f.ask("HEAD", "/api/hub/a", "")
		require.NoError(t, err)
		assert.Equal(t, "77", r.header.Get("Content-Length"))
		r, err = f.ask("GET", "/api/hub/bytes", "")
		require.NoError(t, err)
		assert.Equal(t, "\xff\x00", string(r.body))
		assert.Equal(t, "application/octet-stream", r.header.Get("Content-Type"))
	})
}

// TestReplay_TooLong: of what was longer than MaxBody the recording has a part, and says so.
func TestReplay_TooLong(t *testing.T) {
	recording := tape(
		`{"n":1,"is":"request","method":"POST","url":"http://h/api/hub/session","text":"{\"task\":","omitted":9}`,
		`{"n":1,"is":"answer","status":201}`, `{"n":1,"is":"end","how":"whole"}`,
		`{"n":2,"is":"request",`+socketRequest, `{"n":2,"is":"answer","status":101,"header":{"Upgrade":["websocket"]}}`,
		`{"n":2,"is":"sent","text":"{\"type\":","omitted":8}`, `{"n":2,"is":"received","json":{"type":"x"},"omitted":0}`,
		`{"n":2,"is":"end","how":"left"}`,
	)
	replayed(t, recording, func(t *testing.T, f replayFixture) {
		r, err := f.ask("POST", "/api/hub/session", `{"task":"x","tags":[]}`)
		require.NoError(t, err)
		assert.Equal(t, 501, r.status)
		conn := f.dial()
		say(t, conn, `{"type":"event","id":"x"}`)
		_, _, err = conn.Read(t.Context())
		assert.Equal(t, websocket.StatusCode(4501), websocket.CloseStatus(err))
		const why = "the recording has all but %d bytes of it: record with a larger MaxBody"
		assert.Equal(t, []string{
			"POST /api/hub/session: it cannot be compared with what was recorded: " + fmt.Sprintf(why, 9),
			"GET /api/ws?role=controller&sessionId=s: the message event cannot be compared with what was recorded: " + fmt.Sprintf(why, 8),
		}, f.Missing())
	})
}

// TestReplay_CloseReason: what stands in the place of a secret may have made it longer than a close frame can hold.
func TestReplay_CloseReason(t *testing.T) {
	recording := tape(
		`{"n":1,"is":"request",`+socketRequest, `{"n":1,"is":"answer","status":101,"header":{"Upgrade":["websocket"]}}`,
		`{"n":1,"is":"close","by":"hub","code":4408,"reason":"`+strings.Repeat("ü", 100)+`"}`, `{"n":1,"is":"end","how":"whole"}`,
	)
	replayed(t, recording, func(t *testing.T, f replayFixture) {
		_, _, err := f.dial().Read(t.Context())
		var closed websocket.CloseError
		require.ErrorAs(t, err, &closed)
		assert.Equal(t, websocket.CloseError{Code: 4408, Reason: strings.Repeat("ü", 61)}, closed)
	})
}

// TestReplay_Pace: time is as it was, or faster, or there is none.
func TestReplay_Pace(t *testing.T) {
	recording := tape(
		`{"t":100,"n":1,"is":"request","method":"GET","url":"http://h/api/hub/session/s/events"}`,
		`{"t":1100,"n":1,"is":"answer","status":200,"header":{"Content-Type":["text/event-stream"]}}`,
		`{"t":2100,"n":1,"is":"body","text":": one\n\n"}`,
		`{"t":5100,"n":1,"is":"body","text":": two\n\n"}`,
		`{"t":6100,"n":1,"is":"end","how":"cut"}`,
	)
	for name, test := range map[string]struct {
		opts []codertest.Option
		want []time.Duration
	}{
		"by default": {nil, []time.Duration{time.Second, 2 * time.Second, 5 * time.Second, 6 * time.Second}},
		"twice":      {[]codertest.Option{codertest.WithReplayPace(2)}, []time.Duration{time.Second / 2, time.Second, 2500 * time.Millisecond, 3 * time.Second}},
		"at once":    {[]codertest.Option{codertest.WithReplayPace(0)}, []time.Duration{0, 0, 0, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			replayed(t, recording, func(t *testing.T, f replayFixture) {
				began := time.Now()
				var at []time.Duration
				req, err := http.NewRequestWithContext(t.Context(), "GET", f.URL()+"/api/hub/session/s/events", nil)
				require.NoError(t, err)
				resp, err := f.HTTPClient().Do(req)
				require.NoError(t, err)
				defer resp.Body.Close()
				at = append(at, time.Since(began))
				lines := bufio.NewReader(resp.Body)
				for _, want := range []string{": one\n", "\n", ": two\n", "\n"} {
					line, err := lines.ReadString('\n')
					require.NoError(t, err)
					require.Equal(t, want, line)
					if want != "\n" {
						at = append(at, time.Since(began))
					}
				}
				_, err = lines.ReadByte()
				require.ErrorIs(t, err, io.ErrUnexpectedEOF)
				assert.Equal(t, test.want, append(at, time.Since(began)))
			}, test.opts...)
		})
	}
	assert.PanicsWithValue(t, "codertest: the speed of a replay must not be negative", func() { codertest.WithReplayPace(-1) })
}

const socketRequest = `"method":"GET","url":"http://h/api/ws?role=controller&sessionId=s"}`

// dial opens the WebSocket that is played.
func (f replayFixture) dial() *websocket.Conn {
	f.Helper()
	conn, _, err := websocket.Dial(f.Context(), "ws"+strings.TrimPrefix(f.URL(), "http")+"/api/ws?sessionId=s&role=controller&api_key=mine",
		&websocket.DialOptions{HTTPClient: f.HTTPClient()})
	require.NoError(f, err)
	f.Cleanup(func() { _ = conn.CloseNow() })
	return conn
}

func say(t testing.TB, conn *websocket.Conn, text string) {
	t.Helper()
	require.NoError(t, conn.Write(t.Context(), websocket.MessageText, []byte(text)))
}

func hear(t testing.TB, conn *websocket.Conn) string {
	t.Helper()
	_, data, err := conn.Read(t.Context())
	require.NoError(t, err)
	return string(data)
}

// TestReplay_Socket: what follows a message waits for it, ids are those of now, and what was not said is refused.
func TestReplay_Socket(t *testing.T) {
	recording := tape(
		`{"n":1,"is":"request",`+socketRequest, `{"n":1,"is":"answer","status":101,"header":{"Upgrade":["websocket"]}}`,
		`{"n":1,"is":"sent","json":{"authorization":"[removed]"}}`,
		`{"n":1,"is":"received","json":{"type":"init"}}`,
		`{"n":1,"is":"sent","json":{"type":"rpc_command","command":{"type":"prompt","id":"RECORDED-ID-OF-PROMPT","message":"x"}}}`,
		`{"n":1,"is":"sent","json":{"type":"ping","timestamp":1}}`,
		`{"n":1,"is":"received","json":{"type":"pong","timestamp":1,"echoedTimestamp":1}}`,
		`{"n":1,"is":"received","json":{"type":"rpc_response","response":{"id":"RECORDED-ID-OF-PROMPT","text":"short"}}}`,
		`{"n":1,"is":"sent","json":{"type":"event","id":"short"}}`,
		`{"n":1,"is":"received","json":{"id":"short","actions":["shorter"]}}`,
		`{"n":1,"is":"received","base64":"/wA="}`,
		`{"n":1,"is":"close","by":"hub","code":4408,"reason":"restarts"}`,
		`{"n":1,"is":"end","how":"whole"}`,
		`{"n":2,"is":"request",`+socketRequest, `{"n":2,"is":"answer","status":101,"header":{"Upgrade":["websocket"]}}`,
		`{"n":2,"is":"received","json":{"last":"RECORDED-ID-OF-PROMPT"}}`,
		`{"n":2,"is":"close","by":"program","code":1000}`, `{"n":2,"is":"received","json":{"too":"late"}}`,
		`{"n":2,"is":"close","by":"hub","code":1000}`, `{"n":2,"is":"end","how":"left"}`,
		`{"n":3,"is":"request",`+socketRequest, `{"n":3,"is":"answer","status":101,"header":{"Upgrade":["websocket"]}}`,
		`{"n":3,"is":"sent","json":{"type":"rpc_command","command":{"type":"abort","id":"1"}}}`, `{"n":3,"is":"end","how":"cut"}`,
	)
	replayed(t, recording, func(t *testing.T, f replayFixture) {
		conn := f.dial()
		assert.JSONEq(t, `{"type":"init"}`, hear(t, conn), "it waits for no key")
		say(t, conn, `{"authorization":"mine","org_id":"o"}`)
		say(t, conn, `{"type":"ping","timestamp":77}`)
		assert.JSONEq(t, `{"type":"pong","timestamp":946684800000,"echoedTimestamp":77}`, hear(t, conn))
		say(t, conn, `{"type":"event","id":"now"}`) // earlier than it was
		time.Sleep(time.Hour)
		say(t, conn, `{"type":"rpc_command","command":{"message":"x","type":"prompt","id":"ID-OF-NOW"}}`)
		assert.JSONEq(t, `{"type":"rpc_response","response":{"id":"ID-OF-NOW","text":"now"}}`, hear(t, conn))
		assert.JSONEq(t, `{"id":"now","actions":["shorter"]}`, hear(t, conn), "a short id is replaced where it is a whole text")
		kind, data, err := conn.Read(t.Context())
		require.NoError(t, err)
		assert.Equal(t, websocket.MessageBinary, kind)
		assert.Equal(t, "\xff\x00", string(data))
		_, _, err = conn.Read(t.Context())
		var closed websocket.CloseError
		require.ErrorAs(t, err, &closed)
		assert.Equal(t, websocket.CloseError{Code: 4408, Reason: "restarts"}, closed)

		conn = f.dial()
		assert.JSONEq(t, `{"last":"ID-OF-NOW"}`, hear(t, conn), "over another connection too")
		quiet, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		_, _, err = conn.Read(quiet)
		require.ErrorIs(t, err, context.DeadlineExceeded, "the program had left: nothing comes after that")

		conn = f.dial()
		assert.Empty(t, f.Missing())
		assert.Equal(t, []string{"GET /api/ws?role=controller&sessionId=s: the message rpc_command abort"}, f.Unasked())
		say(t, conn, `{"type":"rpc_command","command":{"type":"prompt","id":"2","message":"`+strings.Repeat("long", 100)+`"}}`)
		_, _, err = conn.Read(t.Context())
		require.ErrorAs(t, err, &closed)
		assert.Equal(t, websocket.CloseError{Code: 4501, Reason: "codertest.Replay: not recorded: rpc_command prompt"}, closed)
		assert.Equal(t, []string{"GET /api/ws?role=controller&sessionId=s: the message rpc_command prompt was not recorded here"}, f.Missing())

		_, resp, err := websocket.Dial(t.Context(), f.URL()+"/api/ws?sessionId=s&role=controller", &websocket.DialOptions{HTTPClient: f.HTTPClient()})
		require.Error(t, err)
		assert.Equal(t, 501, resp.StatusCode)
	})
}

// TestReplay_SilentHub: a Hub that did not answer pings does not do so now.
func TestReplay_SilentHub(t *testing.T) {
	replayed(t, tape(
		`{"n":1,"is":"request",`+socketRequest, `{"n":1,"is":"answer","status":101,"header":{"Upgrade":["websocket"]}}`, `{"n":1,"is":"sent","json":{"type":"ping","timestamp":1}}`,
	), func(t *testing.T, f replayFixture) {
		conn := f.dial()
		say(t, conn, `{"type":"ping","timestamp":77}`)
		quiet, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		_, _, err := conn.Read(quiet)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Empty(t, f.Missing())
	})
}

// TestReplay_Close ends whatever hangs.
func TestReplay_Close(t *testing.T) {
	replayed(t, tape(
		`{"n":1,"is":"request",`+socketRequest, `{"n":1,"is":"answer","status":101,"header":{"Upgrade":["websocket"]}}`,
		`{"n":2,"is":"request","method":"GET","url":"http://h/api/hub/a"}`,
	), func(t *testing.T, f replayFixture) {
		conn := f.dial()
		ended := make(chan error, 2)
		go func() { _, _, err := conn.Read(t.Context()); ended <- err }()
		go func() { _, err := f.ask("GET", "/api/hub/a", ""); ended <- err }()
		synctest.Wait()
		f.Close()
		f.Close()
		require.Error(t, <-ended)
		require.Error(t, <-ended)
		_, err := f.ask("GET", "/api/hub/a", "")
		require.Error(t, err)
	})
}

func TestReplay_NoRecording(t *testing.T) {
	_, err := codertest.Replay(strings.NewReader("hello"))
	require.EqualError(t, err, `codertest: Replay: line 1: it is no recording: the first line has no "cassette"`)
}
