// Describes what the original client knows: its methods, the schemas that each of them really
// checks requests and answers with, and the schemas and lists of names that the package exports.
import * as coder from '@agentuity/core/coder';
import { APIClient } from '@agentuity/core/api';

// Every call ends in APIClient.request, which is given the two schemas. Most of them are exported
// nowhere, so they are picked up there.
async function schemasOf(method, args) {
	const { request } = APIClient.prototype;
	let found = {};
	APIClient.prototype.request = async (_method, _endpoint, response, _body, body) => {
		found = { response: response && shape(response), body: body && shape(body) };
		throw new Error('described');
	};
	try {
		await new coder.CoderClient({ url: 'http://hub.invalid' })[method](...args);
	} catch (err) {
		if (err.message !== 'described') throw err;
	} finally {
		APIClient.prototype.request = request;
	}
	return found;
}

// "args" has arguments for each method that get as far as a request.
export async function describe({ args }) {
	const methods = Object.getOwnPropertyNames(coder.CoderClient.prototype).filter((name) => name !== 'constructor');
	const calls = {};
	for (const method of Object.keys(args)) calls[method] = await schemasOf(method, args[method]);
	const schemas = {};
	const lists = {};
	for (const [name, value] of Object.entries(coder)) {
		if (name.endsWith('Schema')) schemas[name.slice(0, -'Schema'.length)] = shape(value);
		else if (Array.isArray(value)) lists[name] = value;
	}
	return { methods, calls, schemas, lists };
}

const literal = new Set(['string', 'boolean', 'unknown', 'any', 'null']);

export function shape(schema) {
	const { def } = schema._zod;
	switch (def.type) {
		case 'object':
			return {
				type: 'object',
				open: def.catchall !== undefined && def.catchall._zod.def.type !== 'never',
				members: Object.fromEntries(Object.entries(def.shape).map(([name, member]) => [name, shape(member)])),
			};
		case 'array':
			return { type: 'array', element: shape(def.element) };
		case 'record':
			return { type: 'record', element: shape(def.valueType) };
		case 'optional':
			return { ...shape(def.innerType), optional: true };
		case 'nullable':
			return { ...shape(def.innerType), nullable: true };
		case 'default':
			return { ...shape(def.innerType), optional: true, default: def.defaultValue };
		case 'enum':
			return { type: 'enum', values: Object.values(def.entries) };
		case 'literal':
			return { type: 'enum', values: def.values };
		case 'union':
			return { type: 'union', options: def.options.map(shape) };
		case 'number':
			return { type: 'number', integer: (def.checks ?? []).some((check) => check._zod?.def.format === 'safeint') };
		case 'custom':
			return { type: 'unknown' };
		case 'pipe':
			return shape(def.out);
		case 'lazy':
			return { type: 'unknown' };
		default:
			if (!literal.has(def.type)) throw new Error(`a schema of the unknown type ${def.type}`);
			return { type: def.type };
	}
}
