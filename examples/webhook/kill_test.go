package main

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
	"github.com/agentuity/coder-go/examples/internal/cli"
)

// town is where a receiver runs that is a process of its own: a Hub and a forge that go on when it is killed.
type town struct {
	*testing.T
	hub    *codertest.Hub
	memory *memoryForge
	forge  *httptest.Server
	db     string

	mu    sync.Mutex
	stops map[point]*stop // guarded by mu
}

// point is where the receiver is, seen from outside: at a request that it makes.
type point struct {
	method, path string
	done         bool // what it asks is done, but it is not told
}

// stop is a point at which the receiver stays.
type stop struct {
	reached, released chan struct{}
}

func newTown(t *testing.T, opts ...codertest.Option) *town {
	t.Helper()
	s := &town{T: t, memory: newMemoryForge(), db: filepath.Join(t.TempDir(), "webhook.db"), stops: make(map[point]*stop)}
	s.hub = codertest.NewHub(append(opts, codertest.WithAPIKey("key"), codertest.WithMiddleware(s.stopping))...)
	t.Cleanup(s.hub.Close)
	s.forge = httptest.NewServer(s.stopping(s.memory.handler()))
	t.Cleanup(s.forge.Close)
	return s
}

// stop makes the next request at a point stay there until release is called, and then end without an answer.
func (s *town) stop(at point) (reached <-chan struct{}, release func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	stop := &stop{make(chan struct{}), make(chan struct{})}
	s.stops[at] = stop
	release = sync.OnceFunc(func() { close(stop.released) })
	s.Cleanup(release)
	return stop.reached, release
}

// stopping is the middleware of Hub and forge that does that.
func (s *town) stopping(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		before, after := point{r.Method, r.URL.Path, false}, point{r.Method, r.URL.Path, true}
		early, late := s.stops[before], s.stops[after]
		delete(s.stops, before)
		delete(s.stops, after)
		s.mu.Unlock()
		switch {
		case early != nil:
			early.wait()
		case late != nil:
			next.ServeHTTP(httptest.NewRecorder(), r)
			late.wait()
		default:
			next.ServeHTTP(w, r)
		}
	})
}

func (s *stop) wait() {
	close(s.reached)
	<-s.released
	panic(http.ErrAbortHandler)
}

// process is a receiver.
type process struct {
	*town
	command *exec.Cmd
	errs    *bufio.Reader
	said    strings.Builder
	url     string
}

// start starts a receiver, which listens when it returns.
func (s *town) start() *process {
	s.Helper()
	executable, err := os.Executable()
	require.NoError(s, err)
	p := &process{town: s, command: exec.CommandContext(s.Context(), executable, "-addr", "127.0.0.1:0", "-db", s.db, "-forge", s.forge.URL)}
	p.command.Env = append(os.Environ(), asProgram+"=1", "AGENTUITY_SDK_KEY=key", "AGENTUITY_CODER_URL="+s.hub.URL(),
		"WEBHOOK_SECRET="+secret, "WEBHOOK_TOKEN="+token)
	stderr, err := p.command.StderrPipe()
	require.NoError(s, err)
	p.errs = bufio.NewReader(stderr)
	require.NoError(s, p.command.Start())
	p.url = strings.Fields(strings.ReplaceAll(p.until("webhook: listening at "), ",", " "))[3]
	return p
}

// until reads what it says up to a line that has this text.
func (p *process) until(want string) (line string) {
	p.Helper()
	for !strings.Contains(line, want) {
		var err error
		line, err = p.errs.ReadString('\n')
		p.said.WriteString(line)
		require.NoError(p, err, "it has not said %q but\n%s", want, &p.said)
	}
	return line
}

// kill ends it at once, as if the machine lost its power.
func (p *process) kill() {
	p.Helper()
	require.NoError(p, p.command.Process.Kill())
	_, _ = io.Copy(io.Discard, p.errs) // what it has said last
	require.Error(p, p.command.Wait())
}

// interrupt ends it with Ctrl-C, and returns what it has said after that.
func (p *process) interrupt() (said string) {
	p.Helper()
	if runtime.GOOS == "windows" { // no signal can be sent to another process there
		p.kill()
		return "webhook: interrupted; nothing is left to do\n"
	}
	require.NoError(p, p.command.Process.Signal(os.Interrupt))
	rest, err := io.ReadAll(p.errs)
	require.NoError(p, err)
	var exit *exec.ExitError
	require.ErrorAs(p, p.command.Wait(), &exit)
	assert.Equal(p, cli.Interrupted, exit.ExitCode())
	return string(rest)
}

func (p *process) deliver(id string, body []byte) (status string) {
	p.Helper()
	status, err := deliver(p.Context(), http.DefaultTransport, p.url, "issue_comment", id, secret, body)
	require.NoError(p, err, "%s", &p.said)
	return status
}

// send sends a header and waits until the receiver reads the body, which it says to those who expect that.
func (p *process) send(header string) (net.Conn, *bufio.Reader) {
	p.Helper()
	u, err := url.Parse(p.url)
	require.NoError(p, err)
	connection, err := new(net.Dialer).DialContext(p.Context(), "tcp", u.Host)
	require.NoError(p, err)
	p.Cleanup(func() { _ = connection.Close() })
	_, err = io.WriteString(connection, "POST /webhook HTTP/1.1\r\nHost: receiver\r\nContent-Type: application/json\r\nExpect: 100-continue\r\n"+header+"\r\n")
	require.NoError(p, err)
	reader := bufio.NewReader(connection)
	for _, want := range []string{"HTTP/1.1 100 Continue\r\n", "\r\n"} {
		line, err := reader.ReadString('\n')
		require.NoError(p, err)
		require.Equal(p, want, line)
	}
	return connection, reader
}

// row is what the database has of the one comment, read while the receiver runs.
func (s *town) row() *job {
	s.Helper()
	store, err := openStore(s.Context(), s.db, false)
	require.NoError(s, err)
	defer func() { require.NoError(s, store.close()) }()
	jobs, err := store.all(s.Context())
	require.NoError(s, err)
	require.Len(s, jobs, 1)
	return jobs[0]
}

// wait makes it later than any lease.
func (s *town) wait() {
	s.Helper()
	store, err := openStore(s.Context(), s.db, false)
	require.NoError(s, err)
	defer func() { require.NoError(s, store.close()) }()
	_, err = store.db.ExecContext(s.Context(), "UPDATE job SET next = 0")
	require.NoError(s, err)
}

// finish waits until the comment is answered, and looks for what is there twice.
func (p *process) finish(body []byte) {
	p.Helper()
	assert.Equal(p, "200 OK", p.deliver(delivery(1), body), "it is known")
	line := ""
	for !strings.Contains(line, "msg=answered") && !strings.Contains(line, "the answer is there already") {
		line = p.until("msg=")
	}
	assert.Contains(p, p.interrupt(), "webhook: interrupted; nothing is left to do\n")
	assert.Equal(p, answered, p.row().state)
	assert.Len(p, p.hub.SessionIDs(), 1)
	answers := p.memory.texts()
	require.Len(p, answers, 1)
	assert.Contains(p, answers[0], "It is the cache.")
	assert.NotContains(p, p.said.String(), token)
	assert.NotContains(p, p.said.String(), secret)
	assert.NotContains(p, p.said.String(), "the cache")
}

// TestKilled kills the receiver at every point between a comment and its answer. It is started again, sometimes after the Hub was,
// and then there is one session and one answer.
func TestKilled(t *testing.T) {
	const session = "/api/hub/session/codesess_000000000001"
	comments := commentsPath(demoRepository, demoNumber)
	for name, test := range map[string]struct {
		at    point
		state state // in the database, when it is killed
		known bool  // whether the session is in the database
		lease bool  // whether something may come into being, for which the next start waits
	}{
		"stored":                               {point{"GET", "/api/hub/sessions", false}, received, false, true},
		"before the session is created":        {point{"POST", "/api/hub/session", false}, received, false, true},
		"session created, and it was not told": {point{"POST", "/api/hub/session", true}, received, false, true},
		"session created":                      {point{"GET", session, false}, received, false, true},
		"while its history is read":            {point{"GET", session + "/events/history", true}, received, true, false},
		"outcome known":                        {point{"GET", comments, false}, ran, true, false},
		"before the answer is posted":          {point{"POST", comments, false}, ran, true, true},
		"answer posted, and it was not told":   {point{"POST", comments, true}, ran, true, true},
	} {
		for _, restarts := range []bool{false, true} {
			t.Run(name+map[bool]string{true: ", and the Hub restarts"}[restarts], func(t *testing.T) {
				t.Parallel() // each waits for processes most of the time
				s := newTown(t)
				s.hub.OnSession(answering("It is the cache."))
				reached, release := s.stop(test.at)
				body := sampleComment(1, command)
				p := s.start()
				assert.Equal(s, "202 Accepted", p.deliver(delivery(1), body))
				<-reached
				row := s.row()
				assert.Equal(s, test.state, row.state)
				assert.Equal(s, test.known, row.session != "", row.session)
				assert.Equal(s, test.lease, !row.next.IsZero(), row.next)
				p.kill()
				release()
				s.wait()
				if restarts {
					<-s.hub.Restart(0, codertest.Outage{Crash: true}).Over()
				}
				p = s.start()
				assert.Contains(s, p.said.String(), ", and going on with 1 comment that has no answer yet\n")
				p.finish(body)
			})
		}
	}
}

// TestKilled_AtWork kills the receiver while an agent is at work, which goes on and ends after that.
func TestKilled_AtWork(t *testing.T) {
	for _, ends := range []string{"before the next start", "after the next start"} {
		t.Run(ends, func(t *testing.T) {
			t.Parallel()
			s := newTown(t, codertest.WithoutAgent()) // the test is the agent
			s.hub.OnSession(func(session *codertest.SessionControl) {
				session.SetStatus("active")
				session.Emit(codertest.Event{Event: coder.EventAgentStart})
				session.Emit(codertest.Event{Event: coder.EventTurnStart})
			})
			end := func() {
				said := map[string]any{"role": "assistant", "stopReason": "stop", "content": []any{map[string]any{"type": "text", "text": "It is the cache."}}}
				session := s.hub.Session(s.hub.SessionIDs()[0])
				session.Emit(codertest.Event{Event: coder.EventMessageEnd, Payload: map[string]any{"message": said}})
				session.Emit(codertest.Event{Event: coder.EventTurnEnd, Payload: map[string]any{"message": said}})
				session.Emit(codertest.Event{Event: coder.EventAgentEnd, Payload: map[string]any{"messages": []any{said}}})
			}
			body := sampleComment(1, command)
			p := s.start()
			assert.Equal(s, "202 Accepted", p.deliver(delivery(1), body))
			p.until("an agent is at work")
			assert.Equal(s, received, s.row().state)
			p.kill()
			if ends == "before the next start" {
				end()
				s.start().finish(body)
				return
			}
			p = s.start()
			assert.Equal(s, "200 OK", p.deliver(delivery(2), body))
			end()
			p.finish(body)
		})
	}
}

// TestInterrupted: with Ctrl-C it ends and says what is left, and with the second one at once.
func TestInterrupted(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no signal can be sent to another process there")
	}
	t.Run("once", func(t *testing.T) {
		s := newTown(t, codertest.WithoutAgent())
		p := s.start()
		assert.Equal(s, "202 Accepted", p.deliver(delivery(1), sampleComment(1, command)))
		p.until("an agent is at work")
		said := p.interrupt()
		assert.Contains(s, said, "webhook: interrupted; 1 comment has no answer yet. Its session goes on: the next start does the rest\n")
		assert.NotContains(s, said, "level=", "nothing has failed")
		assert.False(s, s.hub.Session(s.hub.SessionIDs()[0]).Archived())
		assert.Equal(s, received, s.row().state)
		assert.Zero(s, s.row().attempts)
		assert.Empty(s, s.memory.texts())
	})
	t.Run("while a comment is delivered", func(t *testing.T) {
		s := newTown(t)
		p := s.start()
		body := string(sampleComment(1, command))
		signed := "sha256=" + hex.EncodeToString(signature([]byte(secret), []byte(body)))
		connection, answers := p.send(fmt.Sprintf("X-GitHub-Event: issue_comment\r\nX-GitHub-Delivery: %s\r\nX-Hub-Signature-256: %s\r\nContent-Length: %d\r\n",
			delivery(1), signed, len(body)))
		require.NoError(s, p.command.Process.Signal(os.Interrupt))
		p.until("once more ends it at once")
		_, err := io.WriteString(connection, body)
		require.NoError(s, err)
		answer, err := answers.ReadString('\n')
		require.NoError(s, err)
		assert.Equal(s, "HTTP/1.1 202 Accepted\r\n", answer)
		p.until("webhook: interrupted; 1 comment has no answer yet")
		_, err = io.Copy(io.Discard, p.errs)
		require.NoError(s, err)
		require.Error(s, p.command.Wait())
		assert.Equal(s, received, s.row().state)
		assert.Empty(s, s.hub.SessionIDs(), "nothing is begun any more")
	})
	t.Run("twice", func(t *testing.T) {
		s := newTown(t)
		p := s.start()
		// A sender that does not come to an end lets the first one wait.
		p.send("Content-Length: 10\r\n")
		require.NoError(s, p.command.Process.Signal(syscall.SIGTERM))
		p.until("once more ends it at once")
		require.NoError(s, p.command.Process.Signal(os.Interrupt))
		_, err := io.Copy(io.Discard, p.errs)
		require.NoError(s, err)
		var exit *exec.ExitError
		require.ErrorAs(s, p.command.Wait(), &exit)
		assert.Equal(s, syscall.SIGINT, exit.Sys().(syscall.WaitStatus).Signal(), "the signal ended it")
	})
}
