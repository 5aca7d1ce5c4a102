#!/usr/bin/env bash
# The extension that makes the coding agent Pi the lead of a session at the Agentuity Coder Hub connects again after the
# Hub was away. When its first attempt fails, because the Hub is not back yet, it goes on with two series of attempts side by side,
# and opens two connections as soon as the Hub is there: a failed attempt both rejects the promise of the connection, whose handler
# tries again, and closes the WebSocket, whose handler does so too. A Hub allows one lead. It admits the first connection
# and rejects the second, "session_active". The extension takes the rejection for the end of everything: it forgets the connection
# that was admitted, which stays open, and what it has to report is queued for ever. Whoever waits for the agent hears
# nothing more, although messages from the Hub still arrive there, and are obeyed.
# One would expect one series of attempts, or that a rejection ends the connection which it came on.
#
# Seen on 2026-11-28 (linux/amd64): @agentuity/coder-tui 2.0.21, its class for the connection alone, with the WebSocket of
# Node 26.10.0, against a Hub of 40 lines on ws 8.20.0. Needs npm, and a minute. Exits 1 if it behaves otherwise.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

printf '{"private":true,"dependencies":{"ws":"8.20.0","node":"26.10.0"}}\n' >package.json
npm install --no-audit --no-fund --silent
npm pack --silent @agentuity/coder-tui@2.0.21 >/dev/null # without the agent, of which this needs nothing
tar -xzf agentuity-coder-tui-2.0.21.tgz
node=$PWD/node_modules/node/bin/node
[[ $("$node" --version) == v26.10.0 ]]

cat >try.mjs <<'JS'
import { createServer } from "node:http";
import { WebSocketServer } from "ws";
import { HubClient } from "./package/dist/client.js";

// A Hub with one session, which has one lead.
const seen = [];
let reports = 0;
let lead;
function open(port) {
  const http = createServer();
  const sockets = new WebSocketServer({ server: http });
  sockets.on("connection", (socket) => {
    if (lead) {
      seen.push("rejected");
      socket.send(JSON.stringify({ type: "connection_rejected", code: "session_active", message: "Another lead is connected" }));
      socket.close(4409, "SESSION_ACTIVE");
      return;
    }
    seen.push("admitted");
    lead = socket;
    socket.on("message", () => reports++);
    socket.on("close", () => { lead = lead === socket ? undefined : lead; });
    socket.send(JSON.stringify({ type: "init", sessionId: "codesess_1" }));
  });
  return new Promise((listening) => http.listen(port, "127.0.0.1", () => listening({ http, sockets })));
}
async function close(hub) {
  for (const socket of hub.sockets.clients) socket.close(1001, "restart");
  hub.sockets.close();
  hub.http.closeAllConnections();
  await new Promise((closed) => hub.http.close(closed));
}
const after = (ms) => new Promise((done) => setTimeout(done, ms));

let hub = await open(0);
const { port } = hub.http.address();
const client = new HubClient();
let heard = 0;
client.onServerMessage = () => heard++;
await client.connect(`ws://127.0.0.1:${port}/api/ws?role=lead&sessionId=codesess_1`);

await close(hub);
await after(2500); // the first attempt comes after 1 to 2 s
hub = await open(port);
await after(20000); // the second after 2 to 3 s more; nothing comes after 20 s either

reports = 0;
client.sendNoWait({ type: "event", event: "turn_end", data: {} });
lead?.send(JSON.stringify({ type: "rpc_command", command: { type: "prompt", message: "Are you there?" } }));
await after(3000);
console.log(`connections: ${seen.join(", ")}; the admitted one is open: ${lead?.readyState === 1}`);
console.log(`client.connected: ${client.connected}; prompts heard: ${heard}; reports that arrived: ${reports}`);
process.exit(0);
JS

"$node" try.mjs 2>/dev/null >seen.txt
cat seen.txt
diff seen.txt - <<'SEEN'
connections: admitted, admitted, rejected; the admitted one is open: true
client.connected: false; prompts heard: 1; reports that arrived: 0
SEEN
