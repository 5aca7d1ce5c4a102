//go:build lead

package reallead

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// packageOf is the installed package of npm.
func packageOf(t *testing.T, folder, name string) (dir string, manifest struct {
	Version string
	Main    string
	Bin     map[string]string
}) {
	t.Helper()
	dir, err := filepath.Abs(filepath.Join("npm", folder, "node_modules", name))
	require.NoError(t, err)
	text, err := os.ReadFile(filepath.Join(dir, "package.json"))
	require.NoError(t, err, "is the agent installed? `make lead` does it")
	require.NoError(t, json.Unmarshal(text, &manifest))
	return dir, manifest
}

// node is the program that the agent runs on.
func node(t *testing.T) string {
	t.Helper()
	programs, err := filepath.Glob("npm/node/node_modules/node-*/bin/node")
	require.NoError(t, err)
	require.Len(t, programs, 1, "is Node installed? `make lead` does it")
	program, err := filepath.Abs(programs[0])
	require.NoError(t, err)
	return program
}

// extension is the file of the published extension.
func extension(t *testing.T, version string) string {
	t.Helper()
	dir, manifest := packageOf(t, "pi-"+version, "@agentuity/coder-tui")
	return filepath.Join(dir, manifest.Main)
}

// agent is a real agent in its RPC mode, as a child process.
type agent struct {
	command *exec.Cmd
	exited  chan struct{}
	handle  func(line []byte) // called with each line that it prints

	stdin io.WriteCloser // guarded by mu
	mu    sync.Mutex
	said  strings.Builder // what it printed that is no protocol
}

// notes are in a file that the model reads.
const notes = "what there is"

// startAgent starts an agent. Each line it prints is given to handle. The end of the test is the agent's.
func startAgent(t *testing.T, version string, m *model, extensions, environment []string, handle func(line []byte)) *agent {
	t.Helper()
	home := t.TempDir()
	work := filepath.Join(home, "work")
	settings := map[string]any{
		"retry": map[string]any{"baseDelayMs": retryDelay.Milliseconds(), "provider": map[string]any{"maxRetries": 0}},
	}
	models := map[string]any{"providers": map[string]any{"stub": map[string]any{
		"baseUrl": m.server.URL + "/v1", "api": "openai-completions", "apiKey": "none",
		"compat": map[string]any{"supportsDeveloperRole": false},
		"models": []any{map[string]any{"id": "stub-1", "reasoning": true, "contextWindow": 128000, "maxTokens": 4096}},
	}}}
	for name, content := range map[string]any{"agent/settings.json": settings, "agent/models.json": models, "work/notes.json": notes} {
		file := filepath.Join(home, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o700))
		text, err := json.Marshal(content)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(file, text, 0o600))
	}
	dir, manifest := packageOf(t, "pi-"+version, "@earendil-works/pi-coding-agent")
	require.Equal(t, version, manifest.Version)
	args := []string{filepath.Join(dir, manifest.Bin["pi"]), "--mode", "rpc", "--provider", "stub", "--model", "stub-1"}
	for _, e := range extensions {
		args = append(args, "-e", e)
	}
	a := &agent{command: exec.Command(node(t), args...), exited: make(chan struct{}), handle: handle}
	a.command.Dir = work
	a.command.Env = append(slices.Clone(environment),
		"HOME="+home, "PI_CODING_AGENT_DIR="+filepath.Join(home, "agent"), "PATH="+os.Getenv("PATH"),
		"PI_OFFLINE=1", "PI_SKIP_VERSION_CHECK=1", "PI_TELEMETRY=0",
		"AZURE_OPENAI_API_KEY=none", "AZURE_OPENAI_BASE_URL="+m.server.URL+"/openai/v1",
	)
	// A group of its own, so that what the agent has started ends with it. Pdeathsig is for tests that are killed.
	a.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	stdin, err := a.command.StdinPipe()
	require.NoError(t, err)
	stdout, err := a.command.StdoutPipe()
	require.NoError(t, err)
	a.stdin, a.command.Stderr = stdin, a
	require.NoError(t, a.command.Start())
	go a.read(stdout)
	t.Cleanup(func() {
		a.stop()
		if t.Failed() {
			a.mu.Lock()
			defer a.mu.Unlock()
			t.Logf("the agent said:\n%.4000s", a.said.String())
		}
	})
	return a
}

func (a *agent) read(stdout io.Reader) {
	defer close(a.exited)
	lines := bufio.NewReader(stdout)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			break
		}
		if json.Valid(line) {
			a.handle(line)
		} else {
			_, _ = a.Write(line)
		}
	}
	_ = a.command.Wait()
}

// Write takes what the agent says on stderr.
func (a *agent) Write(text []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.said.Write(text)
}

// tell writes a line of the RPC mode.
func (a *agent) tell(line any) error {
	text, err := json.Marshal(line)
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	_, err = a.stdin.Write(append(text, '\n'))
	return err
}

// quit closes stdin, which ends the agent.
func (a *agent) quit() {
	a.mu.Lock()
	defer a.mu.Unlock()
	_ = a.stdin.Close()
}

// stop ends the agent, by force if need be.
func (a *agent) stop() {
	a.quit()
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		select {
		case <-a.exited:
			return
		case <-time.After(5 * time.Second):
			_ = syscall.Kill(-a.command.Process.Pid, signal)
		}
	}
	<-a.exited
}

// assertExit checks that an agent that was told to quit has ended well.
func (a *agent) assertExit(t *testing.T) {
	t.Helper()
	select {
	case <-a.exited:
		assert.Equal(t, 0, a.command.ProcessState.ExitCode(), "exit status")
	case <-time.After(patience):
		assert.Fail(t, fmt.Sprintf("the agent %d does not end", a.command.Process.Pid))
	}
}
