package main

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/agentuity/coder-go"
)

// TestOutcomes says of each way to end what it means.
func TestOutcomes(t *testing.T) {
	for _, test := range []struct {
		outcome coder.SessionOutcome
		want    string
		state   state
	}{
		{coder.SessionOutcome{Kind: coder.OutcomeTurnEnded}, "done, ready for the next prompt", ok},
		{coder.SessionOutcome{Kind: coder.OutcomeTurnEnded, Truncated: true}, "done, ready for the next prompt; the last answer is cut, the model had no room for more", ok},
		{coder.SessionOutcome{Kind: coder.OutcomeFailed, ErrorMessage: "529\noverloaded"}, "failed: 529 overloaded", bad},
		{coder.SessionOutcome{Kind: coder.OutcomeArchived}, "over", unknown},
		{coder.SessionOutcome{Kind: coder.OutcomeArchived, Finished: coder.OutcomeTurnEnded}, "over, the last prompt was answered", ok},
		{coder.SessionOutcome{Kind: coder.OutcomeArchived, Finished: coder.OutcomeAborted, ErrorMessage: "by Sam"}, "over, the last prompt was aborted: by Sam", bad},
		{coder.SessionOutcome{Kind: coder.OutcomeWorking, Finished: coder.OutcomeWorking}, "at work when this page was written", unknown},
		{coder.SessionOutcome{Kind: "later_kind"}, "later_kind", unknown},
	} {
		var s summary
		s.ends(&test.outcome)
		assert.Equal(t, test.want, s.Outcome)
		assert.Equal(t, test.state, s.State, test.want)
	}
}
