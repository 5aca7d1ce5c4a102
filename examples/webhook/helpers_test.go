package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go/codertest"
)

const (
	secret  = "the secret of the tests"
	token   = "the-token-of-the-tests"
	command = "/coder Why does the build fail?"
)

// text is what a program has written, which may still be writing.
type text struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (t *text) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.b.Write(p)
}

func (t *text) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.b.String()
}

// inMemory is a network that has one server.
type inMemory struct{ handler http.Handler }

func (n inMemory) RoundTrip(req *http.Request) (*http.Response, error) {
	recorder, done := httptest.NewRecorder(), make(chan struct{})
	go func() {
		defer close(done)
		n.handler.ServeHTTP(recorder, req)
	}()
	select {
	case <-done:
		return recorder.Result(), nil
	case <-req.Context().Done():
		<-done
		return nil, req.Context().Err()
	}
}

// scene is a receiver with a Hub, a forge and a database.
type scene struct {
	*testing.T
	hub    *codertest.Hub
	memory *memoryForge
	// before is asked before the forge gets a request; if it reports true, it has answered in its place.
	before func(w http.ResponseWriter, r *http.Request) bool
	store  *store
	worker *worker
	log    *text
	rules  *rules
	server http.Handler

	finished chan *job
}

// bubble makes a test in fake time, in which the worker runs until the test is over.
func bubble(t *testing.T, test func(s *scene), opts ...codertest.Option) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		hub := codertest.NewHub(append(opts, codertest.WithInMemoryNetwork())...)
		defer hub.Close()
		s := newScene(t, hub)
		defer func() { require.NoError(t, s.store.close()) }()
		ctx, cancel := context.WithCancel(t.Context())
		var worker sync.WaitGroup
		worker.Go(func() { s.worker.run(ctx) })
		defer worker.Wait()
		defer cancel()
		test(s)
	})
}

func newScene(t *testing.T, hub *codertest.Hub) *scene {
	t.Helper()
	s := &scene{T: t, hub: hub, memory: newMemoryForge(), log: &text{}, finished: make(chan *job, 100)}
	memory := s.memory.handler()
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, "Bearer "+token, r.Header.Get("Authorization"))
		if s.before == nil || !s.before(w, r) {
			memory.ServeHTTP(w, r)
		}
	})
	client, err := hub.NewClient()
	require.NoError(t, err)
	s.store, err = openStore(t.Context(), filepath.Join(t.TempDir(), "webhook.db"), true)
	require.NoError(t, err)
	log := slog.New(slog.NewTextHandler(s.log, nil))
	s.worker = &worker{
		client: client, forge: newForge("https://forge.example/api", token, inMemory{http.StripPrefix("/api", handler)}), store: s.store, atOnce: 2,
		log: log, woken: make(chan struct{}, 1), busy: make(map[int64]bool), finished: func(j *job) { s.finished <- j },
	}
	s.rules = &rules{secret: []byte(secret), forge: "https://forge.example/api", command: "/coder", from: []string{"OWNER", "MEMBER", "COLLABORATOR"}}
	s.server = newReceiver(s.rules, s.store, log, s.worker.wake)
	return s
}

// deliver delivers an event with the right signature.
func (s *scene) deliver(id string, body []byte) (status string) {
	s.Helper()
	status, err := deliver(s.Context(), inMemory{s.server}, "http://receiver.example/webhook", "issue_comment", id, secret, body)
	require.NoError(s, err)
	return status
}

// job is that of the sample.
func (s *scene) job() *job {
	s.Helper()
	j, ignored, err := s.rules.read("issue_comment", sampleComment(1, command))
	require.NoError(s, err)
	require.NotNil(s, j, ignored)
	return j
}

// other is another worker, that a test runs. The first one has nothing to do until it is woken.
func (s *scene) other(log *slog.Logger) *worker {
	synctest.Wait()
	return &worker{client: s.worker.client, forge: s.worker.forge, store: s.store, atOnce: 2, log: log, woken: make(chan struct{}, 1), busy: make(map[int64]bool)}
}

// await waits until so many jobs are over.
func (s *scene) await(n int) (jobs []*job) {
	s.Helper()
	for range n {
		select {
		case j := <-s.finished:
			jobs = append(jobs, j)
		case <-time.After(30 * 24 * time.Hour): // of fake time
			require.FailNow(s, "nothing is answered", "%s", s.log)
		}
	}
	return jobs
}

// answers are the comments on the issue of the sample.
func (s *scene) answers() []string { return s.memory.texts() }

// changed is a sample whose members are other ones: a path of names, separated by dots, and a value.
func changed(t *testing.T, id int64, text string, members map[string]any) []byte {
	t.Helper()
	var event map[string]any
	require.NoError(t, json.Unmarshal(sampleComment(id, text), &event))
	for path, value := range members {
		at := event
		names := strings.Split(path, ".")
		for _, name := range names[:len(names)-1] {
			at = at[name].(map[string]any)
		}
		at[names[len(names)-1]] = value
	}
	body, err := json.Marshal(event)
	require.NoError(t, err)
	return body
}

func answering(answer string) func(*codertest.SessionControl) {
	return func(s *codertest.SessionControl) { s.Answer(codertest.AgentTurn{Text: answer}) }
}

// delivery is an id of a delivery.
func delivery(n int) string { return fmt.Sprintf("00000000-0000-0000-0000-%012d", n) }
