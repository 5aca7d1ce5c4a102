#!/usr/bin/env bash
# A client of a Model Context Protocol server on stdio writes its last request, closes its end, and reads until the answer
# is there: a shell pipe, a CI job. A server made with the official Go SDK has begun to run the tool by then, waits until the tool has
# ended, and then does not write the answer, although stdout is open: Server.Run returns nil, and the program ends with status 0.
# The work is done and nobody hears of it. If the client writes all requests at once, the tool is not even begun. A server
# made with the official TypeScript SDK answers in both cases, and ends then. One would expect what a half-closed connection
# means elsewhere: no more requests come, and those that came are answered, as http.Server.Shutdown does.
#
# Seen on 2026-11-29 (linux/amd64, Go 1.26.8, Node 20.20.2): github.com/modelcontextprotocol/go-sdk v1.8.0: 0 of 5
# calls are answered in each case, although the tool has run 5 of 5 times in the first; @modelcontextprotocol/sdk 1.32.2: 5 of 5 in each.
# Needs Go, and Node with npm. Exits 1 if it behaves otherwise.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

mkdir go node
cat >go/go.mod <<'MOD'
module example.com/finding

go 1.26.0

require github.com/modelcontextprotocol/go-sdk v1.8.0
MOD
cat >go/main.go <<'GO'
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

func main() {
	server := mcp.NewServer(&mcp.Implementation{Name: "finding", Version: "1"}, nil)
	mcp.AddTool(server, &mcp.Tool{Name: "work"}, func(ctx context.Context, _ *mcp.CallToolRequest, _ any) (*mcp.CallToolResult, any, error) {
		fmt.Fprintln(os.Stderr, "the tool begins")
		time.Sleep(300 * time.Millisecond)
		fmt.Fprintln(os.Stderr, "the tool ends")
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "done"}}}, nil, nil
	})
	err := server.Run(context.Background(), &mcp.StdioTransport{})
	fmt.Fprintln(os.Stderr, "Run has returned:", err)
}
GO
(cd go && GOFLAGS=-mod=mod go build -o ../server . 2>build.log) || { cat go/build.log; exit 1; }

printf '{"private":true,"type":"module","dependencies":{"@modelcontextprotocol/sdk":"1.32.2"}}\n' >node/package.json
(cd node && npm install --no-audit --no-fund --silent --ignore-scripts)
cat >node/server.mjs <<'JS'
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { StdioServerTransport } from "@modelcontextprotocol/sdk/server/stdio.js";
const server = new McpServer({ name: "finding", version: "1" });
server.registerTool("work", { description: "works" }, async () => {
  await new Promise((resolve) => setTimeout(resolve, 300));
  return { content: [{ type: "text", text: "done" }] };
});
await server.connect(new StdioServerTransport());
JS

initialize='{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"c","version":"1"}}}'
initialized='{"jsonrpc":"2.0","method":"notifications/initialized"}'
call='{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"work","arguments":{}}}'

# patient closes its end when the tool has begun, hasty when everything is written.
patient() { printf '%s\n' "$initialize"; sleep 1; printf '%s\n' "$initialized" "$call"; sleep 0.15; }
hasty() { printf '%s\n' "$initialize" "$initialized" "$call"; }

# tally CLIENT COMMAND...: of five calls, how many are answered, begun, and ended.
tally() {
	local client=$1 answered=0
	shift
	: >said
	for _ in {1..5}; do
		"$client" | "$@" >out 2>>said
		if grep -q '"id":2' out; then answered=$((answered + 1)); fi
	done
	echo "answered $answered, begun $(grep -c 'the tool begins' said), ended $(grep -c 'the tool ends' said), Run returned nil $(grep -c 'Run has returned: <nil>' said)"
}

patient_go=$(tally patient ./server)
hasty_go=$(tally hasty ./server)
patient_node=$(tally patient node node/server.mjs)
hasty_node=$(tally hasty node node/server.mjs)
echo "Go SDK v1.8.0, closed after the tool has begun: $patient_go"
echo "Go SDK v1.8.0, closed at once:                  $hasty_go"
echo "TypeScript SDK 1.32.2, after it has begun:      $patient_node"
echo "TypeScript SDK 1.32.2, at once:                 $hasty_node"
[[ $patient_go == "answered 0, begun 5, ended 5, Run returned nil 5" && $hasty_go == "answered 0,"*"ended 0, Run returned nil 5" &&
	$patient_node == "answered 5,"* && $hasty_node == "answered 5,"* ]] || { echo "it behaves otherwise"; exit 1; }
