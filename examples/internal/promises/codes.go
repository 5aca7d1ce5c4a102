package promises

import (
	"context"
	"errors"
	"fmt"

	"github.com/agentuity/coder-go"
)

func codes() []Promise {
	return []Promise{
		{
			Name: "missing-session", Belief: "A session that does not exist is answered with 404.",
			Needs: "ErrSessionNotFound, WaitForSession (outcome deleted), DeleteSession", Otherwise: "A session that is gone is taken for a failure.",
			check: (*run).missingSession,
		},
		{
			Name: "error-form", Belief: "An error has a code in its body and a trace id in x-session-id.",
			Needs: "APIError.Code and APIError.RequestID", Otherwise: "Errors are matched by their status alone, and support has no trace id.",
			check: (*run).errorForm,
		},
		{
			Name: "missing-stream", Belief: "The stream of events of a session that does not exist is answered with 404.",
			Needs: "StreamEvents", Otherwise: "It may connect again and again instead of ending.",
			check: (*run).missingStream,
		},
		{
			Name: "missing-socket", Belief: "A WebSocket to a session that does not exist is closed for good: 4404, another code from 4400 on, or 404.",
			Needs: "Connect, Attach", Otherwise: "Connect tries until its context ends, or gets a session that nobody asked for.",
			check: (*run).missingSocket,
		},
	}
}

// missing is the id of no session.
func (r *run) missing() string { return "codesess_missing" + r.nonce[:12] }

func (r *run) missingSession(parent context.Context) verdict {
	ctx, cancel := bounded(parent)
	defer cancel()
	_, err := r.client.GetSession(ctx, r.missing())
	switch {
	case err == nil:
		return broken("a session that nobody made was answered")
	case errors.Is(err, coder.ErrSessionNotFound):
		return held("%s", statusOf(err))
	case statusOf(err) == "" || errors.Is(err, coder.ErrUnauthorized) || coder.IsTransient(err):
		return failed(err)
	}
	return broken("%s", statusOf(err))
}

func (r *run) errorForm(parent context.Context) verdict {
	ctx, cancel := bounded(parent)
	defer cancel()
	var api *coder.APIError
	_, err := r.client.GetReplay(ctx, r.missing(), nil)
	switch {
	case err == nil:
		return unsettled("no error was answered")
	case !errors.As(err, &api), coder.IsTransient(err):
		return failed(err)
	case api.Code == "" && api.RequestID == "":
		return broken("neither a code nor a trace id")
	case api.Code == "":
		return broken("no code")
	case api.RequestID == "":
		return broken("no trace id")
	}
	return held("code %s", api.Code)
}

func (r *run) missingStream(parent context.Context) verdict {
	ctx, cancel := bounded(parent)
	defer cancel()
	for _, err := range r.client.StreamEvents(ctx, r.missing(), &coder.StreamEventsOptions{MaxReconnectAttempts: -1, IdleTimeout: oneLimit / 3}) {
		switch {
		case err == nil:
			return broken("a stream of events was opened")
		case errors.Is(err, coder.ErrSessionNotFound):
			return held("%s", statusOf(err))
		case statusOf(err) == "" || errors.Is(err, coder.ErrUnauthorized) || coder.IsTransient(err):
			return failed(err)
		}
		return broken("%s", statusOf(err))
	}
	return broken("a stream of events was opened, and ended")
}

func (r *run) missingSocket(parent context.Context) verdict {
	ctx, cancel := bounded(parent)
	defer cancel()
	conn, err := r.client.Connect(ctx, r.missing(), &coder.HubConnectOptions{MaxReconnectAttempts: -1, HandshakeTimeout: oneLimit / 3})
	var refused *coder.HubConnError
	switch {
	case err == nil:
		defer conn.Close()
		return broken("a connection to a session that nobody made was opened")
	case !errors.As(err, &refused):
		return failed(err)
	case errors.Is(err, coder.ErrUnauthorized):
		return failed(err)
	case errors.Is(err, coder.ErrSessionNotFound), refused.CloseCode.Terminal():
		return held("%s", refusal(refused))
	case refused.CloseCode != 0:
		return broken("%s, after which a client connects again", refusal(refused))
	}
	return failed(err)
}

// refusal says how a connection was refused.
func refusal(err *coder.HubConnError) string {
	switch {
	case err.CloseCode != 0:
		return "close code " + err.CloseCode.String()
	case err.ServerCode != "":
		return "message " + err.ServerMessageType + ", code " + err.ServerCode
	}
	return statusOf(err)
}

// statusOf is the status and the code of an error that the Hub has answered with, "" if it has not.
func statusOf(err error) string {
	var api *coder.APIError
	if !errors.As(err, &api) {
		return ""
	}
	text := fmt.Sprintf("status %d", api.StatusCode)
	if api.Code != "" {
		text += fmt.Sprintf(", code %.60q", api.Code)
	}
	return text
}
