// Runs the original client for the Go tests, as lines.mjs says:
//
//   {"op":"call","method":"getSession","args":["id"],"options":{"url":…},"env":{…},"keep":"name"}
//
// An argument {"$bytes":"aGk="}, at any depth, stands for a Uint8Array, given as base64. Clients
// live for one call unless "keep" gives them a name. The other operations are "function" (a
// function that the package exports) and "describe" (see shapes.mjs).
import * as coder from '@agentuity/core/coder';
import { skipWaits } from './clock.mjs';
import { serve } from './lines.mjs';
import { describe } from './shapes.mjs';

skipWaits('@agentuity/core');

const kept = new Map();

function setEnvironment(env) {
	for (const name of Object.keys(process.env)) {
		if (name.startsWith('AGENTUITY_')) delete process.env[name];
	}
	Object.assign(process.env, env);
}

function revive(value) {
	if (Array.isArray(value)) return value.map(revive);
	if (value === null || typeof value !== 'object') return value;
	if (typeof value.$bytes === 'string') return new Uint8Array(Buffer.from(value.$bytes, 'base64'));
	return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, revive(member)]));
}

await serve({
	async call({ method, args = [], options, env = {}, keep }) {
		setEnvironment(env);
		const client = kept.get(keep) ?? new coder.CoderClient(options);
		if (keep) kept.set(keep, client);
		return client[method](...args.map(revive));
	},
	function: ({ method, args = [] }) => coder[method](...args),
	describe,
});
