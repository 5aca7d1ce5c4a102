package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/agentuity/coder-go/codertest"
)

const (
	// pace is how long the agent of the demonstration rests before each step.
	pace = 60 * time.Millisecond

	demoRepository = "acme/shop"
	demoNumber     = 7
)

// demonstrate serves with a Hub and a forge in memory, and delivers a comment, more often than once. With an address it serves
// on after that.
func (p *program) demonstrate(ctx context.Context, s *settings) int {
	fmt.Fprintln(p.errs, "webhook: no AGENTUITY_SDK_KEY and no AGENTUITY_CODER_URL: a demonstration, on an embedded Hub and an embedded forge")
	hub := codertest.NewHub(codertest.WithAgentVersion("1.6.0"), codertest.WithAgentPace(pace))
	defer hub.Close()
	hub.OnSession(play)
	client, err := hub.NewClient()
	if err != nil {
		return p.status(err)
	}
	memory := newMemoryForge()
	forge, stop, err := memory.listen(ctx)
	if err != nil {
		return p.status(err)
	}
	defer stop()
	stays := s.addr != ""
	if !stays {
		s.addr, s.level = "127.0.0.1:0", slog.LevelError // it says itself what happens
	}
	id := time.Now().UnixMicro() // of the comment: a database that is kept does not know it yet
	if s.db == "" {
		id = 41
		folder, err := os.MkdirTemp("", "webhook")
		if err != nil {
			return p.status(err)
		}
		defer func() { _ = os.RemoveAll(folder) }() // what is left of it, the system deletes
		s.db = filepath.Join(folder, defaultDB)
	}
	secret := cmp.Or(os.Getenv("WEBHOOK_SECRET"), rand.Text())
	service, err := p.start(ctx, s, client, secret, forge)
	if err != nil {
		return p.status(err)
	}
	if err := p.announce(ctx, service); err != nil {
		return p.end(ctx, service, err)
	}
	finished := make(chan struct{})
	service.worker.finished = func(j *job) {
		if j.commentID == id {
			close(finished)
		}
	}
	serving, end := context.WithCancel(ctx)
	defer end()
	ended := make(chan error, 1)
	go func() {
		ended <- service.work(serving)
		end()
	}()
	err = p.play(serving, service, sampleComment(id, "/coder Why does the build fail?"), secret, finished)
	if err == nil {
		answers := memory.texts()
		p.say("%-34s %d on the Hub, %d on %s#%d, which readers see so:\n", "sessions and answers:", len(hub.SessionIDs()), len(answers), demoRepository, demoNumber)
		for _, answer := range answers {
			_, seen, _ := strings.Cut(answer, "-->\n") // above it is the marker
			for line := range strings.Lines(seen) {
				p.say("%s\n", strings.TrimRight("    "+line, " \n"))
			}
		}
		p.say("\n")
		var jobs []*job
		if jobs, err = service.store.all(serving); err == nil {
			err = printJobs(p.out, jobs)
		}
	}
	if err == nil && stays {
		p.say("\nIt serves on until Ctrl-C. Comments are at %s%s\n", forge.base, commentsPath(demoRepository, demoNumber))
		<-serving.Done()
	}
	end()
	err = errors.Join(err, <-ended)
	if ctx.Err() != nil {
		err = nil // it follows from the interruption
	}
	return p.end(ctx, service, err)
}

func (p *program) say(format string, arguments ...any) { fmt.Fprintf(p.out, format, arguments...) }

// play delivers a comment in four ways, and waits until it is answered.
func (p *program) play(ctx context.Context, service *service, body []byte, secret string, finished <-chan struct{}) error {
	for _, delivery := range []struct{ what, id, secret string }{
		{"a comment, signed", "11111111-2222-3333-4444-555555555555", secret},
		{"the same delivery again", "11111111-2222-3333-4444-555555555555", secret},
		{"the comment, by a second webhook", "66666666-7777-8888-9999-000000000000", secret},
		{"with a wrong signature", "11111111-2222-3333-4444-555555555555", "a guess"},
	} {
		status, err := deliver(ctx, http.DefaultTransport, service.url(), "issue_comment", delivery.id, delivery.secret, body)
		if err != nil {
			return err
		}
		p.say("%-34s %s\n", delivery.what+":", status)
	}
	select {
	case <-finished:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// deliver delivers an event as a forge does, and returns the status of the answer.
func deliver(ctx context.Context, transport http.RoundTripper, url, event, id, secret string, body []byte) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second) // GitHub waits for so long
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-GitHub-Event", event)
	req.Header.Set("X-GitHub-Delivery", id)
	req.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(signature([]byte(secret), body)))
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }() // it was only read
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.Status, err
}

// sampleComment is an event that GitHub could have sent.
func sampleComment(id int64, text string) []byte {
	body, err := json.Marshal(map[string]any{
		"action": "created",
		"issue":  map[string]any{"number": demoNumber, "title": "The build is red", "html_url": "https://github.example/acme/shop/issues/7"},
		"comment": map[string]any{
			"id": id, "body": text, "html_url": fmt.Sprintf("https://github.example/acme/shop/issues/7#issuecomment-%d", id),
			"created_at": time.Now().UTC().Format(time.RFC3339), "author_association": "MEMBER",
			"user": map[string]any{"login": "alice", "type": "User"}, "performed_via_github_app": nil,
		},
		"repository": map[string]any{
			"id": 1296269, "name": "shop", "full_name": demoRepository, "owner": map[string]any{"login": "acme", "type": "Organization"},
			"html_url": "https://github.example/acme/shop", "clone_url": "https://github.example/acme/shop.git", "default_branch": "main",
		},
		"sender": map[string]any{"login": "alice", "type": "User"},
	})
	if err != nil {
		panic(err) // it is made of texts and numbers
	}
	return body
}

// play says what the agent of the demonstration does.
func play(session *codertest.SessionControl) {
	session.Answer(
		codertest.AgentTurn{Text: "I will build it.", Tools: []codertest.AgentTool{
			{Name: "bash", Args: map[string]any{"command": "go build ./..."}, Result: "cart.go:31: undefined: total"},
		}},
		codertest.AgentTurn{Text: "`total` was renamed to `sum` in cart.go, and line 31 still has the old name."},
	)
}

// listen serves the forge on a loopback port until stop is called.
func (f *memoryForge) listen(ctx context.Context) (served *forge, stop func(), err error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	server := &http.Server{Handler: f.handler(), ReadHeaderTimeout: 10 * time.Second}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.Serve(listener) // until it is closed
	}()
	return newForge("http://"+listener.Addr().String(), "a token", nil), func() { _ = server.Close(); <-ended }, nil
}
