package promises

import (
	"context"
	"errors"
	"fmt"

	"github.com/agentuity/coder-go"
)

// made is the session that the writing promises are about.
type made struct {
	id       string
	key      string
	metadata map[string]any
	strings  error // why only texts were taken as metadata; nil: everything was
	updated  bool
	answers  []*coder.UpdateSessionResponse // to the same update
	applied  *coder.Session                 // as it was read after the first of them
	archived bool
	deleted  bool
	told     string // the event that the stream told after the update
	after    int    // the newest event before it
}

const (
	label   = "coder-go promises"
	relabel = "coder-go promises, renamed"
	tag     = "coder-go-promises"
	task    = "Answer with the one word ready. Use no tools and change nothing."
	prompt  = "Answer with the one word done. Use no tools and change nothing."
	unmade  = "there is no session to try it with"
)

var fixedEnv = map[string]string{"CODER_GO_PROMISE": "as-created"}

// create makes the session, once. A Hub that takes only texts as metadata gets these.
func (r *run) create(ctx context.Context) error {
	m := &made{key: "promises-" + r.nonce}
	m.metadata = map[string]any{
		"idempotencyKey": m.key, "number": 12.5, "list": []any{"a", true}, "object": map[string]any{"b": "c"},
	}
	request := coder.CreateSessionRequest{Task: task, Label: label, Tags: []string{tag}, Env: fixedEnv, Metadata: m.metadata}
	created, err := r.client.CreateSession(ctx, request)
	if errors.Is(err, coder.ErrInvalidRequest) {
		m.strings = err
		m.metadata = map[string]any{"idempotencyKey": m.key}
		request.Metadata = m.metadata
		created, err = r.client.CreateSession(ctx, request)
	}
	if err != nil {
		r.doubt = errors.Is(err, coder.ErrOutcomeUnknown)
		return err
	}
	m.id = created.SessionID
	r.made = m
	return nil
}

// read reads the session that was made.
func (r *run) read(ctx context.Context) (*coder.Session, *verdict) {
	if r.made == nil {
		v := unsettled(unmade)
		return nil, &v
	}
	session, err := r.client.GetSession(ctx, r.made.id)
	if err != nil {
		v := failed(err)
		return nil, &v
	}
	return session, nil
}

// cleanUp takes away what was made, whatever has become of the context, and returns what it could not.
func (r *run) cleanUp(ctx context.Context) []string {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleaning)
	defer cancel()
	if r.made == nil && r.doubt { // the answer to the create was lost
		r.find(ctx)
	}
	switch {
	case r.made == nil && r.doubt:
		return []string{fmt.Sprintf("a session with the label %q may have been created, and was not found", label)}
	case r.made == nil || r.made.deleted:
		return nil
	}
	err := r.client.DeleteSession(ctx, r.made.id)
	if err == nil || errors.Is(err, coder.ErrSessionNotFound) {
		return nil
	}
	if _, archived := r.client.ArchiveSession(ctx, r.made.id); archived == nil {
		return []string{fmt.Sprintf("session %s is archived and not deleted: %v", r.made.id, err)}
	}
	return []string{fmt.Sprintf("session %s is still there: %v", r.made.id, err)}
}

// find looks for a session whose create had no answer.
func (r *run) find(ctx context.Context) {
	key := "promises-" + r.nonce
	_, _, _ = eventually(ctx, cleaning/2, func() (bool, error) {
		for s, err := range r.client.AllSessions(ctx, &coder.ListSessionsParams{Search: key, IncludeArchived: true}) {
			if err != nil {
				return false, nil // another look may be answered
			}
			session, err := r.client.GetSession(ctx, s.SessionID)
			if err == nil && session.Metadata["idempotencyKey"] == key {
				r.made = &made{id: s.SessionID, key: key}
				return true, nil
			}
		}
		return false, nil
	})
}
