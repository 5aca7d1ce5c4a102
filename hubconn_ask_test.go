package coder_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

// asks runs a test with a controller of an agent that has nothing to do: of each version, in each dialect.
func asks(t *testing.T, test func(t *testing.T, hub *codertest.Hub, session *codertest.SessionControl, conn *coder.HubConn), options ...codertest.Option) {
	t.Helper()
	for _, version := range []string{"0.74.2", "1.6.0"} {
		for _, dialect := range []codertest.AgentDialect{codertest.DialectRPC, codertest.DialectExtension} {
			t.Run(fmt.Sprintf("%s %d", version, dialect), func(t *testing.T) {
				all := append([]codertest.Option{
					codertest.WithAgentVersion(version), codertest.WithAgentDialect(dialect), codertest.WithAgentPace(100 * time.Millisecond),
				}, options...)
				bubbleWith(t, func(t *testing.T, hub *codertest.Hub) {
					session, conn := idleAgent(t, hub)
					test(t, hub, session, conn)
				}, all...)
			})
		}
	}
}

// idleAgent attaches to a session whose agent has done its task.
func idleAgent(t *testing.T, hub *codertest.Hub) (*codertest.SessionControl, *coder.HubConn) {
	t.Helper()
	c := hubClient(t, hub)
	id := newSession(t, c)
	session := hub.Session(id)
	session.Answer()
	session.SetStatus("active")
	time.Sleep(time.Minute)
	conn, err := c.Attach(t.Context(), id, nil)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return session, conn
}

// A prompt that waits for the connection is sent when that is back: only then does the time begin in which the agent is
// to be heard, and in which no other prompt follows.
func TestHubConn_Ask_WaitsForTheConnection(t *testing.T) {
	bubbleWith(t, func(t *testing.T, hub *codertest.Hub) {
		session, _ := idleAgent(t, hub)
		conn, err := hubClient(t, hub).Connect(t.Context(), session.ID(), &coder.HubConnectOptions{
			Role: coder.RoleController, ReconnectDelay: 2 * time.Minute, MaxReconnectDelay: 2 * time.Minute,
		})
		require.NoError(t, err)
		defer conn.Close()
		for _, question := range []string{"One", "Two"} {
			session.CutStreams()
			time.Sleep(time.Second)
			began := time.Now()
			answer, err := conn.Ask(t.Context(), question, nil)
			require.NoError(t, err)
			assert.Equal(t, "Working on it: "+question, answer.Messages[0].Content.Text())
			assert.Greater(t, time.Since(began), 30*time.Second, "it did wait")
		}
		session.CutStreams()
		time.Sleep(time.Second)
		for _, question := range []string{"Three", "Four"} {
			_, err := conn.Submit(t.Context(), question)
			require.NoError(t, err)
		}
		time.Sleep(time.Minute)
		said := fmt.Sprint(session.Entries())
		assert.Contains(t, said, "Working on it: Three")
		assert.Contains(t, said, "Working on it: Four")
	}, codertest.WithAgentPace(200*time.Millisecond))
}

// While the Hub is away nothing is heard of the agent, which says nothing about it.
func TestHubConn_Ask_HearsNothingWhileTheHubIsAway(t *testing.T) {
	asks(t, func(t *testing.T, hub *codertest.Hub, session *codertest.SessionControl, conn *coder.HubConn) {
		time.AfterFunc(10*time.Millisecond, func() { hub.Restart(2*time.Minute, codertest.Outage{}) })
		answer, err := conn.Ask(t.Context(), "Which Go is it?", nil)
		require.NoError(t, err)
		assert.Equal(t, "Working on it: Which Go is it?", answer.Messages[0].Content.Text())
	}, codertest.WithAgentPace(200*time.Millisecond))
}

func agentError(t *testing.T, err, is error) *coder.AgentError {
	t.Helper()
	require.ErrorIs(t, err, is)
	var e *coder.AgentError
	require.ErrorAs(t, err, &e)
	return e
}

func TestHubConn_Ask(t *testing.T) {
	asks(t, func(t *testing.T, _ *codertest.Hub, session *codertest.SessionControl, conn *coder.HubConn) {
		session.Answer(
			codertest.AgentTurn{Thinking: "Let me see", Text: "I will look.", Tools: []codertest.AgentTool{{Name: "read", Args: map[string]any{"path": "go.mod"}, Result: "go 1.26"}}},
			codertest.AgentTurn{Thinking: "I know", Text: "It is Go 1.26."},
		)
		var text strings.Builder
		messages := 0
		answer, err := conn.Ask(t.Context(), "Which Go is it?", &coder.AskOptions{
			OnText:    func(delta string) { text.WriteString(delta) },
			OnMessage: func(coder.ServerMessage) { messages++ },
		})
		require.NoError(t, err)
		assert.Equal(t, "It is Go 1.26.", answer.Text)
		assert.Equal(t, "I know", answer.Thinking)
		assert.Equal(t, coder.StopReasonStop, answer.StopReason)
		assert.Equal(t, 1, answer.ToolCalls)
		assert.Len(t, answer.Messages, 3, "two of the agent and the result of a tool")
		assert.NotZero(t, answer.Usage.Output)
		assert.NotNil(t, answer.Usage.Cost)
		assert.False(t, answer.Truncated || answer.Shared || answer.Steered)
		assert.Equal(t, "I will look.It is Go 1.26.", text.String(), "neither thoughts nor arguments")
		assert.Greater(t, messages, 10)

		answer, err = conn.Ask(t.Context(), "Thanks", nil)
		require.NoError(t, err)
		assert.Equal(t, "Done.", answer.Text)
	})
}

// TestHubConn_Ask_BeforeTheTask asks an agent that has not come to the task of its session yet: nobody has told the
// connection of that, and its answer is not the one to the prompt.
func TestHubConn_Ask_BeforeTheTask(t *testing.T) {
	for _, version := range []string{"0.74.2", "1.6.0"} {
		bubbleWith(t, func(t *testing.T, hub *codertest.Hub) {
			c := hubClient(t, hub)
			id := newSession(t, c)
			session := hub.Session(id)
			session.Answer(codertest.AgentTurn{Text: "The task is done."})
			session.Answer(codertest.AgentTurn{Text: "Hello."})
			session.SetStatus("active")
			conn, err := c.Attach(t.Context(), id, nil)
			require.NoError(t, err)
			defer func() { _ = conn.Close() }()
			answer, err := conn.Ask(t.Context(), "Say hello", nil)
			assert.Nil(t, answer, "%s has lost it", version)
			require.ErrorIs(t, err, coder.ErrPromptDropped)
			answer, err = conn.Ask(t.Context(), "Say hello", nil)
			require.NoError(t, err)
			assert.Equal(t, "Hello.", answer.Text, version)
		}, codertest.WithAgentVersion(version), codertest.WithAgentPace(100*time.Millisecond))
	}
}

func TestHubConn_Ask_Failures(t *testing.T) {
	asks(t, func(t *testing.T, _ *codertest.Hub, session *codertest.SessionControl, conn *coder.HubConn) {
		session.FailModel(codertest.AgentOverloaded, codertest.AgentServerError)
		began := time.Now()
		answer, err := conn.Ask(t.Context(), "Try again", nil)
		require.NoError(t, err)
		assert.Equal(t, "Done.", answer.Text)
		assert.Greater(t, time.Since(began), 6*time.Second, "two retries")
		assert.Len(t, answer.Messages, 5, "two that failed, one that calls a tool, its result, and the last")

		session.FailModel(codertest.AgentInvalidRequest)
		_, err = conn.Ask(t.Context(), "Fail", nil)
		e := agentError(t, err, coder.ErrAgentFailed)
		assert.Contains(t, e.Answer.ErrorMessage, "400")
		assert.Equal(t, coder.StopReasonError, e.Answer.StopReason)
		assert.Contains(t, err.Error(), "coder: Ask: the agent failed: 400")
		require.NotErrorIs(t, err, coder.ErrOutcomeUnknown)

		session.FailModel(codertest.AgentOverloaded, codertest.AgentOverloaded, codertest.AgentOverloaded, codertest.AgentOverloaded)
		_, err = conn.Ask(t.Context(), "Fail for good", nil)
		require.ErrorIs(t, err, coder.ErrAgentFailed)

		session.FailModel(codertest.AgentContextOverflow)
		answer, err = conn.Ask(t.Context(), "Overflow", nil)
		require.NoError(t, err)
		assert.Equal(t, "Done.", answer.Text)

		session.Answer(codertest.AgentTurn{Text: "It is cut here", StopReason: "length"})
		answer, err = conn.Ask(t.Context(), "Be long", nil)
		require.NoError(t, err)
		assert.True(t, answer.Truncated)

		session.Answer()
		answer, err = conn.Ask(t.Context(), "Say nothing", nil)
		require.NoError(t, err)
		assert.Empty(t, answer.Text)
		assert.Equal(t, coder.StopReasonStop, answer.StopReason)
	})
}

func TestHubConn_Ask_Aborted(t *testing.T) {
	asks(t, func(t *testing.T, _ *codertest.Hub, session *codertest.SessionControl, conn *coder.HubConn) {
		time.AfterFunc(time.Second/2, func() { session.EndTurn("aborted", "Request was aborted") })
		_, err := conn.Ask(t.Context(), "Count to ten, and to a hundred, and to a thousand", nil)
		e := agentError(t, err, coder.ErrAgentAborted)
		assert.NotEmpty(t, e.Answer.Text, "what was said")
		assert.NotContains(t, e.Answer.Text, "thousand")
	})
}

// TestHubConn_Ask_Neighbour: the answer to the prompt of somebody else is not ours, before and after it.
func TestHubConn_Ask_Neighbour(t *testing.T) {
	asks(t, func(t *testing.T, hub *codertest.Hub, session *codertest.SessionControl, conn *coder.HubConn) {
		other, err := hubClient(t, hub).Attach(t.Context(), session.ID(), nil)
		require.NoError(t, err)
		defer other.Close()
		session.Answer(codertest.AgentTurn{Text: "Theirs."})
		session.Answer(codertest.AgentTurn{Text: "Ours."})
		session.Answer(codertest.AgentTurn{Text: "Theirs again."})
		theirs := make(chan string, 2)
		go func() {
			defer close(theirs)
			for _, text := range []string{"Their question", "Another one"} {
				answer, err := other.Ask(t.Context(), text, nil)
				if !assert.NoError(t, err) {
					return
				}
				theirs <- answer.Text
			}
		}()
		time.Sleep(250 * time.Millisecond) // the agent is at work
		answer, err := conn.Ask(t.Context(), "Our question", nil)
		require.NoError(t, err)
		assert.Equal(t, "Ours.", answer.Text)
		assert.Equal(t, "Theirs.", <-theirs)
		assert.Equal(t, "Theirs again.", <-theirs)
	})
}

func TestHubConn_Ask_Questions(t *testing.T) {
	bubbleWith(t, func(t *testing.T, hub *codertest.Hub) {
		session, conn := idleAgent(t, hub)
		ask := func(timeout time.Duration) {
			session.Answer(codertest.AgentTurn{Text: "I ask.", Tools: []codertest.AgentTool{{Ask: &codertest.AgentQuestion{
				Method: "select", Params: map[string]any{"title": "Which?", "options": []string{"red", "blue"}}, Timeout: timeout,
			}}}}, codertest.AgentTurn{Text: "Good."})
		}
		ask(0)
		_, err := conn.Ask(t.Context(), "Ask me", nil)
		e := agentError(t, err, coder.ErrNeedsInput)
		require.NotNil(t, e.Question)
		assert.Equal(t, coder.UISelect, e.Question.Method)
		assert.Equal(t, "I ask.", e.Answer.Text)
		require.NoError(t, conn.RespondUI(t.Context(), e.Question.ID, "red"))
		time.Sleep(time.Minute)

		ask(0)
		asked := 0
		answer, err := conn.Ask(t.Context(), "Ask me again", &coder.AskOptions{OnQuestion: func(ctx context.Context, q *coder.RPCUIRequestMessage) (any, error) {
			asked++
			var params coder.RPCUIParams
			assert.NoError(t, q.Decode(&params))
			time.Sleep(time.Hour) // a person thinks
			return params.Options[1], nil
		}, StallTimeout: 5 * time.Minute})
		require.NoError(t, err)
		assert.Equal(t, "Good.", answer.Text)
		assert.Equal(t, 1, asked)
		assert.Equal(t, "blue", answer.Messages[1].Content.Text())

		ask(time.Minute)
		answer, err = conn.Ask(t.Context(), "Ask somebody slow", &coder.AskOptions{OnQuestion: func(ctx context.Context, _ *coder.RPCUIRequestMessage) (any, error) {
			<-ctx.Done()
			return "red", nil
		}})
		require.NoError(t, err, "the agent goes on without an answer")
		assert.Equal(t, "Good.", answer.Text)

		ask(0)
		no := errors.New("nobody is here")
		_, err = conn.Ask(t.Context(), "Ask nobody", &coder.AskOptions{OnQuestion: func(context.Context, *coder.RPCUIRequestMessage) (any, error) { return nil, no }})
		require.ErrorIs(t, err, no)
	}, codertest.WithAgentPace(100*time.Millisecond))
}

// TestHubConn_Ask_OpenQuestion asks an agent that has asked something before, for somebody else: nobody but the caller may be
// there to answer. The question is known from before the prompt, or comes with a new connection.
func TestHubConn_Ask_OpenQuestion(t *testing.T) {
	for _, version := range []string{"0.74.2", "1.6.0"} {
		for _, attachLate := range []bool{false, true} {
			bubbleWith(t, func(t *testing.T, hub *codertest.Hub) {
				session, conn := idleAgent(t, hub)
				session.Answer(codertest.AgentTurn{Tools: []codertest.AgentTool{{Ask: &codertest.AgentQuestion{
					Method: "confirm", Params: map[string]any{"title": "Go on?"},
				}}}}, codertest.AgentTurn{Text: "So be it."})
				session.Answer(codertest.AgentTurn{Text: "Mine."})
				other := attached(t, hub, session)
				require.NoError(t, other.Prompt(t.Context(), "Ask me"))
				time.Sleep(time.Minute)
				if attachLate {
					conn = attached(t, hub, session)
				}
				_, err := conn.Ask(t.Context(), "Hello", nil)
				assert.Equal(t, "ui_000001", agentError(t, err, coder.ErrNeedsInput).Question.ID)
				asked := 0
				answer, err := conn.Ask(t.Context(), "Hello again", &coder.AskOptions{OnQuestion: func(context.Context, *coder.RPCUIRequestMessage) (any, error) {
					asked++
					return true, nil
				}})
				require.NoError(t, err)
				assert.Equal(t, 1, asked)
				assert.NotEqual(t, "So be it.", answer.Text)
			}, codertest.WithAgentVersion(version), codertest.WithAgentPace(100*time.Millisecond))
		}
	}
}

func attached(t *testing.T, hub *codertest.Hub, session *codertest.SessionControl) *coder.HubConn {
	t.Helper()
	conn, err := hubClient(t, hub).Attach(t.Context(), session.ID(), nil)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// TestClient_Answer_Twice: a history that has everything twice, from the driver of a sandbox and from the extension, gives one answer.
func TestClient_Answer_Twice(t *testing.T) {
	message := func(role, text, stop string, at int) map[string]any {
		return map[string]any{"message": map[string]any{
			"role": role, "timestamp": 1760000000000 + at, "stopReason": stop, "usage": map[string]any{"totalTokens": 5},
			"content": []any{map[string]any{"type": "text", "text": text}},
		}}
	}
	for _, times := range []int{1, 2} {
		bubbleWith(t, func(t *testing.T, hub *codertest.Hub) {
			session, conn := silentLead(t, hub)
			conn.DiscardMessages()
			time.AfterFunc(time.Second, func() {
				for _, e := range []codertest.Event{
					{Event: coder.EventAgentStart}, {Event: coder.EventMessageEnd, Payload: message("user", "Do it", "", 0)},
					{Event: coder.EventMessageStart, Payload: message("assistant", "", "", 1)},
					{Event: coder.EventMessageEnd, Payload: message("assistant", "I look.", "toolUse", 1)},
					{Event: coder.EventMessageStart, Payload: message("assistant", "", "", 2)},
					{Event: coder.EventMessageEnd, Payload: message("assistant", "Done.", "stop", 2)},
				} {
					for range times {
						session.Emit(e)
					}
				}
			})
			receipt, err := conn.Submit(t.Context(), "Do it")
			require.NoError(t, err)
			answer, err := hubClient(t, hub).Answer(t.Context(), receipt)
			require.NoError(t, err)
			assert.Equal(t, "Done.", answer.Text)
			assert.Len(t, answer.Messages, 2)
			assert.EqualValues(t, 10, answer.Usage.TotalTokens)
		}, codertest.WithoutAgent())
	}
}

// TestClient_Answer_Asked: the error of a prompt that waits for an answer has the question, as the Hub stores it and as the agent says it.
func TestClient_Answer_Asked(t *testing.T) {
	params := map[string]any{"title": "Which?"}
	before := codertest.Event{Event: "rpc_ui_request", Payload: map[string]any{"id": "q0", "method": "input"}}
	ofATask := codertest.Event{Event: "rpc_ui_request", TaskID: "t1", Payload: map[string]any{"id": "q2", "method": "input"}}
	for _, event := range []codertest.Event{
		{Event: "rpc_ui_request", Payload: map[string]any{"id": "q1", "method": "input", "params": params}},
		{Event: "rpc_event", Payload: map[string]any{"event": map[string]any{"type": "extension_ui_request", "id": "q1", "method": "input", "title": "Which?"}}},
	} {
		bubbleWith(t, func(t *testing.T, hub *codertest.Hub) {
			session, conn := silentLead(t, hub)
			conn.DiscardMessages()
			time.AfterFunc(time.Second, func() {
				said := map[string]any{"message": map[string]any{"role": "user", "content": "Do it"}}
				session.Emit(codertest.Event{Event: coder.EventAgentStart})
				session.Emit(codertest.Event{Event: coder.EventMessageEnd, Payload: said})
				session.Emit(before)
				session.Emit(codertest.Event{Event: coder.EventToolExecutionEnd})
				session.Emit(event)
				session.Emit(before) // the other channel is late
				session.Emit(ofATask)
			})
			receipt, err := conn.Submit(t.Context(), "Do it")
			require.NoError(t, err)
			_, err = hubClient(t, hub).Answer(t.Context(), receipt)
			q := agentError(t, err, coder.ErrNeedsInput).Question
			require.NotNil(t, q)
			assert.Equal(t, "q1", q.ID)
			var got coder.RPCUIParams
			require.NoError(t, q.Decode(&got))
			assert.Equal(t, "Which?", got.Title)
		}, codertest.WithoutAgent())
	}
}

// TestHubConn_Ask_AskedByAnEvent: a Hub may pass on what the agent says as an event only, not as a message of its own.
func TestHubConn_Ask_AskedByAnEvent(t *testing.T) {
	bubbleWith(t, func(t *testing.T, hub *codertest.Hub) {
		session, conn := silentLead(t, hub)
		time.AfterFunc(time.Second, func() {
			said := map[string]any{"message": map[string]any{"role": "user", "content": "Do it"}}
			session.Emit(codertest.Event{Event: coder.EventAgentStart})
			session.Emit(codertest.Event{Event: coder.EventMessageEnd, Payload: said})
			session.Emit(codertest.Event{Event: "rpc_event", Payload: map[string]any{"event": map[string]any{"type": "extension_ui_request", "id": "q1", "method": "input"}}})
		})
		_, err := conn.Ask(t.Context(), "Do it", nil)
		q := agentError(t, err, coder.ErrNeedsInput).Question
		require.NotNil(t, q)
		assert.Equal(t, "q1", q.ID)
	}, codertest.WithoutAgent())
}

// TestHubConn_Ask_WorksForLong: an agent that reports something from time to time has not stalled, by whichever channel it
// reports. What others do in the session is no sign of it.
func TestHubConn_Ask_WorksForLong(t *testing.T) {
	message := func(role, stop string) map[string]any {
		return map[string]any{"message": map[string]any{"role": role, "stopReason": stop, "content": "Do it"}}
	}
	for name, report := range map[string]func(string, map[string]any) codertest.Event{
		"extension": func(name string, payload map[string]any) codertest.Event {
			return codertest.Event{Event: name, Payload: payload}
		},
		"driver": func(name string, payload map[string]any) codertest.Event {
			payload["type"] = name
			return codertest.Event{Event: "rpc_event", Payload: map[string]any{"event": payload}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubbleWith(t, func(t *testing.T, hub *codertest.Hub) {
				session, conn := silentLead(t, hub)
				conn.DiscardMessages()
				say := func(after time.Duration, name string, payload map[string]any) {
					time.AfterFunc(after, func() { session.Emit(report(name, payload)) })
				}
				say(time.Second, coder.EventAgentStart, map[string]any{})
				say(2*time.Second, coder.EventMessageEnd, message("user", ""))
				for i := range 25 {
					say(time.Duration(1+i)*time.Minute, coder.EventToolExecutionUpdate, map[string]any{"toolCallId": "t1"})
				}
				say(26*time.Minute, coder.EventMessageEnd, message("assistant", "stop"))
				answer, err := conn.Ask(t.Context(), "Do it", nil)
				require.NoError(t, err)
				assert.Equal(t, "Do it", answer.Text)

				say(time.Second, coder.EventAgentStart, map[string]any{})
				say(2*time.Second, coder.EventMessageEnd, message("user", ""))
				for i := range 25 {
					time.AfterFunc(time.Duration(1+i)*time.Minute, func() { session.Emit(codertest.Event{Event: "session_join"}) })
				}
				began := time.Now()
				_, err = conn.Ask(t.Context(), "Do it", nil)
				require.ErrorIs(t, err, coder.ErrAgentStalled)
				assert.InDelta(t, 10, time.Since(began).Minutes(), 0.2)
			}, codertest.WithoutAgent())
		})
	}
}

// TestClient_Answer_HubIsAway: the time in which the Hub says nothing is not held against the agent, whose reports may come
// some time after the Hub is back.
func TestClient_Answer_HubIsAway(t *testing.T) {
	bubbleWith(t, func(t *testing.T, hub *codertest.Hub) {
		session, conn := silentLead(t, hub)
		conn.DiscardMessages()
		receipt, err := conn.Submit(t.Context(), "Do it")
		require.NoError(t, err)
		message := func(role, stop string) map[string]any {
			return map[string]any{"message": map[string]any{"role": role, "stopReason": stop, "content": "Do it"}}
		}
		session.Emit(codertest.Event{Event: coder.EventAgentStart})
		session.Emit(codertest.Event{Event: coder.EventMessageEnd, Payload: message("user", "")})
		time.AfterFunc(time.Minute, func() {
			away := hub.Inject(codertest.Fault{Method: http.MethodGet, Status: http.StatusBadGateway, Count: -1})
			time.AfterFunc(9*time.Minute+20*time.Second, away.Remove)
		})
		time.AfterFunc(15*time.Minute, func() {
			session.Emit(codertest.Event{Event: coder.EventMessageEnd, Payload: message("assistant", "stop")})
		})
		answer, err := hubClient(t, hub).Answer(t.Context(), receipt)
		require.NoError(t, err)
		assert.Equal(t, "Do it", answer.Text)

		receipt, err = conn.Submit(t.Context(), "Do it again")
		require.NoError(t, err)
		session.Emit(codertest.Event{Event: coder.EventAgentStart})
		began := time.Now()
		_, err = hubClient(t, hub).Answer(t.Context(), receipt)
		require.ErrorIs(t, err, coder.ErrAgentStalled)
		assert.InDelta(t, 10, time.Since(began).Minutes(), 0.3)
	}, codertest.WithoutAgent())
}

// silentLead returns a session whose lead says and obeys nothing, and a connection to it.
func silentLead(t *testing.T, hub *codertest.Hub, options ...coder.Option) (*codertest.SessionControl, *coder.HubConn) {
	t.Helper()
	c := hubClient(t, hub, options...)
	session := hub.Session(newSession(t, c))
	session.SetStatus("active")
	lead, err := c.Connect(t.Context(), session.ID(), &coder.HubConnectOptions{Role: coder.RoleLead})
	require.NoError(t, err)
	t.Cleanup(func() { _ = lead.Close() })
	lead.DiscardMessages()
	conn, err := c.Attach(t.Context(), session.ID(), nil)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return session, conn
}

// TestHubConn_Ask_AtWork attaches to an agent that works for somebody else, and says nothing for longer than a prompt takes
// to begin.
func TestHubConn_Ask_AtWork(t *testing.T) {
	for _, version := range []string{"0.74.2", "1.6.0"} {
		bubbleWith(t, func(t *testing.T, hub *codertest.Hub) {
			session, conn := idleAgent(t, hub)
			time.Sleep(time.Hour)
			session.Answer(codertest.AgentTurn{Text: "I will look."})
			session.Answer(codertest.AgentTurn{Text: "Mine."})
			require.NoError(t, conn.Prompt(t.Context(), "Look"))
			time.Sleep(6 * time.Minute)
			late := attached(t, hub, session)
			answer, err := late.Ask(t.Context(), "Hello", nil)
			require.NoError(t, err)
			assert.Equal(t, "Mine.", answer.Text)
		}, codertest.WithAgentVersion(version), codertest.WithAgentPace(150*time.Second))
	}
}

// TestHubConn_Ask_LostConnection: the connection is cut at every moment of the answer, and the Hub is away for a while.
func TestHubConn_Ask_LostConnection(t *testing.T) {
	for _, away := range []time.Duration{0, 10 * time.Second} {
		for moment := 50 * time.Millisecond; moment < 4*time.Second; moment += 173 * time.Millisecond {
			asks(t, func(t *testing.T, hub *codertest.Hub, session *codertest.SessionControl, conn *coder.HubConn) {
				session.Answer(
					codertest.AgentTurn{Text: "I will look at it now.", Tools: []codertest.AgentTool{{Name: "read", Result: "ok"}}},
					codertest.AgentTurn{Text: "This is the whole answer."},
				)
				time.AfterFunc(moment, func() {
					if away > 0 {
						fault := hub.Inject(codertest.Fault{Status: 503, Count: -1})
						time.AfterFunc(away, fault.Remove)
					}
					session.CutStreams()
				})
				answer, err := conn.Ask(t.Context(), "Do it", nil)
				require.NoError(t, err)
				assert.Equal(t, "This is the whole answer.", answer.Text)
				assert.Len(t, answer.Messages, 3)
			})
		}
	}
}

func TestHubConn_Ask_Ends(t *testing.T) {
	asks(t, func(t *testing.T, hub *codertest.Hub, session *codertest.SessionControl, conn *coder.HubConn) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := conn.Ask(ctx, "Take your time, and then some more of it", nil)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorIs(t, err, coder.ErrOutcomeUnknown)
		time.Sleep(time.Minute)

		done := make(chan error, 1)
		go func() { _, err := conn.Ask(t.Context(), "Once more", nil); done <- err }()
		time.Sleep(100 * time.Millisecond)
		_, err = conn.Ask(t.Context(), "At the same time", nil)
		require.ErrorIs(t, err, coder.ErrMessagesInUse)
		require.NoError(t, <-done)

		go func() { _, err := conn.Ask(t.Context(), "For ever", nil); done <- err }()
		time.Sleep(time.Second)
		require.NoError(t, conn.Close())
		err = <-done
		require.ErrorIs(t, err, coder.ErrConnClosed)
		require.ErrorIs(t, err, coder.ErrOutcomeUnknown)
		_ = hub
		_ = session
	})
}

// TestHubConn_Ask_NoModel: the agent refuses the prompt or, through its extension, says nothing more of it.
func TestHubConn_Ask_NoModel(t *testing.T) {
	for dialect, want := range map[codertest.AgentDialect]error{codertest.DialectRPC: coder.ErrAgentFailed, codertest.DialectExtension: coder.ErrAgentStalled} {
		bubbleWith(t, func(t *testing.T, hub *codertest.Hub) {
			session, conn := idleAgent(t, hub)
			session.FailModel(codertest.AgentNoModelKey)
			_, err := conn.Ask(t.Context(), "Hello", nil)
			require.ErrorIs(t, err, want)
		}, codertest.WithAgentDialect(dialect))
	}
}

func TestHubConn_Ask_BadArguments(t *testing.T) {
	bubbleWith(t, func(t *testing.T, hub *codertest.Hub) {
		session, conn := idleAgent(t, hub)
		before := len(hub.Requests())
		for _, text := range []string{"", " \n\t"} {
			for _, call := range []func() error{
				func() error { _, err := conn.Ask(t.Context(), text, nil); return err },
				func() error { _, err := conn.Submit(t.Context(), text); return err },
				func() error { return conn.Prompt(t.Context(), text) },
			} {
				var bad *coder.ValidationError
				require.ErrorAs(t, call(), &bad)
				assert.Equal(t, "text", bad.Field)
			}
		}
		var bad *coder.ValidationError
		require.ErrorAs(t, conn.Listen(nil, nil), &bad) //nolint:staticcheck // that is the point
		observer, err := hubClient(t, hub).Connect(t.Context(), session.ID(), nil)
		require.NoError(t, err)
		defer observer.Close()
		_, err = observer.Ask(t.Context(), "Hello", nil)
		require.ErrorAs(t, err, &bad)
		assert.Len(t, hub.Requests(), before+1, "the socket of the observer")
	})
}

// TestClient_Answer: the answer is collected by another process, during the answer and after it, as often as wanted.
func TestClient_Answer(t *testing.T) {
	asks(t, func(t *testing.T, hub *codertest.Hub, session *codertest.SessionControl, conn *coder.HubConn) {
		conn.DiscardMessages()
		session.Answer(codertest.AgentTurn{Text: "One."})
		session.Answer(codertest.AgentTurn{Text: "Two.", Tools: []codertest.AgentTool{{Name: "read", Result: "ok"}}}, codertest.AgentTurn{Text: "Two is done."})
		first, err := conn.Submit(t.Context(), "The first")
		require.NoError(t, err)
		second, err := conn.Submit(t.Context(), "The second")
		require.NoError(t, err)
		for range 2 {
			for receipt, want := range map[*coder.Receipt]string{first: "One.", second: "Two is done."} {
				text, err := json.Marshal(receipt)
				require.NoError(t, err)
				assert.Less(t, len(text), 400)
				var stored coder.Receipt
				require.NoError(t, json.Unmarshal(text, &stored))
				answer, err := hubClient(t, hub).Answer(t.Context(), &stored)
				require.NoError(t, err)
				assert.Equal(t, want, answer.Text)
			}
			time.Sleep(time.Hour)
		}
	})
}

func TestReceipt_Text(t *testing.T) {
	var r coder.Receipt
	for _, text := range []string{"", "receipt1.", "receipt2.e30", "receipt1.e30=", "receipt1.WzFd", "receipt1.%%%"} {
		require.Error(t, r.UnmarshalText([]byte(text)), text)
	}
	want := coder.Receipt{SessionID: "s", AfterEvent: 7, Digest: "d", Before: 1, Command: true, SentAt: time.Unix(5, 0).UTC(), Disposition: coder.PromptQueued}
	text, err := want.MarshalText()
	require.NoError(t, err)
	require.NoError(t, r.UnmarshalText(text))
	assert.Equal(t, want, r)
}

// TestHubConn_Listen answers what the agent asks while it works for somebody else, until somebody else has answered or a
// timeout has passed.
func TestHubConn_Listen(t *testing.T) {
	bubbleWith(t, func(t *testing.T, hub *codertest.Hub) {
		session, conn := idleAgent(t, hub)
		ask := func(timeout time.Duration) {
			session.Answer(codertest.AgentTurn{Tools: []codertest.AgentTool{{Ask: &codertest.AgentQuestion{
				Method: "input", Params: map[string]any{"title": "Who?"}, Timeout: timeout,
			}}}}, codertest.AgentTurn{Text: "So be it."})
		}
		other := attached(t, hub, session)
		other.DiscardMessages()

		var text strings.Builder
		var questions, ends []string
		messages := 0
		answer := make(chan any)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() {
			ended <- conn.Listen(ctx, &coder.AskOptions{
				OnText:    func(delta string) { text.WriteString(delta) },
				OnMessage: func(coder.ServerMessage) { messages++ },
				OnQuestion: func(ctx context.Context, q *coder.RPCUIRequestMessage) (any, error) {
					questions = append(questions, q.ID)
					select {
					case value := <-answer:
						return value, nil
					case <-ctx.Done():
						ends = append(ends, ctx.Err().Error())
						return nil, ctx.Err()
					}
				},
			})
		}()

		ask(0)
		require.NoError(t, other.Prompt(t.Context(), "One"))
		time.Sleep(time.Minute)
		session.CutStreams() // the Hub asks again
		time.Sleep(time.Minute)
		answer <- "me"
		time.Sleep(time.Minute)
		synctest.Wait()
		assert.Equal(t, "So be it.", text.String())

		ask(0)
		require.NoError(t, other.Prompt(t.Context(), "Two"))
		time.Sleep(time.Minute)
		require.NoError(t, other.RespondUI(t.Context(), "ui_000002", "you"))
		time.Sleep(time.Minute)
		ask(time.Minute)
		require.NoError(t, other.Prompt(t.Context(), "Three"))
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		assert.Equal(t, []string{"ui_000001", "ui_000002", "ui_000003"}, questions)
		assert.Len(t, ends, 2)
		assert.NotZero(t, messages)
		_, err := conn.Ask(t.Context(), "Four", nil)
		require.ErrorIs(t, err, coder.ErrMessagesInUse)
		cancel()
		require.ErrorIs(t, <-ended, context.Canceled)

		ask(0)
		require.NoError(t, other.Prompt(t.Context(), "Five")) // it is open before somebody listens
		time.Sleep(time.Minute)
		failed := errors.New("nobody is here")
		require.ErrorIs(t, conn.Listen(t.Context(), &coder.AskOptions{
			OnQuestion: func(context.Context, *coder.RPCUIRequestMessage) (any, error) { return nil, failed },
		}), failed)
		go func() { ended <- conn.Listen(t.Context(), nil) }()
		time.Sleep(time.Minute)
		require.NoError(t, conn.Close())
		require.NoError(t, <-ended)

		session.RefuseStreams(codertest.Refusal{Count: -1})
		session.CutStreams()
		require.ErrorIs(t, other.Listen(t.Context(), nil), coder.ErrReconnectsExceeded)
	}, codertest.WithAgentPace(100*time.Millisecond))
}

// TestHubConn_Listen_LosesNothing ends and begins again: each message comes to one of the calls.
func TestHubConn_Listen_LosesNothing(t *testing.T) {
	bubbleWith(t, func(t *testing.T, hub *codertest.Hub) {
		session, conn := idleAgent(t, hub)
		for i := range 5 {
			session.SendRaw(fmt.Sprintf(`{"type":"number %d"}`, i))
		}
		time.Sleep(time.Second)
		var seen []string
		for range 20 {
			ctx, cancel := context.WithCancel(t.Context())
			if len(seen) == 0 {
				cancel() // before the first one
			}
			time.AfterFunc(time.Second, cancel)
			require.ErrorIs(t, conn.Listen(ctx, &coder.AskOptions{OnMessage: func(m coder.ServerMessage) {
				if unknown, ok := m.(*coder.UnknownMessage); ok {
					seen = append(seen, unknown.Type)
					cancel()
				}
			}}), context.Canceled)
			if len(seen) == 0 {
				seen = append(seen, "none yet")
			}
		}
		assert.Equal(t, []string{"none yet", "number 0", "number 1", "number 2", "number 3", "number 4"}, seen)
	})
}
