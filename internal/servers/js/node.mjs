// A Hub on Node's own HTTP server and the package ws.
import { createRequire } from 'node:module';
import { createServer } from 'node:http';
import { createGzip } from 'node:zlib';
import { WebSocketServer } from 'ws';
import { answer, block, chatter, connect, observe, settings, started, streamed } from './hub.mjs';

const server = createServer(async (request, response) => {
	const { pathname } = new URL(request.url, 'http://hub');
	const session = streamed(pathname);
	if (session) {
		stream(session, request, response);
		return;
	}
	if (settings.largestBody && request.headers['content-length'] > settings.largestBody) {
		response.writeHead(413, { Connection: 'close' }).end();
		return;
	}
	let text = '';
	for await (const part of request.setEncoding('utf8')) text += part;
	const { status, body } = await answer(request.method, pathname, text && JSON.parse(text));
	response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));
});

function stream(session, request, response) {
	const accepted = request.headers['accept-encoding'];
	const header = { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-cache' };
	let body = response;
	if (settings.compress && /\bgzip\b/.test(accepted)) {
		header['Content-Encoding'] = 'gzip';
		body = createGzip();
		body.pipe(response);
	}
	response.writeHead(200, header).flushHeaders();
	response.socket.setTimeout(settings.endSilent, () => response.destroy());
	const leave = observe(session, accepted, {
		send: (message) => body.write(block(message)),
		comment: () => body.write(': keep-alive\n\n'),
		end: () => body.end(),
	});
	response.on('close', leave);
}

const sockets = new WebSocketServer({ server, path: '/api/ws', maxPayload: settings.largest || undefined });
sockets.on('connection', (socket, request) => {
	if (settings.dropSilent) request.socket.setTimeout(settings.dropSilent, () => socket.terminate());
	const send = (message) => socket.send(JSON.stringify(message));
	const member = connect(new URL(request.url, 'http://hub').searchParams, {
		send,
		close: (code) => socket.close(code),
		cut: () => socket.terminate(),
		deafen() {
			socket.pause();
			chatter(send);
		},
	});
	socket.on('error', (error) => console.error(String(error)));
	socket.on('message', (text) => member?.hear(text));
	socket.on('close', () => member?.leave());
});

server.listen(0, '127.0.0.1', () => {
	const ws = createRequire(import.meta.url)('ws/package.json');
	started(server.address().port, `Node ${process.version.slice(1)}, ws ${ws.version}`);
});
