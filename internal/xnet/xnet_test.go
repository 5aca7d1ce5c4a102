package xnet

import (
	"crypto/tls"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/internal/rawh2"
)

// transports are the ways in which programs come by the transport of golang.org/x/net.
var transports = map[string]func(t *testing.T, config *tls.Config) http.RoundTripper{
	"http2.Transport": func(t *testing.T, config *tls.Config) http.RoundTripper {
		transport := &http2.Transport{TLSClientConfig: config}
		t.Cleanup(transport.CloseIdleConnections)
		return transport
	},
	"http2.ConfigureTransports": func(t *testing.T, config *tls.Config) http.RoundTripper {
		transport := coder.NewTransport()
		transport.TLSClientConfig = config
		transport.HTTP2 = nil // the settings are those of http2 then
		_, err := http2.ConfigureTransports(transport)
		require.NoError(t, err)
		t.Cleanup(transport.CloseIdleConnections)
		return transport
	},
}

// TestCreateSession_WhatThePeerDidNotProcess: a create is sent again where the peer says that it did not process
// the first, and only there.
func TestCreateSession_WhatThePeerDidNotProcess(t *testing.T) {
	for name, newTransport := range transports {
		for _, ending := range rawh2.Endings {
			t.Run(name+", "+ending.Name, func(t *testing.T) {
				var requests atomic.Int32
				url, trust := rawh2.Serve(t, func(c *rawh2.Conn, n int, stream uint32) bool {
					requests.Store(int32(n))
					if n == 1 {
						return ending.End(c, stream)
					}
					c.Answer(stream)
					return true
				})
				client, err := coder.NewClient(coder.WithURL(url), coder.WithRetryPolicy(coder.RetryPolicy{MinBackoff: time.Millisecond}),
					coder.WithHTTPClient(&http.Client{Transport: newTransport(t, &tls.Config{RootCAs: trust, NextProtos: []string{"h2"}})}))
				require.NoError(t, err)
				err = client.Do(t.Context(), http.MethodPost, "/hub/session", map[string]string{"task": "x"}, nil)
				if ending.Unprocessed {
					require.NoError(t, err)
					assert.EqualValues(t, 2, requests.Load())
					return
				}
				require.ErrorIs(t, err, coder.ErrOutcomeUnknown)
				assert.EqualValues(t, 1, requests.Load(), "sent once")
			})
		}
	}
}
