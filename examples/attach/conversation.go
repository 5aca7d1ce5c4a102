package main

import (
	"bufio"
	"cmp"
	"context"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/agentuity/coder-go"
)

const help = `* what you can type:
TEXT          a prompt; while the agent works, what it is to do next
/steer TEXT   change the agent's course while it works
/abort        stop the agent, as Ctrl-C does
/state        ask what the agent is at
/help         this
/quit         leave, as Ctrl-D does; the session goes on
When the agent asks something, the next line answers it; an empty one says nothing.`

// conversation is all that the main loop knows. Nobody else touches it, so that it needs no lock.
type conversation struct {
	*printer
	ctx         context.Context
	conn        *coder.HubConn
	interactive bool

	unclear <-chan time.Time // fires when it is time to assume that the agent does nothing; nil: it is clear
	lines   <-chan string    // nil after the end of the input

	idle <-chan time.Time // fires when an agent that has failed will not try again; nil: it is at work, or is done

	asked    bool // the agent was told something and has not begun
	running  bool // the agent works
	aborting bool // and was told to stop

	questions []*question

	calls   sync.WaitGroup
	cancel  context.CancelFunc // ends the call under way; nil: there is none
	results chan func()        // what to do after it
	stop    bool               // and to stop the agent
}

// received is what Messages yields.
type received struct {
	message coder.ServerMessage
	err     error
}

// converse connects the user with the agent until one of them leaves.
func converse(ctx context.Context, conn *coder.HubConn, t terminal) error {
	ctx, cancel := context.WithCancel(ctx)
	c := &conversation{
		printer: &printer{out: t.out}, ctx: ctx, conn: conn, interactive: t.interactive,
		lines: readLines(ctx, t.in), results: make(chan func(), 1),
	}
	messages := make(chan received)
	c.calls.Go(func() {
		for message, err := range conn.Messages(ctx) {
			select {
			case messages <- received{message, err}:
			case <-ctx.Done():
				return
			}
		}
	})
	defer c.calls.Wait()
	defer cancel()
	defer c.endLine()

	c.line("* attached to %s; /help says what you can type", conn.SessionID())
	c.connected()
	for c.next() {
		select {
		case m := <-messages:
			if m.err != nil {
				return m.err
			}
			if over := c.receive(m.message); over {
				c.line("the session is over")
				return nil
			}
		case line, ok := <-c.input():
			if !ok {
				c.lines = nil
				break
			}
			if c.interactive {
				c.typed()
			}
			if quit := c.take(strings.TrimSpace(line)); quit {
				return nil
			}
		case then := <-c.results:
			c.cancel()
			c.cancel = nil
			then()
			if c.stop {
				c.stop = false
				c.interrupt()
			}
		case <-c.unclear:
			c.unclear, c.asked = nil, false // a prompt from which nothing has come is lost
		case <-c.idle:
			c.finished()
		case <-t.interrupts:
			if stopped := c.interrupt(); !stopped {
				return errInterrupted
			}
		}
	}
	return nil
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

// connected holds the input back, with a new connection, until it is clear what the agent is at.
func (c *conversation) connected() { c.unclear = time.After(5 * time.Second) }

// busy reports whether the agent has something to do.
func (c *conversation) busy() bool { return c.asked || c.running }

// input returns the lines if the next one is wanted. What is no terminal has to wait for its turn.
func (c *conversation) input() <-chan string {
	switch {
	case c.unclear != nil, c.cancel != nil:
		return nil
	case c.busy() && len(c.questions) == 0 && !c.interactive:
		return nil
	}
	return c.lines
}

// next prepares for whatever happens next, and reports whether to wait for it.
func (c *conversation) next() bool {
	if c.unclear != nil || c.cancel != nil {
		return true
	}
	ended := c.lines == nil
	if ended && c.interactive {
		return false
	}
	marker := "> "
	switch {
	case len(c.questions) > 0:
		q := c.questions[0]
		if c.show(q); ended || !q.known() {
			c.respond(q, nil) // which is what the protocol has for those who cannot answer
			return true
		}
		marker = q.marker()
	case c.busy():
		return true
	case ended:
		return false
	}
	if c.interactive && !(c.busy() && c.inText()) {
		c.await(marker)
	}
	return true
}

// call makes one call at a time, on a goroutine of its own: it may have to wait for a connection.
// What it returns is done by the main loop.
func (c *conversation) call(do func(ctx context.Context) (then func())) {
	ctx, cancel := context.WithCancel(c.ctx)
	c.cancel = cancel
	c.calls.Go(func() { c.results <- do(ctx) })
}

// take does what the user has typed, and reports whether it was to quit. A line that begins with a
// slash and is no command may still answer a question: /etc/hosts is a path.
func (c *conversation) take(line string) (quit bool) {
	name, text, _ := strings.Cut(line, " ")
	text = strings.TrimSpace(text)
	switch {
	case name == "/quit":
		return true
	case name == "/help":
		c.line(help)
	case name == "/state":
		c.state()
	case name == "/abort" && !c.busy():
		c.line("! the agent does nothing that could be aborted")
	case name == "/abort":
		c.abort()
	case name == "/steer" && text == "":
		c.line("! say where: /steer TEXT")
	case name == "/steer" && !c.busy():
		c.line("! the agent does nothing; to make it begin, leave out /steer")
	case name == "/steer":
		c.send(func(ctx context.Context) error { return c.conn.Steer(ctx, text) })
	case len(c.questions) > 0:
		c.answer(c.questions[0], line)
	case strings.HasPrefix(line, "/"):
		c.line("! there is no %s; /help says what there is", name)
	case line != "":
		c.prompt(line)
	}
	return false
}

func (c *conversation) prompt(text string) {
	send := c.conn.Prompt
	if c.running {
		send = c.conn.FollowUp
	}
	c.asked = true
	if c.conn.State() != coder.StateConnected {
		c.line("* there is no connection now; the prompt will be sent as soon as there is")
	}
	c.call(func(ctx context.Context) func() {
		err := send(ctx, text)
		return func() {
			if err != nil {
				c.asked = false
				c.line("! %v", err)
			}
		}
	})
}

func (c *conversation) abort() {
	c.aborting = true
	c.send(c.conn.Abort)
}

// send makes a call of which nothing is to be known but that it has failed.
func (c *conversation) send(do func(context.Context) error) {
	c.call(func(ctx context.Context) func() {
		err := do(ctx)
		return func() {
			if err != nil {
				c.line("! %v", err)
			}
		}
	})
}

func (c *conversation) state() {
	c.call(func(ctx context.Context) func() {
		ctx, cancel := context.WithTimeout(ctx, 10*time.Second) // the agent need not answer
		defer cancel()
		state, err := c.conn.GetState(ctx)
		return func() {
			if err != nil {
				c.line("! %v", err)
				return
			}
			c.line("* %s: working: %t, waiting for an answer: %t",
				cmp.Or(state.SessionName, c.conn.SessionID()), state.IsStreaming, state.IsWaitingForInput)
		}
	})
}

// interrupt stops the call under way, then the agent, and reports whether there was one to stop. An
// agent that has been told is not told again.
func (c *conversation) interrupt() bool {
	switch {
	case c.cancel != nil:
		c.cancel()
		c.stop = true // the call may have been over already
	case c.busy() && !c.aborting:
		c.abort()
	default:
		return false
	}
	return true
}
