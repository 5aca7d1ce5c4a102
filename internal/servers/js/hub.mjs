// What a Hub does, as far as the tests need it, and its books. It knows no server: each server gives it requests,
// streams and sockets in the form below, and keeps to itself how they are made.

export const settings = {
	comments: 15_000, // ms between two keep-alive comments
	endSilent: 0, // ms after which a stream that is silent ends, where the runtime does not do it; 0: never
	dropSilent: 0, // ms after which a socket is dropped over which nothing came
	largest: 0, // bytes of a message; 0: what the library takes
	largestBody: 0, // bytes of a request; 0: what the library takes
	compress: false, // what may be compressed
	...JSON.parse(process.env.HUB_SETTINGS || '{}'),
};

// started tells the test where the server is. Everything else that is printed is for people.
export function started(port, version) {
	console.log(JSON.stringify({ port, version }));
}

const sessions = new Map();
const longer = () => new Promise((resolve) => setTimeout(resolve, 14_000)); // than Bun waits for an answer
const creates = {}; // how often each task arrived

// A session behaves as its metadata say.
async function createSession({ task, metadata }) {
	creates[task] = (creates[task] ?? 0) + 1;
	const id = `codesess_${(sessions.size + 1).toString(16).padStart(12, '0')}`;
	sessions.set(id, {
		id,
		task,
		behaviour: metadata?.behaviour,
		createdAt: new Date().toISOString(),
		observers: new Set(),
		members: new Set(),
		books: { reads: 0, streams: 0, observers: 0, encodings: [], sockets: 0, heard: [] },
	});
	if (metadata?.behaviour === 'slow create') await longer();
	return { sessionId: id, status: 'active' };
}

async function readSession(session) {
	session.books.reads++;
	if (session.behaviour === 'slow read' && session.books.reads === 1) await longer();
	return detail(session);
}

const detail = (session) => ({
	sessionId: session.id,
	label: session.task.slice(0, 30),
	status: 'active',
	mode: 'sandbox',
	bucket: 'running',
	createdAt: session.createdAt,
	taskCount: 0,
	subAgentCount: 0,
	observerCount: session.observers.size,
	participantCount: session.members.size,
	runtimeAvailable: true,
	controlAvailable: true,
	wakeAvailable: false,
	historyOnly: false,
});

const unknown = {
	status: 404,
	body: { success: false, code: 'CODER_SESSION_NOT_FOUND', message: 'Session not found' },
};

// answer answers a request: status and body. What begins with /control is for the test.
export async function answer(method, path, body) {
	switch (`${method} ${path}`) {
		case 'POST /api/hub/session':
			return { status: 201, body: await createSession(body) };
		case 'POST /control/emit':
			return { status: 200, body: emit(body) };
		case 'GET /control/books':
			return {
				status: 200,
				body: { creates, sessions: Object.fromEntries([...sessions].map(([id, s]) => [id, s.books])) },
			};
	}
	const session = sessions.get(/^\/api\/hub\/session\/([^/]+)$/.exec(path)?.[1]);
	return session && method === 'GET' ? { status: 200, body: await readSession(session) } : unknown;
}

// emit sends a message to everybody in a session, and tells to how many.
function emit({ sessionId, message }) {
	const { observers, members } = sessions.get(sessionId);
	for (const everybody of [observers, members]) {
		for (const one of everybody) one.send({ ...message, sessionId, timestamp: Date.now() });
	}
	return { reached: observers.size + members.size };
}

// streamed returns the session whose stream a request is for, if it is one.
export const streamed = (path) => sessions.get(/^\/api\/hub\/session\/([^/]+)\/events$/.exec(path)?.[1]);

// observe serves a stream: { send(message), comment(), end() }. It returns what to call when the stream is gone.
export function observe(session, acceptEncoding, stream) {
	session.books.streams++;
	session.books.encodings.push(acceptEncoding ?? '');
	session.observers.add(stream);
	session.books.observers = session.observers.size;
	stream.send({
		type: 'snapshot',
		sessionId: session.id,
		label: session.task.slice(0, 30),
		status: 'active',
		createdAt: session.createdAt,
		mode: 'sandbox',
		participants: [],
		taskCount: 0,
		agentActivity: {},
	});
	stream.send({ type: 'hydration', sessionId: session.id, entries: said(session) });
	stream.send(joined(session));
	const comments = setInterval(() => stream.comment(), settings.comments);
	const leave = () => {
		clearInterval(comments);
		session.observers.delete(stream);
		session.books.observers = session.observers.size;
	};
	if (session.behaviour === 'greets') {
		leave();
		stream.end();
	}
	return leave;
}

// said is the conversation so far.
const said = (session) => [{ type: 'user_prompt', content: session.task, timestamp: Date.now() }];

// joined is what a Hub tells everybody about somebody who has come, himself included.
const joined = (session) => ({
	type: 'broadcast',
	event: 'session_join',
	category: 'session',
	data: { participant: { id: `p_${session.books.streams}`, role: 'observer', transport: 'sse' } },
	sessionId: session.id,
	timestamp: Date.now(),
});

// connect serves a socket: { send(message), close(code), cut(), deafen() }. It returns undefined for a session that
// there is not, else { hear(text), leave() }.
export function connect(query, socket) {
	const session = sessions.get(query.get('sessionId'));
	if (!session) {
		socket.close(4404);
		return undefined;
	}
	const { books } = session;
	books.sockets++;
	const role = query.get('role');
	const leave = () => session.members.delete(socket);
	const hear = (text) => {
		const message = JSON.parse(text);
		switch (message.type) {
			case undefined: // the first message, with the key
				return;
			case 'bootstrap_ready':
				socket.send({ type: 'session_hydration', sessionId: session.id, resumedAt: Date.now(), entries: said(session), leadConnected: true });
				session.members.add(socket);
				return;
			case 'ping':
				socket.send({ type: 'pong', timestamp: Date.now(), echoedTimestamp: message.timestamp });
				return;
			case 'event':
				books.heard.push(message.event);
				if (message.event === 'unanswered') return;
				socket.send({ id: message.id, actions: [{ action: 'ACK' }] });
				if (message.event === 'deafen') socket.deafen(); // nothing more is read over it
				return;
		}
	};
	socket.send({ type: 'init', role, sessionId: session.id });
	if (session.behaviour === 'greets') {
		socket.send(joined(session));
		if (books.sockets % 2) socket.close(1001);
		else socket.cut();
	}
	return { hear, leave };
}

// chatter is what a socket says that does not read.
export const chatter = (send) => setInterval(() => send({ type: 'pong', timestamp: Date.now() }), 100);

// block is a message in the form of a stream of events.
export const block = (message) => `event: ${message.type}\ndata: ${JSON.stringify(message)}\n\n`;

// silence calls done when touch was not called for as long.
export function silence(ms, done) {
	if (!ms) return { touch() {}, stop() {} };
	let timer = setTimeout(done, ms);
	return {
		touch() {
			clearTimeout(timer);
			timer = setTimeout(done, ms);
		},
		stop: () => clearTimeout(timer),
	};
}
