//go:build !race

package coder_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
)

// longHistory is the transport of a session that is over and has so many events, of a size that depends on the id.
type longHistory struct {
	events   int
	size     func(id int) int
	requests int
}

func (h *longHistory) RoundTrip(r *http.Request) (*http.Response, error) {
	var body bytes.Buffer
	if strings.HasSuffix(r.URL.Path, "/events/history") {
		h.requests++
		limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
		before, _ := strconv.Atoi(r.URL.Query().Get("beforeId"))
		if before == 0 {
			before = h.events + 1
		}
		body.WriteString(`{"sessionId":"s","events":[`)
		for id := before - 1; id > 0 && id >= before-limit; id-- {
			if id < before-1 {
				body.WriteByte(',')
			}
			fmt.Fprintf(&body, `{"id":%d,"event":"turn_end","ingestedAt":"1999-01-01T00:00:00.000Z","payload":"`, id)
			body.Write(bytes.Repeat([]byte("x"), h.size(id)))
			body.WriteString(`"}`)
		}
		body.WriteString(`]}`)
	} else {
		body.WriteString(`{"sessionId":"s","status":"archived","historyOnly":true,"updatedAt":"1999-01-01T00:00:00.000Z"}`)
	}
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}, "Date": {"Sat, 01 Jan 2000 00:00:00 GMT"}},
		ContentLength: int64(body.Len()), Body: io.NopCloser(&body), Request: r,
	}, nil
}

// watchAll yields to each what is held besides what was before, after every so many events.
func (h *longHistory) watchAll(t *testing.T, every int, each func(id int, held int64), opts ...coder.Option) {
	t.Helper()
	c := newClient(t, append(opts, coder.WithURL("http://hub.invalid"), coder.WithAPIKey(testKey), coder.WithHTTPClient(&http.Client{Transport: h}))...)
	held := func() int64 {
		var stats runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&stats)
		return int64(stats.HeapAlloc)
	}
	before, last := held(), 0
	for e, err := range c.WatchEvents(t.Context(), "s", &coder.WatchEventsOptions{NoStream: true}) {
		require.NoError(t, err)
		if e.ID == 0 {
			require.True(t, e.Live)
			continue
		}
		require.Equal(t, last+1, e.ID)
		if last = e.ID; last%every == 0 {
			each(last, held()-before)
		}
	}
	assert.Equal(t, h.events, last)
}

// TestWatchEvents_Memory: a history of any length takes the memory of a page.
func TestWatchEvents_Memory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &longHistory{events: 100_000, size: func(int) int { return 100 }}
		most := int64(0)
		h.watchAll(t, 1000, func(_ int, held int64) { most = max(most, held) })
		t.Logf("100,000 events: at most %d kB held, %d requests", most>>10, h.requests)
		assert.LessOrEqual(t, most, int64(1<<20))
		assert.LessOrEqual(t, h.requests, 1020)
	})
}

// TestWatchEvents_LargeEvents: among events of 1 MiB the pages become short. The first that meets them in between small
// ones has up to 100, or what WithMaxResponseSize allows.
func TestWatchEvents_LargeEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		size := func(id int) int {
			if id <= 10 || id > 20 && id <= 500 {
				return 100
			}
			return 1 << 20
		}
		h := &longHistory{events: 530, size: size}
		var most, settled int64
		h.watchAll(t, 10, func(id int, held int64) {
			most = max(most, held)
			if id > 20 && id <= 400 || id > 520 { // the pages are as they should be
				settled = max(settled, held)
			}
		}, coder.WithMaxResponseSize(20<<20))
		t.Logf("530 events, 40 of 1 MiB: at most %d kB held, %d kB when it has learned, %d requests", most>>10, settled>>10, h.requests)
		assert.LessOrEqual(t, most, int64(3*20<<20))
		assert.LessOrEqual(t, settled, int64(32<<20))
		assert.Less(t, h.requests, 100)
	})
}
