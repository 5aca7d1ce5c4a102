package coder_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

// TestSessionOutcome_String: one line says how it ended, and why where that is not the same.
func TestSessionOutcome_String(t *testing.T) {
	evidence := []string{"the newest event says so", "and another"}
	for want, outcome := range map[string]*coder.SessionOutcome{
		"turn_ended": {Kind: coder.OutcomeTurnEnded, Evidence: evidence},
		"archived":   {Kind: coder.OutcomeArchived, Finished: coder.OutcomeTurnEnded, Evidence: evidence},
		"archived: the newest event says so; and another": {Kind: coder.OutcomeArchived, Evidence: evidence},
		"working":                              {Kind: coder.OutcomeWorking, Evidence: evidence},
		"stalled":                              {Kind: coder.OutcomeStalled},
		"failed: 529 overloaded":               {Kind: coder.OutcomeFailed, ErrorMessage: "529 overloaded", Evidence: evidence},
		"limited: more than 2 turns":           {Kind: coder.OutcomeLimited, ErrorMessage: "Request was aborted", Evidence: []string{"more than 2 turns"}},
		"failed: status is error; and another": {Kind: coder.OutcomeFailed, Evidence: []string{"status is error", "and another"}},
		"archived: it is":                      {Kind: coder.OutcomeArchived, ErrorMessage: "Request was aborted", Evidence: []string{"it is"}},
	} {
		assert.Equal(t, want, outcome.String())
		assert.Equal(t, want, fmt.Sprint(outcome))
	}
}

// TestSessionOutcome_Question: an outcome has what the agent asks, wherever in the history it stands, as long as it is open.
func TestSessionOutcome_Question(t *testing.T) {
	const title = "Push the tag v1.4.0?"
	params := map[string]any{"title": title, "message": "It starts the release."}
	asks := payload("rpc_ui_request", map[string]any{"id": "q1", "method": "confirm", "params": params})
	wrapped := payload("rpc_event", map[string]any{"event": map[string]any{"type": "extension_ui_request", "id": "q1", "method": "confirm", "title": title}})
	tool := func(name string) step { return payload(name, map[string]any{"toolCallId": "t1"}) }
	told := payload("rpc_ui_request", map[string]any{"id": "q2", "method": "notify", "params": map[string]any{"message": "Pushing"}})
	chatter := emit(slices.Repeat([]string{"session_join", "presence_update"}, 20)...)
	two := inOrder(tool("tool_execution_start"), payload("tool_execution_start", map[string]any{"toolCallId": "t2"}))
	before := inOrder(tool("tool_execution_start"), payload("rpc_ui_request", map[string]any{"id": "q0", "method": "input"}), tool("tool_execution_end"))
	beforeAgain := payload("rpc_event", map[string]any{"event": map[string]any{"type": "extension_ui_request", "id": "q0", "method": "input"}})
	taskAsks := payload("rpc_ui_request", map[string]any{"id": "q2", "method": "input", "taskId": "t1", "params": map[string]any{"title": "Mine?"}})
	taskOfTheRowAsks := func(s *codertest.SessionControl) {
		s.Emit(codertest.Event{Event: "rpc_ui_request", TaskID: "t1", Payload: map[string]any{"id": "q2", "method": "input"}})
	}
	const asked = "the agent asks: " + title
	for name, test := range map[string]struct {
		state    step
		kind     coder.OutcomeKind
		evidence string // some of it
		want     string // the title that is asked
	}{
		"as the Hub stores it":             {asks, coder.OutcomeNeedsInput, asked, title},
		"as the agent says it":             {wrapped, coder.OutcomeNeedsInput, asked, title},
		"before a notice":                  {inOrder(asks, told), coder.OutcomeNeedsInput, asked, title},
		"before much else":                 {inOrder(tool("tool_execution_start"), asks, chatter), coder.OutcomeNeedsInput, asked, title},
		"told twice":                       {inOrder(asks, wrapped), coder.OutcomeNeedsInput, asked, title},
		"after another one":                {inOrder(payload("rpc_ui_request", map[string]any{"id": "q0", "method": "input"}), asks), coder.OutcomeNeedsInput, asked, title},
		"the one before is told again":     {inOrder(before, asks, beforeAgain), coder.OutcomeNeedsInput, asked, title},
		"which may be answered":            {inOrder(two, asks, tool("tool_execution_end"), chatter), coder.OutcomeWorking, "a question may be answered", "none"},
		"before that of a task":            {inOrder(asks, taskAsks, taskOfTheRowAsks), coder.OutcomeNeedsInput, asked, title},
		"of a task only":                   {inOrder(tool("tool_execution_start"), taskAsks), coder.OutcomeWorking, "a run is open", "none"},
		"without parameters":               {payload("rpc_ui_request", map[string]any{"id": "q1", "method": "input"}), coder.OutcomeNeedsInput, "a question is open", ""},
		"with a message only":              {payload("rpc_ui_request", map[string]any{"id": "q1", "method": "input", "params": map[string]any{"message": "Well?"}}), coder.OutcomeNeedsInput, "the agent asks: Well?", ""},
		"with parameters of another form":  {payload("rpc_ui_request", map[string]any{"id": "q1", "method": "input", "params": map[string]any{"title": 7}}), coder.OutcomeNeedsInput, "a question is open", ""},
		"left open in a session that ends": {inOrder(asks, (*codertest.SessionControl).Archive), coder.OutcomeArchived, "status is archived", title},
		"answered":                         {inOrder(tool("tool_execution_start"), asks, tool("tool_execution_end"), emit("turn_start")), coder.OutcomeWorking, "a run is open", "none"},
		"of a run that has ended":          {inOrder(asks, ended("stop", ""), func(*codertest.SessionControl) { time.Sleep(2 * time.Second) }), coder.OutcomeTurnEnded, "the run ended with stop", "none"},
		"of a lead that has left":          {inOrder(asks, payload("session_shutdown", map[string]any{"reason": "quit"}), func(*codertest.SessionControl) { time.Sleep(2 * time.Second) }), coder.OutcomeFailed, "the lead left in the middle of an answer", "none"},
		"none: the loop awaits input":      {loopAt("awaiting_input"), coder.OutcomeNeedsInput, "loop status is awaiting_input", "none"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, hub *codertest.Hub) {
				c := hubClient(t, hub)
				id := workingSession(t, hub)
				test.state(hub.Session(id))
				outcome, err := c.CheckSession(t.Context(), id)
				require.NoError(t, err)
				require.Equal(t, test.kind, outcome.Kind, "from %q", outcome.Evidence)
				assert.Contains(t, outcome.Evidence, test.evidence)
				if test.want == "none" {
					assert.Nil(t, outcome.Question)
					return
				}
				require.NotNil(t, outcome.Question)
				assert.Equal(t, coder.OutcomeNeedsInput, outcome.Finished)
				assert.Equal(t, "q1", outcome.Question.ID)
				assert.Equal(t, id, outcome.Question.SessionID)
				assert.True(t, outcome.Question.Timestamp.Equal(time.Now()), "time stands still here")
				assert.Contains(t, []coder.RPCUIMethod{coder.UIConfirm, coder.UIInput}, outcome.Question.Method)
				var params coder.RPCUIParams
				if test.want != "" {
					require.NoError(t, outcome.Question.Decode(&params))
				}
				assert.Equal(t, test.want, params.Title)
			})
		})
	}
}

// TestSessionOutcome_QuestionOfAWait: a wait still has it when its looks read no further back any more.
func TestSessionOutcome_QuestionOfAWait(t *testing.T) {
	for _, follow := range []bool{false, true} {
		bubble(t, func(t *testing.T, hub *codertest.Hub) {
			c := hubClient(t, hub)
			id := workingSession(t, hub)
			session := hub.Session(id)
			payload("tool_execution_start", map[string]any{"toolCallId": "t1"})(session)
			payload("rpc_ui_request", map[string]any{"id": "q1", "method": "input", "params": map[string]any{"title": "Which token?"}})(session)
			polls := 0
			outcome, err := c.WaitForSession(t.Context(), id, &coder.WaitForSessionOptions{Follow: follow, OnPoll: func(*coder.Session) {
				if polls++; polls == 1 {
					emit(slices.Repeat([]string{"presence_update"}, 8)...)(session)
				}
			}})
			require.NoError(t, err)
			require.NotNil(t, outcome.Question)
			assert.Equal(t, "q1", outcome.Question.ID)
			assert.Equal(t, "needs_input: a question is open; the agent asks: Which token?", outcome.String())
			assert.GreaterOrEqual(t, polls, 2)

			// What an agent asked before the event that a wait begins after is not its business.
			payload("turn_start", nil)(session)
			ended("stop", "")(session)
			after := session.Emit(codertest.Event{Event: "presence_update"})
			payload("turn_start", nil)(session)
			loopAt("awaiting_input")(session)
			outcome, err = c.WaitForSession(t.Context(), id, &coder.WaitForSessionOptions{AfterEvent: after})
			require.NoError(t, err)
			assert.Equal(t, coder.OutcomeNeedsInput, outcome.Kind)
			assert.Nil(t, outcome.Question)
		})
	}
}

// TestSessionOutcome_QuestionOfAShrunkenHistory: a Hub that has lost events gives their ids to others.
func TestSessionOutcome_QuestionOfAShrunkenHistory(t *testing.T) {
	hub := &oddHub{}
	odd(t, hub, func(t *testing.T, c *coder.Client) {
		hub.begins()
		hub.emit("tool_execution_start", map[string]any{"toolCallId": "1"})
		hub.emit("rpc_ui_request", map[string]any{"id": "q1", "method": "input"})
		hub.emit("tool_execution_end", map[string]any{"toolCallId": "1"})
		story(t, func() {
			time.Sleep(10 * time.Second)
			hub.mu.Lock()
			hub.events, hub.nextID = hub.events[:1], 1
			hub.mu.Unlock()
			hub.emit("rpc_ui_request", map[string]any{"id": "q2", "method": "input"})
		})
		outcome, err := c.WaitForSession(anHour(t), "s", nil)
		require.NoError(t, err)
		require.NotNil(t, outcome.Question, "from %q", outcome.Evidence)
		assert.Equal(t, "q2", outcome.Question.ID)
	})
}

// TestSessionOutcome_QuestionBelieved: what follows a question seems to answer it, until a look further back shows the tool
// that has asked it.
func TestSessionOutcome_QuestionBelieved(t *testing.T) {
	hub := &oddHub{}
	odd(t, hub, func(t *testing.T, c *coder.Client) {
		hub.begins()
		hub.emit("tool_execution_start", map[string]any{"toolCallId": "1"})
		hub.emit("rpc_ui_request", map[string]any{"id": "q1", "method": "input"})
		hub.emit("message_update", nil) // of the other channel, which is late
		hub.emit("presence_update", nil)
		outcome, err := c.WaitForSession(anHour(t), "s", nil)
		require.NoError(t, err)
		assert.Equal(t, coder.OutcomeNeedsInput, outcome.Kind, "from %q", outcome.Evidence)
		require.NotNil(t, outcome.Question)
		assert.Equal(t, "q1", outcome.Question.ID)
	})
}

// TestSessionOutcome_QuestionOfHalfAHistory: two seem to be open, and what was before them could not be read at first.
func TestSessionOutcome_QuestionOfHalfAHistory(t *testing.T) {
	hub := &oddHub{}
	refused := 0
	hub.page = func(limit, before int, all []oddEvent) []any {
		if before > 0 && refused == 0 {
			refused++
			return nil
		}
		return hub.newest(limit, before, all)
	}
	odd(t, hub, func(t *testing.T, c *coder.Client) {
		hub.begins()
		for _, id := range []string{"q1", "q2"} {
			hub.emit("rpc_ui_request", map[string]any{"id": id, "method": "input"})
		}
		outcome, err := c.WaitForSession(anHour(t), "s", nil)
		require.NoError(t, err)
		require.NotNil(t, outcome.Question, "from %q", outcome.Evidence)
		assert.Equal(t, "q2", outcome.Question.ID)
		assert.Equal(t, 1, refused)
	})
}

// TestSessionOutcome_QuestionOfASessionThatIsGone: what a wait has seen is in its outcome, although the last look sees nothing.
func TestSessionOutcome_QuestionOfASessionThatIsGone(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub) {
		c := hubClient(t, hub)
		id := workingSession(t, hub)
		payload("rpc_ui_request", map[string]any{"id": "q1", "method": "input"})(hub.Session(id))
		time.AfterFunc(time.Second, func() { assert.NoError(t, c.DeleteSession(context.Background(), id)) })
		outcome, err := c.WaitForSession(t.Context(), id, nil)
		require.NoError(t, err)
		assert.Equal(t, coder.OutcomeDeleted, outcome.Kind)
		assert.Equal(t, coder.OutcomeNeedsInput, outcome.Finished)
		require.NotNil(t, outcome.Question)
		assert.Equal(t, "q1", outcome.Question.ID)
	})
}

// TestSessionOutcome_QuestionKeepsSecrets: what is asked may repeat the key, which then stays out of what is logged.
func TestSessionOutcome_QuestionKeepsSecrets(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub) {
		const key = "sk-the-key-of-this-test"
		c := hubClient(t, hub, coder.WithAPIKey(key))
		id := newSession(t, c)
		payload("rpc_ui_request", map[string]any{"id": "q1", "method": "input", "params": map[string]any{"title": "Is\n" + key + " right? " + strings.Repeat("x", 1000)}})(hub.Session(id))
		outcome, err := c.CheckSession(t.Context(), id)
		require.NoError(t, err)
		require.NotNil(t, outcome.Question)
		assert.NotContains(t, outcome.String(), key)
		assert.NotContains(t, outcome.String(), "\n")
		assert.Less(t, len(outcome.String()), 600)
	})
}
