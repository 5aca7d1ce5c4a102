//go:build gateways

package gateways

import (
	"syscall"
	"testing"
)

var nginx = &gateway{
	name: "nginx", pkg: "nginx", release: "1.22.1-",
	tls: true, webSockets: true, limitsBodies: true, goesAway: true, reload: syscall.SIGHUP,
	recommended: nginxRecommended,
	start: func(t *testing.T, s site) *process {
		config := nginxConfig
		server := nginxRecommended
		switch s.variant {
		case bare:
			server = nginxBare
		case goAway:
			server = "keepalive_requests 20;\n" + server
		}
		file := s.write(t, "nginx.conf", config, "{server}", server)
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
    ssl_certificate {certificate};
    ssl_certificate_key {certificate};

    # To be harder: what a gateway compresses it holds back, and it waits for 2 s only.
    gzip on;
    gzip_proxied any;
    gzip_types text/event-stream application/json;
    proxy_read_timeout 2s;

    upstream hub { server {backend}; keepalive 16; }
    map $http_upgrade $connection_upgrade { default upgrade; "" ""; }
    server {
        listen {plain};
        listen {secure} ssl http2;
        {server}
    }
}
`

const nginxRecommended = `client_max_body_size 64m;
location / {
    proxy_pass http://hub;                 # no URI, not even a slash: ids would be decoded
    proxy_http_version 1.1;
    proxy_set_header Connection "";
}
location ~ ^/api/(ws|hub/session/[^/]+/events)$ {
    proxy_pass http://hub;
    proxy_http_version 1.1;
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection $connection_upgrade;
    proxy_buffering off;
    proxy_read_timeout 1h;
    proxy_send_timeout 1h;
}
`

// nginxBare is what many have: a prefix of their own, put before the URI that nginx has decoded.
const nginxBare = `location / { proxy_pass http://hub/; }
`
