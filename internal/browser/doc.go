// Package browser drives examples/console in Chromium: it starts the program, with a fake Hub that it can restart, and does what
// a user does, with mouse and keyboard, on a wide screen and on a phone, in light and dark. It is a module of its own, so that
// nothing of that reaches users of the library.
//
//	make browser
//	go -C internal/browser test -update ./...    # draws docs/images/console-*.png again
//
// Chromium is the program that -chromium or the variable CHROMIUM names, or else chromium in the PATH: apt-get install chromium.
// Without one the tests fail.
package browser
