//go:build gateways

package gateways

import (
	"cmp"
	"context"
	"crypto/tls"
	"net/http"
	"net/http/httptrace"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

// gateways are the gateways there are.
var gateways = []*gateway{nginx, haproxy, varnish, apache, squid, caddy}

// gateway is a product: what it is, and what it can.
type gateway struct {
	product
	version       string // that is installed
	http2         bool   // it has a secure port, which speaks HTTP/2
	limitsBodies  bool   // unless told otherwise
	upgrades      bool   // it lets WebSockets through, unless told otherwise
	sharesAnswers bool   // the variant bare keeps an answer for others, with other keys
	closesIdle    bool   // the variant goAway ends HTTP/2 connections when they are idle, and no others
	crosses       bool   // it closes such a connection at once, although a create may be under way
	start         func(t testing.TB, s site) *process
	// reload makes it read its configuration again.
	reload func(t testing.TB, p *process, s site)
	// cannot has the columns that no configuration makes a yes, by their names.
	cannot map[string]limit
	// through is put around the transport of the clients. It is for clients that are wrong on purpose.
	through func(http.RoundTripper) http.RoundTripper
}

// limit is why a gateway cannot do something. It is not believed, but looked at.
type limit struct {
	reason string
	prove  func(t testing.TB, g *gateway)
}

// bySignal reloads by a signal to the gateway's own process.
func bySignal(signal syscall.Signal) func(testing.TB, *process, site) {
	return func(_ testing.TB, p *process, _ site) { p.signal(signal) }
}

// variant is another configuration than the one that is recommended.
type variant string

const (
	recommended variant = ""
	bare        variant = "bare"   // what one has who has read nothing
	goAway      variant = "goaway" // HTTP/2 connections end all the time
)

// site is where one process of a gateway lives.
type site struct {
	folder        string
	plain, secure string // addresses; secure is empty where there is no such port
	backend       string // address
	variant       variant
}

func (s site) addresses() []string {
	if s.secure == "" {
		return []string{s.plain}
	}
	return []string{s.plain, s.secure}
}

// write writes a configuration with its {names} replaced, and returns the name of the file.
func (s site) write(t testing.TB, name, config string, more ...string) string {
	t.Helper()
	config = strings.NewReplacer(more...).Replace(config)
	host, port, _ := strings.Cut(s.backend, ":")
	config = strings.NewReplacer("{folder}", s.folder, "{plain}", s.plain, "{secure}", s.secure,
		"{backend}", s.backend, "{backend host}", host, "{backend port}", port, "{certificate}", certificate).Replace(config)
	file := filepath.Join(s.folder, name)
	require.NoError(t, os.WriteFile(file, []byte(config), 0o600))
	return file
}

// key is of the form that a Hub issues, which goes into a header that gateways do not know.
const key = "agc_gateways"

// rig is a client, a gateway and a Hub, in a row.
type rig struct {
	*backend
	gateway *gateway
	site    site
	process *process
	fronts  []front
}

// front is a way into the gateway.
type front struct {
	protocol string // by which it is asked
	client   *coder.Client
}

func newRig(t testing.TB, g *gateway, v variant) *rig {
	t.Helper()
	r := &rig{gateway: g, backend: newBackend(t, codertest.WithAPIKey(key))}
	r.site = site{folder: t.TempDir(), plain: freeAddress(t), backend: r.address, variant: v}
	if g.http2 {
		r.site.secure = freeAddress(t)
	}
	r.process = g.start(t, r.site)
	r.fronts = append(r.fronts, g.newFront(t, "http/1.1", "http://"+r.site.plain))
	if g.http2 {
		r.fronts = append(r.fronts, g.newFront(t, "h2", "https://"+r.site.secure))
	}
	return r
}

// newFront returns a client as most programs have it, with the library's own transport.
func (g *gateway) newFront(t testing.TB, protocol, url string) front {
	t.Helper()
	options := []coder.Option{coder.WithURL(url), coder.WithAPIKey(key)}
	if g.through != nil {
		options = append(options, coder.WithHTTPClient(&http.Client{Transport: g.through(coder.NewTransport())}))
	}
	client, err := coder.NewClient(options...)
	require.NoError(t, err)
	return front{protocol, client}
}

// secure returns the front that speaks HTTP/2, or the only one.
func (r *rig) secure() front { return r.fronts[len(r.fronts)-1] }

// session creates a session, and makes sure that the front speaks what it says.
func (r *rig) session(t testing.TB, f front) string {
	t.Helper()
	var spoken atomic.Value
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) {
		protocol := ""
		if encrypted, ok := info.Conn.(*tls.Conn); ok {
			protocol = encrypted.ConnectionState().NegotiatedProtocol
		}
		spoken.Store(cmp.Or(protocol, "http/1.1"))
	}})
	created, err := f.client.CreateSession(ctx, coder.CreateSessionRequest{Task: "Pass"})
	require.NoError(t, err)
	require.Equal(t, f.protocol, spoken.Load())
	return created.SessionID
}

// within returns a context for what has to come soon.
func within(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}
