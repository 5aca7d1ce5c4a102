package agentrun

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// ev makes an event, ms after the start.
func ev(ms int, name, payload string) Event {
	return Decode(name, []byte(payload), start.Add(time.Duration(ms)*time.Millisecond))
}

// assistant is the payload of an event with an assistant's message.
func assistant(stop, failure string) string {
	message, _ := json.Marshal(map[string]any{
		"role": "assistant", "stopReason": stop, "errorMessage": failure,
		"content": []any{map[string]any{"type": "thinking", "thinking": "hm"}, map[string]any{"type": "text", "text": "said"}},
	})
	return fmt.Sprintf(`{"message":%s,"messages":[{"role":"user","content":"x"},%[1]s,{"role":"system"},7]}`, message)
}

// run is a run of 100 ms that ends at a time.
func run(end int, stop, failure string) []Event {
	return []Event{
		ev(end-100, "agent_start", `{}`), ev(end-90, "turn_start", `{}`),
		ev(end-80, "message_start", `{"message":{"role":"user"}}`), ev(end-70, "message_end", `{"message":{"role":"user"}}`),
		ev(end-60, "message_start", assistant("stop", "")), ev(end-20, "message_end", assistant(stop, failure)),
		ev(end-10, "turn_end", assistant(stop, failure)), ev(end, "agent_end", assistant(stop, failure)),
	}
}

// TestRun_Question: which question is open. The other channel may be late with those that were answered.
func TestRun_Question(t *testing.T) {
	tool := func(ms int, name, id string) Event { return ev(ms, name, `{"toolCallId":"`+id+`"}`) }
	asks := func(ms int, id string) Event { return ev(ms, "rpc_ui_request", `{"id":"`+id+`","method":"select"}`) }
	late := func(ms int, id string) Event {
		return ev(ms, "rpc_event", `{"event":{"type":"extension_ui_request","id":"`+id+`","method":"select"}}`)
	}
	first := []Event{tool(0, "tool_execution_start", "1"), asks(1, "q1")}
	second := slices.Concat(first, []Event{tool(2, "tool_execution_end", "1"), tool(3, "tool_execution_start", "2"), asks(4, "q2")})
	read := func(events []Event) (r Run) {
		for i := range events {
			r.Apply(&events[i])
		}
		return r
	}
	for name, test := range map[string]struct {
		events []Event
		want   string
	}{
		"none":                                {nil, ""},
		"one":                                 {first, "q1"},
		"one by both channels":                {append(first[:2:2], late(2, "q1")), "q1"},
		"that of a task":                      {append(first[:2:2], ev(2, "rpc_ui_request", `{"id":"q2","method":"select","taskId":"1"}`)), "q1"},
		"a notice":                            {append(first[:2:2], ev(2, "rpc_ui_request", `{"id":"q2","method":"notify"}`)), "q1"},
		"answered":                            {second[:3], ""},
		"answered, and late":                  {append(second[:3:3], late(3, "q1")), ""},
		"another":                             {second, "q2"},
		"another, and the one before is late": {append(second[:5:5], late(5, "q1")), "q2"},
		"both answered, and both are late":    {append(second[:5:5], tool(5, "tool_execution_end", "2"), late(6, "q1"), late(7, "q2")), ""},
		"the one before, of another lead":     {append(second[:5:5], ev(5, "session_start", `{}`), asks(6, "q1")), "q1"},
	} {
		r := read(test.events)
		assert.Equal(t, test.want, r.Question(), name)
	}
	r := read(first)
	clone, next := r.Clone(), asks(2, "q2")
	r.Apply(&next)
	clone.Apply(&next)
	assert.Equal(t, "q2", clone.Question(), "a copy shares nothing")
}

func TestRead(t *testing.T) {
	for name, test := range map[string]struct {
		events []Event
		whole  bool
		want   map[int]Kind // by ms
	}{
		"nothing":                    {nil, true, map[int]Kind{0: Idle, 1e9: Idle}},
		"an answer":                  {run(1000, "stop", ""), false, map[int]Kind{1000: Working, 1999: Working, 2000: Answered, 1e9: Answered}},
		"a cut answer":               {run(1000, "length", ""), false, map[int]Kind{2999: Working, 3000: Answered}},
		"an abort":                   {run(1000, "aborted", "Request was aborted"), false, map[int]Kind{1000: Aborted}},
		"an error":                   {run(1000, "error", "529 overloaded"), false, map[int]Kind{15999: Working, 16000: Failed}},
		"a final error":              {run(1000, "error", "400 Invalid request"), false, map[int]Kind{2999: Working, 3000: Failed}},
		"a status to wait for":       {run(1000, "error", "429 slow down"), false, map[int]Kind{3000: Working, 16000: Failed}},
		"no status":                  {run(1000, "error", "terminated"), false, map[int]Kind{3000: Working, 16000: Failed}},
		"an announced retry":         {append(run(1000, "error", "500"), ev(1001, "auto_retry_start", `{"delayMs":60000}`)), false, map[int]Kind{76000: Working, 76001: Failed}},
		"a wait beyond reason":       {append(run(1000, "error", "500"), ev(1001, "auto_retry_start", `{"delayMs":1e300}`)), false, map[int]Kind{86400000: Working, 86416001: Failed}},
		"a wait below nothing":       {append(run(1000, "error", "500"), ev(1001, "auto_retry_start", `{"delayMs":-1e300}`)), false, map[int]Kind{16000: Working, 16001: Failed}},
		"a retry given up":           {append(run(1000, "error", "500"), ev(1001, "auto_retry_end", `{"success":false}`)), false, map[int]Kind{2000: Working, 2001: Failed}},
		"an aborted retry":           {append(run(1000, "error", "500"), ev(1001, "auto_retry_end", `{"success":false}`), ev(1002, "agent_settled", `{"aborted":true}`)), false, map[int]Kind{1002: Aborted}},
		"settled":                    {append(run(1000, "length", ""), ev(1001, "agent_settled", `{"aborted":false}`)), false, map[int]Kind{1001: Answered}},
		"settled falsely":            {append([]Event{ev(1, "agent_settled", `{}`)}, run(1000, "stop", "")[:5]...), false, map[int]Kind{1e6: Working}},
		"an input":                   {[]Event{ev(0, "input", `{"text":"x"}`)}, false, map[int]Kind{59999: Working, 60000: Unheeded}},
		"an input after an answer":   {append(run(1000, "stop", ""), ev(5000, "input", `{}`)), false, map[int]Kind{64999: Working, 65000: Unheeded}},
		"an input in a retry wait":   {append(run(1000, "error", "500"), ev(5000, "input", `{}`)), false, map[int]Kind{15999: Working, 16000: Failed}},
		"an input in a compaction":   {append(run(1000, "stop", ""), ev(1050, "compaction_start", `{}`), ev(1100, "input", `{}`), ev(1200, "compaction_end", `{"willRetry":false}`)), false, map[int]Kind{70000: Answered}},
		"an input before its run":    {append([]Event{ev(0, "input", `{}`)}, run(1000, "stop", "")...), false, map[int]Kind{2000: Answered}},
		"a final error, and a retry": {append(run(1000, "error", "400")[:7], ev(1000, "agent_end", `{"willRetry":true}`)), false, map[int]Kind{3000: Working, 16000: Working, 600999: Working, 601000: Failed}},
		"an input while at work":     {append(run(1000, "toolUse", "")[:7], ev(1000, "input", `{}`)), false, map[int]Kind{1e6: Working}},
		"a compaction":               {append(run(1000, "error", "400 too long"), ev(1050, "session_before_compact", `{}`)), false, map[int]Kind{3000: Working, 601049: Working, 601050: Failed}},
		"a compaction and a run":     {append(run(1000, "error", "400 too long"), ev(1050, "compaction_start", `{}`), ev(2000, "compaction_end", `{"willRetry":true}`)), false, map[int]Kind{3999: Working, 4000: Failed}},
		"a compaction that fails": {
			append(run(1000, "error", "400 too long"), ev(1050, "compaction_start", `{}`), ev(2000, "compaction_end", `{"willRetry":true,"errorMessage":"no"}`)), false,
			map[int]Kind{1999: Working, 2000: Failed},
		},
		"a compaction by hand": {[]Event{ev(0, "compaction_start", `{}`), ev(10, "compaction_end", `{}`)}, true, map[int]Kind{5000: Idle}},
		"a question":           {append(run(1000, "toolUse", "")[:7], ev(1000, "rpc_ui_request", `{"id":"q","method":"confirm"}`)), false, map[int]Kind{1e6: Question}},
		"a notice":             {append(run(1000, "toolUse", "")[:7], ev(1000, "rpc_ui_request", `{"id":"q","method":"notify"}`)), false, map[int]Kind{1e6: Working}},
		"an answered question": {append(run(1000, "toolUse", "")[:7], ev(1000, "rpc_ui_request", `{"id":"q","method":"select"}`), ev(1001, "tool_execution_end", `{}`)), false, map[int]Kind{1e6: Working}},
		"a question of one of two tools": {append(run(1000, "toolUse", "")[:6],
			ev(1000, "tool_execution_start", `{"toolCallId":"1"}`), ev(1000, "tool_execution_start", `{"toolCallId":"2"}`),
			ev(1000, "rpc_ui_request", `{"id":"q","method":"select"}`), ev(2000, "tool_execution_end", `{"toolCallId":"1"}`)), false, map[int]Kind{2000: Working, 61999: Working, 62000: Question}},
		"an answered question of two tools": {append(run(1000, "toolUse", "")[:6],
			ev(1000, "tool_execution_start", `{"toolCallId":"1"}`), ev(1000, "tool_execution_start", `{"toolCallId":"2"}`),
			ev(1000, "rpc_ui_request", `{"id":"q","method":"select"}`), ev(2000, "tool_execution_end", `{"toolCallId":"1"}`), ev(2000, "tool_execution_end", `{"toolCallId":"2"}`)), false, map[int]Kind{1e6: Working}},
		"tasks":                             {[]Event{ev(0, "task_start", `{"taskId":"1"}`), ev(1, "task_start", `{"taskId":"2"}`), ev(2, "task_complete", `{"taskId":"1"}`)}, true, map[int]Kind{1e6: Working}},
		"tasks done":                        {[]Event{ev(0, "task_start", `{"taskId":"1"}`), ev(2, "task_complete", `{"taskId":"1"}`)}, true, map[int]Kind{2: TasksDone}},
		"a task of who knows what":          {[]Event{ev(2, "task_complete", `{"taskId":"1"}`)}, false, map[int]Kind{1e6: Working}},
		"the lead leaves":                   {append(run(1000, "error", "500"), ev(2000, "session_shutdown", `{"reason":"quit"}`)), false, map[int]Kind{2999: Working, 3000: Failed}},
		"the lead leaves in an answer":      {append(run(1000, "stop", "")[:5], ev(2000, "session_shutdown", `{}`)), false, map[int]Kind{3000: Failed}},
		"the lead leaves in another answer": {append(run(1000, "stop", "")[:7], ev(1000, "message_start", assistant("stop", "")), ev(2000, "session_shutdown", `{}`)), false, map[int]Kind{3000: Failed}},
		"the lead leaves with a prompt":     {append(run(1000, "stop", ""), append(run(2000, "stop", "")[:4], ev(2001, "session_shutdown", `{}`))...), false, map[int]Kind{4000: Failed}},
		"the lead leaves in its work":       {append(run(1000, "toolUse", "")[:7], ev(2000, "session_shutdown", `{}`)), false, map[int]Kind{3000: Failed}},
		"the lead leaves with the rest":     {append(run(1000, "stop", "")[:5], ev(2000, "session_shutdown", `{}`), ev(2001, "message_end", assistant("stop", ""))), false, map[int]Kind{3000: Answered}},
		"the lead is off at once":           {append(run(1000, "stop", ""), ev(1100, "session_shutdown", `{}`), ev(1101, "session_leave", `{"participant":{"role":"lead"}}`)), false, map[int]Kind{1101: Answered}},
		"an observer leaves":                {append(run(1000, "stop", ""), ev(1100, "session_shutdown", `{}`), ev(1101, "session_leave", `{"participant":{"role":"observer"}}`)), false, map[int]Kind{1101: Working}},
		"the lead begins anew":              {append(run(1000, "stop", "")[:5], ev(2000, "session_shutdown", `{"reason":"new"}`), ev(2001, "session_start", `{"reason":"new"}`)), false, map[int]Kind{2001: Failed}},
		"another lead in a retry wait":      {append(run(1000, "error", "500"), ev(2000, "session_shutdown", `{"reason":"quit"}`), ev(9000, "session_start", `{}`)), false, map[int]Kind{9000: Failed}},
		"another lead before work":          {[]Event{ev(0, "session_start", `{}`), ev(1, "input", `{}`), ev(2, "session_shutdown", `{}`), ev(9000, "session_start", `{}`)}, true, map[int]Kind{1e6: Idle}},
		"another lead":                      {append(run(1000, "stop", ""), ev(2000, "session_shutdown", `{"reason":"quit"}`), ev(9000, "session_start", `{}`)), false, map[int]Kind{9000: Answered}},
		"a lead that is back":               {append(run(1000, "stop", ""), ev(2000, "session_shutdown", `{"reason":"quit"}`), ev(9000, "input", `{}`)), false, map[int]Kind{9000: Working, 69000: Unheeded}},
		"one that joins":                    {append(run(1000, "error", "500"), ev(2000, "session_shutdown", `{}`), ev(2100, "session_join", `{"participant":{"role":"lead"}}`), ev(2200, "agent_start", `{}`)), false, map[int]Kind{1e6: Working}},
		"one that is on its way out":        {append(run(1000, "stop", ""), ev(2000, "session_shutdown", `{"reason":"quit"}`), ev(2001, "agent_start", `{}`)), false, map[int]Kind{9000: Answered}},
		"a task of another agent":           {append(run(1000, "toolUse", "")[:7], ev(2000, "turn_end", `{"taskId":"1"}`), ev(2000, "agent_end", `{"taskId":"1"}`)), false, map[int]Kind{1e6: Working}},
		"a session that is complete":        {append(run(1000, "toolUse", "")[:7], ev(2000, "session_complete", `{}`)), true, map[int]Kind{1e6: Idle}},
		"a turn, and the lead begins anew":  {append(run(1000, "stop", "")[:7], ev(2000, "session_start", `{}`)), false, map[int]Kind{3000: Answered}},
		"a prompt that was sent":            {append(run(1000, "stop", ""), ev(5000, "user_prompt", `{}`)), false, map[int]Kind{64999: Working, 65000: Unheeded}},
		"a tool":                            {[]Event{ev(0, "tool_execution_update", `{}`)}, false, map[int]Kind{1e6: Working}},
		"a tool that is late":               {append(run(1000, "aborted", ""), ev(1001, "tool_execution_update", `{}`)), false, map[int]Kind{1001: Aborted}},
		"an end that is lost":               {run(1000, "stop", "")[:7], false, map[int]Kind{60989: Working, 60990: Answered}},
		"an end that is lost, after tools":  {run(1000, "toolUse", "")[:7], false, map[int]Kind{1e6: Working}},
		"a turn, and somebody comes":        {append(run(1000, "stop", "")[:7], ev(2000, "session_join", `{}`)), false, map[int]Kind{60990: Answered}},
		"a turn, and another":               {append(run(1000, "stop", "")[:7], ev(2000, "turn_start", `{}`)), false, map[int]Kind{1e6: Working}},
		"an end that says nothing":          {[]Event{ev(0, "agent_start", `{}`), ev(1000, "agent_end", `{}`)}, false, map[int]Kind{15999: Working, 16000: Ended}},
		"a turn that says nothing":          {[]Event{ev(0, "turn_start", `{}`), ev(1000, "turn_end", `{}`)}, false, map[int]Kind{60999: Working, 61000: Ended}},
		"a run without an answer":           {[]Event{ev(0, "agent_start", `{}`), ev(1000, "agent_end", `{"messages":[{"role":"user"}]}`)}, false, map[int]Kind{1000: Failed}},
		"a prompt without a lead":           {append(run(1000, "stop", ""), ev(2000, "session_shutdown", `{}`), ev(5000, "user_prompt", `{}`)), false, map[int]Kind{64999: Working, 65000: Unheeded}},
		"a message of a user alone":         {[]Event{ev(0, "message_end", `{"message":{"role":"user"}}`)}, false, map[int]Kind{1e6: Idle}},
		"a question of tools that a user steered": {append(run(1000, "toolUse", "")[:6],
			ev(1000, "tool_execution_start", `{"toolCallId":"1"}`), ev(1000, "tool_execution_start", `{"toolCallId":"2"}`), ev(1001, "message_end", `{"message":{"role":"user"}}`),
			ev(1002, "rpc_ui_request", `{"id":"q","method":"select"}`), ev(2000, "tool_execution_end", `{"toolCallId":"1"}`)), false, map[int]Kind{2000: Working, 62000: Question}},
		"an envelope":         {[]Event{ev(0, "rpc_event", `{"event":{"type":"agent_end","messages":[{"role":"assistant","stopReason":"stop"}]}}`)}, false, map[int]Kind{999: Working, 1000: Answered}},
		"what cannot be read": {[]Event{ev(0, "agent_start", `<`), ev(1, "message_end", `{"message":7}`), ev(2, "unheard_of", `[]`)}, false, map[int]Kind{1e6: Working}},
	} {
		t.Run(name, func(t *testing.T) {
			for ms, kind := range test.want {
				got := Read(test.events, test.whole, start.Add(time.Duration(ms)*time.Millisecond))
				assert.Equal(t, kind, got.Kind, "at %d ms: %s", ms, got.Reason)
				assert.Equal(t, kind == Answered || kind == Failed || kind == Aborted || kind == TasksDone || kind == Ended, got.Kind.Over())
			}
		})
	}
}

// TestRun_Answered: when the agent has said the last of an answer, though its run may not be over.
func TestRun_Answered(t *testing.T) {
	whole := run(1000, "stop", "")
	for name, test := range map[string]struct {
		events []Event
		want   bool
	}{
		"nothing":                    {nil, false},
		"a run":                      {whole[:4], false},
		"an answer has begun":        {whole[:5], false},
		"an answer":                  {whole[:6], true},
		"a turn":                     {whole[:7], true},
		"the end":                    {whole, true},
		"calls of tools":             {run(1000, "toolUse", "")[:6], false},
		"the end without an answer":  {run(1000, "toolUse", ""), false},
		"a cut answer":               {run(1000, "length", "")[:6], false},
		"the end of a cut one":       {run(1000, "length", ""), true},
		"an error":                   {run(1000, "error", "500"), false},
		"and another begins":         {append(run(1000, "stop", "")[:6], ev(990, "message_start", assistant("stop", ""))), false},
		"another that is unread":     {append(run(1000, "stop", "")[:6], ev(990, "message_end", `{"message":7}`)), false},
		"the answer of a run before": {append(run(1000, "stop", ""), ev(2000, "agent_start", `{}`)), false},
		"a prompt after it":          {append(run(1000, "stop", ""), ev(2000, "input", `{}`)), false},
		"only its message":           {whole[5:6], false},
	} {
		r := Run{Whole: true}
		for i := range test.events {
			r.Apply(&test.events[i])
		}
		assert.Equal(t, test.want, r.Answered(), name)
	}
	assert.Equal(t, "the run ended with aborted", Read(run(1000, "aborted", ""), true, start.Add(time.Hour)).Reason)
	assert.Equal(t, "no retry followed with error", Read(run(1000, "error", "500"), true, start.Add(time.Hour)).Reason)
}

// TestShortened: an id stays what it is up to a length.
func TestShortened(t *testing.T) {
	id := strings.Repeat("x", longestID)
	assert.Equal(t, id, shortened(id))
	assert.Len(t, shortened(id+"x"), 32)
}

func TestRead_Backoff(t *testing.T) {
	// Each wait is twice the one before: after one of 40 s the next may take 87 s.
	events := append(run(1000, "error", "500"), run(41100, "error", "500")...)
	events = append(events[:8], append([]Event{events[8], events[9]}, events[12:]...)...) // without another prompt
	now := start.Add(41100*time.Millisecond + 86*time.Second)
	assert.Equal(t, Working, Read(events, false, now).Kind)
	assert.Equal(t, Failed, Read(events, false, now.Add(2*time.Second)).Kind)
}

func TestDecode_Text(t *testing.T) {
	answer := Decode("message_end", []byte(assistant("stop", "")), start).Last
	assert.Equal(t, "said", answer.Text, "no thoughts")
	assert.Equal(t, "plain", Decode("message_end", []byte(`{"message":{"role":"assistant","content":"plain"}}`), start).Last.Text)
}

// TestRun_Sure: what older events could change.
func TestRun_Sure(t *testing.T) {
	for name, test := range map[string]struct {
		events []Event
		at     int
		want   bool
	}{
		"nothing":                       {nil, 0, false},
		"an answer":                     {run(1000, "stop", "")[7:], 5000, true},
		"work":                          {run(1000, "stop", "")[4:5], 5000, true},
		"somebody who comes":            {[]Event{ev(0, "session_join", `{}`)}, 5000, false},
		"an error that may be retried":  {run(1000, "error", "500")[7:], 5000, true},
		"one whose retries are unknown": {run(1000, "error", "500")[7:], 20000, false},
		"one whose prompt was seen":     {run(1000, "error", "500"), 20000, true},
		"a final error":                 {run(1000, "error", "400")[7:], 20000, true},
		"an input":                      {[]Event{ev(0, "input", `{}`)}, 5000, true},
		"one that nobody took":          {[]Event{ev(0, "input", `{}`)}, 70000, false},
		"a question":                    {[]Event{ev(0, "rpc_ui_request", `{"id":"q","method":"confirm"}`)}, 5000, true},
		"two questions":                 {[]Event{ev(0, "rpc_ui_request", `{"id":"q","method":"confirm"}`), ev(1, "rpc_ui_request", `{"id":"p","method":"confirm"}`)}, 5000, false},
		"one question twice":            {[]Event{ev(0, "rpc_ui_request", `{"id":"q","method":"confirm"}`), ev(1, "rpc_ui_request", `{"id":"q","method":"confirm"}`)}, 5000, true},
		"a lead that left":              {[]Event{ev(0, "session_shutdown", `{"reason":"quit"}`)}, 5000, false},
		"a lead that left its answer":   {append(run(1000, "stop", "")[5:6], ev(1001, "session_shutdown", `{"reason":"quit"}`)), 5000, true},
		"a lead that left in an answer": {[]Event{ev(0, "message_start", assistant("stop", "")), ev(1, "session_shutdown", `{"reason":"quit"}`)}, 5000, true},
		"a lead that left its tools":    {append(run(1000, "toolUse", "")[4:6], ev(1001, "session_shutdown", `{"reason":"quit"}`)), 5000, true},
		"a lead that left at once":      {[]Event{ev(0, "agent_start", `{}`), ev(1, "session_shutdown", `{"reason":"quit"}`)}, 5000, false},
		"a task":                        {[]Event{ev(0, "task_complete", `{"taskId":"1"}`)}, 5000, false},
		"an end that says nothing":      {[]Event{ev(0, "agent_end", `{}`)}, 20000, false},
		"a compaction":                  {[]Event{ev(0, "compaction_start", `{}`)}, 5000, true},
		"a tool at work":                {[]Event{ev(0, "tool_execution_update", `{"toolCallId":"1"}`)}, 5000, true},
		"a tool that has ended":         {[]Event{ev(0, "tool_execution_end", `{"toolCallId":"1"}`)}, 5000, false},
		"one of which the turn is seen": {[]Event{ev(0, "turn_start", `{}`), ev(0, "tool_execution_end", `{"toolCallId":"1"}`)}, 5000, true},
		"one after which it goes on":    {[]Event{ev(0, "tool_execution_end", `{"toolCallId":"1"}`), ev(0, "message_start", `{}`)}, 5000, true},
		"a compaction that has ended":   {[]Event{ev(0, "compaction_end", `{}`)}, 5000, false},
	} {
		r := Run{}
		for i := range test.events {
			r.Apply(&test.events[i])
		}
		now := start.Add(time.Duration(test.at) * time.Millisecond)
		assert.Equal(t, test.want, r.Sure(now), "%s: %s", name, r.At(now).Reason)
		r.Whole = true
		assert.True(t, r.Sure(now))
	}
}

// FuzzRun plays any events in any order: without another event a verdict stands, and what is waited for ends.
func FuzzRun(f *testing.F) {
	names := []string{
		"agent_start", "turn_start", "message_start", "message_update", "message_end", "turn_end", "agent_end", "agent_settled",
		"auto_retry_start", "auto_retry_end", "session_before_compact", "compaction_start", "session_compact", "compaction_end", "input", "user_prompt",
		"tool_call", "tool_execution_update", "tool_execution_end", "task_start", "task_complete", "task_error", "rpc_ui_request", "session_start",
		"session_leave", "session_join", "session_shutdown", "session_complete", "session_error", "rpc_event", "anything",
	}
	payloads := []string{
		`{}`, assistant("stop", ""), assistant("error", "529 overloaded"), assistant("error", "400 no"), assistant("toolUse", ""), assistant("aborted", ""), assistant("length", ""),
		`{"message":{"role":"user"}}`, `{"messages":[]}`, `{"delayMs":60000}`, `{"delayMs":-1e300}`, `{"success":false}`, `{"willRetry":true}`, `{"willRetry":false,"errorMessage":"x"}`,
		`{"aborted":true}`, `{"taskId":"1"}`, `{"id":"q","method":"select"}`, `{"reason":"quit"}`, `{"reason":"new"}`, `{"participant":{"role":"lead"}}`,
		`{"event":{"type":"agent_end","messages":[]}}`, `<`, `[]`, `{"message":[],"messages":{}}`,
	}
	for i := range names {
		f.Add([]byte{byte(i), 1, 4, byte(i), 2, 7, 6, byte(i), 30}, uint16(3000))
	}
	f.Fuzz(func(t *testing.T, script []byte, step uint16) {
		r := Run{}
		now := start
		for len(script) >= 3 {
			e := Decode(names[int(script[0])%len(names)], []byte(payloads[int(script[1])%len(payloads)]), now)
			r.Apply(&e)
			now = now.Add(time.Duration(script[2]) * time.Duration(step) * time.Millisecond)
			script = script[3:]
			reading := r.At(now)
			if !reading.Until.IsZero() && !reading.Until.After(now) {
				t.Fatalf("%s (%s) until %v, which has passed at %v", reading.Kind, reading.Reason, reading.Until, now)
			}
		}
		settled := false
		for range 5 {
			reading := r.At(now)
			if settled && !reading.Kind.Over() {
				t.Fatalf("it was over, and is %s (%s) at %v", reading.Kind, reading.Reason, now)
			}
			settled = settled || reading.Kind.Over()
			if reading.Kind == Working && reading.Until.IsZero() && !r.open && len(r.tasks) == 0 && !r.taskDone {
				t.Fatalf("%s without an end", reading.Reason)
			}
			now = now.Add(time.Hour)
		}
		r.Sure(now)
	})
}

// TestRun_KeepsFewQuestions: each is remembered, since it may be told twice, but not for ever.
func TestRun_KeepsFewQuestions(t *testing.T) {
	var r Run
	for i := range 3 * mostWaiting {
		e := ev(i, "rpc_ui_request", fmt.Sprintf(`{"id":"q%d%s","method":"input"}`, i, strings.Repeat("x", 1<<10)))
		r.Apply(&e)
		require.LessOrEqual(t, len(r.asked), mostWaiting)
	}
	for id := range r.asked {
		assert.LessOrEqual(t, len(id), 64)
	}
	assert.Contains(t, r.Question(), fmt.Sprintf("q%d", 3*mostWaiting-1))
}

// TestRun_KeepsNoLongIDs: an agent may have begun many tasks and calls, and a Hub chooses how long their ids are.
func TestRun_KeepsNoLongIDs(t *testing.T) {
	var r Run
	id := func(i int, end string) string { return fmt.Sprintf("%d%s%s", i, strings.Repeat("x", 1<<10), end) }
	for i := range 100 {
		for _, end := range []string{"a", "b"} {
			for event, member := range map[string]string{"task_start": "taskId", "tool_execution_start": "toolCallId"} {
				e := ev(i, event, fmt.Sprintf(`{%q:%q}`, member, id(i, end)))
				r.Apply(&e)
			}
		}
	}
	assert.Len(t, r.tasks, 200, "long ids are told apart")
	assert.Len(t, r.tools, 200)
	for _, ids := range []map[string]bool{r.tasks, r.tools} {
		for known := range ids {
			assert.LessOrEqual(t, len(known), 64)
		}
	}
	for i := range 100 {
		for _, end := range []string{"a", "b"} {
			for event, member := range map[string]string{"task_complete": "taskId", "tool_execution_end": "toolCallId"} {
				e := ev(200+i, event, fmt.Sprintf(`{%q:%q}`, member, id(i, end)))
				r.Apply(&e)
			}
		}
	}
	assert.Empty(t, r.tasks, "what is over is forgotten")
	assert.Empty(t, r.tools)
}
