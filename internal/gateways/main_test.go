//go:build gateways

package gateways

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// certificate is a file with the certificate of the secure ports and its key, in PEM. TestMain writes it.
var certificate string

var names = flag.String("gateways", "nginx,haproxy,varnish", "the gateways to test, or all")

// selected are the gateways that are tested.
var selected []*gateway

// choose selects gateways by their names, with commas in between.
func choose(names string) error {
	if names == "all" {
		selected = gateways
		return nil
	}
	for name := range strings.SplitSeq(names, ",") {
		i := slices.IndexFunc(gateways, func(g *gateway) bool { return g.name == name })
		if i < 0 {
			return fmt.Errorf("there is no gateway %q", name)
		}
		selected = append(selected, gateways[i])
	}
	return nil
}

func TestMain(m *testing.M) {
	status, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "gateways:", err)
		status = 1
	}
	os.Exit(status)
}

func run(m *testing.M) (status int, err error) {
	flag.Parse()
	if err := choose(*names); err != nil {
		return 0, err
	}
	if err := install(selected); err != nil {
		return 0, err
	}
	folder, err := os.MkdirTemp("", "gateways")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	certificate = filepath.Join(folder, "gateway.pem")
	if err := writeCertificate(certificate); err != nil {
		return 0, err
	}
	// So that clients with the library's own transport trust the gateways.
	if err := os.Setenv("SSL_CERT_FILE", certificate); err != nil {
		return 0, err
	}
	status = m.Run()
	for _, g := range selected {
		fmt.Println(g.name, "is", g.pkg, g.version)
	}
	fmt.Print(results.table())
	return status, nil
}

// install installs the packages of the gateways where another version, or none, is there. No service is
// started: RUNLEVEL tells invoke-rc.d that the machine is none that has services.
func install(gateways []*gateway) error {
	var missing []string
	for _, g := range gateways {
		if g.version = installed(g.pkg); !g.isReleased(g.version) {
			missing = append(missing, g.pkg+"="+g.release+"*")
		}
	}
	if len(missing) == 0 {
		return nil
	}
	for _, arguments := range [][]string{
		{"update"},
		append([]string{"install", "--yes", "--no-install-recommends", "--allow-downgrades"}, missing...),
	} {
		apt := exec.Command("apt-get", arguments...)
		apt.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "RUNLEVEL=1")
		if output, err := apt.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w (the suite needs Debian bookworm and root)\n%s", apt, err, output)
		}
	}
	for _, g := range gateways {
		if g.version = installed(g.pkg); !g.isReleased(g.version) {
			return fmt.Errorf("%s %s is wanted, %q is installed", g.pkg, g.release, g.version)
		}
	}
	return nil
}

// installed returns the version of a package, or "".
func installed(pkg string) string {
	output, err := exec.Command("dpkg-query", "--show", "--showformat=${db:Status-Status} ${Version}", pkg).Output()
	version, found := strings.CutPrefix(string(output), "installed ")
	if err != nil || !found {
		return ""
	}
	return version
}

// writeCertificate writes a certificate for 127.0.0.1 that signs itself, and its key.
func writeCertificate(file string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	signed, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	text := append(
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: signed}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})...)
	return os.WriteFile(file, text, 0o600)
}
