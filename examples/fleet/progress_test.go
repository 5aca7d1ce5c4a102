package main

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
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

// screen is a terminal, as far as the table needs one.
type screen struct {
	mu             sync.Mutex
	columns, lines int
	text           []string // with what has scrolled away; the cursor is behind it
	wrong          []string
}

func newScreen(columns, lines int) *screen {
	return &screen{columns: columns, lines: lines, text: []string{""}}
}

func (s *screen) size() (columns, lines int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.columns, s.lines
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for rest := string(p); rest != ""; {
		last := &s.text[len(s.text)-1]
		var up int
		switch r := []rune(rest)[0]; {
		case r == '\n':
			s.text = append(s.text, "")
			rest = rest[1:]
			continue
		case r == '\x1b':
			if _, err := fmt.Sscanf(rest, "\x1b[%dA\r\x1b[J", &up); err != nil || *last != "" || up >= len(s.text) || up >= s.lines {
				s.wrong = append(s.wrong, fmt.Sprintf("%.20q behind %q, with %d lines", rest, *last, len(s.text)))
				up = min(up, len(s.text)-1)
			}
			s.text = append(s.text[:len(s.text)-1-up], "")
			rest = rest[strings.Index(rest, "J")+1:]
			continue
		case r < ' ':
			s.wrong = append(s.wrong, fmt.Sprintf("the control character %q", r))
		}
		r := []rune(rest)[0]
		if cells(*last)+runeCells(r) >= s.columns {
			s.wrong = append(s.wrong, fmt.Sprintf("too wide: %q", *last))
		}
		*last += string(r)
		rest = rest[len(string(r)):]
	}
	return len(p), nil
}

// resize breaks the lines that have no room any more, as terminals do.
func (s *screen) resize(columns int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.columns = columns
	var text []string
	for _, line := range s.text {
		for cells(line) > columns {
			text, line = append(text, line[:columns]), line[columns:]
		}
		text = append(text, line)
	}
	s.text = text
}

func (s *screen) view() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.text, "\n")
}

// TestTable looks at a terminal while agents work.
func TestTable(t *testing.T) {
	for _, size := range [][2]int{{80, 24}, {40, 24}, {200, 4}, {20, 4}, {12, 3}, {12, 2}, {3, 1}} {
		bubble(t, func(t *testing.T, hub *codertest.Hub) {
			hub.OnSession(func(s *codertest.SessionControl) {
				if s.Label() == "日本語のタイトル \x1b[2Jx" {
					s.FailModel(codertest.AgentOverloaded)
				}
				works(2)(s)
			})
			const tasks = `{"key":"a","task":"A","label":"日本語のタイトル \u001b[2Jx"}` + "\n" + `{"key":"b","task":"Find the race"}` + "\n" + `{"key":"c","task":"Tidy up"}` + "\nE\nF\n"
			terminal := newScreen(size[0], size[1])
			var out text
			p := &program{in: strings.NewReader(tasks), out: &out, errs: terminal, size: terminal.size, client: clientOf(t, hub)}
			ended := make(chan int, 1)
			go func() { ended <- p.run(t.Context(), []string{"-at-once", "3", "-"}) }()
			var views []string
			status := -1
			for status < 0 {
				select {
				case status = <-ended:
				case <-time.After(100 * time.Millisecond):
					synctest.Wait()
					views = append(views, terminal.view())
				}
			}
			require.Equal(t, allWell, status)
			assert.Empty(t, terminal.wrong)
			last := terminal.view()
			assert.Equal(t, 5, strings.Count(last, "\n"), "one line a task is left:\n%s", last)
			all := strings.Join(slices.Compact(views), "\n\n")
			if size[0] < 80 {
				return
			}
			assert.Equal(t, 5, strings.Count(last, " done "), last)
			for _, want := range []string{"0 of 5 ended; 3 at work; ", "2/5    ", " Find the race ", "active\n", "thinking", "read file0", " ×1  ", "; 2 tool calls, "} {
				assert.Contains(t, all, want)
			}
			assert.NotContains(t, all, "begins")
			assert.Contains(t, all, "日本語のタイトル [2Jx ")
			if size[1] == 4 {
				assert.Contains(t, all, "and 2 more at work\n")
			} else {
				assert.True(t, regexp.MustCompile(`\n1/5 .*\n2/5 .*\n3/5 `).MatchString(all), "in the order of the file")
				assert.Contains(t, all, "tries again in 2s: 529")
				assert.NotContains(t, all, "more at work")
			}
		}, codertest.WithAgentPace(400*time.Millisecond))
	}
}

// TestRow: what is heard of an agent says what it does, and polls say it where nothing is heard.
func TestRow(t *testing.T) {
	r := &row{}
	poll := func(status, activity string) {
		session := &coder.Session{SessionListItem: coder.SessionListItem{SessionID: "codesess_1", Status: status}}
		if activity != "" {
			session.Extra = map[string]json.RawMessage{"agentActivity": json.RawMessage(activity)}
		}
		r.polled(session)
	}
	assert.Equal(t, "looking for its session", r.now())
	poll(coder.StatusProvisioning, "")
	assert.Equal(t, "provisioning", r.now())
	assert.Equal(t, "codesess_1", r.session())
	poll(coder.StatusActive, `{"lead":{"status":"tool_start","currentTool":"bash"}}`)
	assert.Equal(t, "bash", r.now())
	for _, step := range []struct {
		event coder.AgentEvent
		want  string
	}{
		{&coder.AgentStart{}, "thinking"},
		{&coder.ToolExecutionStart{ToolCallID: "a", ToolName: "bash", Args: json.RawMessage(`{"command":"go  test"}`)}, "bash go test"},
		{&coder.ToolExecutionStart{ToolCallID: "a", ToolName: "bash"}, "bash"},
		{&coder.ToolExecutionStart{ToolName: "read"}, "read"},
		{&coder.ToolExecutionEnd{}, "thinking"},
		{&coder.TaskStart{Agent: "tester", Prompt: "Test it"}, "task for tester: Test it"},
		{&coder.MessageStart{Message: coder.AgentMessage{Role: "user"}}, "task for tester: Test it"},
		{&coder.TaskComplete{}, "thinking"},
		{&coder.CompactionStart{}, "summarizes the conversation"},
		{&coder.MessageStart{Message: coder.AgentMessage{Role: "assistant"}}, "thinking"},
		{&coder.AutoRetryStart{Delay: coder.Milliseconds(2000), ErrorMessage: "529"}, "tries again in 2s: 529"},
	} {
		r.heard(step.event)
		assert.Equal(t, step.want, r.now())
		poll(coder.StatusActive, `{"lead":{"status":"tool_start","currentTool":"bash"}}`)
		assert.Equal(t, step.want, r.now(), "what is heard is newer than a poll")
	}
	assert.Equal(t, 2, r.toolCalls())
	poll(coder.StatusPaused, "")
	assert.Equal(t, "paused", r.now())
}

// TestTable_Resized: a terminal that has become narrower has broken the lines of the table.
func TestTable_Resized(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		terminal := newScreen(60, 24)
		p := &progress{out: terminal, size: terminal.size}
		p.start(make([]*result, 2))
		row := p.begin(1, &task{request: coder.CreateSessionRequest{Task: "A task with quite a long name that fills the line"}})
		time.Sleep(time.Second)
		synctest.Wait()
		require.Equal(t, 2, strings.Count(terminal.view(), "\n"))
		terminal.resize(30)
		p.end(row, &result{Succeeded: true})
		time.Sleep(time.Second)
		p.stop()
		assert.Empty(t, terminal.wrong)
		assert.Equal(t, 1, strings.Count(terminal.view(), "\n"), terminal.view())
	})
}
