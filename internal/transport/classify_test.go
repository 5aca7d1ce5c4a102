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
	const rest = "and something more, as long as a record begins"
	for said, want := range map[string]transport.Failure{
		"220 mail.example ready\r\n":             transport.Untrusted,
		"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n":     transport.Untrusted,
		"HTTP/1.1 400 Bad Request\r\n\r\n":       transport.Untrusted,
		"\x4a\x00\x00\x00\x0a5.5.5-10.11" + rest: transport.Untrusted, // a database
		"\x17\x03\x03\x00\x7a" + rest:            transport.Lost,      // a handshake, but for one bit
		"\x16\x83\x03\x00\x7a" + rest:            transport.Lost,
		"\x16\x03\x03\xff\xff" + rest:            transport.Lost,
		"\x96\x03\x03\x00\x7a" + rest:            transport.Lost,
		"\x14\x83\x03\x00\x01" + rest:            transport.Lost, // the first and the last kind of record
		"\x17\x83\x03\x00\x01" + rest:            transport.Lost,
		"\x13\x83\x03\x00\x01" + rest:            transport.Untrusted,
		"\x18\x83\x03\x00\x01" + rest:            transport.Untrusted,
	} {
		client := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
			near, far := net.Pipe()
			go func() {
				_, _ = far.Read(make([]byte, 1<<10))
				go func() { _, _ = io.Copy(io.Discard, far) }()
				_, _ = io.WriteString(far, said)
				_ = far.Close()
			}()
			return near, nil
		}}
		got := roundTrip(t, client, "hub.test")
		assert.Equal(t, want, transport.Classify(0, nil, got), "%q: %v", said, got)
	}
}

// TestClassify_RecordsLater is the same for a record after the handshake.
func TestClassify_RecordsLater(t *testing.T) {
	secured := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }))
	defer secured.Close()
	trusted := x509.NewCertPool()
	trusted.AddCert(secured.Certificate())
	for damaged := range 3 { // kind and version; a length would have the client wait for more
		listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
		require.NoError(t, err)
		proxy := faultproxy.Serve(listener, faultproxy.Config{
			Dial: func(ctx context.Context) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, "tcp", secured.Listener.Addr().String())
			},
			Plan: func(_, exchange int) faultproxy.Fault {
				if exchange != 2 { // the handshake comes before
					return faultproxy.Fault{}
				}
				return faultproxy.Fault{Kind: faultproxy.Corrupt, After: damaged}
			},
		})
		err = roundTrip(t, &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trusted}}, listener.Addr().String())
		assert.Equal(t, transport.Lost, transport.Classify(0, nil, err), "byte %d: %v", damaged, err)
		proxy.Close()
	}
}

// roundTrip returns why there is no answer.
func roundTrip(t *testing.T, client *http.Transport, address string) error {
	t.Helper()
	defer client.CloseIdleConnections()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+address, nil)
	require.NoError(t, err)
	got, err := client.RoundTrip(r)
	if err == nil {
		_, err = io.Copy(io.Discard, got.Body)
		_ = got.Body.Close()
	}
	require.Error(t, err)
	return err
}
