// Package servers puts the client before servers that are not written in Go, on the JavaScript runtimes that a
// Hub may run on: Bun.serve, Node's own HTTP server with ws, and Hono. It asserts a matrix: one row a
// server, one column a property of the live channels or of creates.
//
// The suite runs with `make servers`, which installs the runtimes and libraries from the lock file in js. It is behind
// the build tag "servers". js/hub.mjs is what the servers share: the behaviour of a Hub, as far as the tests
// need it, and its books. Each server is a process of its own on a free port of the loopback interface, and is ended
// by its own process id. What the suite has found is in docs/servers.md.
package servers
