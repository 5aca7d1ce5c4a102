package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go/codertest"
	"github.com/agentuity/coder-go/examples/internal/cli"
	"github.com/agentuity/coder-go/examples/internal/readme"
)

// asProgram says that this process is the program, not its tests.
const asProgram = "CODER_GO_TEST_AS_MCP"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// command is the program as a process of its own. A Hub of nil is an embedded one.
func command(t *testing.T, hub *codertest.Hub, arguments ...string) *exec.Cmd {
	t.Helper()
	executable, err := os.Executable()
	require.NoError(t, err)
	c := exec.CommandContext(t.Context(), executable, arguments...)
	c.Env = append(os.Environ(), asProgram+"=1", "AGENTUITY_SDK_KEY=", "AGENTUITY_CODER_URL=")
	if hub != nil {
		c.Env = append(c.Env, "AGENTUITY_SDK_KEY=key", "AGENTUITY_CODER_URL="+hub.URL())
	}
	return c
}

// run runs the program in this process.
func run(t *testing.T, person bool, arguments ...string) (status int, out, errs string) {
	t.Helper()
	var stdout, stderr text
	p := &program{
		in: io.NopCloser(strings.NewReader("")), out: &stdout, errs: &stderr, person: person,
		embedded:   []codertest.Option{codertest.WithInMemoryNetwork()},
		interrupts: context.WithCancel,
	}
	status = p.run(t.Context(), arguments)
	return status, stdout.String(), stderr.String()
}

func environ(t *testing.T, key, url string) {
	t.Helper()
	t.Setenv("AGENTUITY_SDK_KEY", key)
	t.Setenv("AGENTUITY_CODER_URL", url)
}

func TestBadUsage(t *testing.T) {
	environ(t, "", "")
	for argument, want := range map[string]string{"-nonsense": "-nonsense", "tasks.txt": `what is "tasks.txt"?`} {
		status, out, errs := run(t, false, argument)
		assert.Equal(t, cli.BadUsage, status)
		assert.Empty(t, out)
		assert.Contains(t, errs, want)
		assert.Contains(t, errs, "-h lists ")
	}
	status, out, errs := run(t, false, "-help")
	assert.Equal(t, cli.OK, status)
	assert.Empty(t, out)
	assert.Contains(t, errs, "usage: mcp [flags]")
	environ(t, "key", "nowhere")
	status, out, errs = run(t, false)
	assert.Equal(t, cli.BadUsage, status)
	assert.Empty(t, out)
	assert.Contains(t, errs, "AGENTUITY_CODER_URL")
}

func TestDemonstration(t *testing.T) {
	environ(t, "key", "nowhere") // which it does not use
	for _, arguments := range [][]string{{"-demo"}, nil} {
		synctest.Test(t, func(t *testing.T) {
			status, out, errs := run(t, arguments == nil, arguments...)
			require.Equal(t, cli.OK, status, "%s\n%s", out, errs)
			assert.Contains(t, errs, "on an embedded Hub")
			for _, want := range []string{
				"tools: answer_question, ", `> start_session {"label":"healthz",`, "Started session codesess_", "was there already", "> wait_session ", "  1  ",
				"GET /healthz answers 200 now.", "The agent asks (question_id ui_", "> answer_question ", "It is pushed to the branch healthz.", "> read_transcript ", " is over (status archived)",
			} {
				assert.Contains(t, out, want)
			}
			readme.Check(t, "go -C examples/mcp run . -demo", errs+out)
		})
	}
}

// TestTheDemonstrationIsInterrupted in the middle of it.
func TestTheDemonstrationIsInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out, errs text
		ctx, interrupt := context.WithTimeout(t.Context(), time.Second)
		defer interrupt()
		p := &program{out: &out, errs: &errs, embedded: []codertest.Option{codertest.WithInMemoryNetwork()}, interrupts: context.WithCancel}
		assert.Equal(t, cli.Interrupted, p.run(ctx, []string{"-demo"}))
		assert.Contains(t, errs.String(), "mcp: interrupted; ")
		assert.NotContains(t, out.String(), "> archive_session")
	})
}

// TestAProcess: the official client starts the program, as the ones of others do.
func TestAProcess(t *testing.T) {
	for name, hub := range map[string]*codertest.Hub{"embedded": nil, "of the environment": codertest.NewHub(codertest.WithAPIKey("key"))} {
		t.Run(name, func(t *testing.T) {
			if hub != nil {
				defer hub.Close()
			}
			c := command(t, hub)
			var errs text
			c.Stderr = &errs
			u := &user{t: t}
			u.connect(&mcp.CommandTransport{Command: c}, nil, "")
			id := u.start("Say hello")
			waited, said := call[turn](u, "wait_session", args{"session_id": id})
			assert.True(t, waited.Succeeded, said)
			assert.NotEmpty(t, u.told())
			asked, _ := call[turn](u, "ask_session", args{"session_id": id, "prompt": "Thank you"})
			assert.True(t, asked.Succeeded)
			require.NoError(t, u.session.Close(), "it ends with status 0 at the end of its input")
			if hub == nil {
				assert.Contains(t, errs.String(), "no AGENTUITY_SDK_KEY and no AGENTUITY_CODER_URL: serving an embedded Hub")
				return
			}
			assert.Empty(t, errs.String())
			assert.Equal(t, []string{id}, hub.SessionIDs())
		})
	}
}

// wire is the program, and what goes over its standard input and output.
type wire struct {
	t    *testing.T
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Reader
	errs *text
	said []string // every line of standard output
}

func openWire(t *testing.T, hub *codertest.Hub, arguments ...string) *wire {
	t.Helper()
	w := &wire{t: t, cmd: command(t, hub, arguments...), errs: new(text)}
	var err error
	w.in, err = w.cmd.StdinPipe()
	require.NoError(t, err)
	out, err := w.cmd.StdoutPipe()
	require.NoError(t, err)
	w.out, w.cmd.Stderr = bufio.NewReader(out), w.errs
	require.NoError(t, w.cmd.Start())
	w.send(initialize)
	w.until(`"id":1`)
	w.send(initialized)
	return w
}

func (w *wire) send(message string) {
	_, err := io.WriteString(w.in, message+"\n")
	require.NoError(w.t, err)
}

// until reads lines up to one that has a text.
func (w *wire) until(text string) string {
	for {
		line, err := w.out.ReadString('\n')
		require.NoError(w.t, err, "%s", w.errs)
		w.said = append(w.said, line)
		if strings.Contains(line, text) {
			return line
		}
	}
}

// end reads the rest, and returns how the program ended. Every line of standard output is a message.
func (w *wire) end() *os.ProcessState {
	rest, err := io.ReadAll(w.out)
	require.NoError(w.t, err)
	for line := range strings.Lines(string(rest)) {
		w.said = append(w.said, line)
	}
	_ = w.cmd.Wait() // the state says it
	for _, line := range w.said {
		var message struct{ JSONRPC string }
		require.NoError(w.t, json.Unmarshal([]byte(line), &message), line)
		assert.Equal(w.t, "2.0", message.JSONRPC)
	}
	return w.cmd.ProcessState
}

// waits starts a session over the wire, and waits for it.
func (w *wire) waits() {
	w.send(`{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"start_session","arguments":{"task":"Work for long"}}}`)
	w.until(`"id":2`)
	w.send(`{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"_meta":{"progressToken":"p"},"name":"wait_session","arguments":{"session_id":"codesess_000000000001","max_seconds":600}}}`)
	w.until(`"notifications/progress"`)
}

func TestNoMCP(t *testing.T) {
	w := openWire(t, nil)
	w.send("Hello?")
	assert.Equal(t, cli.Failed, w.end().ExitCode())
	assert.Contains(t, w.errs.String(), "mcp: the input is no MCP: ")
}

// TestInterrupted ends the program while a call waits, and not the session.
func TestInterrupted(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no signal can be sent to another process there")
	}
	hub := codertest.NewHub(codertest.WithAPIKey("key"), codertest.WithAgentPace(time.Hour))
	defer hub.Close()
	w := openWire(t, hub)
	w.waits()
	require.NoError(t, w.cmd.Process.Signal(os.Interrupt))
	assert.Equal(t, cli.Interrupted, w.end().ExitCode())
	assert.Equal(t, "mcp: interrupted; the sessions of an account go on\n", w.errs.String())
	assert.False(t, hub.Session("codesess_000000000001").Archived())
}
