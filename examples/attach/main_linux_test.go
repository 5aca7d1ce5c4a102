package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

const beTheProgram = "ATTACH_TEST_RUN_MAIN"

// TestMain lets the test binary be the program: tests start it again, in a terminal.
func TestMain(m *testing.M) {
	if os.Getenv(beTheProgram) != "" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

const (
	ctrlC = "\x03"
	ctrlD = "\x04"
)

// pty is the other side of the terminal in which the program runs.
type pty struct {
	t       *testing.T
	master  *os.File
	program *exec.Cmd
	unread  string
}

// openTerminal makes a pseudo-terminal. Both ends stay out of the tests' own terminal.
func openTerminal(t *testing.T) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if os.IsNotExist(err) {
		t.Skip("this machine has no pseudo-terminals: ", err)
	}
	require.NoError(t, err)
	t.Cleanup(func() { _ = master.Close() })
	raw, err := master.SyscallConn()
	require.NoError(t, err)
	var unlock, number int32
	for _, request := range []struct {
		code  uintptr
		value *int32
	}{{syscall.TIOCSPTLCK, &unlock}, {syscall.TIOCGPTN, &number}} {
		var errno syscall.Errno
		require.NoError(t, raw.Control(func(fd uintptr) {
			_, _, errno = syscall.Syscall(syscall.SYS_IOCTL, fd, request.code, uintptr(unsafe.Pointer(request.value)))
		}))
		require.Zero(t, errno)
	}
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	require.NoError(t, err)
	return master, slave
}

// start starts the program as the leader of a terminal's session, as a shell would be.
func start(t *testing.T, env []string, args ...string) *pty {
	t.Helper()
	master, slave := openTerminal(t)
	defer func() { _ = slave.Close() }()
	if deadline, ok := t.Deadline(); ok { // so that what was seen can be told
		require.NoError(t, master.SetReadDeadline(deadline.Add(-5*time.Second)))
	}
	program := exec.CommandContext(t.Context(), os.Args[0], args...) // killed if the test fails
	program.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "AGENTUITY_") })
	program.Env = append(append(program.Env, beTheProgram+"=1"), env...)
	program.Stdin, program.Stdout, program.Stderr = slave, slave, slave
	program.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	require.NoError(t, program.Start())
	t.Cleanup(func() { _ = program.Wait() })
	return &pty{t: t, master: master, program: program}
}

func (p *pty) types(keys string) {
	p.t.Helper()
	_, err := p.master.WriteString(keys)
	require.NoError(p.t, err)
}

// read waits for more and reports whether there was any: the end is an error of a terminal that
// nobody has open any more.
func (p *pty) read() bool {
	buffer := make([]byte, 4096)
	n, err := p.master.Read(buffer)
	p.unread += strings.ReplaceAll(string(buffer[:n]), "\r", "")
	return err == nil
}

// sees waits until a text has appeared, and returns everything up to it.
func (p *pty) sees(text string) string {
	p.t.Helper()
	for {
		if before, after, found := strings.Cut(p.unread, text); found {
			p.unread = after
			return before + text
		}
		if !p.read() {
			require.Fail(p.t, "the terminal should show something", "%q\nbut there is only\n%q", text, p.unread)
		}
	}
}

// ends waits for the end of the program and returns what it has left on the terminal.
func (p *pty) ends(code int) string {
	p.t.Helper()
	for p.read() {
	}
	_ = p.program.Wait()
	assert.Equal(p.t, code, p.program.ProcessState.ExitCode(), "%v", p.program.ProcessState)
	return p.unread
}

// TestTerminal is a conversation with the agent of the embedded Hub.
func TestTerminal(t *testing.T) {
	t.Parallel()
	p := start(t, nil)
	assert.Contains(t, p.sees("Done.\n> "), "* attached to codesess_000000000001; /help says what you can type\n")

	p.types("Say hello\n")
	assert.Equal(t, "Say hello\n"+hello+"> ", p.sees("Done.\n> "))

	p.types("Please confirm\n")
	p.sees("? Go on?\n  The agent wants to read a file.\ny/n> ")
	p.types("y\n")
	assert.Contains(t, p.sees("Confirmed. Done.\n> "), "y\n· ask_user Go on? → ok, 1 line\n· read README.md → ok, 1 line\n")

	p.types("Please confirm\n")
	p.sees("y/n> ") // the turn goes on until it is answered
	p.types(ctrlC)
	assert.Contains(t, p.sees("! the agent was stopped\n> "), "\n* no answer is needed any more: Go on?\n", "Ctrl-C ends the turn")

	p.types(ctrlD)
	assert.Equal(t, "\n", p.ends(0))
}

// TestTerminalStreams is a conversation with an agent that the test plays, so that there is no
// doubt about what has been said when something appears.
func TestTerminalStreams(t *testing.T) {
	t.Parallel()
	hub := codertest.NewHub()
	defer hub.Close()
	client, err := hub.NewClient()
	require.NoError(t, err)
	ctx := t.Context()
	if deadline, ok := t.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline.Add(-5*time.Second))
		defer cancel()
	}
	created, err := client.CreateSession(ctx, coder.CreateSessionRequest{Task: "x"})
	require.NoError(t, err)
	lead, err := client.Connect(ctx, created.SessionID, &coder.HubConnectOptions{Role: coder.RoleLead})
	require.NoError(t, err)
	defer func() { _ = lead.Close() }()
	tell := func(event string, data map[string]any) {
		t.Helper()
		require.NoError(t, lead.Send(ctx, &coder.EventRequest{Event: event, Data: data}))
	}
	end := func(role, text, stopReason string) {
		t.Helper()
		tell("message_end", map[string]any{"message": map[string]any{"role": role, "content": text, "stopReason": stopReason}})
	}
	say := func(text string) {
		t.Helper()
		tell("message_update", map[string]any{"assistantMessageEvent": map[string]any{"type": "text_delta", "delta": text}})
	}
	hears := func(kind coder.RPCCommandType, text string) {
		t.Helper()
		for m, err := range lead.Messages(ctx) {
			require.NoError(t, err)
			if command, ok := m.(*coder.RPCCommandMessage); ok {
				require.Equal(t, kind, command.Command.Type)
				require.Equal(t, text, command.Command.Message)
				return
			}
		}
	}

	p := start(t, []string{"AGENTUITY_CODER_URL=" + hub.URL()}, "-session", created.SessionID)
	p.sees("> x\n> ")
	p.types("Count\n")
	hears(coder.CommandPrompt, "Count")
	tell("agent_start", nil)
	end("user", "Count", "")
	say("one, ")
	assert.Equal(t, "Count\none, ", p.sees("one, "), "what was said appears, although nothing else is said")
	say("two,\n")
	p.sees("two,\n")
	p.types("/steer backwards\n")
	hears(coder.CommandSteer, "backwards")
	say("one, ")
	p.sees("one, ")
	p.types(ctrlC)
	hears(coder.CommandAbort, "")
	end("assistant", "one, two,\none, ", "aborted")
	tell("agent_end", nil)
	p.sees("\n! the agent was stopped\n> ")
	p.types(ctrlC)
	assert.Contains(t, p.ends(130), "\nattach: interrupted\n")
}

// TestTerminalHangsUp closes the terminal, which both signals the program and ends its input.
func TestTerminalHangsUp(t *testing.T) {
	t.Parallel()
	p := start(t, nil)
	p.sees("\n> ")
	require.NoError(t, p.master.Close())
	_ = p.program.Wait()
	state := p.program.ProcessState
	hungUp := state.Sys().(syscall.WaitStatus).Signal() == syscall.SIGHUP
	assert.True(t, hungUp || state.ExitCode() == 0, "it should have ended by itself: %v", state)
}
