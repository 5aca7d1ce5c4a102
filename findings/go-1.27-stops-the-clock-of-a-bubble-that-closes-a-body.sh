#!/usr/bin/env bash
# net/http and testing/synctest, and the usual way to end the read of an answer that stops in its middle: a timer
# that closes the body under its reader (coder/websocket 1.8.15 reads the body of a refused upgrade so). In a bubble
# under Go 1.26 the read ends when the timer says so, after 3 s of fake time. Under Go 1.27 the bubble stands still for
# ever: a closed body is drained there for up to 50 ms, on a goroutine that waits for a mutex that the reader
# holds. A bubble does not count that as waiting, so its clock stops, and with it the timer of the 50 ms. Outside of a
# bubble the read just ends 50 ms later. So a test of a client with a limit of time for bodies, which passed, hangs with the next
# Go; what ends the read by its context, and closes the body afterwards, works with both.
#
# Seen on 2026-11-29 (linux/amd64): go1.26.8: ends after 3s; go1.27.3: "test timed out", the clock has not moved.
# Needs Go 1.26 or later, and the Go module proxy for the second Go. Exits 1 if it behaves otherwise.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

printf 'module drain\n\ngo 1.26\n' >go.mod
cat >drain_test.go <<'GO'
package drain

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// dial connects to a server that answers with a head, three bytes of five, and then nothing more.
func dial(context.Context, string, string) (net.Conn, error) {
	client, server := net.Pipe()
	go func() {
		http.ReadRequest(bufio.NewReader(server))
		io.WriteString(server, "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 5\r\n\r\nbus")
		io.Copy(io.Discard, server)
	}()
	return client, nil
}

func TestCloseUnderItsReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := http.Client{Transport: &http.Transport{DialContext: dial}}
		resp, err := client.Get("http://hub.test/")
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		time.AfterFunc(3*time.Second, func() { resp.Body.Close() })
		text, err := io.ReadAll(resp.Body)
		fmt.Printf("read %q in %v, error: %t\n", text, time.Since(began), err != nil)
	})
}
GO
older=$(GOTOOLCHAIN=go1.26.8 go test -timeout 20s -v . 2>&1 || true)
newer=$(GOTOOLCHAIN=go1.27.3 go test -timeout 20s -v . 2>&1 || true)
printf 'go1.26.8: %s\ngo1.27.3: %s\n' "$(grep -m1 -E '^read|timed out' <<<"$older")" "$(grep -m1 -E '^read|timed out' <<<"$newer")"
grep -q '^read "bus" in 3s, error: true' <<<"$older" || { echo 'Go 1.26.8 behaves otherwise now'; exit 1; }
{ grep -q 'test timed out' <<<"$newer" && grep -q 'sync.Mutex.Lock.*synctest bubble' <<<"$newer"; } || { echo 'Go 1.27.3 behaves otherwise now'; exit 1; }
