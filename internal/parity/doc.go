// Package parity compares this module with the client it is a port of, the CoderClient of the npm
// package @agentuity/core: what the two send, what they make of the answers, and what they know.
//
// The suite runs with `make parity`. It is behind the build tag "parity" because it needs Node and
// the package from npm, which nobody should need to run `go test ./...`; a test that skips itself
// when Node is missing would pass for ever on a machine that lost it. The original is installed
// from the lock file in node/, for development only. A driver there runs it in one process for all
// scenarios; both clients talk to one recording server, or to a Hub of package codertest. Another
// driver follows sessions of such Hubs over streams of events and WebSockets: what it does there, a
// client of this module does after it, and a tap between client and Hub has what they said.
//
// What differs on purpose is listed in docs/differences.md. Each of those differences is asserted,
// and any other fails the suite; so does a difference that is listed and no longer there. The
// scenarios are generated from the original's own schemas, from a seed that can be set
// (`make parity SEED=7`).
package parity
