// A Hub on Hono: its server for Node, its streams of events, its compression, and its WebSockets.
import { readFileSync } from 'node:fs';
import { serve, upgradeWebSocket } from '@hono/node-server';
import { Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { compress } from 'hono/compress';
import { streamSSE } from 'hono/streaming';
import { WebSocketServer } from 'ws';
import { answer, chatter, connect, observe, settings, silence, started, streamed } from './hub.mjs';

const app = new Hono();

if (settings.compress) {
	// By default Hono compresses no stream of events: not by its type, and not with a Transfer-Encoding.
	app.use(compress({ threshold: 0, contentTypeFilter: /./ }));
	app.use(async (c, next) => {
		await next();
		c.res.headers.delete('Transfer-Encoding');
	});
}

if (settings.largestBody) app.use(bodyLimit({ maxSize: settings.largestBody }));

app.get('/api/ws', upgradeWebSocket((c) => {
	let member;
	return {
		onOpen(_, socket) {
			if (settings.dropSilent) socket.raw._socket.setTimeout(settings.dropSilent, () => socket.raw.terminate());
			const send = (message) => socket.send(JSON.stringify(message));
			member = connect(new URL(c.req.url).searchParams, {
				send,
				close: (code) => socket.close(code),
				cut: () => socket.raw.terminate(),
				deafen() {
					socket.raw.pause();
					chatter(send);
				},
			});
		},
		onMessage: (event) => member?.hear(event.data),
		onError: (event) => console.error(String(event.error)),
		onClose: () => member?.leave(),
	};
}));

app.get('/api/hub/session/:id/events', (c) => {
	const session = streamed(c.req.path);
	if (!session) return c.notFound();
	return streamSSE(c, async (stream) => {
		let end;
		const ended = new Promise((resolve) => { end = resolve; });
		const silent = silence(settings.endSilent, () => end());
		let written = Promise.resolve(); // writeSSE returns when the reader has taken the block
		const write = (work) => {
			silent.touch();
			written = written.then(work);
		};
		const leave = observe(session, c.req.header('Accept-Encoding'), {
			send: (message) => write(() => stream.writeSSE({ event: message.type, data: JSON.stringify(message) })),
			comment: () => write(() => stream.write(': keep-alive\n\n')),
			end: () => end(),
		});
		stream.onAbort(end);
		await ended; // when this function returns, the stream is over
		silent.stop();
		leave();
		if (!stream.aborted) await written;
	});
});

app.all('*', async (c) => {
	const text = await c.req.text();
	const { status, body } = await answer(c.req.method, c.req.path, text && JSON.parse(text));
	return c.json(body, status);
});

const sockets = new WebSocketServer({ noServer: true, maxPayload: settings.largest || undefined });
serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1', websocket: { server: sockets } }, ({ port }) => {
	const version = (name) => JSON.parse(readFileSync(new URL(`node_modules/${name}/package.json`, import.meta.url))).version;
	started(port, `Hono ${version('hono')}, node-server ${version('@hono/node-server')}`);
});
