package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

// works lets an agent work for some steps, and then say something.
func works(steps int, answer string) []codertest.AgentTurn {
	turns := make([]codertest.AgentTurn, steps)
	for k := range turns {
		turns[k] = codertest.AgentTurn{Text: "I look.", Tools: []codertest.AgentTool{{Name: "read", Args: map[string]any{"path": fmt.Sprint("file", k)}, Result: "ok"}}}
	}
	return append(turns, codertest.AgentTurn{Text: answer})
}

// TestWait tells what the agent does, and returns what it said.
func TestWait(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub, u *user) {
		hub.Answer(works(3, "It is tidy.")...)
		id := u.start("Tidy up")
		waited, said := call[turn](u, "wait_session", args{"session_id": id, "max_seconds": 600})
		assert.Equal(t, "turn_ended", waited.State)
		assert.True(t, waited.Succeeded)
		assert.Equal(t, "It is tidy.", waited.Answer)
		assert.Empty(t, waited.Error)
		assert.Contains(t, waited.Heard, "3 tool calls, ")
		assert.Contains(t, waited.Heard, " tokens")
		assert.Contains(t, said, "\n\nIt is tidy.\n\nThe agent is done.")

		time.Sleep(time.Minute) // of fake time, for what would come late
		synctest.Wait()
		told := u.told()
		require.Greater(t, len(told), 5)
		before, messages := 0.0, ""
		for _, p := range told {
			assert.Greater(t, p.Progress, before)
			before = p.Progress
			assert.Equal(t, "wait_session", p.ProgressToken)
			messages += p.Message + "\n"
		}
		for _, want := range []string{"session ", "read file0 (", "read file2 (", "thinking (", "2 tool calls, ", " tokens)"} {
			assert.Contains(t, messages, want)
		}
		assert.Less(t, strings.Index(messages, "read file0"), strings.Index(messages, "read file2"))
		assert.Zero(t, hub.Streams(), "nothing is left open")
		lines := strings.Split(strings.TrimSpace(u.log.String()), "\n")
		assert.Contains(t, lines[len(lines)-1], "It is tidy.", "no progress comes behind the result")
	}, codertest.WithAgentPace(time.Second))
}

// TestSilence: of an agent that says nothing for long there is a sign of life every ten seconds, and from one in a hurry no flood.
func TestSilence(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub, u *user) {
		hub.Answer(works(200, "Done.")...)
		id := u.start("Tidy up")
		hub.Session(id).SetStatus(coder.StatusActive)
		waited, said := call[turn](u, "wait_session", args{"session_id": id, "max_seconds": 600})
		assert.Equal(t, "working", waited.State, said)
		told := u.told()
		assert.InDelta(t, 60, len(told), 20)
	}, codertest.WithAgentPace(time.Hour))
	bubble(t, func(t *testing.T, hub *codertest.Hub, u *user) {
		hub.Answer(works(200, "Done.")...)
		id := u.start("Tidy up")
		call[turn](u, "wait_session", args{"session_id": id, "max_seconds": 600})
		assert.Less(t, len(u.told()), 40)
	}, codertest.WithAgentPace(time.Millisecond))
}

// TestWaitOverTime: the session goes on, and the next wait has the answer.
func TestWaitOverTime(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub, u *user) {
		hub.Answer(works(2, "It is tidy.")...)
		id := u.start("Tidy up")
		began := time.Now()
		waited, said := call[turn](u, "wait_session", args{"session_id": id, "max_seconds": 30})
		assert.Equal(t, 30*time.Second, time.Since(began))
		assert.Equal(t, "working", waited.State)
		assert.False(t, waited.Succeeded)
		assert.Contains(t, said, "Call wait_session (again)")
		n := 0
		for ; waited.State == "working"; n++ {
			waited, _ = call[turn](u, "wait_session", args{"session_id": id}) // 45 s
		}
		assert.Equal(t, "It is tidy.", waited.Answer)
		assert.Greater(t, n, 1)
	}, codertest.WithAgentPace(10*time.Second))
}

// TestCancel: a wait that the client gives up ends at the server too, and the session goes on.
func TestCancel(t *testing.T) {
	for _, tool := range []string{"wait_session", "ask_session"} {
		bubble(t, func(t *testing.T, hub *codertest.Hub, u *user) {
			hub.Answer(works(2, "It is tidy.")...)
			id := u.start("Tidy up")
			calls := map[string]args{"wait_session": {"session_id": id, "max_seconds": 600}, "ask_session": {"session_id": id, "prompt": "Go on", "max_seconds": 600}}
			ctx, cancel := context.WithTimeout(t.Context(), 7*time.Second)
			defer cancel()
			_, err := u.say(ctx, tool, calls[tool])
			require.ErrorIs(t, err, context.DeadlineExceeded)
			synctest.Wait()
			assert.Zero(t, hub.Streams(), "the server has stopped as well")
			waited, _ := call[turn](u, "wait_session", args{"session_id": id, "max_seconds": 600})
			assert.True(t, waited.Succeeded)
		}, codertest.WithAgentPace(time.Second))
	}
}

// TestHubRestarts while a call waits.
func TestHubRestarts(t *testing.T) {
	for name, how := range map[string]codertest.Outage{"closed": {}, "bad gateway, crash": {Kind: codertest.OutageBadGateway, Crash: true}} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, hub *codertest.Hub, u *user) {
				hub.Answer(works(5, "It is tidy.")...)
				id := u.start("Tidy up")
				time.AfterFunc(8*time.Second, func() { hub.Restart(20*time.Second, how) })
				waited, said := call[turn](u, "wait_session", args{"session_id": id, "max_seconds": 600})
				assert.Equal(t, "It is tidy.", waited.Answer, said)

				hub.Answer(works(5, "Still tidy.")...)
				time.AfterFunc(8*time.Second, func() { hub.Restart(20*time.Second, how) })
				asked, said := call[turn](u, "ask_session", args{"session_id": id, "prompt": "And now?", "max_seconds": 600})
				assert.Equal(t, "Still tidy.", asked.Answer, said)
			}, codertest.WithAgentPace(time.Second))
		})
	}
}

// TestOutcomes that are no success say why.
func TestOutcomes(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub, u *user) {
		id := u.start("Tidy up")
		hub.Session(id).FailModel(codertest.AgentInvalidRequest)
		failed, said := call[turn](u, "wait_session", args{"session_id": id, "max_seconds": 600})
		assert.Equal(t, "failed", failed.State)
		assert.False(t, failed.Succeeded)
		assert.Contains(t, failed.Error, "400")
		assert.Contains(t, said, "Error: "+failed.Error)
		assert.Contains(t, said, "The agent has stopped.")

		hub.Session(id).FailModel(codertest.AgentInvalidRequest)
		failed, _ = call[turn](u, "ask_session", args{"session_id": id, "prompt": "Again", "max_seconds": 600})
		assert.Equal(t, "failed", failed.State)
		assert.Contains(t, failed.Error, "400")
		hub.Session(id).Pause()
		paused, said := call[turn](u, "wait_session", args{"session_id": id})
		assert.Equal(t, "failed", paused.State, "%s: how it ended counts more than that it sleeps", said)
		asked, _ := call[turn](u, "ask_session", args{"session_id": id, "prompt": "Wake up", "max_seconds": 600})
		assert.True(t, asked.Succeeded)
		hub.Session(id).Answer(codertest.AgentTurn{Text: "This is very", StopReason: coder.StopReasonLength})
		long, said := call[turn](u, "ask_session", args{"session_id": id, "prompt": "Talk", "max_seconds": 600})
		assert.Contains(t, long.Error, "the answer is cut", said)
	})
}

// TestAsk: the answer is that to the prompt, also of an agent at work.
func TestAsk(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub, u *user) {
		id := u.start("Tidy up")
		hub.Session(id).Answer(works(3, "It is tidy.")...)
		hub.Session(id).Answer(works(1, "Yes, all of it.")...)
		asked, said := call[turn](u, "ask_session", args{"session_id": id, "prompt": "All of it?", "max_seconds": 600})
		assert.Equal(t, "turn_ended", asked.State, said)
		assert.True(t, asked.Succeeded)
		assert.Equal(t, "Yes, all of it.", asked.Answer)
		synctest.Wait()
		before, messages := 0.0, ""
		for _, p := range u.told() {
			assert.Greater(t, p.Progress, before)
			before = p.Progress
			messages += p.Message + "\n"
		}
		assert.Contains(t, messages, "read file0 (")

		began := time.Now()
		hub.Session(id).Answer(works(20, "Yes, still.")...)
		over, said := call[turn](u, "ask_session", args{"session_id": id, "prompt": "Still?", "max_seconds": 10})
		assert.Equal(t, 10*time.Second, time.Since(began))
		assert.Equal(t, "working", over.State)
		assert.Contains(t, said, "The prompt was given to it, or may have been: do not give it again")
		waited, _ := call[turn](u, "wait_session", args{"session_id": id, "max_seconds": 600})
		assert.Equal(t, "Yes, still.", waited.Answer)
		prompts := 0
		for _, e := range hub.Session(id).Entries() {
			if e.Type == coder.EntryUserPrompt {
				prompts++
			}
		}
		assert.Equal(t, 3, prompts)
		synctest.Wait()
		assert.Zero(t, hub.Streams())
	}, codertest.WithAgentPace(time.Second))
}

// TestAskTogether: an agent loses a prompt that comes right behind another. It is given again.
func TestAskTogether(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub, u *user) {
		id := u.start("Tidy up")
		call[turn](u, "wait_session", args{"session_id": id, "max_seconds": 600})
		var together sync.WaitGroup
		for _, prompt := range []string{"One", "Two", "Three"} {
			together.Go(func() {
				result, err := u.say(t.Context(), "ask_session", args{"session_id": id, "prompt": prompt, "max_seconds": 600})
				if assert.NoError(t, err) {
					assert.False(t, result.IsError, texts(result))
				}
			})
		}
		together.Wait()
		said := ""
		for _, e := range hub.Session(id).Entries() {
			if e.Type == coder.EntryUserPrompt {
				said += e.Content + "\n"
			}
		}
		for _, prompt := range []string{"One", "Two", "Three"} {
			assert.Equal(t, 1, strings.Count(said, prompt+"\n"), said)
		}
	}, codertest.WithAgentPace(time.Second))
}

// TestEventsOfThePast do not count.
func TestEventsOfThePast(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub, u *user) {
		hub.Answer(works(4, "It is tidy.")...)
		id := u.start("Tidy up")
		call[turn](u, "wait_session", args{"session_id": id, "max_seconds": 600})
		hub.Answer(works(1, "Yes.")...)
		asked, _ := call[turn](u, "ask_session", args{"session_id": id, "prompt": "Really?"})
		assert.Contains(t, asked.Heard, "1 tool call, ")
	}, codertest.WithEventReplay(500))
}

// TestAskTooEarly: a session that is not ready in time was told nothing.
func TestAskTooEarly(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub, u *user) {
		id := u.start("Tidy up")
		hub.Inject(codertest.Fault{Route: "/hub/session/{id}", Stall: true, Count: -1})
		said := u.fails("ask_session", args{"session_id": id, "prompt": "Hello", "max_seconds": 5})
		assert.Contains(t, said, "The session was not ready in time, and the prompt was not sent.")
	})
}

// TestTheAnswerOfATask is that of another agent.
func TestTheAnswerOfATask(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub, u *user) {
		id := u.start("Tidy up")
		first, _ := call[turn](u, "wait_session", args{"session_id": id})
		hub.Session(id).AddReplayEntries(codertest.ReplayEntry{Type: coder.EntryMessage, Agent: "scout", Content: "Found.", Members: map[string]any{"taskId": "task_1"}})
		second, _ := call[turn](u, "wait_session", args{"session_id": id})
		assert.Equal(t, first.Answer, second.Answer)
		page, _ := call[transcriptResult](u, "read_transcript", args{"session_id": id})
		assert.Equal(t, "agent scout, task task_1", page.Entries[len(page.Entries)-1].Who)
	})
}

// TestLongAnswer: a result is bounded, whatever the answer is made of, and says where the rest is.
func TestLongAnswer(t *testing.T) {
	for _, piece := range []string{"word ", "\"\\\n", "<&>", "äöü\u2028"} {
		bubble(t, func(t *testing.T, hub *codertest.Hub, u *user) {
			hub.Answer(codertest.AgentTurn{Text: strings.Repeat(piece, 20_000)})
			id := u.start("Talk")
			waited, said := call[turn](u, "wait_session", args{"session_id": id})
			assert.Contains(t, waited.Answer, " bytes more)\n[read_transcript with cursor 1 has all of it]")
			assert.Contains(t, said, waited.Answer)
			page, _ := call[transcriptResult](u, "read_transcript", args{"session_id": id, "cursor": "1"})
			assert.True(t, strings.HasPrefix(page.Entries[0].Text, waited.Answer[:1000]))
			hub.Answer(codertest.AgentTurn{Text: strings.Repeat(piece, 20_000)})
			asked, _ := call[turn](u, "ask_session", args{"session_id": id, "prompt": "More"})
			assert.Equal(t, strings.Replace(waited.Answer, "cursor 1", "last: 5", 1), asked.Answer)
		})
	}
}

// TestFates: whatever becomes of a session, the result says why it did not succeed, and what to do now.
func TestFates(t *testing.T) {
	for _, test := range []struct {
		fate               func(*codertest.SessionControl)
		state, error, next string
	}{
		{(*codertest.SessionControl).Archive, "archived", "status is archived", "read_transcript still works"},
		{func(s *codertest.SessionControl) { s.SetStatus(coder.StatusError) }, "failed", "status is error", "read_transcript with last: 20 shows"},
		{func(s *codertest.SessionControl) { s.EndTurn("aborted", "") }, "aborted", " was aborted", "ask_session gives it another prompt"},
		{func(s *codertest.SessionControl) { s.EndTurn("error", "overloaded") }, "failed", "overloaded", "ask_session gives it another prompt"},
		{func(s *codertest.SessionControl) { s.SetLoop(codertest.Loop{Status: coder.LoopBlocked}) }, "blocked", "loop status is blocked", "ask_session gives it another prompt"},
		{func(s *codertest.SessionControl) { s.SetLoop(codertest.Loop{Status: coder.LoopCancelled}) }, "cancelled", "loop status is cancelled", "ask_session gives it another prompt"},
		{func(s *codertest.SessionControl) { s.SetLoop(codertest.Loop{Status: coder.LoopAwaitingInput}) }, "needs_input", "", "ask_session tells it to go on"},
	} {
		bubble(t, func(t *testing.T, hub *codertest.Hub, u *user) {
			hub.Answer(works(30, "It is tidy.")...)
			id := u.start("Tidy up")
			time.AfterFunc(10500*time.Millisecond, func() { test.fate(hub.Session(id)) })
			waited, said := call[turn](u, "wait_session", args{"session_id": id, "max_seconds": 600})
			assert.Equal(t, test.state, waited.State)
			assert.False(t, waited.Succeeded)
			assert.Contains(t, waited.Error, test.error)
			assert.Equal(t, test.error == "", waited.Error == "", waited.Error)
			assert.Contains(t, waited.Next, test.next)
			assert.NotContains(t, waited.Next, "wait_session", "it would return the same")
			assert.Equal(t, "I look.", waited.Answer, said)
			status, said := call[statusResult](u, "session_status", args{"session_id": id})
			assert.Equal(t, test.state, status.State)
			assert.Equal(t, waited.Error, status.Error)
			assert.Equal(t, test.error != "", strings.Contains(said, "Error: "+status.Error+"\n"), said)
		}, codertest.WithAgentPace(time.Second))
	}
}

// TestTheSessionIsDeleted while a call waits for it.
func TestTheSessionIsDeleted(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub, u *user) {
		client, err := hub.NewClient()
		require.NoError(t, err)
		hub.Answer(works(30, "It is tidy.")...)
		id := u.start("Tidy up")
		time.AfterFunc(10500*time.Millisecond, func() { assert.NoError(t, client.DeleteSession(t.Context(), id)) })
		waited, _ := call[turn](u, "wait_session", args{"session_id": id, "max_seconds": 600})
		assert.Equal(t, "deleted", waited.State)
		assert.NotEmpty(t, waited.Error)
		assert.Empty(t, waited.Answer)
		assert.NotContains(t, waited.Next, "read_transcript", "there is none")
		for tool, arguments := range sessionTools(id) {
			assert.Contains(t, u.fails(tool, arguments), "There is no such session", tool)
		}
		hub.Answer(works(30, "It is tidy.")...)
		id = u.start("Tidy up")
		call[turn](u, "wait_session", args{"session_id": id, "max_seconds": 600})
		hub.Answer(works(30, "It is tidy.")...)
		time.AfterFunc(10500*time.Millisecond, func() { assert.NoError(t, client.DeleteSession(t.Context(), id)) })
		asked, _ := call[turn](u, "ask_session", args{"session_id": id, "prompt": "Again", "max_seconds": 600})
		assert.Equal(t, "aborted", asked.State)
		assert.False(t, asked.Succeeded)
	}, codertest.WithAgentPace(time.Second))
}

// TestNoTranscript: what became of a session is known, also where what was said cannot be read.
func TestNoTranscript(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub, u *user) {
		id := u.start("Tidy up")
		hub.Inject(codertest.Fault{Route: "/hub/session/{id}/replay", Status: 500, Count: -1})
		waited, said := call[turn](u, "wait_session", args{"session_id": id})
		assert.True(t, waited.Succeeded)
		assert.Empty(t, waited.Answer)
		assert.Contains(t, said, "What it said last could not be read: ReplayEntries: 500 ")
		assert.Contains(t, said, " The agent is done.")
	})
}
