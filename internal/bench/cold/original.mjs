// Makes one call with the original client and ends.
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const installed = createRequire(new URL('../../parity/node/package.json', import.meta.url));
const { CoderClient } = await import(pathToFileURL(installed.resolve('@agentuity/core/coder')));

const [url, id] = process.argv.slice(2);
const session = await new CoderClient({ url, apiKey: 'key' }).getSession(id);
console.log(session.sessionId, session.repo.branch);
process.exit(0); // a connection that is kept alive would keep it waiting
