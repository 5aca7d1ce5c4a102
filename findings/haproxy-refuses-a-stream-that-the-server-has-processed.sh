#!/usr/bin/env bash
# HAProxy in front of an ordinary HTTP/1.1 server, and net/http before it over HTTP/2. By RFC 9113, 8.7 nothing
# was done with a stream that is reset with REFUSED_STREAM, and the request on it can be sent again. HAProxy resets with that code also when the server behind it has read the whole request, has done
# what it asks for, and then ends the connection without an answer, if that connection had been used before (its
# maintainers: haproxy/haproxy#1495). net/http believes it, and sends a POST again by itself where it can, which
# it can for every body made with strings.NewReader or bytes.NewReader. So one http.Post, whose server dies in
# the middle, is done more than once, and is reported as a success. Over HTTP/1.1 the same HAProxy closes
# the connection, and the POST is sent once and is an error.
#
# Seen on 2026-11-28 (linux/amd64, Debian 12): HAProxy 2.6.12 with go1.26.8 and with go1.27.3:
# over HTTP/2: 2 POSTs done for one call, 200 OK; over HTTP/1.1: 1 POST done, an error (EOF).
# Needs Debian 12 with its package mirror, and Go 1.26 or later. Exits 1 if it behaves otherwise.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
chmod 755 "$folder"
cd "$folder"

apt-get update -qq >/dev/null 2>&1 || true
apt-get download -qq 'haproxy=2.6.12-1+deb12u4' 'liblua5.3-0=5.3.6-2' >/dev/null 2>&1
for package in ./*.deb; do dpkg -x "$package" root; done
export LD_LIBRARY_PATH="$folder/root/usr/lib/x86_64-linux-gnu"

printf 'module post\n\ngo 1.26\n' >go.mod
cat >main.go <<'GO'
package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"time"
)

var done atomic.Int32

func main() {
	// The server does what the POST asks for, and dies at the first; a GET is answered.
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	go http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			return
		}
		_, err := io.ReadAll(r.Body)
		check(err)
		if done.Add(1) == 1 {
			panic(http.ErrAbortHandler) // net/http closes the connection
		}
	}))

	front, err := net.Listen("tcp", "127.0.0.1:0") // for a port that is free
	check(err)
	address := front.Addr().String()
	check(front.Close())
	config := fmt.Sprintf("defaults\n mode http\n timeout connect 5s\n timeout client 5s\n timeout server 5s\n"+
		"frontend f\n bind %s %s\n default_backend b\nbackend b\n server s %s\n", address, os.Args[1], listener.Addr())
	check(os.WriteFile("haproxy.cfg", []byte(config), 0o600))
	proxy := exec.Command("root/usr/sbin/haproxy", "-db", "-f", "haproxy.cfg")
	proxy.Stderr = os.Stderr
	check(proxy.Start())
	defer proxy.Process.Kill()

	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetHTTP1(os.Args[1] == "")
	transport.Protocols.SetUnencryptedHTTP2(os.Args[1] != "")
	client := &http.Client{Transport: transport, Timeout: 20 * time.Second}
	for range 100 { // until HAProxy listens; it then has a connection to the server that was used
		if resp, err := client.Get("http://" + address); err == nil {
			resp.Body.Close()
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	resp, err := client.Post("http://"+address, "text/plain", strings.NewReader("do it"))
	outcome := "an error"
	if err == nil {
		outcome = resp.Status
	}
	fmt.Printf("%d done, %s\n", done.Load(), outcome)
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
GO

expect() { # WHAT WANTED GOT
	printf '%s: %s\n' "$1" "$3"
	[[ "$3" == "$2" ]] || { printf 'changed: it was "%s"\n' "$2"; exit 1; }
}
root/usr/sbin/haproxy -v | head -n 1
for go in local go1.27.3; do
	printf '%s\n' "$(GOTOOLCHAIN=$go go version)"
	GOTOOLCHAIN=$go go build -o post .
	expect 'over HTTP/2' '2 done, 200 OK' "$(./post 'proto h2')"
	expect 'over HTTP/1.1' '1 done, an error' "$(./post '')"
done
