#!/usr/bin/env bash
# A server that is killed in the middle of a WebSocket frame, as one that is deployed anew, leaves the client with the
# beginning of a message. RFC 6455 (7.1.5) calls that closed abnormally, code 1006, and wherever the frame is cut one would
# expect io.ErrUnexpectedEOF, as gorilla/websocket has it. github.com/coder/websocket returns the beginning as a whole
# message, without an error, if the cut is where one of its reads ended: behind the header of the frame, which gives
# an empty message, or behind as many bytes as the buffer of the reader holds, 512 at first for Conn.Read, or 32 KiB
# for io.Copy from Conn.Reader. A reader that appends text or stores a transcript has lost the rest without noticing;
# only the Read after it fails.
#
# Seen on 2026-11-29 (linux/amd64): github.com/coder/websocket 1.8.15, github.com/gorilla/websocket 1.5.3, Go 1.26.8.
# Needs Go. Exits 1 if it behaves otherwise.
set -euo pipefail
folder=$(mktemp -d)
trap 'chmod -R u+w "$folder"; rm -rf "$folder"' EXIT
cd "$folder"

cat >go.mod <<'MOD'
module cut

go 1.26

require (
	github.com/coder/websocket v1.8.15
	github.com/gorilla/websocket v1.5.3
)
MOD
cat >main.go <<'GO'
package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"

	coder "github.com/coder/websocket"
	gorilla "github.com/gorilla/websocket"
)

const size = 60_000 // of the frame

// serve sends the beginning of one text frame, and ends the connection.
func serve(conn net.Conn) {
	defer conn.Close()
	req, err := http.ReadRequest(bufio.NewReader(conn))
	if err != nil {
		return
	}
	sent, _ := strconv.Atoi(req.URL.Path[1:])
	sum := sha1.Sum([]byte(req.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
		base64.StdEncoding.EncodeToString(sum[:]))
	conn.Write(append([]byte{0x81, 126, size >> 8, size & 255}, strings.Repeat("x", sent)...))
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
	address := "ws://" + listener.Addr().String()

	ctx := context.Background()
	for _, sent := range []int{0, 100, 512, 513, 32 << 10} {
		path := address + "/" + strconv.Itoa(sent)
		conn, _, err := coder.Dial(ctx, path, nil)
		if err != nil {
			panic(err)
		}
		conn.SetReadLimit(-1)
		message, readErr := []byte(nil), error(nil)
		if sent < 32<<10 {
			_, message, readErr = conn.Read(ctx)
		} else {
			var all bytes.Buffer
			_, r, err := conn.Reader(ctx)
			if err != nil {
				panic(err)
			}
			_, readErr = io.Copy(writerOnly{&all}, r)
			message = all.Bytes()
		}
		other, _, err := gorilla.DefaultDialer.Dial(path, nil)
		if err != nil {
			panic(err)
		}
		_, _, otherErr := other.ReadMessage()
		fmt.Printf("%d of %d bytes: coder/websocket reads %d, error %t; gorilla/websocket error %t\n",
			sent, size, len(message), readErr != nil, otherErr != nil)
	}
}

// writerOnly has no ReadFrom, so that io.Copy has a buffer of its own.
type writerOnly struct{ io.Writer }
GO
export GOFLAGS=-mod=mod
go mod tidy >/dev/null 2>&1
got=$(go run .)
printf '%s\n%s\n' "$(go version)" "$got"
wanted='0 of 60000 bytes: coder/websocket reads 0, error false; gorilla/websocket error true
100 of 60000 bytes: coder/websocket reads 100, error true; gorilla/websocket error true
512 of 60000 bytes: coder/websocket reads 512, error false; gorilla/websocket error true
513 of 60000 bytes: coder/websocket reads 513, error true; gorilla/websocket error true
32768 of 60000 bytes: coder/websocket reads 32768, error false; gorilla/websocket error true'
[[ "$got" == "$wanted" ]] || { printf 'changed: it was\n%s\n' "$wanted"; exit 1; }
