package codertest_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go/codertest"
)

// inBubble is a Hub in a bubble.
func inBubble(t *testing.T, test func(t *testing.T, f fixture), opts ...codertest.Option) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f := start(t, opts...)
		defer f.Close()
		test(t, f)
	})
}

// met is what a request for the sessions meets.
func met(f fixture) string {
	r, err := f.try("GET", "/hub/sessions", "")
	switch {
	case err == nil && r.json != nil:
		return fmt.Sprint(r.status, " JSON")
	case err == nil:
		page := strings.Contains(string(r.body), fmt.Sprintf("<h1>%d %s</h1>", r.status, http.StatusText(r.status)))
		return strings.TrimSpace(fmt.Sprint(r.status, " ", r.header.Get("Content-Type"), " ", page, " ", r.header.Get("Retry-After")))
	case assert.ErrorIs(f, err, syscall.ECONNREFUSED):
		var op *net.OpError
		require.ErrorAs(f, err, &op)
		return op.Op + " refused"
	}
	return err.Error()
}

func TestRestartKinds(t *testing.T) {
	for kind, want := range []string{
		"dial refused", "closed", "502 text/html true", "503 text/html true", "503 text/html true 10",
	} {
		t.Run(want, func(t *testing.T) {
			inBubble(t, func(t *testing.T, f fixture) {
				id := f.create(newSession)
				fault := f.Inject(codertest.Fault{Status: 418})
				f.Session(id).RefuseStreams(codertest.Refusal{Status: 418})
				requests := len(f.Requests())
				began := time.Now()
				down := f.Restart(9500*time.Millisecond, codertest.Outage{Kind: codertest.OutageKind(kind)})
				assert.Zero(t, time.Since(began), "it returns at once")
				synctest.Wait() // until the client knows that its idle connection is gone
				if want == "closed" {
					_, err := f.try("GET", "/hub/sessions", "")
					require.Error(t, err)
					require.NotErrorIs(t, err, syscall.ECONNREFUSED)
				} else {
					assert.Equal(t, want, met(f))
				}
				assert.Equal(t, 1, down.Hits())
				resp, err := f.client.Get(f.URL() + "/api/ws?sessionId=" + id)
				if err == nil {
					require.NoError(t, resp.Body.Close())
					assert.Equal(t, want[:3], fmt.Sprint(resp.StatusCode), "also in the place of a socket")
				}
				<-down.Over()
				assert.Equal(t, 9500*time.Millisecond, time.Since(began))
				assert.Len(t, f.Requests(), requests, "the Hub has received nothing")
				assert.Zero(t, fault.Hits())
				assert.Equal(t, "418 JSON", met(f))
				assert.Equal(t, "200 JSON", met(f))
				assert.Equal(t, id, f.get("/hub/session/" + id)["sessionId"])
				r, err := f.try("GET", "/hub/session/"+id+"/events", "")
				require.NoError(t, err)
				assert.Equal(t, 418, r.status)
				assert.Equal(t, 2, down.Hits())
			})
		})
	}
}

// A loopback port stays the Hub's. Its own clients see it refused, others reset.
func TestRestartOnLoopback(t *testing.T) {
	hub := codertest.NewHub()
	defer hub.Close()
	f := fixture{TB: t, Hub: hub, client: hub.HTTPClient()}
	id := f.create(newSession)
	stranger := fixture{TB: t, Hub: hub, client: &http.Client{Transport: &http.Transport{}}}
	defer stranger.client.CloseIdleConnections()
	assert.Equal(t, "200 JSON", met(stranger), "the connection stays open")
	for _, kind := range []codertest.OutageKind{codertest.OutageRefused, codertest.OutageClosed} {
		down := hub.Restart(time.Hour, codertest.Outage{Kind: kind})
		for _, one := range []fixture{f, stranger} {
			_, err := one.try("GET", "/hub/sessions", "")
			require.Error(t, err)
			assert.Equal(t, kind == codertest.OutageRefused && one == f, strings.Contains(err.Error(), "connection refused"), err)
		}
		assert.NotZero(t, down.Hits())
		down.End()
		<-down.Over()
		assert.Equal(t, "200 JSON", met(f))
		assert.Equal(t, "200 JSON", met(stranger))
	}
	down := hub.Restart(time.Hour, codertest.Outage{Kind: codertest.OutageBadGateway})
	assert.Equal(t, "502 text/html true", met(stranger))
	down.End()
	assert.Equal(t, id, stranger.get("/hub/session/" + id)["sessionId"])
}

func TestRestartEndsLiveConnections(t *testing.T) {
	for _, crash := range []bool{false, true} {
		t.Run(fmt.Sprint("crash ", crash), func(t *testing.T) {
			inBubble(t, func(t *testing.T, f fixture) {
				id := f.active()
				controller, lead, stream := f.control(id), f.dial("role=lead&sessionId="+id), f.observe(id, "")
				defer stream.close()
				lead.expect("init", "session_hydration")
				stream.expect(opening...)
				controller.until("broadcast session_join")
				unjoined := f.dial("role=controller&sessionId=" + id)
				controller.until("broadcast session_join")
				synctest.Wait()
				f.Session(id).Emit(eventNamed("turn_end"))
				f.Restart(time.Minute, codertest.Outage{Crash: crash})
				assert.Zero(t, f.Streams()-f.Hub.Streams())
				assert.Zero(t, f.Session(id).Streams())
				f.Session(id).Emit(eventNamed("turn_start"))
				if crash {
					lead.lost()
					controller.lost()
					unjoined.lost()
					stream.broken()
				} else {
					lead.closed(1001, "The Hub restarts")
					unjoined.expect("init")
					unjoined.closed(1001, "The Hub restarts")
					assert.Contains(t, controller.until("broadcast turn_end"), "broadcast session_join")
					controller.closed(1001, "The Hub restarts")
					for {
						block, err := stream.block()
						if err != nil {
							require.ErrorIs(t, err, io.EOF, "the stream ends as it should")
							require.NotErrorIs(t, err, io.ErrUnexpectedEOF)
							break
						}
						require.NotContains(t, block, "turn_start")
					}
				}
				synctest.Wait()
				assert.Zero(t, f.Streams())
			})
		})
	}
}

// A client that reads nothing holds a Hub that goes down up for a second.
func TestRestartCutsWhoDoesNotRead(t *testing.T) {
	inBubble(t, func(t *testing.T, f fixture) {
		id := f.active()
		stalled := f.control(id)
		f.Session(id).StallStreams()
		c := f.control(id)
		for range 10 {
			f.Session(id).Emit(eventNamed("turn_end"))
		}
		<-f.Restart(999*time.Millisecond, codertest.Outage{}).Over()
		synctest.Wait()
		assert.Equal(t, 1, f.Streams(), "what is stalled is cut at once")
		stalled.lost()
		time.Sleep(time.Millisecond)
		synctest.Wait()
		assert.Zero(t, f.Streams())
		c.lost()
	})
}

func TestRestartCutsRequestsUnderWay(t *testing.T) {
	inBubble(t, func(t *testing.T, f fixture) {
		id := f.create(newSession)
		release := make(chan struct{})
		f.Session(id).Script(func(s *codertest.SessionControl) { <-release })
		f.Inject(codertest.Fault{Method: "POST", Delay: time.Hour})
		f.Inject(codertest.Fault{Method: "PATCH", Stall: true, Cut: codertest.CutAfterEffect})
		failed := make(chan error)
		f.client.CloseIdleConnections() // over which net/http would repeat the GET
		for _, request := range []string{"GET /hub/session/" + id + " ", "POST /hub/session " + newSession, "PATCH /hub/session/" + id + ` {"label":"new"}`} {
			method, rest, _ := strings.Cut(request, " ")
			path, body, _ := strings.Cut(rest, " ")
			go func() {
				_, err := f.try(method, path, body)
				failed <- err
			}()
		}
		body, slow := io.Pipe()
		go func() {
			_, err := read(f.client.Post(f.URL()+"/api/hub/session", "application/json", body))
			failed <- err
		}()
		_, err := io.WriteString(slow, `{"task":`)
		require.NoError(t, err)
		synctest.Wait()
		down := f.Restart(time.Minute, codertest.Outage{Kind: codertest.OutageBadGateway})
		for range 3 {
			require.Error(t, <-failed, "also behind a gateway")
		}
		require.NoError(t, slow.Close()) // or the client waits for it
		require.Error(t, <-failed)
		close(release)
		<-down.Over()
		assert.Len(t, f.SessionIDs(), 1)
		assert.Equal(t, "new", f.get("/hub/session/" + id)["label"])
	})
}

// What only the process knew is lost, and the rest is there.
func TestRestartForgetsWhatTheProcessKnew(t *testing.T) {
	inBubble(t, func(t *testing.T, f fixture) {
		id := f.active()
		f.Session(id).AddParticipant(observer)
		lead := f.dial("role=lead&sessionId=" + id)
		lead.expect("init", "session_hydration")
		for i, event := range []string{
			`"agent_start","data":{}`, `"task_start","data":{"taskId":"t","agent":"scout"}`, `"agent_progress","data":{"taskId":"t","status":"text_delta","delta":"so far"}`,
			`"message_start","data":{"message":{"role":"assistant"}}`,
			`"message_update","data":{"assistantMessageEvent":{"type":"text_delta","contentIndex":0,"delta":"half"}}`,
		} {
			lead.send(fmt.Sprintf(`{"type":"event","id":"%d","event":%s}`, i, event))
			lead.next()
		}
		before := f.get("/hub/session/" + id)
		assert.Equal(t, "half", at(t, before, "stream", "output"))
		assert.Equal(t, 2.0, before["participantCount"])
		events := at(t, f.get("/hub/session/"+id+"/events/history"), "events")
		time.Sleep(time.Second)
		<-f.Restart(10*time.Second, codertest.Outage{AgentDelay: time.Hour}).Over()
		after := f.get("/hub/session/" + id)
		assert.Equal(t, "", at(t, after, "stream", "output"))
		assert.Equal(t, "", at(t, after, "stream", "tasks", "t", "output"))
		assert.Equal(t, "running", at(t, after, "tasks", 0, "status"))
		assert.Equal(t, 0.0, after["participantCount"])
		assert.Equal(t, "active", after["status"])
		assert.Equal(t, events, at(t, f.get("/hub/session/"+id+"/events/history"), "events"), "nobody has said goodbye")
		gone := at(t, f.get("/hub/session/"+id+"/participants?includeDisconnected=true"), "participants")
		for _, left := range all(t, gone, "disconnectedAt") {
			assert.NotNil(t, left)
		}
		assert.Contains(t, all(t, gone, "disconnectedAt"), "2000-01-01T00:00:01.000Z")
		c := f.dial("role=controller&sessionId=" + id)
		c.expect("init")
		c.send(`{"type":"bootstrap_ready"}`)
		hydration := c.expect("session_hydration")
		assert.Equal(t, false, at(t, hydration, "streamingState", "isStreaming"), "the Hub does not know")
		lead = f.dial("role=lead&sessionId=" + id)
		lead.expect("init", "session_hydration")
		c.until("broadcast session_join")
		lead.send(`{"type":"event","id":"9","event":"message_end","data":{"message":{"role":"assistant","content":"half and half"}}}`)
		c.expect("rpc message_end")
		entries := at(t, f.get("/hub/session/"+id+"/replay"), "entries").([]any)
		assert.Equal(t, "half and half", at(t, entries[len(entries)-1], "content"))
	})
}

// history is the names of the events, and when those were ingested that are given.
func history(f fixture, id string) (names []string, events []any) {
	f.Helper()
	events = at(f, f.get("/hub/session/"+id+"/events/history"), "events").([]any)
	for i := len(events) - 1; i >= 0; i-- {
		name := at(f, events[i], "event").(string)
		if len(names) == 0 || name != "message_update" || names[len(names)-1] != name {
			names = append(names, name)
		}
	}
	return names, events
}

// spoke starts an agent that says five words, one each second, and returns after
// the second word.
func spoke(f fixture) (id string, c *client) {
	f.Helper()
	id = f.active()
	time.Sleep(time.Minute)
	f.Session(id).Answer(codertest.AgentTurn{Text: "one two three four five"})
	c = f.control(id)
	c.command("prompt", "Count")
	time.Sleep(4500 * time.Millisecond)
	synctest.Wait()
	assert.Equal(f, "one two three ", at(f, f.get("/hub/session/"+id), "stream", "output"))
	return id, c
}

func TestRestartWhileTheAgentWorks(t *testing.T) {
	for _, lose := range []bool{false, true} {
		t.Run(fmt.Sprint("loses ", lose), func(t *testing.T) {
			inBubble(t, func(t *testing.T, f fixture) {
				id, c := spoke(f)
				before, _ := history(f, id)
				down := f.Restart(10*time.Second, codertest.Outage{Crash: true, LoseReports: lose})
				at := time.Now()
				c.lost()
				<-down.Over()
				synctest.Wait()
				after, events := history(f, id)
				missed := []string{"message_update", "message_end", "turn_end", "agent_end"}
				if lose {
					missed = nil
				} else {
					missed = missed[1:] // the updates go on where they were
				}
				want := append(append(before, "session_join"), missed...)
				if !lose {
					want = append(append(before, "session_join", "message_update"), missed...)
					newest := events[0].(map[string]any)
					assert.Equal(t, at.Add(2500*time.Millisecond).UTC().Format("2006-01-02T15:04:05.000Z"), newest["occurredAt"])
					assert.Equal(t, at.Add(10*time.Second).UTC().Format("2006-01-02T15:04:05.000Z"), newest["ingestedAt"])
				}
				assert.Equal(t, want, after)
				replay := f.get("/hub/session/" + id + "/replay")["entries"].([]any)
				last := text(replay[len(replay)-1], "type", "content")
				if lose {
					assert.Equal(t, "user_prompt Count", last)
				} else {
					assert.Equal(t, "message one two three four five", last)
				}
				c = f.control(id)
				f.Session(id).Answer(codertest.AgentTurn{Text: "six"})
				c.command("prompt", "Go on")
				c.until("rpc agent_end")
			}, codertest.WithAgentPace(time.Second))
		})
	}
}

// As long as the agent is not back nobody obeys, and who follows hears the rest
// when it is.
func TestRestartWithAnAgentThatComesLater(t *testing.T) {
	inBubble(t, func(t *testing.T, f fixture) {
		id, _ := spoke(f)
		<-f.Restart(time.Second, codertest.Outage{AgentDelay: 5 * time.Second}).Over()
		c := f.dial("role=controller&sessionId=" + id)
		c.expect("init")
		c.send(`{"type":"bootstrap_ready"}`)
		hydration := c.expect("session_hydration")
		assert.Equal(t, false, hydration["leadConnected"])
		assert.Equal(t, false, at(t, hydration, "streamingState", "isStreaming"))
		c.command("prompt", "Hello?")
		failed := c.expect("rpc_command_error")
		assert.Equal(t, "Sandbox driver is not connected; resume the session first", failed["error"])
		began := time.Now()
		assert.Equal(t, []string{
			"presence session_join", "broadcast session_join", "rpc message_update", "rpc message_end", "rpc turn_end", "rpc agent_end",
		}, c.until("rpc agent_end"))
		assert.Equal(t, 5*time.Second, time.Since(began))
	}, codertest.WithAgentPace(time.Second))
}

// A sandbox that stops takes with it what its agent had to report.
func TestRestartAndTheSandboxStops(t *testing.T) {
	inBubble(t, func(t *testing.T, f fixture) {
		id, _ := spoke(f)
		<-f.Restart(time.Second, codertest.Outage{AgentDelay: time.Hour}).Over()
		before, _ := history(f, id)
		f.Session(id).Pause()
		f.Session(id).SetStatus("active")
		time.Sleep(2 * time.Hour)
		after, _ := history(f, id)
		assert.Equal(t, append(before, "session_join"), after, "a new agent is there, and the old one's run has no end")
		c := f.control(id)
		c.command("prompt", "Go on")
		c.until("rpc agent_end")
	}, codertest.WithAgentPace(time.Second))
}

func TestRestartWithAnOpenQuestion(t *testing.T) {
	asks := codertest.AgentTurn{Tools: []codertest.AgentTool{{Ask: &codertest.AgentQuestion{Method: "confirm"}}}}
	for _, test := range []struct {
		name    string
		outage  codertest.Outage
		during  bool
		hydrate bool
	}{
		{"asked before", codertest.Outage{}, false, true},
		{"asked before, the agent comes later", codertest.Outage{AgentDelay: time.Minute}, false, false},
		{"asked before, lost", codertest.Outage{LoseReports: true}, false, false},
		{"asked meanwhile", codertest.Outage{}, true, true},
		{"asked meanwhile, the agent comes later", codertest.Outage{AgentDelay: time.Minute}, true, false},
		{"asked meanwhile, lost", codertest.Outage{LoseReports: true}, true, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, f fixture) {
				id := f.active()
				time.Sleep(time.Minute)
				f.Session(id).Answer(asks)
				c := f.control(id)
				c.command("prompt", "Ask me")
				if !test.during {
					c.until("broadcast rpc_ui_request")
				} else {
					c.until("rpc turn_start")
				}
				<-f.Restart(time.Minute, test.outage).Over()
				c = f.control(id)
				switch {
				case test.hydrate:
					c.expect("broadcast rpc_ui_request")
				case test.outage.AgentDelay > 0:
					began := time.Now()
					c.until("broadcast rpc_ui_request")
					assert.Equal(t, time.Minute, time.Since(began))
				default:
					time.Sleep(time.Hour)
					c.ping()
				}
				asked := 0
				names, _ := history(f, id)
				for _, name := range names {
					if name == "rpc_ui_request" {
						asked++
					}
				}
				assert.Equal(t, map[bool]int{false: 1, true: 0}[test.during && test.outage.LoseReports], asked)
				c.send(`{"type":"rpc_ui_response","id":"ui_000001","result":true}`)
				c.until("rpc agent_end")
			}, codertest.WithAgentPace(time.Second))
		})
	}
}

// A session that a program led has the Hub's agent until the program is back.
func TestRestartOfASessionThatAProgramLeads(t *testing.T) {
	inBubble(t, func(t *testing.T, f fixture) {
		id := f.active()
		lead := f.dial("role=lead&sessionId=" + id + "&driverInstanceId=a")
		lead.expect("init", "session_hydration")
		<-f.Restart(time.Second, codertest.Outage{AgentDelay: time.Second}).Over()
		time.Sleep(time.Second)
		c := f.control(id)
		c.send(`{"type":"rpc_command","command":{"type":"get_state","id":"1"}}`)
		c.expect("broadcast rpc_response")
		lead = f.dial("role=lead&sessionId=" + id + "&driverInstanceId=a")
		lead.expect("init", "session_hydration")
		c.until("broadcast session_join")
		c.command("prompt", "Hello")
		lead.expect("rpc_command")
	})
}

func TestRestartTwice(t *testing.T) {
	inBubble(t, func(t *testing.T, f fixture) {
		began := time.Now()
		first := f.Restart(time.Minute, codertest.Outage{})
		time.Sleep(30 * time.Second)
		second := f.Restart(time.Minute, codertest.Outage{Kind: codertest.OutageUnavailable})
		assert.Equal(t, "503 text/html true", met(f))
		first.End()
		assert.Equal(t, "503 text/html true", met(f), "the second has taken its place")
		<-first.Over()
		<-second.Over()
		assert.Equal(t, 90*time.Second, time.Since(began))
		first.End()
		second.End()
		assert.Equal(t, "200 JSON", met(f))

		began = time.Now()
		third := f.Restart(time.Hour, codertest.Outage{})
		third.End()
		<-third.Over()
		assert.Equal(t, "200 JSON", met(f))
		c := f.dial("role=lead")
		c.expect("init")
		<-f.Restart(0, codertest.Outage{}).Over()
		c.closed(1001, "The Hub restarts")
		assert.Equal(t, "200 JSON", met(f))
		assert.Zero(t, time.Since(began))
	})
}

func TestCloseEndsARestart(t *testing.T) {
	inBubble(t, func(t *testing.T, f fixture) {
		began := time.Now()
		first := f.Restart(time.Hour, codertest.Outage{})
		down := f.Restart(time.Hour, codertest.Outage{AgentDelay: time.Hour})
		f.Close()
		<-first.Over()
		<-down.Over()
		down.End()
		assert.Equal(t, "dial refused", met(f), "it is not back")
		<-f.Restart(time.Hour, codertest.Outage{}).Over()
		assert.Zero(t, time.Since(began))
	})
}

// A session that becomes active while the Hub is down has its agent when it is back.
func TestRestartAndASessionThatBegins(t *testing.T) {
	inBubble(t, func(t *testing.T, f fixture) {
		id := f.create(newSession)
		down := f.Restart(time.Minute, codertest.Outage{})
		f.Session(id).SetStatus("active")
		<-down.Over()
		names, _ := history(f, id)
		assert.Equal(t, []string{"session_start", "session_join", "agent_start"}, names[:3])
		assert.Equal(t, "agent_end", names[len(names)-1])
	})
}

// The Hub may be served by a server of the test.
func TestRestartBehindAServerOfTheTest(t *testing.T) {
	hub := codertest.NewHub()
	defer hub.Close()
	server := httptest.NewServer(hub.Handler())
	defer server.Close()
	get := func() (int, error) {
		resp, err := server.Client().Get(server.URL + "/api/hub/sessions")
		if err != nil {
			return 0, err
		}
		return resp.StatusCode, resp.Body.Close()
	}
	down := hub.Restart(time.Hour, codertest.Outage{})
	_, err := get()
	require.ErrorIs(t, err, io.EOF)
	down.End()
	down = hub.Restart(time.Hour, codertest.Outage{Kind: codertest.OutageBadGateway})
	status, err := get()
	require.NoError(t, err)
	assert.Equal(t, 502, status)
	down.End()
	status, err = get()
	require.NoError(t, err)
	assert.Equal(t, 200, status)
}

func TestRestartPanics(t *testing.T) {
	f := start(t)
	for _, outage := range []codertest.Outage{{Kind: -1}, {Kind: 5}, {AgentDelay: -1}} {
		assert.Panics(t, func() { f.Restart(time.Second, outage) }, outage)
	}
	assert.Panics(t, func() { f.Restart(-1, codertest.Outage{}) })
	assert.Equal(t, "200 JSON", met(f))
}
