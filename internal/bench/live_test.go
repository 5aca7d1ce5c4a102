package main

import (
	"errors"
	"io"
	"net"
	"testing"
)

func TestCount(t *testing.T) {
	received := map[string]int{"all": 5, "too few": 3, "too many": 6, "none": 0}
	sent, lost, losers := count(received, map[string]int{"all": 2, "too few": 4}, map[string]int{"all": 3, "too many": 5, "none": 1})
	if sent != 15 || lost != 3 || losers != 3 {
		t.Errorf("got %d sent, %d lost by %d sessions", sent, lost, losers)
	}
}

func TestWatcher_Gaps(t *testing.T) {
	var w watcher
	for _, n := range []int{1, 2, 4, 5, 5} { // 3 is missing, and 5 came twice
		w.event(n)
	}
	w.reconnected()
	w.event(1)
	w.event(2)
	if w.received.Load() != 7 || w.gaps.Load() != 2 || w.again.Load() != 1 {
		t.Errorf("got %d events, %d gaps, %d connections more", w.received.Load(), w.gaps.Load(), w.again.Load())
	}
}

// TestReadFrames answers the pings of a Hub and of the protocol, and a close.
func TestReadFrames(t *testing.T) {
	mine, its := net.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- readFrames(its) }()
	for _, step := range []struct{ sent, answer string }{
		{masked(0x1, `{"type":"ping","timestamp":1}`), string(frame([]byte(`{"type":"pong"}`)))},
		{masked(0x1, `{"authorization":"key"}`) + masked(0x9, "x"), "\x8a\x01x"},
		{masked(0x8, "\x03\xe8"), "\x88\x02\x03\xe8"},
	} {
		if _, err := io.WriteString(mine, step.sent); err != nil {
			t.Fatal(err)
		}
		answer := make([]byte, len(step.answer))
		if _, err := io.ReadFull(mine, answer); err != nil || string(answer) != step.answer {
			t.Fatalf("%q was answered with %q, want %q (%v)", step.sent, answer, step.answer, err)
		}
	}
	if err := <-ended; !errors.Is(err, io.EOF) {
		t.Errorf("it ended with %v", err)
	}
}

func masked(opcode byte, payload string) string {
	frame := []byte{0x80 | opcode, 0x80 | byte(len(payload)), 1, 2, 3, 4}
	for i := range len(payload) {
		frame = append(frame, payload[i]^byte(1+i%4))
	}
	return string(frame)
}
