package main

import (
	"fmt"
	"regexp"
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
		b.WriteString(shorten(quiet(j.answer), longestAnswer) + "\n")
	default:
		b.WriteString("It has said last:\n\n" + shorten(quiet(j.answer), longestAnswer) + "\n")
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

// noWidth is a character that nobody sees. It parts what must not be read as one.
const noWidth = "\u200b"

var (
	mention = regexp.MustCompile(`(^|[^A-Za-z0-9])@([A-Za-z0-9])`)
	entity  = regexp.MustCompile(`&(#|commat)`)                 // that may stand for a letter of a mention
	html    = regexp.MustCompile(`^( {0,3})<`)                  // that may go on in the lines below
	fence   = regexp.MustCompile("^( {0,3})(`{3,}|~{3,})(.*)$") // around a block of code
	endings = strings.NewReplacer("\r\n", "\n", "\r", "\n")
)

// quiet makes what an agent says fit for a comment. The agent may have read what a stranger wrote, and the comment is by the owner
// of the token: it is to notify nobody, give @dependabot and the like no command, and hide nothing of itself. Blocks of code stay
// as they are, since people copy from them, and nobody is notified from there. Where it is not sure what is one, there is none.
func quiet(text string) string {
	lines := strings.Split(endings.Replace(text), "\n")
	open, sure := "", true // what the block of code began with
	for i, line := range lines {
		m := fence.FindStringSubmatch(line)
		switch {
		case open != "":
			if len(m) > 0 && strings.HasPrefix(m[2], open) && strings.Trim(m[3], " \t") == "" {
				open = ""
			}
		case sure && m != nil && m[1] == "" && (m[2][0] == '~' || !strings.Contains(m[3], "`")):
			open = m[2]
		default:
			if strings.Contains(line, "```") || strings.Contains(line, "~~~") { // in a list or a quotation, or none
				sure = false
			}
			line = mention.ReplaceAllString(line, "$1@"+noWidth+"$2")
			line = entity.ReplaceAllString(line, "&"+noWidth+"$1")
			lines[i] = html.ReplaceAllString(line, "$1"+noWidth+"<")
		}
	}
	return strings.Join(lines, "\n")
}
