package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"strings"

	"github.com/agentuity/coder-go"
)

const help = `* what you can type:
TEXT            a prompt; while the agent works it waits until that is done
/steer TEXT     change the agent's course while it works
/followup TEXT  what it is to do next, also if you leave
/abort          stop the agent, as Ctrl-C does
/state          what the agent is at
/help           this
/quit           leave, as Ctrl-D does; the session goes on
When the agent asks something, the next line answers it; an empty one says nothing.`

// user is the half of the program that faces the user. Its fields belong to one goroutine.
type user struct {
	*chat
	ctx         context.Context
	interrupts  <-chan os.Signal
	interactive bool

	lines    <-chan string // nil after the end of the input
	current  *prompt       // what the agent is at for this user; nil: nothing
	waiting  []prompt      // what it is to do after that
	question *question     // what it asks; nil: nothing
	aborted  bool          // it was told to stop
}

// serveUser takes what the user types, until he leaves or the other half of the program ends.
func (c *chat) serveUser(ctx context.Context, t terminal, ended <-chan error) error {
	u := &user{chat: c, ctx: ctx, interrupts: t.interrupts, interactive: t.interactive, lines: readLines(ctx, t.in)}
	defer u.close()
	for {
		if u.lines == nil && u.question != nil {
			u.answer("") // nobody is left who could
		}
		if u.lines == nil && (u.interactive || u.current == nil && len(u.waiting) == 0) {
			return nil
		}
		u.turn()
		prompts, next := u.next()
		select {
		case line, ok := <-u.input():
			if !ok {
				u.lines = nil
			} else if quit := u.take(strings.TrimSpace(line)); quit {
				return nil
			}
		case prompts <- next:
			u.current, u.waiting, u.aborted = &next, u.waiting[1:], false
		case <-u.done:
			u.current.cancel()
			u.current = nil
		case q := <-u.asked():
			u.view.Turn("")
			u.question = q
			q.print(u.view)
		case <-u.question.over():
			u.view.Turn("")
			u.view.Line("* %s: %s", u.question.ended(), u.question.Title)
			u.close()
		case <-u.interrupts:
			if stopped := u.interrupt(); !stopped {
				return errInterrupted
			}
		case err := <-ended:
			if errors.Is(err, errOver) {
				u.view.Line("%v", err)
				return nil
			}
			return err
		}
	}
}

// readLines sends the lines of the input. Reading cannot be cancelled: the goroutine may outlive
// the conversation, until there is another line, or no more.
func readLines(ctx context.Context, in io.Reader) <-chan string {
	lines := make(chan string)
	go func() {
		defer close(lines)
		reader := bufio.NewReader(in)
		for {
			line, err := reader.ReadString('\n')
			if line != "" {
				select {
				case lines <- line:
				case <-ctx.Done():
					return
				}
			}
			if err != nil { // the end, or a terminal that is gone
				return
			}
		}
	}()
	return lines
}

// input returns the lines if the next one is wanted. What is no terminal has to wait for its turn.
func (u *user) input() <-chan string {
	if !u.interactive && u.question == nil && (u.current != nil || len(u.waiting) > 0) {
		return nil
	}
	return u.lines
}

// asked returns the questions if the next one is wanted: there is one at a time.
func (u *user) asked() <-chan *question {
	if u.question != nil {
		return nil
	}
	return u.questions
}

// turn shows whether the next line is the user's.
func (u *user) turn() {
	switch {
	case !u.interactive:
	case u.question != nil:
		u.view.Turn(markers[u.question.method])
	case u.current == nil && len(u.waiting) == 0:
		u.view.Turn("> ")
	default:
		u.view.Turn("")
	}
}

// next returns the prompt that is next, and where to send it.
func (u *user) next() (chan<- prompt, prompt) {
	if u.current != nil || u.question != nil || len(u.waiting) == 0 {
		return nil, prompt{}
	}
	return u.prompts, u.waiting[0]
}

// take does what the user has typed, and reports whether it was to quit. A line that begins with a
// slash and is no command may still answer a question: /etc/hosts is a path.
func (u *user) take(line string) (quit bool) {
	if u.interactive {
		u.view.Typed()
	}
	name, text, _ := strings.Cut(line, " ")
	text = strings.TrimSpace(text)
	switch {
	case name == "/quit":
		return true
	case name == "/help":
		u.view.Line(help)
	case name == "/state":
		u.view.Line("* the agent: %s; the connection: %s", u.conversation.State(), u.conn.State())
	case name == "/abort":
		if !u.interrupt() {
			u.view.Line("! the agent does nothing that could be aborted")
		}
	case name == "/steer", name == "/followup":
		u.tell(name, text)
	case u.question != nil:
		u.answer(line)
	case strings.HasPrefix(line, "/"):
		u.view.Line("! there is no %s; /help says what there is", name)
	case line != "":
		u.ask(line)
	}
	return false
}

// ask gives the agent another prompt, when it has answered those before.
func (u *user) ask(line string) {
	switch {
	case !u.interactive:
		u.view.Line("> %s", line)
	case u.conn.State() != coder.StateConnected:
		u.view.Line("* there is no connection now; your line will be sent as soon as there is")
	case u.current != nil:
		u.view.Line("* your line waits until the agent is done; /steer changes its course at once")
	}
	u.view.Sent(line)
	ctx, cancel := context.WithCancel(u.ctx)
	u.waiting = append(u.waiting, prompt{ctx, cancel, line})
}

// tell sends what needs no answer.
func (u *user) tell(name, text string) {
	send := u.conn.Steer
	if name == "/followup" {
		send = u.conn.FollowUp
	}
	switch {
	case text == "":
		u.view.Line("! say what: %s TEXT", name)
	case !u.busy():
		u.view.Line("! the agent does nothing; to make it begin, leave out %s", name)
	default:
		u.view.Sent(text)
		u.conversation.Sent(text)
		u.call(func(ctx context.Context) error { return send(ctx, text) })
	}
}

// call makes a call on a goroutine of its own: it may have to wait for a connection.
func (u *user) call(do func(context.Context) error) {
	u.goroutines.Go(func() {
		if err := do(u.ctx); err != nil && u.ctx.Err() == nil {
			u.view.Line("! %v", err)
		}
	})
}

// busy reports whether the agent has something to do, for this user or another.
func (u *user) busy() bool {
	switch u.conversation.State() {
	case coder.ConversationWorking, coder.ConversationRetrying, coder.ConversationQuestion:
		return true
	}
	return u.current != nil
}

// interrupt stops the agent, and reports whether there was something to stop. An agent that has been told is
// not told again. Without a connection the prompt is taken back, which may be too late.
func (u *user) interrupt() bool {
	if u.aborted || !u.busy() {
		return false
	}
	for _, p := range u.waiting {
		p.cancel()
	}
	u.aborted, u.waiting = true, nil
	if u.current != nil && u.conn.State() != coder.StateConnected {
		u.current.cancel()
	} else {
		u.call(u.conn.Abort)
	}
	return true
}

// answer answers a question with what was typed. What makes no sense is asked again.
func (u *user) answer(line string) {
	value, problem := u.question.parse(line)
	if problem != "" && u.lines != nil {
		u.view.Line("! %s", problem)
		return
	}
	u.question.answer <- value
	u.close()
}

// close is called when nothing is asked any more.
func (u *user) close() {
	if u.question != nil {
		close(u.question.closed)
		u.question = nil
	}
}
