package main

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/internal/memnet"
)

// talking is what is between here and a port on which each connection is served so. Only in a bubble.
func talking(t *testing.T, serve func(net.Conn)) *surroundings {
	t.Helper()
	listener := memnet.Listen()
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				serve(conn)
			}()
		}
	}()
	transport := coder.NewTransport()
	transport.DialContext = listener.Dial
	t.Cleanup(transport.CloseIdleConnections)
	return &surroundings{transport: transport, proxy: noProxy, resolve: oneAddress, dial: listener.Dial}
}

// saying speaks first, and then no more.
func saying(text string) func(net.Conn) {
	return func(conn net.Conn) {
		go func() { _, _ = io.WriteString(conn, text) }() // a pipe has no buffer
		_, _ = io.Copy(io.Discard, conn)
	}
}

// answering says a text to whatever comes.
func answeringWith(text string) func(net.Conn) {
	return func(conn net.Conn) {
		if _, err := conn.Read(make([]byte, 4096)); err == nil {
			go func() { _, _ = io.Copy(io.Discard, conn) }()
			_, _ = io.WriteString(conn, text)
		}
	}
}

// page is an answer of HTTP.
func page(status int, text string) string {
	return fmt.Sprintf("HTTP/1.1 %d %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", status, http.StatusText(status), len(text), text)
}

// byFirst serves TLS and everything else differently.
func byFirst(ofTLS, other func(net.Conn)) func(net.Conn) {
	return func(conn net.Conn) {
		from := bufio.NewReader(conn)
		first, err := from.Peek(1)
		switch {
		case err != nil:
		case first[0] == 0x16:
			ofTLS(&read{conn, from})
		default:
			other(&read{conn, from})
		}
	}
}

type read struct {
	net.Conn
	from io.Reader
}

func (r *read) Read(p []byte) (int, error) { return r.from.Read(p) }

func closing(net.Conn)      {}
func silent(conn net.Conn)  { _, _ = io.Copy(io.Discard, conn) }
func honest(conn net.Conn)  { answeringWith(page(404, "no page"))(conn) }
func alerted(conn net.Conn) { answeringWith("\x15\x03\x01\x00\x02\x02\x16")(conn) }

// TestWhatSpeaksOnThePort: a port that wants another scheme, or is none of a web server, is named.
func TestWhatSpeaksOnThePort(t *testing.T) {
	environ(t, nil)
	certificate := certified(t, testHost, time.Unix(0, 0), time.Unix(1<<32, 0))
	encrypted := func(conn net.Conn) {
		honest(tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}))
	}
	const wantsTLS, wantsHTTP = "Put https in the place of http into AGENTUITY_CODER_URL", "put http in the place of https into AGENTUITY_CODER_URL"
	const check = "Check the host and the port in AGENTUITY_CODER_URL"
	for name, tc := range map[string]struct {
		scheme string
		serve  func(net.Conn)
		check  string
		seen   string
		advice string
	}{
		"http to TLS of Go":                     {"http", byFirst(encrypted, answeringWith(page(400, "Client sent an HTTP request to an HTTPS server.\n"))), "TLS", "the port wants TLS", wantsTLS},
		"http to TLS of nginx":                  {"http", byFirst(encrypted, answeringWith(page(400, "<title>400 The plain HTTP request was sent to HTTPS port</title>"))), "TLS", "the port wants TLS", wantsTLS},
		"http to TLS of Apache":                 {"http", byFirst(encrypted, answeringWith(page(400, "Reason: You're speaking plain HTTP to an SSL-enabled server port."))), "TLS", "the port wants TLS", wantsTLS},
		"http to TLS that says nothing of it":   {"http", byFirst(encrypted, answeringWith(page(400, "Bad request"))), "TLS", "the port wants TLS", wantsTLS},
		"http to TLS that wants an upgrade":     {"http", byFirst(encrypted, answeringWith(page(426, ""))), "TLS", "the port wants TLS", wantsTLS},
		"http to TLS that closes":               {"http", byFirst(encrypted, closing), "TLS", "the port wants TLS", wantsTLS},
		"http to TLS that alerts":               {"http", byFirst(encrypted, alerted), "TLS", "the port wants TLS", wantsTLS},
		"http to TLS that is silent":            {"http", byFirst(encrypted, silent), "TLS", "the port wants TLS", wantsTLS},
		"http to TLS that wants a certificate":  {"http", byFirst(alerted, closing), "TLS", "the port wants TLS", wantsTLS},
		"https to HTTP that answers":            {"https", honest, "TLS", "speaks no TLS, but plain HTTP", wantsHTTP},
		"https to HTTP that closes":             {"https", byFirst(closing, honest), "TLS", "speaks no TLS, but plain HTTP", wantsHTTP},
		"https to HTTP that is silent":          {"https", byFirst(silent, honest), "TLS", "speaks no TLS, but plain HTTP", wantsHTTP},
		"http to SSH":                           {"http", saying("SSH-2.0-OpenSSH_9.6\r\n"), "connection", "no web server: it looks like SSH", check},
		"https to SSH":                          {"https", saying("SSH-2.0-OpenSSH_9.6\r\n"), "connection", "no web server: it looks like SSH", check},
		"http to SSH that waits":                {"http", answeringWith("SSH-2.0-OpenSSH_9.6\r\n"), "connection", "no web server: it looks like SSH", check},
		"http to mail":                          {"http", saying("220 mail.example ESMTP\r\n"), "connection", "no web server: it looks like mail or FTP", check},
		"https to mail":                         {"https", saying("220 mail.example ESMTP\r\n"), "connection", "no web server: it looks like mail or FTP", check},
		"http to IMAP":                          {"http", saying("* OK IMAP4rev1\r\n"), "connection", "no web server: it looks like IMAP", check},
		"http to Redis":                         {"http", answeringWith("-ERR unknown command 'GET'\r\n"), "connection", "no web server: it looks like Redis or POP3", check},
		"https to Redis":                        {"https", answeringWith("-ERR unknown command\r\n"), "connection", "no web server: it looks like Redis or POP3", check},
		"http to MySQL":                         {"http", saying("J\x00\x00\x00\x0a8.0.36\x00"), "connection", "no web server", check},
		"http to something with words":          {"http", answeringWith("what?\r\n"), "connection", "no web server", check},
		"http to a port of HTTP/2 without TLS":  {"http", answeringWith("\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x64"), "connection", "it looks like HTTP/2 without HTTP/1.1", check},
		"http to a port that closes always":     {"http", closing, "connection", "", "Something cuts the connection"},
		"https to a port that closes always":    {"https", closing, "connection", "", "Something cuts the connection"},
		"http to a port that is always silent":  {"http", silent, "connection", "deadline exceeded", "a firewall may swallow it"},
		"https to a port that is always silent": {"https", silent, "connection", "", "a firewall may swallow it"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, discovered := range []bool{false, true} {
				variable, prefix := "AGENTUITY_CODER_URL", ""
				if discovered {
					variable, prefix = "AGENTUITY_CATALYST_URL", "discovery: "
				}
				environ(t, map[string]string{"AGENTUITY_SDK_KEY": testKey, variable: tc.scheme + "://" + testHost})
				synctest.Test(t, func(t *testing.T) {
					status, out := called(t.Context(), t, talking(t, tc.serve))
					assert.Equal(t, notFine, status)
					found := line(out, Wrong, prefix+tc.check)
					require.NotEmpty(t, found, out)
					seen, advice, _ := strings.Cut(found, "-> ")
					assert.Contains(t, seen, tc.seen)
					assert.Contains(t, advice, strings.ReplaceAll(tc.advice, "AGENTUITY_CODER_URL", variable))
					assert.Equal(t, 1, strings.Count("\n"+out, "\n"+string(Wrong)), "nothing else is wrong:\n%s", out)
				})
			}
		})
	}
}

// TestSpeechInErrors: what package net/http says depends on whether the port speaks before the request is written.
func TestSpeechInErrors(t *testing.T) {
	environ(t, account())
	for _, text := range []string{
		`net/http: HTTP/1.x transport connection broken: malformed HTTP response "SSH-2.0-OpenSSH_9.6"`,
		`net/http: HTTP/1.x transport connection broken: malformed HTTP status code "abc"`,
		"readLoopPeekFailLocked: %!w(<nil>)",
	} {
		synctest.Test(t, func(t *testing.T) {
			between := talking(t, saying("SSH-2.0-OpenSSH_9.6\r\n"))
			between.transport = roundTrip(func(*http.Request) (*http.Response, error) { return nil, errors.New(text) })
			_, out := called(t.Context(), t, between)
			assert.Contains(t, line(out, Wrong, "connection"), "no web server: it looks like SSH")
			between.dial = nil
			_, out = called(t.Context(), t, between)
			assert.Contains(t, line(out, Wrong, "connection"), "no web server")
		})
	}
}

// TestTheWrongSchemeOfRealServers does the same with the servers of this program.
func TestTheWrongSchemeOfRealServers(t *testing.T) {
	address, _ := served(t, testHost, time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
	environ(t, account())
	status, out := called(t.Context(), t, through(t, address, nil))
	assert.Equal(t, notFine, status)
	assert.Contains(t, line(out, Wrong, "TLS"), "Put https in the place of http", out)
}

// proxied is what is between here and a Hub where a proxy is in the variable.
func proxied(variable string) func(*http.Request) (*url.URL, error) {
	return func(*http.Request) (*url.URL, error) { return url.Parse(os.Getenv(variable)) }
}

// TestProxies: what is wrong with a proxy is said of it, by the name of the variable that was used.
func TestProxies(t *testing.T) {
	const plain, encrypted = "http://" + testHost, "https://" + testHost
	const with, without = "http://S3CR3T-user:S3CR3T-pw@proxy.secret.example:3128", "http://proxy.secret.example:3128"
	unauthorized := "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"S3CR3T\"\r\nContent-Length: 0\r\n\r\n"
	for name, tc := range map[string]struct {
		hub, variable, proxy string
		serve                func(net.Conn)
		check                string
		seen                 string
		advice               []string
	}{
		"silent, for http":               {plain, "HTTP_PROXY", without, silent, "connection", "deadline", []string{"through the proxy of HTTP_PROXY", "NO_PROXY"}},
		"silent, for https":              {encrypted, "HTTPS_PROXY", without, silent, "proxy", "the proxy is silent: ", []string{"The proxy of HTTPS_PROXY", "NO_PROXY"}},
		"silent, in small letters":       {encrypted, "https_proxy", without, silent, "proxy", "is silent", []string{"The proxy of https_proxy", "NO_PROXY"}},
		"silent behind the proxy":        {encrypted, "HTTPS_PROXY", without, tunnel(silent), "connection", "lets through", []string{"Nothing comes back", "the Hub"}},
		"cuts, for http":                 {plain, "http_proxy", without, closing, "connection", "", []string{"The proxy of http_proxy cuts the connection"}},
		"cuts, for https":                {encrypted, "HTTPS_PROXY", without, closing, "connection", "", []string{"The proxy of HTTPS_PROXY cuts the connection"}},
		"wants a user, for http":         {plain, "HTTP_PROXY", without, answeringWith(unauthorized), "proxy", "407", []string{"The proxy of HTTP_PROXY wants a user and a password", "http://user:password@host:port"}},
		"wants a user, for https":        {encrypted, "https_proxy", without, answeringWith(unauthorized), "proxy", "407", []string{"The proxy of https_proxy wants a user and a password", "http://user:password@host:port"}},
		"wants another user, for http":   {plain, "http_proxy", with, answeringWith(unauthorized), "proxy", "407", []string{"does not take the user and the password in http_proxy", "%40"}},
		"wants another user, for https":  {encrypted, "HTTPS_PROXY", with, answeringWith(unauthorized), "proxy", "407", []string{"does not take the user and the password in HTTPS_PROXY", "%40"}},
		"wants another scheme, for http": {plain, "HTTP_PROXY", with, answeringWith(strings.ReplaceAll(unauthorized, "Basic", "Negotiate")), "proxy", "407", []string{"Negotiate", "Go only knows Basic"}},
		"lets nothing through":           {encrypted, "https_proxy", without, answeringWith(page(403, "")), "proxy", "403", []string{"The proxy of https_proxy lets nothing through", "NO_PROXY"}},
		"does not reach the Hub":         {encrypted, "https_proxy", without, answeringWith(page(502, "")), "proxy", "502", []string{"The proxy of https_proxy does not reach the Hub"}},
		"is no proxy":                    {encrypted, "HTTPS_PROXY", without, answeringWith(page(404, "")), "proxy", "404", []string{"HTTPS_PROXY", "no proxy"}},
		"is SSH, for http":               {plain, "http_proxy", without, saying("SSH-2.0-OpenSSH_9.6\r\n"), "proxy", "no proxy", []string{"Check the host and the port in http_proxy"}},
		"is SSH, for https":              {encrypted, "https_proxy", without, saying("SSH-2.0-OpenSSH_9.6\r\n"), "proxy", "no proxy", []string{"Check the host and the port in https_proxy"}},
		"is Redis, for http":             {plain, "HTTP_PROXY", without, answeringWith("-ERR unknown command\r\n"), "proxy", "no proxy", []string{"Check the host and the port in HTTP_PROXY"}},
		"speaks no SOCKS":                {encrypted, "HTTPS_PROXY", "socks5://proxy.secret.example:1080", answeringWith(page(400, "")), "proxy", "protocol version", []string{"HTTPS_PROXY", "speaks no SOCKS"}},
		"refuses as a SOCKS proxy":       {encrypted, "HTTPS_PROXY", "socks5://proxy.secret.example:1080", socks("\x05\x00", "\x05\x02\x00\x01\x00\x00\x00\x00\x00\x00"), "proxy", "not allowed", []string{"The SOCKS proxy of HTTPS_PROXY", "NO_PROXY"}},
		"wants a user as a SOCKS proxy":  {encrypted, "https_proxy", "socks5://proxy.secret.example:1080", socks("\x05\xff"), "proxy", "authentication", []string{"wants a user and a password", "socks5://user:password@host:port"}},
		"the Hub behind it is SSH":       {encrypted, "HTTPS_PROXY", without, tunnel(saying("SSH-2.0-OpenSSH_9.6\r\n")), "connection", "no web server: it looks like SSH", []string{"AGENTUITY_CODER_URL"}},
		"speaks no TLS itself":           {encrypted, "HTTPS_PROXY", "https://proxy.secret.example:3128", honest, "proxy", "does not look like a TLS handshake", []string{"The proxy itself speaks no TLS", "put http in the place of https into HTTPS_PROXY"}},
		"the Hub behind it has no TLS":   {encrypted, "HTTPS_PROXY", without, tunnel(honest), "TLS", "no TLS", []string{"put http in the place of https into AGENTUITY_CODER_URL"}},
		"the Hub behind it wants TLS":    {plain, "HTTP_PROXY", without, answeringWith(page(400, "The plain HTTP request was sent to HTTPS port")), "TLS", "wants TLS", []string{"Put https in the place of http into AGENTUITY_CODER_URL"}},
	} {
		t.Run(name, func(t *testing.T) {
			environ(t, map[string]string{"AGENTUITY_SDK_KEY": testKey, "AGENTUITY_CODER_URL": tc.hub, tc.variable: tc.proxy})
			synctest.Test(t, func(t *testing.T) {
				between := talking(t, tc.serve)
				between.proxy = proxied(tc.variable)
				between.transport.(*http.Transport).Proxy = between.proxy
				status, out := called(t.Context(), t, between)
				assert.Equal(t, notFine, status)
				assert.Contains(t, line(out, OK, "proxy"), "of "+asShown(tc.variable))
				found := line(out, Wrong, tc.check)
				require.NotEmpty(t, found, out)
				seen, advice, _ := strings.Cut(found, "-> ")
				assert.Contains(t, seen, tc.seen)
				for _, want := range tc.advice {
					assert.Contains(t, advice, asShown(want))
				}
				if strings.ToLower(tc.variable) == tc.variable && !onWindows {
					assert.NotContains(t, out, strings.ToUpper(tc.variable))
				}
				assert.Equal(t, 1, strings.Count("\n"+out, "\n"+string(Wrong)), "nothing else is wrong:\n%s", out)
			})
		})
	}
}

// socks answers each message with the next text.
func socks(answers ...string) func(net.Conn) {
	return func(conn net.Conn) {
		for _, answer := range answers {
			if _, err := conn.Read(make([]byte, 512)); err != nil {
				return
			}
			if _, err := io.WriteString(conn, answer); err != nil {
				return
			}
		}
	}
}

// tunnel lets a CONNECT through to something.
func tunnel(serve func(net.Conn)) func(net.Conn) {
	return func(conn net.Conn) {
		if _, err := http.ReadRequest(bufio.NewReader(conn)); err != nil {
			return
		}
		if _, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n"); err == nil {
			serve(conn)
		}
	}
}

// TestNamesOfProxies: that of the variable that was read, and that of the one which can except the Hub.
func TestNamesOfProxies(t *testing.T) {
	for name, tc := range map[string]struct {
		env            map[string]string
		scheme         string
		proxy, noProxy string
	}{
		"capitals":             {map[string]string{"HTTPS_PROXY": "http://a:1"}, "https", "HTTPS_PROXY", "NO_PROXY"},
		"small":                {map[string]string{"https_proxy": "http://a:1", "no_proxy": "x"}, "https", "https_proxy", "no_proxy"},
		"capitals come first":  {map[string]string{"HTTPS_PROXY": "http://a:1", "https_proxy": "http://b:1"}, "https", "HTTPS_PROXY", "NO_PROXY"},
		"of the other scheme":  {map[string]string{"HTTPS_PROXY": "http://a:1", "http_proxy": "http://b:1"}, "http", "http_proxy", "NO_PROXY"},
		"both of no proxy":     {map[string]string{"http_proxy": "http://b:1", "NO_PROXY": "x", "no_proxy": "y"}, "http", "http_proxy", "NO_PROXY"},
		"none in any variable": {nil, "https", "", "NO_PROXY"},
	} {
		t.Run(name, func(t *testing.T) {
			environ(t, tc.env)
			assert.Equal(t, asShown(tc.proxy), proxyVariable(tc.scheme))
			assert.Equal(t, asShown(tc.noProxy), exceptVariable())
		})
	}
}

// TestAVariableThatGoDoesNotRead: other programs go through a proxy, and this one does not.
func TestAVariableThatGoDoesNotRead(t *testing.T) {
	for _, name := range []string{"ALL_PROXY", "all_proxy"} {
		env := account()
		env[name] = "socks5://proxy.secret.example:1080"
		status, out := examined(t, env, nil)
		assert.Equal(t, allFine, status)
		assert.Contains(t, line(out, Note, "proxy"), asShown(name)+" is not read by programs in Go")
		env["AGENTUITY_CODER_URL"] = "http://localhost:1"
		_, out = examined(t, env, nil)
		assert.Empty(t, line(out, Note, "proxy"), "no proxy is asked for this machine")
	}
}

// TestAProxyThatWantsAUserLater: discovery went another way, or the Hub's routes alone go through it.
func TestAProxyThatWantsAUserLater(t *testing.T) {
	env := account()
	env["http_proxy"] = "http://proxy.secret.example:3128"
	status, out := examined(t, env, func(s *scene) {
		s.between.proxy = proxied("http_proxy")
		honest := s.between.transport
		s.between.transport = roundTrip(func(r *http.Request) (*http.Response, error) {
			if strings.HasSuffix(r.URL.Path, "/hub/sessions") {
				recorder := httptest.NewRecorder()
				recorder.WriteHeader(http.StatusProxyAuthRequired)
				answer := recorder.Result()
				answer.Request = r
				return answer, nil
			}
			return honest.RoundTrip(r)
		})
	})
	assert.Equal(t, notFine, status)
	assert.Contains(t, out, asShown("The proxy of http_proxy wants a user and a password"))
	assert.Equal(t, onWindows, strings.Contains(out, "HTTP_PROXY"))
}
