#!/usr/bin/env bash
# One program, one pinned module, two kinds of JSON: github.com/go-json-experiment/json v1.27.2 is the
# standard encoding/json/v2 under Go 1.27 and its mirror before. Only the standard one knows json.Number of
# encoding/json. Under Go 1.26 the mirror takes it for a plain string type: it writes the number as a JSON
# string, and refuses to read a JSON number into it. A client that keeps whole numbers of more than 53 bits as
# json.Number sends another type of value when it is built with the other Go, without an error.
#
# Seen on 2026-11-28 (linux/amd64):
#   go1.26.8: {"id":"9007199254740993"}, reading fails: cannot unmarshal JSON number into Go json.Number
#   go1.27.3: {"id":9007199254740993},   reading gives 9007199254740993
#
# Needs Go 1.26 or later, and the Go module proxy for the module and the second Go. Exits 1 if it behaves otherwise.
set -euo pipefail
folder=$(mktemp -d)
trap 'chmod -R u+w "$folder"; rm -rf "$folder"' EXIT
cd "$folder"

cat >go.mod <<'MOD'
module number

go 1.26

require github.com/go-json-experiment/json v1.27.2
MOD
cat >main.go <<'GO'
package main

import (
	v1 "encoding/json"
	"fmt"

	v2 "github.com/go-json-experiment/json"
)

func main() {
	text, err := v2.Marshal(map[string]any{"id": v1.Number("9007199254740993")})
	fmt.Println(string(text), err)
	var read struct {
		ID v1.Number `json:"id"`
	}
	fmt.Println(v2.Unmarshal([]byte(`{"id":9007199254740993}`), &read) == nil, read.ID)
}
GO
export GOFLAGS=-mod=mod
go mod tidy >/dev/null 2>&1
older=$(GOTOOLCHAIN=go1.26.8 go run .)
newer=$(GOTOOLCHAIN=go1.27.3 go run .)
printf 'go1.26.8:\n%s\ngo1.27.3:\n%s\n' "$older" "$newer"
[[ $older == $'{"id":"9007199254740993"} <nil>\nfalse ' ]] || { echo 'Go 1.26.8 behaves otherwise now'; exit 1; }
[[ $newer == $'{"id":9007199254740993} <nil>\ntrue 9007199254740993' ]] || { echo 'Go 1.27.3 behaves otherwise now'; exit 1; }
