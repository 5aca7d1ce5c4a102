package coder_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
	"github.com/agentuity/coder-go/internal/cassette"
)

// tellStory is a program that uses all three ways to talk to a Hub. It returns what it has seen.
func tellStory(ctx context.Context, c *coder.Client, cut func(id string)) (seen []string, err error) {
	note := func(format string, args ...any) { seen = append(seen, fmt.Sprintf(format, args...)) }
	created, err := c.CreateSession(ctx, coder.CreateSessionRequest{Task: "Sort the list"})
	if err != nil {
		return seen, err
	}
	id := created.SessionID
	note("created %s %s", id, created.Status)
	back := make(chan struct{}, 1)
	conn, err := c.Attach(ctx, id, &coder.AttachOptions{Connection: coder.HubConnectOptions{OnState: func(state coder.HubConnState, _ error) {
		if state == coder.StateConnected {
			back <- struct{}{}
		}
	}}})
	if err != nil {
		return seen, err
	}
	defer conn.Close()
	for _, prompt := range []string{"Now add a test", "And one more"} {
		text := ""
		answer, err := conn.Ask(ctx, prompt, &coder.AskOptions{OnText: func(delta string) { text += delta + "|" }})
		if err != nil {
			return seen, err
		}
		note("answered %q %q %d", answer.Text, text, answer.ToolCalls)
		cut(id)
		<-back // the next prompt goes over another connection
	}
	state, err := conn.GetState(ctx)
	if err != nil {
		return seen, err
	}
	note("%d messages, streaming: %t", state.MessageCount, state.IsStreaming)
	if err := conn.Close(); err != nil {
		return seen, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for event, err := range c.StreamEvents(ctx, id, nil) {
		if err != nil {
			return seen, err
		}
		note("event %s %T", event.Event, event.Data)
		if m, ok := event.Data.(*coder.ReconnectedMessage); ok {
			note("cause %v", m.Cause)
			break
		}
		if _, ok := event.Data.(*coder.SSEHydrationMessage); ok {
			cut(id)
		}
	}
	list, err := c.ListSessions(ctx, &coder.ListSessionsParams{Limit: 5})
	if err != nil {
		return seen, err
	}
	note("listed %d", list.Total)
	_, err = c.GetSession(ctx, "codesess_none")
	note("none: %v", err)
	return seen, nil
}

// record runs a program with a Hub in a bubble, and returns the recording and what the program has seen.
func record(t *testing.T, options *coder.RecorderOptions, program func(*testing.T, *coder.Client, *codertest.Hub) ([]string, error),
	opts ...codertest.Option,
) (recording []byte, seen []string) {
	t.Helper()
	bubbleWith(t, func(t *testing.T, hub *codertest.Hub) {
		var file bytes.Buffer
		rec, err := coder.NewRecorder(&file, options)
		require.NoError(t, err)
		c := hubClient(t, hub, coder.WithRecorder(rec))
		seen, err = program(t, c, hub)
		require.NoError(t, err)
		require.NoError(t, rec.Close())
		recording = file.Bytes()
	}, opts...)
	return recording, seen
}

// replay plays a recording in a bubble.
func replay(t *testing.T, recording []byte, program func(t *testing.T, hub *codertest.ReplayHub, c *coder.Client), opts ...codertest.Option) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		hub, err := codertest.Replay(bytes.NewReader(recording), append(opts, codertest.WithInMemoryNetwork())...)
		require.NoError(t, err)
		defer hub.Close()
		c, err := hub.NewClient()
		require.NoError(t, err)
		program(t, hub, c)
	})
}

// storyOn is tellStory on a Hub that is away at times.
func storyOn(t *testing.T, c *coder.Client, hub *codertest.Hub) ([]string, error) {
	hub.Inject(codertest.Fault{Method: "GET", Route: "/hub/sessions", Status: http.StatusServiceUnavailable})
	return tellStory(t.Context(), c, func(id string) {
		time.Sleep(time.Second)
		hub.Session(id).CutStreams()
	})
}

// TestRecorder_PlayedBack: a program that meets what it has met before sees the same, at any pace.
func TestRecorder_PlayedBack(t *testing.T) {
	recording, seen := record(t, nil, storyOn, codertest.WithAgentVersion("1.6.0"), codertest.WithAgentPace(20*time.Millisecond))
	require.Contains(t, seen, "cause unexpected EOF")
	for name, opts := range map[string][]codertest.Option{
		"as it was": nil, "at once": {codertest.WithReplayPace(0)}, "slowly": {codertest.WithReplayPace(0.5)},
	} {
		t.Run(name, func(t *testing.T) {
			replay(t, recording, func(t *testing.T, hub *codertest.ReplayHub, c *coder.Client) {
				again, err := tellStory(t.Context(), c, func(string) {})
				require.NoError(t, err)
				assert.Equal(t, seen, again)
				assert.Empty(t, hub.Missing())
				assert.Empty(t, hub.Unasked())
			}, opts...)
		})
	}
}

// TestRecorder_AnotherProgram: what the recording has not is refused, and said.
func TestRecorder_AnotherProgram(t *testing.T) {
	recording, _ := record(t, nil, storyOn, codertest.WithAgentVersion("1.6.0"))
	replay(t, recording, func(t *testing.T, hub *codertest.ReplayHub, c *coder.Client) {
		ctx := t.Context()
		_, err := c.CreateSession(ctx, coder.CreateSessionRequest{Task: "Sort the other list"})
		var api *coder.APIError
		require.ErrorAs(t, err, &api)
		assert.Equal(t, http.StatusNotImplemented, api.StatusCode)
		assert.Equal(t, coder.ErrorCode("NOT_RECORDED"), api.Code)
		assert.Equal(t, "codertest.Replay: POST /api/hub/session: it was recorded with another body (at /task)", api.Message)
		_, err = c.ListSessions(ctx, &coder.ListSessionsParams{Limit: 6})
		require.ErrorContains(t, err, "GET /api/hub/sessions?limit=6: it was recorded with another query")
		_, err = c.ListUsers(ctx, nil)
		require.ErrorContains(t, err, "it was not recorded")

		const id = "codesess_000000000001"
		conn, err := c.Connect(ctx, id, &coder.HubConnectOptions{Role: coder.RoleController})
		require.NoError(t, err)
		defer conn.Close()
		_, err = conn.GetState(ctx)
		var lost *coder.HubConnError
		require.ErrorAs(t, err, &lost)
		assert.Equal(t, coder.CloseCode(4501), lost.CloseCode)
		assert.Equal(t, "codertest.Replay: not recorded: rpc_command get_state", lost.CloseReason)

		_, err = take(c.StreamEvents(ctx, id, nil), 3) // over both streams that were recorded
		require.NoError(t, err)
		_, err = take(c.StreamEvents(ctx, id, nil), 1)
		require.ErrorContains(t, err, "the recording has 2 such connections, and each was played")

		assert.Equal(t, []string{
			"POST /api/hub/session: it was recorded with another body (at /task)",
			"GET /api/hub/sessions?limit=6: it was recorded with another query",
			"GET /api/hub/users: it was not recorded",
			"GET /api/ws?origin=sdk&role=controller&sessionId=" + id + ": the message rpc_command get_state was not recorded here",
			"GET /api/hub/session/" + id + "/events: the recording has 2 such connections, and each was played",
		}, hub.Missing())
		unasked := hub.Unasked()
		assert.Contains(t, unasked, "POST /api/hub/session")
		assert.Contains(t, unasked, "GET /api/ws?origin=sdk&role=controller&sessionId="+id+": the message rpc_command prompt")
		assert.NotContains(t, strings.Join(unasked, "\n"), "/events\n")
	})
}

// TestRecorder_Faults: what went wrong goes wrong again, each in its way.
func TestRecorder_Faults(t *testing.T) {
	program := func(ctx context.Context, c *coder.Client, goDown func()) (seen []string) {
		goDown()
		_, err := c.PublishCustomAgent(ctx, "none") // a create without a body
		seen = append(seen, fmt.Sprint("refused, then ", err))
		goDown()
		for _, task := range []string{"refused", "lost", "cut", "broken", "hangs"} {
			ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
			created, err := c.CreateSession(ctx, coder.CreateSessionRequest{Task: task})
			cancel()
			if err == nil {
				seen = append(seen, fmt.Sprint(task, " created ", created.SessionID))
				continue
			}
			var request *coder.RequestError
			known := errors.As(err, &request)
			sent := coder.Sent(0)
			if known {
				sent = request.Sent
			}
			seen = append(seen, fmt.Sprint(task, " unknown: ", errors.Is(err, coder.ErrOutcomeUnknown), ", request error: ", known, " ", sent,
				", deadline: ", errors.Is(err, context.DeadlineExceeded)))
		}
		_, err = c.GetSession(ctx, "codesess_gone")
		return append(seen, fmt.Sprint("read ", err))
	}
	recording, seen := record(t, nil, func(t *testing.T, c *coder.Client, hub *codertest.Hub) ([]string, error) {
		goDown := func() { hub.Restart(3*time.Second, codertest.Outage{}) }
		const route = "/hub/session"
		hub.Inject(codertest.Fault{Method: "POST", Route: route, Skip: 1, Cut: codertest.CutAfterEffect})
		hub.Inject(codertest.Fault{Method: "POST", Route: route, Skip: 1, Cut: codertest.CutMidBody})
		hub.Inject(codertest.Fault{Method: "POST", Route: route, Skip: 1, Body: []byte(`{"sessionId":!}`)})
		hub.Inject(codertest.Fault{Method: "POST", Route: route, Skip: 1, Stall: true})
		hub.Inject(codertest.Fault{Method: "GET", Route: "/hub/session/{id}", Cut: codertest.CutBeforeEffect})
		return program(t.Context(), c, goDown), nil
	})
	require.Len(t, seen, 7)
	assert.Contains(t, seen[0], "refused, then coder: PublishCustomAgent: 404")
	assert.Contains(t, seen[1], "refused created")
	assert.Contains(t, seen[2], "lost unknown: true")
	assert.Contains(t, seen[5], "deadline: true")
	for _, how := range []string{"refused", "reset", "cut", "whole", "left"} {
		assert.Contains(t, string(recording), `"how":"`+how+`"`)
	}
	for name, pace := range map[string]float64{"as it was": 1, "at once": 0} {
		t.Run(name, func(t *testing.T) {
			replay(t, recording, func(t *testing.T, hub *codertest.ReplayHub, c *coder.Client) {
				assert.Equal(t, seen, program(t.Context(), c, func() {}))
				assert.Empty(t, hub.Missing())
				assert.Empty(t, hub.Unasked())
			}, codertest.WithReplayPace(pace))
		})
	}
}

// TestRecorder_File: a recording in a file, played to clients that dial.
func TestRecorder_File(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run.jsonl")
	hub := codertest.NewHub()
	defer hub.Close()
	file, err := os.Create(path)
	require.NoError(t, err)
	rec, err := coder.NewRecorder(file, nil)
	require.NoError(t, err)
	c := hubClient(t, hub, coder.WithRecorder(rec))
	id := newSession(t, c)
	_, err = c.ArchiveSession(t.Context(), id)
	require.NoError(t, err)
	require.NoError(t, rec.Close())
	require.NoError(t, rec.Close(), "again")
	_, err = c.GetSession(t.Context(), id)
	require.NoError(t, err, "a client goes on without it")
	require.NoError(t, file.Close())

	file, err = os.Open(path)
	require.NoError(t, err)
	again, err := codertest.Replay(file)
	require.NoError(t, file.Close())
	require.NoError(t, err)
	defer again.Close()
	assert.Equal(t, "codertest.ReplayHub("+again.URL()+")", again.String())
	t.Setenv("AGENTUITY_SDK_KEY", testKey)
	other := newClient(t, coder.WithURL(again.URL()+"/"), coder.WithOrgID("org_1"))
	assert.Equal(t, id, newSession(t, other))
	assert.Equal(t, []string{"POST /api/hub/session/" + id + "/archive"}, again.Unasked())
	archived, err := other.ArchiveSession(t.Context(), id)
	require.NoError(t, err)
	assert.Equal(t, coder.StatusArchived, archived.Status)
	assert.Equal(t, id, newSession(t, other), "the last one again")
	assert.Empty(t, again.Unasked())
	_, err = other.GetSession(t.Context(), id)
	require.ErrorContains(t, err, "it was not recorded", "the recording had ended")
}

// TestRecorder_Discovery: it is recorded too. A client that discovers finds the Hub that plays.
func TestRecorder_Discovery(t *testing.T) {
	clearEnv(t)
	hub := codertest.NewHub(codertest.WithAPIKey(testKey))
	defer hub.Close()
	t.Setenv("AGENTUITY_CATALYST_URL", hub.URL())
	var file bytes.Buffer
	rec, err := coder.NewRecorder(&file, nil)
	require.NoError(t, err)
	c := newClient(t, coder.WithAPIKey(testKey), coder.WithRecorder(rec))
	newSession(t, c)
	require.NoError(t, rec.Close())
	assertNoSecret(t, testKey, "the recording", file.String())

	again, err := codertest.Replay(&file)
	require.NoError(t, err)
	defer again.Close()
	assert.Equal(t, []string{"POST /api/hub/session"}, again.Unasked())
	t.Setenv("AGENTUITY_CATALYST_URL", again.URL())
	other := newClient(t, coder.WithAPIKey("another"))
	newSession(t, other)
	found, err := other.URL(t.Context())
	require.NoError(t, err)
	assert.Equal(t, again.URL(), found)
	assert.Empty(t, again.Missing())
}

// spellings are the forms in which a key is repeated.
func spellings(t *testing.T, key string) []string {
	t.Helper()
	inJSON, err := json.Marshal(key)
	require.NoError(t, err)
	twice, err := json.Marshal(string(inJSON))
	require.NoError(t, err)
	escaped := func(format string) (s string) {
		for _, c := range []byte(key) {
			s += fmt.Sprintf(format, c)
		}
		return s
	}
	return []string{
		key, string(inJSON), string(twice), strings.ReplaceAll(string(inJSON), "/", `\/`), strconv.Quote(key), url.QueryEscape(key), url.PathEscape(key),
		url.QueryEscape(url.QueryEscape(key)), html.EscapeString(key), html.EscapeString(html.EscapeString(key)), escaped("%%%02x"), escaped("%%%02X"),
		escaped(`\x%02x`), escaped(`\u%04x`), strings.NewReplacer("~", "~0", "/", "~1").Replace(key), key[:len(key)-3], "Bearer " + key, "https://u:" + key + "@h/?token=" + key,
	}
}

// TestRecorder_Secrets repeats keys in every form and place. None is in the recording, nor anything that a body is
// known to hide.
func TestRecorder_Secrets(t *testing.T) {
	keys := []string{"agc_made-up/key+1~0123456789", `odd"key\with<marks>&more`, "sk_live_S3CR3T-abcdef"}
	for number, key := range keys {
		t.Run(fmt.Sprint(number), func(t *testing.T) {
			forms := spellings(t, key)
			hub := newServer(t, func(w http.ResponseWriter, r *http.Request) {
				for i, form := range forms {
					if !strings.ContainsAny(form, "\r\n") {
						w.Header().Add("X-Repeated-"+fmt.Sprint(i), form)
						w.Header().Add("Server", form)
					}
				}
				http.SetCookie(w, &http.Cookie{Name: "session", Value: "c00kie-secret"})
				var list []string
				for _, form := range forms {
					text, _ := json.Marshal(form)
					list = append(list, string(text))
				}
				body := `{"sessionId":"s1","status":"active","repeated":[` + strings.Join(list, ",") + `],"env":{"PLAIN":"env-secret"},"streamUrl":"wss://h/url-secret"}`
				switch {
				case strings.HasSuffix(r.URL.Path, "/broken"):
					if conn, _, err := http.NewResponseController(w).Hijack(); assert.NoError(t, err) {
						_, _ = io.WriteString(conn, "HTTP/1.1 "+url.QueryEscape(key)+"\r\n\r\n")
						_ = conn.Close()
					}
				case strings.HasSuffix(r.URL.Path, "/events"):
					w.Header().Set("Content-Type", "text/event-stream")
					_, _ = fmt.Fprintf(w, ": %s\n\nevent: x\ndata: %s\n\n", strings.Join(forms, " "), body)
				case strings.HasSuffix(r.URL.Path, "/html"):
					w.WriteHeader(http.StatusBadRequest)
					_, _ = io.WriteString(w, "<p>"+strings.Join(forms, "</p><p>"))
				case strings.HasSuffix(r.URL.Path, "/raw"):
					_, _ = io.WriteString(w, "\xff\x00"+strings.Join(forms, "\x00"))
				default:
					w.Header().Set("Content-Type", "application/json")
					_, _ = io.WriteString(w, body)
				}
			})
			jar, err := cookiejar.New(nil)
			require.NoError(t, err)
			for name, auth := range map[string]coder.Option{
				"WithAPIKey":     coder.WithAPIKey(key),
				"WithCredential": coder.WithCredential(func(context.Context) (string, error) { return key, nil }),
			} {
				var file bytes.Buffer
				rec, err := coder.NewRecorder(&file, nil)
				require.NoError(t, err)
				c := newClient(t, coder.WithURL(hub.URL+prefix), auth, coder.WithRecorder(rec), coder.WithHTTPClient(&http.Client{Jar: jar}),
					coder.WithRetryPolicy(coder.RetryPolicy{MaxAttempts: 1}))
				_, err = c.CreateSession(t.Context(), coder.CreateSessionRequest{
					Task: "My key is " + key, Env: map[string]string{"PLAIN": "env-secret"}, Metadata: map[string]any{key: []any{key}},
				})
				require.NoError(t, err)
				_, _ = c.GetSession(t.Context(), "s1")
				_ = c.Do(t.Context(), "GET", "/html?token=query-secret&q="+url.QueryEscape(key), nil, nil)
				_ = c.Do(t.Context(), "POST", "/raw", []byte("\xff"+key), nil)
				_, _ = c.GetSession(t.Context(), key)
				require.ErrorContains(t, c.Do(t.Context(), "GET", "/broken", nil, nil), "malformed")
				second := newClient(t, coder.WithURL(hub.URL+prefix), coder.WithAPIKey("another-key-of-another-client"), coder.WithRecorder(rec))
				_ = second.Do(t.Context(), "GET", "/raw?x=another-key-of-another-client", nil, nil) // knows two keys, and is told both
				_, err = take(c.StreamEvents(t.Context(), "s1", nil), 1)
				require.NoError(t, err)
				require.NoError(t, rec.Close())

				recording := file.String()
				assert.GreaterOrEqual(t, strings.Count(recording, `"is":"request"`), 6, name)
				assert.GreaterOrEqual(t, strings.Count(recording, "[API key]"), 30, name)
				assertNoSecret(t, key, name, recording)
				for line := range strings.Lines(recording) { // and none is hidden by the encoding
					var decoded struct {
						Text   string
						Base64 []byte
						JSON   any
					}
					require.NoError(t, json.Unmarshal([]byte(line), &decoded))
					assertNoSecret(t, key, name, decoded.Text)
					assertNoSecret(t, key, name, string(decoded.Base64))
					assertNoSecret(t, key, name, fmt.Sprint(decoded.JSON))
				}
				for _, secret := range []string{"another-key", "env-secret", "url-secret", "query-secret", "c00kie-secret"} {
					assert.NotContains(t, recording, secret, name)
				}
				assertNoSecret(t, key, "the Recorder", rec)
			}
		})
	}
}

// TestRecorder_OmitTexts: without texts, the recording is still of use.
func TestRecorder_OmitTexts(t *testing.T) {
	recording, seen := record(t, &coder.RecorderOptions{OmitTexts: true}, storyOn, codertest.WithAgentVersion("1.6.0"))
	for _, text := range []string{"Sort", "test", "Working", "README", "Hub Owner"} {
		assert.NotContains(t, string(recording), text)
	}
	replay(t, recording, func(t *testing.T, hub *codertest.ReplayHub, c *coder.Client) {
		again, err := tellStory(t.Context(), c, func(string) {})
		require.NoError(t, err)
		assert.Empty(t, hub.Missing())
		assert.Empty(t, hub.Unasked())
		require.Len(t, again, len(seen))
		assert.Contains(t, again[1], `answered "xxxxx"`, "instead of %s", seen[1])
		assert.Equal(t, seen[0], again[0])
	})
}

// TestRecorder_BadWriter: a recording that fails makes no call fail.
func TestRecorder_BadWriter(t *testing.T) {
	_, err := coder.NewRecorder(nil, nil)
	var invalid *coder.ValidationError
	require.ErrorAs(t, err, &invalid)
	_, err = coder.NewRecorder(io.Discard, &coder.RecorderOptions{MaxBody: -1})
	require.ErrorAs(t, err, &invalid)
	full := errors.New("no space left")
	_, err = coder.NewRecorder(writerFunc(func([]byte) (int, error) { return 0, full }), nil)
	require.ErrorIs(t, err, full)

	bubble(t, func(t *testing.T, hub *codertest.Hub) {
		lines := 0
		rec, err := coder.NewRecorder(writerFunc(func(p []byte) (int, error) {
			if lines++; lines > 3 {
				return 0, full
			}
			return len(p), nil
		}), nil)
		require.NoError(t, err)
		newSession(t, hubClient(t, hub, coder.WithRecorder(rec)))
		require.ErrorIs(t, rec.Close(), full)
		assert.Equal(t, 4, lines, "nothing is written after that")
	})
	bubble(t, func(t *testing.T, hub *codertest.Hub) { // nobody waits for a writer
		rec, err := coder.NewRecorder(writerFunc(func(p []byte) (int, error) { time.Sleep(time.Hour); return len(p), nil }), nil)
		require.NoError(t, err)
		c := hubClient(t, hub, coder.WithRecorder(rec))
		began := time.Now()
		newSession(t, c)
		assert.Zero(t, time.Since(began))
		require.NoError(t, rec.Close())
		assert.Equal(t, 4*time.Hour, time.Since(began), "Close waits")
	})
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// wiretap keeps what a client sends.
type wiretap struct {
	net.Conn
	sent *bytes.Buffer
	mu   *sync.Mutex
}

func (w wiretap) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sent.Write(p)
	return w.Conn.Write(p)
}

// TestRecorder_ChangesNoByte compares what goes over the network with and without a recorder.
func TestRecorder_ChangesNoByte(t *testing.T) {
	random := regexp.MustCompile(`Sec-Websocket-Key: .*`)
	sent := func(t *testing.T, recorded bool) (text string) {
		bubble(t, func(t *testing.T, hub *codertest.Hub) {
			hub.Inject(codertest.Fault{Method: "POST", Route: "/hub/session", Status: http.StatusTooManyRequests})
			base := hub.HTTPClient().Transport.(*http.Transport).Clone()
			dial := base.DialContext
			var wire bytes.Buffer
			var mu sync.Mutex
			base.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
				conn, err := dial(ctx, network, address)
				return wiretap{conn, &wire, &mu}, err
			}
			rec, err := coder.NewRecorder(io.Discard, nil)
			require.NoError(t, err)
			opts := []coder.Option{coder.WithHTTPClient(&http.Client{Transport: base})}
			if recorded {
				opts = append(opts, coder.WithRecorder(rec))
			}
			c := hubClient(t, hub, opts...)
			id := newSession(t, c)
			_, err = c.GetSession(t.Context(), id)
			require.NoError(t, err)
			_, err = take(c.StreamEvents(t.Context(), id, nil), 1)
			require.NoError(t, err)
			conn, err := c.Connect(t.Context(), id, nil)
			require.NoError(t, err)
			require.NoError(t, conn.Close())
			c.CloseIdleConnections()
			require.NoError(t, rec.Close())
			mu.Lock()
			defer mu.Unlock()
			text, _, _ = strings.Cut(random.ReplaceAllString(wire.String(), ""), "\r\n\r\n\x81") // frames have random masks
		})
		return text
	}
	plain := sent(t, false)
	assert.Equal(t, 2, strings.Count(plain, "POST /api/hub/session HTTP/1.1"))
	assert.Contains(t, plain, "Upgrade: websocket")
	assert.Equal(t, plain, sent(t, true))
}

// TestRecorder_LongerPrograms: what waits, follows and collects meets the same again, also with a Hub that fails and texts
// that were taken out.
func TestRecorder_LongerPrograms(t *testing.T) {
	programs := map[string]func(ctx context.Context, c *coder.Client) ([]string, error){
		"RunSession": func(ctx context.Context, c *coder.Client) ([]string, error) {
			result, err := c.RunSession(ctx, "job-7", coder.CreateSessionRequest{Task: "Sort the list"}, nil)
			if err != nil {
				return nil, err
			}
			return []string{result.SessionID, fmt.Sprint(result.Outcome.Kind, result.Outcome.Succeeded()), result.Answer}, nil
		},
		"EnsureSession, WaitForSession, WatchEvents, ReplayEntries": func(ctx context.Context, c *coder.Client) (seen []string, err error) {
			ensured, err := c.EnsureSession(ctx, "job-8", coder.CreateSessionRequest{Task: "Sort the list"}, nil)
			if err != nil {
				return nil, err
			}
			outcome, err := c.WaitForSession(ctx, ensured.SessionID, &coder.WaitForSessionOptions{Follow: true})
			if err != nil {
				return nil, err
			}
			seen = append(seen, fmt.Sprint(ensured.Created, outcome.Kind, outcome.Succeeded()))
			if _, err := c.ArchiveSession(ctx, ensured.SessionID); err != nil {
				return nil, err
			}
			for event, err := range c.WatchEvents(ctx, ensured.SessionID, nil) {
				if err != nil {
					return nil, err
				}
				seen = append(seen, event.Event)
			}
			for entry, err := range c.ReplayEntries(ctx, ensured.SessionID, nil) {
				if err != nil {
					return nil, err
				}
				seen = append(seen, string(entry.Type), fmt.Sprint(len(entry.Content)))
			}
			return seen, nil
		},
		"Submit, Answer": func(ctx context.Context, c *coder.Client) ([]string, error) {
			created, err := c.CreateSession(ctx, coder.CreateSessionRequest{Task: "Sort the list"})
			if err != nil {
				return nil, err
			}
			conn, err := c.Attach(ctx, created.SessionID, nil)
			if err != nil {
				return nil, err
			}
			receipt, err := conn.Submit(ctx, "Now add a test")
			if err != nil {
				return nil, err
			}
			if err := conn.Close(); err != nil {
				return nil, err
			}
			answer, err := c.Answer(ctx, receipt)
			if err != nil {
				return nil, err
			}
			return []string{answer.Text, answer.StopReason}, nil
		},
	}
	for name, program := range programs {
		for _, omit := range []bool{false, true} {
			t.Run(fmt.Sprint(name, omit), func(t *testing.T) {
				recording, seen := record(t, &coder.RecorderOptions{OmitTexts: omit}, func(t *testing.T, c *coder.Client, hub *codertest.Hub) ([]string, error) {
					hub.Inject(codertest.Fault{Route: "/hub/session/{id}", Status: http.StatusBadGateway, Skip: 1, Count: 3})
					return program(t.Context(), c)
				}, codertest.WithAgentVersion("1.6.0"), codertest.WithAgentPace(300*time.Millisecond))
				require.NotEmpty(t, seen)
				for _, pace := range []float64{1, 0} {
					replay(t, recording, func(t *testing.T, hub *codertest.ReplayHub, c *coder.Client) {
						again, err := program(t.Context(), c)
						require.NoError(t, err, "pace %v: %v", pace, hub.Missing())
						if omit { // lengths are those of then
							for i := range again {
								assert.Len(t, again[i], len(seen[i]))
							}
						} else {
							assert.Equal(t, seen, again)
						}
						if pace == 1 { // at once, the streams are silent for longer than they were, and are opened again
							assert.Empty(t, hub.Missing())
						}
					}, codertest.WithReplayPace(pace))
				}
			})
		}
	}
}

// TestRecorder_Redirects: a read that a Hub sends elsewhere, with a query, is sent there again; where another host is, nobody learns
// from the recording what stands behind it.
func TestRecorder_Redirects(t *testing.T) {
	elsewhere := codertest.WithMiddleware(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			query := r.URL.Query()
			switch {
			case query.Get("moved") != "":
			case query.Get("search") == "far":
				w.Header().Set("Location", "https://other.example/in?t="+testKey+"&x=S3CR3T-of-a-link#S3CR3T-of-a-page")
				w.WriteHeader(http.StatusFound)
				return
			case strings.HasSuffix(r.URL.Path, "/hub/sessions"):
				query.Set("moved", "to the east")
				query.Set("token", "S3CR3T-of-a-link")
				target := r.URL.Path + "?" + query.Encode() + "#S3CR3T-of-a-page"
				if query.Get("search") == "absolute" {
					target = "http://" + r.Host + target
				}
				w.Header().Set("Location", target)
				w.WriteHeader(http.StatusTemporaryRedirect)
				return
			}
			next.ServeHTTP(w, r)
		})
	})
	program := func(t *testing.T, c *coder.Client) (seen []string) {
		for _, search := range []string{"", "absolute", "far"} {
			list, err := c.ListSessions(t.Context(), &coder.ListSessionsParams{Search: search})
			var e *coder.APIError
			if errors.As(err, &e) {
				seen = append(seen, fmt.Sprintf("%d %s", e.StatusCode, e.Error()))
				continue
			}
			require.NoError(t, err)
			seen = append(seen, fmt.Sprint(len(list.Sessions)))
		}
		return seen
	}
	recording, seen := record(t, nil, func(t *testing.T, c *coder.Client, _ *codertest.Hub) ([]string, error) {
		newSession(t, c)
		return program(t, c), nil
	}, elsewhere, codertest.WithoutAgent())
	assert.Equal(t, "1", seen[0])
	assert.NotContains(t, string(recording), "S3CR3T")
	replay(t, recording, func(t *testing.T, hub *codertest.ReplayHub, c *coder.Client) {
		newSession(t, c)
		again := program(t, c)
		assert.Equal(t, seen[:2], again[:2])
		assert.Contains(t, again[2], "302 ")
		assert.Empty(t, hub.Missing())
		assert.Empty(t, hub.Unasked())
	})
}

// TestRecorder_DiscoveredAgain: the Hub has moved, and had failed to say where to. Both Hubs are the one that plays.
func TestRecorder_DiscoveredAgain(t *testing.T) {
	clearEnv(t)
	var file bytes.Buffer
	twice := coder.WithRetryPolicy(coder.RetryPolicy{MaxAttempts: 2, UnavailableWindow: -1}) // as often here as there
	synctest.Test(t, func(t *testing.T) {
		discoveries := 0
		rec, err := coder.NewRecorder(&file, nil)
		require.NoError(t, err)
		c := newClient(t, coder.WithAPIKey(testKey), twice, coder.WithRecorder(rec), over(func(url string, _ *http.Request) (int, http.Header, string) {
			switch {
			case strings.HasSuffix(url, "/coder"):
				discoveries++
				if discoveries == 1 {
					return 503, nil, `{}`
				}
				return 200, nil, `{"url":"https://` + []string{"old", "new"}[discoveries-2] + `.example/tenants/1"}`
			case strings.HasPrefix(url, "https://old.example/"):
				return 0, nil, ""
			}
			return 200, nil, `{"sessionId":"x"}`
		}))
		_, err = c.GetSession(t.Context(), "x")
		var failed *coder.RequestError
		require.ErrorAs(t, err, &failed)
		_, err = c.GetSession(t.Context(), "x")
		require.NoError(t, err)
		require.NoError(t, rec.Close())
	})
	assertNoSecret(t, testKey, "the recording", file.String())
	synctest.Test(t, func(t *testing.T) {
		hub, err := codertest.Replay(&file, codertest.WithInMemoryNetwork())
		require.NoError(t, err)
		defer hub.Close()
		t.Setenv("AGENTUITY_CATALYST_URL", hub.URL())
		c := newClient(t, coder.WithAPIKey("another"), twice, coder.WithHTTPClient(hub.HTTPClient()))
		_, err = c.GetSession(t.Context(), "x")
		var failed *coder.RequestError
		require.ErrorAs(t, err, &failed)
		session, err := c.GetSession(t.Context(), "x")
		require.NoError(t, err)
		assert.Equal(t, "x", session.SessionID)
		assert.Empty(t, hub.Missing())
		assert.Empty(t, hub.Unasked())
	})
}

// TestRecorder_Fragments: a message in several frames, with control frames between them, is one message of the recording.
func TestRecorder_Fragments(t *testing.T) {
	var file bytes.Buffer
	long := strings.Repeat("ü", 70_000)
	var heard chan string
	live(t, func(p *peer) {
		p.admit()
		p.SetReadLimit(-1)
		read := make(chan struct{})
		go func() {
			defer close(read)
			frame, _ := p.hear()
			heard <- fmt.Sprint(frame["data"])
			p.listen()
		}()
		defer func() { <-read }()
		w, err := p.Writer(context.Background(), websocket.MessageText)
		if err != nil {
			return
		}
		for part := range strings.SplitSeq(`{"type":"custom",|"text":"`+long+`","agc|":|"`+testKey[:5]+"|"+testKey[5:]+`"|}`, "|") {
			_, _ = io.WriteString(w, part)
			_ = p.Ping(context.Background())
		}
		_ = w.Close()
		_ = p.say(`{"type":"last"}`)
	}, func(t *testing.T, hub *liveHub) {
		heard = make(chan string, 1)
		rec, err := coder.NewRecorder(&file, nil)
		require.NoError(t, err)
		conn, err := hub.client(coder.WithRecorder(rec)).Connect(t.Context(), "codesess_1", &coder.HubConnectOptions{Role: coder.RoleController})
		require.NoError(t, err)
		defer conn.Close()
		message := next(t, conn)
		require.IsType(t, &coder.UnknownMessage{}, message)
		assert.Contains(t, string(message.(*coder.UnknownMessage).Raw), long)
		require.NoError(t, conn.Send(t.Context(), &coder.EventRequest{Event: "x", Data: map[string]any{"text": long}}))
		assert.Equal(t, "map[text:"+long+"]", <-heard)
		next(t, conn)
		require.NoError(t, conn.Close())
		require.NoError(t, rec.Close())
	})
	assertNoSecret(t, testKey, "the recording", file.String())
	tape, err := cassette.Read(&file)
	require.NoError(t, err)
	var said []string
	for _, line := range tape.Exchanges[0].Lines {
		if line.Kind == cassette.Received {
			said = append(said, string(line.Bytes()))
		}
	}
	require.Len(t, said, 3, "the init, and two")
	assert.JSONEq(t, `{"type":"custom","text":"`+long+`","agc":"[API key]"}`, said[1])
	assert.JSONEq(t, `{"type":"last"}`, said[2])
}
