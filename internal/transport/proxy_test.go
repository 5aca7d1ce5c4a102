package transport

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestAProxyThatRefuses is named by the error, which never has its password. What it says about the
// request holds for reads as for creates.
func TestAProxyThatRefuses(t *testing.T) {
	for status, attempts := range map[int]int{407: 1, 403: 1, 502: 3, 503: 3} {
		for _, idempotent := range []bool{true, false} {
			t.Run(strconv.Itoa(status), func(t *testing.T) {
				var asked atomic.Int32
				proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					assert.Equal(t, http.MethodConnect, r.Method)
					asked.Add(1)
					w.WriteHeader(status)
				}))
				defer proxy.Close()
				address, err := url.Parse(proxy.URL)
				require.NoError(t, err)
				address.User = url.UserPassword("somebody", "s3cr3t")
				base := NewHTTPTransport()
				base.Proxy = http.ProxyURL(address)
				defer base.CloseIdleConnections()
				tr := newTransport(http.Client{Transport: base}, Policy{MaxAttempts: 3, UnavailableWindow: -1, MinBackoff: time.Millisecond})
				r := &Request{Method: http.MethodGet, URL: "https://hub.invalid", Idempotent: true}
				if !idempotent {
					r = &Request{Method: http.MethodPost, URL: "https://hub.invalid", Body: []byte("{}")}
				}
				o := tr.Do(t.Context(), r)
				var refused *ProxyError
				require.ErrorAs(t, o.Err, &refused)
				assert.Equal(t, status, refused.Status)
				assert.Contains(t, o.Err.Error(), "proxy did not connect: "+strconv.Itoa(status))
				assert.Contains(t, o.Err.Error(), "HTTPS_PROXY")
				assert.NotContains(t, o.Err.Error(), "s3cr3t")
				assert.Equal(t, SentNo, o.Sent)
				assert.False(t, o.Unknown)
				assert.EqualValues(t, attempts, asked.Load())
			})
		}
	}
}
