package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/examples/internal/transcript"
)

// badArgument says what is wrong with an argument of a tool.
type badArgument struct{ name, problem string }

func (e *badArgument) Error() string {
	return fmt.Sprintf("the argument %s is wrong: it %s. Nothing was done: call again with another one.", e.name, e.problem)
}

// advised is an error for which the tool knows better than explain what to do.
type advised struct {
	error
	advice string
}

func (e *advised) Unwrap() error { return e.error }

// arguments are the names that tools have for the fields of the library.
var arguments = map[string]string{"sessionID": "session_id", "text": "prompt", "message": "prompt", "repo.url": "repo_url", "workspaceId": "workspace_id"}

// explain makes an error a text that a model can act on: what went wrong, and what to do. The texts of the library hold no
// secrets; what they quote of the Hub is bounded and cleaned.
func explain(tool string, err error) error {
	var bad *badArgument
	if errors.As(err, &bad) {
		return bad
	}
	var invalid *coder.ValidationError
	if errors.As(err, &invalid) {
		name := invalid.Field
		if known := arguments[name]; known != "" {
			name = known
		}
		return &badArgument{name, invalid.Reason}
	}
	return fmt.Errorf("%s failed: %s\n\n%s", tool, what(err), advice(err))
}

// what has gone wrong, in the words of the library.
func what(err error) string {
	return cut(strings.TrimPrefix(transcript.Clean(err.Error()), "coder: "), mostOfError)
}

// advice says what to do about an error.
func advice(err error) string {
	var known *advised
	is := func(target error) bool { return errors.Is(err, target) }
	switch {
	case errors.As(err, &known):
		return known.advice
	case is(coder.ErrSessionNotFound):
		return "There is no such session: check session_id; list_sessions shows those that exist. Calling again does not help."
	case is(coder.ErrSessionArchived), is(coder.ErrNotAttachable):
		return "The session is over, and its agent with it. read_transcript still works; start_session with another key starts anew."
	case is(coder.ErrOutcomeUnknown):
		return "It is not known whether it has taken effect. Look with session_status or read_transcript before you call again."
	case is(coder.ErrForbidden):
		return "The key of this server has no right to this: check the ids, or tell the user. Calling again does not help."
	case is(coder.ErrUnauthorized), is(coder.ErrMissingAPIKey):
		return "The Hub does not accept the key of this server. The user has to correct AGENTUITY_SDK_KEY; calling again does not help."
	case is(coder.ErrPaymentRequired):
		return "The plan of the account does not cover this. Tell the user; calling again does not help."
	case coder.IsTransient(err):
		return fmt.Sprintf("This passes: the same call may be made again, in %v.", again(err))
	}
	return "Calling again with the same arguments does not help."
}

// again is when a call may be made again: the library has tried for long already.
func again(err error) time.Duration {
	var api *coder.APIError
	if errors.As(err, &api) {
		return max(api.RetryAfter.Round(time.Second), 30*time.Second)
	}
	return 30 * time.Second
}
