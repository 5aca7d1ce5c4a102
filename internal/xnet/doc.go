// Package xnet tests the library with the HTTP/2 transport of golang.org/x/net. It is a module of its own, so
// that nothing of that reaches users of the library.
package xnet
