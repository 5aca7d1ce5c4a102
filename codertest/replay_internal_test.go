package codertest

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// TestTape_AsNow: all ids change at once, also where one now is another of the recording, or begins with it.
func TestTape_AsNow(t *testing.T) {
	tape := &tape{ids: map[string]string{"r1": "r2", "r2": "r1", "request-00001-1": "short-id-00001", "request-00001-10": "short-id-00002"}}
	for recorded, now := range map[string]string{
		`{"id":"r1"}`: `{"id":"r2"}`, `{"id":"r2"}`: `{"id":"r1"}`,
		`{"id":"request-00001-10","b":"request-00001-1"}`: `{"id":"short-id-00002","b":"short-id-00001"}`,
	} {
		assert.Equal(t, now, string(tape.asNow([]byte(recorded))))
	}
}
