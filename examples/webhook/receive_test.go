package main

import (
	"bytes"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// sent is a delivery that a test makes by hand.
type sent struct {
	method, path string
	header       map[string]string // an empty value removes one
	body         io.Reader
}

func (s *scene) send(d sent) (status int, says string) {
	s.Helper()
	body := sampleComment(1, command)
	method, path := http.MethodPost, "/webhook"
	if d.method != "" {
		method = d.method
	}
	if d.path != "" {
		path = d.path
	}
	if d.body == nil {
		d.body = bytes.NewReader(body)
	}
	req := httptest.NewRequestWithContext(s.Context(), method, path, d.body)
	for name, value := range map[string]string{
		"Content-Type": "application/json", "X-GitHub-Event": "issue_comment", "X-GitHub-Delivery": delivery(1),
		"X-Hub-Signature-256": "sha256=" + hex.EncodeToString(signature([]byte(secret), body)),
	} {
		req.Header.Set(name, value)
	}
	for name, value := range d.header {
		if value == "" {
			req.Header.Del(name)
		} else {
			req.Header.Set(name, value)
		}
	}
	recorder := httptest.NewRecorder()
	s.server.ServeHTTP(recorder, req)
	return recorder.Code, recorder.Body.String()
}

// signed is a delivery of a body with its signature.
func signed(body string) sent {
	return sent{body: strings.NewReader(body), header: map[string]string{"X-Hub-Signature-256": "sha256=" + hex.EncodeToString(signature([]byte(secret), []byte(body)))}}
}

// TestSignatures: nothing that is not signed with the secret starts anything.
func TestSignatures(t *testing.T) {
	body := sampleComment(1, command)
	right := hex.EncodeToString(signature([]byte(secret), body))
	for name, test := range map[string]struct {
		signature string
		body      string
		status    int
	}{
		"right":                 {"sha256=" + right, "", http.StatusAccepted},
		"in capitals":           {"sha256=" + strings.ToUpper(right), "", http.StatusAccepted},
		"missing":               {"", "", http.StatusUnauthorized},
		"without an algorithm":  {right, "", http.StatusUnauthorized},
		"another algorithm":     {"sha1=" + right, "", http.StatusUnauthorized},
		"algorithm in capitals": {"SHA256=" + right, "", http.StatusUnauthorized},
		"empty":                 {"sha256=", "", http.StatusUnauthorized},
		"no hex":                {"sha256=" + strings.Repeat("x", 64), "", http.StatusUnauthorized},
		"half":                  {"sha256=" + right[:32], "", http.StatusUnauthorized},
		"one digit too many":    {"sha256=" + right + "0", "", http.StatusUnauthorized},
		"two of them":           {"sha256=" + right + right, "", http.StatusUnauthorized},
		"of another secret":     {"sha256=" + hex.EncodeToString(signature([]byte("another"), body)), "", http.StatusUnauthorized},
		"of an empty secret":    {"sha256=" + hex.EncodeToString(signature(nil, body)), "", http.StatusUnauthorized},
		"of another body":       {"sha256=" + right, string(body) + " ", http.StatusUnauthorized},
		"of an empty body":      {"sha256=" + right, " ", http.StatusUnauthorized},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(s *scene) {
				s.Helper()
				d := sent{header: map[string]string{"X-Hub-Signature-256": test.signature}, body: bytes.NewReader(body)}
				if test.body != "" {
					d.body = strings.NewReader(test.body)
				}
				status, says := s.send(d)
				assert.Equal(s, test.status, status, says)
				if test.status == http.StatusAccepted {
					s.await(1)
					assert.Len(s, s.hub.SessionIDs(), 1)
					return
				}
				assert.Contains(s, says, "X-Hub-Signature-256")
				assert.NotContains(s, s.log.String(), delivery(1), "nothing of it is believed")
				jobs, err := s.store.all(s.Context())
				require.NoError(s, err)
				assert.Empty(s, jobs)
				assert.Empty(s, s.hub.Requests())
			})
		})
	}
}

// TestDeliveries_Refused: what is no delivery of a forge is refused, and says why.
func TestDeliveries_Refused(t *testing.T) {
	with := func(members map[string]any) sent { return signed(string(changed(t, 1, command, members))) }
	for name, test := range map[string]struct {
		sent   sent
		status int
		says   string
	}{
		"another path":       {sent{path: "/"}, http.StatusNotFound, ""},
		"another method":     {sent{method: http.MethodPut}, http.StatusMethodNotAllowed, ""},
		"a form":             {sent{header: map[string]string{"Content-Type": "application/x-www-form-urlencoded"}}, http.StatusUnsupportedMediaType, "application/json"},
		"no content type":    {sent{header: map[string]string{"Content-Type": ""}}, http.StatusUnsupportedMediaType, "application/json"},
		"too long":           {sent{body: io.LimitReader(zeros{}, mostBody+1)}, http.StatusRequestEntityTooLarge, "2 MB"},
		"too long by far":    {sent{body: zeros{}}, http.StatusRequestEntityTooLarge, "2 MB"},
		"cut off":            {sent{body: io.MultiReader(strings.NewReader("{"), broken{})}, http.StatusBadRequest, "could not be read"},
		"as long as allowed": {sent{body: io.LimitReader(zeros{}, mostBody)}, http.StatusUnauthorized, ""},
		"no event":           {sent{header: map[string]string{"X-GitHub-Event": ""}}, http.StatusBadRequest, "X-GitHub-Event"},
		"no id":              {sent{header: map[string]string{"X-GitHub-Delivery": ""}}, http.StatusBadRequest, "X-GitHub-Delivery"},
		"an id of two lines": {sent{header: map[string]string{"X-GitHub-Delivery": "a b"}}, http.StatusBadRequest, "X-GitHub-Delivery"},
		"no JSON":            {signed("{"), http.StatusBadRequest, "issue_comment"},
		"a list":             {signed("[]"), http.StatusBadRequest, "issue_comment"},
		"a number as text":   {with(map[string]any{"comment.id": "7"}), http.StatusBadRequest, "issue_comment"},
		"no comment":         {with(map[string]any{"comment.id": 0}), http.StatusBadRequest, "comment.id"},
		"no issue":           {with(map[string]any{"issue.number": 0}), http.StatusBadRequest, "issue.number"},
		"no repository":      {with(map[string]any{"repository.id": 0}), http.StatusBadRequest, "repository.id"},
		"a path as name":     {with(map[string]any{"repository.full_name": "acme/shop/../../x"}), http.StatusBadRequest, "repository.full_name"},
		"dots as name":       {with(map[string]any{"repository.full_name": "acme/.."}), http.StatusBadRequest, "repository.full_name"},
		"a query as name":    {with(map[string]any{"repository.full_name": "acme/shop?x="}), http.StatusBadRequest, "repository.full_name"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(s *scene) {
				status, says := s.send(test.sent)
				assert.Equal(s, test.status, status, says)
				assert.Contains(s, says, test.says)
				jobs, err := s.store.all(s.Context())
				require.NoError(s, err)
				assert.Empty(s, jobs)
			})
		})
	}
}

// zeros is a body without an end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// broken is a connection that ends too early.
type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// TestDeliveries_NothingToDo: what asks for nothing is answered well, and starts nothing.
func TestDeliveries_NothingToDo(t *testing.T) {
	for name, test := range map[string]struct {
		text    string
		members map[string]any
		because string
	}{
		"edited":              {command, map[string]any{"action": "edited"}, "not new"},
		"deleted":             {command, map[string]any{"action": "deleted"}, "not new"},
		"a bot":               {command, map[string]any{"comment.user.type": "Bot"}, "a bot"},
		"a bot by its name":   {command, map[string]any{"comment.user.login": "renovate[bot]"}, "a bot"},
		"an app for somebody": {command, map[string]any{"comment.performed_via_github_app": map[string]any{"id": 1}}, "a bot"},
		"a stranger":          {command, map[string]any{"comment.author_association": "NONE"}, "may not"},
		"a contributor":       {command, map[string]any{"comment.author_association": "CONTRIBUTOR"}, "may not"},
		"nobody knows who":    {command, map[string]any{"comment.author_association": ""}, "may not"},
		"talk":                {"I think it is the cache.", nil, "no command"},
		"nothing":             {"", nil, "no command"},
		"a command alone":     {"/coder", nil, "no command"},
		"a command and space": {"/coder \n", nil, "no command"},
		"another command":     {"/coders fix it", nil, "no command"},
		"in the middle":       {"Use /coder fix it", nil, "no command"},
		"a quotation":         {"> /coder fix it", nil, "no command"},
		"an answer":           {answerTo(&job{key: "webhook-1", succeeded: true, answer: command}), nil, "no command"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(s *scene) {
				status, says := s.send(signed(string(changed(t, 1, test.text, test.members))))
				assert.Equal(s, http.StatusOK, status)
				assert.Contains(s, says, test.because, "GitHub shows it to whoever asks why nothing happens")
				assert.Contains(s, s.log.String(), test.because)
				jobs, err := s.store.all(s.Context())
				require.NoError(s, err)
				assert.Empty(s, jobs)
			})
		})
	}
	bubble(t, func(s *scene) {
		for event, want := range map[string]string{"ping": "200 OK", "push": "200 OK", "pull_request_review_comment": "200 OK"} {
			status, err := deliver(s.Context(), inMemory{s.server}, "http://receiver.example/webhook", event, delivery(1), secret, []byte(`{"zen": "Design for failure."}`))
			require.NoError(s, err)
			assert.Equal(s, want, status, event)
		}
		status, says := s.send(sent{method: http.MethodGet, path: "/healthz"})
		assert.Equal(s, http.StatusOK, status)
		assert.Equal(s, "ok\n", says)
		require.NoError(s, s.store.db.Close())
		status, _ = s.send(sent{method: http.MethodGet, path: "/healthz"})
		assert.Equal(s, http.StatusServiceUnavailable, status)
		assert.Equal(s, "503 Service Unavailable", s.deliver(delivery(1), sampleComment(1, command)), "what could not be stored was not accepted")
	})
}

// TestDeliveries_Twice: however often, by whomever and at whatever moment a comment is delivered, it starts one session.
func TestDeliveries_Twice(t *testing.T) {
	bubble(t, func(s *scene) {
		s.hub.OnSession(answering("It is the cache."))
		synctest.Wait() // the worker has looked, and waits
		body := sampleComment(1, command)
		var mu sync.Mutex
		var all sync.WaitGroup
		statuses := map[string]int{}
		for n := range 20 {
			all.Go(func() {
				status := s.deliver(delivery(n%2), body) // the second webhook has other ids
				mu.Lock()
				defer mu.Unlock()
				statuses[status]++
			})
		}
		all.Wait()
		assert.Equal(s, map[string]int{"202 Accepted": 1, "200 OK": 19}, statuses)
		began := time.Now()
		s.await(1)
		assert.Less(s, time.Since(began), time.Minute, "it begins at once")
		assert.Equal(s, "200 OK", s.deliver(delivery(1), body), "it is over")
		assert.Len(s, s.hub.SessionIDs(), 1)
		assert.Len(s, s.answers(), 1)
		assert.Contains(s, s.answers()[0], "It is the cache.")

		assert.Equal(s, "202 Accepted", s.deliver(delivery(1), sampleComment(2, command)), "another comment, whatever its id")
		s.await(1)
		assert.Len(s, s.hub.SessionIDs(), 2)
		assert.Len(s, s.answers(), 2)
	})
}

// TestDeliveries_Long: the longest comment on the longest issue is no longer than what is read.
func TestDeliveries_Long(t *testing.T) {
	bubble(t, func(s *scene) {
		text := strings.Repeat("x", 65_000)
		body := string(changed(t, 1, "/coder "+text, map[string]any{"issue.body": text}))
		assert.Equal(s, "202 Accepted", s.deliver(delivery(1), []byte(strings.ReplaceAll(body, "xx", `\ud83d\ude00\ud83d\ude00`))))
		s.await(1)
	})
}

// TestRequest: the Hub is told what was asked for, and where.
func TestRequest(t *testing.T) {
	bubble(t, func(s *scene) {
		s.deliver(delivery(1), changed(t, 41, "  /coder\n\nWhy does the build\r\nfail?  ", map[string]any{"issue.pull_request": map[string]any{}}))
		j := s.await(1)[0]
		session := s.hub.Session(s.hub.SessionIDs()[0])
		assert.Equal(s, "Pull request 7 of acme/shop:\n\nWhy does the build\r\nfail?", session.Task())
		assert.Equal(s, "acme/shop#7: Why does the build", session.Label())
		detail := session.Detail()
		assert.Equal(s, []string{"webhook", "acme/shop"}, detail.Tags)
		assert.Equal(s, "https://github.example/acme/shop.git", detail.Repo.CloneURL)
		assert.Equal(s, "main", detail.Repo.DefaultBranch)
		assert.Equal(s, j.key, session.Metadata()["idempotencyKey"])
		assert.Equal(s, "https://github.example/acme/shop/issues/7#issuecomment-41", session.Metadata()["comment"])
		assert.Equal(s, "alice", session.Metadata()["author"])
		assert.NotContains(s, s.log.String(), "Why does", "no texts of people in the log")
	})
}
