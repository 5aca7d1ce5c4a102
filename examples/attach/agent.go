package main

import (
	"context"
	"errors"
	"fmt"
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
}

// prompt is what the user wants to know. The context ends when he does not want it any more.
type prompt struct {
	ctx    context.Context
	cancel context.CancelFunc
	text   string
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
	// A program that prints nothing but the answer needs OnText instead of OnMessage.
	options := &coder.AskOptions{OnMessage: c.show, OnQuestion: c.question}
	for {
		p, err := c.listen(ctx, options)
		if err != nil {
			return err
		}
		c.conversation.Sent(p.text)
		answer, err := c.conn.Ask(p.ctx, p.text, options)
		if errors.Is(err, coder.ErrPromptDropped) { // it had no effect, so that nothing happens twice
			c.view.Line("* the agent has lost your line, and is told again")
			answer, err = c.conn.Ask(p.ctx, p.text, options)
		}
		c.explain(answer, err)
		select {
		case c.done <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// listen waits for a prompt. Until there is one it prints what others make the agent do.
func (c *chat) listen(ctx context.Context, options *coder.AskOptions) (prompt, error) {
	ctx, stop := context.WithCancel(ctx)
	next := make(chan prompt, 1)
	c.goroutines.Go(func() {
		select {
		case p := <-c.prompts:
			next <- p
			stop()
		case <-ctx.Done():
		}
	})
	err := c.conn.Listen(ctx, options)
	stop()
	switch {
	case c.over:
		return prompt{}, errOver
	case len(next) > 0:
		return <-next, nil
	}
	return prompt{}, err
}

// explain says what has become of a prompt, if the answer, which was printed as it came, does not say it.
func (c *chat) explain(answer *coder.Answer, err error) {
	why := fmt.Sprint(err)
	var failed *coder.AgentError
	if errors.As(err, &failed) {
		why = failed.Reason
	}
	switch {
	case err == nil:
		if c.conn.State() == coder.StateClosed && !strings.HasSuffix(c.conversation.Text(), answer.Text) {
			c.view.Line("%s", answer.Text) // it was found in the history
		}
	case errors.Is(err, coder.ErrAgentAborted):
		c.view.Line("! the agent was stopped")
	case errors.Is(err, coder.ErrAgentFailed):
		c.view.Line("! the agent has failed, and does not try again (%s)", why)
	case errors.Is(err, coder.ErrAgentStalled):
		c.view.Line("! nothing comes from the agent any more; it may still be at work (%s)", why)
	case errors.Is(err, coder.ErrNeedsInput):
		c.view.Line("! the agent asks something that nobody has answered (%s)", why)
	case errors.Is(err, coder.ErrPromptDropped):
		c.view.Line("! the agent has lost your line; say it again (%s)", why)
	case errors.Is(err, coder.ErrOutcomeUnknown):
		c.view.Line("! it is not known what has become of your line; the agent may be at work on it (%s)", why)
	case errors.Is(err, context.Canceled):
		c.view.Line("! your line was not sent")
	default:
		c.view.Line("! your line was not taken: %s", why)
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
		if !m.Method.Answered() {
			c.notice(m)
		}
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
