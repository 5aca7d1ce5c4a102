package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
	"github.com/agentuity/coder-go/examples/internal/readme"
)

// person is somebody who talks to the agent of a session, on an in-memory Hub in a bubble.
type person struct {
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

// talk runs a test with a person who has attached to a session. When the test is over he is gone:
// goroutines that are left make the bubble panic.
func talk(t *testing.T, interactive bool, pace time.Duration, test func(t *testing.T, u *person), options ...codertest.Option) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		hub := codertest.NewHub(append([]codertest.Option{codertest.WithInMemoryNetwork(), codertest.WithAgentPace(pace)}, options...)...)
		defer hub.Close()
		client, err := hub.NewClient()
		require.NoError(t, err)
		created, err := client.CreateSession(t.Context(), coder.CreateSessionRequest{Task: "Be there", Label: "Test"})
		require.NoError(t, err)
		in, typed := io.Pipe()
		defer func() { _ = typed.Close() }()
		u := &person{
			t: t, hub: hub, client: client, session: hub.Session(created.SessionID), in: typed, out: new(screen),
			interrupts: make(chan os.Signal), ended: make(chan error, 1),
		}
		u.session.Answer() // nothing, to the task
		u.session.SetStatus("active")
		time.Sleep(time.Minute)
		go func() {
			u.ended <- attach(t.Context(), client, created.SessionID, terminal{in: in, out: u.out, interrupts: u.interrupts, interactive: interactive})
		}()
		greeting := "* attached to codesess_000000000001; /help says what you can type\n" +
			"> Be there\n"
		if interactive {
			greeting += "> "
		}
		require.Equal(t, greeting, u.sees())
		test(t, u)
	})
}

// sees returns what has appeared since it was called last.
func (u *person) sees() string {
	u.t.Helper()
	synctest.Wait()
	u.out.mu.Lock()
	defer u.out.mu.Unlock()
	text := u.out.text.String()
	u.out.text.Reset()
	return text
}

// types types a line and returns what has appeared then.
func (u *person) types(line string) string {
	u.t.Helper()
	_, err := io.WriteString(u.in, line+"\n")
	require.NoError(u.t, err)
	return u.sees()
}

func (u *person) endsInput() { _ = u.in.Close() }

// waits lets time pass and returns what has appeared then.
func (u *person) waits(d time.Duration) string {
	u.t.Helper()
	time.Sleep(d)
	return u.sees()
}

// quits leaves and expects that all is well.
func (u *person) quits() {
	u.t.Helper()
	u.types("/quit")
	u.isGone(nil)
}

func (u *person) isGone(want error) {
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
func (u *person) sent() (bodies []string) {
	u.t.Helper()
	synctest.Wait()
	for _, frame := range u.session.Frames() {
		if frame.Role == "controller" && frame.Type != "bootstrap_ready" && frame.Type != "ping" {
			bodies = append(bodies, commandID.ReplaceAllString(string(frame.Body), ""))
		}
	}
	return bodies
}

// commandID is the id that each command has, another one each time.
var commandID = regexp.MustCompile(`,"id":"[A-Z2-7]{26}"`)

// lead takes the place of the Hub's agent, and returns how it tells of an event.
func (u *person) lead() (tell func(event string, data map[string]any)) {
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

// everyAgent talks to each version of the agent, in each dialect.
func everyAgent(t *testing.T, interactive bool, pace time.Duration, test func(t *testing.T, u *person), options ...codertest.Option) {
	t.Helper()
	for _, version := range []string{"0.74.2", "1.6.0"} {
		for name, dialect := range map[string]codertest.AgentDialect{"rpc": codertest.DialectRPC, "extension": codertest.DialectExtension} {
			t.Run(version+" "+name, func(t *testing.T) {
				talk(t, interactive, pace, test, append(options, codertest.WithAgentVersion(version), codertest.WithAgentDialect(dialect))...)
			})
		}
	}
}

// prompts returns the prompts that the Hub was sent, with when.
func (u *person) prompts() (texts []string, at []time.Time) {
	u.t.Helper()
	synctest.Wait()
	for _, frame := range u.session.Frames() {
		var m struct {
			Command struct{ Type, Message string } `json:"command"`
		}
		if frame.Role == "controller" && json.Unmarshal(frame.Body, &m) == nil && m.Command.Type == "prompt" {
			texts, at = append(texts, m.Command.Message), append(at, frame.Time)
		}
	}
	return texts, at
}

// another attaches somebody else.
func (u *person) another() *coder.HubConn {
	u.t.Helper()
	conn, err := u.client.Attach(u.t.Context(), u.session.ID(), nil)
	require.NoError(u.t, err)
	conn.DiscardMessages()
	u.sees()
	return conn
}

const hello = "Working on it: Say hello\n· read README.md → ok, 1 line\nDone.\n"

func TestAnswerIsStreamed(t *testing.T) {
	everyAgent(t, true, time.Second, func(t *testing.T, u *person) {
		assert.Empty(t, u.types("Say hello"))
		text := u.waits(3500 * time.Millisecond)
		assert.Equal(t, "Working on ", text, "two pieces of five should be there while the others are not")
		assert.Equal(t, "it: ", u.waits(time.Second))
		text += "it: " + u.waits(time.Minute)
		assert.Equal(t, hello+"> ", text)
		assert.Equal(t, "> ", u.types(" "))
		texts, _ := u.prompts()
		assert.Equal(t, []string{"Say hello"}, texts)
		u.quits()
	})
}

// TestFolded has thoughts and tools in a line each.
func TestFolded(t *testing.T) {
	turns := []codertest.AgentTurn{
		{Thinking: "One.\nTwo.\nThree.", Text: "I will look.", Tools: []codertest.AgentTool{
			{Name: "bash", Args: map[string]any{"command": "ls -la"}, Result: "a\nb\nc"},
			{Name: "read", Args: map[string]any{"path": "go.mod"}, Result: "no such file", IsError: true},
		}},
		{Thinking: "So.", Text: "There are three."},
	}
	everyAgent(t, true, 10*time.Millisecond, func(t *testing.T, u *person) {
		u.session.Answer(turns...)
		u.types("How many?")
		assert.Equal(t, "· thinking: 3 lines\nI will look.\n· bash ls -la → ok, 3 lines\n· read go.mod → failed, 1 line\n"+
			"· thinking: 1 line\nThere are three.\n> ", u.waits(time.Minute))
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
			talk(t, true, 0, func(t *testing.T, u *person) {
				seen := u.types(test.prompt)
				assert.Contains(t, seen, "Working on it: "+test.prompt+"\n· ask_user ")
				assert.True(t, strings.HasSuffix(seen, "\n"+test.question), seen)
				for _, line := range test.again {
					seen := u.types(line)
					assert.Contains(t, seen, "! answer ", "%q is no answer", line)
					assert.Len(t, u.sent(), 1, "%q should not have been sent", line)
				}
				assert.Contains(t, u.types("/state"), "* the agent: question; the connection: connected\n")
				seen = u.types(test.answer)
				assert.Contains(t, seen, test.said)
				assert.True(t, strings.HasSuffix(seen, "\n> "), "the agent should be done: %s", seen)
				u.quits()
			})
		})
	}
}

// asksFor lets the agent ask with a timeout.
func (u *person) asksFor(timeout time.Duration) {
	u.session.Answer(codertest.AgentTurn{Tools: []codertest.AgentTool{{Ask: &codertest.AgentQuestion{
		Method: "confirm", Params: map[string]any{"title": "Go on?"}, Timeout: timeout,
	}}}}, codertest.AgentTurn{Text: "So be it."})
}

func TestQuestionsThatNobodyAnswers(t *testing.T) {
	for _, interactive := range []bool{true, false} {
		talk(t, interactive, 0, func(t *testing.T, u *person) {
			u.asksFor(time.Minute)
			assert.Contains(t, u.types("Ask me"), "? Go on?\n")
			seen := u.waits(2 * time.Minute)
			assert.Contains(t, seen, "* too late to answer, the agent goes on without: Go on?\n")
			assert.Contains(t, seen, "So be it.\n")
			u.asksFor(0)
			u.types("Ask me again")
			conn := u.another()
			require.NoError(t, conn.RespondUI(t.Context(), "ui_000002", true)) // the Hub does not tell
			seen = u.waits(time.Minute)
			assert.Contains(t, seen, "* no answer is needed any more: Go on?\n")
			assert.Contains(t, seen, "So be it.\n")
			require.NoError(t, conn.Close())
			u.quits()
		})
	}
}

// TestQuestionsToOthers: somebody else has given the agent something to do, and who sits here answers.
func TestQuestionsToOthers(t *testing.T) {
	talk(t, true, 0, func(t *testing.T, u *person) {
		conn := u.another()
		require.NoError(t, conn.Prompt(t.Context(), "Please confirm"))
		seen := u.sees()
		assert.Contains(t, seen, "\n> Please confirm\n")
		assert.True(t, strings.HasSuffix(seen, "y/n> "), seen)
		u.session.CutStreams() // the Hub asks again
		seen = u.waits(10 * time.Second)
		assert.Equal(t, 0, strings.Count(seen, "? Go on?"), seen)
		assert.True(t, strings.HasSuffix(seen, "y/n> "), seen)
		assert.Contains(t, u.types("y"), "Confirmed. Done.\n> ")

		u.asksFor(time.Minute)
		require.NoError(t, conn.Prompt(t.Context(), "Ask somebody"))
		assert.Contains(t, u.waits(2*time.Minute), "* too late to answer, the agent goes on without: Go on?\n")
		require.NoError(t, conn.Prompt(t.Context(), "Please confirm"))
		assert.Contains(t, u.sees(), "y/n> ")
		require.NoError(t, conn.RespondUI(t.Context(), "ui_000003", true))
		assert.Contains(t, u.sees(), "* no answer is needed any more: Go on?\n")
		require.NoError(t, conn.Close())
		u.quits()
	})
}

// TestLead lets a lead ask what the Hub's own agent does not.
func TestLead(t *testing.T) {
	talk(t, true, 0, func(t *testing.T, u *person) {
		tell := u.lead()
		ask := func(id, method string, params map[string]any) string {
			tell("rpc_ui_request", map[string]any{"id": id, "method": method, "params": params})
			return u.sees()
		}
		answers := func() string { return strings.Join(u.sent(), "\n") }

		assert.Equal(t, "\n* warning: few tokens\n> ", ask("1", "notify", map[string]any{"message": "few tokens", "notifyType": "warning"}))
		assert.Equal(t, "\n* hello\n> ", ask("2", "notify", map[string]any{"message": "hello"}))
		status := map[string]any{"statusKey": "phase", "statusText": "planning"}
		assert.Equal(t, "\n* phase: planning\n> ", ask("3", "setStatus", status))
		assert.Empty(t, ask("4", "setStatus", map[string]any{"statusKey": "phase"}))
		assert.Equal(t, "\n* New title\n> ", ask("5", "setTitle", map[string]any{"title": "New title"}))
		widget := map[string]any{"widgetKey": "todo", "widgetLines": []string{"one", "two"}}
		assert.Equal(t, "\n* todo: one\n  two\n> ", ask("6", "setWidget", widget))
		assert.Equal(t, "\n* go on\n> ", ask("7", "set_editor_text", map[string]any{"text": "go on"}))
		assert.Empty(t, answers(), "none of these wants an answer")

		tell("agent_start", nil)
		assert.Contains(t, ask("8", "pickColor", nil), "\n? the agent asks for pickColor, which this program does not know\n> ")
		assert.Equal(t, `{"type":"rpc_ui_response","id":"8","result":null}`, answers())

		draft := map[string]any{"title": "Edit", "prefill": "the text\nso far"}
		assert.Equal(t, "\n? Edit\n  the text\n  so far\ntext> ", ask("9", "editor", draft))
		assert.Empty(t, ask("9", "editor", map[string]any{"title": "Edit"}), "the same question again is no other")
		u.types("another text")
		assert.True(t, strings.HasSuffix(answers(), `{"type":"rpc_ui_response","id":"9","result":"another text"}`), answers())

		tell("agent_start", nil)
		ask("11", "confirm", map[string]any{"title": "Still there?"})
		tell("agent_end", map[string]any{"messages": []any{map[string]any{"role": "assistant", "stopReason": "stop"}}})
		assert.Contains(t, u.sees(), "\n* no answer is needed any more: Still there?\n> ")
		u.quits()
	})
}

func TestCommands(t *testing.T) {
	talk(t, true, time.Second, func(t *testing.T, u *person) {
		assert.Contains(t, u.types("/help"), "\n  /steer TEXT ")
		assert.Equal(t, "! there is no /frobnicate; /help says what there is\n> ", u.types("/frobnicate now"))
		assert.Equal(t, "! say what: /steer TEXT\n> ", u.types("/steer "))
		assert.Equal(t, "! the agent does nothing; to make it begin, leave out /steer\n> ", u.types("/steer left"))
		assert.Equal(t, "! the agent does nothing; to make it begin, leave out /followup\n> ", u.types("/followup left"))
		assert.Equal(t, "! the agent does nothing that could be aborted\n> ", u.types("/abort"))
		assert.Empty(t, u.sent())
		assert.Equal(t, "* the agent: idle; the connection: connected\n> ", u.types("/state"))

		u.types("Count to a hundred")
		u.waits(3500 * time.Millisecond)
		seen := u.types("/steer to ten") + u.waits(time.Minute)
		assert.Contains(t, seen, "hundred\n· read README.md → ok, 1 line\nChanging course: to ten\n> ")
		assert.NotContains(t, seen, "Done.", "it changes its course when the turn has ended")
		assert.NotContains(t, seen, "> to ten", "the user has seen it when he typed it")

		u.types("Count to a hundred")
		u.waits(3500 * time.Millisecond)
		assert.Equal(t, "! aborted: Request was aborted\n! the agent was stopped\n> ", u.types("/abort"))

		u.types("Count to ten")
		u.waits(5 * time.Second)
		u.types("/followup Say hello")
		seen = u.waits(time.Minute)
		assert.Contains(t, strings.Join(u.sent(), "\n"), `{"type":"follow_up","message":"Say hello"}`)
		assert.Contains(t, seen, hello[:20])

		u.session.Pause()
		assert.Contains(t, u.types("Say hello"), "Sandbox driver is not connected; resume the session first\n> ")
		assert.NotContains(t, u.types("/state"), "!")
		u.quits()
	})
}

// TestLinesThatWait types while the agent works. Each line is a prompt when those before are answered.
func TestLinesThatWait(t *testing.T) {
	everyAgent(t, true, 100*time.Millisecond, func(t *testing.T, u *person) {
		u.types("Count to ten")
		u.waits(500 * time.Millisecond)
		const waits = "* your line waits until the agent is done; /steer changes its course at once\n"
		assert.Contains(t, u.types("Say hello"), waits)
		assert.Contains(t, u.types("Say hello"), waits)
		seen := u.waits(time.Minute)
		assert.True(t, strings.HasSuffix(seen, "Done.\n"+hello+hello+"> "), seen)
		assert.Equal(t, 1, strings.Count(seen, "> "), "it should not be the user's turn in between: %s", seen)
		texts, at := u.prompts()
		require.Equal(t, []string{"Count to ten", "Say hello", "Say hello"}, texts)
		assert.Greater(t, at[1].Sub(at[0]), 500*time.Millisecond, "it was sent when the agent was done")

		u.types("Count to ten")
		u.waits(500 * time.Millisecond)
		u.types("Say hello")
		u.interrupts <- os.Interrupt
		assert.Contains(t, u.waits(time.Minute), "! the agent was stopped\n> ")
		texts, _ = u.prompts()
		assert.Len(t, texts, 4, "Ctrl-C takes back what waits")
		u.quits()
	})
}

func TestInterrupts(t *testing.T) {
	everyAgent(t, true, time.Second, func(t *testing.T, u *person) {
		u.types("Say hello")
		u.waits(3500 * time.Millisecond)
		u.interrupts <- os.Interrupt
		assert.Contains(t, u.waits(time.Minute), "\n! the agent was stopped\n> ")
		u.types("Say hello")
		assert.True(t, strings.HasSuffix(u.waits(time.Minute), hello+"> "), "the program goes on")
		u.interrupts <- os.Interrupt
		u.isGone(errInterrupted)
	})
	talk(t, true, 0, func(t *testing.T, u *person) {
		assert.Contains(t, u.types("Please confirm"), "y/n> ")
		u.interrupts <- os.Interrupt
		seen := u.sees()
		assert.Contains(t, seen, "\n* no answer is needed any more: Go on?\n")
		assert.True(t, strings.HasSuffix(seen, "! the agent was stopped\n> "), seen)
		u.quits()
	})
	talk(t, true, time.Second, func(t *testing.T, u *person) {
		tell := u.lead() // one that does not obey, and works for somebody else
		tell("agent_start", nil)
		u.interrupts <- os.Interrupt
		assert.Equal(t, []string{`{"type":"rpc_command","command":{"type":"abort"}}`}, u.sent())
		u.interrupts <- os.Interrupt
		u.isGone(errInterrupted)
		assert.Len(t, u.sent(), 1)
	})
	talk(t, true, 0, func(t *testing.T, u *person) {
		u.session.FailModel(codertest.AgentOverloaded)
		u.types("Say hello")
		u.interrupts <- os.Interrupt // in the wait
		assert.True(t, strings.HasSuffix(u.waits(time.Minute), "\n> "))
		texts, _ := u.prompts()
		assert.Len(t, texts, 1)
		u.quits()
	})
}

// TestReconnects_InAnAnswer loses the connection at each piece of an answer, with and without an outage that is longer than
// the answer. What was said is there, in one piece for each connection, and once.
func TestReconnects_InAnAnswer(t *testing.T) {
	for _, refused := range []int{0, 4} {
		for after := 50 * time.Millisecond; after < 1500*time.Millisecond; after += 100 * time.Millisecond {
			everyAgent(t, false, 100*time.Millisecond, func(t *testing.T, u *person) {
				u.session.Answer(
					codertest.AgentTurn{Thinking: "Let me see", Text: "one two three four ", Tools: []codertest.AgentTool{{Name: "bash", Args: map[string]any{"command": "ls"}, Result: "a\nb"}}},
					codertest.AgentTurn{Thinking: "Ah", Text: "five six seven eight"},
				)
				seen := u.types("Count") + u.waits(after)
				if refused > 0 {
					u.session.RefuseStreams(codertest.Refusal{Count: refused})
				}
				u.session.CutStreams()
				seen += u.waits(time.Minute)
				assert.Contains(t, seen, "* connection lost (")
				assert.Equal(t, 1, strings.Count(seen, "* back after "), seen)
				var said []string
				for line := range strings.Lines(seen) {
					if !strings.HasPrefix(line, "*") && !strings.HasPrefix(line, "·") && !strings.HasPrefix(line, ">") {
						said = append(said, strings.Fields(line)...)
					}
				}
				assert.Equal(t, "one two three four five six seven eight", strings.Join(said, " "), seen)
				assert.Equal(t, 1, strings.Count(seen, "→ ok, 2 lines"), seen)
				assert.Equal(t, 1, strings.Count(seen, "> Count"), seen)
				u.types("Say hello")
				assert.True(t, strings.HasSuffix(u.waits(time.Minute), hello), "the program goes on")
				u.quits()
			})
		}
	}
}

func TestReconnects(t *testing.T) {
	talk(t, true, time.Second, func(t *testing.T, u *person) {
		u.types("Please confirm")
		assert.Contains(t, u.waits(time.Minute), "y/n> ")
		u.session.CutStreams()
		seen := u.waits(10 * time.Second)
		assert.Contains(t, seen, "\n* connection lost (")
		assert.Contains(t, seen, "\n* back after ")
		assert.NotContains(t, seen, "Working")
		assert.True(t, strings.HasSuffix(seen, "y/n> "), "the question is still open: %s", seen)
		u.types("y")
		assert.Contains(t, u.waits(time.Minute), "Confirmed. Done.\n> ")

		// What is typed meanwhile is not lost.
		u.session.RefuseStreams(codertest.Refusal{Count: 2})
		u.session.CutStreams()
		u.sees()
		assert.Equal(t, "* there is no connection now; your line will be sent as soon as there is\n", u.types("Say hello"))
		seen = u.waits(time.Minute)
		assert.Contains(t, seen, "* back after ")
		assert.True(t, strings.HasSuffix(seen, hello+"> "), seen)

		// Unless the user does not want it any more.
		u.session.RefuseStreams(codertest.Refusal{Count: 2})
		u.session.CutStreams()
		u.sees()
		u.types("Say hello")
		u.interrupts <- os.Interrupt
		assert.Equal(t, "! your line was not sent\n> ", u.sees())
		assert.Contains(t, u.waits(time.Minute), "* back after ")
		texts, _ := u.prompts()
		assert.Equal(t, []string{"Please confirm", "Say hello"}, texts)
		u.quits()
	})
}

// TestReconnects_MissedAnswer loses the connection before somebody else answers the question that is open.
func TestReconnects_MissedAnswer(t *testing.T) {
	talk(t, true, 0, func(t *testing.T, u *person) {
		assert.Contains(t, u.types("Please confirm"), "y/n> ")
		conn := u.another()
		u.session.StallStreams()
		require.NoError(t, conn.RespondUI(t.Context(), "ui_000001", true))
		require.NoError(t, conn.Close())
		u.session.CutStreams()
		seen := u.waits(time.Minute)
		assert.Contains(t, seen, "* no answer is needed any more: Go on?\n")
		assert.Contains(t, seen, "Confirmed. Done.\n")
		assert.True(t, strings.HasSuffix(seen, "\n> "), "the agent is done: %s", seen)
		u.quits()
	})
}

func TestPiped(t *testing.T) {
	const asked = "Working on it: Please confirm\n· ask_user Go on?\n? Go on?\n  The agent wants to read a file.\n· ask_user Go on? → ok, 1 line\n"
	const once = "> Say hello\n" + hello
	for _, test := range []struct {
		name  string
		pace  time.Duration
		lines string
		seen  string
	}{
		{"one line", time.Second, "Say hello\n", once},
		{"without a pause", 0, "Say hello\n", once},
		{"without an end of line", time.Second, "Say hello", once},
		{"several lines", time.Second, "Say hello\n\nSay hello\n", once + once},
		{"an answer", time.Second, "Please confirm\ny\nSay hello\n", "> Please confirm\n" + asked + "· read README.md → ok, 1 line\nConfirmed. Done.\n" + once},
		{"no answer", time.Second, "Please confirm\n", "> Please confirm\n" + asked + "Then not.\n"},
		{"commands wait as well", time.Second, "Say hello\n/nonsense\n/quit\nSay hello\n", once + "! there is no /nonsense; /help says what there is\n"},
		{"nothing", time.Second, "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			talk(t, false, test.pace, func(t *testing.T, u *person) {
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

// TestRetryWait types two prompts. The model fails at the first, twice, and the second is not sent before the first is answered.
func TestRetryWait(t *testing.T) {
	everyAgent(t, false, 100*time.Millisecond, func(t *testing.T, u *person) {
		go func() {
			_, _ = io.WriteString(u.in, "Say hello\nSay hello\n")
			u.endsInput()
		}()
		seen := u.waits(time.Minute)
		assert.Equal(t, 2, strings.Count(seen, "! error: 529"), seen)
		assert.Equal(t, 2, strings.Count(seen, hello), seen)
		_, at := u.prompts()
		require.Len(t, at, 2)
		assert.Greater(t, at[1].Sub(at[0]), 6*time.Second, "the agent waits 2 and 4 seconds")
		u.isGone(nil)
	}, codertest.WithAgentErrors(codertest.AgentNoError, codertest.AgentOverloaded, codertest.AgentOverloaded))
}

// TestRetryWait_OfOthers types a prompt while the agent waits to try that of somebody else again.
func TestRetryWait_OfOthers(t *testing.T) {
	everyAgent(t, true, 100*time.Millisecond, func(t *testing.T, u *person) {
		conn := u.another()
		u.session.FailModel(codertest.AgentOverloaded)
		require.NoError(t, conn.Prompt(t.Context(), "Count to ten"))
		assert.Contains(t, u.waits(time.Second), "! error: 529")
		assert.Contains(t, u.types("/state"), "* the agent: retrying;")
		u.types("Say hello")
		seen := u.waits(time.Minute)
		assert.Contains(t, seen, "Working on it: Count to ten\n")
		assert.True(t, strings.HasSuffix(seen, hello+"> "), seen)
		_, at := u.prompts()
		require.Len(t, at, 2)
		assert.Greater(t, at[1].Sub(at[0]), 2*time.Second, "the agent waits 2 seconds")
		require.NoError(t, conn.Close())
		u.quits()
	})
}

// TestFailures says what has become of a prompt, and goes on.
func TestFailures(t *testing.T) {
	everyAgent(t, false, 100*time.Millisecond, func(t *testing.T, u *person) {
		u.session.FailModel(codertest.AgentInvalidRequest)
		u.types("Say hello")
		seen := u.waits(time.Minute)
		assert.Contains(t, seen, "! error: 400")
		assert.Contains(t, seen, "\n! the agent has failed, and does not try again (")
		u.session.Answer(codertest.AgentTurn{Text: "And then", StopReason: "length"})
		u.types("Say something")
		assert.Contains(t, u.waits(time.Minute), "And then\n! the answer is cut: the model had no room for more\n")
		assert.Equal(t, "> Say hello\n"+hello, u.types("Say hello")+u.waits(time.Minute), "the program goes on")
		u.quits()
	})
	talk(t, true, 0, func(t *testing.T, u *person) {
		tell := u.lead() // one that hears, and then is silent
		u.types("Say hello")
		tell("agent_start", nil)
		tell("message_end", map[string]any{"message": map[string]any{"role": "user", "content": "Say hello"}})
		assert.Contains(t, u.waits(11*time.Minute), "! nothing comes from the agent any more; it may still be at work (")
		u.types("Are you there?")
		tell("session_start", map[string]any{"reason": "new"})
		assert.Contains(t, u.waits(time.Minute), "! ")
		u.quits()
	})
	talk(t, true, 0, func(t *testing.T, u *person) {
		u.lead() // one that does not hear
		u.types("Say hello")
		assert.Contains(t, u.waits(time.Minute), "! it is not known what has become of your line; the agent may be at work on it (")
		u.quits()
	})
}

// TestPause puts the sandbox to sleep in the middle of a turn, which ends with that.
func TestPause(t *testing.T) {
	talk(t, false, time.Second, func(t *testing.T, u *person) {
		u.types("Say hello")
		u.waits(5500 * time.Millisecond)
		u.session.Pause()
		u.endsInput()
		u.waits(time.Minute)
		u.isGone(nil)
	})
}

func TestTheSessionEnds(t *testing.T) {
	talk(t, true, 0, func(t *testing.T, u *person) {
		u.session.Shutdown()
		assert.Contains(t, u.sees(), "the session is over\n")
		u.isGone(nil)
	})
	talk(t, true, time.Second, func(t *testing.T, u *person) {
		u.types("Say hello")
		u.waits(3500 * time.Millisecond)
		u.session.Shutdown()
		seen := u.waits(time.Minute)
		assert.Contains(t, seen, "\n! the agent ")
		assert.Contains(t, seen, "the session is over\n")
		u.isGone(nil)
	})
	talk(t, true, 0, func(t *testing.T, u *person) {
		u.session.EndStreams(coder.CloseForbidden, "not \x1b[31myours")
		u.isGone(coder.ErrForbidden)
	})
	talk(t, true, 0, func(t *testing.T, u *person) {
		u.session.RefuseStreams(codertest.Refusal{Count: -1})
		u.session.CutStreams()
		assert.Contains(t, u.waits(time.Hour), "* connection lost for good (")
		u.isGone(coder.ErrReconnectsExceeded)
	})
	talk(t, true, 0, func(t *testing.T, u *person) {
		u.endsInput() // Ctrl-D
		u.isGone(nil)
		assert.Equal(t, "\n", u.sees(), "what comes next begins a line")
	})
}

// TestTheConnectionEnds loses the connection for good in the middle of an answer, which the history has.
func TestTheConnectionEnds(t *testing.T) {
	talk(t, true, time.Second, func(t *testing.T, u *person) {
		u.types("Say hello")
		u.waits(3500 * time.Millisecond)
		u.session.RefuseStreams(codertest.Refusal{Count: -1})
		u.session.EndStreams(coder.CloseForbidden, "go away")
		assert.Contains(t, u.waits(time.Hour), "Done.\n")
		u.isGone(coder.ErrForbidden)
	})
}

func TestOthers(t *testing.T) {
	everyAgent(t, true, 0, func(t *testing.T, u *person) {
		conn, err := u.client.Attach(t.Context(), u.session.ID(), nil)
		require.NoError(t, err)
		conn.DiscardMessages()
		assert.Equal(t, "\n* join: controller\n> ", u.sees())
		require.NoError(t, conn.Prompt(t.Context(), "Say hello"))
		seen := u.sees()
		assert.True(t, strings.HasPrefix(seen, "\n> Say hello\n"), seen)
		assert.Equal(t, hello, strings.ReplaceAll(seen[len("\n> Say hello\n"):], "> \n", "")[:len(hello)], seen)
		assert.True(t, strings.HasSuffix(seen, "\n> "), seen)
		require.NoError(t, conn.Close())
		assert.Equal(t, "\n* leave: controller\n> ", u.sees())
		u.session.SendRaw(`{"type":"rpc_event","event":{"type":"agent_start"},"timestamp":1}`)
		assert.Empty(t, u.sees(), "this is a replay of what has been")
		u.quits()
	})
}

// TestOthers_InBetween: somebody else prompts while the agent works for the user, and the other way round. Each prompt has
// its own answer, and all is shown once.
func TestOthers_InBetween(t *testing.T) {
	everyAgent(t, true, 100*time.Millisecond, func(t *testing.T, u *person) {
		conn := u.another()
		u.types("Count to ten")
		u.waits(500 * time.Millisecond)
		require.NoError(t, conn.FollowUp(t.Context(), "Say hello"))
		seen := u.waits(time.Minute)
		assert.Equal(t, 1, strings.Count(seen, "> Say hello\n"), seen)
		assert.Equal(t, 2, strings.Count(seen, "Done.\n"), seen)
		assert.True(t, strings.HasSuffix(seen, "> "), seen)

		require.NoError(t, conn.Prompt(t.Context(), "Count to ten"))
		u.waits(500 * time.Millisecond)
		u.types("Say hello")
		seen = u.waits(time.Minute)
		assert.True(t, strings.HasSuffix(seen, "Done.\n"+hello+"> "), seen)
		require.NoError(t, conn.Close())
		u.quits()
	})
}

// TestNothingReachesTheTerminal sends what would do things to a terminal, wherever there is text.
func TestNothingReachesTheTerminal(t *testing.T) {
	const evil = `\u001b]0;title\u0007\u001b[2J\r\u009b31m\u202e\u0000text`
	talk(t, true, 0, func(t *testing.T, u *person) {
		var all string
		for _, message := range []string{
			`{"type":"session_hydration","sessionId":"x","resumedAt":1,"label":"@","stream":{"output":"@","thinking":""},` +
				`"entries":[{"type":"message","timestamp":1,"content":"@"}]}`,
			`{"type":"rpc_command_error","error":"@"}`,
			`{"type":"protocol_error","code":"@","message":"@","timestamp":1}`,
			`{"type":"connection_rejected","code":"@","message":"@","timestamp":1}`,
			`{"type":"presence","event":"@","participant":{"id":"x","role":"@"},"sessionId":"x","timestamp":1}`,
			rpcEvent(`{"type":"message_end","message":{"role":"user","content":"@"}}`),
			`{"type":"broadcast","event":"session_label_updated","category":"session","data":{"label":"@"},"sessionId":"x","timestamp":1}`,
			`{"type":"broadcast","event":"session_error","category":"session","data":{"error":"@"},"sessionId":"x","timestamp":1}`,
			rpcEvent(`{"type":"message_update","assistantMessageEvent":{"type":"text_delta","delta":"@"}}`),
			rpcEvent(`{"type":"tool_execution_start","toolCallId":"1","toolName":"@","args":{"path":"@"}}`),
			rpcEvent(`{"type":"message_end","message":{"role":"assistant","stopReason":"error","errorMessage":"@"}}`),
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
}

func rpcEvent(event string) string {
	return `{"type":"broadcast","event":"rpc_event","category":"rpc","data":{"event":` + event + `},"sessionId":"x","timestamp":1}`
}

// TestSilentHub is not told how things stand, and does not wait for it forever.
func TestSilentHub(t *testing.T) {
	talk(t, true, 0, func(t *testing.T, u *person) {
		conn, err := u.client.Attach(t.Context(), u.session.ID(), nil)
		require.NoError(t, err)
		synctest.Wait()
		conn.DiscardMessages()
		out := new(screen)
		quit := strings.NewReader("/quit\n")
		start := time.Now()
		c := newChat(terminal{out: out})
		c.conn = conn
		require.NoError(t, c.converse(t.Context(), terminal{in: quit, out: out, interactive: true}))
		assert.Equal(t, 2*time.Second, time.Since(start))
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
		err = attach(t.Context(), client, "codesess_x", terminal{in: strings.NewReader(""), out: io.Discard, interrupts: interrupts, interactive: true})
		require.ErrorIs(t, err, errInterrupted)
	})
}

func TestRun(t *testing.T) {
	hub := codertest.NewHub()
	defer hub.Close()
	out := new(bytes.Buffer)
	start := func(input string, args ...string) error {
		out.Reset()
		return run(t.Context(), args, terminal{in: strings.NewReader(input), out: out, interrupts: make(chan os.Signal)})
	}
	t.Setenv("AGENTUITY_SDK_KEY", "")
	t.Setenv("AGENTUITY_CODER_URL", "")
	require.ErrorContains(t, start("", "-session", "x"), "AGENTUITY_SDK_KEY")
	require.NoError(t, start("Say hello"))
	assert.Contains(t, out.String(), "attaching to a session on an embedded Hub\n")
	readme.Check(t, `echo "Say hello" | go run ./examples/attach`, out.String())
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
