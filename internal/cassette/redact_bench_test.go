package cassette

import (
	"fmt"
	"strings"
	"testing"

	"github.com/agentuity/coder-go/internal/quote"
)

// BenchmarkRedaction takes secrets out of what a Hub says, with as many keys as have rotated. It ought to cost about the same with 64
// as with none.
func BenchmarkRedaction(b *testing.B) {
	const event = `{"type":"broadcast","event":"tool_execution_end","data":{"toolName":"bash","args":{"command":"go test ./... && git push"},` +
		`"result":"{\"stdout\":\"ok  \\tgithub.com/agentuity/coder-go\\t1.2s\\nPASS at https://h/x?a=b&c=%20d\\n\",\"code\":0}","at":1764356000000}},`
	data := []byte("[" + strings.Repeat(event, 200) + "{}]")
	for _, n := range []int{0, 1, 64} {
		var keys quote.Keys
		for i := range n {
			keys.Add(fmt.Sprintf("agc_%08x-made-up", i*0x9e3779b1&0xffffffff))
		}
		b.Run(fmt.Sprintf("keys=%d", n), func(b *testing.B) {
			r := &Redaction{Keys: keys.Redactor().Text}
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				if body := r.Body(data, 0); body.JSON == nil {
					b.Fatal("it is JSON")
				}
			}
		})
	}
}
