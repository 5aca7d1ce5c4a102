//go:build gateways

package gateways

import (
	"crypto/tls"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var squid = &gateway{
	product: productOf("squid"),
	reload:  reloadSquid,
	start: func(t testing.TB, s site) *process {
		rules := productOf("squid").configuration(t)
		switch s.variant {
		case bare:
			rules = squidBare
		case encrypted:
			rules = squidEncrypted
		}
		file := s.write(t, "squid.conf", squidConfig, "{rules}", rules)
		// Squid reads its configuration again as the user that it has become.
		require.NoError(t, os.Chmod(filepath.Dir(s.folder), 0o755))
		require.NoError(t, os.Chmod(file, 0o644))
		// The name of a service is that of its shared memory, which two processes cannot both have.
		_, port, _ := strings.Cut(s.plain, ":")
		return launch(t, s.addresses(), "/usr/sbin/squid", "-N", "-n", "gateway"+port, "-d", "1", "-f", file)
	},
	cannot: map[string]limit{
		"HTTP/2": {"speaks HTTP/1.1", speaksNoHTTP2},
		"reload": {"cuts what is under way", reloadsCut},
		"GOAWAY": {"speaks HTTP/1.1", speaksNoHTTP2},
	},
}

const squidConfig = `
{rules}
cache_effective_user proxy
pid_filename none
cache_log /dev/null
access_log none
coredump_dir {folder}
netdb_filename none
pinger_enable off
shutdown_lifetime 1 second
visible_hostname gateway
`

const squidBare = `
http_port {plain} accel defaultsite={backend}
cache_peer {backend host} parent {backend port} 0 no-query originserver
http_access allow all
`

// encrypted is the variant of a gateway that speaks TLS without HTTP/2.
const encrypted variant = "encrypted"

const squidEncrypted = `
https_port {plain} accel defaultsite={backend} tls-cert={certificate}
cache_peer {backend host} parent {backend port} 0 no-query originserver
http_access allow all
`

// reloadSquid returns when Squid listens again.
func reloadSquid(t testing.TB, p *process, _ site) {
	const listens = "Accepting reverse-proxy HTTP"
	before := strings.Count(p.output.String(), listens)
	p.signal(syscall.SIGHUP)
	assert.Eventually(t, func() bool { return strings.Count(p.output.String(), listens) > before }, patience, 5*time.Millisecond)
}

// speaksNoHTTP2: it is offered over TLS, as clients do, and not taken.
func speaksNoHTTP2(t testing.TB, g *gateway) {
	r := newRig(t, g, encrypted)
	conn, err := tls.Dial("tcp", r.site.plain, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2", "http/1.1"}})
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	assert.NotEqual(t, "h2", conn.ConnectionState().NegotiatedProtocol)
	front := g.newFront(t, "http/1.1", "https://"+r.site.plain)
	r.session(t, front) // which asserts what is spoken
}
