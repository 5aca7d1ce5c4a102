package main

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/examples/internal/transcript"
)

// chat is what the two halves of the program share.
type chat struct {
	conn         *coder.HubConn
	conversation coder.Conversation // what was said; it also knows whether the agent is at work
	view         *transcript.View   // where it is printed

	prompts   chan prompt    // from the user to the agent
	done      chan struct{}  // and back: the prompt is over, one way or another
	questions chan *question // from the agent to the user

	goroutines sync.WaitGroup
	lost       time.Time // the connection
	over       bool      // the session
	asks       *asking   // a question that came between two prompts; nil: none is open
}

// prompt is what the user wants to know. The context ends when he does not want it any more.
type prompt struct {
	context.Context
	text string
}

func newChat(t terminal) *chat {
	return &chat{
		view:    transcript.New(t.out, t.unfold),
		prompts: make(chan prompt), done: make(chan struct{}), questions: make(chan *question),
	}
}

// errOver is how it ends when the session does.
var errOver = errors.New("the session is over")

// begin prints what was said before. If the Hub does not say, that is no reason to keep the user waiting.
func (c *chat) begin(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	for m, err := range c.conn.Messages(ctx) {
		if err != nil {
			return
		}
		c.show(m)
		if _, ok := m.(*coder.HubHydrationMessage); ok {
			return
		}
	}
}

// serveAgent asks the agent what the user wants to know, one prompt after the other. Ask does the hard part. It does not
// send a prompt while the agent waits to try again, knows which answer belongs to it, whoever else is in the session, and
// when there will be none. If the connection is lost, it finds the answer in the history.
func (c *chat) serveAgent(ctx context.Context) error {
	for {
		p, err := c.listen(ctx)
		if err != nil {
			return err
		}
		// A program that prints nothing but the answer needs OnText instead of OnMessage.
		options := &coder.AskOptions{OnMessage: c.show, OnQuestion: c.question}
		answer, err := c.conn.Ask(p, p.text, options)
		if errors.Is(err, coder.ErrPromptDropped) { // it had no effect, so that nothing happens twice
			c.view.Line("* the agent has lost your line, and is told again")
			answer, err = c.conn.Ask(p, p.text, options)
		}
		c.explain(answer, err)
		select {
		case c.done <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// listen prints what happens in the session until there is a prompt. Ask reads the messages while it waits for its answer;
// in between it is Messages that does, since others may talk to the agent as well. One goes on where the other has stopped.
func (c *chat) listen(ctx context.Context) (prompt, error) {
	listening, stop := context.WithCancel(ctx)
	next := make(chan prompt, 1)
	c.goroutines.Go(func() {
		defer stop()
		select {
		case p := <-c.prompts:
			next <- p
		case <-listening.Done():
		}
	})
	defer stop()
	for m, err := range c.conn.Messages(listening) {
		if err != nil {
			select {
			case p := <-next:
				return p, nil
			default:
				return prompt{}, err
			}
		}
		c.show(m)
		if q, ok := m.(*coder.RPCUIRequestMessage); ok && q.Method.Answered() {
			c.answerAside(ctx, q)
		}
		if c.over {
			return prompt{}, errOver
		}
	}
	return prompt{}, coder.ErrConnClosed
}

// explain says what has become of a prompt, unless the answer, which was printed as it came, says it.
func (c *chat) explain(answer *coder.Answer, err error) {
	var failed *coder.AgentError
	errors.As(err, &failed)
	switch {
	case err == nil && c.conn.State() == coder.StateClosed && !strings.HasSuffix(c.conversation.Text(), answer.Text):
		c.view.Line("%s", answer.Text) // it was found in the history
	case err == nil:
	case errors.Is(err, coder.ErrAgentAborted):
		c.view.Line("! the agent was stopped")
	case errors.Is(err, coder.ErrAgentFailed):
		c.view.Line("! the agent has failed, and does not try again (%s)", failed.Reason)
	case errors.Is(err, coder.ErrAgentStalled):
		c.view.Line("! nothing comes from the agent any more; it may still be at work (%s)", failed.Reason)
	case errors.Is(err, coder.ErrNeedsInput):
		c.view.Line("! the agent asks something that nobody has answered (%s)", failed.Reason)
	case errors.Is(err, coder.ErrPromptDropped):
		c.view.Line("! the agent has lost your line; say it again (%s)", failed.Reason)
	case errors.Is(err, coder.ErrOutcomeUnknown):
		c.view.Line("! it is not known what has become of your line; the agent may be at work on it (%v)", err)
	case errors.Is(err, context.Canceled):
		c.view.Line("! your line was not sent")
	default:
		c.view.Line("! %v", err)
	}
}

// connection says that the connection is lost or back. The Conversation knows what was missed.
func (c *chat) connection(state coder.HubConnState, err error) {
	switch state {
	case coder.StateReconnecting:
		c.lost = time.Now()
		c.view.Line("* connection lost (%v); trying again", err)
	case coder.StateConnected:
		c.view.Back(time.Since(c.lost))
	case coder.StateClosed:
		c.view.Line("* connection lost for good (%v)", err)
	}
}

// show prints a message, whoever has read it.
func (c *chat) show(m coder.ServerMessage) {
	c.view.Show(c.conversation.Apply(m))
	c.stopAside(m)
	switch m := m.(type) {
	case *coder.RPCEventMessage:
		if !m.Replay { // history, which the Conversation has already
			c.view.Event(m.AgentEvent())
		}
	case *coder.BroadcastEventMessage:
		switch e := m.AgentEvent().(type) {
		case *coder.SessionShutdown:
			switch e.Reason {
			case "new", "resume", "fork", "reload", "quit": // the agent leaves its conversation, and may come back
				c.view.Line("* the agent has left (%s)", e.Reason)
			default:
				c.over = true
			}
		default:
			c.view.Event(e)
		}
	case *coder.PresenceEventMessage:
		c.view.Presence(m)
	case *coder.RPCUIRequestMessage:
		c.notice(m)
	case *coder.RPCCommandErrorMessage:
		if m.ID == "" { // else Ask says it
			c.view.Line("! %s", m.Error)
		}
	case *coder.RPCResponseMessage:
		if r := m.Response; !r.Success && r.Command != coder.CommandPrompt {
			c.view.Line("! %s: %s", r.Command, r.Error)
		}
	case *coder.ProtocolErrorMessage:
		c.view.Line("! %s: %s", m.Code, m.Message)
	case *coder.ConnectionRejectedMessage:
		c.view.Line("! %s: %s", m.Code, m.Message)
	case *coder.UnknownMessage:
		c.view.Line("? %s %.200q", m.Type, m.Raw)
	}
}
