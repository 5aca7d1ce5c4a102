package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/agentuity/coder-go/internal/transport"
)

// proxyUse is the proxy that requests go through.
type proxyUse struct {
	variable string // that names it; "" if none does
	url      *url.URL
}

// proxyVariable is the one that a proxy for a scheme is read from, as package net/http does: capitals come first.
func proxyVariable(scheme string) string {
	return firstSet(strings.ToUpper(scheme)+"_PROXY", strings.ToLower(scheme)+"_proxy")
}

// exceptVariable is the one that hosts without a proxy are read from.
func exceptVariable() string { return cmp.Or(firstSet("NO_PROXY", "no_proxy"), "NO_PROXY") }

func firstSet(names ...string) string {
	for _, name := range names {
		if os.Getenv(name) != "" {
			return name
		}
	}
	return ""
}

// name is how advice calls the proxy.
func (p *proxyUse) name() string { return "the proxy of " + cmp.Or(p.variable, "the transport") }

func (p *proxyUse) Name() string { return "T" + p.name()[1:] }

// viaProxy finds out whether a request goes through a proxy.
func (d *doctor) viaProxy(prefix string, request *http.Request) {
	found, err := d.between.proxy(request)
	variable := proxyVariable(request.URL.Scheme)
	d.via = nil
	switch {
	case err != nil:
		d.add(Line{
			Check: prefix + "proxy", Status: Wrong, Seen: "the address of the proxy cannot be read",
			Advice: "Check the spelling in " + cmp.Or(variable, "HTTPS_PROXY and HTTP_PROXY") + ": http://host:port.",
		})
	case found == nil:
		line := Line{Check: prefix + "proxy", Status: OK, Seen: "none"}
		if unread := firstSet("ALL_PROXY", "all_proxy"); unread != "" && variable == "" && !isLocal(request.URL.Hostname()) {
			line.Status = Note
			line.Advice = unread + " is not read by programs in Go: set " + strings.ToUpper(request.URL.Scheme) + "_PROXY if there has to be a proxy."
		}
		d.add(line)
	default:
		d.via = &proxyUse{variable, found}
		d.add(Line{Check: prefix + "proxy", Status: OK, Seen: "through the " + d.foreign(found.Scheme) + " proxy of " + cmp.Or(variable, "the transport")})
	}
}

// adviceOnProxy is what to do about an error that a proxy has caused, "" if none has, or it may have been something else.
func (d *doctor) adviceOnProxy(err error) string {
	var (
		refused *transport.ProxyError
		socket  *net.OpError
		record  tls.RecordHeaderError
		via     = cmp.Or(d.via, &proxyUse{variable: cmp.Or(proxyVariable("https"), proxyVariable("http"), "HTTPS_PROXY"), url: &url.URL{}})
		without = ", or put the Hub into " + exceptVariable() + "."
	)
	switch {
	case errors.As(err, &refused) && refused.Status == http.StatusProxyAuthRequired:
		return d.adviceOnProxyUser("")
	case errors.As(err, &refused) && (refused.Status == http.StatusBadRequest || refused.Status == http.StatusNotFound ||
		refused.Status == http.StatusMethodNotAllowed || refused.Status == http.StatusNotImplemented):
		return "What " + cmp.Or(via.variable, "the transport") + " names seems to be no proxy: check its host and port" + without
	case errors.As(err, &refused) && refused.Status >= 500:
		return via.Name() + " does not reach the Hub: check the URL of the Hub, ask who runs the proxy" + without
	case errors.As(err, &refused):
		return via.Name() + " lets nothing through to the Hub: ask who runs it" + without
	case errors.As(err, &socket) && socket.Op == "proxyconnect" && (errors.As(err, &record) || errors.Is(err, http.ErrSchemeMismatch)):
		return "The proxy itself speaks no TLS: put http in the place of https into " + cmp.Or(via.variable, "its URL") + "."
	case errors.As(err, &socket) && socket.Op == "proxyconnect":
		return "The proxy itself cannot be reached: check " + cmp.Or(via.variable, "its URL") + without
	case d.via == nil:
		return ""
	case errors.Is(err, errSilentProxy):
		return via.Name() + " does not answer: check its host and port, ask who runs it" + without
	case isOfSOCKS(err) && strings.Contains(err.Error(), "authentication"): // it has no type
		return d.adviceOnProxyUser("")
	case isOfSOCKS(err) && strings.Contains(err.Error(), "unexpected protocol version"):
		return "What " + cmp.Or(via.variable, "the transport") + " names speaks no SOCKS: check its host and port, or put http in the place of " + d.via.url.Scheme + "."
	case isOfSOCKS(err) && !isCut(err) && !isTimeout(err):
		return "The SOCKS proxy of " + cmp.Or(via.variable, "the transport") + " does not connect to the Hub: ask who runs it" + without
	case isCut(err):
		return via.Name() + " cuts the connection, or something behind it: check its host and port, ask who runs it" + without
	case isTimeout(err):
		return "Nothing comes back through " + via.name() + ": check its host and port, ask who runs it whether it reaches the Hub" + without
	}
	return ""
}

// isOfProxy tells whether an error is certainly that of a proxy.
func isOfProxy(err error) bool {
	var (
		refused *transport.ProxyError
		socket  *net.OpError
	)
	return errors.As(err, &refused) || errors.As(err, &socket) && socket.Op == "proxyconnect" || isOfSOCKS(err)
}

func isOfSOCKS(err error) bool {
	var socket *net.OpError
	return errors.As(err, &socket) && strings.HasPrefix(socket.Op, "socks")
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout()
}

// adviceOnProxyUser is what to do about a 407. offered are the schemes that the proxy offers, "" if they are not known.
func (d *doctor) adviceOnProxyUser(offered string) string {
	switch {
	case offered != "" && !strings.Contains(strings.ToLower(offered), "basic"):
		return fmt.Sprintf("The proxy wants a user by %.40q, and Go only knows Basic: ask who runs it, or put a local proxy before it that can.", offered)
	case d.via == nil:
		return "A proxy that no variable names wants a user and a password: name it in HTTPS_PROXY, as http://user:password@host:port."
	case d.via.url.User != nil:
		return d.via.Name() + " does not take the user and the password in " + cmp.Or(d.via.variable, "its URL") +
			": correct them, with %40 in the place of an @, %3A of a : and %2F of a /."
	}
	return d.via.Name() + " wants a user and a password: put them into its URL, as " + cmp.Or(d.via.url.Scheme, "http") + "://user:password@host:port."
}

// schemesOf are the first words of the challenges that a proxy sends.
func schemesOf(header http.Header) string {
	var names []string
	for _, challenge := range header.Values("Proxy-Authenticate") {
		name, _, _ := strings.Cut(strings.TrimSpace(challenge), " ")
		names = append(names, name)
	}
	return strings.Join(names, ", ")
}
