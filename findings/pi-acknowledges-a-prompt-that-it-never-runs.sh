#!/usr/bin/env bash
# The coding agent Pi in its RPC mode is sent two prompts, one right after the other, each with an id. It answers both
# with success true and the disposition "started". The model is called once, the conversation holds the first prompt only,
# and nothing is queued: the second prompt is gone. Meanwhile it prints agent_settled, which says that it has nothing more
# to do, before the first prompt has even begun. A program that counts a prompt as taken when it is acknowledged, or as
# done at the first agent_settled, waits for ever or shows the wrong answer. One would expect that the second is queued,
# or refused as a prompt is that comes a moment later ("Agent is already processing").
#
# Seen on 2026-11-28 (linux/amd64): @earendil-works/pi-coding-agent 1.6.0 and 0.74.2 on Node 26.10.0. 0.74.2 has no
# dispositions and no agent_settled; it loses the prompt in the same way.
# Needs Node and npm (any version: Pi's own Node comes with npm), and 600 MB. Exits 1 if it behaves otherwise.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

printf '{"private":true,"dependencies":{"@earendil-works/pi-coding-agent":"1.6.0","node":"26.10.0"}}\n' >package.json
npm install --no-audit --no-fund --silent
node=$PWD/node_modules/node/bin/node
[[ $("$node" --version) == v26.10.0 ]]

cat >try.mjs <<'JS'
import { createServer } from "node:http";
import { spawn } from "node:child_process";
import { mkdirSync, writeFileSync, readFileSync } from "node:fs";

// A model that answers every request.
let calls = 0;
const model = createServer((request, response) => {
  request.resume();
  request.on("end", () => {
    calls++;
    response.writeHead(200, { "content-type": "text/event-stream" });
    const send = (delta, reason, usage) =>
      response.write(`data: ${JSON.stringify({ id: "1", object: "chat.completion.chunk", created: 1, model: "m",
        choices: delta ? [{ index: 0, delta, finish_reason: reason }] : [], usage })}\n\n`);
    send({ role: "assistant", content: "An answer." }, null);
    send({}, "stop");
    send(null, null, { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 });
    response.end("data: [DONE]\n\n");
  });
});
await new Promise((listening) => model.listen(0, "127.0.0.1", listening));

mkdirSync("agent");
writeFileSync("agent/models.json", JSON.stringify({ providers: { stub: {
  baseUrl: `http://127.0.0.1:${model.address().port}/v1`, api: "openai-completions", apiKey: "none",
  models: [{ id: "m", contextWindow: 128000, maxTokens: 4096 }],
} } }));
const pi = "node_modules/@earendil-works/pi-coding-agent/";
const { bin } = JSON.parse(readFileSync(pi + "package.json"));
const agent = spawn(process.execPath, [pi + bin.pi, "--mode", "rpc", "--provider", "stub", "--model", "m"], {
  env: { PATH: process.env.PATH, HOME: process.cwd(), PI_CODING_AGENT_DIR: process.cwd() + "/agent",
    PI_OFFLINE: "1", PI_SKIP_VERSION_CHECK: "1", PI_TELEMETRY: "0" },
  stdio: ["pipe", "pipe", "inherit"],
});
const tell = (line) => agent.stdin.write(JSON.stringify(line) + "\n");

const seen = [];
let rest = "";
agent.stdout.on("data", (text) => {
  const lines = (rest + text).split("\n");
  rest = lines.pop();
  for (const line of lines) {
    const e = JSON.parse(line);
    switch (e.type) {
      case "response":
        if (e.command === "get_messages") {
          finish(e.data.messages);
          return;
        }
        if (e.command === "prompt") seen.push(`response ${e.id} ${e.success} ${e.data?.disposition}`);
        break;
      case "agent_start":
      case "agent_settled":
        seen.push(e.type);
        break;
      case "message_end":
        if (e.message.role !== "system") seen.push(`message ${e.message.role}`);
        break;
      case "agent_end":
        seen.push(e.type);
        setTimeout(() => tell({ type: "get_messages", id: "3" }), 5000); // time enough for a second run
    }
  }
});
tell({ type: "prompt", id: "1", message: "The first" });
tell({ type: "prompt", id: "2", message: "The second" });

function finish(messages) {
  const prompts = messages.filter((m) => m.role === "user").map((m) => m.content[0].text);
  console.log(seen.join("\n"));
  console.log(`calls of the model: ${calls}; prompts in the conversation: ${JSON.stringify(prompts)}`);
  agent.stdin.end();
  model.close();
}
JS
timeout 120 "$node" try.mjs | tee output
diff - output <<'TEXT'
response 1 true started
response 2 true started
agent_start
agent_settled
message user
message assistant
agent_end
agent_settled
calls of the model: 1; prompts in the conversation: ["The first"]
TEXT
