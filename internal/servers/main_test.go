//go:build servers

package servers

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

func TestMain(m *testing.M) {
	for _, v := range os.Environ() { // of whoever runs the tests
		if name, _, _ := strings.Cut(v, "="); strings.HasPrefix(name, "AGENTUITY_") {
			_ = os.Unsetenv(name)
		}
	}
	status := m.Run()
	fmt.Print(results.table())
	os.Exit(status)
}
