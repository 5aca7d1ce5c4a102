package main

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

// scenario is a piece of work that uses some methods. Its weight is how often it is in a round.
type scenario struct {
	name   string
	weight int
	play   func(*worker, context.Context)
}

var scenarios = []scenario{
	{"session", 4, (*worker).session},
	{"ensure", 3, (*worker).ensure},
	{"run", 1, (*worker).run},
	{"read", 3, (*worker).read},
	{"workspace", 2, (*worker).workspace},
	{"skills", 2, (*worker).skills},
	{"agent", 1, (*worker).agent},
	{"others", 2, (*worker).others},
	{"stream", 1, (*worker).stream},
	{"watch", 2, (*worker).watch},
	{"connect", 1, (*worker).connect},
	{"ask", 1, (*worker).ask},
	{"lead", 1, (*worker).lead},
}

// attemptsOf is the key of a counter of attempts in the context of a call.
type attemptsOf struct{}

// lookupWindow is how long a session is looked for whose create may have worked.
const lookupWindow = 5 * time.Second

// newSession creates a session, and returns what the Hub knows of it; nil if it has not been created.
func (w *worker) newSession(ctx context.Context, task string) *codertest.SessionControl {
	token := w.token()
	var id string
	if !w.create(ctx, "CreateSession", token, func(ctx context.Context) error {
		made, err := w.client.CreateSession(ctx, coder.CreateSessionRequest{Task: task, Label: token, Metadata: map[string]any{"token": token}})
		if err == nil {
			id = made.SessionID
		}
		return err
	}) {
		return nil
	}
	return w.control(id)
}

// control is what the Hub knows of a session that a client was told of; nil if nothing.
func (w *worker) control(id string) *codertest.SessionControl {
	if !slices.Contains(w.hub.SessionIDs(), id) {
		w.book.report(lost, "%s: the Hub has no session %s", w.way.name, id)
		return nil
	}
	return w.hub.Session(id)
}

// session lives a life of a session.
func (w *worker) session(ctx context.Context) {
	truth := w.newSession(ctx, "Look around")
	if truth == nil {
		return
	}
	id, c := truth.ID(), w.client
	label := truth.Label()
	var late []string // labels that may come yet: of an update without an answer, or of which an attempt had none
	w.call(ctx, "PrepareSessionForRemoteAttach", func(ctx context.Context) error {
		_, err := c.PrepareSessionForRemoteAttach(ctx, id, nil)
		return err
	})
	for n := range 3 {
		next := fmt.Sprintf("%s, %d", truth.Label(), n)
		attempts := new(atomic.Int32)
		updated := w.call(context.WithValue(ctx, attemptsOf{}, attempts), "UpdateSession", func(ctx context.Context) error {
			_, err := c.UpdateSession(ctx, id, coder.UpdateSessionRequest{Label: &next})
			return err
		})
		if updated {
			label = next
		}
		if !updated || attempts.Load() > 1 {
			late = append(late, next)
		}
		labels := append([]string{label}, late...)
		w.check(slices.Contains(labels, truth.Label()), "UpdateSession: the label is %q, not of %q", truth.Label(), labels)
		w.call(ctx, "GetSession", func(ctx context.Context) error {
			session, err := c.GetSession(ctx, id)
			if err == nil {
				w.check(session.SessionID == id && slices.Contains(labels, session.Label), "GetSession: %s is labelled %q, not of %q", session.SessionID, session.Label, labels)
			}
			return err
		})
	}
	w.call(ctx, "ListSessions", func(ctx context.Context) error {
		list, err := c.ListSessions(ctx, &coder.ListSessionsParams{Search: truth.Label()})
		if err == nil {
			w.check(len(list.Sessions) == 1 && list.Sessions[0].SessionID == id, "ListSessions: %d sessions labelled %q", len(list.Sessions), truth.Label())
		}
		return err
	})
	w.call(ctx, "ListParticipants", func(ctx context.Context) error { _, err := c.ListParticipants(ctx, id, nil); return err })
	w.call(ctx, "SessionTodos", func(ctx context.Context) error { _, err := c.SessionTodos(ctx, id, nil); return err })
	w.call(ctx, "ResumeSession", func(ctx context.Context) error { _, err := c.ResumeSession(ctx, id); return err })
	w.call(ctx, "GetLoopState", func(ctx context.Context) error { _, err := c.GetLoopState(ctx, id); return err })
	if w.call(ctx, "ArchiveSession", func(ctx context.Context) error { _, err := c.ArchiveSession(ctx, id); return err }) {
		if !truth.Archived() {
			w.book.report(lost, "%s: ArchiveSession: %s is not archived", w.way.name, id)
		}
		w.call(ctx, "ResumeSession", func(ctx context.Context) error {
			_, err := c.ResumeSession(ctx, id)
			w.check(err != nil, "ResumeSession: an archived session was resumed")
			return err
		}, coder.ErrSessionArchived, coder.ErrResumeDeclined)
	}
	w.remove(ctx, truth)
}

// remove deletes a session.
func (w *worker) remove(ctx context.Context, truth *codertest.SessionControl) {
	if !w.call(ctx, "DeleteSession", func(ctx context.Context) error { return w.client.DeleteSession(ctx, truth.ID()) }) {
		return
	}
	if !truth.Deleted() {
		w.book.report(lost, "%s: DeleteSession: %s is not deleted", w.way.name, truth.ID())
	}
	w.call(ctx, "GetSession", func(ctx context.Context) error {
		_, err := w.client.GetSession(ctx, truth.ID())
		w.check(err != nil, "GetSession: a deleted session was found")
		return err
	}, coder.ErrSessionNotFound)
}

// ensure calls EnsureSession with one key from several goroutines at once.
func (w *worker) ensure(ctx context.Context) {
	token := w.token()
	w.book.asked(token, "EnsureSession")
	var (
		group sync.WaitGroup
		mu    sync.Mutex
		ids   []string
		news  int
	)
	seeds := make([]time.Duration, 6)
	for i := range seeds {
		seeds[i] = callTime
		if w.random.IntN(6) == 0 {
			seeds[i] = time.Duration(1+w.random.IntN(300)) * time.Millisecond
		}
	}
	for _, long := range seeds {
		group.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, long)
			defer cancel()
			returned := w.guard(ctx, "EnsureSession")
			defer returned()
			began := time.Now()
			session, err := w.client.EnsureSession(ctx, token, coder.CreateSessionRequest{Task: "Ensure", Label: token},
				&coder.EnsureSessionOptions{LookupWindow: lookupWindow})
			w.returned(ctx, "EnsureSession", began, err)
			w.judge(ctx, "EnsureSession", time.Since(began), err, coder.ErrOutcomeUnknown)
			if err == nil {
				mu.Lock()
				defer mu.Unlock()
				ids = append(ids, session.SessionID)
				if session.Created {
					news++
				}
			}
		})
	}
	group.Wait()
	slices.Sort(ids)
	ids = slices.Compact(ids)
	w.check(len(ids) <= 1 && news <= 1, "EnsureSession: %d sessions, %d created", len(ids), news)
	if len(ids) == 0 {
		w.book.heard(token, "unknown")
		return
	}
	w.book.heard(token, "made")
	if truth := w.control(ids[0]); truth != nil {
		w.check(truth.Label() == token, "EnsureSession: %s is labelled %q", truth.ID(), truth.Label())
		w.remove(ctx, truth)
	}
}

// run gives an agent a task, and waits for what it says.
func (w *worker) run(ctx context.Context) {
	token, c := w.token(), w.client
	task, fails := "Report "+token, w.random.IntN(4) == 0
	if fails {
		task = "Fail " + token
	}
	w.book.asked(token, "RunSession")
	var id string
	err := w.try(ctx, "RunSession", func(ctx context.Context) error {
		result, err := c.RunSession(ctx, token, coder.CreateSessionRequest{Task: task, Label: token}, &coder.RunSessionOptions{RepostAfter: -1, LookupWindow: lookupWindow})
		if err != nil {
			return err
		}
		id = result.SessionID
		if fails {
			w.check(result.Outcome.Kind == coder.OutcomeFailed, "RunSession: %s, of an agent that failed", result.Outcome.Kind)
		} else {
			w.check(result.Outcome.Kind == coder.OutcomeTurnEnded && result.Answer == "Report of "+token, "RunSession: %s, %q to %q", result.Outcome.Kind, result.Answer, task)
		}
		return nil
	}, coder.ErrOutcomeUnknown)
	if err != nil {
		w.book.heard(token, "unknown") // it may have been created before it could not be waited for
		return
	}
	w.book.heard(token, "made")
	truth := w.control(id)
	if truth == nil {
		return
	}
	for method, wait := range map[string]func(context.Context) (*coder.SessionOutcome, error){
		"WaitForSession": func(ctx context.Context) (*coder.SessionOutcome, error) {
			return c.WaitForSession(ctx, id, &coder.WaitForSessionOptions{Follow: w.random.IntN(2) == 0})
		},
		"CheckSession": func(ctx context.Context) (*coder.SessionOutcome, error) { return c.CheckSession(ctx, id) },
	} {
		w.call(ctx, method, func(ctx context.Context) error {
			outcome, err := wait(ctx)
			if err == nil {
				unsure := method == "CheckSession" && outcome.Kind == coder.OutcomeWorking // the clock of one look has seconds
				w.check(outcome.Succeeded() != fails || unsure, "%s: %s after %q", method, outcome.Kind, task)
			}
			return err
		})
	}
	w.call(ctx, "LastAnswer", func(ctx context.Context) error {
		answer, err := c.LastAnswer(ctx, id)
		w.check(err != nil || fails || answer == "Report of "+token, "LastAnswer: %q to %q", answer, task)
		return err
	})
	w.remove(ctx, truth)
}

// read reads what does not change.
func (w *worker) read(ctx context.Context) {
	c, id := w.client, w.settled.session
	w.call(ctx, "GetReplay", func(ctx context.Context) error {
		replay, err := c.GetReplay(ctx, id, nil)
		if err == nil {
			w.check(len(replay.Entries) == settledItems, "GetReplay: %d entries", len(replay.Entries))
		}
		return err
	})
	entries, whole := all(ctx, w, "ReplayEntries", func(ctx context.Context) iter.Seq2[coder.ConversationEntry, error] {
		return c.ReplayEntries(ctx, id, nil)
	})
	for i, entry := range entries {
		w.check(entry.Content == settledText(i), "ReplayEntries: entry %d is %q", i, entry.Content)
	}
	w.check(!whole || len(entries) == settledItems, "ReplayEntries: %d entries", len(entries))
	events, whole := all(ctx, w, "AllEventHistory", func(ctx context.Context) iter.Seq2[coder.SessionEvent, error] {
		return c.AllEventHistory(ctx, id, nil)
	})
	events = slices.DeleteFunc(events, func(e coder.SessionEvent) bool { return e.Event != settledEvent }) // others are of those who come and go
	w.check(!whole || len(events) == settledItems, "AllEventHistory: %d events", len(events))
	for i, event := range events { // the newest first
		want := settledItems - 1 - i
		w.check(number(event.Payload) == want, "AllEventHistory: event %d, not %d", number(event.Payload), want)
	}
	w.call(ctx, "ListEventHistory", func(ctx context.Context) error {
		page, err := c.ListEventHistory(ctx, id, &coder.ListEventHistoryParams{Limit: 7})
		if err == nil {
			w.check(len(page.Events) == 7, "ListEventHistory: %d events", len(page.Events))
		}
		return err
	})
	people, whole := all(ctx, w, "AllUsers", func(ctx context.Context) iter.Seq2[coder.User, error] {
		return c.AllUsers(ctx, &coder.ListUsersParams{Limit: 10})
	})
	w.check(!whole || len(people) == users, "AllUsers: %d", len(people))
	w.call(ctx, "ListUsers", func(ctx context.Context) error {
		page, err := c.ListUsers(ctx, &coder.ListUsersParams{Limit: 10})
		if err == nil {
			w.check(len(page.Users) == 10 && page.Total == users, "ListUsers: %d of %d", len(page.Users), page.Total)
		}
		return err
	})
	sessions, whole := all(ctx, w, "AllSessions", func(ctx context.Context) iter.Seq2[coder.SessionListItem, error] {
		return c.AllSessions(ctx, &coder.ListSessionsParams{Search: "ticking", Limit: 2})
	})
	w.check(!whole || len(sessions) == tickers, "AllSessions: %d", len(sessions))
	sessions, whole = all(ctx, w, "AllConnectableSessions", func(ctx context.Context) iter.Seq2[coder.SessionListItem, error] {
		return c.AllConnectableSessions(ctx, &coder.ListConnectableSessionsParams{Search: "ticking"})
	})
	w.check(!whole || len(sessions) == tickers, "AllConnectableSessions: %d", len(sessions))
	w.call(ctx, "ListConnectableSessions", func(ctx context.Context) error {
		page, err := c.ListConnectableSessions(ctx, &coder.ListConnectableSessionsParams{Search: "ticking"})
		if err == nil {
			w.check(len(page.Sessions) == tickers, "ListConnectableSessions: %d", len(page.Sessions))
		}
		return err
	})
}

// workspace lives a life of a workspace.
func (w *worker) workspace(ctx context.Context) {
	c, token := w.client, w.token()
	var id string
	made := w.create(ctx, "CreateWorkspace", token, func(ctx context.Context) error {
		workspace, err := c.CreateWorkspace(ctx, coder.CreateWorkspaceRequest{Name: token})
		if err == nil {
			id = workspace.ID
		}
		return err
	})
	names := func(c *coder.Client, ctx context.Context) (names []string, err error) {
		list, err := c.ListWorkspaces(ctx)
		if err == nil {
			for _, workspace := range list.Workspaces {
				names = append(names, workspace.Name)
			}
		}
		return names, err
	}
	w.counted(ctx, token, names)
	if !made {
		return
	}
	w.listed(ctx, "ListWorkspaces", token, names)
	same := func(workspace *coder.WorkspaceDetail, err error) error {
		if err == nil {
			w.check(workspace.ID == id && workspace.Name == token, "workspace %s is named %q, not %q", workspace.ID, workspace.Name, token)
		}
		return err
	}
	w.call(ctx, "GetWorkspace", func(ctx context.Context) error { return same(c.GetWorkspace(ctx, id)) })
	w.call(ctx, "UpdateWorkspace", func(ctx context.Context) error {
		return same(c.UpdateWorkspace(ctx, id, coder.UpdateWorkspaceRequest{Description: new("of a soak")}))
	})
	w.call(ctx, "RefreshWorkspaceSnapshot", func(ctx context.Context) error { return same(c.RefreshWorkspaceSnapshot(ctx, id)) })
	w.call(ctx, "ValidateWorkspaceDependencies", func(ctx context.Context) error {
		_, err := c.ValidateWorkspaceDependencies(ctx, []string{"git"})
		return err
	})
	w.call(ctx, "DeleteWorkspace", func(ctx context.Context) error { return c.DeleteWorkspace(ctx, id) })
}

// listed checks that a list has what was created, once.
func (w *worker) listed(ctx context.Context, method, token string, names func(*coder.Client, context.Context) ([]string, error)) {
	w.call(ctx, method, func(ctx context.Context) error {
		list, err := names(w.client, ctx)
		if err == nil {
			n := 0
			for _, name := range list {
				if name == token {
					n++
				}
			}
			w.check(n == 1, "%s: %d times %s", method, n, token)
		}
		return err
	})
}

// skills lives the lives of two skills and a bucket.
func (w *worker) skills(ctx context.Context) {
	c := w.client
	saved := func(c *coder.Client, ctx context.Context) (names []string, err error) {
		list, err := c.ListSavedSkills(ctx)
		if err == nil {
			for _, skill := range list.Skills {
				names = append(names, skill.Name)
			}
		}
		return names, err
	}
	buckets := func(c *coder.Client, ctx context.Context) (names []string, err error) {
		list, err := c.ListSkillBuckets(ctx)
		if err == nil {
			for _, bucket := range list.Buckets {
				names = append(names, bucket.Name)
			}
		}
		return names, err
	}
	for _, one := range []struct {
		create, list, remove string
		names                func(*coder.Client, context.Context) ([]string, error)
		made                 func(ctx context.Context, name string) (id string, err error)
		gone                 func(ctx context.Context, id string) error
	}{
		{"SaveSkill", "ListSavedSkills", "DeleteSavedSkill", saved, func(ctx context.Context, name string) (string, error) {
			skill, err := c.SaveSkill(ctx, coder.SaveSkillRequest{Repo: "northwind/skills", SkillID: name, Name: name, URL: "https://skills.example/" + name})
			if err != nil {
				return "", err
			}
			return skill.ID, nil
		}, c.DeleteSavedSkill},
		{"CreateCustomSkill", "ListSavedSkills", "DeleteSavedSkill", saved, func(ctx context.Context, name string) (string, error) {
			skill, err := c.CreateCustomSkill(ctx, coder.CreateCustomSkillRequest{SkillID: name, Name: name, Content: "# " + name})
			if err != nil {
				return "", err
			}
			return skill.ID, nil
		}, c.DeleteSavedSkill},
		{"CreateSkillBucket", "ListSkillBuckets", "DeleteSkillBucket", buckets, func(ctx context.Context, name string) (string, error) {
			bucket, err := c.CreateSkillBucket(ctx, coder.CreateSkillBucketRequest{Name: name})
			if err != nil {
				return "", err
			}
			return bucket.ID, nil
		}, c.DeleteSkillBucket},
	} {
		token := w.token()
		var id string
		made := w.create(ctx, one.create, token, func(ctx context.Context) (err error) {
			id, err = one.made(ctx, token)
			return err
		})
		w.counted(ctx, token, one.names)
		if !made {
			continue
		}
		w.listed(ctx, one.list, token, one.names)
		w.call(ctx, one.remove, func(ctx context.Context) error { return one.gone(ctx, id) })
	}
}

// agent lives a life of a custom agent. There is no way to delete one.
func (w *worker) agent(ctx context.Context) {
	c, token := w.client, w.token()
	made := w.create(ctx, "CreateCustomAgent", token, func(ctx context.Context) error {
		_, err := c.CreateCustomAgent(ctx, coder.CreateCustomAgentRequest{Slug: token, DisplayName: token, Instructions: "Soak."})
		return err
	})
	names := func(c *coder.Client, ctx context.Context) (names []string, err error) {
		list, err := c.ListCustomAgents(ctx, &coder.ListCustomAgentsParams{IncludeArchived: true})
		if err == nil {
			for _, agent := range list.Agents {
				names = append(names, agent.Slug)
			}
		}
		return names, err
	}
	w.counted(ctx, token, names)
	if !made {
		return
	}
	w.listed(ctx, "ListCustomAgents", token, names)
	same := func(agent *coder.CustomAgent, err error) error {
		if err == nil {
			w.check(agent.Slug == token, "agent %s, not %s", agent.Slug, token)
		}
		return err
	}
	w.call(ctx, "GetCustomAgent", func(ctx context.Context) error { return same(c.GetCustomAgent(ctx, token)) })
	w.call(ctx, "UpdateCustomAgent", func(ctx context.Context) error {
		return same(c.UpdateCustomAgent(ctx, token, coder.UpdateCustomAgentRequest{Description: coder.Value("of a soak")}))
	})
	published := w.call(ctx, "PublishCustomAgent", func(ctx context.Context) error { return same(c.PublishCustomAgent(ctx, token)) }, coder.ErrOutcomeUnknown)
	w.call(ctx, "ListCustomAgentVersions", func(ctx context.Context) error {
		list, err := c.ListCustomAgentVersions(ctx, token)
		if err == nil {
			w.check(len(list.Versions) == 1 || !published && len(list.Versions) == 0, "%d versions of %s", len(list.Versions), token)
		}
		return err
	})
	w.call(ctx, "ArchiveCustomAgent", func(ctx context.Context) error { return same(c.ArchiveCustomAgent(ctx, token)) })
}

// others uses what is left.
func (w *worker) others(ctx context.Context) {
	c := w.client
	w.call(ctx, "URL", func(ctx context.Context) error { _, err := c.URL(ctx); return err })
	w.call(ctx, "HubInit", func(ctx context.Context) error { _, err := c.HubInit(ctx, nil); return err })
	w.call(ctx, "HubSkills", func(ctx context.Context) error { _, err := c.HubSkills(ctx); return err })
	w.call(ctx, "ListGitHubAccounts", func(ctx context.Context) error {
		list, err := c.ListGitHubAccounts(ctx)
		if err == nil {
			w.check(len(list.Accounts) == 1, "%d GitHub accounts", len(list.Accounts))
		}
		return err
	})
	w.call(ctx, "ListGitHubRepos", func(ctx context.Context) error {
		list, err := c.ListGitHubRepos(ctx, w.settled.account)
		if err == nil {
			w.check(len(list.Repositories) == 2, "%d GitHub repositories", len(list.Repositories))
		}
		return err
	})
	w.call(ctx, "Do", func(ctx context.Context) error {
		var session coder.Session
		err := c.Do(ctx, http.MethodGet, "/hub/session/"+w.settled.session, nil, &session)
		w.check(err != nil || session.SessionID == w.settled.session, "Do: %s", session.SessionID)
		return err
	})
	token := w.token()
	var id string
	if w.create(ctx, "CreateAgentBuilderSession", token, func(ctx context.Context) error {
		made, err := c.CreateAgentBuilderSession(ctx, coder.CreateAgentBuilderSessionRequest{Label: token, Prompt: "Build", Mode: coder.BuilderModeNew})
		if err == nil {
			id = made.SessionID
		}
		return err
	}) {
		if truth := w.control(id); truth != nil {
			w.remove(ctx, truth)
		}
	}
}

// counted counts how many of this name there are, as the Hub says without a network between.
func (w *worker) counted(ctx context.Context, token string, names func(*coder.Client, context.Context) ([]string, error)) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	list, err := names(w.direct, ctx)
	for err != nil && ctx.Err() == nil { // the Hub fails all the same
		list, err = names(w.direct, ctx)
	}
	w.check(err == nil, "without a network between: %v", err)
	for _, name := range list {
		if name == token {
			w.book.made(token)
		}
	}
}

func settledText(i int) string { return fmt.Sprintf("entry %d\u2028 \"quoted\"", i) }
