package codertest_test

import (
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"

	"github.com/agentuity/coder-go/codertest"
)

// TestNewHub_Bubble: a Hub with a socket would stop the clock of a bubble, and the test would hang.
func TestNewHub_Bubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		assert.PanicsWithValue(t, "codertest: a Hub in a testing/synctest bubble needs WithInMemoryNetwork: while a socket is waited for, "+
			"the time of the bubble stands still", func() { codertest.NewHub() })
		codertest.NewHub(codertest.WithInMemoryNetwork()).Close()
	})
}
