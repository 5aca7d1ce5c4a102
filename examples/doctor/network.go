package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"os"
	"sync/atomic"
	"time"

	"github.com/agentuity/coder-go"
)

// What is worth a word.
const (
	clockMost    = time.Minute        // between the clock of the Hub and that of this machine
	expiresSoon  = 7 * 24 * time.Hour // before a certificate is to be renewed
	slowAnswer   = 5 * time.Second
	defaultPlace = "usc"
)

// outside is what is between here and the Hub when nobody says otherwise.
func outside() *surroundings {
	transport := coder.NewTransport()
	return &surroundings{
		transport: transport,
		proxy:     transport.Proxy,
		resolve: func(ctx context.Context, host string) (int, error) {
			addresses, err := net.DefaultResolver.LookupHost(ctx, host)
			return len(addresses), err
		},
		dial: new(net.Dialer).DialContext,
	}
}

// discovery finds the Hub.
func (d *doctor) discovery(ctx context.Context) bool {
	if d.embedded != nil || used(urlVariables) != "" {
		return true
	}
	if !d.network(ctx, "discovery: ", catalyst()) {
		return false
	}
	took, err := timed(ctx, func(ctx context.Context) error {
		_, err := d.once.URL(ctx)
		return err
	})
	if err != nil {
		d.fail("discovery", took, err)
		return false
	}
	d.add(Line{Check: "discovery", Status: OK, Seen: "a Hub was named", Took: ms(took)})
	return true
}

// catalyst is where the library asks for the Hub.
func catalyst() string {
	if name := used(discoveryVariables); name != "" {
		return os.Getenv(name)
	}
	switch region := os.Getenv("AGENTUITY_REGION"); region {
	case "local", "l":
		return "https://catalyst.agentuity.io"
	case "":
		return "https://catalyst-" + defaultPlace + ".agentuity.cloud"
	default:
		return "https://catalyst-" + region + ".agentuity.cloud"
	}
}

func (d *doctor) hubNetwork(ctx context.Context) bool {
	base, err := d.client.URL(ctx)
	if err != nil {
		d.fail("URL", 0, err)
		return false
	}
	return d.network(ctx, "", base)
}

// placeOf is where the URL of the Hub comes from, or that of discovery; "" if it is this library's own.
func (d *doctor) placeOf(prefix string) string {
	if prefix != "" {
		return cmp.Or(used(discoveryVariables), firstSet("AGENTUITY_REGION"))
	}
	return cmp.Or(used(urlVariables), "the URL that discovery has named ("+urlVariables[0]+" overrules it)")
}

// variableOf is the variable that a better URL can be put into.
func (d *doctor) variableOf(prefix string) string {
	if prefix != "" {
		return cmp.Or(used(discoveryVariables), "AGENTUITY_REGION")
	}
	return urlVariables[0] // it overrules discovery
}

// network goes as far as the first answer: proxy, name, connection, certificate, clock. No key is sent.
func (d *doctor) network(ctx context.Context, prefix, base string) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/", http.NoBody)
	if err != nil {
		d.add(Line{Check: prefix + "URL", Status: Wrong, Seen: "it is not a URL", Advice: "Check the spelling in " + d.variableOf(prefix) + "."})
		return false
	}
	d.asking, d.place, d.scheme = d.variableOf(prefix), d.placeOf(prefix), request.URL.Scheme
	d.viaProxy(prefix, request)
	if d.via == nil && !d.resolves(ctx, prefix, request.URL.Hostname()) {
		return false
	}
	var handshakes atomic.Int32
	bounded, cancel := context.WithTimeout(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		TLSHandshakeStart: func() { handshakes.Add(1) },
	}), stepLimit)
	defer cancel()
	began := time.Now()
	answer, err := d.between.transport.RoundTrip(request.WithContext(bounded))
	took := time.Since(began)
	if err != nil {
		d.unconnected(ctx, prefix, request.URL, took, handshakes.Load(), err)
		return false
	}
	defer answer.Body.Close()
	if line := d.refused(ctx, prefix, request.URL, answer); line != nil {
		d.add(*line)
		return false
	}
	d.add(Line{Check: prefix + "connection", Status: OK, Seen: answer.Proto, Took: ms(took)})
	d.certificate(prefix, request.URL, answer.TLS)
	if to, err := answer.Location(); err == nil && to.Scheme == "https" && request.URL.Scheme == "http" && to.Hostname() == request.URL.Hostname() {
		d.add(Line{
			Check: prefix + "URL", Status: Wrong, Seen: "http is redirected to https",
			Advice: "Put https in the place of http into " + d.variableOf(prefix) + ": a key must not travel unencrypted.",
		})
	}
	d.clock(prefix, answer.Header.Get("Date"), took)
	return true
}

// unconnected says why there was no answer.
func (d *doctor) unconnected(ctx context.Context, prefix string, base *url.URL, took time.Duration, handshakes int32, err error) {
	ofProxy := isOfProxy(err)
	if !ofProxy && !d.interrupted() {
		if line := d.misspoken(ctx, prefix, base, err); line != nil && !d.interrupted() {
			line.Took = ms(took)
			d.add(*line)
			return
		}
	}
	name := "connection"
	if _, about := d.certificateOf(err); about != "" || base.Scheme == "https" && isTLS(err) {
		name = "TLS"
	}
	if d.via != nil && base.Scheme == "https" && isTimeout(err) && !ofProxy {
		if d.via.url.Scheme == "https" {
			handshakes-- // that with the proxy
		}
		if handshakes > 0 {
			err = fmt.Errorf("%w: %w", errBehindProxy, err)
		} else {
			name, err = "proxy", fmt.Errorf("%w: %w", errSilentProxy, err)
		}
	}
	if ofProxy {
		name = "proxy"
	}
	d.fail(prefix+name, took, err)
}

// What a proxy has done.
var (
	errSilentProxy = errors.New("the proxy is silent")
	errBehindProxy = errors.New("the proxy lets through, and nothing comes back from behind it")
)

// refused is the line about a first answer that is not the Hub's, nil if it may be.
func (d *doctor) refused(ctx context.Context, prefix string, base *url.URL, answer *http.Response) *Line {
	switch answer.StatusCode {
	case http.StatusProxyAuthRequired:
		return &Line{
			Check: prefix + "proxy", Status: Wrong, Seen: "it answers 407: it wants a user and a password",
			Advice: d.adviceOnProxyUser(d.foreign(schemesOf(answer.Header))),
		}
	case http.StatusBadRequest, http.StatusUpgradeRequired:
		if base.Scheme != "http" {
			return nil
		}
		said, _ := io.ReadAll(io.LimitReader(answer.Body, 4096))
		if wantsTLS(said) || d.spoken(ctx, base) == speaksTLS {
			return d.misspokenLine(prefix, base, speaksTLS)
		}
	}
	return nil
}

func (d *doctor) resolves(ctx context.Context, prefix, host string) bool {
	if net.ParseIP(host) != nil {
		d.add(Line{Check: prefix + "DNS", Status: OK, Seen: "not needed: the URL has an address"})
		return true
	}
	addresses := 0
	took, err := timed(ctx, func(ctx context.Context) error {
		var err error
		addresses, err = d.between.resolve(ctx, host)
		return err
	})
	if err != nil {
		d.fail(prefix+"DNS", took, err)
		return false
	}
	d.add(Line{Check: prefix + "DNS", Status: OK, Seen: fmt.Sprintf("%d addresses", addresses), Took: ms(took)})
	return true
}

// certificate looks at one that was accepted.
func (d *doctor) certificate(prefix string, base *url.URL, state *tls.ConnectionState) {
	switch {
	case state == nil && (d.embedded != nil || isLocal(base.Hostname())):
		d.add(Line{Check: prefix + "TLS", Status: OK, Seen: "none, on this machine"})
		return
	case state == nil:
		d.add(Line{
			Check: prefix + "TLS", Status: Note, Seen: "the connection is not encrypted",
			Advice: "Use a URL with https, or whoever is between sees the key.",
		})
		return
	case len(state.PeerCertificates) == 0:
		d.add(Line{Check: prefix + "TLS", Status: OK, Seen: tls.VersionName(state.Version)})
		return
	}
	c := state.PeerCertificates[0]
	line := Line{Check: prefix + "TLS", Status: OK, Seen: fmt.Sprintf("%s, %s", tls.VersionName(state.Version), d.describe(c))}
	if left := time.Until(c.NotAfter); left < expiresSoon {
		line.Status = Note
		line.Advice = fmt.Sprintf("The certificate expires in %d hours: whoever runs the Hub or the gateway has to renew it.", int(left.Hours()))
	}
	d.add(line)
}

func (d *doctor) describe(c *x509.Certificate) string {
	issuer := c.Issuer.CommonName
	if len(c.Issuer.Organization) > 0 {
		issuer = c.Issuer.Organization[0]
	}
	return fmt.Sprintf("issued by %.60q, until %s", d.foreign(issuer), c.NotAfter.UTC().Format(time.DateOnly))
}

func isLocal(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// isTLS tells whether a handshake failed.
func isTLS(err error) bool {
	var alert tls.AlertError
	var record tls.RecordHeaderError
	return errors.As(err, &alert) || errors.As(err, &record) || errors.Is(err, http.ErrSchemeMismatch)
}

// clock compares the clocks. A Date has whole seconds, and is as old as the answer took.
func (d *doctor) clock(prefix, date string, took time.Duration) {
	at, err := http.ParseTime(date)
	if err != nil {
		d.add(Line{
			Check: prefix + "clock", Status: Note, Seen: "the answer has no Date",
			Advice: "Times cannot be compared with the Hub's: if a gateway takes the header away, let it pass.",
		})
		return
	}
	ahead := time.Since(at) - took/2
	line := Line{Check: prefix + "clock", Status: OK, Seen: "as the Hub's"}
	if ahead.Abs() > clockMost {
		word := "ahead of"
		if ahead < 0 {
			word = "behind"
		}
		line.Status = Wrong
		line.Seen = fmt.Sprintf("this machine is %v %s the Hub", ahead.Abs().Round(time.Minute), word)
		line.Advice = "Set the clock of this machine, best by NTP: certificates, waits and the age of events are measured by it."
	}
	d.add(line)
}
