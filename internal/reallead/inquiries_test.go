//go:build lead

package reallead

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

// inquiry is a prompt that an answer is wanted to.
type inquiry struct {
	only    string // the channel on which it is possible
	text    string
	want    string           // the text of the answer; what was said begins it, if there is none
	middle  parts            // the message in the middle of it; default: the first piece of the answer
	last    parts            // the last message; default: the first of the agent's that calls no tool
	manners []string         // in which it is asked; default: all
	fresh   bool             // each time with an agent of its own
	options coder.AskOptions // but for the manner
	before  func(r *rig, number string)
	during  func(r *rig, number string) // once it has been asked
	after   func(r *rig, number string)
}

// The ways to ask: where the connection of the asker is cut, and whether Ask waits for the answer or, with a receipt,
// another client.
const (
	whole       = "whole"
	cutAtStart  = "start"   // once the prompt was sent, before anything came back
	cutInMiddle = "middle"  // in the text, in a tool, or at a question
	cutAtLast   = "message" // in place of the last message
	cutAtEnd    = "end"     // in place of the end of the run
	submit      = "submit "
)

var manners = []string{whole, cutAtStart, cutInMiddle, cutAtLast, cutAtEnd, submit + cutAtStart, submit + cutInMiddle, submit + cutAtEnd}

// cutAt is where the connection is cut that the prompt is asked on.
func (q *inquiry) cutAt(manner, number string) moment {
	prompt := parts{`"message_end"`, `"role":"user"`, number}
	switch strings.TrimPrefix(manner, submit) {
	case cutAtStart:
		return moment{toHub: true, messages: []parts{{`"rpc_command"`, number}}}
	case cutInMiddle:
		if q.middle == nil {
			return moment{messages: []parts{prompt, {`"message_update"`}}}
		}
		return moment{messages: []parts{prompt, q.middle}}
	case cutAtLast:
		if q.last == nil {
			return moment{messages: []parts{prompt, {`"message_end"`, `"role":"assistant"`, `!"stopReason":"toolUse"`}}}
		}
		return moment{messages: []parts{prompt, q.last}}
	case cutAtEnd:
		return moment{messages: []parts{prompt, {`"agent_end"`}}}
	}
	return moment{}
}

// talking waits until the agent talks, and does not go on by itself.
func talking(r *rig, number string) {
	r.awaitEvent("message_end", `"role":"user"`, number)
	r.awaitEvent("message_update", "slow 1 ")
}

// awaitEnd waits for the end of the run, after what was awaited before. What an agent is told between its last message and
// that, once it was aborted, stays in its queue until somebody prompts it again.
func (r *rig) awaitEnd(string) { r.awaitEvent("agent_end") }

// unended are for agents that do not say that they have ended: Client.Answer waits 10 min for that.
var unended = []string{whole, cutAtStart, cutInMiddle}

var inquiries = map[string]inquiry{
	"answer":      {text: "Say something [[text]]", want: "Hello, this is the answer."},
	"tools":       {text: "Do two things [[two]]", want: "All done.", middle: parts{`"tool_execution_start"`}},
	"thinking":    {text: "Think [[think]]", want: "Here is the answer."},
	"long answer": {text: "Talk [[storm]]", want: strings.Repeat(storm, stormPieces)},
	"error, retried": {
		text: "Overload [[over1]]", want: "Hello, this is the answer.", middle: parts{`"message_end"`, `"stopReason":"error"`},
		last: parts{`"message_end"`, `"stopReason":"stop"`},
	},
	"error, in vain": {
		text: "Fail [[err500]]", middle: parts{`"message_end"`, `"stopReason":"error"`},
		manners: []string{whole, cutInMiddle, cutAtEnd, submit + cutAtStart},
	},
	"error, final": {text: "Fail [[err400]]", middle: parts{`"message_start"`, `"role":"assistant"`}},
	"abort in text": {
		text: "Talk [[slow]]", want: "slow 0 slow 1 slow 2",
		during: func(r *rig, number string) {
			talking(r, number)
			require.NoError(r.t, r.conn.Abort(r.ctx))
		},
		after: (*rig).awaitEnd,
	},
	"abort in a tool": {
		text: "Sleep [[slowtool]]", middle: parts{`"tool_execution_update"`, "begun"},
		during: func(r *rig, number string) {
			r.awaitEvent("message_end", `"role":"user"`, number)
			r.awaitEvent("tool_execution_update", "begun")
			require.NoError(r.t, r.conn.Abort(r.ctx))
		},
		after: (*rig).awaitEnd,
	},
	"steer": {
		text: "Talk [[slow]]", want: "slow 0 slow 1 slow 2",
		during: func(r *rig, number string) {
			talking(r, number)
			require.NoError(r.t, r.conn.Steer(r.ctx, "Change course [[steered]] "+number))
			r.awaitQueued("Change course [[steered]] " + number)
			r.model.release(number)
		},
	},
	"follow-up": {
		text: "Talk [[slow]]", want: "slow 0 slow 1 slow 2",
		during: func(r *rig, number string) {
			talking(r, number)
			require.NoError(r.t, r.conn.FollowUp(r.ctx, "And then [[second]] "+number))
			r.awaitQueued("And then [[second]] " + number)
			r.model.release(number)
		},
	},
	"prompt while busy": {
		text: "And then [[second]]", want: "The second answer.",
		before: (*rig).occupy,
		during: func(r *rig, number string) {
			r.awaitQueued("And then [[second]] " + number)
			r.model.release(numberOf("a", number))
			r.others()
		},
	},
	"sub-agent": {only: byExtension, text: "Delegate [[task]]", want: "All done.", middle: parts{`"tool_execution_start"`}},
	"question": {
		only: byDriver, text: "Ask me [[ask]]", want: "All done.", middle: parts{`"rpc_ui_request"`},
		manners: []string{whole, cutAtStart, cutInMiddle, cutAtLast, cutAtEnd},
		options: coder.AskOptions{OnQuestion: func(context.Context, *coder.RPCUIRequestMessage) (any, error) { return true, nil }},
	},
	"question to nobody": {
		only: byDriver, text: "Ask me [[ask]]", middle: parts{`"rpc_ui_request"`},
		manners: []string{whole, cutAtStart, cutInMiddle, submit + cutAtStart, submit + cutInMiddle},
		after: func(r *rig, number string) {
			r.awaitEvent("message_end", `"role":"user"`, number)
			question := r.await("a question", func(m coder.ServerMessage) bool { _, ok := m.(*coder.RPCUIRequestMessage); return ok })
			require.NoError(r.t, r.conn.RespondUI(r.ctx, question.(*coder.RPCUIRequestMessage).ID, true))
			r.awaitEvent("agent_end")
		},
	},
	"new session": {
		text: "Talk [[slow]]", want: "slow 0 slow 1 slow 2", manners: unended, fresh: true,
		options: coder.AskOptions{StallTimeout: 5 * time.Second},
		during: func(r *rig, number string) {
			talking(r, number)
			require.NoError(r.t, r.agent.tell(map[string]any{"type": "new_session"}))
		},
	},
	"quit in the middle": {
		text: "Talk [[slow]]", want: "slow 0 slow 1 slow 2", manners: unended, fresh: true,
		options: coder.AskOptions{StallTimeout: 5 * time.Second},
		during: func(r *rig, number string) {
			talking(r, number)
			r.agent.quit()
			r.agent.assertExit(r.t)
		},
	},
}

// numberOf is the number of another prompt beside one.
func numberOf(letter, number string) string { return "#" + letter + strings.TrimPrefix(number, "#") }

// occupy keeps the agent busy: it works on a prompt, another one of somebody's waits, and so does one that nobody asks
// for the answer to.
func (r *rig) occupy(number string) {
	a, b, c := numberOf("a", number), numberOf("b", number), numberOf("c", number)
	r.beside("Talk [[slow]] "+a, "slow 0 slow 1 slow 2 "+a)
	talking(r, a)
	r.beside("And then [[second]] "+c, "The second answer. "+c)
	r.awaitQueued("And then [[second]] " + c)
	require.NoError(r.t, r.conn.FollowUp(r.ctx, "Say something [[text]] "+b))
	r.awaitQueued("Say something [[text]] " + b)
}

// beside asks on a connection of its own. See others.
func (r *rig) beside(text, want string) {
	r.t.Helper()
	conn, err := r.client.Connect(r.ctx, r.id, &coder.HubConnectOptions{Role: coder.RoleController})
	require.NoError(r.t, err)
	r.asking.Go(func() {
		defer conn.Close()
		answer, err := conn.Ask(r.ctx, text, nil)
		if assert.NoError(r.t, err, "%s", text) {
			assert.Equal(r.t, want, answer.Text)
		}
	})
}

// others waits for what is asked beside.
func (r *rig) others() { r.asking.Wait() }

// ask asks, and says what the outcome is.
func (r *rig) ask(q *inquiry, manner, number string) string {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.ctx, patience)
	defer cancel()
	at := q.cutAt(manner, number)
	c := newCutter(at)
	transport := c.transport()
	defer transport.CloseIdleConnections()
	client := r.newClient(coder.WithHTTPClient(&http.Client{Transport: transport}))
	conn, err := client.Connect(ctx, r.id, &coder.HubConnectOptions{Role: coder.RoleController, ReconnectDelay: 100 * time.Millisecond})
	require.NoError(r.t, err)
	defer conn.Close()
	if q.before != nil {
		q.before(r, number)
	}
	hear := func() {
		for _, err := range conn.Messages(ctx) { // so that what comes after is read
			if err != nil {
				return
			}
		}
	}
	var (
		answer *coder.Answer
		done   = make(chan struct{})
		text   = q.text + " " + number
	)
	go func() {
		defer close(done)
		if !strings.HasPrefix(manner, submit) {
			options := q.options
			answer, err = conn.Ask(ctx, text, &options)
			return
		}
		go hear()
		var receipt *coder.Receipt
		receipt, err = conn.Submit(ctx, text)
		if receipt == nil || err != nil && !errors.Is(err, coder.ErrOutcomeUnknown) {
			return
		}
		answer, err = r.collect(ctx, receipt, c)
	}()
	if q.during != nil {
		r.over = done
		q.during(r, number)
		r.over = nil
	}
	<-done
	if !strings.HasPrefix(manner, submit) {
		go hear()
	}
	if len(at.messages) > 0 {
		select {
		case <-c.done:
		case <-ctx.Done():
			require.Fail(r.t, "the connection was not cut: "+manner)
		}
	}
	outcome := r.outcome(q, number, answer, err)
	if q.after != nil {
		q.after(r, number)
	}
	return outcome
}

// collect waits for the answer as another program does: with the text of a receipt, from when the connection on which the
// prompt was sent is cut. Its first look at the history is cut too.
func (r *rig) collect(ctx context.Context, sent *coder.Receipt, c *cutter) (*coder.Answer, error) {
	text, err := sent.MarshalText()
	if err != nil {
		return nil, err
	}
	var receipt coder.Receipt
	if err := receipt.UnmarshalText(text); err != nil {
		return nil, err
	}
	select {
	case <-c.done:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	cut := r.hub.Inject(codertest.Fault{Method: http.MethodGet, Route: "/hub/session/{id}/events/history", Cut: codertest.CutMidBody})
	answer, err := r.client.Answer(ctx, &receipt)
	assert.Equal(r.t, 1, cut.Hits(), "the first look is cut")
	return answer, err
}

// outcome is a word for what Ask or Answer has returned. What was said must be of this prompt, and an answer whole.
func (r *rig) outcome(q *inquiry, number string, answer *coder.Answer, err error) string {
	r.t.Helper()
	want := q.want + " " + number
	if err == nil {
		assert.Equal(r.t, want, answer.Text)
		return "answered"
	}
	r.t.Logf("%s: %v", number, err)
	var failed *coder.AgentError
	if errors.As(err, &failed) && failed.Answer != nil {
		assert.True(r.t, strings.HasPrefix(want, failed.Answer.Text), "was said: %s", failed.Answer.Text)
	}
	for _, known := range []struct {
		err  error
		word string
	}{
		{coder.ErrNeedsInput, "needs input"},
		{coder.ErrAgentFailed, "failed"},
		{coder.ErrAgentAborted, "aborted"},
		{coder.ErrAgentStalled, "stalled"},
		{coder.ErrPromptDropped, "dropped"},
		{coder.ErrOutcomeUnknown, "unknown"},
	} {
		if failed != nil && errors.Is(err, known.err) {
			return known.word
		}
	}
	assert.NoError(r.t, err)
	return "FAILED"
}

// TestAskAcrossLosses asks the real agent in every way, with the connection of who asks cut at every point.
func TestAskAcrossLosses(t *testing.T) {
	for _, name := range inquiryNames {
		for _, version := range versions {
			for _, channel := range channels {
				t.Run(name+"/"+version+"/"+channel, func(t *testing.T) {
					t.Parallel()
					q := inquiries[name]
					if q.only != "" && q.only != channel {
						asked.set(name, version, channel, notPossible, 0)
						return
					}
					inquire(t, name, version, channel, &q)
				})
			}
		}
	}
}

func inquire(t *testing.T, name, version, channel string, q *inquiry) {
	t.Helper()
	began := time.Now()
	cell := "FAILED"
	defer func() { asked.set(name, version, channel, cell, time.Since(began)) }()
	var r *rig
	outcomes := make(map[string][]string) // the manners of each
	var order []string
	for i, manner := range manners {
		if q.manners != nil && !slices.Contains(q.manners, manner) {
			continue
		}
		if r == nil || q.fresh {
			r = newRig(t, version, channel)
			r.join("")
		}
		outcome := r.ask(q, manner, fmt.Sprintf("#%02d", i))
		if outcomes[outcome] == nil {
			order = append(order, outcome)
		}
		outcomes[outcome] = append(outcomes[outcome], manner)
	}
	if t.Failed() {
		return
	}
	cell = order[0]
	for _, outcome := range order[1:] {
		cell += "; " + strings.Join(outcomes[outcome], ", ") + ": " + outcome
	}
	assert.Equal(t, documentedTable(t, "prompt")[name][column(version, channel)], cell, "docs/real-agent.md")
}
