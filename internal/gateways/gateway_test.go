//go:build gateways

package gateways

import (
	"cmp"
	"context"
	"crypto/tls"
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
var gateways = []*gateway{nginx}

// gateway is a product: what it is, and what it can.
type gateway struct {
	name         string
	pkg, release string         // the package, and how its version in Debian bookworm begins
	version      string         // that is installed
	tls          bool           // it has a secure port, which speaks HTTP/2
	webSockets   bool           // it lets them through
	limitsBodies bool           // unless told otherwise
	goesAway     bool           // the variant goAway makes it end HTTP/2 connections
	reload       syscall.Signal // by which it reads its configuration again; 0: it closes no connection then
	recommended  string         // the part of its configuration that docs/gateways.md recommends
	start        func(t *testing.T, s site) *process
}

func (g *gateway) released() bool { return strings.HasPrefix(g.version, g.release) }

// variant is another configuration than the one that is recommended.
type variant string

const (
	recommended variant = ""
	bare        variant = "bare"   // what one has who has read nothing
	goAway      variant = "goaway" // HTTP/2 connections end after a few requests
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
func (s site) write(t *testing.T, name, config string, more ...string) string {
	t.Helper()
	config = strings.NewReplacer(more...).Replace(config)
	_, port, _ := strings.Cut(s.backend, ":")
	config = strings.NewReplacer("{folder}", s.folder, "{plain}", s.plain, "{secure}", s.secure,
		"{backend}", s.backend, "{backend port}", port, "{certificate}", certificate).Replace(config)
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

func newRig(t *testing.T, g *gateway, v variant) *rig {
	t.Helper()
	r := &rig{gateway: g, backend: newBackend(t, codertest.WithAPIKey(key))}
	r.site = site{folder: t.TempDir(), plain: freeAddress(t), backend: r.address, variant: v}
	if g.tls {
		r.site.secure = freeAddress(t)
	}
	r.process = g.start(t, r.site)
	r.fronts = append(r.fronts, newFront(t, "http/1.1", "http://"+r.site.plain))
	if g.tls {
		r.fronts = append(r.fronts, newFront(t, "h2", "https://"+r.site.secure))
	}
	return r
}

// newFront returns a client as most programs have it, with the library's own transport.
func newFront(t *testing.T, protocol, url string) front {
	t.Helper()
	client, err := coder.NewClient(coder.WithURL(url), coder.WithAPIKey(key))
	require.NoError(t, err)
	return front{protocol, client}
}

// secure returns the front that speaks HTTP/2, or the only one.
func (r *rig) secure() front { return r.fronts[len(r.fronts)-1] }

// session creates a session, and makes sure that the front speaks what it says.
func (r *rig) session(t *testing.T, f front) string {
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
func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}
