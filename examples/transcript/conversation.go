package main

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/examples/internal/transcript"
)

// A kind says what an item is.
type kind string

const (
	prompt   kind = "prompt"
	thoughts kind = "thoughts"
	answer   kind = "answer"
	call     kind = "call"
	report   kind = "report" // of another agent, which had a task
	process  kind = "process"
	preview  kind = "preview"
	other    kind = "other" // of a kind that this program does not know
)

// item is what is shown of one entry, or of a call of a tool and its result. Its texts are clean.
type item struct {
	Kind   kind
	Number int    // prompts are counted from 1, others have 0
	Who    string // may be empty
	Task   string // the task that it belongs to, or empty
	TaskNo int    // the number of that task in the summary; 0: it is not there
	At     time.Time
	Took   string // how long it took, or empty

	Thinking passage
	Text     passage
	// Name is the tool, the command or the address, Brief what tells this one from others.
	Name, Brief string
	Args        []argument
	State       state
	Files       []attachment

	callID string
	open   bool // its result may follow
}

// size is how much memory the item holds, more or less.
func (it *item) size() int {
	n := it.Text.size() + it.Thinking.size()
	for _, arg := range it.Args {
		n += len(arg.Name) + arg.Value.size()
	}
	for _, f := range it.Files {
		n += len(f.Image) + f.Text.size()
	}
	return n
}

// A state is how something ended.
type state string

const (
	unknown state = ""
	ok      state = "ok"
	bad     state = "failed"
	missing state = "no result"
	later   state = "result below" // it comes so late that the call is written already
)

// argument is what a tool was called with.
type argument struct {
	Name  string
	Value passage
}

// The limits of what waits until the result of a call has come: what is further apart is shown apart.
const (
	mostWaiting = 256
	mostHeld    = 1 << 20 // bytes
)

// totals are what there was in all.
type totals struct {
	Entries, Prompts, Answers, Cut int
	Calls, Failed                  int // of tools
	First, Last                    time.Time
}

// format writes a page, from top to bottom.
type format interface {
	begin(*summary) error
	item(*item) error
	end(*summary, *totals) error
}

// write reads a session and writes its page.
func write(ctx context.Context, client *coder.Client, id string, s *settings, out io.Writer, teller *teller) error {
	stop := teller.Watch(teller.counted)
	defer stop()
	summary, err := summarize(ctx, client, id, s)
	if err != nil {
		return err
	}
	buffer := bufio.NewWriter(&counting{out, teller})
	var page format = &htmlPage{out: buffer}
	if s.format == "md" {
		page = &markdownPage{out: buffer}
	}
	if err := page.begin(summary); err != nil {
		return err
	}
	c := conversation{page: page, full: s.full, tasks: summary.taskNumbers}
	for entry, err := range client.ReplayEntries(ctx, id, nil) {
		if err != nil {
			return err
		}
		if err := c.take(&entry); err != nil {
			return err
		}
		teller.read()
	}
	if err := c.flush(); err != nil {
		return err
	}
	if err := page.end(summary, &c.totals); err != nil {
		return err
	}
	return buffer.Flush()
}

// conversation makes items of entries.
type conversation struct {
	page    format
	full    bool
	tasks   map[string]int // their numbers by their ids
	totals  totals
	waiting []*item // in order; the first is a call whose result may follow
	held    int     // how large they are
}

// take takes the next entry.
func (c *conversation) take(e *coder.ConversationEntry) error {
	c.totals.Entries++
	if at := e.Timestamp.Time; !at.IsZero() {
		if c.totals.First.IsZero() {
			c.totals.First = at
		}
		c.totals.Last = at
	}
	switch e.Type {
	case coder.EntryToolCall:
		return c.put(c.call(e))
	case coder.EntryToolResult:
		if c.result(e) {
			return c.write()
		}
	case coder.EntryMessage, coder.EntryThinking: // who says something has the results of what it has called
		for _, it := range c.waiting {
			it.open = it.open && it.Task != line(e.TaskID)
		}
	}
	if it := c.item(e); it != nil {
		return c.put(it)
	}
	return c.write()
}

// call is an item of a call, without its result.
func (c *conversation) call(e *coder.ConversationEntry) *item {
	it := c.base(call, e)
	it.callID, it.open, it.State = e.ToolCallID, true, missing
	it.Name, it.Brief = cmp.Or(line(e.ToolName), "a tool"), line(transcript.Brief(e.ToolArgs))
	for _, name := range slices.Sorted(maps.Keys(e.ToolArgs)) {
		it.Args = append(it.Args, argument{line(name), c.passage(written(e.ToolArgs[name]))})
	}
	c.totals.Calls++
	return it
}

// result adds a result to its call, and reports whether that still waits.
func (c *conversation) result(e *coder.ConversationEntry) bool {
	i := slices.IndexFunc(c.waiting, func(it *item) bool { return it.open && it.callID == e.ToolCallID })
	if i < 0 {
		return false
	}
	it := c.waiting[i]
	it.open = false
	c.ended(it, e)
	if it.Took == "" && !it.At.IsZero() && e.Timestamp.After(it.At) {
		it.Took = duration(e.Timestamp.Sub(it.At))
	}
	c.held += it.Text.size()
	return true
}

// ended says in an item what has come of a call.
func (c *conversation) ended(it *item, e *coder.ConversationEntry) {
	it.State, it.Text = ok, c.passage(e.Content)
	if e.IsError != nil && *e.IsError {
		it.State = bad
		if it.Kind == call {
			c.totals.Failed++
		}
	}
	if e.ElapsedMs != nil {
		it.Took = duration(e.ElapsedMs.Duration())
	}
}

// put writes an item in its turn.
func (c *conversation) put(it *item) error {
	c.waiting = append(c.waiting, it)
	c.held += it.size()
	return c.write()
}

// write writes what need not wait, and if too much waits, what need as well.
func (c *conversation) write() error {
	for len(c.waiting) > 0 {
		it := c.waiting[0]
		if it.open {
			if len(c.waiting) <= mostWaiting && c.held <= mostHeld {
				return nil
			}
			it.State = later
		}
		c.waiting[0] = nil
		c.waiting = c.waiting[1:]
		c.held -= it.size()
		if err := c.page.item(it); err != nil {
			return err
		}
	}
	return nil
}

// flush writes all that waits: nothing follows.
func (c *conversation) flush() error {
	for _, it := range c.waiting {
		it.open = false
	}
	return c.write()
}

func (c *conversation) base(k kind, e *coder.ConversationEntry) *item {
	return &item{
		Kind: k, Who: line(e.Agent), Task: line(e.TaskID), TaskNo: c.tasks[e.TaskID], At: e.Timestamp.Time,
	}
}

// item is what is shown of an entry that is no call; nil if there is nothing to show.
func (c *conversation) item(e *coder.ConversationEntry) *item {
	it := c.base(other, e)
	switch e.Type {
	case coder.EntryUserPrompt:
		c.totals.Prompts++
		it.Kind, it.Number, it.Who = prompt, c.totals.Prompts, author(e)
		it.Text = passage{Text: trimmed(e.Content)}
		for i := range e.Attachments {
			it.Files = append(it.Files, c.attached(&e.Attachments[i]))
		}
	case coder.EntryMessage:
		it.Kind, it.Text, it.Thinking = answer, passage{Text: trimmed(e.Content)}, c.passage(e.Thinking)
		if it.Text.Text != "" { // else the model has only thought
			c.totals.Answers++
		}
	case coder.EntryThinking:
		it.Kind, it.Thinking = thoughts, c.passage(cmp.Or(e.Thinking, e.Content))
	case coder.EntryToolResult: // its call was not there, or is written already
		it.Kind, it.Name, it.Brief = call, cmp.Or(line(e.ToolName), "a tool"), "result of an earlier call"
		c.ended(it, e)
	case coder.EntryTaskResult:
		it.Kind = report
		c.ended(it, e)
	case coder.EntryRuntimeStatus, coder.EntryRuntimeOutput:
		it.Kind, it.Text = process, c.passage(e.Content)
		c.ran(it, e.Runtime)
	case coder.EntryRuntimePreview:
		it.Kind, it.Text = preview, c.passage(e.Content)
		if p := e.Preview; p != nil {
			it.Name, it.Brief = address(p.URL), line(p.Status)
		}
	default:
		it.Name, it.Text, it.Thinking = line(string(e.Type)), c.passage(e.Content), c.passage(e.Thinking)
	}
	if it.empty() {
		return nil
	}
	if it.Took == "" && e.ElapsedMs != nil {
		it.Took = duration(e.ElapsedMs.Duration())
	}
	return it
}

// empty reports whether there is nothing to show, as of an entry that only says that a turn begins.
func (it *item) empty() bool {
	nothing := it.Text.Text == "" && it.Thinking.Text == ""
	switch it.Kind {
	case thoughts, answer, other:
		return nothing
	case process, preview:
		return nothing && it.Name == "" && it.Brief == ""
	}
	return false
}

// ran says what a process was, and how it ended. Its environment may have secrets and is left out.
func (c *conversation) ran(it *item, p *coder.RuntimeProcessDescriptor) {
	if p == nil {
		return
	}
	it.Name = line(strings.Join(append([]string{p.Command}, p.Args...), " "))
	if runes := []rune(it.Name); len(runes) > 200 && !c.full {
		it.Name = string(runes[:200]) + "…"
	}
	var how []string
	if p.Status != "" {
		how = append(how, line(p.Status))
	}
	if p.ExitCode != nil {
		how = append(how, fmt.Sprintf("status %d", *p.ExitCode))
		if *p.ExitCode != 0 {
			it.State = bad
		}
	}
	if p.Signal != "" {
		how = append(how, "ended by "+line(p.Signal))
		it.State = bad
	}
	it.Brief = strings.Join(how, ", ")
}

// passage cleans a text and cuts it.
func (c *conversation) passage(text string) passage {
	p := cut(trimmed(text), c.full)
	if p.Left > 0 {
		c.totals.Cut++
	}
	return p
}

// author is who wrote a prompt. A mail address is nobody's business.
func author(e *coder.ConversationEntry) string {
	if a := e.Author; a != nil {
		return cmp.Or(line(a.DisplayName), line(a.APIKeyLabel), line(a.UserID))
	}
	return line(e.Agent)
}
