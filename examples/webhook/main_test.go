package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go/examples/internal/cli"
	"github.com/agentuity/coder-go/examples/internal/readme"
)

// asProgram says that this process is the program, not its tests.
const asProgram = "CODER_GO_TEST_AS_WEBHOOK"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// environ sets all variables that the program reads, those that are not named to nothing.
func environ(t *testing.T, values map[string]string) {
	t.Helper()
	for _, name := range []string{"AGENTUITY_SDK_KEY", "AGENTUITY_CODER_URL", "WEBHOOK_SECRET", "WEBHOOK_TOKEN"} {
		t.Setenv(name, values[name])
	}
}

func called(ctx context.Context, args ...string) (status int, out, errs string) {
	var stdout, stderr text
	status = (&program{out: &stdout, errs: &stderr}).run(ctx, args)
	return status, stdout.String(), stderr.String()
}

// TestWithoutAnAccount: the demonstration shows everything, ends, and leaves nothing behind.
func TestWithoutAnAccount(t *testing.T) {
	environ(t, nil)
	temporary := t.TempDir()
	t.Setenv("TMPDIR", temporary)
	t.Setenv("TMP", temporary) // on Windows
	status, out, errs := called(t.Context())
	require.Equal(t, cli.OK, status, "%s\n%s", out, errs)
	readme.Check(t, "go -C examples/webhook run .", errs+out)
	assert.Contains(t, out, "\nanswered  acme/shop   7       codesess_000000000001  turn_ended  ")
	assert.Equal(t, 2, strings.Count(errs, "\n"), errs)
	left, err := os.ReadDir(temporary)
	require.NoError(t, err)
	assert.Empty(t, left)
}

// TestWithoutAnAccount_Kept: with a database of its own it can be called again, and -list shows both.
func TestWithoutAnAccount_Kept(t *testing.T) {
	environ(t, nil)
	name := filepath.Join(t.TempDir(), "webhook.db")
	for range 2 {
		status, out, errs := called(t.Context(), "-db", name)
		require.Equal(t, cli.OK, status, "%s\n%s", out, errs)
	}
	status, out, errs := called(t.Context(), "-db", name, "-list")
	require.Equal(t, cli.OK, status, errs)
	assert.Equal(t, 3, strings.Count(out, "\n"), out)
	assert.Equal(t, 2, strings.Count(out, "answered  acme/shop   7 "), out)
}

// interrupting is an output at which somebody presses Ctrl-C when something is said.
type interrupting struct {
	text
	at    string
	press func()
}

func (w *interrupting) Write(p []byte) (int, error) {
	if strings.Contains(string(p), w.at) {
		w.press()
	}
	return w.text.Write(p)
}

// TestWithoutAnAccount_Interrupted: it can be ended at any moment, and with an address it has to be.
func TestWithoutAnAccount_Interrupted(t *testing.T) {
	for at, args := range map[string][]string{"It serves on until Ctrl-C": {"-addr", "127.0.0.1:0"}, "the same delivery again": nil} {
		t.Run(at, func(t *testing.T) {
			environ(t, map[string]string{"WEBHOOK_SECRET": secret})
			ctx, press := context.WithCancel(t.Context())
			defer press()
			out, errs := &interrupting{at: at, press: press}, &text{}
			p := &program{out: out, errs: errs, interrupts: func(context.Context) (context.Context, context.CancelFunc) { return ctx, func() {} }}
			assert.Equal(t, cli.Interrupted, p.run(t.Context(), args), "%s\n%s", out, errs)
			assert.Contains(t, out.String(), at)
			assert.Regexp(t, "(?s)webhook: stopping; once more ends it at once\n.*webhook: interrupted; ", errs.String())
			assert.NotContains(t, errs.String(), "context canceled")
		})
	}
}

func TestHelp(t *testing.T) {
	status, out, errs := called(t.Context(), "-help")
	require.Equal(t, cli.OK, status)
	assert.Empty(t, errs)
	for _, want := range []string{"usage: webhook", "WEBHOOK_SECRET", "WEBHOOK_TOKEN", "-addr host:port", "-at-once how many", "(default https://api.github.com)"} {
		assert.Contains(t, strings.ReplaceAll(out, `"`, ""), strings.ReplaceAll(want, `"`, ""))
	}
}

// TestBadUsage says what is wrong before anything is begun.
func TestBadUsage(t *testing.T) {
	hub := map[string]string{"AGENTUITY_SDK_KEY": "key", "AGENTUITY_CODER_URL": "http://127.0.0.1:1", "WEBHOOK_SECRET": secret, "WEBHOOK_TOKEN": token}
	without := func(name, value string) map[string]string {
		values := map[string]string{}
		for n, v := range hub {
			values[n] = v
		}
		values[name] = value
		return values
	}
	folder := t.TempDir()
	t.Chdir(folder)
	for _, test := range []struct {
		args    []string
		environ map[string]string
		want    string
	}{
		{[]string{"-nonsense"}, hub, "-nonsense; -h lists the flags"},
		{[]string{"now"}, hub, `what is "now"?`},
		{[]string{"-at-once", "0"}, hub, "-at-once: must be at least 1"},
		{[]string{"-at-once", "x"}, hub, "at-once"},
		{[]string{"-stall", "0s"}, hub, "-stall: must be above 0"},
		{[]string{"-command", ""}, hub, "-command: must be a word"},
		{[]string{"-command", "/coder do"}, hub, "-command: must be a word"},
		{[]string{"-command", "<!--"}, hub, "-command: must not begin as answers do"},
		{[]string{"-from", ","}, hub, "-from: names nobody"},
		{[]string{"-list", "-retry"}, hub, "-list and -retry: which?"},
		{[]string{"-forge", "api.github.com"}, hub, "-forge: must be an address"},
		{[]string{"-forge", "http://api.github.com"}, hub, "-forge: must begin with https://, since it is sent a token"},
		{[]string{"-forge", "https://me:pass@api.github.com"}, hub, "-forge: must have no user"},
		{[]string{"-forge", "https://git.example/api/v1"}, nil, "-forge: set AGENTUITY_SDK_KEY or AGENTUITY_CODER_URL as well"},
		{nil, without("WEBHOOK_SECRET", ""), "set WEBHOOK_SECRET"},
		{nil, without("WEBHOOK_SECRET", " "), "set WEBHOOK_SECRET"},
		{nil, without("WEBHOOK_TOKEN", ""), "set WEBHOOK_TOKEN"},
		{nil, without("WEBHOOK_TOKEN", "two words"), "set WEBHOOK_TOKEN"},
		{nil, without("AGENTUITY_CODER_URL", "nowhere"), "AGENTUITY_CODER_URL"},
	} {
		environ(t, test.environ)
		status, out, errs := called(t.Context(), test.args...)
		assert.Equal(t, cli.BadUsage, status, "%q", test.args)
		assert.Empty(t, out)
		assert.Contains(t, errs, test.want)
		assert.True(t, strings.HasPrefix(errs, "webhook: ") && strings.Count(errs, "\n") == 1, errs)
		assert.NotContains(t, errs, "pass@")
		assert.NotContains(t, errs, secret)
	}
	environ(t, hub)
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"-list"}, "there is no webhook.db: which database? Name it with -db"},
		{[]string{"-db", filepath.Join(folder, "nowhere", "x.db")}, "x.db"},
		{[]string{"-addr", "127.0.0.1"}, "cannot listen at 127.0.0.1: "},
	} {
		status, out, errs := called(t.Context(), test.args...)
		assert.Equal(t, cli.Failed, status, "%q", test.args)
		assert.Empty(t, out)
		assert.Contains(t, errs, test.want)
	}
}

// TestList: what stands in the database is printed as it is, but for what a terminal would obey.
func TestList(t *testing.T) {
	var out text
	j := sampleJob(t)
	j.state, j.outcome, j.reason, j.received = ran, "failed", "bad\x1b[31m\nthing", moment(1_000)
	j.ended = moment(62_234)
	require.NoError(t, printJobs(&out, []*job{j, {state: received, repository: "acme/shop", number: 8}}))
	assert.Equal(t, strings.Join([]string{
		"STATE     REPOSITORY  NUMBER  SESSION  OUTCOME  TOOK     REASON",
		"ran       acme/shop   7       -        failed   1m1.23s  bad [31m thing",
		"received  acme/shop   8       -        -        -        ",
		"",
	}, "\n"), out.String())
}
