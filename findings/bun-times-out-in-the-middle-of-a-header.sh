#!/usr/bin/env bash
# Bun.serve answers with a stream (as servers of agents do: text/event-stream, NDJSON) that has brought nothing
# when its idleTimeout is over. Bun then sends the status line and the header lines, not the blank line that ends
# them, and closes the connection. Node's fetch, Bun's own and net/http report an error. curl reports a success:
# exit status 0, the status of the line, 201, and an empty body; a script with `curl --fail` that creates something
# goes on as if the answer had been empty. One would expect of Bun nothing at all, or 408 or 504, and of curl
# exit status 52 or 18.
#
# Seen on 2026-11-28 (linux/amd64): Bun 1.4.5, curl 7.88.1 (Debian 12), Node 20.20.2.
# Needs Node with npm, and curl. Exits 1 if it behaves otherwise.
set -euo pipefail
folder=$(mktemp -d)
trap 'kill "${server:-}" 2>/dev/null || true; rm -rf "$folder"' EXIT
cd "$folder"

printf '{"private":true,"dependencies":{"bun":"1.4.5"}}\n' >package.json
npm install --no-audit --no-fund --silent --ignore-scripts
(cd node_modules/bun && node install.js >/dev/null)

cat >server.mjs <<'JS'
const server = Bun.serve({
  port: 0,
  hostname: "127.0.0.1",
  idleTimeout: 1,
  fetch: () =>
    new Response(
      new ReadableStream({
        async pull(controller) {
          await Bun.sleep(30_000); // the model thinks
          controller.enqueue("data: {}\n\n");
          controller.close();
        },
      }),
      { status: 201, headers: { "content-type": "text/event-stream" } },
    ),
});
console.log(server.port);
JS
node_modules/bun/bin/bun.exe server.mjs >port 2>server.log &
server=$!
for _ in $(seq 100); do [[ -s port ]] && break; sleep 0.1; done
port=$(<port)

cat >raw.mjs <<'JS'
import net from "node:net";
let text = "";
const socket = net.connect(Number(process.argv[2]), "127.0.0.1", () => socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
socket.on("data", (part) => (text += part));
socket.on("close", () => console.log(text.startsWith("HTTP/1.1 201"), text.includes("\r\n\r\n")));
JS
cat >fetch.mjs <<'JS'
await fetch(`http://127.0.0.1:${process.argv[2]}`).then((r) => console.log(r.status), () => console.log("an error"));
JS

expect() { # WHAT WANTED GOT
	printf '%s: %s\n' "$1" "$3"
	[[ "$3" == "$2" ]] || { printf 'changed: it was "%s"\n' "$2"; exit 1; }
}
printf 'bun %s, node %s, %s\n' "$(node_modules/bun/bin/bun.exe --version)" "$(node --version)" "$(curl --version | head -n 1 | cut -d ' ' -f 1,2)"
expect 'begins with the status line, ends the header' 'true false' "$(node raw.mjs "$port")"
expect 'fetch of Node' 'an error' "$(node fetch.mjs "$port")"
status=0
body=$(curl --fail --silent --write-out '%{http_code}' "http://127.0.0.1:$port/") || status=$?
expect 'curl --fail: exit status, status and body' '0 201' "$status $body"
