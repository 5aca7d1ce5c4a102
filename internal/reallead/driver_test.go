//go:build lead

package reallead

import (
	"context"
	"encoding/json"
	"maps"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
)

// driver is what a sandbox has between its agent and the Hub: it passes commands on to the agent, and wraps what the
// agent prints.
type driver struct {
	t     *testing.T
	conn  *coder.HubConn
	agent *agent
	ready chan struct{} // closed when the agent answers

	mu      sync.Mutex
	methods map[string]string // of open questions, by id
}

// areYouThere is the id of the first command to an agent, which the driver sends for itself.
const areYouThere = "driver"

// drive starts an agent and leads the session with it, or a new one. A task of the session is its first prompt.
func drive(ctx context.Context, t *testing.T, client *coder.Client, sessionID, version string, m *model) *driver {
	t.Helper()
	options := &coder.HubConnectOptions{Role: coder.RoleLead, DriverMode: "rpc", DriverInstanceID: "driver", DriverVersion: version}
	connect := func() (*coder.HubConn, error) { return client.Connect(ctx, sessionID, options) }
	if sessionID == "" {
		connect = func() (*coder.HubConn, error) { return client.ConnectNew(ctx, options) }
	}
	conn, err := connect()
	require.NoError(t, err)
	d := &driver{t: t, conn: conn, ready: make(chan struct{}), methods: make(map[string]string)}
	t.Cleanup(func() { _ = conn.Close() })
	d.agent = startAgent(t, version, m, []string{absolute(t, "ask.mjs")}, nil, func(line []byte) { d.report(ctx, line) })
	require.NoError(t, d.agent.tell(map[string]any{"type": "get_state", "id": areYouThere}))
	select {
	case <-d.ready:
	case <-ctx.Done():
		require.Fail(t, "the agent does not answer")
	}
	go d.obey(ctx)
	go func() { // a driver without an agent leaves
		<-d.agent.exited
		_ = conn.Close()
	}()
	if task := conn.Init().Task; task != "" {
		require.NoError(t, d.agent.tell(map[string]any{"type": "prompt", "message": task}))
	}
	return d
}

// report tells the Hub what the agent has printed.
func (d *driver) report(ctx context.Context, line []byte) {
	var printed map[string]any
	if !assert.NoError(d.t, json.Unmarshal(line, &printed)) {
		return
	}
	request := &coder.EventRequest{Event: "rpc_event", Data: map[string]any{"event": printed}}
	switch printed["type"] {
	case "response":
		if printed["id"] == areYouThere {
			close(d.ready)
			return
		}
		request = &coder.EventRequest{Event: "rpc_response", Data: map[string]any{"response": printed}}
	case "extension_ui_request":
		id, _ := printed["id"].(string)
		method, _ := printed["method"].(string)
		params := maps.Clone(printed)
		for _, member := range []string{"type", "id", "method"} {
			delete(params, member)
		}
		d.mu.Lock()
		d.methods[id] = method
		d.mu.Unlock()
		request = &coder.EventRequest{Event: "rpc_ui_request", Data: map[string]any{"id": id, "method": method, "params": params}}
	}
	if err := d.conn.Send(ctx, request); err != nil {
		d.t.Logf("the driver cannot report %v: %v", printed["type"], err) // the session has ended
	}
}

// obey passes on what the Hub says.
func (d *driver) obey(ctx context.Context) {
	for message, err := range d.conn.Messages(ctx) {
		if err != nil { // the scenario is over
			return
		}
		switch message := message.(type) {
		case *coder.RPCCommandMessage:
			err = d.agent.tell(message.Command)
		case *coder.UnknownMessage:
			if message.Type == "rpc_ui_response" {
				err = d.answer(message.Raw)
			}
		}
		if err != nil {
			d.t.Logf("the agent takes no command: %v", err) // it has ended
		}
	}
}

// answer passes on the answer to a question.
func (d *driver) answer(raw json.RawMessage) error {
	var response struct {
		ID     string
		Result any
	}
	if err := json.Unmarshal(raw, &response); err != nil {
		return err
	}
	d.mu.Lock()
	method := d.methods[response.ID]
	d.mu.Unlock()
	line := map[string]any{"type": "extension_ui_response", "id": response.ID}
	switch {
	case response.Result == nil:
		line["cancelled"] = true
	case method == "confirm":
		line["confirmed"] = response.Result
	default:
		line["value"] = response.Result
	}
	return d.agent.tell(line)
}
