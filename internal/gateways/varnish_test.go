//go:build gateways

package gateways

import (
	"crypto/tls"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var varnish = &gateway{
	product: productOf("varnish"), sharesAnswers: true,
	reload: reloadVarnish,
	start: func(t testing.TB, s site) *process {
		config := productOf("varnish").configuration(t)
		if s.variant == bare {
			config = varnishBare
		}
		file := s.write(t, "varnish.vcl", config)
		return launch(t, s.addresses(), "/usr/sbin/varnishd", append(strings.Fields(productOf("varnish").options),
			"-F", "-j", "none", "-n", s.varnish(), "-a", s.plain, "-f", file, "-s", "malloc,64m",
			// To be harder: it waits for 2 s only.
			"-p", "first_byte_timeout=2", "-p", "between_bytes_timeout=2")...)
	},
	cannot: map[string]limit{
		"HTTP/2":  {"speaks no TLS", speaksNoTLS},
		"GOAWAY":  {"speaks no TLS", speaksNoTLS},
		"no body": {"repeats it", publishesAreRepeated},
	},
}

// varnish is the folder that names an instance.
func (s site) varnish() string { return filepath.Join(s.folder, "varnish") }

// varnishBare has nothing but the rules that Varnish comes with. They know Authorization and Cookie, and no
// other header that an answer may depend on.
const varnishBare = `vcl 4.1;
backend hub { .host = "{backend host}"; .port = "{backend port}"; }
`

var loads atomic.Int32

// reloadVarnish loads the configuration once more, by another name, and uses it.
func reloadVarnish(t testing.TB, _ *process, s site) {
	name := fmt.Sprintf("reload%d", loads.Add(1))
	for _, arguments := range [][]string{{"vcl.load", name, filepath.Join(s.folder, "varnish.vcl")}, {"vcl.use", name}} {
		output, err := exec.Command("/usr/bin/varnishadm", append([]string{"-n", s.varnish()}, arguments...)...).CombinedOutput()
		assert.NoError(t, err, "%s", output)
	}
}

// speaksNoTLS: over which alone the client speaks HTTP/2, as browsers do.
func speaksNoTLS(t testing.TB, g *gateway) {
	r := newRig(t, g, recommended)
	conn, err := tls.Dial("tcp", r.site.plain, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	if err == nil {
		_ = conn.Close()
	}
	require.Error(t, err)
	r.session(t, r.fronts[0]) // while it answers in the clear
}
