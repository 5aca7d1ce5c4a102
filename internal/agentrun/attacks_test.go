package agentrun

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// everyRecording runs a test for each recording.
func everyRecording(t *testing.T, test func(t *testing.T, file string, events []Event)) {
	t.Helper()
	files, err := filepath.Glob("testdata/*/*.jsonl")
	require.NoError(t, err)
	for _, file := range files {
		name := filepath.Base(filepath.Dir(file)) + "/" + strings.TrimSuffix(filepath.Base(file), ".jsonl")
		t.Run(name, func(t *testing.T) { test(t, name, eventsOf(t, file)) })
	}
}

// outcome is what events come to in the end, when nothing more follows.
func outcome(events []Event) string {
	if len(events) == 0 {
		return ""
	}
	r := Read(events, true, events[len(events)-1].At.Add(time.Hour))
	return fmt.Sprintf("%s %s %s", r.Kind, r.Answer.StopReason, r.Answer.ErrorMessage)
}

// TestRecordings_Twice: a Hub may pass on an event twice, as it came and in an envelope.
func TestRecordings_Twice(t *testing.T) {
	everyRecording(t, func(t *testing.T, _ string, events []Event) {
		var twice []Event
		for _, e := range events {
			twice = append(twice, e, e)
		}
		assert.Equal(t, story(events), story(twice))
	})
}

// onlyExtension and onlyRPC are what one of the dialects says and the other does not.
var (
	onlyExtension = []string{"context", "before_agent_start", "input", "tool_call", "tool_result", "task_start", "task_complete", "task_error", "agent_progress", "session_start", "session_shutdown", "session_leave", "session_before_switch"}
	onlyRPC       = []string{"agent_settled", "auto_retry_start", "auto_retry_end", "queue_update", "entry_appended", "extension_ui_request", "extension_error"}
	otherNames    = map[string]string{"session_before_compact": "compaction_start", "session_compact": "compaction_end", "compaction_start": "session_before_compact", "compaction_end": "session_compact"}
)

// inBoth adds to the events what the other dialect says of them, so much later. In the middle of the story the later
// one may make it work again.
func inBoth(events []Event, lag time.Duration) []Event {
	both := slices.Clone(events)
	for _, e := range events {
		if slices.Contains(onlyExtension, e.Name) || slices.Contains(onlyRPC, e.Name) {
			continue
		}
		if other := otherNames[e.Name]; other != "" {
			e.Name = other
		}
		if e.Failed && e.Name == "session_compact" {
			continue // the extension does not report it
		}
		e.At = e.At.Add(lag)
		e.WillRetry = nil
		both = append(both, e)
	}
	slices.SortStableFunc(both, func(a, b Event) int { return a.At.Compare(b.At) })
	return both
}

// TestRecordings_InBothDialects: the extension's events and those of RPC mode, of the same agent, one later than the other.
func TestRecordings_InBothDialects(t *testing.T) {
	everyRecording(t, func(t *testing.T, _ string, events []Event) {
		for _, lag := range []time.Duration{0, time.Millisecond, 30 * time.Millisecond, 300 * time.Millisecond, time.Second} {
			assert.Equal(t, outcome(events), outcome(inBoth(events, lag)), "%v later", lag)
		}
	})
}

// TestRecordings_OneIsLost: a Hub loses the event under way when a connection is cut. Then less may be known.
func TestRecordings_OneIsLost(t *testing.T) {
	everyRecording(t, func(t *testing.T, file string, events []Event) {
		want := outcome(events)
		for i := range events {
			got := outcome(slices.Delete(slices.Clone(events), i, i+1))
			switch name := events[i].Name; {
			case got == want, name == "session_shutdown":
			case strings.HasPrefix(file, "real-lead/print-mode") && name == "message_end": // it left with a message open
				assert.Contains(t, got, "failed")
			default:
				assert.Fail(t, "it matters", "without #%d %s: %s, in truth %s", i, name, got, want)
			}
		}
	})
}

// TestRecordings_Trimmed: a Hub may leave payloads out.
func TestRecordings_Trimmed(t *testing.T) {
	everyRecording(t, func(t *testing.T, file string, events []Event) {
		want := outcome(events)
		for _, names := range [][]string{{"agent_end"}, {"message_end"}, {"turn_end"}, {"agent_end", "turn_end"}, {"agent_end", "message_end", "turn_end"}, {"message_start", "message_end"}} {
			bare := slices.Clone(events)
			for i, e := range bare {
				if slices.Contains(names, e.Name) {
					bare[i] = Event{At: e.At, Name: e.Name, TaskID: e.TaskID}
				}
			}
			if got := outcome(bare); got != want {
				switch kind, _, _ := strings.Cut(got, " "); {
				case len(names) == 3, strings.HasPrefix(file, "real-lead/print-mode"): // nothing is left that says how it ended
					assert.Contains(t, []string{"idle", "ended"}, kind, "without %s, in truth %s", names, want)
				default:
					assert.Fail(t, "it matters", "without %s: %s, in truth %s", names, got, want)
				}
			}
		}
	})
}

// TestRead_Attacks has what a Hub may make of the story of an agent: events that are lost, trimmed, doubled, or come
// by both channels.
func TestRead_Attacks(t *testing.T) {
	bare := func(ms int, name string) Event { return ev(ms, name, `{}`) }
	answered := run(1000, "stop", "")
	tool := func(ms int, name, id string) Event { return ev(ms, name, `{"toolCallId":"`+id+`"}`) }
	asked := func(ms int) Event { return ev(ms, "rpc_ui_request", `{"id":"q","method":"select"}`) }
	atTools := run(1000, "toolUse", "")[:6]
	for name, test := range map[string]struct {
		events []Event
		want   map[int]Kind // by ms
	}{
		// A lost agent_end.
		"settled, agent_end lost":                   {append(answered[:7:7], ev(1001, "agent_settled", `{"aborted":false}`)), map[int]Kind{1001: Answered}},
		"settled in a run whose turn needs another": {append(run(1000, "toolUse", "")[:7], ev(1001, "agent_settled", `{}`)), map[int]Kind{1e6: Working}},
		"a file is written, agent_end lost":         {append(answered[:7:7], ev(1001, "entry_appended", `{}`), ev(1001, "queue_update", `{}`)), map[int]Kind{1001: Working, 60990: Answered}},
		"a retry is announced, agent_end lost":      {append(run(1000, "error", "529")[:7], ev(1001, "auto_retry_start", `{"delayMs":60000}`)), map[int]Kind{75000: Working, 76001: Failed}},
		"a retry is given up, agent_end lost":       {append(run(1000, "error", "529")[:7], ev(1001, "auto_retry_end", `{"success":false}`)), map[int]Kind{1001: Working, 2001: Failed}},
		"a compaction, agent_end lost":              {append(answered[:7:7], ev(1001, "compaction_start", `{}`), ev(3000, "compaction_end", `{"willRetry":false}`)), map[int]Kind{3000: Answered}},
		"a title is set, agent_end lost":            {append(answered[:7:7], ev(1001, "rpc_ui_request", `{"id":"1","method":"setTitle"}`)), map[int]Kind{1001: Working, 60990: Answered}},
		// What the run before has said is no answer to this one.
		"nothing says how the second prompt ended":     {append(answered[:8:8], bare(5000, "agent_start"), bare(5001, "turn_start"), bare(5010, "message_end"), bare(5011, "turn_end"), bare(5012, "agent_end")), map[int]Kind{5013: Working, 20012: Ended}},
		"nor after a failure":                          {append(run(1000, "error", "400"), bare(5000, "agent_start"), bare(5001, "turn_start"), bare(5010, "message_end"), bare(5012, "agent_end")), map[int]Kind{5013: Working, 20012: Ended}},
		"its turn ended, and nothing says how":         {append(answered[:8:8], bare(5000, "agent_start"), bare(5001, "turn_start"), bare(5010, "message_end"), bare(5011, "turn_end")), map[int]Kind{65011: Ended}},
		"an end with a list that was emptied":          {append(answered[:7:7], ev(1000, "agent_end", `{"messages":[]}`)), map[int]Kind{2000: Answered}},
		"nothing but an end with an emptied list":      {[]Event{bare(0, "agent_start"), ev(1000, "agent_end", `{"messages":[]}`)}, map[int]Kind{15999: Working, 16000: Ended}},
		"the lead leaves at the start of a second run": {append(answered[:8:8], bare(5000, "agent_start"), bare(5001, "turn_start"), ev(5002, "session_shutdown", `{"reason":"quit"}`)), map[int]Kind{6002: Failed}},
		"the lead leaves before a second run":          {append(answered[:8:8], bare(5000, "input"), ev(5002, "session_shutdown", `{"reason":"quit"}`)), map[int]Kind{6002: Failed}},
		"the lead leaves in a retry":                   {append(run(1000, "error", "500"), bare(3000, "agent_start"), ev(3002, "session_shutdown", `{"reason":"quit"}`)), map[int]Kind{4002: Failed}},
		// The wait that is announced on one channel holds on both.
		"a retry that the other channel does not announce": {append(run(1000, "error", "529"), ev(1001, "auto_retry_start", `{"delayMs":60000}`), ev(1050, "agent_end", assistant("error", "529"))), map[int]Kind{75000: Working, 76001: Failed}},
		"the same, of a message that comes late":           {append(run(1000, "error", "529"), ev(1001, "auto_retry_start", `{"delayMs":60000}`), bare(1040, "message_update"), ev(1050, "agent_end", assistant("error", "529"))), map[int]Kind{75000: Working, 76001: Failed}},
		"a retry that fails as well":                       {append(run(1000, "error", "529"), ev(1001, "auto_retry_start", `{"delayMs":2000}`), bare(3001, "agent_start"), ev(3100, "agent_end", assistant("error", "400"))), map[int]Kind{5099: Working, 5100: Failed}},
		"a retry that is sure, and not announced":          {append(run(1000, "error", "529")[:7], ev(1000, "agent_end", `{"willRetry":true}`)), map[int]Kind{100000: Working, 601000: Failed}},
		"a retry that was announced, and another lead":     {append(run(1000, "error", "529"), ev(1001, "auto_retry_start", `{"delayMs":60000}`), ev(2000, "session_start", `{}`), bare(3000, "agent_start"), ev(3100, "agent_end", assistant("error", "400"))), map[int]Kind{5100: Failed}},
		// A user's message belongs to a run.
		"a user's message that comes late": {append(answered[:8:8], ev(1001, "agent_settled", `{}`), ev(1050, "message_end", `{"message":{"role":"user"}}`)), map[int]Kind{1050: Working}},
		// Questions.
		"a question, and the same event of its tool twice": {append(atTools[:6:6], tool(1000, "tool_execution_start", "1"), tool(1000, "tool_execution_start", "2"), tool(1000, "tool_execution_start", "3"), asked(1001),
			tool(2000, "tool_execution_end", "1"), tool(2000, "tool_execution_end", "1"), tool(2000, "tool_execution_end", "1")), map[int]Kind{2000: Working, 62000: Question}},
		"a question, and the rest of the turn on the other channel": {append(atTools[:6:6], tool(1000, "tool_execution_start", "1"), asked(1001),
			bare(1002, "message_update"), ev(1003, "message_end", assistant("toolUse", "")), tool(1004, "tool_execution_start", "1"), tool(1005, "tool_call", "1")), map[int]Kind{1e6: Question}},
		"a question whose tool's end was lost": {append(atTools[:6:6], tool(1000, "tool_execution_start", "1"), asked(1001), ev(1002, "turn_end", assistant("toolUse", ""))), map[int]Kind{1e6: Working}},
		"a question that comes twice":          {append(atTools[:6:6], tool(1000, "tool_execution_start", "1"), asked(1001), tool(1002, "tool_execution_end", "1"), asked(1003)), map[int]Kind{1e6: Working}},
		// Goodbyes.
		"a lead that was lost, is back, and says goodbye": {append(answered[:5:5], ev(1001, "session_leave", `{"participant":{"role":"lead"}}`), ev(3000, "session_join", `{"participant":{"role":"lead"}}`),
			ev(4000, "session_shutdown", `{"reason":"quit"}`)), map[int]Kind{4000: Working, 5000: Failed}},
		"a prompt while the lead is away": {append(answered[:8:8], ev(2000, "session_shutdown", `{}`), bare(100000, "user_prompt"), ev(101000, "session_join", `{"participant":{"role":"lead"}}`), ev(101500, "session_start", `{}`)),
			map[int]Kind{102000: Working, 160000: Unheeded}},
		// Compactions.
		"a compaction whose start was lost":         {append(run(1000, "error", "400 too long"), bare(2500, "session_compact")), map[int]Kind{4000: Working, 4500: Failed}},
		"settled, the end of a compaction was lost": {append(answered[:8:8], bare(1001, "compaction_start"), ev(5000, "agent_settled", `{}`)), map[int]Kind{5000: Answered}},
		"an input before a long compaction":         {append(answered[:8:8], bare(1001, "input"), bare(1050, "compaction_start")), map[int]Kind{100000: Working}},
		"and after it":                              {append(answered[:8:8], bare(1001, "input"), bare(1050, "compaction_start"), ev(100000, "compaction_end", `{"willRetry":false}`)), map[int]Kind{150000: Working, 160000: Unheeded}},
		// Texts.
		"a number that is no status": {run(1000, "error", "4000 tokens a minute are too many"), map[int]Kind{3000: Working, 16000: Failed}},
		// What else the rule says, or does not.
		"agent_end lost, and much ado":                                      {append(answered[:7:7], bare(1001, "session_label_updated"), bare(1002, "presence_update"), bare(1003, "extension_error")), map[int]Kind{1003: Working, 60990: Answered}},
		"an announced retry, and the other channel's run":                   {append(run(1000, "error", "529"), ev(1001, "auto_retry_start", `{"delayMs":60000}`), bare(1040, "agent_start"), ev(1050, "agent_end", assistant("error", "529"))), map[int]Kind{75000: Working, 76001: Failed}},
		"an announced retry is aborted, and the next fails":                 {append(run(1000, "error", "529"), ev(1001, "auto_retry_start", `{"delayMs":60000}`), ev(2000, "auto_retry_end", `{"success":false}`), bare(5000, "agent_start"), ev(6000, "agent_end", assistant("error", "400"))), map[int]Kind{7999: Working, 8000: Failed}},
		"a retry works, its run is not reported yet":                        {append(run(1000, "error", "529"), ev(3000, "auto_retry_end", `{"success":true}`)), map[int]Kind{15999: Working, 16000: Failed}},
		"a session that has failed":                                         {append(run(1000, "toolUse", "")[:7], bare(2000, "session_error")), map[int]Kind{2000: Idle}},
		"a lead that is back, in a turn":                                    {append(answered[:8:8], ev(2000, "session_shutdown", `{"reason":"quit"}`), bare(9000, "turn_start")), map[int]Kind{1e6: Working}},
		"a lead begins anew, twice":                                         {append(answered[:5:5], ev(2000, "session_start", `{}`), ev(2001, "session_start", `{}`)), map[int]Kind{2001: Failed}},
		"a lead begins anew, a tool is late":                                {append(atTools[:6:6], ev(2000, "session_start", `{}`), tool(2001, "tool_execution_update", "1")), map[int]Kind{2001: Failed}},
		"a lead begins anew with a question open":                           {append(atTools[:6:6], tool(1000, "tool_execution_start", "1"), asked(1001), ev(2000, "session_start", `{}`)), map[int]Kind{2000: Failed}},
		"another lead asks by the same id":                                  {append(atTools[:6:6], tool(1000, "tool_execution_start", "1"), asked(1001), ev(2000, "session_start", `{}`), bare(3000, "agent_start"), asked(3001)), map[int]Kind{3001: Question}},
		"an extension goes on after a while, and fails":                     {append(answered[:8:8], bare(41000, "agent_start"), ev(41100, "agent_end", assistant("error", "529"))), map[int]Kind{56099: Working, 56100: Failed}},
		"the lead leaves after a run that said nothing":                     {[]Event{bare(0, "agent_start"), bare(1, "message_end"), bare(2, "agent_end"), bare(5000, "agent_start"), ev(5001, "session_shutdown", `{}`)}, map[int]Kind{6001: Failed}},
		"the end of a turn is the first that is known":                      {[]Event{ev(0, "turn_end", assistant("toolUse", ""))}, map[int]Kind{1e6: Working}},
		"a queued prompt, and nothing says how it ended":                    {append(answered[:7:7], ev(1100, "message_end", `{"message":{"role":"user"}}`), bare(2000, "turn_end"), bare(2001, "agent_end")), map[int]Kind{2001: Working, 17001: Ended}},
		"the waits of the prompt before":                                    {slices.Concat(run(1000, "error", "529"), []Event{bare(41000, "agent_start"), ev(41100, "agent_end", assistant("stop", ""))}, run(60000, "error", "529")), map[int]Kind{74999: Working, 75000: Failed}},
		"the lead leaves after a message that cannot be read, and a prompt": {append(answered[:2:2], bare(950, "message_end"), ev(951, "message_end", `{"message":{"role":"user"}}`), ev(952, "session_shutdown", `{}`)), map[int]Kind{1952: Failed}},
		"the lead leaves after one, and an answer":                          {append(answered[:2:2], bare(950, "message_end"), ev(951, "message_end", assistant("stop", "")), ev(952, "session_shutdown", `{}`)), map[int]Kind{1952: Answered}},
		"the last message cannot be read":                                   {append(atTools[:6:6], bare(1100, "message_end"), bare(1101, "turn_end"), bare(1102, "agent_end")), map[int]Kind{1103: Working, 16102: Ended}},
		"no message of the second run":                                      {append(answered[:8:8], bare(5000, "agent_start"), bare(5001, "turn_start"), bare(5011, "turn_end"), bare(5012, "agent_end")), map[int]Kind{5013: Working, 20012: Ended}},
		"an abort in a wait for a retry, of which only the end is seen":     {append(run(1000, "error", "529"), ev(3000, "agent_end", assistant("aborted", ""))), map[int]Kind{3000: Aborted}},
		"settled after a compaction":                                        {append(run(1000, "error", "400 too long"), ev(1050, "compaction_start", `{}`), ev(2000, "compaction_end", `{"willRetry":true}`), ev(2010, "agent_settled", `{}`)), map[int]Kind{2010: Failed}},
		"settled in the wait for a retry, and the next prompt fails":        {append(run(1000, "error", "529"), ev(1001, "auto_retry_start", `{"delayMs":60000}`), ev(2000, "agent_settled", `{"aborted":true}`), bare(5000, "agent_start"), ev(6000, "agent_end", assistant("error", "400"))), map[int]Kind{7999: Working, 8000: Failed}},
		"the end of a compaction comes when the run has begun":              {append(run(1000, "error", "400 too long"), bare(1050, "compaction_start"), bare(2000, "compaction_end"), bare(2001, "agent_start"), bare(2050, "session_compact"), ev(10000, "agent_end", assistant("stop", ""))), map[int]Kind{10999: Working, 11000: Answered}},
		"a compaction that is aborted":                                      {append(run(1000, "error", "529 too long"), bare(1050, "compaction_start"), ev(2000, "compaction_end", `{"aborted":true}`)), map[int]Kind{2000: Failed}},
		"a task that failed":                                                {[]Event{ev(0, "task_start", `{"taskId":"1"}`), ev(2, "task_error", `{"taskId":"1"}`)}, map[int]Kind{1e6: Idle}},
		"the lead leaves with a queued prompt":                              {append(answered[:7:7], ev(1100, "message_end", `{"message":{"role":"user"}}`), ev(1101, "session_shutdown", `{}`)), map[int]Kind{2101: Failed}},
		"an older agent's compaction":                                       {append(answered[:8:8], bare(1001, "auto_compaction_start")), map[int]Kind{3000: Working}},
	} {
		t.Run(name, func(t *testing.T) {
			for ms, kind := range test.want {
				got := Read(test.events, true, start.Add(time.Duration(ms)*time.Millisecond))
				assert.Equal(t, kind, got.Kind, "at %d ms: %s", ms, got.Reason)
			}
		})
	}
}

// TestRead_Statuses: which errors no retry mends.
func TestRead_Statuses(t *testing.T) {
	soon := start.Add(3 * time.Second)
	for _, text := range []string{"400 No", "401 No", "403 No", "404 No", "413 No", "422 No", "499 No", `400: {"message":"No"}`} {
		assert.Equal(t, Failed, Read(run(1000, "error", text), false, soon).Kind, text)
	}
	for _, text := range []string{"408 No", "409 No", "425 No", "429 No", "500 No", "529 No", "302 No", "40 No", "No 400", "4", "", "４００ No"} {
		assert.Equal(t, Working, Read(run(1000, "error", text), false, soon).Kind, text)
	}
}
