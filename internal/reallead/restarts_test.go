//go:build lead

package reallead

import (
	"context"
	"os"
	"path/filepath"
	"strings"
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
	ready  func(r *rig, number string) // waits for the moment
	gone   func(r *rig, number string) // done while the Hub is gone
	back   func(r *rig, number string) // done when the lead is back
}

// endsAlone waits until the agent has ended a run, by what it prints itself.
func (r *rig) endsAlone(runs int) {
	r.t.Helper()
	for r.agent.ended.Load() < int64(runs) {
		r.pause("the agent to end")
	}
}

var restarts = map[string]restart{
	"answer ends meanwhile": {
		prompt: inquiry{text: "Talk [[slow]]", want: "slow 0 slow 1 slow 2"},
		ready:  talking,
		gone: func(r *rig, number string) {
			runs := int(r.agent.ended.Load())
			r.model.release(number)
			r.endsAlone(runs + 1)
		},
	},
	"answer goes on after": {
		prompt: inquiry{text: "Talk [[slow]]", want: "slow 0 slow 1 slow 2"},
		ready:  talking,
		back:   func(r *rig, number string) { r.model.release(number) },
	},
	"tool ends meanwhile": {
		prompt: inquiry{text: "Wait [[heldtool]]", want: "All done."},
		ready: func(r *rig, number string) {
			r.awaitEvent("message_end", `"role":"user"`, number)
			r.awaitEvent("tool_execution_update", "begun")
		},
		gone: func(r *rig, _ string) {
			runs := int(r.agent.ended.Load())
			require.NoError(r.t, os.WriteFile(filepath.Join(r.agent.command.Dir, goOn), nil, 0o600))
			r.endsAlone(runs + 1)
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
	"question": {
		only:   byDriver,
		prompt: inquiry{text: "Ask me [[ask]]", want: "All done."},
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
	conn, err := r.client.Connect(ctx, r.id, &coder.HubConnectOptions{Role: coder.RoleController})
	require.NoError(r.t, err)
	defer conn.Close()
	if s.prompt.before != nil {
		s.prompt.before(r, number)
	}
	done := make(chan struct{})
	var answer *coder.Answer
	go func() {
		defer close(done)
		answer, err = ask(ctx, conn, s.prompt.text+" "+number)
	}()
	s.ready(r, number)
	r.restartHub(s, number)
	<-done
	return r.outcome(&s.prompt, number, answer, err)
}

// TestAskAcrossARestart asks the real agent while the Hub restarts, collects the answer to another prompt from its receipt
// while it restarts again, and asks once more.
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
	r := newRig(t, version, channel)
	r.restarts = true
	r.join("")
	var outcomes []string
	outcomes = append(outcomes, r.across(s, "#01", func(ctx context.Context, conn *coder.HubConn, text string) (*coder.Answer, error) {
		return conn.Ask(ctx, text, &coder.AskOptions{
			StallTimeout: 15 * time.Second,
			OnQuestion:   func(context.Context, *coder.RPCUIRequestMessage) (any, error) { return true, nil },
		})
	}))
	if name != "question" { // nobody answers it
		outcomes = append(outcomes, r.across(s, "#02", func(ctx context.Context, conn *coder.HubConn, text string) (*coder.Answer, error) {
			receipt, err := conn.Submit(ctx, text)
			if err != nil {
				return nil, err
			}
			return r.client.Answer(ctx, receipt)
		}))
	}
	conn, err := r.client.Connect(r.ctx, r.id, &coder.HubConnectOptions{Role: coder.RoleController})
	require.NoError(t, err)
	defer conn.Close()
	answer, err := conn.Ask(r.ctx, "Say something [[text]] #03", nil)
	require.NoError(t, err)
	assert.Equal(t, "Hello, this is the answer. #03", answer.Text)
	if t.Failed() {
		return
	}
	cell = strings.Join(outcomes, ", ")
	assert.Equal(t, documentedTable(t, "restart")[name][column(version, channel)], cell, "docs/real-agent.md")
}
