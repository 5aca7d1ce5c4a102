//go:build servers

package servers

import (
	"bufio"
	"encoding/json"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// patience is how long anything may take that has to come.
const patience = 20 * time.Second

// process is a server that runs in the foreground, as a child.
type process struct {
	command *exec.Cmd
	exited  chan struct{}
	mu      sync.Mutex
	output  []byte
}

// greeting is what a server says first.
type greeting struct {
	Port    int    `json:"port"`
	Version string `json:"version"`
}

// launch starts a server and returns when it listens. The end of the test, however it ends, is the server's.
func launch(t *testing.T, program, script string, settings any) (*process, greeting) {
	t.Helper()
	text, err := json.Marshal(settings)
	require.NoError(t, err)
	p := &process{command: exec.Command(program, script), exited: make(chan struct{})}
	p.command.Dir = "js"
	p.command.Env = append(os.Environ(), "HUB_SETTINGS="+string(text))
	// Pdeathsig is for tests that are killed.
	p.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	stdout, err := p.command.StdoutPipe()
	require.NoError(t, err)
	p.command.Stderr = p
	require.NoError(t, p.command.Start(), "are the servers installed? `make servers` does it")
	first := make(chan []byte, 1)
	go func() {
		defer close(p.exited)
		lines := bufio.NewReader(stdout)
		line, _ := lines.ReadBytes('\n')
		first <- line
		_, _ = lines.WriteTo(p)
		_ = p.command.Wait()
	}()
	t.Cleanup(func() {
		p.stop()
		if t.Failed() {
			t.Logf("%s said:\n%s", script, p.said())
		}
	})
	var g greeting
	select {
	case line := <-first:
		require.NoError(t, json.Unmarshal(line, &g), "%s said %q", script, line)
	case <-time.After(patience):
		require.Fail(t, script+" does not start")
	}
	return p, g
}

// stop ends the process, by force if need be.
func (p *process) stop() {
	_ = p.command.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.exited:
	case <-time.After(5 * time.Second):
		_ = p.command.Process.Kill()
		<-p.exited
	}
}

func (p *process) Write(text []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.output = append(p.output, text...)
	return len(text), nil
}

func (p *process) said() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return string(p.output)
}
