package main

import (
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

func TestStart(t *testing.T) {
	visit(t, func(t *testing.T, s *site) {
		fields := url.Values{"task": {"Say hello"}, "label": {"Greeting"}, "key": {newKey()}}
		places := make(chan string, 3)
		var clicks sync.WaitGroup
		for range 2 { // a double click
			clicks.Go(func() {
				status, _, answer := s.ask("POST", "/sessions", fields)
				assert.Equal(t, http.StatusSeeOther, status)
				places <- answer.Header.Get("Location")
			})
		}
		clicks.Wait()
		_, _, answer := s.ask("POST", "/sessions", fields) // and a page that is loaded again
		require.Len(t, s.hub.SessionIDs(), 1)
		session := s.hub.Session(s.hub.SessionIDs()[0])
		assert.Equal(t, sessionPath(session.ID()), answer.Header.Get("Location"))
		assert.Equal(t, sessionPath(session.ID()), <-places)
		assert.Equal(t, sessionPath(session.ID()), <-places)
		assert.Equal(t, "Say hello", session.Task())
		assert.Equal(t, "Greeting", session.Label())

		for _, test := range []struct {
			fields url.Values
			want   string
		}{
			{url.Values{"task": {" \n"}, "key": {newKey()}}, "Say what the agent is to do."},
			{url.Values{"task": {"x"}, "key": {"short"}}, "The form was too old."},
			{url.Values{"task": {"x"}}, "The form was too old."},
		} {
			status, body, _ := s.ask("POST", "/sessions", test.fields)
			assert.Equal(t, http.StatusBadRequest, status)
			assert.Contains(t, body, test.want)
		}
		assert.Len(t, s.hub.SessionIDs(), 1)
	})
}

// TestStart_HubAway keeps what was typed, and its key: a session is started once, whatever became of the first attempt.
func TestStart_HubAway(t *testing.T) {
	visit(t, func(t *testing.T, s *site) {
		fault := s.hub.Inject(codertest.Fault{Method: "POST", Route: "/hub/session", Cut: codertest.CutAfterEffect, Count: -1})
		lists := s.hub.Inject(codertest.Fault{Method: "GET", Route: "/hub/sessions", Status: 503, Count: -1})
		fields := url.Values{"task": {"Say <b>hello</b>"}, "key": {newKey()}}
		status, body, _ := s.ask("POST", "/sessions", fields)
		assert.Equal(t, http.StatusBadGateway, status)
		assert.Contains(t, body, "will not start it twice")
		assert.Contains(t, body, "Say &lt;b&gt;hello&lt;/b&gt;</textarea>")
		assert.Contains(t, body, fields.Get("key"))
		fault.Remove()
		lists.Remove()
		status, _, _ = s.ask("POST", "/sessions", fields)
		assert.Equal(t, http.StatusSeeOther, status)
		assert.Len(t, s.hub.SessionIDs(), 1)
	})
}

func TestSay(t *testing.T) {
	visit(t, func(t *testing.T, s *site) {
		session := s.begins()
		p := s.opens(session)
		p.waits(time.Second)
		s.says(session, "steer", "Count to ten") // the page believed that the agent works
		p.waits(time.Second)
		s.says(session, "prompt", "Say hello") // it waits until the agent is done
		s.says(session, "steer", "to five")
		seen := p.waits(time.Minute)
		isWhole(t, p, session, "in the end")
		var prompts []string
		for _, m := range seen.Conversation.Messages {
			if m.Role == "user" {
				prompts = append(prompts, m.Text)
			}
		}
		assert.Equal(t, []string{"Be there", "Count to ten", "to five", "Say hello"}, prompts)
		assert.Empty(t, p.sees().notices)

		key := newKey() // a browser that had no answer sends it again, with the same key
		for range 2 {
			s.does(session, "say", "text", "Once", "key", key)
		}
		seen = p.waits(time.Minute)
		count := 0
		for _, m := range seen.Conversation.Messages {
			if m.Text == "Once" {
				count++
			}
		}
		assert.Equal(t, 1, count)

		for _, bad := range [][]string{{"text", " ", "key", newKey()}, {"text", "x"}, {"text", "x", "key", "no key"}} {
			status, body := s.tries(session, "say", bad...)
			assert.Equal(t, http.StatusBadRequest, status)
			assert.JSONEq(t, `{"error":"say something first"}`, body)
		}
		p.closes()
	}, codertest.WithAgentPace(100*time.Millisecond))
}

// TestSay_HubAway says that it has not worked, and does what is asked for again.
func TestSay_HubAway(t *testing.T) {
	visit(t, func(t *testing.T, s *site) {
		session := s.begins()
		p := s.opens(session)
		p.waits(time.Second)
		outage := s.hub.Restart(24*time.Hour, codertest.Outage{})
		p.waits(time.Second)
		key := newKey()
		status, body := s.tries(session, "say", "text", "Say hello", "key", key)
		assert.Equal(t, http.StatusBadGateway, status)
		assert.JSONEq(t, `{"error":"The Hub does not answer."}`, body)
		outage.End()
		p.waits(time.Minute)
		s.does(session, "say", "text", "Say hello", "key", key)
		seen := p.waits(time.Minute)
		isWhole(t, p, session, "when the Hub is back")
		assert.Equal(t, "Say hello", seen.Conversation.Messages[1].Text)
		p.closes()
	})
}

func TestAbort(t *testing.T) {
	visit(t, func(t *testing.T, s *site) {
		session := s.begins()
		p := s.opens(session)
		s.says(session, "prompt", "Count to a hundred")
		p.waits(time.Second)
		s.does(session, "abort")
		seen := p.waits(time.Minute)
		assert.Equal(t, coder.ConversationIdle, seen.Conversation.State)
		assert.Equal(t, coder.StopReasonAborted, seen.Conversation.Messages[len(seen.Conversation.Messages)-1].StopReason)
		p.closes()
	}, codertest.WithAgentPace(200*time.Millisecond))
}

func TestAnswer(t *testing.T) {
	for _, test := range []struct {
		method  coder.RPCUIMethod
		params  map[string]any
		bad     string
		fields  []string
		answers string
	}{
		{coder.UIConfirm, map[string]any{"title": "Go on?"}, "perhaps", []string{"text", "yes"}, "true"},
		{coder.UIConfirm, nil, "", []string{"text", "no"}, "false"},
		{coder.UIConfirm, nil, "", []string{"none", "yes"}, "null"},
		{coder.UISelect, map[string]any{"options": []string{"red", "blue"}}, "green", []string{"text", "blue"}, `"blue"`},
		{coder.UIInput, map[string]any{"placeholder": "a name"}, "", []string{"text", "Ada"}, `"Ada"`},
		{coder.UIEditor, map[string]any{"prefill": "so far"}, "", []string{"text", "a\nb"}, `"a\nb"`},
	} {
		t.Run(string(test.method)+" "+test.answers, func(t *testing.T) {
			visit(t, func(t *testing.T, s *site) {
				session := s.begins()
				p, other := s.opens(session), s.opens(session)
				session.Answer(codertest.AgentTurn{Text: "Well.", Tools: []codertest.AgentTool{{Ask: &codertest.AgentQuestion{Method: string(test.method), Params: test.params}}}})
				s.says(session, "prompt", "Ask me")
				seen := p.waits(time.Minute)
				require.NotNil(t, seen.Question)
				assert.Equal(t, coder.ConversationQuestion, seen.Conversation.State)
				assert.Equal(t, test.method, seen.Question.Method)
				assert.Equal(t, seen.Question, other.sees().Question)
				late := s.opens(session)
				assert.Equal(t, seen.Question, late.waits(time.Second).Question, "who comes later is asked as well")

				session.CutStreams() // the Hub asks again
				seen = p.waits(20 * time.Second)
				require.NotNil(t, seen.Question)

				if test.bad != "" {
					status, body := s.tries(session, "answer", "question", seen.Question.ID, "text", test.bad)
					assert.Equal(t, http.StatusBadRequest, status)
					assert.Contains(t, body, "that is no answer to this question")
				}
				status, _ := s.tries(session, "answer", append(test.fields, "question", "another")...)
				assert.Equal(t, http.StatusConflict, status)
				s.does(session, "answer", append(test.fields, "question", seen.Question.ID)...)
				status, body := s.tries(session, "answer", append(test.fields, "question", seen.Question.ID)...)
				assert.Equal(t, http.StatusConflict, status, "a double click")
				assert.Contains(t, body, "not asked any more")
				for _, page := range []*tab{p, other, late} {
					assert.Nil(t, page.waits(time.Minute).Question)
				}
				var answers []string
				for _, f := range session.Frames() {
					if f.Type == "rpc_ui_response" {
						answers = append(answers, string(f.Body))
					}
				}
				require.Len(t, answers, 1)
				assert.Contains(t, answers[0], `"result":`+test.answers)
				isWhole(t, p, session, "after the answer")
				for _, page := range []*tab{p, other, late} {
					page.closes()
				}
			}, codertest.WithAgentPace(100*time.Millisecond))
		})
	}
}

// TestAnswer_TooLate shows no question that nobody wants to be answered.
func TestAnswer_TooLate(t *testing.T) {
	visit(t, func(t *testing.T, s *site) {
		session := s.begins()
		p := s.opens(session)
		session.Answer(codertest.AgentTurn{Tools: []codertest.AgentTool{{Ask: &codertest.AgentQuestion{
			Method: "confirm", Params: map[string]any{"title": "Quick?"}, Timeout: 30 * time.Second,
		}}}})
		s.says(session, "prompt", "Ask me")
		question := p.waits(10 * time.Second).Question
		require.NotNil(t, question)
		assert.Nil(t, p.waits(time.Minute).Question)
		status, _ := s.tries(session, "answer", "question", question.ID, "text", "yes")
		assert.Equal(t, http.StatusConflict, status)
		p.closes()
	})
}

func TestArchive(t *testing.T) {
	visit(t, func(t *testing.T, s *site) {
		session := s.begins()
		p := s.opens(session)
		p.waits(time.Second)
		s.does(session, "archive")
		assert.True(t, session.Archived())
		assert.Equal(t, linkOver, p.waits(time.Minute).Link.State)
		p.closes()
		status, body := s.tries(session, "wake")
		assert.Equal(t, http.StatusBadGateway, status)
		assert.Contains(t, body, "The session is over.")
	})
}

// TestOnce_Many remembers an order that is being done, however many come meanwhile.
func TestOnce_Many(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatch(nil, "codesess_1")
		count, hold := 0, make(chan struct{})
		var callers sync.WaitGroup
		callers.Go(func() {
			assert.NoError(t, w.once("first", func() error { count++; <-hold; return nil }))
		})
		synctest.Wait()
		for i := range 3 * maxOrders {
			require.NoError(t, w.once(fmt.Sprint(i), func() error { return nil }))
			require.LessOrEqual(t, len(w.orders), maxOrders+1)
		}
		callers.Go(func() { assert.NoError(t, w.once("first", func() error { count++; return nil })) })
		synctest.Wait()
		close(hold)
		callers.Wait()
		assert.Equal(t, 1, count)
	})
}
