//go:build gateways

package gateways

import (
	"strings"
	"syscall"
	"testing"
)

var haproxy = &gateway{
	product: productOf("haproxy"),
	http2:   true, closesIdle: true, crosses: true, upgrades: true, reload: bySignal(syscall.SIGUSR2),
	start: func(t testing.TB, s site) *process {
		sections := productOf("haproxy").configuration(t)
		switch s.variant {
		case bare:
			sections = haproxyBare
		case goAway:
			sections = strings.Replace(sections, "frontend coder\n", "frontend coder\n"+haproxyGoAway, 1)
		}
		file := s.write(t, "haproxy.conf", haproxyConfig, "{sections}", sections)
		// With a master, whose workers are replaced; in the foreground.
		return launch(t, s.addresses(), "/usr/sbin/haproxy", "-W", "-db", "-f", file)
	},
}

const haproxyConfig = `
global
    maxconn 512
    nbthread 2
defaults
    mode http
    timeout connect 2s
    timeout client 2s
    # To be harder: what a gateway compresses it holds back, and it waits for 2 s only.
    compression algo gzip
    compression type text/event-stream application/json
    timeout server 2s
{sections}
`

// haproxyGoAway ends connections as soon as they are idle. HAProxy counts no requests before its release 3.0.
const haproxyGoAway = "    timeout http-keep-alive 2ms\n"

const haproxyBare = `
frontend coder
    bind {plain}
    bind {secure} ssl crt {certificate} alpn h2,http/1.1
    default_backend hub
backend hub
    server hub {backend}
`
