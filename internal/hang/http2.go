package hang

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/agentuity/coder-go/internal/faultproxy"
	"github.com/agentuity/coder-go/internal/memnet"
)

const host = "hub.invalid"

// certificate is that of the Hub.
var certificate = sync.OnceValues(func() (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{host}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC), // fake time begins in 2000
		NotAfter:  time.Date(2199, 1, 1, 0, 0, 0, 0, time.UTC),
	}
	signed, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(signed)
	return &tls.Certificate{Certificate: [][]byte{signed}, PrivateKey: key, Leaf: leaf}, err
})

// encrypt serves the Hub over TLS, with HTTP/2.
func (s *Stage) encrypt(config *faultproxy.Config, transport *http.Transport) error {
	shown, err := certificate()
	if err != nil {
		return err
	}
	trusted := x509.NewCertPool()
	trusted.AddCert(shown.Leaf)
	listener := memnet.Listen()
	s.secured = &http.Server{
		Handler: s.hub.Handler(), ReadHeaderTimeout: time.Hour,
		ErrorLog:  slog.NewLogLogger(slog.DiscardHandler, slog.LevelError), // clients that leave early are the point
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{*shown}, MinVersion: tls.VersionTLS12},
	}
	s.serving.Go(func() { _ = s.secured.ServeTLS(listener, "", "") })
	config.Dial = func(ctx context.Context) (net.Conn, error) { return listener.Dial(ctx, "", "") }
	config.Certificate = shown
	config.Server = &tls.Config{RootCAs: trusted, ServerName: host, MinVersion: tls.VersionTLS12}
	transport.TLSClientConfig = transport.TLSClientConfig.Clone()
	if transport.TLSClientConfig == nil {
		transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	transport.TLSClientConfig.RootCAs = trusted
	transport.TLSClientConfig.ClientSessionCache = nil // a ticket would wait for a reader, and a network in memory has no buffer
	return nil
}
