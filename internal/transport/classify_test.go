package transport_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go/internal/faultproxy"
	"github.com/agentuity/coder-go/internal/transport"
)

// TestClassify_Records: a port on which another protocol is spoken stays one; a record that was damaged on its way is a lost
// connection.
func TestClassify_Records(t *testing.T) {
	answer := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") })
	secured := httptest.NewTLSServer(answer)
	defer secured.Close()
	trusted := x509.NewCertPool()
	trusted.AddCert(secured.Certificate())
	other, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer other.Close()
	go func() {
		for {
			conn, err := other.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, "220 mail.example ready\r\n")
			_ = conn.Close()
		}
	}()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	const request = 2 // the handshake comes before
	proxy := faultproxy.Serve(listener, faultproxy.Config{
		Dial: func(ctx context.Context) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", secured.Listener.Addr().String())
		},
		Plan: func(_, exchange int) faultproxy.Fault {
			if exchange != request {
				return faultproxy.Fault{}
			}
			return faultproxy.Fault{Kind: faultproxy.Corrupt, After: 2} // the version of the record
		},
	})
	defer proxy.Close()
	for address, want := range map[string]transport.Failure{
		other.Addr().String():    transport.Untrusted,
		listener.Addr().String(): transport.Lost,
	} {
		client := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trusted}}
		t.Cleanup(client.CloseIdleConnections)
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+address, nil)
		require.NoError(t, err)
		got, err := client.RoundTrip(r)
		if err == nil {
			_, err = io.Copy(io.Discard, got.Body)
			_ = got.Body.Close()
		}
		var record tls.RecordHeaderError
		require.ErrorAs(t, err, &record)
		assert.Equal(t, want, transport.Classify(0, nil, err), "%v", err)
	}
}
