// A Hub on Bun.serve, with the defaults of Bun: above all it ends connections over which it has said nothing for 10 s.
import { answer, block, connect, observe, settings, started, streamed } from './hub.mjs';

const server = Bun.serve({
	port: 0,
	hostname: '127.0.0.1',
	maxRequestBodySize: settings.largestBody || undefined,
	async fetch(request, server) {
		const { pathname, searchParams } = new URL(request.url);
		if (pathname === '/api/ws') {
			return server.upgrade(request, { data: { query: searchParams } }) ? undefined : new Response('', { status: 400 });
		}
		const session = streamed(pathname);
		if (session) return stream(session, request);
		const text = await request.text();
		const { status, body } = await answer(request.method, pathname, text && JSON.parse(text));
		return Response.json(body, { status });
	},
	websocket: {
		maxPayloadLength: settings.largest || undefined,
		// Pings of its own would keep a connection whose client sends none.
		...(settings.dropSilent ? { idleTimeout: settings.dropSilent / 1000, sendPings: false } : {}),
		open(socket) {
			const send = (message) => socket.send(JSON.stringify(message));
			socket.data.member = connect(socket.data.query, {
				send,
				close: (code) => socket.close(code),
				cut: () => socket.terminate(),
				// A ServerWebSocket cannot be told not to read. The answer is sent before.
				deafen: () => setTimeout(() => Bun.sleepSync(7000)),
			});
		},
		message: (socket, text) => socket.data.member?.hear(text),
		close: (socket) => socket.data.member?.leave(),
	},
});

function stream(session, request) {
	const accepted = request.headers.get('Accept-Encoding');
	const encoder = new TextEncoder();
	let leave;
	let body = new ReadableStream({
		start(controller) {
			const write = (text) => controller.enqueue(encoder.encode(text));
			leave = observe(session, accepted, {
				send: (message) => write(block(message)),
				comment: () => write(': keep-alive\n\n'),
				end: () => controller.close(),
			});
		},
		cancel: () => leave(),
	});
	request.signal.addEventListener('abort', () => leave());
	const headers = { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-cache' };
	if (settings.compress && /\bgzip\b/.test(accepted)) {
		headers['Content-Encoding'] = 'gzip';
		body = body.pipeThrough(new CompressionStream('gzip'));
	}
	return new Response(body, { headers });
}

started(server.port, `Bun ${Bun.version}`);
