package coder

import (
	"context"
	"errors"
)

// LastAnswer returns the last text that the agent of a session has said, without thoughts. It is what
// [SessionResult].Answer is, for callers of [Client.WaitForSession], and the answer to the last prompt if that has
// succeeded. What other agents of the session have said for a task does not count, nor do messages without a text that were
// aborted, have failed or only call tools. It is empty if the agent has said nothing, or if its last message has no text.
//
// It reads the event history backwards from its end, 1,000 events at most, and if these do not have it, or the Hub has no
// history, the whole replay. [Client.Answer] and [HubConn.Ask] return the answer to one prompt, and everything that belongs
// to it.
//
// Errors: those of [Client.ListEventHistory] and [Client.ReplayEntries]. That there is no replay is no error.
//
// GET /hub/session/{sessionId}/events/history, GET /hub/session/{sessionId}/replay
func (c *Client) LastAnswer(ctx context.Context, sessionID string) (string, error) {
	const op = "LastAnswer"
	if err := checkSessionID(op, sessionID); err != nil {
		return "", err
	}
	text, err := observed(ctx, c, op, sessionID, func(ctx context.Context) (*string, error) {
		said, err := c.lastAnswer(ctx, op, sessionID)
		return &said, err
	})
	return *text, err
}

func (c *Client) lastAnswer(ctx context.Context, op, sessionID string) (string, error) {
	said, err := c.lastOfHistory(ctx, op, sessionID)
	if said != nil {
		return said.Content.Text(), nil
	}
	if err != nil && !errors.Is(err, ErrNotFound) {
		return "", err
	}
	text, replayErr := c.lastOfReplay(ctx, op, sessionID)
	if errors.Is(replayErr, ErrNotFound) { // without a history either there is no such session
		return "", err
	}
	return text, replayErr
}

// lastOfHistory returns the last message of the agent from the end of a history, nil if it is not there.
func (c *Client) lastOfHistory(ctx context.Context, op, sessionID string) (*AgentMessage, error) {
	seen := 0
	for e, err := range c.allEventHistory(ctx, op, sessionID, ListEventHistoryParams{Limit: 10}) {
		if err != nil {
			return nil, err
		}
		var said *AgentMessage
		switch event := e.AgentEvent().(type) {
		case *AgentEnd:
			said = event.Answer()
		case *MessageEnd:
			said = &event.Message
		case *UnknownAgentEvent:
			if event.Name == EventMessageEnd && e.TaskID == "" { // a message, and nobody knows which
				return nil, nil
			}
		}
		if said != nil && said.Role == "assistant" && said.says() && e.task() == "" {
			return said, nil
		}
		if seen++; seen == tailEvents {
			break
		}
	}
	return nil, nil
}

// lastOfReplay returns the last message of the agent in a replay, "" if there is none.
func (c *Client) lastOfReplay(ctx context.Context, op, sessionID string) (string, error) {
	text := ""
	for e, err := range c.replayEntries(ctx, op, sessionID, nil) {
		switch {
		case err != nil:
			return "", err
		case e.Type == EntryMessage && e.TaskID == "":
			text = e.Content
		}
	}
	return text, nil
}

// says reports whether a message of the agent's is what it has said last. One without a text is not if it was aborted, has
// failed, or only calls tools.
func (m *AgentMessage) says() bool {
	switch m.StopReason {
	case StopReasonAborted, StopReasonError, StopReasonToolUse:
		return m.Content.Text() != ""
	}
	return true
}
