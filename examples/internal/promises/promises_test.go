package promises

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

// examined checks all promises against a Hub whose answers lie tells, in a bubble.
func examined(
	t *testing.T, lie func(hub *codertest.Hub, honest http.RoundTripper) http.RoundTripper,
	see func(*testing.T, *codertest.Hub, *Report), options ...codertest.Option,
) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		hub := codertest.NewHub(append(options, codertest.WithInMemoryNetwork())...)
		defer hub.Close()
		for range 3 {
			hub.AddUser(codertest.User{})
		}
		for i := range 3 {
			hub.AddSession(codertest.Session{Task: "An older session", Created: time.Now().Add(-time.Duration(i+1) * time.Hour)})
		}
		transport := hub.HTTPClient().Transport
		if lie != nil {
			transport = lie(hub, transport)
		}
		wire := &Wire{Base: transport}
		client, err := hub.NewClient(coder.WithHTTPClient(&http.Client{Transport: wire}))
		require.NoError(t, err)
		defer client.CloseIdleConnections()
		see(t, hub, Check(t.Context(), client, Options{Write: true, Wire: wire}))
	})
}

func statuses(report *Report, status Status) map[string]string {
	found := make(map[string]string)
	for i := range report.Results {
		if r := &report.Results[i]; r.Status == status {
			found[r.Name] = r.Seen
		}
	}
	return found
}

func TestHubOfCodertestKeepsEveryPromise(t *testing.T) {
	for name, options := range map[string][]codertest.Option{
		"Pi 0.74.2":            {},
		"Pi 1.6.0":             {codertest.WithAgentVersion("1.6.0")},
		"Pi 0.74.2, extension": {codertest.WithAgentDialect(codertest.DialectExtension)},
		"Pi 1.6.0, extension":  {codertest.WithAgentVersion("1.6.0"), codertest.WithAgentDialect(codertest.DialectExtension)},
		"an agent that rests":  {codertest.WithAgentPace(time.Second)},
		"a replay of events":   {codertest.WithEventReplay(100)},
	} {
		t.Run(name, func(t *testing.T) {
			examined(t, nil, func(t *testing.T, hub *codertest.Hub, report *Report) {
				assert.Len(t, report.Results, len(All()))
				for _, r := range report.Results {
					assert.Equal(t, Held, r.Status, "%s: %s", r.Name, r.Seen)
					assert.NotEmpty(t, r.Seen, "%s says what was seen", r.Name)
				}
				assert.Empty(t, report.Left)
				assert.Positive(t, report.EventDelay)
				assert.Len(t, hub.SessionIDs(), 3, "what was made is deleted again")
			}, options...)
		})
	}
}

// inBubble runs a test with a Hub and a client of it that goes over a Wire.
func inBubble(t *testing.T, test func(*testing.T, *codertest.Hub, *coder.Client, *Wire), options ...codertest.Option) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		hub := codertest.NewHub(append(options, codertest.WithInMemoryNetwork())...)
		defer hub.Close()
		wire := &Wire{Base: hub.HTTPClient().Transport}
		client, err := hub.NewClient(coder.WithHTTPClient(&http.Client{Transport: wire}))
		require.NoError(t, err)
		defer client.CloseIdleConnections()
		test(t, hub, client, wire)
	})
}

func TestWithoutWriteNothingIsChanged(t *testing.T) {
	inBubble(t, func(t *testing.T, hub *codertest.Hub, client *coder.Client, wire *Wire) {
		for range 2 {
			created, err := client.CreateSession(t.Context(), coder.CreateSessionRequest{Task: "Find the bug"})
			require.NoError(t, err)
			_, err = client.WaitForSession(t.Context(), created.SessionID, nil)
			require.NoError(t, err)
		}
		hub.AddUser(codertest.User{})
		hub.AddUser(codertest.User{})
		hub.AddUser(codertest.User{})
		before := len(hub.Requests())
		var progress []string
		report := Check(t.Context(), client, Options{Wire: wire, Progress: func(r Result) { progress = append(progress, r.Name) }})
		for _, r := range hub.Requests()[before:] {
			assert.Equal(t, http.MethodGet, r.Method, "%v", r)
		}
		for _, r := range report.Results {
			want := Held
			if r.Writes {
				want = NotAsked
			}
			assert.Equal(t, want, r.Status, "%s: %s", r.Name, r.Seen)
		}
		assert.Greater(t, report.Count(Held), 20)
		assert.Len(t, progress, len(All()))
	})
}

func TestWithNothingToLookAtNothingIsBroken(t *testing.T) {
	inBubble(t, func(t *testing.T, _ *codertest.Hub, client *coder.Client, _ *Wire) {
		report := Check(t.Context(), client, Options{})
		assert.Empty(t, statuses(report, Broken))
		unsettled := statuses(report, Unsettled)
		for _, name := range []string{"sessions-offset", "search-selects", "history-before", "replay-order", "stream-begins", "socket-init", "answers-dated"} {
			assert.NotEmpty(t, unsettled[name], "%s says why", name)
		}
	})
}

func TestWithoutAnAgentItsPromisesAreUnsettled(t *testing.T) {
	inBubble(t, func(t *testing.T, hub *codertest.Hub, client *coder.Client, wire *Wire) {
		var past []codertest.Event
		for _, role := range []string{"user", "assistant"} {
			message := map[string]any{"role": role, "content": "x", "stopReason": "stop"}
			past = append(past, codertest.Event{Event: coder.EventMessageStart, Payload: map[string]any{"message": message}},
				codertest.Event{Event: coder.EventMessageEnd, Payload: map[string]any{"message": message}})
		}
		hub.AddSession(codertest.Session{Task: "An older session", Events: past, Entries: []codertest.ReplayEntry{
			{Type: coder.EntryUserPrompt, Content: "x"}, {Type: coder.EntryMessage, Content: "x"},
		}})
		report := Check(t.Context(), client, Options{Write: true, Wire: wire})
		assert.Empty(t, statuses(report, Broken))
		unsettled := statuses(report, Unsettled)
		assert.Contains(t, unsettled, "task-ends")
		assert.Contains(t, unsettled, "ask-answers")
		assert.NotContains(t, unsettled, "history-stops", "the older session shows it")
		assert.Len(t, hub.SessionIDs(), 1)
	}, codertest.WithoutAgent())
}

func TestAHubThatIsAwayBreaksNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, hub *codertest.Hub, client *coder.Client, wire *Wire) {
		hub.Restart(1000*time.Hour, codertest.Outage{Kind: codertest.OutageUnavailable})
		report := Check(t.Context(), client, Options{Write: true, Wire: wire})
		assert.Empty(t, statuses(report, Broken))
		assert.Contains(t, statuses(report, Unsettled)["sessions-order"], "503")
		assert.Len(t, report.Left, 1, "a session may have been created")
	})
}

func TestWhatIsMadeIsTakenAway(t *testing.T) {
	t.Run("when the context ends", func(t *testing.T) {
		inBubble(t, func(t *testing.T, hub *codertest.Hub, client *coder.Client, wire *Wire) {
			ctx, cancel := context.WithCancel(t.Context())
			report := Check(ctx, client, Options{Write: true, Wire: wire, Progress: func(r Result) {
				if r.Name == "created-found" {
					assert.Len(t, hub.SessionIDs(), 1)
					cancel()
				}
			}})
			assert.Equal(t, 1, report.Count(Held))
			assert.Empty(t, hub.SessionIDs())
			assert.Empty(t, report.Left)
		})
	})
	t.Run("when the answer to the create was lost", func(t *testing.T) {
		inBubble(t, func(t *testing.T, hub *codertest.Hub, client *coder.Client, wire *Wire) {
			hub.Inject(codertest.Fault{Method: http.MethodPost, Route: "/hub/session", Status: 502, Effect: true})
			report := Check(t.Context(), client, Options{Write: true, Wire: wire})
			assert.Contains(t, statuses(report, Unsettled)["created-found"], "502")
			assert.NotEmpty(t, hub.Requests())
			assert.Empty(t, hub.SessionIDs())
			assert.Empty(t, report.Left)
		})
	})
	t.Run("or named", func(t *testing.T) {
		inBubble(t, func(t *testing.T, hub *codertest.Hub, client *coder.Client, wire *Wire) {
			hub.Inject(codertest.Fault{Method: http.MethodDelete, Route: "/hub/session/{id}", Status: 403, Count: -1})
			report := Check(t.Context(), client, Options{Write: true, Wire: wire})
			require.Len(t, hub.SessionIDs(), 1)
			require.Len(t, report.Left, 1)
			assert.Contains(t, report.Left[0], hub.SessionIDs()[0]+" is archived and not deleted")
			hub.Inject(codertest.Fault{Method: http.MethodPost, Route: "/hub/session/{id}/archive", Status: 403, Count: -1})
			report = Check(t.Context(), client, Options{Write: true, Wire: wire})
			require.Len(t, report.Left, 1)
			assert.Contains(t, report.Left[0], hub.SessionIDs()[1]+" is still there")
		})
	})
	t.Run("when metadata must be texts", func(t *testing.T) {
		inBubble(t, func(t *testing.T, hub *codertest.Hub, client *coder.Client, wire *Wire) {
			hub.Inject(codertest.Fault{Method: http.MethodPost, Route: "/hub/session", Status: 400})
			report := Check(t.Context(), client, Options{Write: true, Wire: wire})
			assert.Equal(t, map[string]string{"metadata-json": "only texts were taken: status 400"}, statuses(report, Broken))
			assert.Empty(t, hub.SessionIDs())
		})
	})
}

// TestEachPromiseIsExplained: a reader of the list knows what it is about.
func TestEachPromiseIsExplained(t *testing.T) {
	names := make(map[string]bool)
	for _, p := range All() {
		assert.False(t, names[p.Name], "%s is there once", p.Name)
		names[p.Name] = true
		assert.NotEmpty(t, p.Needs, p.Name)
		assert.Regexp(t, `^[^\n]+\.$`, p.Belief, p.Name)
		assert.Regexp(t, `^[^\n]+\.$`, p.Otherwise, p.Name)
	}
}
