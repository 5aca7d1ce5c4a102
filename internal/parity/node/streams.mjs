// Follows sessions with the original's clients for live channels, for the Go tests, as lines.mjs
// says. It is a process of its own: here waits are not skipped, and there is a WebSocket.
//
//   {"op":"open","name":"a","kind":"socket","options":{"url":…}}    see "kinds"
//   {"op":"next","name":"a","patience":5000}                        what it noticed, null for nothing
//   {"op":"send","name":"a","message":{…}}
//   {"op":"request","name":"a","message":{…},"patience":1000}       noticed as "answer" or "failure"
//   {"op":"close","name":"a"}
import * as coder from '@agentuity/core/coder';
import { serve } from './lines.mjs';

// What a client has noticed: init, message, error, close, end, answer or failure.
class Notices {
	#list = [];
	#wake = () => {};

	push(kind, value, valid) {
		this.#list.push({ kind, value, valid });
		this.#wake();
	}

	// Sockets pass messages on unseen; whether the original has a schema for one is told as well.
	message(message) {
		this.push('message', message, coder.parseServerMessage(message) !== null);
	}

	async next(patience) {
		if (this.#list.length === 0) {
			let timer;
			await new Promise((resolve) => {
				this.#wake = resolve;
				timer = setTimeout(resolve, patience);
			});
			clearTimeout(timer);
		}
		return this.#list.shift() ?? null;
	}
}

function described(err) {
	const { name, message, code, sessionId, serverCode, serverMessage, serverMessageType, closeCode, closeReason } = err;
	return { name, message, code, sessionId, serverCode, serverMessage, serverMessageType, closeCode, closeReason };
}

async function iterate(notices, messages, note = (message) => notices.push('message', message)) {
	try {
		for await (const message of messages) note(message);
		notices.push('end');
	} catch (err) {
		notices.push('error', described(err));
	}
}

const kinds = {
	// the iterator over a stream of events
	events(options, notices) {
		const controller = new AbortController();
		iterate(notices, coder.streamCoderSessionSSE({ ...options, signal: controller.signal }));
		return { close: () => controller.abort() };
	},
	// the class for the same
	eventClient(options, notices) {
		const client = new coder.CoderSSEClient({
			...options,
			onEvent: (event) => notices.push('message', event),
			onError: (err) => notices.push('error', described(err)),
		});
		client.connect();
		return client;
	},
	// the class for a WebSocket
	socket(options, notices) {
		const client = new coder.CoderHubWebSocketClient({
			...options,
			onInit: (init) => notices.push('init', init),
			onMessage: (message) => notices.message(message),
			onError: (err) => notices.push('error', described(err)),
			onClose: (code, reason) => notices.push('close', { closeCode: code, closeReason: reason }),
		});
		client.connect();
		return client;
	},
	// the iterator over the same; its own end closes it
	subscription(options, notices) {
		const messages = coder.subscribeToCoderHub({ ...options, onInit: (init) => notices.push('init', init) });
		iterate(notices, messages, (message) => notices.message(message));
		return { close: () => {} };
	},
};

const open = new Map();

await serve({
	open({ name, kind, options }) {
		const notices = new Notices();
		open.set(name, { notices, client: kinds[kind](options, notices) });
	},
	next: ({ name, patience }) => open.get(name).notices.next(patience),
	send: ({ name, message }) => open.get(name).client.send(message),
	request({ name, message, patience }) {
		const { client, notices } = open.get(name);
		client.sendAndWait(message, patience).then(
			(answer) => notices.push('answer', answer),
			(err) => notices.push('failure', described(err)),
		);
	},
	state: ({ name }) => open.get(name).client.state,
	close({ name }) {
		open.get(name).client.close();
		open.delete(name);
	},
});
process.exit(0); // whatever was left open
