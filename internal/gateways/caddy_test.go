//go:build gateways

package gateways

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

var caddy = &gateway{
	product: productOf("caddy"),
	http2:   true, closesIdle: true, upgrades: true, reload: reloadCaddy,
	start: func(t testing.TB, s site) *process {
		sites, more := productOf("caddy").configuration(t), ""
		switch s.variant {
		case bare:
			sites = caddyBare
		case goAway:
			more = "timeouts {\n idle 2ms\n }"
		}
		// To be harder: what a gateway compresses it holds back.
		sites = strings.Replace(sites, "    reverse_proxy", "    encode gzip\n    reverse_proxy", 1)
		file := s.write(t, "Caddyfile", caddyConfig, "{sites}", sites, "{more}", more)
		// env replaces itself by Caddy, which would keep a copy of the configuration at home.
		return launch(t, s.addresses(), "/usr/bin/env", "XDG_CONFIG_HOME="+s.folder, "XDG_DATA_HOME="+s.folder,
			"/usr/bin/caddy", "run", "--adapter", "caddyfile", "--config", file)
	},
	cannot: map[string]limit{"reload": {"cuts what is under way", reloadsCut}},
}

const caddyConfig = `
{
    admin unix/{folder}/admin
    auto_https off
    storage file_system {folder}/storage
    default_bind 127.0.0.1
    servers {
        protocols h1 h2
        {more}
    }
}
{sites}
`

const caddyBare = `
(coder) {
    reverse_proxy {backend}
}
http://{plain} {
    import coder
}
https://{secure} {
    tls {certificate} {certificate}
    import coder
}
`

// reloadCaddy returns when the configuration is in force.
func reloadCaddy(t testing.TB, _ *process, s site) {
	output, err := exec.Command("/usr/bin/caddy", "reload", "--force", "--adapter", "caddyfile",
		"--config", filepath.Join(s.folder, "Caddyfile"), "--address", "unix/"+filepath.Join(s.folder, "admin")).CombinedOutput()
	assert.NoError(t, err, "%s", output)
}
