package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
	"github.com/agentuity/coder-go/examples/internal/progress"
	"github.com/agentuity/coder-go/examples/internal/readme"
)

var update = flag.Bool("update", false, "write the pages of testdata again")

// pageOf returns the page of a session.
func pageOf(t *testing.T, client *coder.Client, id string, s settings) string {
	t.Helper()
	var out bytes.Buffer
	require.NoError(t, write(t.Context(), client, id, &s, &out, &teller{Teller: &progress.Teller{Name: "transcript", Out: io.Discard}}))
	return out.String()
}

// pages are the settings of each format.
var pages = map[string]settings{"html": {format: "html"}, "md": {format: "md"}}

// golden compares a page with the one in testdata, which has no style sheet.
func golden(t *testing.T, name, got string) {
	t.Helper()
	got = strings.NewReplacer(styleText, "", template.HTMLEscapeString(policy()), "").Replace(got)
	file := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(got), 0o600))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, string(want), got, "if it is meant to change: go test ./examples/transcript -update")
}

// newHub returns a Hub in memory with a client of it.
func newHub(t *testing.T, opts ...codertest.Option) (*codertest.Hub, *coder.Client) {
	t.Helper()
	hub := codertest.NewHub(append(opts, codertest.WithInMemoryNetwork())...)
	t.Cleanup(hub.Close)
	client, err := hub.NewClient()
	require.NoError(t, err)
	return hub, client
}

// sound checks what has to hold for any page of HTML, and returns its elements.
func sound(t *testing.T, text string) (elements map[string]int) {
	t.Helper()
	elements = make(map[string]int)
	decoder := xml.NewDecoder(strings.NewReader(text))
	decoder.Entity = xml.HTMLEntity
	var open []string
	ids, targets := make(map[string]bool), make(map[string]bool)
	for {
		token, err := decoder.RawToken() // which leaves it to us what closes what
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		if end, closes := token.(xml.EndElement); closes {
			require.NotEmpty(t, open)
			require.Equal(t, open[len(open)-1], end.Name.Local, "what was opened last is closed first")
			open = open[:len(open)-1]
			continue
		}
		start, opens := token.(xml.StartElement)
		if !opens {
			continue
		}
		elements[start.Name.Local]++
		if !slices.Contains([]string{"meta", "img", "hr"}, start.Name.Local) { // the others have an end
			open = append(open, start.Name.Local)
		}
		for _, a := range start.Attr {
			switch a.Name.Local {
			case "id":
				assert.False(t, ids[a.Value], "the id %s is there twice", a.Value)
				ids[a.Value] = true
			case "href":
				require.True(t, strings.HasPrefix(a.Value, "#"), "a link leads to %s", a.Value)
				targets[a.Value[1:]] = true
			case "src":
				assert.Regexp(t, `^data:image/(png|jpeg|gif|webp);base64,[A-Za-z0-9+/=]+$`, a.Value)
			case "class", "lang", "charset", "content", "name", "http-equiv", "datetime", "alt", "dir", "aria-labelledby", "aria-hidden", "tabindex", "value":
			default:
				t.Errorf("an attribute that the template has not: %s", a.Name.Local)
			}
		}
	}
	assert.Empty(t, open, "every element is closed")
	for target := range targets {
		assert.True(t, ids[target], "a link leads to #%s, which is not there", target)
	}
	for name := range elements {
		assert.Contains(t, strings.Fields(`html head meta title style body a header p h1 h2 h3 h4 h5 h6 main section dl div dt dd ol ul li details summary
			b span time pre code strong article figure figcaption img hr footer`), name)
	}
	return elements
}

func TestSample(t *testing.T) {
	hub, client := newHub(t)
	id := sample(hub)
	html := pageOf(t, client, id, pages["html"])
	golden(t, "sample.html", html)
	golden(t, "sample.md", pageOf(t, client, id, pages["md"]))
	elements := sound(t, html)
	for _, one := range []string{"h1", "main", "header", "footer", "title", "style", "img"} {
		assert.Equal(t, 1, elements[one], one)
	}
}

// TestRecordedAnswers has the answers that Hubs have given.
func TestRecordedAnswers(t *testing.T) {
	const id = "codesess_7f3a9c21b4e0"
	hub, client := newHub(t)
	for route, file := range map[string]string{
		"/hub/session/{id}": "session-get", "/hub/session/{id}/replay": "session-replay",
		"/hub/session/{id}/events/history": "session-events-history", "/hub/session/{id}/todos": "session-todos",
	} {
		body, err := os.ReadFile(filepath.Join("..", "..", "testdata", "responses", file+".json"))
		require.NoError(t, err)
		body = bytes.ReplaceAll(body, []byte("codesess_91c4f07e66d3"), []byte(id))
		hub.Inject(codertest.Fault{Method: http.MethodGet, Route: route, Body: body, Count: -1})
	}
	html := pageOf(t, client, id, pages["html"])
	golden(t, "recorded.html", html)
	golden(t, "recorded.md", pageOf(t, client, id, pages["md"]))
	sound(t, html)
	assert.NotContains(t, html, "NODE_ENV", "an environment may have secrets")
}

// TestRecordedAgent has what a real agent has reported.
func TestRecordedAgent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub, client := newHub(t)
		recording, err := os.Open(filepath.Join("..", "..", "testdata", "agent", "0.74.2", "tools-three-turns.jsonl"))
		require.NoError(t, err)
		defer func() { require.NoError(t, recording.Close()) }()
		lead, err := client.ConnectNew(t.Context(), &coder.HubConnectOptions{Role: coder.RoleLead, Origin: "tui"})
		require.NoError(t, err)
		lines := bufio.NewReader(recording)
		for {
			text, err := lines.ReadBytes('\n')
			if errors.Is(err, io.EOF) {
				break
			}
			require.NoError(t, err)
			var said struct {
				Channel, Direction string
				Frame              struct {
					Type, Event string
					Data        map[string]any
				}
			}
			if json.Unmarshal(text, &said) != nil || said.Channel != "lead" || said.Direction != "c2s" || said.Frame.Type != "event" {
				continue
			}
			_, err = lead.SendAndWait(t.Context(), &coder.EventRequest{Event: said.Frame.Event, Data: said.Frame.Data})
			require.NoError(t, err)
		}
		require.NoError(t, lead.Close())
		text := pageOf(t, client, hub.SessionIDs()[0], pages["md"])
		golden(t, "agent.md", regexp.MustCompile(`\n- (Created|Last activity): .*`).ReplaceAllString(text, ""))
		sound(t, pageOf(t, client, hub.SessionIDs()[0], pages["html"]))
		hub.Close()
	})
}

// TestARecordingOfABugReport writes the page that was written when it was recorded.
func TestARecordingOfABugReport(t *testing.T) {
	for name, s := range pages {
		hub := codertest.NewHub(codertest.WithInMemoryNetwork())
		id := sample(hub)
		var recording bytes.Buffer
		recorder, err := coder.NewRecorder(&recording, nil)
		require.NoError(t, err)
		client, err := hub.NewClient(coder.WithRecorder(recorder))
		require.NoError(t, err)
		want := pageOf(t, client, id, s)
		require.NoError(t, recorder.Close())
		hub.Close()

		replay, err := codertest.Replay(&recording, codertest.WithInMemoryNetwork())
		require.NoError(t, err)
		client, err = replay.NewClient()
		require.NoError(t, err)
		assert.Equal(t, want, pageOf(t, client, id, s), name)
		assert.Empty(t, replay.Missing())
		replay.Close()
	}
}

// TestLostConnections loses the conversation in the middle, twice. The page is whole, and nothing is in it twice.
func TestLostConnections(t *testing.T) {
	for name := range pages {
		synctest.Test(t, func(t *testing.T) {
			hub, client := newHub(t)
			id := sample(hub)
			want := pageOf(t, client, id, pages[name])
			cuts := hub.Inject(codertest.Fault{Route: "/hub/session/{id}/replay", Cut: codertest.CutMidBody, Count: 2})
			assert.Equal(t, want, pageOf(t, client, id, pages[name]))
			assert.Equal(t, 2, cuts.Hits())
			hub.Close()
		})
	}
}

// program is a run of the program.
type program struct {
	status int
	out    string
	errs   string
}

// runs runs the program against a Hub that the environment names; nil: it names none.
func runs(t *testing.T, ctx context.Context, hub *codertest.Hub, args ...string) program { //nolint:revive // t is what fails
	t.Helper()
	t.Setenv("AGENTUITY_SDK_KEY", "")
	t.Setenv("AGENTUITY_CODER_URL", "")
	if hub != nil {
		t.Setenv("AGENTUITY_CODER_URL", hub.URL())
	}
	var out, errs bytes.Buffer
	status := run(ctx, args, &out, &teller{Teller: &progress.Teller{Name: "transcript", Out: &errs}})
	return program{status, out.String(), errs.String()}
}

func TestArguments(t *testing.T) {
	hub := codertest.NewHub()
	defer hub.Close()
	there := t.TempDir()
	for _, test := range []struct {
		hub  *codertest.Hub
		args string
		want string
	}{
		{hub, "", "which session?"},
		{hub, "-format pdf x", "-format must be html or md"},
		{hub, "x -full", "flags come before it"},
		{hub, "-nonsense x", "usage: transcript"},
		{hub, "-o " + there + " x", "and no file"},
		{hub, "-o /dev/null x", "-o"},
		{hub, "-o " + filepath.Join(there, "no", "page.html") + " x", "-o: "},
		{nil, "x", "AGENTUITY_SDK_KEY"},
	} {
		got := runs(t, t.Context(), test.hub, strings.Fields(test.args)...)
		assert.Equal(t, badUsage, got.status, test.args)
		assert.Contains(t, got.errs, test.want, test.args)
		assert.Empty(t, got.out)
	}
	assert.Empty(t, hub.Requests(), "nothing is asked before the arguments are known to be good")
	assert.Empty(t, files(t, there))
	help := runs(t, t.Context(), nil, "-h")
	assert.Equal(t, whole, help.status)
	assert.Contains(t, help.errs, "-full")
}

func TestWithoutAnAccount(t *testing.T) {
	got := runs(t, t.Context(), nil, "-format", "md")
	assert.Equal(t, whole, got.status, got.errs)
	assert.Contains(t, got.out, "# Export invoices as CSV\n")
	assert.Contains(t, got.errs, "sample session")
	readme.Check(t, "go run ./examples/transcript -format md", got.errs+got.out)
}

func TestAnUnknownSession(t *testing.T) {
	hub := codertest.NewHub()
	defer hub.Close()
	file := filepath.Join(t.TempDir(), "page.html")
	got := runs(t, t.Context(), hub, "-o", file, "codesess_unknown")
	assert.Equal(t, failed, got.status)
	assert.Contains(t, got.errs, "transcript: the Hub has no session codesess_unknown")
	assert.Empty(t, files(t, filepath.Dir(file)))

	locked := codertest.NewHub(codertest.WithAPIKey("key"))
	defer locked.Close()
	got = runs(t, t.Context(), locked, "x")
	assert.Equal(t, failed, got.status)
	assert.Contains(t, got.errs, "401")
}

func files(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

// TestTheFileIsWhole: what is there stays until the page is whole, whatever happens.
func TestTheFileIsWhole(t *testing.T) {
	hub := codertest.NewHub()
	defer hub.Close()
	id := sample(hub)
	dir := t.TempDir()
	file, link := filepath.Join(dir, "page.html"), filepath.Join(dir, "link.html")
	require.NoError(t, os.WriteFile(file, []byte("old"), 0o600))
	if err := os.Symlink("page.html", link); err != nil {
		link = file // not everybody may make one on Windows
	}
	there := files(t, dir)
	content := func() string {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		return string(text)
	}

	bad := hub.Inject(codertest.Fault{Route: "/hub/session/{id}/replay", Body: []byte(`{"sessionId":"` + id + `","entries":[{"type":"message","content":"half"},[]]}`)})
	got := runs(t, t.Context(), hub, "-o", file, id)
	assert.Equal(t, failed, got.status)
	assert.Contains(t, got.errs, "after 1 entries")
	assert.Equal(t, 1, bad.Hits())
	assert.Equal(t, "old", content())

	ctx, interrupt := context.WithCancel(t.Context())
	slow := codertest.NewHub(codertest.WithMiddleware(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/todos") {
				interrupt()
				<-r.Context().Done()
				return
			}
			next.ServeHTTP(w, r)
		})
	}))
	defer slow.Close()
	got = runs(t, ctx, slow, "-o", file, sample(slow))
	assert.Equal(t, interrupted, got.status)
	assert.Equal(t, "transcript: interrupted\n", got.errs)
	assert.Equal(t, "old", content())
	assert.Equal(t, there, files(t, dir), "no half page is left")

	got = runs(t, t.Context(), hub, "-o", link, id)
	require.Equal(t, whole, got.status, got.errs)
	assert.Contains(t, got.errs, "23 entries")
	assert.Equal(t, there, files(t, dir))
	assert.Equal(t, 1, sound(t, content())["main"], "a link stays one, and what it leads to is written")
}

// TestWritersThatFail end it with their error.
func TestWritersThatFail(t *testing.T) {
	hub, client := newHub(t)
	id := sample(hub)
	for name, s := range pages {
		size := len(pageOf(t, client, id, s))
		for _, room := range []int{0, size / 2, size - 1} {
			err := write(t.Context(), client, id, &s, &full{room}, &teller{Teller: &progress.Teller{Name: "transcript", Out: io.Discard}})
			require.ErrorIs(t, err, errFull, "%s with room for %d of %d", name, room, size)
		}
	}
}

var errFull = errors.New("no space left")

// full is a disk.
type full struct{ room int }

func (f *full) Write(p []byte) (int, error) {
	n := min(f.room, len(p))
	f.room -= n
	if n < len(p) {
		return n, errFull
	}
	return n, nil
}

// TestWithoutTodos: a Hub may have no such list, or not now.
func TestWithoutTodos(t *testing.T) {
	hub, client := newHub(t)
	id := sample(hub)
	todos := codertest.Fault{Route: "/hub/session/{id}/todos"}
	todos.Status = http.StatusNotFound
	hub.Inject(todos)
	assert.NotContains(t, pageOf(t, client, id, pages["md"]), "## Todos")
	todos.Status = http.StatusForbidden
	hub.Inject(todos)
	assert.Contains(t, pageOf(t, client, id, pages["html"]), "could not be read: coder: SessionTodos: 403")
	todos.Status, todos.Body = 0, fmt.Appendf(nil, `{"sessionId":%q,"ok":true,"unavailable":true,"message":"Later."}`, id)
	hub.Inject(todos)
	assert.Contains(t, pageOf(t, client, id, pages["md"]), "could not reach the list of todos. Later.")
}
