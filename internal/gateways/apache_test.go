//go:build gateways

package gateways

import (
	"syscall"
	"testing"
)

var apache = &gateway{
	product: productOf("apache"),
	http2:   true, closesIdle: true, reload: bySignal(syscall.SIGUSR1),
	start: func(t testing.TB, s site) *process {
		rules, more := productOf("apache").configuration(t), ""
		switch s.variant {
		case bare:
			rules = apacheBare
		case goAway:
			more = "KeepAliveTimeout 2ms"
		}
		file := s.write(t, "apache.conf", apacheConfig, "{rules}", rules, "{more}", more)
		return launch(t, s.addresses(), "/usr/sbin/apache2", "-D", "FOREGROUND", "-d", s.folder, "-f", file)
	},
	cannot: map[string]limit{"reload": {"cuts HTTP/2 streams", reloadsCut}},
}

const apacheConfig = `
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule filter_module /usr/lib/apache2/modules/mod_filter.so
LoadModule deflate_module /usr/lib/apache2/modules/mod_deflate.so
LoadModule ssl_module /usr/lib/apache2/modules/mod_ssl.so
LoadModule http2_module /usr/lib/apache2/modules/mod_http2.so
LoadModule proxy_module /usr/lib/apache2/modules/mod_proxy.so
LoadModule proxy_http_module /usr/lib/apache2/modules/mod_proxy_http.so
DefaultRuntimeDir {folder}
PidFile {folder}/apache.pid
ErrorLog /dev/stderr
LogLevel error
ServerName 127.0.0.1
User www-data
Group www-data
Protocols h2 http/1.1
Listen {plain}
Listen {secure}
{more}

# To be harder: what a gateway compresses it holds back, and it waits for 2 s only.
AddOutputFilterByType DEFLATE text/event-stream application/json
ProxyTimeout 2

<VirtualHost {plain}>
{rules}
</VirtualHost>
<VirtualHost {secure}>
SSLEngine on
SSLCertificateFile {certificate}
{rules}
</VirtualHost>
`

// apacheBare is what the first example of most guides has.
const apacheBare = `
ProxyPass "/" "http://{backend}/"
`
