//go:build parity

package parity

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
)

// driver is a Node process that runs the original's clients: see node/driver.mjs and
// node/streams.mjs.
type driver struct {
	mu    sync.Mutex
	cmd   *exec.Cmd
	stdin io.WriteCloser
	lines *bufio.Reader
}

// order is what node/driver.mjs is told to do.
type order struct {
	Op      string            `json:"op"`
	Method  string            `json:"method,omitempty"`
	Args    any               `json:"args,omitempty"`
	Options map[string]string `json:"options,omitempty"`
	Env     map[string]string `json:"env,omitempty"`
	Keep    string            `json:"keep,omitempty"`
}

// originalError is what the original client threw.
type originalError struct {
	Name       string  `json:"name"`
	Message    string  `json:"message"`
	Status     int     `json:"status"`
	URL        string  `json:"url"`
	Issues     []issue `json:"issues"`
	SessionID  string  `json:"sessionId"`
	UpgradeURL string  `json:"upgradeUrl"`
	Region     string  `json:"region"`
}

type issue struct {
	Code    string `json:"code"`
	Path    []any  `json:"path"`
	Message string `json:"message"`
	Input   any    `json:"input"`
}

func (e *originalError) Error() string { return e.Name + ": " + e.Message }

func startDriver(args ...string) (*driver, error) {
	if _, err := os.Stat("node/node_modules/@agentuity/core/package.json"); err != nil {
		return nil, errors.New("the original client is not installed: run `make parity`, or `npm ci` in internal/parity/node")
	}
	cmd := exec.Command("node", args...)
	cmd.Dir = "node"
	cmd.Stderr = os.Stderr
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "AGENTUITY_") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting Node: %w", err)
	}
	return &driver{cmd: cmd, stdin: stdin, lines: bufio.NewReader(stdout)}, nil
}

func (d *driver) stop() error {
	return errors.Join(d.stdin.Close(), d.cmd.Wait())
}

// do runs one order. The result is nil where the original returned undefined; what it threw is an
// *originalError.
func (d *driver) do(o any) (json.RawMessage, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	line, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	if _, err := d.stdin.Write(append(line, '\n')); err != nil {
		return nil, fmt.Errorf("the driver is gone: %w", err)
	}
	reply, err := d.lines.ReadBytes('\n')
	if err != nil {
		return nil, fmt.Errorf("the driver is gone: %w", err)
	}
	var answer struct {
		Result json.RawMessage `json:"result"`
		Error  *originalError  `json:"error"`
	}
	if err := json.Unmarshal(reply, &answer); err != nil {
		return nil, fmt.Errorf("the driver said something else: %w", err)
	}
	if answer.Error != nil {
		return nil, answer.Error
	}
	return answer.Result, nil
}
