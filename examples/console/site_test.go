package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
	"github.com/agentuity/coder-go/internal/memnet"
)

// site is a console and its Hub, in a bubble.
type site struct {
	t       *testing.T
	hub     *codertest.Hub
	console *console
	browser *http.Client
}

// visit runs a test with a site. When the test is over nothing of it is left: goroutines that are make the bubble panic.
func visit(t *testing.T, test func(t *testing.T, s *site), options ...codertest.Option) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		hub := codertest.NewHub(append([]codertest.Option{codertest.WithInMemoryNetwork(), codertest.WithAgentVersion("1.6.0")}, options...)...)
		defer hub.Close()
		client, err := hub.NewClient()
		require.NoError(t, err)
		listener := memnet.Listen()
		transport := &http.Transport{DialContext: listener.Dial}
		s := &site{t: t, hub: hub, console: newConsole(client, true, nil), browser: &http.Client{
			Transport:     transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}}
		ctx, stop := context.WithCancel(t.Context())
		served := make(chan error, 1)
		go func() { served <- serve(ctx, listener, s.console) }()
		defer func() {
			stop()
			assert.NoError(t, <-served, "the server should end in good order")
			transport.CloseIdleConnections()
		}()
		test(t, s)
	})
}

// begins starts a session whose agent has said nothing yet.
func (s *site) begins() *codertest.SessionControl {
	s.t.Helper()
	created, err := s.console.client.CreateSession(s.t.Context(), coder.CreateSessionRequest{Task: "Be there", Label: "Test"})
	require.NoError(s.t, err)
	session := s.hub.Session(created.SessionID)
	session.Answer() // nothing, to the task
	session.SetStatus("active")
	time.Sleep(time.Minute)
	return session
}

// ask sends a request, as one of the console's pages does.
func (s *site) ask(method, path string, fields url.Values, header ...string) (status int, body string, answer *http.Response) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Hour) // of fake time: a stream does not end
	defer cancel()
	var send io.Reader
	if fields != nil {
		send = strings.NewReader(fields.Encode())
	}
	r, err := http.NewRequestWithContext(ctx, method, "http://localhost"+path, send)
	require.NoError(s.t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
		}
		r.Header.Set(header[i], header[i+1])
	}
	answer, err = s.browser.Do(r)
	require.NoError(s.t, err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	require.NoError(s.t, err)
	return answer.StatusCode, string(text), answer
}

// does asks for an action, and expects that it works.
func (s *site) does(session *codertest.SessionControl, action string, fields ...string) {
	s.t.Helper()
	status, body := s.tries(session, action, fields...)
	require.Equal(s.t, http.StatusNoContent, status, body)
}

func (s *site) tries(session *codertest.SessionControl, action string, fields ...string) (status int, body string) {
	s.t.Helper()
	values := url.Values{}
	for i := 0; i < len(fields); i += 2 {
		values.Set(fields[i], fields[i+1])
	}
	status, body, _ = s.ask("POST", sessionPath(session.ID())+"/"+action, values)
	return status, body
}

// says tells the agent something.
func (s *site) says(session *codertest.SessionControl, how, text string) {
	s.t.Helper()
	s.does(session, "say", "how", how, "text", text, "key", newKey())
}

// tab is a page of a browser that shows a session. It applies events as static/console.js does.
type tab struct {
	site    *site
	session string
	end     context.CancelFunc
	ended   chan struct{}

	mu    sync.Mutex
	shown shown
	seen  string // the last id
}

// shown is what it shows of a session.
type shown struct {
	Conversation struct {
		State    coder.ConversationState     `json:"state"`
		Messages []coder.ConversationMessage `json:"messages"`
	} `json:"conversation"`
	Link     link      `json:"link"`
	Question *question `json:"question"`

	list      list
	snapshots int      // that came
	events    int      // that came
	notices   []notice // that came
}

// opens opens a page.
func (s *site) opens(session *codertest.SessionControl) *tab {
	p := &tab{site: s, session: session.ID()}
	p.connects()
	return p
}

// connects opens its stream of events, and goes on where it was.
func (p *tab) connects() {
	p.site.t.Helper()
	ctx, cancel := context.WithCancel(p.site.t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://localhost/events?session="+url.QueryEscape(p.session), nil)
	require.NoError(p.site.t, err)
	if p.seen != "" {
		r.Header.Set("Last-Event-ID", p.seen)
	}
	answer, err := p.site.browser.Do(r)
	require.NoError(p.site.t, err)
	require.Equal(p.site.t, "text/event-stream", answer.Header.Get("Content-Type"))
	ended := make(chan struct{})
	p.end, p.ended = func() { cancel(); <-ended }, ended
	go func() {
		defer close(ended)
		defer answer.Body.Close()
		p.reads(bufio.NewReader(answer.Body))
	}()
}

// closes closes its stream, and waits until nothing more comes of it.
func (p *tab) closes() { p.end() }

func (p *tab) reads(lines *bufio.Reader) {
	fields := make(map[string]string)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			return // what is not whole does not count
		}
		line = strings.TrimSuffix(line, "\n")
		if line == "" {
			p.takes(fields)
			clear(fields)
			continue
		}
		name, value, _ := strings.Cut(line, ": ")
		fields[name] = value
	}
}

func (p *tab) takes(fields map[string]string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	data := []byte(fields["data"])
	if id := fields["id"]; id != "" {
		p.seen = id
	}
	must := func(err error) {
		if err != nil {
			p.site.t.Errorf("%v in %s", err, data)
		}
	}
	name := fields["event"]
	if name != "" {
		p.shown.events++
	}
	switch name {
	case "sessions":
		p.shown.list = list{}
		must(json.Unmarshal(data, &p.shown.list))
	case "snapshot":
		p.shown.snapshots++
		p.shown.Conversation.Messages, p.shown.Question, p.shown.Link = nil, nil, link{}
		must(json.Unmarshal(data, &p.shown))
	case "change":
		var change coder.ConversationChange
		must(json.Unmarshal(data, &change))
		p.changes(change)
	case "link":
		p.shown.Link = link{}
		must(json.Unmarshal(data, &p.shown.Link))
	case "question":
		p.shown.Question = nil
		must(json.Unmarshal(data, &p.shown.Question))
	case "notice":
		var n notice
		must(json.Unmarshal(data, &n))
		p.shown.notices = append(p.shown.notices, n)
	}
}

func (p *tab) changes(change coder.ConversationChange) {
	c := &p.shown.Conversation
	for len(c.Messages) < change.Count {
		c.Messages = append(c.Messages, coder.ConversationMessage{})
	}
	c.Messages = c.Messages[:change.Count]
	switch change.Kind {
	case coder.ConversationReplace:
		c.Messages[change.Index] = *change.Message
	case coder.ConversationAppend:
		if change.Part == "text" {
			c.Messages[change.Index].Text += change.Delta
		} else {
			c.Messages[change.Index].Thinking += change.Delta
		}
	case coder.ConversationStateIs:
		c.State = change.State
	}
}

// sees waits until all is quiet, and returns what the page shows then.
func (p *tab) sees() shown {
	p.site.t.Helper()
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	seen := p.shown
	seen.Conversation.Messages = slices.Clone(seen.Conversation.Messages)
	return seen
}

// waits lets time pass, and returns what the page shows then.
func (p *tab) waits(d time.Duration) shown {
	p.site.t.Helper()
	time.Sleep(d)
	return p.sees()
}

// texts are what was said, each with who has said it.
func (s shown) texts() []string {
	var all []string
	for _, m := range s.Conversation.Messages {
		if m.Text != "" {
			all = append(all, m.Role+": "+m.Text)
		}
	}
	return all
}

// booked is what the Hub has of a conversation, in the same form.
func booked(session *codertest.SessionControl) []string {
	var all []string
	for _, e := range session.Entries() {
		switch e.Type {
		case coder.EntryUserPrompt:
			all = append(all, "user: "+e.Content)
		case coder.EntryMessage:
			all = append(all, "assistant: "+e.Content)
		}
	}
	return all
}
