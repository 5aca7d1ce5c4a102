//go:build !race

package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/examples/internal/progress"
)

// longReplay is a transport whose Hub has a session with a long conversation, which is made while it is read.
type longReplay struct {
	http.RoundTripper // to a Hub, for all else
	id                string
	entries           int
	entry             string
	each              func(n int) // called before an entry is sent
}

func (l *longReplay) RoundTrip(r *http.Request) (*http.Response, error) {
	if !strings.HasSuffix(r.URL.Path, "/replay") {
		return l.RoundTripper.RoundTrip(r)
	}
	body := &longBody{longReplay: l}
	fmt.Fprintf(&body.ready, `{"sessionId":%q,"entries":[`, l.id)
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, ContentLength: -1, Body: body, Request: r,
	}, nil
}

type longBody struct {
	*longReplay
	ready bytes.Buffer
	sent  int
}

func (b *longBody) Close() error { return nil }

func (b *longBody) Read(p []byte) (int, error) {
	if b.ready.Len() == 0 {
		switch {
		case b.sent > b.entries:
			return 0, io.EOF
		case b.sent == b.entries:
			b.ready.WriteString(`{"type":"turn","timestamp":0}]}`)
		default:
			b.each(b.sent)
			b.ready.WriteString(b.entry + ",")
		}
		b.sent++
	}
	return b.ready.Read(p)
}

// TestMemory: what is held does not grow with the conversation, and what is written comes while it is read. The calls never
// have a result.
func TestMemory(t *testing.T) {
	const size = 50_000
	hub, _ := newHub(t)
	id := sample(hub)
	answer := `{"type":"message","timestamp":1768469401000,"content":"` +
		strings.Repeat(strings.Repeat("More words. ", 90)+"**Strong** and `code`"+`.\n\n`, size/1100) + `"}`
	call := `{"type":"tool_call","timestamp":1768469401000,"toolName":"bash","toolArgs":{"command":"` + strings.Repeat("x", size) + `"}}`
	for _, test := range []struct {
		name    string
		entries int
		entry   string
		format  string
	}{
		{"50 MB of answers as HTML", 1000, answer, "html"},
		{"50 MB of answers as Markdown", 1000, answer, "md"},
		{"25 MB of calls as HTML", 500, call, "html"},
		{"25 MB of calls as Markdown", 500, call, "md"},
	} {
		out := new(counter)
		early, late := int64(0), int64(0)
		long := &longReplay{RoundTripper: hub.HTTPClient().Transport, id: id, entries: test.entries, entry: test.entry}
		long.each = func(n int) {
			if n%50 != 0 {
				return
			}
			const behind = 2 << 20 // what may wait for a result, or be on its way
			assert.GreaterOrEqual(t, out.bytes, n*size*8/10-behind, "%s: after %d entries", test.name, n)
			var stats runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&stats)
			if held := int64(stats.HeapAlloc); n <= test.entries/5 {
				early = max(early, held)
			} else {
				late = max(late, held)
			}
		}
		client, err := hub.NewClient(coder.WithHTTPClient(&http.Client{Transport: long}))
		require.NoError(t, err)
		require.NoError(t, write(t.Context(), client, id, &settings{format: test.format, full: true}, out, &teller{Teller: &progress.Teller{Name: "transcript", Out: io.Discard}}))
		assert.Greater(t, out.bytes, size*test.entries*9/10)
		t.Logf("%s: at most %d kB held in the first fifth, %d kB afterwards", test.name, early>>10, late>>10)
		assert.Less(t, late, early+1<<20, test.name)
	}
}

// counter counts what is written.
type counter struct{ bytes int }

func (c *counter) Write(p []byte) (int, error) {
	c.bytes += len(p)
	return len(p), nil
}
