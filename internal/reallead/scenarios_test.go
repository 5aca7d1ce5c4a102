//go:build lead

package reallead

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
)

// scenario is what is done to an agent, and what is right then.
type scenario struct {
	only     string // the channel on which it is possible
	do       func(r *rig)
	story    []string
	outcomes []string // of WaitForSession, one for each prompt
	entries  []string
	// unlike says what is different in a version and channel.
	unlike map[string]func(s *scenario)
}

var (
	answered = []string{"answered (stop)"}
	ended    = []string{string(coder.OutcomeTurnEnded)}
)

// prompts lets an agent join and sends a prompt.
func prompts(text string) func(*rig) {
	return func(r *rig) {
		r.join("")
		r.prompt(text)
	}
}

// talk lets an agent begin with an answer that it does not end until it is released.
func talk(r *rig) {
	prompts("Talk [[slow]]")(r)
	r.awaitEvent("message_update", "slow 1 ")
}

// talked is the conversation then, with what was said of the answer.
func talked(answers ...string) []string {
	return append([]string{"user_prompt Talk [[slow]]"}, answers...)
}

var scenarios = map[string]scenario{
	"answer": {
		do: prompts("Say something [[text]]"), story: answered, outcomes: ended,
		entries: []string{"user_prompt Say something [[text]]", "message Hello, this is the answer."},
	},
	"task": {
		only: byDriver,
		do: func(r *rig) {
			r.join("Say something [[text]]")
			r.wait()
		},
		story: answered, outcomes: ended,
		entries: []string{"user_prompt Say something [[text]]", "message Hello, this is the answer."},
	},
	"tools": {
		do: prompts("Do two things [[two]]"), story: answered, outcomes: ended,
		entries: []string{
			"user_prompt Do two things [[two]]", "tool_call ", "tool_call ", `tool_result "` + notes + `"`, "tool_result one\ntwo\n",
			"message Now I write.", "tool_call ", "tool_result Successfully wrote to out.txt", "message All done.",
		},
		unlike: map[string]func(*scenario){
			"0.74.2": func(s *scenario) { s.entries[7] = "tool_result Successfully wrote 6 bytes to out.txt" },
		},
	},
	"thinking": {
		do: prompts("Think [[think]]"), story: answered, outcomes: ended,
		entries: []string{"user_prompt Think [[think]]", "thinking First I think, then I speak.", "message Here is the answer."},
	},
	"long answer": {
		do: prompts("Talk [[storm]]"), story: answered, outcomes: ended,
		entries: []string{"user_prompt Talk [[storm]]", "message " + strings.Repeat(storm, stormPieces)},
	},
	"error, retried": {
		do: prompts("Overload [[over1]]"), story: answered, outcomes: ended,
		entries: []string{"user_prompt Overload [[over1]]", "message Hello, this is the answer."},
	},
	"error, in vain": {
		do: prompts("Fail [[err500]]"), story: []string{"failed (error)"}, outcomes: []string{"failed"},
		entries: []string{"user_prompt Fail [[err500]]"},
	},
	"error, final": {
		do: prompts("Fail [[err400]]"), story: []string{"failed (error)"}, outcomes: []string{"failed"},
		entries: []string{"user_prompt Fail [[err400]]"},
	},
	"abort in text": {
		do: func(r *rig) {
			talk(r)
			require.NoError(r.t, r.conn.Abort(r.ctx))
		},
		story: []string{"aborted (aborted)"}, outcomes: []string{"aborted"},
		entries: []string{"user_prompt Talk [[slow]]", "message slow 0 slow 1 "},
	},
	"abort in a tool": {
		do: func(r *rig) {
			prompts("Sleep [[slowtool]]")(r)
			r.awaitEvent("tool_execution_update", "begun")
			require.NoError(r.t, r.conn.Abort(r.ctx))
		},
		story: []string{"aborted (aborted)"}, outcomes: []string{"aborted"},
		entries: []string{"user_prompt Sleep [[slowtool]]", "tool_call ", "tool_result Command aborted"},
	},
	"steer": {
		do: func(r *rig) {
			talk(r)
			require.NoError(r.t, r.conn.Steer(r.ctx, "Change course [[steered]]"))
			r.awaitQueued("Change course")
			r.model.release("")
		},
		story: answered, outcomes: ended,
		entries: []string{
			"user_prompt Talk [[slow]]", "user_prompt Change course [[steered]]", "message slow 0 slow 1 slow 2", "message Steered.",
		},
	},
	"follow-up": {
		do: func(r *rig) {
			talk(r)
			require.NoError(r.t, r.conn.FollowUp(r.ctx, "And then [[second]]"))
			r.awaitQueued("And then")
			r.model.release("")
		},
		story: answered, outcomes: ended,
		entries: []string{
			"user_prompt Talk [[slow]]", "user_prompt And then [[second]]", "message slow 0 slow 1 slow 2", "message The second answer.",
		},
	},
	"prompt while busy": {
		do: func(r *rig) {
			talk(r)
			require.NoError(r.t, r.conn.Prompt(r.ctx, "And then [[second]]"))
			if r.channel == byDriver {
				r.awaitResponse(coder.CommandPrompt, false)
			} else {
				r.awaitQueued("And then")
			}
			r.model.release("")
		},
		story: answered, outcomes: ended,
		entries: []string{
			"user_prompt Talk [[slow]]", "user_prompt And then [[second]]", "message slow 0 slow 1 slow 2", "message The second answer.",
		},
		unlike: map[string]func(*scenario){
			byDriver: func(s *scenario) { s.entries = s.entries[:3] }, // it is refused
		},
	},
	"sub-agent": {
		only: byExtension,
		do:   prompts("Delegate [[task]]"), story: answered, outcomes: ended,
		entries: []string{
			"user_prompt Delegate [[task]]", "message I delegate.", "tool_call ", "task_result " + subAgentSays,
			"tool_result " + subAgentSays, "message All done.",
		},
		unlike: map[string]func(*scenario){
			// The extension calls what the newer agent no longer has.
			"1.6.0": func(s *scenario) {
				s.entries[3], s.entries[4] = "task_result getModel is not a function", "tool_result Agent scout failed: getModel is not a function"
			},
		},
	},
	"question": {
		only: byDriver,
		do: func(r *rig) {
			prompts("Ask me [[ask]]")(r)
			question := r.await("a question", func(m coder.ServerMessage) bool { _, ok := m.(*coder.RPCUIRequestMessage); return ok })
			r.verdict() // the question
			r.waiting = nil
			r.wait()
			require.NoError(r.t, r.conn.RespondUI(r.ctx, question.(*coder.RPCUIRequestMessage).ID, true))
		},
		story: []string{"question", "answered (stop)"}, outcomes: ended,
		entries: []string{"user_prompt Ask me [[ask]]", "tool_call ", "tool_result The user says yes.", "message All done."},
	},
	"lead reconnects": {
		do: func(r *rig) {
			talk(r)
			lead := r.lead()
			r.hub.Session(r.id).DisconnectParticipant(lead)
			r.await("the lead", func(m coder.ServerMessage) bool {
				presence, ok := m.(*coder.PresenceEventMessage)
				return ok && presence.Event == coder.EventSessionJoin && presence.Participant.Role == coder.RoleLead
			})
			assert.NotEqual(r.t, lead, r.lead())
			r.model.release("")
		},
		story: answered, outcomes: ended,
		entries: []string{"user_prompt Talk [[slow]]", "message slow 0 slow 1 slow 2"},
	},
	"new session": {
		do: func(r *rig) {
			talk(r)
			require.NoError(r.t, r.agent.tell(map[string]any{"type": "new_session"}))
		},
		story: []string{"aborted (aborted)"}, outcomes: []string{"aborted"}, entries: talked("message slow 0 slow 1 "),
		unlike: map[string]func(*scenario){"0.74.2": neverEnds},
	},
	"quit in the middle": {
		do: func(r *rig) {
			talk(r)
			r.agent.quit()
			r.agent.assertExit(r.t)
		},
		story: []string{"aborted (aborted)"}, outcomes: []string{"aborted"}, entries: talked("message slow 0 slow 1 "),
		unlike: map[string]func(*scenario){
			"0.74.2 " + byExtension: func(s *scenario) {
				s.story, s.outcomes, s.entries = []string{"failed"}, []string{"failed"}, talked()
			},
			byDriver: neverEnds,
		},
	},
	"remote controller": {
		only: byExtension,
		do: func(r *rig) {
			r.open() // without a key: the extension sends none then
			created, err := r.client.CreateSession(r.ctx, coder.CreateSessionRequest{Task: "Say hello"})
			require.NoError(r.t, err)
			r.id = created.SessionID
			r.hub.Session(r.id).Answer()
			r.hub.Session(r.id).SetStatus("active")
			r.follow()
			said := make(chan string, 1000)
			r.agent = startAgent(r.t, r.version, r.model, []string{extension(r.t, r.version)},
				r.environment("AGENTUITY_CODER_REMOTE_SESSION="+r.id), func(line []byte) { said <- string(line) })
			r.awaitPrinted(said, `"remote_connection"`, `Live"`)
			r.wait()
			require.NoError(r.t, r.agent.tell(map[string]any{"type": "prompt", "message": "Please confirm it"}))
			var question struct{ ID string }
			require.NoError(r.t, json.Unmarshal([]byte(r.awaitPrinted(said, `"confirm"`)), &question))
			require.NoError(r.t, r.agent.tell(map[string]any{"type": "extension_ui_response", "id": question.ID, "confirmed": true}))
		},
		story: []string{"answered (stop)", "question", "answered (stop)"}, outcomes: ended,
		entries: []string{
			"user_prompt Say hello", "user_prompt Please confirm it", "message Working on it: Please confirm it", "tool_call ",
			"tool_result true", "tool_call ", "tool_result # Say hello", "message Confirmed. Done.",
		},
	},
}

// neverEnds is what is right where the agent does not say that it has ended.
func neverEnds(s *scenario) { s.story, s.outcomes, s.entries = nil, []string{"stalled"}, talked() }

// lead is the participant that leads.
func (r *rig) lead() string {
	r.t.Helper()
	list, err := r.client.ListParticipants(r.ctx, r.id, nil)
	require.NoError(r.t, err)
	for _, p := range list.Participants {
		if p.Role == coder.RoleLead {
			return p.ID
		}
	}
	return ""
}

// awaitQueued waits until the agent has heard what has to wait.
func (r *rig) awaitQueued(text string) {
	r.t.Helper()
	name := "input"
	if r.channel == byDriver {
		name = "queue_update"
	}
	r.awaitEvent(name, text)
}

// awaitResponse waits until the agent has answered a command.
func (r *rig) awaitResponse(command coder.RPCCommandType, success bool) {
	r.t.Helper()
	r.await("a response", func(m coder.ServerMessage) bool {
		response, ok := m.(*coder.RPCResponseMessage)
		return ok && response.Response.Command == command && response.Response.Success == success
	})
}

// awaitPrinted waits for a line of the agent with all these parts.
func (r *rig) awaitPrinted(said <-chan string, parts ...string) string {
	r.t.Helper()
	for {
		select {
		case line := <-said:
			if !slices.ContainsFunc(parts, func(part string) bool { return !strings.Contains(line, part) }) {
				return line
			}
		case <-r.ctx.Done():
			require.Fail(r.t, "the agent does not print "+strings.Join(parts, ", "))
		}
	}
}

func TestLead(t *testing.T) {
	for _, name := range scenarioNames {
		if _, ok := scenarios[name]; !ok {
			continue
		}
		for _, version := range versions {
			for _, channel := range channels {
				t.Run(name+"/"+version+"/"+channel, func(t *testing.T) {
					t.Parallel()
					s := scenarios[name]
					if s.only != "" && s.only != channel {
						results.set(name, version, channel, notPossible, 0)
						return
					}
					play(t, name, version, channel, s)
				})
			}
		}
	}
}
