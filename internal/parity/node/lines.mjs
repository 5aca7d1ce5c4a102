// Carries out orders: one JSON object a line in, one out, in the same order. What an operation
// returns is answered as {"result":…}, without the member for undefined, what it throws as
// {"error":{"name":…,"message":…,…}}.
import { createInterface } from 'node:readline';

function failure(err) {
	const { name, message, status, url, issues, sessionId, upgradeUrl, region } = err;
	return { name, message, status, url, issues, sessionId, upgradeUrl, region };
}

export async function serve(operations) {
	for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
		const order = JSON.parse(line);
		let answer;
		try {
			answer = { result: await operations[order.op](order) };
		} catch (err) {
			answer = { error: failure(err) };
		}
		process.stdout.write(`${JSON.stringify(answer)}\n`);
	}
}
