package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

// asks lets an agent ask something, and then say what it was told.
func asks(method string, params map[string]any) []codertest.AgentTurn {
	return []codertest.AgentTurn{
		{Text: "A moment.", Tools: []codertest.AgentTool{{Ask: &codertest.AgentQuestion{Method: method, Params: params}}}},
		{Text: "Thank you."},
	}
}

var branches = map[string]any{"title": "Which branch?", "message": "I push to it.", "options": []any{"main", "dev"}}

// TestQuestion: what the agent asks while it works comes back, and the answer goes to it.
func TestQuestion(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub, u *user) {
		hub.Answer(asks("select", branches)...)
		id := u.start("Push it")
		waited, said := call[turn](u, "wait_session", args{"session_id": id, "max_seconds": 600})
		assert.Equal(t, "needs_input", waited.State)
		require.NotNil(t, waited.Question)
		assert.Equal(t, question{ID: waited.Question.ID, Method: "select", Ask: "Which branch?\nI push to it.", Options: []string{"main", "dev"}}, *waited.Question)
		assert.Contains(t, said, "The agent asks (question_id "+waited.Question.ID+", select): Which branch?")
		assert.Contains(t, said, "- dev\n")
		assert.Contains(t, said, "call answer_question")

		arguments := args{"session_id": id, "question_id": waited.Question.ID, "answer": "devel"}
		assert.Contains(t, u.fails("answer_question", arguments), `the argument answer is wrong: it must be one of ["main" "dev"]`)
		arguments["question_id"] = "ui_other"
		assert.Contains(t, u.fails("answer_question", arguments), "the argument question_id is wrong: it is not that of a question that is open")
		delete(arguments, "answer")
		arguments["question_id"] = waited.Question.ID
		assert.Contains(t, u.fails("answer_question", arguments), "this client cannot ask its user")
		arguments["answer"] = "dev"
		stalled := hub.Inject(codertest.Fault{Route: "/ws", Stall: true, Count: -1})
		late := args{"session_id": id, "question_id": waited.Question.ID, "answer": "main", "max_seconds": 5}
		assert.Contains(t, u.fails("answer_question", late), "the answer was not sent. Call answer_question again, with a larger max_seconds.")
		stalled.Remove()
		answered, said := call[turn](u, "answer_question", arguments)
		assert.True(t, answered.Succeeded, said)
		assert.Equal(t, "Thank you.", answered.Answer)
		assert.Contains(t, u.fails("answer_question", arguments), "the argument question_id is wrong")
		synctest.Wait()
		assert.NotEmpty(t, u.told())
		assert.Equal(t, "dev", told(hub, id))
	}, codertest.WithAgentPace(time.Second))
}

// told is the result of the last tool of a session: what the agent was answered.
func told(hub *codertest.Hub, id string) string {
	last := ""
	for _, e := range hub.Session(id).Entries() {
		if e.Type == "tool_result" {
			last = e.Content
		}
	}
	return last
}

// TestQuestionOfAPrompt comes back from ask_session.
func TestQuestionOfAPrompt(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub, u *user) {
		id := u.start("Push it")
		call[turn](u, "wait_session", args{"session_id": id})
		for _, test := range []struct{ method, bad, answer, told string }{
			{"confirm", "perhaps", "Yes", "true"}, {"confirm", "", "false", "false"}, {"input", "", "anything", "anything"}, {"editor", "", "a\nb", "a\nb"},
		} {
			hub.Answer(asks(test.method, map[string]any{"title": "Well?", "prefill": "It is"})...)
			asked, said := call[turn](u, "ask_session", args{"session_id": id, "prompt": "Ask me"})
			require.NotNil(t, asked.Question, said)
			assert.Equal(t, "Well?\nIt is", asked.Question.Ask)
			assert.Equal(t, "A moment.", asked.Answer)
			arguments := args{"session_id": id, "question_id": asked.Question.ID, "answer": test.bad}
			if test.bad != "" {
				assert.Contains(t, u.fails("answer_question", arguments), "the argument answer is wrong: it must be yes or no")
			}
			arguments["answer"] = test.answer
			answered, said := call[turn](u, "answer_question", arguments)
			assert.True(t, answered.Succeeded, said)
			assert.Contains(t, told(hub, id), test.told)
		}
	})
}

// TestLargeQuestion: a result is bounded, and the agent has its option back as it wrote it.
func TestLargeQuestion(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub, u *user) {
		large := strings.Repeat("\"<", 3_000)
		var options []any
		for i := range 70 {
			options = append(options, fmt.Sprint(i, "  ", large))
		}
		turns := asks("select", map[string]any{"title": large, "message": large, "options": options})
		turns[0].Text = strings.Repeat(large, 20)
		hub.Answer(turns...)
		id := u.start("Push it")
		waited, said := call[turn](u, "wait_session", args{"session_id": id})
		require.NotNil(t, waited.Question)
		assert.Len(t, waited.Question.Options, mostOptions)
		assert.Contains(t, said, "20 more options")
		assert.Contains(t, said, " bytes more)")
		call[turn](u, "answer_question", args{"session_id": id, "question_id": waited.Question.ID, "answer": waited.Question.Options[1]})
		assert.Equal(t, options[1], told(hub, id))
	})
}

// TestTheUserAnswers, in either way in which versions of the protocol ask the user of a client.
func TestTheUserAnswers(t *testing.T) {
	for _, version := range []string{"", "2025-06-18"} {
		bubble(t, func(t *testing.T, hub *codertest.Hub, _ *user) {
			client, err := hub.NewClient()
			require.NoError(t, err)
			var forms []*mcp.ElicitParams
			results := []*mcp.ElicitResult{
				{Action: "decline"},
				{Action: "accept", Content: map[string]any{"answer": "dev"}},
				{Action: "accept", Content: map[string]any{"answer": true}},
				{Action: "accept", Content: map[string]any{"answer": "a text"}},
			}
			u, closeUser := connected(t, client, func(form *mcp.ElicitParams) *mcp.ElicitResult {
				forms = append(forms, form)
				return results[len(forms)-1]
			}, version)
			defer closeUser()
			hub.Answer(asks("select", branches)...)
			id := u.start("Push it")
			waited, _ := call[turn](u, "wait_session", args{"session_id": id})
			require.NotNil(t, waited.Question)
			arguments := args{"session_id": id, "question_id": waited.Question.ID}
			assert.Contains(t, u.fails("answer_question", arguments), "the argument answer is wrong: it is missing, and the user gave none (decline)")
			require.Len(t, forms, 1)
			assert.Equal(t, "An agent of the Coder Hub asks: Which branch?\nI push to it.", forms[0].Message)
			answered, said := call[turn](u, "answer_question", arguments)
			assert.True(t, answered.Succeeded, said)
			assert.Equal(t, "dev", told(hub, id))
			for _, test := range []struct{ method, want string }{{"confirm", "true"}, {"input", "a text"}} {
				hub.Answer(asks(test.method, map[string]any{"title": "Well?"})...)
				asked, _ := call[turn](u, "ask_session", args{"session_id": id, "prompt": "Ask me"})
				require.NotNil(t, asked.Question)
				call[turn](u, "answer_question", args{"session_id": id, "question_id": asked.Question.ID})
				assert.Equal(t, test.want, told(hub, id))
			}
			assert.Len(t, forms, 4)
		})
	}
}

// TestAHistoryWithoutQuestions: what ask_session has returned can be answered, also where the history does not have it yet.
func TestAHistoryWithoutQuestions(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub, u *user) {
		id := u.start("Push it")
		call[turn](u, "wait_session", args{"session_id": id})
		hub.Answer(asks("select", branches)...)
		asked, _ := call[turn](u, "ask_session", args{"session_id": id, "prompt": "Ask me"})
		require.NotNil(t, asked.Question)
		hub.Inject(codertest.Fault{Route: "/hub/session/{id}/events/history", Count: 2, Body: []byte(`{"sessionId":"` + id + `","events":[]}`)})
		answered, said := call[turn](u, "answer_question", args{"session_id": id, "question_id": asked.Question.ID, "answer": "main"})
		assert.True(t, answered.Succeeded, said)
		assert.Equal(t, "main", told(hub, id))
		assert.Contains(t, u.fails("answer_question", args{"session_id": id, "question_id": asked.Question.ID, "answer": "main"}), "the argument question_id is wrong")
	})
}

// TestAQuestionOfThePast is not asked again: the agent waits for something else.
func TestAQuestionOfThePast(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub, u *user) {
		hub.Answer(asks("select", branches)...)
		id := u.start("Push it")
		waited, _ := call[turn](u, "wait_session", args{"session_id": id})
		require.NotNil(t, waited.Question)
		arguments := args{"session_id": id, "question_id": waited.Question.ID, "answer": "dev"}
		call[turn](u, "answer_question", arguments)
		hub.Session(id).SetLoop(codertest.Loop{Status: coder.LoopAwaitingInput})
		waited, said := call[turn](u, "wait_session", args{"session_id": id})
		assert.Equal(t, "needs_input", waited.State)
		assert.Nil(t, waited.Question)
		assert.Contains(t, said, "ask_session tells it to go on")
		assert.NotContains(t, said, "answer_question")
		assert.Contains(t, u.fails("answer_question", arguments), "the argument question_id is wrong")
	})
}

// TestALateHistory: right after an answer a Hub may still say that the question is open.
func TestALateHistory(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub, u *user) {
		hub.Answer(asks("select", branches)...)
		id := u.start("Push it")
		waited, _ := call[turn](u, "wait_session", args{"session_id": id})
		require.NotNil(t, waited.Question)
		client, err := hub.NewClient()
		require.NoError(t, err)
		now, err := client.ListEventHistory(t.Context(), id, nil)
		require.NoError(t, err)
		body, err := json.Marshal(now)
		require.NoError(t, err)
		for _, test := range []struct {
			late time.Duration
			want string
		}{{time.Minute, "The question is still open: the answer may not have arrived. Call answer_question again."}, {5 * time.Second, "Thank you."}} {
			began := time.Now()
			stale := hub.Inject(codertest.Fault{Route: "/hub/session/{id}/events/history", Count: -1, Body: body})
			time.AfterFunc(test.late, stale.Remove)
			_, said := call[turn](u, "answer_question", args{"session_id": id, "question_id": waited.Question.ID, "answer": "dev", "max_seconds": 20})
			assert.Contains(t, said, test.want)
			assert.InDelta(t, min(test.late, 20*time.Second).Seconds(), time.Since(began).Seconds(), 3)
			stale.Remove()
		}
	})
}
