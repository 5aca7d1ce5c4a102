package browser

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

// samples are sessions to look at.
func samples(hub *codertest.Hub) {
	now := time.Now()
	add := func(label, status string, before time.Duration) {
		hub.AddSession(codertest.Session{Task: label, Label: label, Status: status, Created: now.Add(-before - time.Hour), LastActivity: now.Add(-before)})
	}
	add("Explain how the parser works", "active", 12*time.Minute)
	add("Upgrade to Go 1.26", "paused", 3*time.Hour)
	add("Sort the customers by name, and write down how many there are of each country", "paused", 26*time.Hour)
	add("Flaky test in CI", "archived", 49*time.Hour)
	add("Nightly build", "failed", 100*time.Hour)
}

// pictured is the session of the pictures: it has said something, and asks.
func pictured(t *testing.T, c *console) (path string) {
	t.Helper()
	samples(c.hub)
	client, err := c.hub.NewClient()
	require.NoError(t, err)
	c.hub.OnSession(func(session *codertest.SessionControl) {
		session.Answer(
			codertest.AgentTurn{
				Thinking: "Everything is merged. The tag is the point of no return, so I have to ask first.",
				Text:     "I will run the tests, and look at what has changed since 1.3.",
				Tools: []codertest.AgentTool{
					{Name: "bash", Args: map[string]any{"command": "go test ./..."}, Result: "ok  \t./...\t12.4s"},
					{Name: "bash", Args: map[string]any{"command": "gh release view v1.4.0"}, Result: "release not found", IsError: true},
				},
			},
			codertest.AgentTurn{
				Text: "Version 1.4.0 is ready:\n\n• all 214 tests pass, twice, also with the race detector\n• the changelog has the three new options, and the change of the default timeout\n\n" +
					"There is no release of that name yet. The tag starts the build, which publishes the module.",
				Tools: []codertest.AgentTool{{Ask: &codertest.AgentQuestion{
					Method: "confirm", Params: map[string]any{"title": "Push the tag v1.4.0?", "message": "It cannot be taken back once the proxy has seen it."},
				}}},
			},
		)
	})
	created, err := client.CreateSession(t.Context(), coder.CreateSessionRequest{Label: "Release 1.4", Task: "Prepare the release 1.4. Ask me before you push the tag."})
	require.NoError(t, err)
	return "/sessions/" + created.SessionID
}

// TestPictures looks at a session on a wide screen and on a phone, in light and dark. With -update it draws what it sees.
func TestPictures(t *testing.T) {
	c := opens(t)
	path := pictured(t, c)
	p := shows(t, c.url+path, wide)
	p.untilState("Waiting for an answer")
	p.until("!document.querySelector('#question').hidden")
	p.until("document.querySelector('#buckets a[aria-current]')?.textContent.includes('active')")
	colors := make(map[string]bool)
	for _, dark := range []bool{false, true} {
		for _, size := range []screen{{1280, 900, dark}, {390, 844, dark}} {
			p.looks(size)
			p.until("innerWidth === " + fmt.Sprint(size.width))
			evaluate[chromedp.Void](p, "document.activeElement.blur(); document.querySelector('#log').scrollTop = 1e6")
			color := evaluate[string](p, "getComputedStyle(document.body).backgroundColor")
			colors[color] = true
			picture, err := chromedp.Run(p.ctx, chromedp.CaptureScreenshot())
			require.NoError(t, err)
			assert.Less(t, len(picture), 150_000)
			if *update {
				scheme := map[bool]string{false: "light", true: "dark"}[dark]
				require.NoError(t, os.WriteFile(fmt.Sprintf("../../docs/images/console-%s-%d.png", scheme, size.width), picture, 0o644))
			}
		}
	}
	assert.Len(t, colors, 2, "light and dark should differ")
}
