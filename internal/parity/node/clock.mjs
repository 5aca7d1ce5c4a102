// Lets the waits of one package pass at once. The client repeats some requests after seconds, for
// up to half a minute; nobody should wait for that, and Date.now has to agree that time went by.
// Timers that others set, those of fetch above all, stay as they are.
export function skipWaits(packageName) {
	const { setTimeout, Date } = globalThis;
	const now = Date.now;
	let skipped = 0;
	Date.now = () => now() + skipped;
	globalThis.setTimeout = (callback, delay = 0, ...args) => {
		if (!new Error().stack.includes(packageName)) return setTimeout(callback, delay, ...args);
		skipped += delay;
		return setImmediate(callback, ...args);
	};
}
