package main

import (
	"bytes"
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go/codertest"
	"github.com/agentuity/coder-go/examples/internal/cli"
	"github.com/agentuity/coder-go/examples/internal/progress"
	"github.com/agentuity/coder-go/examples/internal/readme"
)

// called runs the program. Without a Hub it has what the environment says.
func called(ctx context.Context, t *testing.T, hub *codertest.Hub, args ...string) (status int, out, errs string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	p := &program{out: &stdout, teller: &progress.Teller{Name: "quickstart", Out: &stderr}}
	if hub != nil {
		var err error
		p.client, err = hub.NewClient()
		require.NoError(t, err)
	}
	status = p.run(ctx, args)
	return status, stdout.String(), stderr.String()
}

func bubble(t *testing.T, f func(t *testing.T, hub *codertest.Hub), options ...codertest.Option) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		hub := codertest.NewHub(append(options, codertest.WithInMemoryNetwork(), codertest.WithAgentVersion("1.6.0"))...)
		defer hub.Close()
		f(t, hub)
	})
}

func TestWithoutAnAccount(t *testing.T) {
	t.Setenv("AGENTUITY_SDK_KEY", "")
	t.Setenv("AGENTUITY_CODER_URL", "")
	synctest.Test(t, func(t *testing.T) {
		var both bytes.Buffer
		p := &program{out: &both, teller: &progress.Teller{Name: "quickstart", Out: &both}, hub: []codertest.Option{codertest.WithInMemoryNetwork()}}
		assert.Equal(t, cli.OK, p.run(t.Context(), nil), both.String())
		readme.Check(t, "go run ./examples/quickstart", both.String())
		assert.Regexp(t, `\nanswer      GET /healthz answers 200 now, and the tests pass.
outcome     succeeded \(turn_ended\) in [\d.]+s
deleted     codesess_\w+
$`, both.String())
	})

	status, out, errs := called(t.Context(), t, nil, "-keep")
	assert.Equal(t, cli.BadUsage, status)
	assert.Empty(t, out)
	assert.Contains(t, errs, "-keep needs a Hub of yours")
}

func TestWithAHubFromTheEnvironment(t *testing.T) {
	hub := codertest.NewHub(codertest.WithAPIKey("key"))
	defer hub.Close()
	t.Setenv("AGENTUITY_CODER_URL", hub.URL())
	t.Setenv("AGENTUITY_SDK_KEY", "key")
	status, out, errs := called(t.Context(), t, nil, "-task", "Say hello\nto \x1b[31mall", "-keep")
	assert.Equal(t, cli.OK, status, errs)
	assert.Contains(t, out, "\ntask        Say hello\n            to [31mall\n")
	assert.NotContains(t, out, "deleted")
	require.Len(t, hub.SessionIDs(), 1)

	t.Setenv("AGENTUITY_SDK_KEY", "wrong")
	status, _, errs = called(t.Context(), t, nil)
	assert.Equal(t, cli.Failed, status)
	assert.Contains(t, errs, "401")
	assert.NotContains(t, errs, "wrong")

	assert.NotContains(t, errs, "examples/doctor", "the Hub has answered")

	t.Setenv("AGENTUITY_CODER_URL", "nowhere")
	status, _, errs = called(t.Context(), t, nil)
	assert.Equal(t, cli.BadUsage, status)
	assert.Contains(t, errs, "AGENTUITY_CODER_URL")
}

func TestCalledWrongly(t *testing.T) {
	for _, args := range [][]string{{"Say hello"}, {"-tsak", "x"}, {"-keep=maybe"}} {
		status, out, errs := called(t.Context(), t, nil, args...)
		assert.Equal(t, cli.BadUsage, status, args)
		assert.Empty(t, out)
		assert.NotEmpty(t, errs)
	}
	status, out, errs := called(t.Context(), t, nil, "-h")
	assert.Equal(t, cli.OK, status)
	assert.Empty(t, errs)
	assert.Contains(t, out, "-keep")
}

// TestNotDone: a session whose agent fails is kept, and it is said how to look at it.
func TestNotDone(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub) {
		hub.OnSession(func(s *codertest.SessionControl) { s.FailModel(codertest.AgentInvalidRequest) })
		status, out, errs := called(t.Context(), t, hub)
		assert.Equal(t, cli.Failed, status)
		assert.Empty(t, errs)
		assert.Regexp(t, `\nfailed      \w+: .+\nlook        go run \./examples/transcript -format md codesess_`, out)
		assert.Len(t, hub.SessionIDs(), 1)
	})
}

// TestFailuresLeaveNothingRunning: what can be deleted is, and what cannot is named.
func TestFailuresLeaveNothingRunning(t *testing.T) {
	for name, fault := range map[string]codertest.Fault{
		"getting": {Method: http.MethodGet, Route: "/hub/session/{id}", Status: 403, Count: -1},
		"history": {Route: "/hub/session/{id}/events/history", Status: 403, Count: -1},
		"replay":  {Route: "/hub/session/{id}/replay", Status: 403, Count: -1},
		"delete":  {Method: http.MethodDelete, Status: 403},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, hub *codertest.Hub) {
				hub.Inject(fault)
				status, _, errs := called(t.Context(), t, hub)
				if name == "delete" {
					require.Len(t, hub.SessionIDs(), 1)
					assert.Contains(t, errs, "session "+hub.SessionIDs()[0]+" is still there: ")
				} else {
					assert.Empty(t, hub.SessionIDs())
				}
				assert.Equal(t, cli.Failed, status, errs)
				assert.Contains(t, errs, "403")
			})
		})
	}
}

// TestAway: who is not answered is told what to do.
func TestAway(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub) {
		hub.Inject(codertest.Fault{Cut: codertest.CutBeforeEffect, Count: -1})
		status, _, errs := called(t.Context(), t, hub)
		assert.Equal(t, cli.Failed, status)
		assert.Contains(t, errs, "quickstart: go run ./examples/doctor finds out")
		assert.Empty(t, hub.SessionIDs())
	})
}

// TestInterrupted: nothing works on.
func TestInterrupted(t *testing.T) {
	for _, stalled := range []string{"/hub/session", "/hub/session/{id}", "/hub/session/{id}/events/history", "/hub/session/{id}/replay"} {
		t.Run(stalled, func(t *testing.T) {
			bubble(t, func(t *testing.T, hub *codertest.Hub) {
				ctx, interrupt := context.WithCancel(t.Context())
				hub.Inject(codertest.Fault{Route: stalled, Stall: true})
				go func() { synctest.Wait(); interrupt() }()
				status, _, errs := called(ctx, t, hub)
				assert.Equal(t, cli.Interrupted, status)
				assert.Contains(t, errs, "quickstart: interrupted: ")
				for _, id := range hub.SessionIDs() {
					assert.True(t, hub.Session(id).Archived(), errs)
				}
			})
		})
	}
}

// TestProgress: who waits is told.
func TestProgress(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub) {
		hub.OnSession(func(s *codertest.SessionControl) { s.Answer(codertest.AgentTurn{Text: "Done after a while."}) })
		status, _, errs := called(t.Context(), t, hub)
		assert.Equal(t, cli.OK, status)
		assert.Regexp(t, `^quickstart: session codesess_\w+ is active, 1 s\nquickstart: session codesess_\w+ is active, 11 s\n`, errs)
	}, codertest.WithAgentPace(3*time.Second))
}
