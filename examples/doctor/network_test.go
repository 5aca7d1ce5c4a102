package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

// served is a Hub behind TLS, with a certificate for a name.
func served(t *testing.T, name string, from, until time.Time) (address string, trusted *x509.CertPool) {
	t.Helper()
	hub := codertest.NewHub(codertest.WithAPIKey(testKey), codertest.WithInMemoryNetwork())
	t.Cleanup(hub.Close)
	certificate := certified(t, name, from, until)
	parsed, err := x509.ParseCertificate(certificate.Certificate[0])
	require.NoError(t, err)
	server := httptest.NewUnstartedServer(hub.Handler())
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
	server.StartTLS()
	t.Cleanup(server.Close)
	trusted = x509.NewCertPool()
	trusted.AddCert(parsed)
	return server.Listener.Addr().String(), trusted
}

// certified is a certificate for a name.
func certified(t *testing.T, name string, from, until time.Time) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{Organization: []string{"Example Trust"}}, DNSNames: []string{name},
		NotBefore: from, NotAfter: until, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	return tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: key}
}

// through is what is between here and an address, whatever host a URL names.
func through(t *testing.T, address string, trusted *x509.CertPool) *surroundings {
	t.Helper()
	transport := coder.NewTransport()
	transport.TLSClientConfig.RootCAs = trusted
	dial := func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, address)
	}
	transport.DialContext = dial
	t.Cleanup(transport.CloseIdleConnections)
	return &surroundings{
		transport: transport,
		proxy:     noProxy,
		resolve:   oneAddress,
		dial:      dial,
	}
}

func secure() map[string]string {
	return map[string]string{"AGENTUITY_SDK_KEY": testKey, "AGENTUITY_CODER_URL": "https://" + testHost}
}

func TestCertificates(t *testing.T) {
	now := time.Now()
	for name, tc := range map[string]struct {
		host        string
		from, until time.Duration
		trust       bool
		status      Status
		seen        string
		advice      string
	}{
		"good":            {host: testHost, from: -time.Hour, until: 1000 * time.Hour, trust: true, status: OK, seen: `issued by "Example Trust"`},
		"expires soon":    {host: testHost, from: -time.Hour, until: 50 * time.Hour, trust: true, status: Note, seen: "until", advice: "expires in 49 hours"},
		"expired":         {host: testHost, from: -9 * time.Hour, until: -time.Hour, trust: true, status: Wrong, seen: "expired", advice: `has it expired, or is the clock of this machine wrong? It is issued by "Example Trust"`},
		"not yet valid":   {host: testHost, from: time.Hour, until: 9 * time.Hour, trust: true, status: Wrong, seen: "not yet valid", advice: "is the clock of this machine wrong?"},
		"unknown":         {host: testHost, from: -time.Hour, until: 1000 * time.Hour, status: Wrong, seen: "unknown authority", advice: "SSL_CERT_FILE"},
		"of another host": {host: "other.example", from: -time.Hour, until: 1000 * time.Hour, trust: true, status: Wrong, seen: "other.example", advice: "for another name"},
	} {
		t.Run(name, func(t *testing.T) {
			environ(t, secure())
			address, trusted := served(t, tc.host, now.Add(tc.from), now.Add(tc.until))
			if !tc.trust {
				trusted = x509.NewCertPool()
			}
			status, out := called(t.Context(), t, through(t, address, trusted))
			assert.Equal(t, tc.status == Wrong, status == notFine, out)
			found := line(out, tc.status, "TLS")
			assert.Contains(t, found, tc.seen, out)
			assert.Contains(t, found, tc.advice)
		})
	}
}

func TestNoTLSOnThePort(t *testing.T) {
	environ(t, secure())
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	status, out := called(t.Context(), t, through(t, server.Listener.Addr().String(), nil))
	assert.Equal(t, notFine, status)
	assert.Contains(t, line(out, Wrong, "TLS"), "speaks no TLS", out)
}

func TestAProxyThatLetsNothingThrough(t *testing.T) {
	environ(t, secure())
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, http.MethodConnect, r.Method)
		w.WriteHeader(http.StatusForbidden)
	}))
	defer proxy.Close()
	between := outside()
	between.proxy = func(*http.Request) (*url.URL, error) { return url.Parse(proxy.URL) }
	between.transport.(*http.Transport).Proxy = between.proxy
	status, out := called(t.Context(), t, between)
	assert.Equal(t, notFine, status)
	assert.NotEmpty(t, line(out, OK, "proxy"), out)
	assert.Contains(t, line(out, Wrong, "proxy"), "put the Hub into NO_PROXY", out)
}
