package agentrun

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// says is a message of a user that has ended.
func says(ms int, text string) Event {
	return ev(ms, "message_end", fmt.Sprintf(`{"message":{"role":"user","content":%q}}`, text))
}

// answers is a message of the assistant that has ended.
func answers(ms int, stop, text string) Event {
	return ev(ms, "message_end", fmt.Sprintf(`{"message":{"role":"assistant","stopReason":%q,"content":%q}}`, stop, text))
}

func hears(ms int, text string) Event {
	return ev(ms, "input", fmt.Sprintf(`{"text":%q}`, text))
}

func passesOn(ms int, text string) Event {
	return ev(ms, "user_prompt", fmt.Sprintf(`{"text":%q}`, text))
}

func queues(ms int, texts ...string) Event {
	quoted := make([]string, len(texts))
	for i, text := range texts {
		quoted[i] = fmt.Sprintf("%q", text)
	}
	return ev(ms, "queue_update", `{"followUp":[`+strings.Join(quoted, ",")+`]}`)
}

func begins(ms int) Event { return ev(ms, "agent_start", `{}`) }

func ends(ms int, stop string) Event {
	return ev(ms, "agent_end", fmt.Sprintf(`{"messages":[{"role":"assistant","stopReason":%q}]}`, stop))
}

// respond is a step of a promptCase that is no event.
func respond(ms int, success bool, disposition string) Event {
	return Event{At: start.Add(time.Duration(ms) * time.Millisecond), Name: "(response)", Success: &success, Reason: disposition}
}

// follows plays events to a prompt of the text "mine", or the command "/mine", which is sent at 0 ms.
type follows struct {
	before  []Event // what is known of the agent when it is sent
	events  []Event
	command bool
	history bool
}

func (f follows) prompt() *Prompt {
	run, queue := Run{Whole: true}, Queue{}
	for i := range f.before {
		run.Apply(&f.before[i])
		queue.Apply(&f.before[i])
	}
	text := "mine"
	if f.command {
		text = "/mine"
	}
	same, _ := queue.Waiting(Digest(text))
	p := NewPrompt(Digest(text), start, run, queue, same)
	p.Command, p.History = f.command, f.history
	for i := range f.events {
		if e := &f.events[i]; e.Name == "(response)" {
			p.Respond(*e.Success, e.Reason, "no", e.At)
		} else {
			p.Apply(e)
		}
	}
	return p
}

// TestPrompt_Rules: what becomes of a prompt, rule by rule.
func TestPrompt_Rules(t *testing.T) {
	list := func(events ...Event) []Event { return events }
	busy := run(-900, "toolUse", "")[:7] // it works on the prompt of somebody else
	for name, test := range map[string]struct {
		follows
		at   int // ms
		want PromptKind
		text string
	}{
		"nothing is heard":            {follows{}, 29_999, PromptSent, ""},
		"nothing is heard for long":   {follows{}, 30_000, PromptUnheard, ""},
		"an answer":                   {follows{events: list(begins(10), says(20, "mine"), answers(30, "stop", "yes"))}, 40, PromptAnswered, "yes"},
		"blanks do not count":         {follows{events: list(begins(10), says(20, " mine\n"), answers(30, "stop", "yes"))}, 40, PromptAnswered, "yes"},
		"an answer to another":        {follows{events: list(begins(10), says(20, "other"), answers(30, "stop", "no"))}, 40, PromptSent, ""},
		"at work":                     {follows{events: list(begins(10), says(20, "mine"))}, 40, PromptRuns, ""},
		"an aborted answer":           {follows{events: list(begins(10), says(20, "mine"), answers(30, "aborted", "ye"))}, 40, PromptAborted, "ye"},
		"a cut answer, and a prompt":  {follows{events: list(begins(10), says(20, "mine"), answers(30, "length", "ye"), says(40, "other"))}, 50, PromptAnswered, "ye"},
		"a whole answer, and another": {follows{events: list(begins(10), says(20, "mine"), answers(30, "stop", "yes"), says(40, "mine"), answers(50, "stop", "no"))}, 60, PromptAnswered, "yes"},
		"refused":                     {follows{events: list(respond(10, false, ""))}, 10, PromptRefused, ""},
		"refused, after it was seen":  {follows{events: list(begins(5), says(7, "mine"), respond(10, false, ""))}, 10, PromptRuns, ""},
		"handled":                     {follows{events: list(respond(10, true, "handled"))}, 10, PromptHandled, ""},
		"taken, and no run":           {follows{events: list(respond(10, true, ""))}, 60_009, PromptWaits, ""},
		"taken, and no run at all":    {follows{events: list(respond(10, true, ""))}, 60_010, PromptUnheard, ""},
		"a command, and no run":       {follows{events: list(respond(10, true, "")), command: true}, 60_009, PromptWaits, ""},
		"a command, and none at all":  {follows{events: list(respond(10, true, "")), command: true}, 60_010, PromptHandled, ""},
		"queued, and no run":          {follows{events: list(queues(10, "mine"))}, 60_010, PromptUnheeded, ""},
		"another is queued":           {follows{events: list(queues(10, "other"))}, 30_000, PromptUnheard, ""},
		"queued while at work":        {follows{before: busy, events: list(queues(10, "mine"))}, 100, PromptWaits, ""},
		"a queued command":            {follows{events: list(queues(10, "/mine")), command: true}, 60_010, PromptUnheeded, ""},
		"its turn comes":              {follows{before: busy, events: list(queues(10, "mine"), answers(20, "stop", "no"), says(30, "mine"), answers(40, "stop", "yes"))}, 50, PromptAnswered, "yes"},
		"its turn does not come":      {follows{before: busy, events: list(hears(10, "mine"), answers(20, "stop", "no"), ends(30, "stop"))}, 1030, PromptDropped, ""},
		"the run that had it aborts":  {follows{before: busy, events: list(hears(10, "mine"), answers(20, "aborted", "no"), ends(30, "aborted"))}, 30, PromptAborted, ""},
		"the run that had it fails":   {follows{before: busy, events: list(hears(10, "mine"), answers(20, "error", ""), ends(30, "error"))}, 16_000, PromptFailed, ""},
		"a run that says nothing":     {follows{before: list(begins(-10), says(-5, "other")), events: list(hears(10, "mine"), ev(30, "agent_end", `{}`))}, 16_000, PromptDropped, ""},
		"no messages of users": {
			follows{events: list(begins(5), hears(10, "mine"), answers(20, "stop", "what"), ends(30, "stop"))}, 1030, PromptUnheard, "",
		},
		"the same text before":        {follows{before: list(hears(-10, "mine")), events: list(begins(10), says(20, "mine"), answers(30, "stop", "no"))}, 40, PromptSent, ""},
		"the same text before, twice": {follows{before: list(hears(-10, "mine")), events: list(begins(10), says(20, "mine"), answers(30, "stop", "no"), says(40, "mine"), answers(50, "stop", "yes"))}, 60, PromptAnswered, "yes"},
		"the lead begins anew":        {follows{events: list(hears(10, "mine"), ev(20, "session_start", `{}`))}, 30, PromptFailed, ""},
		"it begins anew in the run":   {follows{events: list(begins(10), says(20, "mine"), ev(30, "session_start", `{}`))}, 30, PromptFailed, ""},
		"it begins anew before":       {follows{events: list(ev(20, "session_start", `{}`))}, 40, PromptSent, ""},
		"the lead leaves":             {follows{events: list(hears(5, "mine"), ev(10, "session_shutdown", `{}`))}, 1010, PromptFailed, ""},
		"it asks in our run":          {follows{events: list(begins(10), says(20, "mine"), ev(30, "rpc_ui_request", `{"id":"q","method":"confirm"}`))}, 40, PromptAsks, ""},
		"it asks in another run":      {follows{before: busy, events: list(hears(10, "mine"), ev(30, "rpc_ui_request", `{"id":"q","method":"confirm"}`))}, 40, PromptAsks, ""},
		"a task of another agent":     {follows{events: list(begins(10), says(20, "mine"), ev(30, "message_end", `{"taskId":"1","message":{"role":"assistant","stopReason":"stop"}}`))}, 40, PromptRuns, ""},

		// A command becomes another text, which nobody has said.
		"an expanded command":             {follows{command: true, events: list(begins(5), hears(10, "/mine"), says(20, "expanded"), answers(30, "stop", "yes"))}, 40, PromptAnswered, "yes"},
		"what another has said":           {follows{command: true, before: list(hears(-5, "other")), events: list(begins(5), hears(10, "/mine"), says(20, "other"), answers(30, "stop", "no"))}, 40, PromptWaits, ""},
		"expanded, and others wait":       {follows{command: true, before: list(hears(-5, "other")), events: list(begins(5), hears(10, "/mine"), says(20, "expanded"), answers(30, "stop", "no"), ends(40, "stop"))}, 1040, PromptUnheard, ""},
		"expanded, and it was not heard":  {follows{command: true, events: list(begins(5), says(20, "expanded"), answers(30, "stop", "no"))}, 40, PromptSent, ""},
		"expanded, and more may wait":     {follows{command: true, before: busy[1:], events: list(hears(10, "/mine"), says(20, "expanded"), answers(30, "stop", "no"), ends(40, "stop"))}, 1040, PromptUnheard, ""},
		"a prompt is never expanded":      {follows{events: list(begins(5), hears(10, "mine"), says(20, "expanded"), answers(30, "stop", "no"), ends(40, "stop"))}, 1040, PromptDropped, ""},
		"a command that passed, no run":   {follows{command: true, events: list(hears(10, "/mine"), says(20, "other"), ev(25, "session_start", `{}`))}, 30, PromptFailed, ""},
		"a cut run keeps what waits":      {follows{command: true, before: list(begins(-50), hears(-40, "other"), ends(-30, "error")), events: list(begins(5), hears(10, "/mine"), says(20, "expanded"), ends(30, "stop"))}, 1030, PromptUnheard, ""},
		"a whole run has lost what waits": {follows{command: true, before: list(begins(-50), hears(-40, "other"), ends(-30, "stop")), events: list(begins(5), hears(10, "/mine"), says(20, "expanded"), answers(30, "stop", "yes"))}, 40, PromptAnswered, "yes"},
		"after a cut run more may wait":   {follows{command: true, before: list(ends(-30, "error")), events: list(begins(5), hears(10, "/mine"), says(20, "expanded"), ends(30, "stop"))}, 1030, PromptUnheard, ""},

		// A history has no responses: an agent at work may have heard it.
		"a history, and work":       {follows{history: true, before: busy}, 40_000, PromptSent, ""},
		"a history, and no work":    {follows{history: true}, 40_000, PromptUnheard, ""},
		"work, and no history":      {follows{before: busy}, 40_000, PromptUnheard, ""},
		"a history, heard, at work": {follows{history: true, before: busy, events: list(hears(10, "mine"))}, 40_000, PromptWaits, ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := test.prompt()
			reading := p.At(start.Add(time.Duration(test.at) * time.Millisecond))
			assert.Equal(t, test.want, reading.Kind, reading.Reason)
			assert.Equal(t, test.text, p.last.Text)
			if reading.Kind == PromptRefused {
				assert.Equal(t, "no", p.Refusal)
			}
		})
	}
}

// TestPrompt_Taken: when the agent can be told something else without losing the prompt.
func TestPrompt_Taken(t *testing.T) {
	list := func(events ...Event) []Event { return events }
	busy := run(-900, "toolUse", "")[:7]
	for name, test := range map[string]struct {
		follows
		heard, taken bool
	}{
		"sent":                              {follows{}, false, false},
		"heard by an idle agent":            {follows{events: list(hears(10, "mine"))}, true, false},
		"another is heard":                  {follows{events: list(hears(10, "other"))}, false, false},
		"its response":                      {follows{events: list(respond(10, true, ""))}, true, false},
		"a response that says queued":       {follows{events: list(respond(10, true, "queued"))}, true, true},
		"a response that says started":      {follows{events: list(respond(10, true, "started"))}, true, false},
		"refused":                           {follows{events: list(respond(10, false, ""))}, true, true},
		"in the queue":                      {follows{events: list(queues(10, "mine"))}, true, true},
		"heard and in the queue":            {follows{events: list(hears(5, "mine"), queues(10, "mine"))}, true, true},
		"out of the queue":                  {follows{before: busy, events: list(queues(10, "mine"), queues(20))}, true, true},
		"its message":                       {follows{events: list(begins(5), says(10, "mine"))}, true, true},
		"heard at work":                     {follows{before: busy, events: list(hears(10, "mine"))}, true, true},
		"a run that has not had its prompt": {follows{before: list(begins(-10)), events: list(hears(10, "mine"))}, true, false},
		"heard twice, at first idle":        {follows{events: list(hears(10, "mine"), begins(20), says(30, "other"), respond(40, true, ""))}, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			p := test.prompt()
			assert.Equal(t, test.heard, p.Heard(), "heard")
			assert.Equal(t, test.taken, p.Taken(), "taken")
		})
	}
}

// TestPrompt_SharedAndSteered: whose answer it is besides.
func TestPrompt_SharedAndSteered(t *testing.T) {
	for name, test := range map[string]struct {
		answer          []Event
		shared, steered bool
	}{
		"before an answer":  {nil, true, false},
		"after an error":    {[]Event{answers(30, "error", "")}, true, false},
		"while tools run":   {[]Event{answers(30, "toolUse", "")}, false, true},
		"after a cut one":   {[]Event{answers(30, "length", "")}, false, false},
		"after a whole one": {[]Event{answers(30, "stop", "")}, false, false},
	} {
		events := append([]Event{begins(10), says(20, "mine")}, test.answer...)
		p := follows{events: append(events, says(40, "other"))}.prompt()
		assert.Equal(t, test.shared, p.Shared, "%s: shared", name)
		assert.Equal(t, test.steered, p.Steered, "%s: steered", name)
	}
}

// TestPrompt_Apply: what belongs to the answer.
func TestPrompt_Apply(t *testing.T) {
	p := follows{}.prompt()
	for _, step := range []struct {
		event   Event
		belongs bool
	}{
		{begins(10), false}, {says(20, "other"), false}, {answers(30, "stop", "no"), false}, {says(40, "mine"), true},
		{ev(50, "message_update", `{}`), true}, {ev(55, "message_end", `{"taskId":"1","message":{"role":"assistant"}}`), false},
		{answers(60, "toolUse", ""), true}, {ev(70, "task_start", `{"taskId":"1"}`), true}, {answers(80, "stop", "yes"), true},
		{ev(90, "turn_end", `{}`), false}, {answers(95, "stop", "no"), false},
	} {
		assert.Equal(t, step.belongs, p.Apply(&step.event), "%s at %v", step.event.Name, step.event.At.Sub(start))
	}
	assert.True(t, p.Decided())
	assert.False(t, p.Runs())
}

// TestQueue: what waits, by each list of its own.
func TestQueue(t *testing.T) {
	var q Queue
	apply := func(events ...Event) {
		for i := range events {
			q.Apply(&events[i])
		}
	}
	waiting := func(text string, same, others int) {
		t.Helper()
		gotSame, gotOthers := q.Waiting(Digest(text))
		assert.Equal(t, [2]int{same, others}, [2]int{gotSame, gotOthers}, text)
	}
	waiting("a", 0, 0)
	apply(hears(1, "a"), hears(2, "b"), hears(3, "b"), passesOn(4, "a"))
	waiting("a", 1, 2)
	waiting("b", 2, 1)
	waiting("c", 0, 3)
	apply(queues(5, "a", "a", "a", "c"))
	waiting("a", 3, 2)
	clone := q.Clone()
	apply(says(6, "a"), answers(7, "stop", "b"))
	waiting("a", 2, 2)
	waiting("b", 2, 3) // what the assistant says is no message of a user
	same, _ := clone.Waiting(Digest("a"))
	assert.Equal(t, 3, same, "a copy shares nothing")
	apply(says(8, "unknown"))
	waiting("a", 2, 2)
	apply(ends(9, "length"))
	waiting("b", 2, 3)
	apply(ends(10, "stop"))
	waiting("b", 0, 3) // but what the agent says that it has queued
	apply(ev(11, "session_start", `{}`))
	waiting("a", 0, 0)
}

// TestRun_PausesAndStops: when what an agent is told is not answered as at other times.
func TestRun_PausesAndStops(t *testing.T) {
	for name, test := range map[string]struct {
		events []Event
		pauses map[int]bool // by ms
		stops  map[int]bool
	}{
		"nothing":          {nil, map[int]bool{0: false}, map[int]bool{0: false}},
		"an answer":        {run(1000, "stop", ""), map[int]bool{1000: false}, map[int]bool{1000: false}},
		"a retry":          {run(1000, "error", "500"), map[int]bool{1000: true, 15_999: true, 16_000: false}, map[int]bool{1000: false}},
		"in the next try":  {append(run(1000, "error", "500"), begins(2000)), map[int]bool{2000: false}, map[int]bool{2000: false}},
		"after a lost end": {append(run(1000, "stop", "")[:5], ev(1000, "agent_end", `{}`)), map[int]bool{1001: false}, map[int]bool{1001: false}},
		"a compaction": {
			append(run(1000, "stop", ""), ev(1050, "compaction_start", `{}`)),
			map[int]bool{1050: true, 601_049: true, 601_050: false}, map[int]bool{1050: false},
		},
		"a compaction in a run": {append(run(1000, "stop", "")[:5], ev(1050, "compaction_start", `{}`)), map[int]bool{1050: false}, map[int]bool{1050: false}},
		"after a compaction":    {append(run(1000, "stop", ""), ev(1050, "compaction_start", `{}`), ev(1060, "compaction_end", `{}`)), map[int]bool{1060: false}, map[int]bool{1060: false}},
		"the lead has left":     {append(run(1000, "error", "500"), ev(1100, "session_shutdown", `{}`)), map[int]bool{1100: false}, map[int]bool{1100: false}},
		"an aborted message":    {run(1000, "aborted", "")[:6], map[int]bool{980: false}, map[int]bool{980: true, 2979: true, 2980: false}},
		"and another begins": {
			append(run(1000, "aborted", "")[:6], ev(990, "message_start", assistant("stop", ""))), map[int]bool{990: false}, map[int]bool{990: false},
		},
		"an aborted run":  {run(1000, "aborted", ""), map[int]bool{1000: false}, map[int]bool{1000: false}},
		"a whole message": {run(1000, "stop", "")[:6], map[int]bool{980: false}, map[int]bool{980: false}},
	} {
		r := Run{Whole: true}
		for i := range test.events {
			r.Apply(&test.events[i])
		}
		for ms, want := range test.pauses {
			assert.Equal(t, want, r.Pauses(start.Add(time.Duration(ms)*time.Millisecond)), "%s: pauses at %d", name, ms)
		}
		for ms, want := range test.stops {
			assert.Equal(t, want, r.Stops(start.Add(time.Duration(ms)*time.Millisecond)), "%s: stops at %d", name, ms)
		}
	}
}

// TestUnwrap_Nothing: an envelope without an event in it stays what it is.
func TestUnwrap_Nothing(t *testing.T) {
	for _, payload := range []string{`{"event":{}}`, `{"event":7}`, `{}`, `<`} {
		name, got := Unwrap("rpc_event", []byte(payload))
		require.Equal(t, "rpc_event", name, payload)
		require.Equal(t, payload, string(got))
	}
}
