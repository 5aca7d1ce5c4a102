package gateways

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// product is a gateway as Debian bookworm has it, and as docs/gateways.md names it.
type product struct {
	name    string
	pkg     string
	release string // the release line
	config  string // the file of testdata with the configuration that docs/gateways.md recommends
	options string // of the command line, which it recommends as well
}

// products are the gateways there are, in the order of docs/gateways.md. They are known without the build
// tag, so that every run of the tests compares the documentation with them.
var products = []product{
	{name: "nginx", pkg: "nginx", release: "1.22", config: "nginx.conf"},
	{name: "haproxy", pkg: "haproxy", release: "2.6", config: "haproxy.conf"},
	{name: "varnish", pkg: "varnish", release: "7.1", config: "varnish.vcl", options: "-p pipe_timeout=3600"},
	{name: "apache", pkg: "apache2", release: "2.4", config: "apache.conf"},
	{name: "squid", pkg: "squid", release: "5.7", config: "squid.conf"},
	{name: "caddy", pkg: "caddy", release: "2.6", config: "Caddyfile"},
}

// productOf returns the product of that name. A name that is not in the list is a mistake in this package.
func productOf(name string) product {
	for _, p := range products {
		if p.name == name {
			return p
		}
	}
	panic("gateways: no product " + name)
}

// isReleased tells whether a version of the package is of the release line.
func (p product) isReleased(version string) bool {
	rest, found := strings.CutPrefix(version, p.release)
	return found && strings.IndexAny(rest, "0123456789") != 0 // 2.60 is not of 2.6
}

// configuration returns the configuration that is recommended. What is in {braces} depends on the site.
func (p product) configuration(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", p.config))
	require.NoError(t, err)
	return string(text)
}

// row is how the matrix of docs/gateways.md names the product.
func (p product) row() string { return p.name + " " + p.release }
