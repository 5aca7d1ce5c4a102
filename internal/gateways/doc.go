// Package gateways puts gateways that people really have, from Debian, between the client and a Hub of
// package codertest, and asserts a matrix on the books of that Hub: one row a gateway, one column a
// property.
//
// The suite runs with `make gateways`, and with every gateway with `make nightly`. It is behind the build
// tag "gateways" because it installs packages, which needs Debian bookworm and root; a test that skips
// itself when a gateway is missing would pass for ever on a machine that lost it.
//
// A gateway has one file, with its quirks and what makes it harder for the client, and one in testdata: the
// configuration that is recommended. Tests without the tag compare that, the names and the releases with
// docs/gateways.md. Each gateway is started in the foreground, on free ports of the loopback interface, with
// its configuration in a temporary folder, and ended by its own process id.
package gateways
