package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/agentuity/coder-go"
)

// summary is what is known of a session besides its conversation. Its texts are clean.
type summary struct {
	Title string
	Task  string // the first prompt, unless it is the title
	Facts []fact
	Tasks []task
	Todos []todo
	// TodosNote says why there are no todos, where they could not be read.
	TodosNote string

	Outcome string
	State   state
	Working bool // more may come

	taskNumbers map[string]int
}

// fact is a line of a summary.
type fact struct{ Name, Value string }

// task is what an agent was given to do by another.
type task struct {
	Number       int
	Agent        string
	Status, Took string
	State        state
	Started      time.Time
	Prompt, Text passage
}

// todo is a line of the list that the agents keep.
type todo struct {
	Title, Status, Who string
	Done               bool
}

// summarize reads what is known of a session.
func summarize(ctx context.Context, client *coder.Client, id string, s *settings) (*summary, error) {
	outcome, err := client.CheckSession(ctx, id)
	if err != nil {
		return nil, err
	}
	session := outcome.Session
	out := &summary{Title: cmp.Or(line(session.Label), line(session.Task), line(id)), Task: strings.TrimSpace(clean(session.Task))}
	if line(out.Task) == out.Title {
		out.Task = ""
	}
	out.ends(outcome)
	out.facts(session)
	out.used(session)
	out.delegated(session, s.full)
	if err := out.todos(ctx, client, id); err != nil {
		return nil, err
	}
	return out, nil
}

// outcomes says for each kind of outcome what it means to somebody who reads.
var outcomes = map[coder.OutcomeKind]struct {
	text  string
	state state
}{
	coder.OutcomeDeleted:    {"deleted", unknown},
	coder.OutcomeArchived:   {"over", unknown},
	coder.OutcomeFailed:     {"failed", bad},
	coder.OutcomeCompleted:  {"completed", ok},
	coder.OutcomeCancelled:  {"cancelled", bad},
	coder.OutcomeBlocked:    {"blocked: it cannot go on by itself", bad},
	coder.OutcomeNeedsInput: {"waiting for an answer", unknown},
	coder.OutcomeTurnEnded:  {"done, ready for the next prompt", ok},
	coder.OutcomeAborted:    {"aborted", bad},
	coder.OutcomePaused:     {"paused", unknown},
	coder.OutcomeWorking:    {"at work when this page was written", unknown},
	coder.OutcomeStalled:    {"no agent took it", bad},
}

// finished says how the last prompt of a session ended that is over.
var finished = map[coder.OutcomeKind]string{
	coder.OutcomeTurnEnded:  "the last prompt was answered",
	coder.OutcomeFailed:     "the last prompt failed",
	coder.OutcomeAborted:    "the last prompt was aborted",
	coder.OutcomeWorking:    "the last prompt was not finished",
	coder.OutcomeNeedsInput: "a question was left open",
	coder.OutcomeStalled:    "no agent took the last prompt",
}

// ends says how the session ended.
func (out *summary) ends(o *coder.SessionOutcome) {
	is := outcomes[o.Kind]
	out.Outcome, out.State, out.Working = cmp.Or(is.text, line(string(o.Kind))), is.state, o.Kind == coder.OutcomeWorking
	if last, known := finished[o.Finished]; known && (o.Kind == coder.OutcomeArchived || o.Kind == coder.OutcomeDeleted) {
		out.Outcome += ", " + last
		out.State = outcomes[o.Finished].state
	}
	if o.Truncated {
		out.Outcome += "; the last answer is cut, the model had no room for more"
	}
	if o.ErrorMessage != "" {
		out.Outcome += ": " + line(o.ErrorMessage)
	}
}

func (out *summary) fact(name, value string) {
	if value = line(value); value != "" {
		out.Facts = append(out.Facts, fact{name, value})
	}
}

// facts are what the session is. Its environment and the addresses of its repositories may have secrets.
func (out *summary) facts(s *coder.Session) {
	out.fact("Session", s.SessionID)
	out.fact("Status", s.Status)
	if s.Owner != nil {
		out.fact("Owner", cmp.Or(s.Owner.Name, s.Owner.UserID))
	}
	out.fact("Agent", s.DefaultAgent)
	if r := s.Repo; r != nil {
		name := cmp.Or(r.FullName, r.Name)
		if branch := cmp.Or(r.Branch, r.Ref, r.DefaultBranch); branch != "" && name != "" {
			name += ", " + branch
		}
		out.fact("Repository", name)
	}
	if s.Workspace != nil {
		out.fact("Workspace", s.Workspace.Name)
	}
	out.fact("Tags", strings.Join(s.Tags, ", "))
	out.fact("Created", moment(s.CreatedAt))
	out.fact("Last activity", moment(s.LastActivityAt))
}

// used is what the session has cost, where the Hub says so.
func (out *summary) used(s *coder.Session) {
	used, err := s.Usage()
	if err != nil || used == nil {
		return
	}
	tokens := fmt.Sprintf("%s read, %s written", grouped(used.InputTokens), grouped(used.OutputTokens))
	if used.ReasoningTokens > 0 {
		tokens += fmt.Sprintf(", %s for thinking", grouped(used.ReasoningTokens))
	}
	out.fact("Tokens", tokens)
	if used.CostUSD != nil {
		out.fact("Cost", "$"+strconv.FormatFloat(*used.CostUSD, 'f', 2, 64))
	}
}

// delegated are the tasks of the session.
func (out *summary) delegated(s *coder.Session, full bool) {
	tasks, err := s.Tasks()
	if err != nil {
		return // a form of another Hub
	}
	out.taskNumbers = make(map[string]int)
	for i, t := range tasks {
		shown := task{
			Number: i + 1, Agent: line(t.Agent), Status: line(string(t.Status)), Started: t.StartedAt,
			Prompt: cut(clean(strings.TrimSpace(t.Prompt)), full), Text: cut(clean(strings.TrimSpace(cmp.Or(t.Error, t.Result))), full),
		}
		switch t.Status {
		case coder.TaskCompleted:
			shown.State = ok
		case coder.TaskFailed:
			shown.State = bad
		case coder.TaskRunning: // not known yet
		}
		if t.Duration > 0 {
			shown.Took = duration(t.Duration.Duration())
		}
		out.Tasks = append(out.Tasks, shown)
		out.taskNumbers[t.TaskID] = i + 1
	}
}

// todos reads the list that the agents keep. Not every Hub has one, and the page is of use without it.
func (out *summary) todos(ctx context.Context, client *coder.Client, id string) error {
	list, err := client.SessionTodos(ctx, id, &coder.SessionTodosParams{IncludeTerminal: true})
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, coder.ErrNotFound):
		return nil
	case err != nil:
		out.TodosNote = "The list of todos could not be read: " + line(err.Error())
		return nil
	case list.Unavailable:
		out.TodosNote = "The Hub could not reach the list of todos. " + line(list.Message)
		return nil
	}
	for _, t := range list.Todos {
		shown := todo{Title: line(t.Title), Status: line(strings.ReplaceAll(string(t.Status), "_", " ")), Done: t.Status == coder.TodoDone}
		if t.Assignee != nil {
			shown.Who = cmp.Or(line(t.Assignee.Name), line(t.Assignee.ID))
		}
		out.Todos = append(out.Todos, shown)
	}
	return nil
}

// moment is a time for people; empty if it is not known.
func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05 UTC")
}
