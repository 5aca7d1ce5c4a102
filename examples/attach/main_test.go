package main

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

// user is somebody who talks to the agent of a session, on an in-memory Hub in a bubble.
type user struct {
	t          *testing.T
	hub        *codertest.Hub
	client     *coder.Client
	session    *codertest.SessionControl
	in         *io.PipeWriter
	out        *screen
	interrupts chan os.Signal
	ended      chan error
	leads      int // connections besides the user's
}

// screen is what was written.
type screen struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

// talk runs a test with a user who has attached to a session. When the test is over the user is
// gone: goroutines that are left make the bubble panic.
func talk(t *testing.T, interactive bool, pace time.Duration, test func(t *testing.T, u *user)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		hub := codertest.NewHub(codertest.WithInMemoryNetwork(), codertest.WithAgentPace(pace))
		defer hub.Close()
		client, err := hub.NewClient()
		require.NoError(t, err)
		created, err := client.CreateSession(t.Context(), coder.CreateSessionRequest{Task: "Be there", Label: "Test"})
		require.NoError(t, err)
		in, typed := io.Pipe()
		defer func() { _ = typed.Close() }()
		u := &user{
			t: t, hub: hub, client: client, session: hub.Session(created.SessionID), in: typed, out: new(screen),
			interrupts: make(chan os.Signal), ended: make(chan error, 1),
		}
		u.session.Answer() // nothing, to the task
		u.session.SetStatus("active")
		time.Sleep(time.Minute)
		go func() {
			u.ended <- attach(t.Context(), client, created.SessionID, terminal{in, u.out, u.interrupts, interactive})
		}()
		greeting := "* attached to codesess_000000000001; /help says what you can type\n" +
			"* Test: 1 entries so far\n  user_prompt: Be there\n"
		if interactive {
			greeting += "> "
		}
		require.Equal(t, greeting, u.sees())
		test(t, u)
	})
}

// sees returns what has appeared since it was called last.
func (u *user) sees() string {
	u.t.Helper()
	synctest.Wait()
	u.out.mu.Lock()
	defer u.out.mu.Unlock()
	text := u.out.text.String()
	u.out.text.Reset()
	return text
}

// types types a line and returns what has appeared then.
func (u *user) types(line string) string {
	u.t.Helper()
	_, err := io.WriteString(u.in, line+"\n")
	require.NoError(u.t, err)
	return u.sees()
}

func (u *user) endsInput() { _ = u.in.Close() }

// waits lets time pass and returns what has appeared then.
func (u *user) waits(d time.Duration) string {
	u.t.Helper()
	time.Sleep(d)
	return u.sees()
}

// quits leaves and expects that all is well.
func (u *user) quits() {
	u.t.Helper()
	u.types("/quit")
	u.isGone(nil)
}

func (u *user) isGone(want error) {
	u.t.Helper()
	synctest.Wait()
	select {
	case err := <-u.ended:
		require.ErrorIs(u.t, err, want)
	default:
		require.Fail(u.t, "the program should have ended", u.sees())
	}
	assert.Equal(u.t, u.leads, u.session.Streams(), "the connection should be closed")
}

// sent returns the messages the Hub was sent, but for what the connection sends by itself.
func (u *user) sent() (bodies []string) {
	u.t.Helper()
	synctest.Wait()
	for _, frame := range u.session.Frames() {
		if frame.Role == "controller" && frame.Type != "bootstrap_ready" && frame.Type != "ping" {
			bodies = append(bodies, string(frame.Body))
		}
	}
	return bodies
}

// lead takes the place of the Hub's agent, and returns how it tells of an event.
func (u *user) lead() (tell func(event string, data map[string]any)) {
	u.t.Helper()
	conn, err := u.client.Connect(u.t.Context(), u.session.ID(), &coder.HubConnectOptions{Role: coder.RoleLead})
	require.NoError(u.t, err)
	conn.DiscardMessages()
	u.leads++
	u.t.Cleanup(func() { _ = conn.Close() })
	assert.Equal(u.t, "\n* leave: lead\n> \n* join: lead\n> ", u.sees())
	return func(event string, data map[string]any) {
		u.t.Helper()
		require.NoError(u.t, conn.Send(u.t.Context(), &coder.EventRequest{Event: event, Data: data}))
		synctest.Wait()
	}
}

const hello = "Working on it: Say hello\n- tool_execution_start read\n- turn_end\nDone.\n- turn_end\n"

func TestAnswerIsStreamed(t *testing.T) {
	talk(t, true, time.Second, func(t *testing.T, u *user) {
		assert.Empty(t, u.types("Say hello"))
		text := u.waits(3500 * time.Millisecond)
		assert.Equal(t, "Working on ", text, "two pieces of five should be there while the others are not")
		assert.Equal(t, "it: ", u.waits(time.Second))
		text += "it: " + u.waits(time.Minute)
		assert.Equal(t, hello+"> ", text)
		assert.Equal(t, "> ", u.types(" "))
		assert.Equal(t, []string{`{"type":"rpc_command","command":{"type":"prompt","message":"Say hello"}}`}, u.sent())
		u.quits()
	})
}

func TestQuestions(t *testing.T) {
	const question = "? Go on?\n  The agent wants to read a file.\ny/n> "
	const colors = "? Which color?\n  1. red\n  2. green\n  3. blue\nnumber> "
	const name = "? What name?\n  name\ntext> "
	for _, test := range []struct {
		prompt, question string
		again            []string // what is not taken for an answer
		answer, said     string
	}{
		{"confirm", question, []string{"", "perhaps"}, "Y", "Confirmed. Done."},
		{"confirm", question, nil, "no", "Then not."},
		{"select", colors, []string{"0", "4", "yellow", "Red"}, "2", "You chose green. Done."},
		{"select", colors, nil, " blue ", "You chose blue. Done."},
		{"select", colors, nil, "", "Then not."},
		{"input", name, nil, "Ada Lovelace", "You chose Ada Lovelace. Done."},
		{"input", name, nil, "/etc/hosts", "You chose /etc/hosts. Done."},
		{"input", name, nil, "", "Then not."},
	} {
		t.Run(test.prompt+" "+test.answer, func(t *testing.T) {
			talk(t, true, 0, func(t *testing.T, u *user) {
				assert.Equal(t, "Working on it: "+test.prompt+"\n- tool_execution_start ask_user\n"+test.question, u.types(test.prompt))
				for _, line := range test.again {
					seen := u.types(line)
					assert.Contains(t, seen, "! answer ", "%q is no answer", line)
					assert.Len(t, u.sent(), 1, "%q should not have been sent", line)
				}
				assert.Contains(t, u.types("/state"), "* Test: working: true, waiting for an answer: true\n")
				seen := u.types(test.answer)
				assert.Contains(t, seen, test.said)
				assert.True(t, strings.HasSuffix(seen, "- turn_end\n> "), "the agent should be done: %s", seen)
				u.quits()
			})
		})
	}
}

// TestLead lets a lead ask what the Hub's own agent does not.
func TestLead(t *testing.T) {
	talk(t, true, 0, func(t *testing.T, u *user) {
		tell := u.lead()
		ask := func(id, method string, params map[string]any) string {
			tell("rpc_ui_request", map[string]any{"id": id, "method": method, "params": params})
			return u.sees()
		}
		answers := func() string { return strings.Join(u.sent(), "\n") }

		assert.Equal(t, "\n* warning: few tokens\n> ", ask("1", "notify", map[string]any{"message": "few tokens", "notifyType": "warning"}))
		assert.Equal(t, "\n* info: hello\n> ", ask("2", "notify", map[string]any{"message": "hello"}))
		status := map[string]any{"statusKey": "phase", "statusText": "planning"}
		assert.Equal(t, "\n* phase: planning\n> ", ask("3", "setStatus", status))
		assert.Empty(t, ask("4", "setStatus", map[string]any{"statusKey": "phase"}))
		assert.Equal(t, "\n* New title\n> ", ask("5", "setTitle", map[string]any{"title": "New title"}))
		widget := map[string]any{"widgetKey": "todo", "widgetLines": []string{"one", "two"}}
		assert.Equal(t, "\n* todo:\n  one\n  two\n> ", ask("6", "setWidget", widget))
		assert.Equal(t, "\n* you may want to say: go on\n> ", ask("7", "set_editor_text", map[string]any{"text": "go on"}))
		assert.Empty(t, answers(), "none of these wants an answer")

		assert.Equal(t, "\n? the agent asks for pickColor, which this program does not know\n> ", ask("8", "pickColor", nil))
		assert.Equal(t, `{"type":"rpc_ui_response","id":"8","result":null}`, answers())

		draft := map[string]any{"title": "Edit", "prefill": "the text\nso far"}
		assert.Equal(t, "\n? Edit\n  the text\n  so far\ntext> ", ask("9", "editor", draft))
		assert.Empty(t, ask("10", "confirm", map[string]any{"title": "Really?"}), "one question at a time")
		assert.Empty(t, ask("9", "editor", map[string]any{"title": "Edit"}), "the same question again is no other")
		assert.Equal(t, "? Really?\ny/n> ", u.types("another text"))
		assert.Equal(t, "> ", u.types("y"))
		assert.True(t, strings.HasSuffix(answers(),
			`{"type":"rpc_ui_response","id":"9","result":"another text"}`+"\n"+`{"type":"rpc_ui_response","id":"10","result":true}`), answers())

		ask("11", "confirm", map[string]any{"title": "Still there?"})
		tell("agent_end", nil)
		assert.Equal(t, "\n* no answer is needed any more: Still there?\n> ", u.sees())

		tell("agent_start", nil)
		tell("turn_start", nil)
		tell("message_update", map[string]any{"assistantMessageEvent": map[string]any{"type": "thinking_delta", "delta": "hm"}})
		tell("message_end", map[string]any{"message": map[string]any{"stopReason": "error", "errorMessage": "overloaded"}})
		tell("tool_execution_start", map[string]any{"toolName": "bash"})
		tell("tool_execution_end", map[string]any{"toolName": "bash", "isError": true})
		tell("turn_end", nil)
		assert.Equal(t, "\n! error overloaded\n- tool_execution_start bash\n- tool_execution_end bash: failed\n- turn_end\n", u.sees())
		u.types("And then?")
		assert.Contains(t, answers(), `{"type":"follow_up","message":"And then?"}`, "the agent is not done before agent_end")
		u.quits()
	})
}

func TestCommands(t *testing.T) {
	talk(t, true, time.Second, func(t *testing.T, u *user) {
		assert.Contains(t, u.types("/help"), "\n  /steer TEXT ")
		assert.Equal(t, "! there is no /frobnicate; /help says what there is\n> ", u.types("/frobnicate now"))
		assert.Equal(t, "! say where: /steer TEXT\n> ", u.types("/steer "))
		assert.Equal(t, "! the agent does nothing; to make it begin, leave out /steer\n> ", u.types("/steer left"))
		assert.Equal(t, "! the agent does nothing that could be aborted\n> ", u.types("/abort"))
		assert.Empty(t, u.sent())
		assert.Equal(t, "* Test: working: false, waiting for an answer: false\n> ", u.types("/state"))

		u.types("Count to a hundred")
		u.waits(3500 * time.Millisecond)
		seen := u.types("/steer to ten") + u.waits(time.Minute)
		assert.Contains(t, seen, "hundred\n- tool_execution_start read\n- turn_end\nChanging course: to ten\n- turn_end\n> ")
		assert.NotContains(t, seen, "Done.", "it changes its course when the turn has ended")

		u.types("Count to a hundred")
		u.waits(3500 * time.Millisecond)
		assert.Equal(t, "! aborted Request was aborted\n- turn_end\n> ", u.types("/abort"))

		u.types("Count to ten")
		u.waits(5 * time.Second)
		assert.Empty(t, u.types("Say hello"), "it is told when it is done")
		seen = u.waits(time.Minute)
		assert.Equal(t, 1, strings.Count(seen, "> "), "it should not be the user's turn in between: %s", seen)
		assert.True(t, strings.HasSuffix(seen, hello+"> "), seen)
		assert.Contains(t, strings.Join(u.sent(), "\n"), `{"type":"follow_up","message":"Say hello"}`)

		u.session.Pause()
		assert.Contains(t, u.types("Say hello"), "! Sandbox driver is not connected; resume the session first\n> ")
		u.quits()
	})
}

func TestInterrupts(t *testing.T) {
	talk(t, true, time.Second, func(t *testing.T, u *user) {
		u.types("Say hello")
		u.waits(3500 * time.Millisecond)
		u.interrupts <- os.Interrupt
		assert.Equal(t, "\n! aborted Request was aborted\n- turn_end\n> ", u.sees())

		u.types("Please confirm")
		assert.Contains(t, u.waits(time.Minute), "y/n> ")
		u.types("What is next?")
		u.interrupts <- os.Interrupt
		assert.Contains(t, u.sees(), "\n* no answer is needed any more: Go on?\n> ")

		u.interrupts <- os.Interrupt
		u.isGone(errInterrupted)
	})
	talk(t, true, time.Second, func(t *testing.T, u *user) {
		tell := u.lead() // one that does not obey
		tell("agent_start", nil)
		u.types("/state")
		u.interrupts <- os.Interrupt
		assert.Contains(t, u.sees(), "! coder: GetState: ")
		assert.Contains(t, u.sent(), `{"type":"rpc_command","command":{"type":"abort"}}`)
		u.interrupts <- os.Interrupt
		u.isGone(errInterrupted)
	})
}

func TestReconnects(t *testing.T) {
	talk(t, true, time.Second, func(t *testing.T, u *user) {
		u.types("Please confirm")
		assert.Contains(t, u.waits(time.Minute), "y/n> ")
		u.session.CutStreams()
		seen := u.waits(10 * time.Second)
		assert.Contains(t, seen, "\n* the connection was lost (")
		assert.Contains(t, seen, "* Test: 4 entries so far\n  user_prompt: Be there\n"+
			"  user_prompt: Please confirm\n  message: Working on it: Please confirm\n")
		assert.True(t, strings.HasSuffix(seen, "y/n> "), "the question is still open: %s", seen)
		u.types("y")
		assert.Contains(t, u.waits(time.Minute), "Confirmed. Done.\n- turn_end\n> ")

		// What is typed meanwhile is not lost.
		u.session.RefuseStreams(codertest.Refusal{Count: 2})
		u.session.CutStreams()
		synctest.Wait()
		assert.Equal(t, "* there is no connection now; the prompt will be sent as soon as there is\n", u.types("Say hello"))
		seen = u.waits(time.Minute)
		assert.Contains(t, seen, "* the connection was lost (")
		assert.True(t, strings.HasSuffix(seen, hello+"> "), seen)

		// Unless the user does not want it any more.
		u.session.RefuseStreams(codertest.Refusal{Count: 2})
		u.session.CutStreams()
		synctest.Wait()
		u.types("Say hello")
		u.interrupts <- os.Interrupt
		assert.Contains(t, u.sees(), "! coder: Prompt: context canceled\n> ")
		seen = u.waits(time.Minute)
		assert.Contains(t, seen, "is back after")
		assert.Equal(t, 1, strings.Count(strings.Join(u.sent(), "\n"), "Say hello"), "only the first one was sent")
		u.quits()
	})
}

// TestMissedEnd loses the connection in a turn whose end is not seen.
func TestMissedEnd(t *testing.T) {
	talk(t, true, 100*time.Millisecond, func(t *testing.T, u *user) {
		u.types("Say hello")
		u.waits(500 * time.Millisecond)
		u.session.RefuseStreams(codertest.Refusal{Count: 3})
		u.session.CutStreams()
		seen := u.waits(time.Minute)
		assert.Contains(t, seen, "  message: Done.\n")
		assert.True(t, strings.HasSuffix(seen, "\n> "), "the agent is done: %s", seen)
		u.quits()
	})
}

// TestMissedTurn loses the connection before anything is seen of a turn. The prompt has arrived, and
// no more is to be expected of it.
func TestMissedTurn(t *testing.T) {
	talk(t, true, 0, func(t *testing.T, u *user) {
		u.session.StallStreams()
		assert.Empty(t, u.types("Say hello"))
		assert.Len(t, u.sent(), 1)
		u.session.CutStreams()
		seen := u.waits(10 * time.Second)
		assert.Contains(t, seen, "  message: Done.\n")
		assert.True(t, strings.HasSuffix(seen, "\n> "), "the agent is done: %s", seen)
		assert.Len(t, u.sent(), 1)
		u.quits()
	})
}

// TestMissedAnswer loses the connection before somebody else answers the question that is open.
func TestMissedAnswer(t *testing.T) {
	talk(t, true, 0, func(t *testing.T, u *user) {
		assert.Contains(t, u.types("Please confirm"), "y/n> ")
		u.session.StallStreams()
		conn, err := u.client.Attach(t.Context(), u.session.ID(), nil)
		require.NoError(t, err)
		conn.DiscardMessages()
		require.NoError(t, conn.RespondUI(t.Context(), "ui_000001", true))
		require.NoError(t, conn.Close())
		u.session.CutStreams()
		seen := u.waits(10 * time.Second)
		assert.Contains(t, seen, "* no answer is needed any more: Go on?\n")
		assert.True(t, strings.HasSuffix(seen, "\n> "), "the agent is done: %s", seen)
		u.quits()
	})
}

func TestPiped(t *testing.T) {
	const idle = "* Test: working: false, waiting for an answer: false\n"
	const asked = "Working on it: Please confirm\n- tool_execution_start ask_user\n? Go on?\n  The agent wants to read a file.\n"
	for _, test := range []struct {
		name  string
		pace  time.Duration
		lines string
		seen  string
	}{
		{"one line", time.Second, "Say hello\n", hello},
		{"without a pause", 0, "Say hello\n", hello},
		{"without an end of line", time.Second, "Say hello", hello},
		{"several lines", time.Second, "Say hello\n\nSay hello\n", hello + hello},
		{"an answer", time.Second, "Please confirm\ny\nSay hello\n", asked + "- turn_end\n- tool_execution_start read\n- turn_end\nConfirmed. Done.\n- turn_end\n" + hello},
		{"no answer", time.Second, "Please confirm\n", asked + "- turn_end\nThen not.\n- turn_end\n"},
		{"commands wait as well", time.Second, "Say hello\n/state\n/quit\nSay hello\n", hello + idle},
		{"nothing", time.Second, "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			talk(t, false, test.pace, func(t *testing.T, u *user) {
				go func() {
					_, _ = io.WriteString(u.in, test.lines)
					u.endsInput()
				}()
				assert.Equal(t, test.seen, u.waits(time.Minute))
				u.isGone(nil)
			})
		})
	}
}

// TestPipedIntoARetry types two prompts. The model fails at the first, twice, and the second waits until it is answered.
func TestPipedIntoARetry(t *testing.T) {
	talk(t, false, 100*time.Millisecond, func(t *testing.T, u *user) {
		u.session.FailModel(codertest.AgentOverloaded, codertest.AgentOverloaded)
		go func() {
			_, _ = io.WriteString(u.in, "Say hello\nSay hello\n")
			u.endsInput()
		}()
		failed := "! error 529 overloaded\n- turn_end\n"
		assert.Equal(t, failed+"* it tries again in 2s\n"+failed+"* it tries again in 4s\n"+hello+hello, u.waits(time.Minute))
		u.isGone(nil)
	})
}

// TestPipedIntoAFailure: the extension does not say that it tries again. When it has not for so long, it is done.
func TestPipedIntoAFailure(t *testing.T) {
	talk(t, false, 100*time.Millisecond, func(t *testing.T, u *user) {
		u.session.FailModel(codertest.AgentInvalidRequest)
		go func() {
			_, _ = io.WriteString(u.in, "Say hello\nSay hello\n")
			u.endsInput()
		}()
		assert.Equal(t, "! error 400 Invalid request: the model does not exist\n- turn_end\n"+hello, u.waits(time.Minute))
		u.isGone(nil)
	})
}

// TestPipedAcrossAnOutage types a prompt while there is no connection. Its answer is waited for,
// although the Hub says, when it is back, that the agent does nothing.
func TestPipedAcrossAnOutage(t *testing.T) {
	talk(t, false, time.Second, func(t *testing.T, u *user) {
		u.session.RefuseStreams(codertest.Refusal{Count: 2})
		u.session.CutStreams()
		synctest.Wait()
		u.types("Say hello")
		u.endsInput()
		assert.Contains(t, u.waits(time.Minute), hello)
		u.isGone(nil)
	})
}

// TestPipedIntoALoss types a prompt while the connection breaks, and nobody knows it yet. Then it has
// either been sent over the next one, or failed, or was lost with the connection.
func TestPipedIntoALoss(t *testing.T) {
	for range 20 {
		talk(t, false, time.Second, func(t *testing.T, u *user) {
			u.session.CutStreams()
			_, _ = io.WriteString(u.in, "Say hello\n")
			u.endsInput()
			seen := u.waits(time.Minute)
			assert.Contains(t, seen, "is back after")
			switch arrived := strings.Contains(strings.Join(u.sent(), ""), "Say hello"); {
			case arrived:
				assert.Contains(t, seen, "Done.\n")
			default:
				assert.NotContains(t, seen, "Working")
			}
			u.isGone(nil)
		})
	}
}

// TestPause puts the sandbox to sleep in the middle of a turn, which ends with that.
func TestPause(t *testing.T) {
	talk(t, false, time.Second, func(t *testing.T, u *user) {
		u.types("Say hello")
		u.waits(5500 * time.Millisecond)
		u.session.Pause()
		u.endsInput()
		u.isGone(nil)
	})
}

func TestTheSessionEnds(t *testing.T) {
	talk(t, true, 0, func(t *testing.T, u *user) {
		u.session.Shutdown()
		assert.Contains(t, u.sees(), "\n- session_shutdown shutdown\nthe session is over\n")
		u.isGone(nil)
	})
	talk(t, true, 0, func(t *testing.T, u *user) {
		u.session.EndStreams(coder.CloseForbidden, "not \x1b[31myours")
		u.isGone(coder.ErrForbidden)
	})
	talk(t, true, 0, func(t *testing.T, u *user) {
		u.session.RefuseStreams(codertest.Refusal{Count: -1})
		u.session.CutStreams()
		u.waits(time.Hour)
		u.isGone(coder.ErrReconnectsExceeded)
	})
	talk(t, true, 0, func(t *testing.T, u *user) {
		u.endsInput() // Ctrl-D
		u.isGone(nil)
		assert.Equal(t, "\n", u.sees(), "what comes next begins a line")
	})
}

func TestOthers(t *testing.T) {
	talk(t, true, 0, func(t *testing.T, u *user) {
		conn, err := u.client.Attach(t.Context(), u.session.ID(), nil)
		require.NoError(t, err)
		conn.DiscardMessages()
		assert.Equal(t, "\n* join: controller\n> ", u.sees())
		require.NoError(t, conn.Prompt(t.Context(), "Say hello"))
		assert.Equal(t, "\n* somebody else says: Say hello\n"+hello+"> ", u.sees())
		require.NoError(t, conn.Prompt(t.Context(), "Please confirm"))
		assert.Contains(t, u.sees(), "y/n> ")
		require.NoError(t, conn.RespondUI(t.Context(), "ui_000001", true)) // the Hub does not tell
		assert.Equal(t, "\n- turn_end\ny/n> \n- tool_execution_start read\ny/n> \n- turn_end\ny/n> \nConfirmed. Done.\ny/n> \n- turn_end\ny/n> \n"+
			"* no answer is needed any more: Go on?\n> ", u.sees(), "text is not torn apart by the marker of the question")
		require.NoError(t, conn.Send(t.Context(), &coder.RenameSessionMessage{Label: "Other"}))
		assert.Equal(t, "\n* the session is now called Other\n> ", u.sees())
		require.NoError(t, conn.Close())
		assert.Equal(t, "\n* leave: controller\n> ", u.sees())
		u.session.SendRaw(`{"type":"rpc_event","event":{"type":"turn_end"},"timestamp":1}`)
		assert.Empty(t, u.sees(), "this is a replay of what has been")
		u.quits()
	})
}

// TestNothingReachesTheTerminal sends what would do things to a terminal, wherever there is text.
func TestNothingReachesTheTerminal(t *testing.T) {
	const evil = `\u001b]0;title\u0007\u001b[2J\r\u009b31m\u202e\u0000text`
	talk(t, true, 0, func(t *testing.T, u *user) {
		var all string
		for _, message := range []string{
			`{"type":"session_hydration","sessionId":"x","resumedAt":1,"label":"@","stream":{"output":"@","thinking":""},` +
				`"entries":[{"type":"message","timestamp":1,"content":"@"}]}`,
			`{"type":"rpc_command_error","error":"@"}`,
			`{"type":"protocol_error","code":"@","message":"@","timestamp":1}`,
			`{"type":"connection_rejected","code":"@","message":"@","timestamp":1}`,
			`{"type":"presence","event":"@","participant":{"id":"x","role":"@"},"sessionId":"x","timestamp":1}`,
			`{"type":"broadcast","event":"user_prompt","category":"message","data":{"content":"@"},"sessionId":"x","timestamp":1}`,
			`{"type":"broadcast","event":"session_label_updated","category":"session","data":{"label":"@"},"sessionId":"x","timestamp":1}`,
			`{"type":"broadcast","event":"session_error","category":"session","data":{"error":"@"},"sessionId":"x","timestamp":1}`,
			rpcEvent(`{"type":"message_update","assistantMessageEvent":{"type":"text_delta","delta":"@"}}`),
			rpcEvent(`{"type":"tool_execution_start","toolName":"@"}`),
			rpcEvent(`{"type":"message_end","message":{"stopReason":"error","errorMessage":"@"}}`),
			rpcEvent(`{"type":"task_error","error":"@"}`),
			`{"type":"rpc_ui_request","id":"0","method":"@","params":{}}`,
			`{"type":"rpc_ui_request","id":"1","method":"notify","params":{"message":"@","notifyType":"@"}}`,
			`{"type":"rpc_ui_request","id":"2","method":"setStatus","params":{"statusKey":"@","statusText":"@"}}`,
			`{"type":"rpc_ui_request","id":"3","method":"select","params":{"title":"@","options":["@"],"message":"@","prefill":"@"}}`,
			`{"type":"@"}`,
			`nonsense @`,
		} {
			u.session.SendRaw(strings.ReplaceAll(message, "@", evil))
			seen := u.sees()
			assert.Contains(t, seen, "text", "%s should be shown", message)
			all += seen
		}
		for _, r := range all {
			if r < ' ' && r != '\n' && r != '\t' || r >= 0x7f && r < 0xa0 || r == '\u202e' {
				assert.Fail(t, "a control character has reached the terminal", "%q in %q", r, all)
				break
			}
		}
		u.types("1")
		sent := u.sent()
		assert.Contains(t, sent[len(sent)-1], `\u001b[2J`, "the answer is the option as it came")
		u.quits()
	})
	assert.Equal(t, "]0;x[31m\u00e9\t\n\ufffd[m", clean("\x1b]0;x\a\x1b[31m\u00e9\t\r\n\x9b[m"))
}

func rpcEvent(event string) string {
	return `{"type":"broadcast","event":"rpc_event","category":"rpc","data":{"event":` + event + `},"sessionId":"x","timestamp":1}`
}

// TestSilentHub is not told how things stand, and does not wait for it forever.
func TestSilentHub(t *testing.T) {
	talk(t, true, 0, func(t *testing.T, u *user) {
		conn, err := u.client.Attach(t.Context(), u.session.ID(), nil)
		require.NoError(t, err)
		synctest.Wait()
		conn.DiscardMessages()
		out := new(screen)
		quit := strings.NewReader("/quit\n")
		start := time.Now()
		require.NoError(t, converse(t.Context(), conn, terminal{in: quit, out: out, interactive: true}))
		assert.Equal(t, 5*time.Second, time.Since(start))
		require.NoError(t, conn.Close())
		u.quits()
	})
}

func TestInterruptedWhileAttaching(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := codertest.NewHub(codertest.WithInMemoryNetwork())
		defer hub.Close()
		client, err := hub.NewClient()
		require.NoError(t, err)
		hub.Inject(codertest.Fault{Method: http.MethodGet, Delay: time.Hour})
		interrupts := make(chan os.Signal, 1)
		interrupts <- os.Interrupt
		err = attach(t.Context(), client, "codesess_x", terminal{strings.NewReader(""), io.Discard, interrupts, true})
		require.ErrorIs(t, err, errInterrupted)
	})
}

func TestRun(t *testing.T) {
	hub := codertest.NewHub()
	defer hub.Close()
	out := new(bytes.Buffer)
	start := func(input string, args ...string) error {
		out.Reset()
		return run(t.Context(), args, terminal{strings.NewReader(input), out, make(chan os.Signal), false})
	}
	t.Setenv("AGENTUITY_SDK_KEY", "")
	t.Setenv("AGENTUITY_CODER_URL", "")
	require.ErrorContains(t, start("", "-session", "x"), "AGENTUITY_SDK_KEY")
	require.NoError(t, start("Say hello"))
	assert.Contains(t, out.String(), "attaching to a session on an embedded Hub\n")
	assert.True(t, strings.HasSuffix(out.String(), hello), out.String())

	t.Setenv("AGENTUITY_CODER_URL", hub.URL())
	require.ErrorContains(t, start(""), "-session")
	require.Error(t, start("", "-nonsense"))
	require.ErrorIs(t, start("", "-session", "codesess_unknown"), coder.ErrSessionNotFound)
	client, err := hub.NewClient()
	require.NoError(t, err)
	created, err := client.CreateSession(t.Context(), coder.CreateSessionRequest{Task: "x"})
	require.NoError(t, err)
	hub.Session(created.SessionID).SetStatus("active")
	require.NoError(t, start("Say hello", "-session", created.SessionID))
	assert.True(t, strings.HasSuffix(out.String(), hello), out.String())
}
