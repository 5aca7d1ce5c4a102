package browser

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go/codertest"
)

var (
	update   = flag.Bool("update", false, "draw the pictures of docs/images again")
	chromium = flag.String("chromium", "", "the `program` to drive (default: that of the variable CHROMIUM, or chromium in the PATH)")
)

// What all tests share.
var (
	consoleProgram string                                       // built of examples/console
	openTab        func() (context.Context, context.CancelFunc) // in the browser, with no cookie of any other
)

func TestMain(m *testing.M) {
	flag.Parse()
	status, err := prepare(m.Run)
	if err != nil {
		fmt.Fprintln(os.Stderr, "browser:", err)
		status = 1
	}
	os.Exit(status)
}

// prepare builds the console and opens a browser with a profile of its own, runs the tests, and leaves nothing of either.
func prepare(run func() int) (status int, err error) {
	program, err := findChromium()
	if err != nil {
		return 1, err
	}
	folder, err := os.MkdirTemp("", "browser")
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	consoleProgram = filepath.Join(folder, "console")
	if text, err := exec.CommandContext(context.Background(), "go", "-C", "../..", "build", "-o", consoleProgram, "./examples/console").CombinedOutput(); err != nil {
		return 1, fmt.Errorf("the console cannot be built: %w\n%s", err, text)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(program), chromedp.UserDataDir(filepath.Join(folder, "profile")))
	if runtime.GOOS == "linux" && os.Getuid() == 0 {
		options = append(options, chromedp.NoSandbox) // Chromium refuses to run as root with one
	}
	allocator, end := chromedp.NewExecAllocator(context.Background(), options...)
	defer end()
	browser, cancel := chromedp.NewContext(allocator)
	defer cancel()
	if err := chromedp.Do(browser); err != nil {
		return 1, fmt.Errorf("%s does not start: %w", program, err)
	}
	openTab = func() (context.Context, context.CancelFunc) {
		return chromedp.NewContext(browser, chromedp.WithNewBrowserContext())
	}
	status = run()
	return status, chromedp.Cancel(browser) // closes the browser, and waits for it
}

func findChromium() (string, error) {
	for _, name := range []string{*chromium, os.Getenv("CHROMIUM"), "chromium"} {
		if name == "" {
			continue
		}
		path, err := exec.LookPath(name)
		if err != nil {
			return "", fmt.Errorf("there is no Chromium to drive (%w): install one (apt-get install chromium), or name it with -chromium or the variable CHROMIUM", err)
		}
		return path, nil
	}
	panic("the last name is never empty")
}

// console is the program, and the Hub that it shows.
type console struct {
	t   *testing.T
	hub *codertest.Hub
	url string
	cmd *exec.Cmd
}

// opens starts the program, and a Hub on loopback for it.
func opens(t *testing.T, options ...codertest.Option) *console {
	t.Helper()
	hub := codertest.NewHub(append([]codertest.Option{codertest.WithAgentVersion("1.6.0")}, options...)...)
	t.Cleanup(hub.Close)
	c := &console{t: t, hub: hub}
	c.starts("127.0.0.1:0")
	t.Cleanup(c.ends)
	return c
}

var listens = regexp.MustCompile(`The console is at (http://\S+) until`)

// starts starts the program at an address.
func (c *console) starts(address string) {
	c.t.Helper()
	c.cmd = exec.CommandContext(context.Background(), consoleProgram, "-addr", address) // ends ends it
	c.cmd.Env = append(os.Environ(), "AGENTUITY_CODER_URL="+c.hub.URL(), "AGENTUITY_SDK_KEY=fake")
	c.cmd.Stderr = os.Stderr
	out, err := c.cmd.StdoutPipe()
	require.NoError(c.t, err)
	require.NoError(c.t, c.cmd.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(c.t, err)
	found := listens.FindStringSubmatch(line)
	require.NotNil(c.t, found, line)
	c.url = found[1]
}

// ends ends the program, as Ctrl-C does.
func (c *console) ends() {
	c.t.Helper()
	require.NoError(c.t, c.cmd.Process.Signal(os.Interrupt))
	var ended *exec.ExitError
	require.ErrorAs(c.t, c.cmd.Wait(), &ended)
	require.Equal(c.t, 130, ended.ExitCode())
}

// session returns the newest session of the Hub.
func (c *console) session() *codertest.SessionControl {
	c.t.Helper()
	ids := c.hub.SessionIDs()
	require.NotEmpty(c.t, ids)
	return c.hub.Session(ids[len(ids)-1])
}
