package main

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
	"github.com/agentuity/coder-go/examples/internal/readme"
)

// asProgram says that this process is the program, not its tests.
const asProgram = "CODER_GO_TEST_AS_FLEET"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

func environ(t *testing.T, key, url string) {
	t.Helper()
	t.Setenv("AGENTUITY_SDK_KEY", key)
	t.Setenv("AGENTUITY_CODER_URL", url)
}

func TestWithoutAnAccount(t *testing.T) {
	environ(t, "", "")
	picture := filepath.Join(t.TempDir(), "chart.svg")
	var out, errs text
	p := &program{in: strings.NewReader(""), out: &out, errs: &errs}
	require.Equal(t, allWell, p.run(t.Context(), []string{"-chart", picture, "-at-once", "6"}), "%s", &errs)
	assert.Contains(t, errs.String(), "no AGENTUITY_SDK_KEY and no AGENTUITY_CODER_URL")
	assert.Contains(t, out.String(), "6 of 6 tasks ended well; ")
	assert.Contains(t, out.String(), "two goroutines write to it")
	assert.Contains(t, contents(t, picture), "6 ended well")
}

// TestReadme keeps what examples/README.md shows true.
func TestReadme(t *testing.T) {
	environ(t, "", "")
	synctest.Test(t, func(t *testing.T) {
		var both text
		p := &program{in: strings.NewReader(""), out: &both, errs: &both, hub: []codertest.Option{codertest.WithInMemoryNetwork()}}
		require.Equal(t, allWell, p.run(t.Context(), nil), "%s", &both)
		readme.Check(t, "go run ./examples/fleet", both.String())
	})
}

func TestWithAHubFromTheEnvironment(t *testing.T) {
	hub := codertest.NewHub(codertest.WithAPIKey("key"))
	defer hub.Close()
	environ(t, "key", hub.URL())
	tasks := filepath.Join(t.TempDir(), "tasks.txt")
	require.NoError(t, os.WriteFile(tasks, []byte("Say hello\n"), 0o600))
	var out, errs text
	require.Equal(t, allWell, (&program{out: &out, errs: &errs}).run(t.Context(), []string{"-name", "today", tasks}), "%s", &errs)
	assert.Contains(t, out.String(), "1 of 1 tasks ended well; ")
	assert.Len(t, hub.SessionIDs(), 1)

	environ(t, "key", "nowhere")
	assert.Equal(t, badUsage, (&program{out: &out, errs: &errs}).run(t.Context(), []string{tasks}))
	assert.Contains(t, errs.String(), "AGENTUITY_CODER_URL")
}

// TestBadUsage says what is wrong before anything is sent.
func TestBadUsage(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub) {
		client := clientOf(t, hub)
		folder := t.TempDir()
		earlier := fileWith(t, `{"key":"fleet-job-1","task":"Another task","outcome":"turn_ended"}`+"\n")
		for _, test := range []struct {
			args  []string
			tasks string
			want  string
		}{
			{nil, "", "standard input:1: there is no task in it"},
			{nil, "a\n\na", "standard input:3: the key "},
			{nil, "a\n{b", "standard input:2: it begins as JSON, and is none: "},
			{[]string{"-results", earlier}, "Tidy up\n" + jobs(1), `standard input:2: the key "fleet-job-1" had another task in an earlier run`},
			{[]string{"-results", fileWith(t, "Tidy up\n")}, "a", "results.jsonl:1: it is no result: "},
			{[]string{"-results", folder}, "a", folder},
			{[]string{"-chart", filepath.Join(folder, "nowhere", "x.svg")}, "a", "x.svg"},
			{[]string{"-at-once", "0"}, "a", "-at-once: must be at least 1"},
			{[]string{"-at-once", "x"}, "a", "at-once"},
			{[]string{"-stall", "0s"}, "a", "-stall: must be above 0"},
			{[]string{"-max-turns", "-1"}, "a", "-max-turns: must not be negative"},
			{[]string{"-max-cost", "NaN"}, "a", "-max-cost: must not be negative"},
			{[]string{"-name", "a b"}, "a", "-name: must be a text"},
			{[]string{"-retry-failed"}, "a", "-retry-failed: needs -results"},
			{[]string{"-nonsense"}, "a", "-nonsense; -help tells the flags"},
			{[]string{"one.txt"}, "a", "more than one file of tasks"},
			{[]string{filepath.Join(folder, "none.txt")}, "a", "more than one file of tasks"},
		} {
			status, out, errs := called(t.Context(), client, test.tasks, test.args...)
			assert.Equal(t, badUsage, status, "%q", test.args)
			assert.Empty(t, out)
			assert.Contains(t, errs, test.want)
			assert.True(t, strings.HasPrefix(errs, "fleet: ") && strings.Count(errs, "\n") == 1, errs)
		}
		var errs text
		assert.Equal(t, badUsage, (&program{out: io.Discard, errs: &errs, client: client}).run(t.Context(), []string{filepath.Join(folder, "none.txt")}))
		assert.Contains(t, errs.String(), "none.txt")
		assert.Equal(t, badUsage, (&program{out: io.Discard, errs: &errs, client: client}).run(t.Context(), nil))
		assert.Contains(t, errs.String(), "which tasks?")
		assert.Empty(t, hub.Requests())
	})
	environ(t, "", "")
	var errs text
	assert.Equal(t, badUsage, (&program{out: io.Discard, errs: &errs}).run(t.Context(), []string{"tasks.txt"}))
	assert.Contains(t, errs.String(), "set AGENTUITY_SDK_KEY or AGENTUITY_CODER_URL")
}

func TestHelp(t *testing.T) {
	var out, errs text
	require.Equal(t, allWell, (&program{out: &out, errs: &errs}).run(t.Context(), []string{"-help"}))
	assert.Empty(t, errs.String())
	for _, want := range []string{"usage: fleet", `{"key": "pr-7", `, "-at-once how many", "-max-cost US dollars", "(default 10m0s)"} {
		assert.Contains(t, out.String(), want)
	}
}

// TestSignals interrupts the program while its agents work. Then the Hub does not answer, so that it waits for that.
func TestSignals(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no signal can be sent to another process there")
	}
	for name, twice := range map[string]bool{"once": false, "twice": true} {
		t.Run(name, func(t *testing.T) {
			created := make(chan string, 1)
			hub := codertest.NewHub(codertest.WithAPIKey("key"), codertest.WithAgentPace(time.Hour))
			defer hub.Close()
			hub.OnSession(func(s *codertest.SessionControl) { created <- s.ID() })
			if twice {
				hub.Inject(codertest.Fault{Route: "/hub/session/{id}/archive", Stall: true, Count: -1})
			}
			executable, err := os.Executable()
			require.NoError(t, err)
			program := exec.CommandContext(t.Context(), executable, "-")
			program.Env = append(os.Environ(), asProgram+"=1", "AGENTUITY_SDK_KEY=key", "AGENTUITY_CODER_URL="+hub.URL())
			program.Stdin = strings.NewReader("Work for long\n")
			var out bytes.Buffer
			program.Stdout = &out
			stderr, err := program.StderrPipe()
			require.NoError(t, err)
			require.NoError(t, program.Start())
			id := <-created
			require.NoError(t, program.Process.Signal(os.Interrupt))
			reader := bufio.NewReader(stderr)
			for said := ""; !strings.Contains(said, "once more ends it at once"); {
				said, err = reader.ReadString('\n')
				require.NoError(t, err)
			}
			if twice {
				require.NoError(t, program.Process.Signal(os.Interrupt))
			}
			_, err = io.Copy(io.Discard, reader)
			require.NoError(t, err)
			var exit *exec.ExitError
			require.ErrorAs(t, program.Wait(), &exit)
			if twice {
				assert.Equal(t, syscall.SIGINT, exit.Sys().(syscall.WaitStatus).Signal(), "the signal ended it")
				return
			}
			assert.Equal(t, interrupted, exit.ExitCode())
			assert.Contains(t, out.String(), "0 of 1 tasks ended well, 1 did not; ")
			assert.True(t, hub.Session(id).Archived())
		})
	}
}

// TestRejoined: the time of a session that an earlier run has begun counts from its beginning.
func TestRejoined(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub) {
		tasks := strings.TrimSpace(jobs(1))
		list, err := readTasks(strings.NewReader(tasks), "f", "fleet")
		require.NoError(t, err)
		hub.OnSession(works(5))
		began := time.Now()
		_, err = clientOf(t, hub).EnsureSession(t.Context(), list[0].key, list[0].request, nil)
		require.NoError(t, err)
		session := hub.Session(hub.SessionIDs()[0])
		session.SetStatus(coder.StatusActive)
		time.Sleep(time.Hour)
		name := filepath.Join(t.TempDir(), "results.jsonl")
		status, out, errs := called(t.Context(), clientOf(t, hub), tasks, "-results", name)
		require.Equal(t, allWell, status, "%s\n%s", out, errs)
		assert.InDelta(t, ended(session).Sub(began).Seconds(), written(t, name)["fleet-job-1"].Seconds, 1)
		assert.Len(t, hub.SessionIDs(), 1)
	}, codertest.WithAgentPace(time.Second))
}
