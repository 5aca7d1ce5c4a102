package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/agentuity/coder-go"
)

// rules say which comments start an agent.
type rules struct {
	secret    []byte
	forge     string   // base URL of its API
	command   string   // that a comment begins with
	from      []string // author associations that may give it, in capitals
	workspace string   // of the sessions
}

// comment is what an event of the kind issue_comment has that matters here.
type comment struct {
	Action string `json:"action"`
	Issue  struct {
		Number      int64     `json:"number"`
		URL         string    `json:"html_url"`
		PullRequest *struct{} `json:"pull_request"`
	} `json:"issue"`
	Comment struct {
		ID          int64     `json:"id"`
		Body        string    `json:"body"`
		URL         string    `json:"html_url"`
		Created     time.Time `json:"created_at"`
		Association string    `json:"author_association"`
		User        account   `json:"user"`
		App         *struct{} `json:"performed_via_github_app"`
	} `json:"comment"`
	Repository struct {
		ID            int64   `json:"id"`
		Name          string  `json:"name"`
		FullName      string  `json:"full_name"`
		URL           string  `json:"html_url"`
		CloneURL      string  `json:"clone_url"`
		DefaultBranch string  `json:"default_branch"`
		Owner         account `json:"owner"`
	} `json:"repository"`
}

type account struct {
	Login string `json:"login"`
	Type  string `json:"type"`
}

// bot reports whether a program wrote the comment: an answer to an answer would have no end.
func (c *comment) bot() bool {
	user := c.Comment.User
	return c.Comment.App != nil || strings.EqualFold(user.Type, "Bot") || strings.HasSuffix(user.Login, "[bot]")
}

// repositoryName is what goes into a path of the API of the forge, and into texts.
var repositoryName = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,100}/[A-Za-z0-9_.-]{1,100}$`)

// problem returns what an event of a forge would never have.
func (c *comment) problem() error {
	_, name, _ := strings.Cut(c.Repository.FullName, "/")
	switch {
	case c.Repository.ID <= 0:
		return errors.New("repository.id: must be above 0")
	case !repositoryName.MatchString(c.Repository.FullName) || name == "." || name == ".." || strings.HasPrefix(c.Repository.FullName, "."):
		return errors.New("repository.full_name: must be owner/name")
	case c.Comment.ID <= 0:
		return errors.New("comment.id: must be above 0")
	case c.Issue.Number <= 0:
		return errors.New("issue.number: must be above 0")
	}
	return nil
}

// read makes a job of an event. Without one, ignored says why there is nothing to do, or err what is wrong with the event.
func (r *rules) read(event string, body []byte) (j *job, ignored string, err error) {
	if event != "issue_comment" {
		return nil, "no event that starts anything", nil
	}
	var c comment
	if err := json.Unmarshal(body, &c); err != nil {
		return nil, "", errors.New("the body is no event of the kind issue_comment")
	}
	task := r.task(c.Comment.Body)
	switch {
	case c.Action != "created":
		return nil, "the comment is not new", nil
	case c.bot():
		return nil, "a bot wrote the comment", nil
	case task == "":
		return nil, "the comment gives no command", nil
	case !slices.Contains(r.from, strings.ToUpper(c.Comment.Association)):
		return nil, "its author may not give commands", nil
	}
	if err := c.problem(); err != nil {
		return nil, "", err
	}
	key := r.key(c.Repository.ID, c.Comment.ID)
	return &job{
		key: key, repositoryID: c.Repository.ID, commentID: c.Comment.ID, repository: c.Repository.FullName,
		number: c.Issue.Number, url: link(c.Comment.URL), written: c.Comment.Created, request: r.request(&c, task),
	}, "", nil
}

// task is what stands after the command, "" if the comment does not begin with it.
func (r *rules) task(body string) string {
	rest, found := strings.CutPrefix(strings.TrimSpace(body), r.command)
	if !found || rest != "" && !unicode.IsSpace([]rune(rest)[0]) {
		return ""
	}
	return strings.TrimSpace(rest)
}

// key names what is asked for: the comment, and not its delivery, of which there may be many. It is the key of the session, and
// stands in the answer, where it is looked for. It follows from the secret, so that no stranger can write it in advance and
// thereby suppress the answer; and it is part of no other key, as EnsureSession wants it.
func (r *rules) key(repositoryID, commentID int64) string {
	mac := hmac.New(sha256.New, r.secret)
	fmt.Fprintf(mac, "key of a session\n%s\n%d\n%d", r.forge, repositoryID, commentID)
	return "webhook-" + hex.EncodeToString(mac.Sum(nil)[:16])
}

// request is what the Hub is asked for.
func (r *rules) request(c *comment, task string) coder.CreateSessionRequest {
	what := "Issue"
	if c.Issue.PullRequest != nil {
		what = "Pull request"
	}
	title, _, _ := strings.Cut(task, "\n")
	repository := c.Repository
	return coder.CreateSessionRequest{
		// The title and the text of the issue may be by anybody: the agent is given only what somebody asked for who may.
		Task:        fmt.Sprintf("%s %d of %s:\n\n%s", what, c.Issue.Number, repository.FullName, task),
		Label:       shorten(fmt.Sprintf("%s#%d: %s", repository.FullName, c.Issue.Number, strings.TrimSpace(title)), 100),
		Tags:        []string{"webhook", repository.FullName},
		WorkspaceID: r.workspace,
		Repo: &coder.SessionRepositoryRef{
			RepoID: fmt.Sprint(repository.ID), Provider: "github", Owner: repository.Owner.Login, Name: repository.Name,
			FullName: repository.FullName, URL: link(repository.URL), CloneURL: link(repository.CloneURL), DefaultBranch: repository.DefaultBranch,
		},
		Metadata: map[string]any{"comment": link(c.Comment.URL), "author": c.Comment.User.Login},
	}
}

// link returns an address that can stand in Markdown, "" if the text is none.
func link(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || strings.ContainsAny(text, "()<>\"' \t\r\n") {
		return ""
	}
	return u.String()
}

// shorten cuts a text to so many characters.
func shorten(text string, most int) string {
	runes := []rune(text)
	if len(runes) <= most {
		return text
	}
	return string(runes[:most-1]) + "…"
}
