package agentrun

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// command is what a controller or a driver has sent, and how the agent responded.
type command struct {
	at         time.Time
	text       string
	response   string // empty: none
	respondsAt time.Time
	want       string
}

// commandsOf reads testdata/commands.txt.
func commandsOf(t *testing.T) map[string][]command {
	t.Helper()
	text, err := os.ReadFile("testdata/commands.txt")
	require.NoError(t, err)
	all := make(map[string][]command)
	var name string
	atMs := func(ms string) time.Time {
		n, err := strconv.Atoi(ms)
		require.NoError(t, err)
		return start.Add(time.Duration(n) * time.Millisecond)
	}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimRight(line, "\n")
		list := all[name]
		fields := strings.SplitN(line, " ", 3)
		switch {
		case line == "", fields[0] == "#":
		case fields[0] == "=":
			name = line[2:]
		case fields[0] == "<":
			list[len(list)-1].respondsAt, list[len(list)-1].response = atMs(fields[1]), fields[2]
		case fields[0] == ">":
			list[len(list)-1].want = line[2:]
		default:
			all[name] = append(list, command{at: atMs(fields[0]), text: fields[2]})
		}
	}
	return all
}

// follow returns what becomes of a command, with when that is known. The Hub tells of those that others send.
func follow(c *command, events []Event, others []Event) string {
	run, queue := Run{Whole: true}, Queue{}
	i := 0
	events = slices.Concat(events, others)
	slices.SortStableFunc(events, func(a, b Event) int { return a.At.Compare(b.At) })
	for ; i < len(events) && !events[i].At.After(c.at); i++ {
		run.Apply(&events[i])
		queue.Apply(&events[i])
	}
	digest := Digest(c.text)
	before, _ := queue.Waiting(digest)
	p := NewPrompt(digest, c.at, run, queue, before)
	p.Command = IsCommand(c.text)
	due, response := time.Time{}, c.response
	read := func(now time.Time) (string, bool) {
		reading := p.At(now)
		due = reading.Until
		text := fmt.Sprintf("%d %s", now.Sub(start).Milliseconds(), reading.Kind)
		if reading.Answer.StopReason != "" {
			text += fmt.Sprintf(" %s %.40q", reading.Answer.StopReason, reading.Answer.Text)
		}
		if p.Steered {
			text += " steered"
		}
		if p.Shared {
			text += " shared"
		}
		return text, reading.Kind.Over() || reading.Kind == PromptAsks && i == len(events)
	}
	for {
		next := time.Time{}
		if i < len(events) {
			next = events[i].At
		}
		switch {
		case response != "" && (next.IsZero() || !c.respondsAt.After(next)) && (due.IsZero() || !c.respondsAt.After(due)):
			p.Respond(response != "refused", response, "", c.respondsAt)
			response = ""
			if text, over := read(c.respondsAt); over {
				return text
			}
		case !due.IsZero() && (next.IsZero() || due.Before(next)):
			if text, over := read(due); over {
				return text
			}
		case next.IsZero():
			text, _ := read(events[len(events)-1].At)
			return text + " …"
		default:
			p.Apply(&events[i])
			i++
			if text, over := read(next); over {
				return text
			}
		}
	}
}

// TestPrompt_ReportsAreLost: what an agent reported while the Hub restarted may be missing, its answer and the prompt of
// somebody else among it. An answer whose beginning is missing belongs to nobody.
func TestPrompt_ReportsAreLost(t *testing.T) {
	message := func(role, stop, text string, stamp int) string {
		return fmt.Sprintf(`{"message":{"role":%q,"stopReason":%q,"content":%q,"timestamp":%d}}`, role, stop, text, stamp)
	}
	asked := []Event{
		ev(10, "agent_start", `{}`), ev(20, "message_start", message("user", "", "mine", 20)), ev(30, "message_end", message("user", "", "mine", 20)),
	}
	begins := []Event{ev(40, "message_start", message("assistant", "stop", "", 40)), ev(50, "message_update", `{}`)}
	another := []Event{ev(80, "message_update", `{}`), ev(90, "message_end", message("assistant", "stop", "not mine", 80))}
	// An attempt fails; in the wait for the next one somebody else prompts the agent, which then answers both at once.
	fails := slices.Concat(asked, []Event{
		ev(40, "message_start", message("assistant", "error", "", 40)), ev(50, "message_end", message("assistant", "error", "", 40)),
		ev(60, "agent_end", `{"messages":[`+message("assistant", "error", "", 40)[len(`{"message":`):len(message("assistant", "error", "", 40))-1]+`]}`),
	})
	heard := []Event{ev(70, "input", `{"text":"other"}`), ev(71, "before_agent_start", `{}`)}
	back := []Event{ev(80, "session_join", `{"participant":{"role":"lead"}}`)}
	other := []Event{ev(100, "message_start", message("user", "", "other", 100)), ev(110, "message_end", message("user", "", "other", 100))}
	retry := []Event{ev(90, "agent_start", `{}`)}
	tried := []Event{ev(120, "message_start", message("assistant", "stop", "", 120)), ev(130, "message_end", message("assistant", "stop", "of both", 120))}
	queued := []Event{ev(70, "input", `{"text":"other"}`), ev(71, "queue_update", `{"followUp":["other"]}`)}
	for name, test := range map[string]struct {
		events []Event
		want   PromptKind
		text   string
	}{
		"a prompt that is queued, and the lead was away": {slices.Concat(fails, queued, back, retry, tried), PromptAnswered, "of both"},
		"a retry":                                                 {slices.Concat(fails, retry, tried), PromptAnswered, "of both"},
		"a retry, and the lead was away":                          {slices.Concat(fails, back, retry, tried), PromptAnswered, "of both"},
		"a prompt in the wait for it":                             {slices.Concat(fails, heard, retry, other, tried), PromptAnswered, "of both"},
		"a prompt in the wait, and the lead was away":             {slices.Concat(fails, heard, back, retry, other, tried), PromptAnswered, "of both"},
		"a prompt in the wait, and its message is lost":           {slices.Concat(fails, heard, back, retry, tried), PromptUnheard, ""},
		"a prompt in the wait, and the lead was away later":       {slices.Concat(fails, heard, retry, other, back, tried), PromptAnswered, "of both"},
		"somebody else joins in the wait":                         {slices.Concat(fails, heard, []Event{ev(80, "session_join", `{"participant":{"role":"controller"}}`)}, retry, tried), PromptAnswered, "of both"},
		"the lead was away in its first attempt":                  {slices.Concat(asked, []Event{ev(35, "before_agent_start", `{}`)}, back[:1], []Event{ev(120, "message_start", message("assistant", "stop", "", 120)), ev(130, "message_end", message("assistant", "stop", "mine", 120))}), PromptAnswered, "mine"},
		"a prompt in the wait, whose message is nowhere":          {slices.Concat(fails, heard, retry, tried), PromptAnswered, "of both"},
		"nothing is lost":                                         {slices.Concat(asked, begins, []Event{ev(60, "message_end", message("assistant", "stop", "is mine", 40))}), PromptAnswered, "is mine"},
		"lost before the answer begins":                           {slices.Concat(asked, another), PromptUnheard, ""},
		"lost while the answer is said":                           {slices.Concat(asked, begins, another), PromptUnheard, ""},
		"lost after a tool":                                       {slices.Concat(asked, begins, []Event{ev(60, "message_end", message("assistant", "toolUse", "is mine", 40))}, another), PromptUnheard, "is mine"},
		"lost while the answer is said, and another one is whole": {slices.Concat(asked, begins, []Event{ev(75, "message_start", message("assistant", "stop", "", 80))}, another), PromptUnheard, ""},
		"told by two channels, of which one is late": {slices.Concat(asked, begins, []Event{
			ev(60, "message_end", message("assistant", "toolUse", "I look", 40)), ev(61, "message_start", message("assistant", "stop", "", 40)),
			ev(70, "message_start", message("assistant", "stop", "", 70)), ev(71, "message_end", message("assistant", "toolUse", "I look", 40)),
			ev(72, "message_start", message("assistant", "stop", "", 70)), ev(90, "message_end", message("assistant", "stop", "is mine", 70)),
		}), PromptAnswered, "is mine"},
		"two messages in the same millisecond": {slices.Concat(asked, begins, []Event{
			ev(40, "message_end", message("assistant", "toolUse", "I look", 40)),
			ev(40, "message_start", message("assistant", "stop", "", 40)), ev(40, "message_end", message("assistant", "stop", "is mine", 40)),
		}), PromptAnswered, "is mine"},
		"a message whose end cannot be read": {slices.Concat(asked, begins, []Event{
			ev(60, "message_end", `{}`),
			ev(70, "message_start", message("assistant", "stop", "", 70)), ev(90, "message_end", message("assistant", "stop", "is mine", 70)),
		}), PromptAnswered, "is mine"},
		"an earlier message whose end is lost": {slices.Concat([]Event{ev(4, "message_start", message("assistant", "stop", "", 4)), ev(5, "message_start", message("assistant", "stop", "", 5))}, asked, begins, []Event{
			ev(60, "message_end", message("assistant", "stop", "is mine", 40)),
		}), PromptAnswered, "is mine"},
		"a history without beginnings":     {slices.Concat(asked[:1], asked[2:], another), PromptAnswered, "not mine"},
		"an agent that stamps no messages": {slices.Concat(asked, []Event{ev(90, "message_end", message("assistant", "stop", "mine", 0))}), PromptAnswered, "mine"},
	} {
		t.Run(name, func(t *testing.T) {
			p := NewPrompt(Digest("mine"), start, Run{}, Queue{}, 0)
			for i := range test.events {
				p.Apply(&test.events[i])
			}
			reading := p.At(start.Add(time.Second))
			assert.Equal(t, test.want, reading.Kind)
			assert.Equal(t, test.text, reading.Answer.Text)
			if test.want == PromptUnheard {
				assert.Equal(t, "what the agent reported in the meantime is lost", reading.Reason)
			}
		})
	}
}

// TestPrompt_Recordings follows every prompt, steer and follow_up of the recordings.
func TestPrompt_Recordings(t *testing.T) {
	for name, commands := range commandsOf(t) {
		file := filepath.Join("testdata", name+".jsonl")
		events := eventsOf(t, file)
		for i, c := range commands {
			var others []Event
			for k, o := range commands {
				if k != i {
					others = append(others, Event{At: o.at, Name: "user_prompt", Said: o.text})
				}
			}
			assert.Equal(t, c.want, follow(&c, events, others), "%s: %s", name, c.text)
		}
	}
}

// TestQueue_IsBounded: a Hub may tell of texts that never become messages for as long as a connection is open.
func TestQueue_IsBounded(t *testing.T) {
	var q Queue
	said := func(i int) string { return fmt.Sprintf("%d %s", i, strings.Repeat("x", 1<<10)) }
	for i := range 3 * mostWaiting {
		for _, name := range []string{"input", "user_prompt"} {
			q.Apply(&Event{Name: name, Said: said(i)})
		}
		q.Apply(&Event{Name: "queue_update", Queued: []string{said(i)}})
	}
	assert.Len(t, q.inputs, mostWaiting)
	assert.Len(t, q.prompts, mostWaiting)
	for _, list := range [][]string{q.inputs, q.prompts, q.queued} {
		for _, kept := range list {
			assert.LessOrEqual(t, len(kept), 64)
		}
	}
	same, others := q.Waiting(Digest(said(3*mostWaiting - 1)))
	assert.Equal(t, []int{1, mostWaiting - 1}, []int{same, others}, "the newest are known")
	q.Apply(&Event{Name: "queue_update", Queued: slices.Repeat([]string{said(1)}, 3*mostWaiting)})
	assert.Len(t, q.queued, mostWaiting)
	q.Apply(&Event{Name: "message_end", Role: roleUser, Said: said(3*mostWaiting - 1)})
	same, _ = q.Waiting(Digest(said(3*mostWaiting - 1)))
	assert.Zero(t, same)
}
