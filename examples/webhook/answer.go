package main

import (
	"fmt"
	"strings"
)

// longestAnswer is how many characters of an answer are posted. GitHub takes comments of 65,536.
const longestAnswer = 60_000

// marker is how an answer begins. Readers do not see it; it tells that the answer was posted.
func marker(key string) string { return "<!-- coder: " + key + " -->" }

// answerTo is the comment that answers a job. It never begins with a command, so that it starts nothing.
func answerTo(j *job) string {
	comment := "this comment"
	if j.url != "" {
		comment = "[this comment](" + j.url + ")"
	}
	var b strings.Builder
	fmt.Fprintln(&b, marker(j.key))
	if j.succeeded {
		fmt.Fprintf(&b, "Answer to %s", comment)
	} else {
		fmt.Fprintf(&b, "The agent did not do what %s asks for: %s", comment, inWords(j.outcome))
		if j.reason != "" {
			fmt.Fprintf(&b, " (%s)", code(shorten(strings.Join(strings.Fields(j.reason), " "), 300)))
		}
	}
	if j.session != "" {
		fmt.Fprintf(&b, ", session %s", code(j.session))
	}
	b.WriteString(".\n\n")
	switch {
	case j.answer == "" && j.succeeded:
		b.WriteString("The agent has ended without a word.\n")
	case j.answer == "":
	case j.succeeded:
		b.WriteString(shorten(j.answer, longestAnswer) + "\n")
	default:
		b.WriteString("It has said last:\n\n" + shorten(j.answer, longestAnswer) + "\n")
	}
	return b.String()
}

// inWords says how a session has ended that did not succeed.
func inWords(outcome string) string {
	switch outcome {
	case "needs_input":
		return "it has a question"
	case "failed":
		return "it has failed"
	case "aborted", "cancelled":
		return "somebody has stopped it"
	case "archived", "deleted":
		return "its session was " + outcome
	case "stalled":
		return "it has stalled"
	case "error":
		return "its session could not be run"
	}
	return "it is " + outcome
}

// code shows a text as it is.
func code(text string) string { return "`" + strings.ReplaceAll(text, "`", "'") + "`" }
