package main

import (
	"context"
	"errors"

	"github.com/agentuity/coder-go"
)

// explain says in the words of the page what has gone wrong, and what to do. Texts of the library hold no key.
func explain(err error) string {
	switch {
	case errors.Is(err, coder.ErrMissingAPIKey), errors.Is(err, coder.ErrUnauthorized):
		return "The Hub does not accept the API key. Set AGENTUITY_SDK_KEY to a valid one, and start the console again."
	case errors.Is(err, coder.ErrPaymentRequired):
		return "The plan of this account does not cover that: " + err.Error()
	case errors.Is(err, coder.ErrForbidden):
		return "The API key may not do that."
	case errors.Is(err, coder.ErrSessionNotFound):
		return "There is no such session; it may have been deleted."
	case errors.Is(err, coder.ErrSessionArchived), errors.Is(err, coder.ErrNotAttachable):
		return "The session is over."
	case errors.Is(err, coder.ErrOutcomeUnknown):
		return "The connection broke in the middle. It may have worked: look before you try again."
	case errors.Is(err, coder.ErrRateLimited):
		return "The Hub says that this was too much at once. Wait a little."
	case coder.IsTransient(err), errors.Is(err, context.DeadlineExceeded):
		return "The Hub does not answer."
	}
	return err.Error()
}
