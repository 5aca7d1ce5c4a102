//go:build gateways

package gateways

import (
	"syscall"
	"testing"
)

var nginx = &gateway{
	product: productOf("nginx"),
	http2:   true, limitsBodies: true, reload: bySignal(syscall.SIGHUP),
	start: func(t testing.TB, s site) *process {
		servers, more := productOf("nginx").configuration(t), ""
		switch s.variant {
		case bare:
			servers = nginxBare
		case goAway:
			more = "keepalive_requests 20;"
		}
		file := s.write(t, "nginx.conf", nginxConfig, "{servers}", servers, "{more}", more)
		return launch(t, s.addresses(), "/usr/sbin/nginx", "-e", "stderr", "-p", s.folder, "-c", file)
	},
}

const nginxConfig = `
daemon off;
user root;
worker_processes 2;
pid {folder}/nginx.pid;
error_log stderr;
events { worker_connections 512; }
http {
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;

    # To be harder: what a gateway compresses it holds back, and it waits for 2 s only.
    gzip on;
    gzip_proxied any;
    gzip_types text/event-stream application/json;
    proxy_read_timeout 2s;
    {more}
    {servers}
}
`

// nginxBare is what many have: a prefix of their own, put before the URI that nginx has decoded.
const nginxBare = `
upstream hub { server {backend}; keepalive 16; }
server {
    listen {plain};
    listen {secure} ssl http2;
    ssl_certificate {certificate};
    ssl_certificate_key {certificate};
    location / { proxy_pass http://hub/; }
}
`
