// Package gateways puts gateways that people really have, from Debian, between the client and a Hub of
// package codertest, and asserts a matrix on the books of that Hub: one row a gateway, one column a
// property.
//
// The suite runs with `make gateways`. It is behind the build
// tag "gateways" because it installs packages, which needs Debian bookworm and root; a test that skips
// itself when a gateway is missing would pass for ever on a machine that lost it.
//
// A gateway has one file: its package, its configuration, its quirks. Each is started in the foreground, on
// free ports of the loopback interface, with its configuration in a temporary folder, and ended by its own
// process id. What the suite has found is in docs/gateways.md, which has the configurations that it tests.
package gateways
