//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package main

import (
	"os"
	"syscall"
	"unsafe"
)

// windowSize asks a terminal for its size. ok: it is a terminal.
func windowSize(file *os.File) (columns, lines int, ok bool) {
	var size struct{ lines, columns, width, height uint16 }
	_, _, failed := syscall.Syscall(syscall.SYS_IOCTL, file.Fd(), syscall.TIOCGWINSZ, uintptr(unsafe.Pointer(&size)))
	return int(size.columns), int(size.lines), failed == 0
}
