package split_test

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go/internal/split"
)

// heard is what was heard of a WebSocket.
type heard struct {
	text    string
	binary  bool
	omitted int64
	code    int // of a close frame
	reason  string
}

func hear(stream []byte, size int, most int64) (all []heard) {
	f := split.Frames{
		Most: most,
		Message: func(text []byte, binary bool, omitted int64) {
			all = append(all, heard{text: string(text), binary: binary, omitted: omitted})
		},
		Closed: func(code int, reason string) { all = append(all, heard{code: code, reason: reason}) },
	}
	for len(stream) > 0 {
		n := min(size, len(stream))
		f.Take(stream[:n])
		stream = stream[n:]
	}
	return all
}

// appendFrame writes a frame as RFC 6455 wants it; form chooses how the length is written where there is a choice.
func appendFrame(to []byte, op byte, final, masked bool, form byte, payload []byte) []byte {
	head := op
	if final {
		head |= 0x80
	}
	to = append(to, head)
	mask := byte(0)
	if masked {
		mask = 0x80
	}
	switch {
	case len(payload) > 0xffff || form%3 == 2:
		to = binary.BigEndian.AppendUint64(append(to, mask|127), uint64(len(payload)))
	case len(payload) > 125 || form%3 == 1:
		to = binary.BigEndian.AppendUint16(append(to, mask|126), uint16(len(payload)))
	default:
		to = append(to, mask|byte(len(payload)))
	}
	if !masked {
		return append(to, payload...)
	}
	key := [4]byte{form, form + 1, 7, 0xff}
	to = append(to, key[:]...)
	for i, c := range payload {
		to = append(to, c^key[i%4])
	}
	return to
}

// FuzzFrames: messages that were written in pieces, with pings between them, come back as they were; and of any other bytes
// the same is heard however they are cut.
func FuzzFrames(f *testing.F) {
	f.Add([]byte(`{"type":"ping"}`), []byte("\x01\x81\x32\x05"), uint8(3), uint8(200))
	f.Add(bytes.Repeat([]byte("0123456789"), 30), []byte("\xff\xff\x20\x00"), uint8(60), uint8(20))
	f.Add([]byte("\x89\x00\x81\x01a\x88\x02\x03\xe8"), []byte{0}, uint8(0), uint8(255))
	f.Add([]byte("\x81\x7f\xff\xff\xff\xff\xff\xff\xff\xff\x01"), []byte{0x40}, uint8(4), uint8(0))
	f.Add([]byte("\x01\x01a\x00\x01b\x80\x00\x02\x00\x80\x01c"), []byte{}, uint8(1), uint8(1))
	f.Fuzz(func(t *testing.T, noise, script []byte, size, most uint8) {
		pieces := int(size)%64 + 1
		whole := hear(noise, len(noise)+1, int64(most))
		require.Equal(t, whole, hear(noise, pieces, int64(most)))

		var stream []byte
		var want []heard
		for rest := noise; len(script) > 0; script = script[1:] {
			how := script[0]
			n := min(len(rest), int(how>>4)*20)
			message := rest[:n]
			rest = rest[n:]
			op, masked := how&1+1, how&2 != 0
			if split := n / 2; how&4 != 0 {
				stream = appendFrame(stream, op, false, masked, how, message[:split])
				stream = appendFrame(stream, 9, true, masked, 0, []byte("ping"))
				stream = appendFrame(stream, 0, true, masked, how>>1, message[split:])
			} else {
				stream = appendFrame(stream, op, true, masked, how, message)
			}
			kept := message[:min(n, int(most))]
			want = append(want, heard{text: string(kept), binary: op == 2, omitted: int64(n - len(kept))})
			if how&8 != 0 {
				stream = appendFrame(stream, 8, true, masked, 0, []byte("\x03\xe8bye"))
				want = append(want, heard{code: 1000, reason: "bye"})
			}
		}
		require.Equal(t, want, hear(stream, pieces, int64(most)))
	})
}
