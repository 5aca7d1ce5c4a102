//go:build parity

package parity

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
)

// scenario is one call that both clients make, and what the server answers.
type scenario struct {
	method  string
	args    []any
	answers []answer
	options options
	// verbatim leaves the answers as they are. By default they are about the session asked for, and replays
	// have entries.
	verbatim bool
}

// aboutASession are the methods whose answer names the session that was asked for.
var aboutASession = []string{
	"GetSession", "UpdateSession", "ArchiveSession", "ResumeSession", "PrepareSessionForRemoteAttach",
	"GetReplay", "ListParticipants", "ListEventHistory", "GetLoopState",
}

// about returns the answers as they are about the session asked for.
func (s scenario) about() []answer {
	if s.verbatim || len(s.args) == 0 || s.method != "DeleteSession" && !slices.Contains(aboutASession, s.method) {
		return s.answers
	}
	answers := slices.Clone(s.answers)
	for i, a := range answers {
		var body map[string]json.RawMessage
		if json.Unmarshal([]byte(a.body), &body) != nil || len(body["sessionId"]) == 0 || body["sessionId"][0] != '"' || string(body["sessionId"]) == `""` {
			continue
		}
		body["sessionId"] = json.RawMessage(encode(s.args[0]))
		if s.method == "GetReplay" && body["entries"] == nil { // see the difference replays-without-entries
			body["entries"] = json.RawMessage("[]")
		}
		answers[i].body = encode(body)
	}
	return answers
}

// options are those of both clients. The zero value is a key, no organization, and the server's
// plain URL.
type options struct {
	noKey  bool
	key    string
	orgID  string
	prefix string            // after the server's URL
	env    map[string]string // with SERVER for the server's URL; if set, no URL is given
}

const testKey = "sk_parity"

// outcome is what one client did and returned.
type outcome struct {
	requests []recorded
	result   any // a tree, or missing
	err      error
	value    any // what Go returned
}

// play makes a call with both clients, one after the other.
func (s scenario) play(t *testing.T) (there, here outcome) {
	t.Helper()
	m := methodNamed(s.method)
	tally.add(m)
	asked := s
	asked.answers = s.about()
	return asked.playOriginal(t, m), asked.playGo(t, m)
}

func (s scenario) playOriginal(t *testing.T, m *method) outcome {
	t.Helper()
	o := order{Op: "call", Method: m.original(), Args: slices.Clone(s.args), Options: map[string]string{}, Env: s.options.environment()}
	if s.args == nil {
		o.Args = []any{}
	}
	if o.Env == nil {
		o.Options["url"] = s.options.url()
	}
	if !s.options.noKey {
		o.Options["apiKey"] = cmp.Or(s.options.key, testKey)
	}
	if s.options.orgID != "" {
		o.Options["orgId"] = s.options.orgID
	}
	server.load(s.answers...)
	text, err := original.do(o)
	var thrown *originalError
	if err != nil && !errors.As(err, &thrown) {
		require.NoError(t, err)
	}
	result, err2 := tree(text)
	require.NoError(t, err2)
	return outcome{server.requests(), result, err, nil}
}

func (s scenario) playGo(t *testing.T, m *method) outcome {
	t.Helper()
	opts := []coder.Option{coder.WithHTTPClient(httpClient), coder.WithRetryPolicy(coder.RetryPolicy{MaxAttempts: 1})}
	for name, value := range s.options.environment() {
		t.Setenv(name, value)
	}
	if s.options.env == nil {
		opts = append(opts, coder.WithURL(s.options.url()))
	}
	if !s.options.noKey {
		opts = append(opts, coder.WithAPIKey(cmp.Or(s.options.key, testKey)))
	}
	opts = append(opts, coder.WithOrgID(s.options.orgID))
	server.load(s.answers...)
	client, err := coder.NewClient(opts...)
	if err != nil {
		return outcome{nil, missing{}, err, nil}
	}
	value, err := m.try(t, client, s.args)
	return outcome{server.requests(), treeOf(t, value), err, value}
}

// try calls the method. Arguments that do not fit its Go types are an error like any other.
func (m *method) try(t *testing.T, client *coder.Client, args []any) (value any, err error) {
	t.Helper()
	defer func() {
		if r := recover(); r != nil {
			misfit, ok := r.(misfitError)
			if !ok {
				panic(r)
			}
			err = misfit
		}
	}()
	return m.call(t.Context(), client, goArguments(args))
}

// treeOf is what a result of Go is as JSON.
func treeOf(t *testing.T, value any) any {
	t.Helper()
	if value == nil {
		return missing{}
	}
	text, err := json.Marshal(value)
	require.NoError(t, err)
	result, err := tree(text)
	require.NoError(t, err)
	return result
}

func (o options) url() string { return server.URL + o.prefix }

func (o options) environment() map[string]string {
	if o.env == nil {
		return nil
	}
	env := make(map[string]string)
	for name, value := range o.env {
		env[name] = strings.ReplaceAll(value, "SERVER", o.url())
	}
	return env
}

// check plays a scenario, in which the clients must not differ. What is listed is noted.
func (s scenario) check(t *testing.T) {
	t.Helper()
	there, here := s.play(t)
	c := comparison{differences: make(map[string]bool)}
	c.outcome(there, here, s)
	for name := range c.differences {
		tally.met(name)
	}
	if len(c.found) == 0 {
		return
	}
	tally.other()
	answers := ""
	for _, a := range s.answers {
		answers += fmt.Sprintf("\n  answer: %d %s %v %.2000s", a.status, a.contentType, a.header, a.body)
	}
	t.Errorf("%s(%.2000s) differs:\n  %s%s\n  there: %v\n  here: %v",
		s.method, encode(s.args), strings.Join(c.found, "\n  "), answers, there.err, here.err)
}

func (c *comparison) outcome(there, here outcome, s scenario) {
	c.requests(there.requests, here.requests)
	switch {
	case there.err == nil && here.err == nil:
		c.value("", there.result, here.result)
	case there.err == nil:
		c.found = append(c.found, "only the call here failed")
	case here.err == nil:
		c.found = append(c.found, "only the call there failed")
	default:
		var thrown *originalError
		errors.As(there.err, &thrown)
		c.failure(thrown, here.err, s)
	}
}

func (c *comparison) requests(there, here []recorded) {
	if len(there) != len(here) {
		c.found = append(c.found, fmt.Sprintf("%d requests there and %d here", len(there), len(here)))
		return
	}
	for i, w := range there {
		g := here[i]
		if w.method == g.method && w.target != g.target && w.target == strings.ReplaceAll(g.target, "'", "%27") {
			c.differences["apostrophe-in-an-account-id"] = true
		} else if w.method != g.method || w.target != g.target {
			c.found = append(c.found, fmt.Sprintf("request %d is %s %s there and %s %s here", i+1, w.method, w.target, g.method, g.target))
		}
		c.headers(w, g)
		want, err1 := tree(w.body)
		got, err2 := tree(g.body)
		if err := errors.Join(err1, err2); err != nil {
			c.found = append(c.found, "a request body is not JSON: "+err.Error())
			continue
		}
		c.exactly("body", want, got)
	}
}

// exactly compares request bodies, where absent and zero are not the same.
func (c *comparison) exactly(path string, want, got any) {
	w, wantObject := want.(object)
	g, gotObject := got.(object)
	if wantObject && gotObject {
		for name := range w {
			if _, ok := g[name]; !ok {
				c.found = append(c.found, path+"."+name+" is only sent there")
				continue
			}
			c.exactly(path+"."+name, w[name], g[name])
		}
		for name := range g {
			if _, ok := w[name]; !ok {
				c.found = append(c.found, path+"."+name+" is only sent here")
			}
		}
		return
	}
	wl, wantList := want.([]any)
	gl, gotList := got.([]any)
	if wantList && gotList && len(wl) == len(gl) {
		for i := range wl {
			c.exactly(fmt.Sprintf("%s[%d]", path, i), wl[i], gl[i])
		}
		return
	}
	if wantObject || wantList || gotObject || gotList || want != got {
		c.found = append(c.found, fmt.Sprintf("%s is %s there and %s here", path, show(want), show(got)))
	}
}

// spoken are the headers that mean something to the Hub, unspoken those of the HTTP libraries.
var (
	spoken   = []string{"Authorization", "X-Agentuity-Orgid", "Accept"}
	unspoken = []string{"Accept-Encoding", "Connection", "Content-Length", "User-Agent", "Content-Type"}
)

func (c *comparison) headers(there, here recorded) {
	names := spoken
	if len(here.body) > 0 {
		names = append(slices.Clone(spoken), "Content-Type")
	}
	for _, name := range names {
		if w, g := there.header.Values(name), here.header.Values(name); !slices.Equal(w, g) {
			c.found = append(c.found, fmt.Sprintf("the header %s is %q there and %q here", name, w, g))
		}
	}
	for name := range here.header {
		if !slices.Contains(spoken, name) && !slices.Contains(unspoken, name) {
			c.found = append(c.found, "the header "+name+" is only sent here")
		}
	}
	c.constant("content-type-only-with-a-body", there.header.Get("Content-Type") != "" && (here.header.Get("Content-Type") != "") == (len(here.body) > 0))
	c.constant("user-agent", strings.HasPrefix(there.header.Get("User-Agent"), "Agentuity SDK/") && strings.HasPrefix(here.header.Get("User-Agent"), "agentuity-coder-go/"))
}

// constant notes a difference on purpose that every request must show.
func (c *comparison) constant(name string, holds bool) {
	if holds {
		c.differences[name] = true
		return
	}
	c.found = append(c.found, "the listed difference "+name+" does not hold")
}

var httpClient = &http.Client{Transport: coder.NewTransport()}
