package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
	"github.com/agentuity/coder-go/examples/internal/readme"
	"github.com/agentuity/coder-go/examples/internal/transcript"
)

func TestDemonstration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := codertest.NewHub(codertest.WithInMemoryNetwork(), codertest.WithAgentVersion("1.6.0"), codertest.WithAgentPace(pace))
		defer hub.Close()
		var out bytes.Buffer
		require.NoError(t, demonstrate(t.Context(), hub, nil, transcript.New(&out, false)))
		text := out.String()
		for _, want := range []string{
			"* Demonstration: creating, 0 tasks\n", "\n> Sort the list of customers\n", "\n· thinking: 3 lines\nI will look for the customers.\n",
			"\n· grep customers → ok, 2 lines\n", "\n! error: 529", "\n* it tries again in 2s\n", "\n* the connection was lost (", "\n· edit customers.go → ok, 1 line\n",
			"\n· task for tester: Test customers.go\n", "\n· task of tester: done, 1 line\n", "\nSorted, and the tests pass.\n", "\n* it summarizes the conversation\n",
			"\n* join: controller\n", "\n> What have you changed?\n· thinking: 1 line\nOnly customers.go.\n", "\n* leave: controller\n", "\nthe session is over\n",
		} {
			assert.Equal(t, 1, strings.Count(text, want), "%q in\n%s", want, text)
		}
		assert.Contains(t, said(text), "I will look for the customers. They are in customers.go, in the order in which they came. I sort them by name, "+
			"and somebody else tests that. Sorted, and the tests pass. Only customers.go.")
	})
}

// said returns what the agent has said, in one line.
func said(text string) string {
	var words []string
	for line := range strings.Lines(text) {
		if !strings.ContainsAny(line[:1], "*>!?") && !strings.HasPrefix(line, "·") {
			words = append(words, strings.Fields(line)...)
		}
	}
	return strings.Join(words, " ")
}

// TestReconnects loses the connection at each piece of an answer, with and without an outage that is longer than the answer.
// What was said is there, and once.
// TestReadme keeps what examples/README.md shows true.
func TestReadme(t *testing.T) {
	t.Setenv("AGENTUITY_SDK_KEY", "")
	t.Setenv("AGENTUITY_CODER_URL", "")
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		require.NoError(t, run(t.Context(), nil, &out, codertest.WithInMemoryNetwork()))
		readme.Check(t, "go run ./examples/follow", out.String())
	})
}

func TestReconnects(t *testing.T) {
	for _, refused := range []int{0, 4} {
		for after := 50 * time.Millisecond; after < 1500*time.Millisecond; after += 100 * time.Millisecond {
			for _, version := range []string{"0.74.2", "1.6.0"} {
				for _, dialect := range []codertest.AgentDialect{codertest.DialectRPC, codertest.DialectExtension} {
					synctest.Test(t, func(t *testing.T) {
						hub := codertest.NewHub(codertest.WithInMemoryNetwork(), codertest.WithAgentPace(100*time.Millisecond),
							codertest.WithAgentVersion(version), codertest.WithAgentDialect(dialect))
						defer hub.Close()
						client, err := hub.NewClient()
						require.NoError(t, err)
						created, err := client.CreateSession(t.Context(), coder.CreateSessionRequest{Task: "Count"})
						require.NoError(t, err)
						session := hub.Session(created.SessionID)
						session.Answer(
							codertest.AgentTurn{Thinking: "Let me see", Text: "one two three four ", Tools: []codertest.AgentTool{{Name: "bash", Args: map[string]any{"command": "ls"}, Result: "a\nb"}}},
							codertest.AgentTurn{Thinking: "Ah", Text: "five six seven eight"},
						)
						var out bytes.Buffer
						ended := make(chan error)
						go func() {
							ended <- follow(t.Context(), client, session.ID(), nil, transcript.New(&out, false))
						}()
						synctest.Wait()
						session.SetStatus("active")
						time.Sleep(after)
						session.RefuseStreams(codertest.Refusal{Count: refused + 1})
						session.CutStreams()
						time.Sleep(time.Minute)
						session.Shutdown()
						require.NoError(t, <-ended)
						text := out.String()
						assert.Equal(t, "one two three four five six seven eight the session is over", said(text), text)
						for _, once := range []string{"> Count\n", "* the connection was lost (", "· bash ls → ok, 2 lines\n"} {
							assert.Equal(t, 1, strings.Count(text, once), "%q in\n%s", once, text)
						}
					})
				}
			}
		}
	}
}

// TestTextOfOthers does nothing to the terminal.
func TestTextOfOthers(t *testing.T) {
	var out bytes.Buffer
	view := transcript.New(&out, false)
	show(&coder.PresenceEventMessage{Event: "a\x1b[2Jb\rc\td\u202ee\u00e9", Participant: new(coder.SessionParticipant)}, view)
	assert.Equal(t, "* a[2Jbc\tde\u00e9:\n", out.String())
}

func TestInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := codertest.NewHub(codertest.WithInMemoryNetwork())
		defer hub.Close()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := demonstrate(ctx, hub, nil, transcript.New(new(bytes.Buffer), false))
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})
}

func TestASessionOfOnesOwn(t *testing.T) {
	hub := codertest.NewHub()
	defer hub.Close()
	t.Setenv("AGENTUITY_SDK_KEY", "")
	t.Setenv("AGENTUITY_CODER_URL", "")
	require.ErrorContains(t, run(t.Context(), []string{"-session", "x"}, new(bytes.Buffer)), "AGENTUITY_SDK_KEY")

	t.Setenv("AGENTUITY_CODER_URL", hub.URL())
	require.ErrorContains(t, run(t.Context(), nil, new(bytes.Buffer)), "-session")
	require.Error(t, run(t.Context(), []string{"-nonsense"}, new(bytes.Buffer)))
	require.ErrorIs(t, run(t.Context(), []string{"-session", "codesess_unknown"}, new(bytes.Buffer)), coder.ErrSessionNotFound)

	client, err := hub.NewClient()
	require.NoError(t, err)
	created, err := client.CreateSession(t.Context(), coder.CreateSessionRequest{Task: "x"})
	require.NoError(t, err)
	control := hub.Session(created.SessionID)
	out := &shutsDown{control: control}
	require.NoError(t, run(t.Context(), []string{"-session", created.SessionID, "-subscribe", "turn, task_*"}, out))
	assert.Contains(t, out.String(), "the session is over")
}

// shutsDown ends the session as soon as somebody has joined it.
type shutsDown struct {
	bytes.Buffer
	control *codertest.SessionControl
}

func (s *shutsDown) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte("join")) {
		s.control.Shutdown()
	}
	return s.Buffer.Write(p)
}
