package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/internal/transport"
)

// text is what an error says, without the name of this package in front. That of a proxy is without its hint, which knows
// nothing of small letters.
func (d *doctor) text(err error) string {
	var (
		refused *transport.ProxyError
		api     *coder.APIError
	)
	switch {
	case errors.As(err, &refused):
		return fmt.Sprintf("the proxy did not connect: %d %s", refused.Status, http.StatusText(refused.Status))
	case errors.As(err, &api) && api.StatusCode == http.StatusProxyAuthRequired:
		return fmt.Sprintf("407 %s: a proxy wants a user and a password", http.StatusText(api.StatusCode))
	}
	return d.foreign(strings.TrimPrefix(err.Error(), "coder: "))
}

// advice is what to do about an error.
func (d *doctor) advice(err error) string {
	var (
		invalid *coder.ValidationError
		api     *coder.APIError
		odd     *coder.ResponseError
	)
	switch {
	case errors.Is(err, coder.ErrMissingAPIKey):
		return "Set AGENTUITY_SDK_KEY to your key, or AGENTUITY_CODER_URL to a Hub that wants none."
	case errors.As(err, &invalid):
		return adviceOnValue(invalid)
	case errors.As(err, &api):
		return d.adviceOnStatus(api)
	case errors.As(err, &odd):
		return "The Hub speaks another version, or something between answers in its place: update the library, or report it with -json."
	}
	return d.adviceOnNetwork(err)
}

func (d *doctor) adviceOnStatus(err *coder.APIError) string {
	switch {
	case errors.Is(err, coder.ErrUnauthorized):
		if key := usedKey(); key != "" {
			return "The key in " + key + " is wrong, expired or of another region: make a new one."
		}
		return "Set AGENTUITY_SDK_KEY: this Hub wants a key."
	case err.StatusCode == http.StatusProxyAuthRequired:
		return d.adviceOnProxyUser("")
	case errors.Is(err, coder.ErrForbidden):
		return "The key may not do that: ask the owner of the organization, or use a key of the right one."
	case errors.Is(err, coder.ErrPaymentRequired):
		return "The plan does not cover it: choose another one in the console."
	case errors.Is(err, coder.ErrMisdirected):
		return "The key belongs to another region: set AGENTUITY_REGION."
	case errors.Is(err, coder.ErrUpgradeRequired):
		return "Update this library: the Hub no longer serves this version."
	case errors.Is(err, coder.ErrRateLimited):
		return "Too much was asked at once: wait, and make one Client that the whole program shares."
	case errors.Is(err, coder.ErrNotFound):
		return "Check the URL in " + cmp.Or(d.asking, urlVariables[0]) + ", and its path: this is not a Hub, or one without this route."
	case isOfGateway(err.StatusCode):
		return "A gateway does not reach the Hub: try again in a minute, then ask who runs it."
	case errors.Is(err, coder.ErrUnavailable):
		return "The Hub is away, as when it restarts: try again in a minute."
	case err.StatusCode >= 500:
		return "The Hub itself fails at this: report it with -json. The request id is in it."
	}
	return "The Hub, or something before it, refuses this: report it with -json."
}

func isOfGateway(status int) bool {
	return status == http.StatusBadGateway || status == http.StatusGatewayTimeout || status >= 520
}

func (d *doctor) adviceOnNetwork(err error) string {
	var (
		name   *net.DNSError
		record tls.RecordHeaderError
	)
	certificate, about := d.certificateOf(err)
	ofProxy := d.adviceOnProxy(err)
	switch {
	case about != "":
		if certificate != nil {
			about += " It is " + d.describe(certificate) + "."
		}
		return about
	case errors.Is(err, errBehindProxy):
		return "Nothing comes back from the Hub behind " + d.via.name() + ": check the host and the port of the Hub, and whether it is running."
	case ofProxy != "":
		return ofProxy
	case errors.As(err, &record), errors.Is(err, http.ErrSchemeMismatch):
		return "The port speaks no TLS: put http in the place of https into " + cmp.Or(d.asking, "the URL") + ", or use another port."
	case errors.As(err, &name) && name.IsNotFound:
		spelling := "check "
		if d.place != "" {
			spelling = "check the spelling in " + d.place + ", and "
		}
		return "The name does not exist: " + spelling + "whether a VPN or a DNS server of your company is needed."
	case errors.As(err, &name):
		return "The DNS server does not answer: check the network, the VPN and the resolver of this machine."
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, wsaRefused):
		return "Nobody listens there: check the host and the port in " + cmp.Or(d.place, "the URL") + ", and whether the Hub is running."
	case isCut(err):
		return "Something cuts the connection: a firewall, a proxy, or a server of another kind."
	case isTimeout(err):
		return "Nothing comes back: a firewall may swallow it. Try it from another network, or set " + strings.ToUpper(cmp.Or(d.scheme, "https")) +
			"_PROXY if there has to be a proxy."
	case errors.Is(err, context.Canceled):
		return "Run it again: it was interrupted."
	}
	return "Check the network between here and the Hub, and report it with -json if that is fine."
}

const (
	logInFirst = "A gateway wants somebody to log in, which a program cannot: connect the VPN, or have /api/hub and /api/ws let pass with the key alone."
	letPass    = "have the Hub's host let pass"
)

// somebodyElse says how something answers in the Hub's place, and what to do about it; "" if it is not known to.
func (d *doctor) somebodyElse(err error) (seen, advice string) {
	var (
		odd *coder.ResponseError
		api *coder.APIError
	)
	switch {
	case errors.As(err, &odd):
		if d.isPage(odd.Body) {
			return "it is HTML", "A gateway or a page to log in answers in the Hub's place: check the URL, log in, or " + letPass + "."
		}
	case !errors.As(err, &api):
	case api.StatusCode/100 == 3:
		return d.adviceOnRedirect()
	case api.StatusCode == http.StatusProxyAuthRequired:
		return "it is not from the Hub", d.adviceOnProxyUser("")
	case api.StatusCode == http.StatusNetworkAuthenticationRequired:
		return "it is not from the Hub", "The network wants somebody to log in: open any page in a browser."
	case api.StatusCode == http.StatusUnauthorized && d.isPage(api.Body):
		return "it is HTML", logInFirst
	case api.StatusCode == http.StatusForbidden && d.isPage(api.Body):
		return "it is HTML", "A gateway refuses it in the Hub's place: ask who runs it to " + letPass + "."
	}
	return "", ""
}

// isPage tells whether an answer was meant for a browser.
func (d *doctor) isPage(body []byte) bool {
	begun := strings.ToLower(string(bytes.TrimSpace(body[:min(len(body), 512)])))
	return d.probe.lastKind() == "text/html" || strings.HasPrefix(begun, "<!doctype html") || strings.HasPrefix(begun, "<html")
}

func (d *doctor) adviceOnRedirect() (seen, advice string) {
	to := d.probe.lastMoved()
	variable := cmp.Or(d.asking, urlVariables[0])
	switch {
	case to == nil:
		return "it redirects", "Something redirects the request: check the URL in " + variable + ", and what is between."
	case to.toLogIn() && to.away():
		return "it redirects to a page to log in on another host", logInFirst
	case to.toLogIn():
		return "it redirects to a page to log in", logInFirst
	case to.toHTTPS():
		return "it redirects to https", "Put https in the place of http into " + variable + ": a key must not travel unencrypted."
	case to.away():
		return "it redirects to another host, to which no key is sent", "Put that host into " + variable + " if the Hub has moved, else ask who runs what redirects."
	}
	return "it redirects to another path", "Put the path that it names into " + variable + ": curl -I shows it."
}

// What Windows says of sockets. The constants of package syscall with the names of Unix are other numbers there.
const wsaReset, wsaRefused = syscall.Errno(10054), syscall.Errno(10061)

// isCut tells whether a connection was there and ended.
func isCut(err error) bool {
	for _, cut := range []error{syscall.ECONNRESET, wsaReset, syscall.EPIPE, io.EOF, io.ErrUnexpectedEOF, io.ErrClosedPipe} {
		if errors.Is(err, cut) {
			return true
		}
	}
	// What package net/http says of a connection that is closed before the request went out has no name.
	return strings.Contains(err.Error(), "server closed idle connection")
}

// certificateOf is the certificate that an error is about, if it is known, and what to do about it; "" if it is about none.
func (d *doctor) certificateOf(err error) (*x509.Certificate, string) {
	var (
		unknown x509.UnknownAuthorityError
		invalid x509.CertificateInvalidError
		host    x509.HostnameError
	)
	switch {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return invalid.Cert, "The certificate is not valid today: has it expired, or is the clock of this machine wrong?"
	case errors.As(err, &unknown):
		return unknown.Cert, "This machine does not trust who has issued the certificate: if that is a proxy of your company, name its CA in SSL_CERT_FILE."
	case errors.As(err, &host):
		return host.Certificate, "The certificate is for another name: check the host in " + cmp.Or(d.place, "the URL") + ", and what answers there."
	case errors.As(err, &invalid):
		return invalid.Cert, "The certificate cannot be used: whoever runs the Hub or the gateway has to replace it."
	}
	return nil, ""
}
