// Runs the original client for one measurement: an order as JSON is the argument, one line of JSON
// is the result. See order and measured in client.go.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

// The installation is that of the parity suite.
const installed = createRequire(new URL('../parity/node/package.json', import.meta.url));
const { CoderClient, CoderSSEClient, streamCoderSessionSSE } =
	await import(pathToFileURL(installed.resolve('@agentuity/core/coder')));

const order = JSON.parse(process.argv[2]);
const { url, n, warm, parallel, size, pause } = order;
const id = 'codesess_7f3a9c21b4e0';
const options = { url, apiKey: 'key' };

function right(ok, what) {
	if (!ok) throw new Error(`unexpected content: ${JSON.stringify(what)}`);
	return { things: 1, chars: 0 };
}

async function get(client) {
	const s = await client.getSession(id);
	return right(
		s.sessionId === id && s.repo.branch === 'feature/oauth' && s.metadata.ticket === 'AUTH-7' &&
			s.enabledAgents.length === 3 && s.updatedAt.startsWith('2026'),
		s
	);
}

// calls makes n calls, so many at a time.
function calls(call) {
	return async (n) => {
		const all = { things: 0, chars: 0 };
		let left = n;
		const loop = async () => {
			while (left-- > 0) {
				const { things, chars } = await call();
				all.things += things;
				all.chars += chars;
			}
		};
		await Promise.all(Array.from({ length: Math.max(parallel, 1) }, loop));
		return all;
	};
}

// count checks and counts an event, and tells whether it was the last.
function count(found, data) {
	if (data.type !== 'broadcast' || data.sessionId !== id || !data.timestamp) throw new Error('an event is not what was sent');
	if (data.event === 'session_shutdown') return true;
	found.things++;
	found.chars += data.data.assistantMessageEvent.delta.length;
	return false;
}

// iterate is a loop that may take its time for each event. It does not connect again: the server
// is through when a slow loop has only begun, and would be asked for everything once more.
async function iterate(n) {
	const found = { things: 0, chars: 0 };
	const stream = streamCoderSessionSSE({ ...options, sessionId: `events-${n}-of-${size}`, reconnect: false });
	for await (const { data } of stream) {
		if (count(found, data)) break;
		if (pause > 0) await new Promise((resolve) => setTimeout(resolve, pause));
	}
	return found;
}

const tasks = {
	get() {
		const client = new CoderClient(options);
		return calls(() => get(client));
	},
	first() {
		process.env.AGENTUITY_CATALYST_URL = url;
		const client = new CoderClient({ apiKey: 'key' });
		return calls(() => get(client));
	},
	list() {
		const client = new CoderClient(options);
		return calls(async () => {
			const { sessions } = await client.listSessions({ limit: size });
			return { things: sessions.filter((s) => s.sessionId === id && s.repo.branch === 'feature/oauth').length, chars: 0 };
		});
	},
	replay() {
		const client = new CoderClient(options);
		return calls(async () => {
			const { entries } = await client.getReplay(`replay-${size}`);
			return { things: entries.length, chars: entries.reduce((sum, e) => sum + (e.content?.length ?? 0), 0) };
		});
	},
	events: () => iterate,
	// The class with callbacks does less for each event.
	callbacks: () => (n) =>
		new Promise((resolve, reject) => {
			const found = { things: 0, chars: 0 };
			const stream = new CoderSSEClient({
				...options,
				sessionId: `events-${n}-of-${size}`,
				onBroadcast(data) {
					if (!count(found, data)) return;
					stream.close();
					resolve(found);
				},
				onError: reject,
			});
			stream.connect();
		}),
};

async function counters() {
	return (await fetch(`${url}/counters`)).json();
}

const work = tasks[order.task]();
if (warm > 0) await work(warm);
const before = await counters();
const cpu = process.cpuUsage();
const began = performance.now();
const { things, chars } = await work(n);
const wall = (performance.now() - began) / 1e3;
const { user, system } = process.cpuUsage(cpu);
const after = await counters();
const peak = Number(/VmHWM:\s*(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'))[1]);
console.log(
	JSON.stringify({
		n, wall, cpu: (user + system) / 1e6, peakMB: (peak * 1024) / 1e6,
		discoveries: after.discoveries - before.discoveries, seen: things, chars,
	})
);
process.exit(0); // connections that are kept alive would keep it waiting
