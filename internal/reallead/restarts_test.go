//go:build lead

package reallead

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
)

// outage is how long a Hub that restarts is gone.
const outage = 3 * time.Second

// restart is a prompt while the Hub restarts, with its memory: all connections are reset, and others are refused until it
// is back.
type restart struct {
	only   string
	prompt inquiry
	ready  func(r *rig, number string) // waits for the moment; nil: before the prompt
	gone   func(r *rig, number string) // done while the Hub is gone
	back   func(r *rig, number string) // done when the lead is back
}

var restarts = map[string]restart{
	"answer goes on meanwhile": {
		prompt: inquiry{text: "Talk [[slow]]", want: "slow 0 slow 1 slow 2"},
		ready:  talking,
		gone:   func(r *rig, number string) { r.model.release(number) },
	},
	"answer goes on after": {
		prompt: inquiry{text: "Talk [[slow]]", want: "slow 0 slow 1 slow 2"},
		ready:  talking,
		back:   func(r *rig, number string) { r.model.release(number) },
	},
	"tool goes on meanwhile": {
		prompt: inquiry{text: "Wait [[heldtool]]", want: "All done."},
		ready: func(r *rig, number string) {
			r.awaitEvent("message_end", `"role":"user"`, number)
			r.awaitEvent("tool_execution_update", "begun")
		},
		gone: func(r *rig, _ string) {
			require.NoError(r.t, os.WriteFile(filepath.Join(r.agent.command.Dir, goOn), nil, 0o600))
		},
	},
	"prompt waits": {
		prompt: inquiry{
			text: "And then [[second]]", want: "The second answer.",
			before: func(r *rig, number string) {
				require.NoError(r.t, r.conn.Prompt(r.ctx, "Talk [[slow]] "+numberOf("a", number)))
				talking(r, numberOf("a", number))
			},
		},
		ready: func(r *rig, number string) { r.awaitQueued("And then [[second]] " + number) },
		back:  func(r *rig, number string) { r.model.release(numberOf("a", number)) },
	},
	"asked afterwards": {prompt: inquiry{text: "Say something [[text]]", want: "Hello, this is the answer."}},
	"question": {
		only:   byDriver,
		prompt: inquiry{text: "Ask me [[ask]]", want: "All done.", middle: parts{`"rpc_ui_request"`}},
		ready: func(r *rig, number string) {
			r.awaitEvent("message_end", `"role":"user"`, number)
			r.await("a question", func(m coder.ServerMessage) bool { _, ok := m.(*coder.RPCUIRequestMessage); return ok })
		},
	},
}

// restartHub lets the Hub be gone for a while, and waits until the lead is back.
func (r *rig) restartHub(s *restart, number string) {
	r.t.Helper()
	before := r.lead()
	r.relay.gone()
	back := time.After(outage)
	if s.gone != nil {
		s.gone(r, number)
	}
	select {
	case <-back:
	case <-r.ctx.Done():
	}
	r.relay.back()
	began := time.Now()
	for lead := r.lead(); lead == "" || lead == before; lead = r.lead() {
		r.pause("the lead to come back")
	}
	r.await("the controller", func(m coder.ServerMessage) bool { _, ok := m.(*coder.ReconnectedMessage); return ok })
	r.t.Logf("the lead is back %v after the Hub", time.Since(began).Round(100*time.Millisecond))
	if s.back != nil {
		s.back(r, number)
	}
}

// across asks while the Hub restarts, and says what the outcome is.
func (r *rig) across(s *restart, number string, ask func(ctx context.Context, conn *coder.HubConn, text string) (*coder.Answer, error)) string {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.ctx, 2*patience)
	defer cancel()
	var away sync.Once
	conn, err := r.client.Connect(ctx, r.id, &coder.HubConnectOptions{Role: coder.RoleController, OnState: func(state coder.HubConnState, _ error) {
		if state == coder.StateReconnecting {
			away.Do(func() { close(r.free) })
		}
	}})
	require.NoError(r.t, err)
	defer conn.Close()
	if s.prompt.before != nil {
		s.prompt.before(r, number)
	}
	if s.ready == nil {
		r.restartHub(s, number)
	}
	done := make(chan struct{})
	var answer *coder.Answer
	go func() {
		defer close(done)
		answer, err = ask(ctx, conn, s.prompt.text+" "+number)
	}()
	if s.ready != nil {
		r.over = done
		s.ready(r, number)
		r.over = nil
		r.restartHub(s, number)
	}
	<-done
	return r.outcome(&s.prompt, number, answer, err)
}

// TestAskAcrossARestart asks the real agent while the Hub restarts, and collects the answer to a prompt to another agent from
// its receipt while it restarts.
func TestAskAcrossARestart(t *testing.T) {
	for _, name := range restartNames {
		for _, version := range versions {
			for _, channel := range channels {
				t.Run(name+"/"+version+"/"+channel, func(t *testing.T) {
					t.Parallel()
					s := restarts[name]
					if s.only != "" && s.only != channel {
						restarted.set(name, version, channel, notPossible, 0)
						return
					}
					outlast(t, name, version, channel, &s)
				})
			}
		}
	}
}

func outlast(t *testing.T, name, version, channel string, s *restart) {
	t.Helper()
	began := time.Now()
	cell := "FAILED"
	defer func() { restarted.set(name, version, channel, cell, time.Since(began)) }()
	start := func() *rig {
		r := newRig(t, version, channel)
		r.restarts, r.free = true, make(chan struct{})
		r.join("")
		return r
	}
	r := start()
	cell = r.across(s, "#01", func(ctx context.Context, conn *coder.HubConn, text string) (*coder.Answer, error) {
		return conn.Ask(ctx, text, &coder.AskOptions{
			StallTimeout: patience / 4,
			OnQuestion: func(context.Context, *coder.RPCUIRequestMessage) (any, error) {
				<-r.free
				return true, nil
			},
		})
	})
	// The extension may fall silent, and Client.Answer waits 10 min then; nobody answers a question of the agent's then.
	if channel == byDriver && s.prompt.middle == nil {
		r = start()
		collected := r.across(s, "#02", func(ctx context.Context, conn *coder.HubConn, text string) (*coder.Answer, error) {
			receipt, err := conn.Submit(ctx, text)
			if err != nil {
				return nil, err
			}
			return r.client.Answer(ctx, receipt)
		})
		assert.Equal(t, cell, collected, "Client.Answer says the same")
	}
	if t.Failed() {
		cell = "FAILED"
		return
	}
	documented := documentedTable(t, "restart")[name][column(version, channel)]
	assert.Contains(t, strings.Split(documented, " or "), cell, "docs/real-agent.md")
}
