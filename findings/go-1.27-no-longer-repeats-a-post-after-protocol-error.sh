#!/usr/bin/env bash
# net/http over HTTP/2, and a server that reads a whole POST and then resets its stream with PROTOCOL_ERROR, as
# servers do that changed their mind about a request they were already working on. Under Go 1.26 the client
# sends the POST a second time by itself, because strings.NewReader gives the request a GetBody, and reports 200:
# the server has done the work twice and nobody is told. Under Go 1.27 it is sent once, and the error is returned.
# So the same program is at-least-once with one Go and at-most-once with the next.
#
# Seen on 2026-11-28 (linux/amd64): go1.26.8: 2 requests, status 200; go1.27.3: 1 request, stream error.
# Needs Go 1.26 or later, and the Go module proxy for the second Go. Exits 1 if it behaves otherwise.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

printf 'module post\n\ngo 1.26\n' >go.mod
cat >main.go <<'GO'
package main

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
)

var requests atomic.Int32

// serve speaks as much HTTP/2 (RFC 9113) as it needs: it resets the stream of the first request, once all of
// it has come, and answers the others 200.
func serve(conn net.Conn) {
	defer conn.Close()
	r := bufio.NewReader(conn)
	frame := func(kind, flags byte, stream uint32, payload ...byte) {
		head := binary.BigEndian.AppendUint32(nil, uint32(len(payload))<<8|uint32(kind))
		head = binary.BigEndian.AppendUint32(append(head, flags), stream)
		conn.Write(append(head, payload...))
	}
	io.CopyN(io.Discard, r, int64(len("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")))
	frame(4, 0, 0) // SETTINGS
	frame(4, 1, 0) // and the ACK of the client's
	for {
		var head [9]byte
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return
		}
		r.Discard(int(binary.BigEndian.Uint32(head[:]) >> 8))
		if stream := binary.BigEndian.Uint32(head[5:]); head[3] <= 1 && head[4]&1 != 0 { // END_STREAM
			if requests.Add(1) == 1 {
				frame(3, 0, stream, 0, 0, 0, 1) // RST_STREAM, PROTOCOL_ERROR
			} else {
				frame(1, 5, stream, 0x88) // HEADERS: ":status: 200", the end
			}
		}
	}
}

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go serve(conn)
		}
	}()
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	client := http.Client{Transport: &http.Transport{Protocols: &protocols}}
	resp, err := client.Post("http://"+listener.Addr().String(), "application/json", strings.NewReader(`{"order":1}`))
	if err != nil {
		fmt.Println(requests.Load(), "request, an error")
		return
	}
	fmt.Println(requests.Load(), "requests, status", resp.StatusCode)
}
GO
older=$(GOTOOLCHAIN=go1.26.8 go run .)
newer=$(GOTOOLCHAIN=go1.27.3 go run .)
printf 'go1.26.8: %s\ngo1.27.3: %s\n' "$older" "$newer"
[[ $older == '2 requests, status 200' ]] || { echo 'Go 1.26.8 behaves otherwise now'; exit 1; }
[[ $newer == '1 request, an error' ]] || { echo 'Go 1.27.3 behaves otherwise now'; exit 1; }
