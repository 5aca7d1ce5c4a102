package coder_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/agentuity/coder-go"
)

// TestSessionOutcome_String: one line says how it ended, and why where that is not the same.
func TestSessionOutcome_String(t *testing.T) {
	evidence := []string{"the newest event says so", "and another"}
	for want, outcome := range map[string]*coder.SessionOutcome{
		"turn_ended": {Kind: coder.OutcomeTurnEnded, Evidence: evidence},
		"archived":   {Kind: coder.OutcomeArchived, Finished: coder.OutcomeTurnEnded, Evidence: evidence},
		"archived: the newest event says so; and another": {Kind: coder.OutcomeArchived, Evidence: evidence},
		"working":                              {Kind: coder.OutcomeWorking, Evidence: evidence},
		"stalled":                              {Kind: coder.OutcomeStalled},
		"failed: 529 overloaded":               {Kind: coder.OutcomeFailed, ErrorMessage: "529 overloaded", Evidence: evidence},
		"limited: more than 2 turns":           {Kind: coder.OutcomeLimited, ErrorMessage: "Request was aborted", Evidence: []string{"more than 2 turns"}},
		"failed: status is error; and another": {Kind: coder.OutcomeFailed, Evidence: []string{"status is error", "and another"}},
		"archived: it is":                      {Kind: coder.OutcomeArchived, ErrorMessage: "Request was aborted", Evidence: []string{"it is"}},
	} {
		assert.Equal(t, want, outcome.String())
		assert.Equal(t, want, fmt.Sprint(outcome))
	}
}
