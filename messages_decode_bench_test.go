package coder

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

const benchBroadcast = `{"type":"broadcast","event":"message_update","category":"message","sessionId":"codesess_7f3a9c21b4e0",` +
	`"data":{"assistantMessageEvent":{"type":"text_delta","delta":"%s"},"timestamp":1768473737514},"timestamp":1768473737514}`

// BenchmarkServerMessage decodes broadcasts of several sizes. The cost is to grow with the size, and not faster.
func BenchmarkServerMessage(b *testing.B) {
	for _, size := range []int{1, 1 << 20, 10 << 20} {
		frame := fmt.Appendf(nil, benchBroadcast, strings.Repeat("x", size))
		b.Run(fmt.Sprintf("%d", len(frame)), func(b *testing.B) {
			b.SetBytes(int64(len(frame)))
			b.ReportAllocs()
			for b.Loop() {
				decodeServerMessage(bytes.Clone(frame))
			}
		})
	}
}
