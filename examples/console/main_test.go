package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go/codertest"
	"github.com/agentuity/coder-go/examples/internal/readme"
)

// asProgram says that this process is the program, not its tests.
const asProgram = "CODER_GO_TEST_AS_CONSOLE"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// called runs the program until the context ends, or the program does.
func called(ctx context.Context, args ...string) (status int, out, errs string) {
	var stdout, stderr bytes.Buffer
	p := &program{out: &stdout, errs: &stderr, interrupts: func(ctx context.Context) (context.Context, context.CancelFunc) {
		return context.WithCancel(ctx)
	}}
	status = p.run(ctx, args)
	return status, stdout.String(), stderr.String()
}

func environ(t *testing.T, key, url string) {
	t.Helper()
	t.Setenv("AGENTUITY_SDK_KEY", key)
	t.Setenv("AGENTUITY_CLI_KEY", "")
	t.Setenv("AGENTUITY_CODER_URL", url)
}

func TestHelp(t *testing.T) {
	status, out, errs := called(t.Context(), "-help")
	assert.Equal(t, allWell, status)
	assert.Empty(t, errs)
	for _, want := range []string{"usage: console", "-addr host:port", "-host name"} {
		assert.Contains(t, out, want)
	}
}

func TestBadUsage(t *testing.T) {
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"-nonsense"}, "-nonsense; -help tells the flags"},
		{[]string{"sessions"}, `what is "sessions"?`},
		{[]string{"-addr", "8080"}, "it is no host:port, such as 127.0.0.1:8090"},
		{[]string{"-addr", ":8080"}, "others could reach it there"},
		{[]string{"-addr", "0.0.0.0:8080"}, "others could reach it there"},
		{[]string{"-addr", "192.0.2.1:8080"}, "put a proxy with a login on this machine"},
		{[]string{"-host", "http://console.example.com"}, "it is no name of a host"},
	} {
		status, out, errs := called(t.Context(), test.args...)
		assert.Equal(t, badUsage, status, "%q", test.args)
		assert.Empty(t, out)
		assert.Contains(t, errs, test.want)
		assert.True(t, strings.HasPrefix(errs, "console: ") && strings.Count(errs, "\n") == 1, errs)
	}
	behindAProxy := &settings{address: ":8080", hosts: []string{"console.example.com"}}
	assert.NoError(t, behindAProxy.check())
}

// TestWelcome warns of an address that others can reach: whoever can has no need of the proxy, and of its login.
func TestWelcome(t *testing.T) {
	for address, warns := range map[string]bool{"127.0.0.1:8090": false, "[::1]:8090": false, "[::]:8090": true, "192.0.2.1:8090": true} {
		var out, errs bytes.Buffer
		at, err := net.ResolveTCPAddr("tcp", address)
		require.NoError(t, err)
		(&program{out: &out, errs: &errs}).welcome(at, false)
		assert.Regexp(t, `^The console is at http://\S+:8090 until Ctrl-C.\n$`, out.String())
		assert.Equal(t, warns, strings.Contains(errs.String(), "Whoever can reach "+address+" can start agents, without a login"), "%s: %s", address, &errs)
	}
}

func TestCannotServe(t *testing.T) {
	environ(t, "", "")
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	status, out, errs := called(t.Context(), "-addr", taken.Addr().String())
	assert.Equal(t, notWell, status)
	assert.Empty(t, out)
	assert.Equal(t, "console: another program listens at "+taken.Addr().String()+": end it, or choose another port with -addr (0: a free one)\n", errs)

	environ(t, "key", "nowhere")
	status, _, errs = called(t.Context(), "-addr", "127.0.0.1:0")
	assert.Equal(t, notWell, status)
	assert.Contains(t, errs, "AGENTUITY_CODER_URL")
}

// process is the program as a process of its own.
type process struct {
	*exec.Cmd
	url  string
	errs bytes.Buffer
	out  *outputs
}

// outputs is what it prints, and finds in that where it listens.
type outputs struct {
	mu   sync.Mutex
	text bytes.Buffer
	url  chan string
}

var address = regexp.MustCompile(`The console is at (http://\S+) until`)

func (o *outputs) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text.Write(p)
	if m := address.FindSubmatch(o.text.Bytes()); m != nil {
		select {
		case o.url <- string(m[1]):
		default:
		}
	}
	return len(p), nil
}

func starts(t *testing.T, env ...string) *process {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("no process can send another Ctrl-C there")
	}
	p := &process{Cmd: exec.CommandContext(t.Context(), os.Args[0], "-addr", "127.0.0.1:0"), out: &outputs{url: make(chan string, 1)}}
	// Without its folder a program whose coverage is measured complains on standard error.
	p.Env = append([]string{asProgram + "=1", "GOMAXPROCS=1", "GOCOVERDIR=" + t.TempDir()}, env...)
	p.Stdout, p.Stderr = p.out, &p.errs
	require.NoError(t, p.Start())
	p.url = <-p.out.url
	return p
}

// stream opens a stream of events, and reads its first line.
func (p *process) stream(t *testing.T) io.ReadCloser {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.url+"/events?session=codesess_000000000003", nil)
	require.NoError(t, err)
	answer, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	buffer := make([]byte, len("retry: "))
	_, err = io.ReadFull(answer.Body, buffer)
	require.NoError(t, err)
	assert.Equal(t, "retry: ", string(buffer))
	return answer.Body
}

// TestInterrupt ends a program that has a stream open, without an account.
func TestInterrupt(t *testing.T) {
	p := starts(t)
	body := p.stream(t)
	defer body.Close()
	require.NoError(t, p.Process.Signal(os.Interrupt))
	_, err := io.ReadAll(body)
	assert.NoError(t, err, "the stream should end in good order")
	require.Error(t, p.Wait())
	assert.Equal(t, interrupted, p.ProcessState.ExitCode(), p.errs.String())
	assert.Equal(t, "console: the end; the embedded Hub is gone\n", p.errs.String())
	readme.Check(t, "go run ./examples/console", p.out.text.String()+p.errs.String())
}

// TestInterrupt_SessionsGoOn leaves the Hub as it is.
func TestInterrupt_SessionsGoOn(t *testing.T) {
	hub := codertest.NewHub()
	defer hub.Close()
	session := hub.AddSession(codertest.Session{Task: "Go on"})
	p := starts(t, "AGENTUITY_SDK_KEY=key", "AGENTUITY_CODER_URL="+hub.URL())
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.url+"/events?session="+session.ID(), nil)
	require.NoError(t, err)
	answer, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer answer.Body.Close()
	require.NoError(t, p.Process.Signal(syscall.SIGTERM))
	_, err = io.ReadAll(answer.Body)
	assert.NoError(t, err)
	require.Error(t, p.Wait())
	assert.Equal(t, interrupted, p.ProcessState.ExitCode())
	assert.Equal(t, "console: the end; the sessions go on at the Hub\n", p.errs.String())
	assert.Equal(t, "active", session.Status())
	assert.NotContains(t, p.out.text.String(), "demonstration")
}

// TestInterrupt_Twice ends at once a program that waits for an answer of the Hub.
func TestInterrupt_Twice(t *testing.T) {
	hub := codertest.NewHub()
	defer hub.Close()
	session := hub.AddSession(codertest.Session{Task: "Go on"})
	p := starts(t, "AGENTUITY_SDK_KEY=key", "AGENTUITY_CODER_URL="+hub.URL())
	hub.Inject(codertest.Fault{Method: "POST", Route: "/hub/session/{id}/archive", Stall: true, Cut: codertest.CutAfterEffect})
	go func() {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.url+sessionPath(session.ID())+"/archive", nil)
		assert.NoError(t, err)
		_, err = http.DefaultClient.Do(r)
		assert.Error(t, err)
	}()
	for !session.Archived() {
		runtime.Gosched()
	}
	ended := make(chan error, 1)
	go func() { ended <- p.Wait() }()
	for p.Process.Signal(os.Interrupt) == nil { // the first is heard by the program, one of those after it by nobody
		runtime.Gosched()
	}
	require.Error(t, <-ended)
	assert.Equal(t, -1, p.ProcessState.ExitCode(), "a signal should have ended it: %s", p.errs.String())
}
