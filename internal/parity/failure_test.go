//go:build parity

package parity

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"

	"github.com/agentuity/coder-go"
)

// sentinels are what an answer with a status must match.
var sentinels = map[int]error{
	400: coder.ErrInvalidRequest, 401: coder.ErrUnauthorized, 402: coder.ErrPaymentRequired, 403: coder.ErrForbidden,
	404: coder.ErrNotFound, 409: coder.ErrConflict, 421: coder.ErrMisdirected, 426: coder.ErrUpgradeRequired,
	429: coder.ErrRateLimited, 502: coder.ErrUnavailable, 503: coder.ErrUnavailable, 504: coder.ErrUnavailable,
}

// failure compares an error with what the original threw. Each of its kinds has one counterpart.
func (c *comparison) failure(there *originalError, here error, s scenario) {
	mismatch := func(format string, args ...any) {
		c.found = append(c.found, fmt.Sprintf("%s there: %s", there.Name, fmt.Sprintf(format, args...)))
	}
	var (
		invalid  *coder.ValidationError
		unusable *coder.ResponseError
		api      *coder.APIError
	)
	last := s.answers[len(s.answers)-1]
	success := last.status == 0 || last.status/100 == 2
	switch {
	case there.Name == "ValidationInputError" || there.Name == "ZodError":
		if !errors.As(here, &invalid) {
			mismatch("not a ValidationError here, but %v", here)
		}
		return
	case success && (there.Name == "ValidationOutputError" || there.Name == "SyntaxError"):
		if !errors.As(here, &unusable) {
			mismatch("not a ResponseError here, but %v", here)
		} else if there.Name == "ValidationOutputError" && unusable.RequestID != there.SessionID {
			if last.body == "" && there.SessionID == "" {
				c.differences["trace-id-of-an-empty-answer"] = true
				return
			}
			mismatch("the trace id is %q, here %q", there.SessionID, unusable.RequestID)
		}
		return
	case !errors.As(here, &api):
		mismatch("not an APIError here, but %v", here)
		return
	}

	if api.StatusCode != last.status {
		mismatch("the status is %d here, the answer had %d", api.StatusCode, last.status)
	}
	if api.RequestID != there.SessionID {
		mismatch("the trace id is %q, here %q", there.SessionID, api.RequestID)
	}
	if sentinel := sentinels[last.status]; sentinel != nil && !errors.Is(here, sentinel) {
		mismatch("the error here does not match %v", sentinel)
	}
	// Texts that the original makes up by status are its own; ours only must not be missing.
	madeUp := strings.Contains(there.Message, fmt.Sprintf("(HTTP %d)", last.status))
	switch there.Name {
	case "APIErrorResponse":
		switch {
		case there.Status != api.StatusCode:
			mismatch("the status is %d, here %d", there.Status, api.StatusCode)
		case madeUp && (api.Message == "" || strings.Contains(last.body, api.Message) && last.body != ""):
			mismatch("it has no text of the Hub's, here it is %q", api.Message)
		case !madeUp && there.Message != api.Message:
			mismatch("the text is %q, here %q", there.Message, api.Message)
		}
	case "PaymentRequiredError":
		if !errors.Is(here, coder.ErrPaymentRequired) || api.UpgradeURL != there.UpgradeURL {
			mismatch("the upgrade URL is %q, here %q", there.UpgradeURL, api.UpgradeURL)
		}
	case "UpgradeRequiredError":
		if !errors.Is(here, coder.ErrUpgradeRequired) {
			mismatch("the error here does not match ErrUpgradeRequired")
		}
	case "ValidationOutputError": // a report of the Hub's validator
		if !reflect.DeepEqual(issuesOf(api), there.Issues) {
			mismatch("the issues are %v, here %v", there.Issues, issuesOf(api))
		}
	default:
		mismatch("there is no counterpart for it")
	}
	if there.URL != "" && s.options.env == nil {
		if want := s.options.url() + "/api" + api.Path; there.URL != want && !strings.HasPrefix(there.URL, want+"?") {
			mismatch("the URL is %s, here %s", there.URL, want)
		}
	}
	if strings.Contains(here.Error(), testKey) {
		mismatch("the error here names the key")
	}
	if http.StatusText(last.status) != "" && !strings.Contains(here.Error(), http.StatusText(last.status)) {
		mismatch("the error here does not name the status")
	}
}

// rounded returns free JSON as the original has it: see the difference digits-of-whole-numbers.
func rounded(v any) (out any) {
	text, err := json.Marshal(v)
	if err != nil || json.Unmarshal(text, &out) != nil {
		return v
	}
	return out
}

func issuesOf(e *coder.APIError) []issue {
	var out []issue
	for _, i := range e.Issues {
		found := issue(i)
		found.Input = rounded(i.Input)
		out = append(out, found)
	}
	return out
}
