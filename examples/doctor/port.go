package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// speech is what is spoken on a port.
type speech string

const (
	speaksNothing speech = ""
	speaksTLS     speech = "TLS"
	speaksHTTP    speech = "HTTP"
	speaksOther   speech = "something else"
)

// How long a port is listened to.
const (
	bannerLimit = time.Second // a web server says nothing before it is asked
	speechLimit = 5 * time.Second
)

// spoken finds out what is spoken on a port, where requests go to it and not to a proxy. No key is sent, and no host.
func (d *doctor) spoken(ctx context.Context, base *url.URL) speech {
	if d.via != nil || d.between.dial == nil {
		return speaksNothing
	}
	first := func(limit time.Duration, send string) []byte {
		conn, done := d.dial(ctx, base, limit)
		if conn == nil {
			return nil
		}
		defer done()
		if send != "" {
			if _, err := io.WriteString(conn, send); err != nil {
				return nil
			}
		}
		begun := make([]byte, 1024)
		n, _ := io.ReadAtLeast(conn, begun, 4)
		return begun[:n]
	}
	if banner := first(bannerLimit, ""); len(banner) > 0 {
		return speechOf(banner)
	}
	if d.handshakes(ctx, base) {
		return speaksTLS
	}
	return speechOf(first(speechLimit, "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"))
}

// dial opens a connection for some time.
func (d *doctor) dial(ctx context.Context, base *url.URL, limit time.Duration) (conn net.Conn, done func()) {
	port := base.Port()
	switch {
	case port != "":
	case base.Scheme == "https":
		port = "443"
	default:
		port = "80"
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	conn, err := d.between.dial(ctx, "tcp", net.JoinHostPort(base.Hostname(), port))
	if err != nil {
		cancel()
		return nil, nil
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	return conn, func() {
		stop()
		cancel()
		_ = conn.Close()
	}
}

// handshakes tells whether a port speaks TLS, whatever it thinks of the client and its certificate is worth.
func (d *doctor) handshakes(ctx context.Context, base *url.URL) bool {
	conn, done := d.dial(ctx, base, speechLimit)
	if conn == nil {
		return false
	}
	defer done()
	// Nothing is sent over it, so it does not matter who is there.
	err := tls.Client(conn, &tls.Config{ServerName: base.Hostname(), InsecureSkipVerify: true}).HandshakeContext(ctx)
	var alert *net.OpError // an alert of the other side
	return err == nil || errors.As(err, &alert) && alert.Op == "remote error"
}

// speechOf names what a port has said first.
func speechOf(begun []byte) speech {
	is := func(prefix string) bool { return bytes.HasPrefix(bytes.ToUpper(begun), []byte(prefix)) }
	switch {
	case len(begun) == 0:
		return speaksNothing
	case wantsTLS(begun):
		return speaksTLS
	case is("HTTP/"):
		return speaksHTTP
	case len(begun) > 2 && (begun[0] == 0x15 || begun[0] == 0x16) && begun[1] == 3: // an alert or a handshake
		return speaksTLS
	case len(begun) > 3 && begun[0] == 0 && begun[3] == 4: // a frame with settings
		return "HTTP/2 without HTTP/1.1"
	case is("SSH-"):
		return "SSH"
	case is("220"):
		return "mail or FTP"
	case is("* OK"):
		return "IMAP"
	case is("-ERR"), is("+OK"), is("-DENI"):
		return "Redis or POP3"
	}
	return speaksOther
}

// wantsTLS tells whether a web server says that it was asked without TLS where it wants that: Go, nginx, Apache, Tomcat.
func wantsTLS(said []byte) bool {
	text := strings.ToLower(string(said))
	for _, complaint := range []string{
		"http request to an https server", "plain http request was sent to https port", "plain http to an ssl-enabled server port",
		"combination of host and port requires tls", "use the https scheme",
	} {
		if strings.Contains(text, complaint) {
			return true
		}
	}
	return false
}

// What package net/http says of an answer that is none of HTTP, and of one that comes before the request. The errors have no
// type.
const (
	malformed = "malformed HTTP "
	unasked   = "readLoopPeekFailLocked"
)

// speechIn is what an error of package net/http says of what was spoken, nothing if it does not.
func speechIn(err error) speech {
	var record tls.RecordHeaderError
	switch {
	case errors.Is(err, http.ErrSchemeMismatch):
		return speaksHTTP
	case errors.As(err, &record):
		return speechOf(record.RecordHeader[:])
	case strings.Contains(err.Error(), malformed), strings.Contains(err.Error(), unasked) && !isCut(err):
		return speaksOther
	}
	return speaksNothing
}

// misspoken is the line about a port that speaks something else than the URL says, nil if it does not seem to.
func (d *doctor) misspoken(ctx context.Context, prefix string, base *url.URL, err error) *Line {
	found := speechIn(err)
	if found == speaksOther && d.via != nil && !errors.As(err, new(tls.RecordHeaderError)) { // what is behind it was to speak TLS, or had no say
		return &Line{
			Check: prefix + "proxy", Status: Wrong, Seen: "what answers is no proxy",
			Advice: "Check the host and the port in " + cmp.Or(d.via.variable, "its URL") + ".",
		}
	}
	if found != speaksNothing || isCut(err) || isTimeout(err) {
		if asked := d.spoken(ctx, base); asked != speaksNothing && (asked != speaksOther || found == speaksNothing) {
			found = asked
		}
	}
	return d.misspokenLine(prefix, base, found)
}

func (d *doctor) misspokenLine(prefix string, base *url.URL, found speech) *Line {
	variable := d.variableOf(prefix)
	switch {
	case found == speaksNothing, strings.EqualFold(base.Scheme, "http") && found == speaksHTTP, base.Scheme == "https" && found == speaksTLS:
		return nil
	case found == speaksTLS:
		return &Line{
			Check: prefix + "TLS", Status: Wrong, Seen: "the port wants TLS, and the URL says http",
			Advice: "Put https in the place of http into " + variable + ".",
		}
	case found == speaksHTTP:
		return &Line{
			Check: prefix + "TLS", Status: Wrong, Seen: "the port speaks no TLS, but plain HTTP",
			Advice: "Use the port that speaks TLS, or, where nobody can listen in between, put http in the place of https into " + variable + ".",
		}
	}
	line := &Line{
		Check: prefix + "connection", Status: Wrong, Seen: "what answers is no web server",
		Advice: "Check the host and the port in " + cmp.Or(d.placeOf(prefix), "the URL") + ".",
	}
	if found != speaksOther {
		line.Seen += ": it looks like " + string(found)
	}
	return line
}
