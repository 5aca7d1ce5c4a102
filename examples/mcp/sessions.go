package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/examples/internal/transcript"
)

type startArguments struct {
	Task        string `json:"task" jsonschema:"what the agent is to do: all that it needs to know, since it sees nothing of this conversation"`
	Key         string `json:"key,omitzero" jsonschema:"a name of the job, for idempotency: a second call with it returns the session of the first. Leave it out to use the task itself; choose a new one to do the same task anew"`
	Label       string `json:"label,omitzero" jsonschema:"a short name of the session, for people"`
	RepoURL     string `json:"repo_url,omitzero" jsonschema:"the repository to work in: its HTTPS address for git clone, without credentials"`
	Branch      string `json:"branch,omitzero" jsonschema:"the branch of repo_url to check out; its default branch if left out"`
	WorkspaceID string `json:"workspace_id,omitzero" jsonschema:"the id of a workspace of the Hub to start from, if the user has named one"`
}

type startResult struct {
	SessionID string `json:"session_id" jsonschema:"what the other tools want"`
	Key       string `json:"key" jsonschema:"the key of the job: that of the call, or what was made of the task"`
	Created   bool   `json:"created" jsonschema:"false: the session was there already, from an earlier call"`
	Status    string `json:"status,omitzero" jsonschema:"the Hub's word for how the session is, such as creating or active"`
	Next      string `json:"next" jsonschema:"what to do now"`
}

func (r *startResult) text() string {
	did := "Started session " + r.SessionID
	if !r.Created {
		did = "Session " + r.SessionID + " was there already, with this key and task"
	}
	return fmt.Sprintf("%s (key %s, status %s).\n\n%s", did, r.Key, r.Status, r.Next)
}

// lookupWindow is how long a call looks for a session that may have been created. A client waits for no call for very long.
const lookupWindow = 20 * time.Second

// start finds or creates the session of a job. It never creates one again whose first create may have worked: the next call
// with the key looks first.
func (s *server) start(ctx context.Context, _ *mcp.CallToolRequest, in startArguments) (*startResult, error) {
	request, err := in.request()
	if err != nil {
		return nil, err
	}
	key := strings.TrimSpace(in.Key)
	if key == "" {
		key = in.derivedKey()
	}
	ensured, err := s.client.EnsureSession(ctx, key, request, &coder.EnsureSessionOptions{NewIfOver: true, LookupWindow: lookupWindow})
	if errors.Is(err, coder.ErrOutcomeUnknown) {
		return nil, &advised{err, fmt.Sprintf("It is not known whether the session was created. Call again with the same arguments and the key %q: "+
			"that looks for it first, so that there are not two.", key)}
	}
	if err != nil {
		return nil, err
	}
	r := &startResult{SessionID: ensured.SessionID, Key: key, Created: ensured.Created, Status: "creating"}
	r.Next = "The agent works by itself. Call wait_session with this session_id."
	if !r.Created {
		r.Next = "wait_session returns what came of it, or waits for it. To do the task anew, call start_session with another key."
	}
	if found := ensured.Session; found != nil { // else it was created a moment ago, also by another call
		r.Status = word(found.Status)
		if !r.Created && found.Task != "" && strings.TrimSpace(found.Task) != strings.TrimSpace(in.Task) { // a Hub need not say
			return nil, &badArgument{"key", fmt.Sprintf("belongs to session %s, whose task is another: %q", r.SessionID, line(found.Task))}
		}
	}
	return r, nil
}

// request is what the Hub is asked for.
func (in *startArguments) request() (coder.CreateSessionRequest, error) {
	request := coder.CreateSessionRequest{Task: in.Task, Label: in.Label, WorkspaceID: in.WorkspaceID}
	switch address, err := url.Parse(in.RepoURL); {
	case in.RepoURL == "" && in.Branch != "":
		return request, &badArgument{"branch", "needs repo_url beside it"}
	case in.RepoURL == "":
	case err != nil || address.Scheme != "https" || address.Host == "":
		return request, &badArgument{"repo_url", "must be an HTTPS address, such as https://github.com/acme/shop"}
	case address.User != nil:
		return request, &badArgument{"repo_url", "must not hold credentials: it is stored, and shown to others"}
	default:
		request.Repo = &coder.SessionRepositoryRef{URL: in.RepoURL, Branch: in.Branch}
	}
	return request, nil
}

// derivedKey is the key of a job that was given none: the same for the same task in the same place.
func (in *startArguments) derivedKey() string {
	sum := sha256.New()
	for _, part := range []string{in.Task, in.RepoURL, in.Branch, in.WorkspaceID} {
		fmt.Fprintf(sum, "%d:%s", len(part), part)
	}
	return "mcp-" + hex.EncodeToString(sum.Sum(nil)[:12])
}

const (
	mostRows, usualRows = 100, 20
	// mostListed is how many sessions a call looks at that wants those of one bucket.
	mostListed = 1000
)

type listArguments struct {
	Bucket   string `json:"bucket,omitzero" jsonschema:"only sessions of this group: running, paused (they sleep, and wake when asked), provisioning or history (they are over; archived ones only with include_archived)"`
	Search   string `json:"search,omitzero" jsonschema:"only sessions with this text in their label, task or metadata"`
	Archived bool   `json:"include_archived,omitzero" jsonschema:"list archived sessions too"`
	Limit    int    `json:"limit,omitzero" jsonschema:"how many to return"`
	Offset   int    `json:"offset,omitzero" jsonschema:"how many to pass over: next_offset of the page before"`
}

type listResult struct {
	Sessions   []listed `json:"sessions" jsonschema:"the page"`
	NextOffset int      `json:"next_offset,omitzero" jsonschema:"the offset of the next page; not there: this was the last"`
}

// listed is a session in a list.
type listed struct {
	SessionID    string `json:"session_id"`
	Label        string `json:"label"`
	Status       string `json:"status" jsonschema:"the Hub's word for how it is"`
	Bucket       string `json:"bucket"`
	Created      string `json:"created,omitzero" jsonschema:"RFC 3339"`
	LastActivity string `json:"last_activity,omitzero" jsonschema:"RFC 3339"`
}

func (r *listResult) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s:\n", plural(len(r.Sessions), "session"))
	for _, s := range r.Sessions {
		fmt.Fprintf(&b, "%s  %s (%s)  %s  %s\n", s.SessionID, s.Status, s.Bucket, s.LastActivity, s.Label)
	}
	if r.NextOffset > 0 {
		fmt.Fprintf(&b, "There are more: call list_sessions with offset %d.\n", r.NextOffset)
	}
	return b.String()
}

// list returns a page. The Hub cannot select by bucket, so that sessions are read until a page of those is full.
func (s *server) list(ctx context.Context, _ *mcp.CallToolRequest, in listArguments) (*listResult, error) {
	r := &listResult{Sessions: []listed{}}
	read := 0
	for item, err := range s.client.AllSessions(ctx, &coder.ListSessionsParams{Search: in.Search, IncludeArchived: in.Archived, Limit: mostRows, Offset: in.Offset}) {
		if err != nil {
			return nil, err
		}
		if len(r.Sessions) == in.Limit || read == mostListed {
			r.NextOffset = in.Offset + read
			break
		}
		read++
		if in.Bucket == "" || item.Bucket == coder.SessionBucket(in.Bucket) {
			r.Sessions = append(r.Sessions, listed{
				SessionID: item.SessionID, Label: short(item.Label, mostOfOption), Status: word(item.Status), Bucket: word(string(item.Bucket)),
				Created: stamp(item.CreatedAt), LastActivity: stamp(item.LastActivityAt),
			})
		}
	}
	return r, nil
}

func stamp(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.UTC().Format(time.RFC3339)
}

type sessionArguments struct {
	SessionID string `json:"session_id" jsonschema:"the id of the session, as start_session or list_sessions returns it"`
}

type statusResult struct {
	SessionID    string   `json:"session_id"`
	State        string   `json:"state" jsonschema:"how it is doing, in the words of wait_session"`
	Succeeded    bool     `json:"succeeded" jsonschema:"it did what it was asked last"`
	Error        string   `json:"error,omitzero" jsonschema:"why it did not succeed"`
	Evidence     []string `json:"evidence" jsonschema:"what the state was concluded from"`
	Label        string   `json:"label,omitzero"`
	Task         string   `json:"task,omitzero" jsonschema:"the first prompt"`
	Status       string   `json:"status" jsonschema:"the Hub's word for how it is"`
	Bucket       string   `json:"bucket,omitzero"`
	Created      string   `json:"created,omitzero" jsonschema:"RFC 3339"`
	LastActivity string   `json:"last_activity,omitzero" jsonschema:"RFC 3339"`
	Tokens       int64    `json:"tokens,omitzero" jsonschema:"what the models have read and written so far, if the Hub says"`
	Next         string   `json:"next" jsonschema:"what to do now"`
	quiet        string
}

func (r *statusResult) text() string {
	about := fmt.Sprintf("Session %s %q: %s (status %s, last activity %s).\nTask: %s", r.SessionID, r.Label, r.State, r.Status, r.quiet, r.Task)
	if r.Error != "" {
		about += "\nError: " + r.Error
	}
	return paragraphs(about, "Evidence: "+strings.Join(r.Evidence, "; "), r.Next)
}

func (s *server) status(ctx context.Context, _ *mcp.CallToolRequest, in sessionArguments) (*statusResult, error) {
	outcome, err := s.client.CheckSession(ctx, in.SessionID)
	if err != nil {
		return nil, err
	}
	r := &statusResult{
		SessionID: in.SessionID, State: string(outcome.Kind), Succeeded: outcome.Succeeded(), Evidence: []string{},
		Error: trouble(outcome), Next: next(outcome.Kind),
	}
	for _, text := range outcome.Evidence {
		r.Evidence = append(r.Evidence, line(text))
	}
	if session := outcome.Session; session != nil {
		r.Label, r.Task = line(session.Label), cut(transcript.Clean(session.Task), mostOfTask)
		r.Status, r.Bucket = word(session.Status), word(string(session.Bucket))
		r.Created, r.LastActivity, r.quiet = stamp(session.CreatedAt), stamp(session.LastActivityAt), ago(session.LastActivityAt)
		if usage, err := session.Usage(); err == nil && usage != nil {
			r.Tokens = usage.InputTokens + usage.OutputTokens
		}
	}
	return r, nil
}

type archiveResult struct {
	SessionID string `json:"session_id"`
	Status    string `json:"status" jsonschema:"the Hub's word for how it is now"`
}

func (r *archiveResult) text() string {
	return fmt.Sprintf("Session %s is over (status %s). read_transcript still works.", r.SessionID, r.Status)
}

// archive may find the session archived, which is as good.
func (s *server) archive(ctx context.Context, _ *mcp.CallToolRequest, in sessionArguments) (*archiveResult, error) {
	r := &archiveResult{SessionID: in.SessionID, Status: coder.StatusArchived}
	done, err := s.client.ArchiveSession(ctx, in.SessionID)
	switch {
	case errors.Is(err, coder.ErrSessionArchived):
		return r, nil
	case err != nil:
		return nil, err
	}
	r.Status = cmp.Or(word(done.Status), r.Status)
	return r, nil
}
