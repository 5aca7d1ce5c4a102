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
func examined(t *testing.T, lie func(hub *codertest.Hub, honest http.RoundTripper) http.RoundTripper, see func(*testing.T, *codertest.Hub, *Report)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		hub := codertest.NewHub(codertest.WithInMemoryNetwork(), codertest.WithAgentVersion("1.6.0"))
		defer hub.Close()
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
	examined(t, nil, func(t *testing.T, hub *codertest.Hub, report *Report) {
		assert.Len(t, report.Results, len(All()))
		for _, r := range report.Results {
			assert.Equal(t, Held, r.Status, "%s: %s", r.Name, r.Seen)
			assert.NotEmpty(t, r.Seen, "%s says what was seen", r.Name)
		}
		assert.Empty(t, report.Left)
		assert.Len(t, hub.SessionIDs(), 3, "what was made is deleted again")
	})
}

var _ = context.Background
