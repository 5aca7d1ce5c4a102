package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// counter counts an event of the processor in user space, over all threads of this process: it has a descriptor
// for every thread that was there when it was made, and threads that come later inherit from the one that starts them.
type counter struct{ threads []int }

// countInstructions counts from now on. It fails where the kernel does not let it, or has no such counter, as in
// many virtual machines and containers.
func countInstructions() (*counter, error) {
	return newCounter(unix.PERF_TYPE_HARDWARE, unix.PERF_COUNT_HW_INSTRUCTIONS)
}

func newCounter(kind uint32, event uint64) (*counter, error) {
	attributes := unix.PerfEventAttr{
		Type: kind, Config: event,
		Read_format: unix.PERF_FORMAT_TOTAL_TIME_ENABLED | unix.PERF_FORMAT_TOTAL_TIME_RUNNING,
		Bits:        unix.PerfBitInherit | unix.PerfBitExcludeKernel | unix.PerfBitExcludeHv,
	}
	attributes.Size = uint32(unsafe.Sizeof(attributes))
	c, known := new(counter), make(map[string]bool)
	for found := true; found; { // a thread that was not counted yet may have started another
		found = false
		threads, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return nil, err
		}
		for _, thread := range threads {
			if known[thread.Name()] {
				continue
			}
			known[thread.Name()], found = true, true
			id, err := strconv.Atoi(thread.Name())
			if err != nil {
				return nil, err
			}
			fd, err := unix.PerfEventOpen(&attributes, id, -1, -1, unix.PERF_FLAG_FD_CLOEXEC)
			if errors.Is(err, unix.ESRCH) { // it has ended
				continue
			}
			if err != nil {
				c.close()
				return nil, fmt.Errorf("perf_event_open: %w", err)
			}
			c.threads = append(c.threads, fd)
		}
	}
	return c, nil
}

// read returns the count so far.
func (c *counter) read() (float64, error) {
	total := uint64(0)
	for _, fd := range c.threads {
		var b [24]byte // the count, the time it should have counted, and the time it did
		if n, err := unix.Read(fd, b[:]); n != len(b) {
			return 0, fmt.Errorf("reading a counter: %d bytes, %w", n, err)
		}
		if wanted, counted := binary.NativeEndian.Uint64(b[8:]), binary.NativeEndian.Uint64(b[16:]); counted < wanted {
			return 0, errors.New("the counter of instructions was shared with others")
		}
		total += binary.NativeEndian.Uint64(b[:])
	}
	return float64(total), nil
}

func (c *counter) close() {
	for _, fd := range c.threads {
		_ = unix.Close(fd)
	}
}
