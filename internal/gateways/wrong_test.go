//go:build gateways

package gateways

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
)

// TestDuplicatesAreFound puts a transport between the client and the first of the gateways that takes a 503
// for a refusal, and expects the suite to fail: a suite that cannot fail proves nothing.
func TestDuplicatesAreFound(t *testing.T) {
	wrong := *selected[0]
	wrong.through = func(base http.RoundTripper) http.RoundTripper { return repeatsAfter503{base} }
	v := verdictOf(t, func(t testing.TB) { createsArriveOnce(t, &wrong) })
	assert.Contains(t, v, "done, and 503, warm/", "the call is named")
	assert.Contains(t, v, "arrived 2 times")
	for _, line := range strings.Split(v, "\n") {
		if strings.Contains(line, "arrived 2 times") {
			t.Log("the suite reports:", line)
		}
	}
}

// repeatsAfter503 is what a careless client, or a service mesh, does.
type repeatsAfter503 struct{ base http.RoundTripper }

func (r repeatsAfter503) RoundTrip(request *http.Request) (*http.Response, error) {
	if request.Method != http.MethodPost {
		return r.base.RoundTrip(request)
	}
	body, err := io.ReadAll(request.Body)
	if err != nil {
		return nil, err
	}
	for repeated := false; ; repeated = true {
		request := request.Clone(request.Context())
		request.Body = io.NopCloser(bytes.NewReader(body))
		response, err := r.base.RoundTrip(request)
		if err != nil || response.StatusCode != http.StatusServiceUnavailable || repeated {
			return response, err
		}
		_ = response.Body.Close()
	}
}

// verdict is a testing.TB that notes what is wrong, and fails nothing.
type verdict struct {
	testing.TB
	mu    sync.Mutex
	wrong strings.Builder
}

// verdictOf returns what a test says is wrong.
func verdictOf(t testing.TB, test func(t testing.TB)) string {
	v := &verdict{TB: t}
	done := make(chan struct{})
	go func() { // which FailNow may end
		defer close(done)
		test(v)
	}()
	<-done
	return v.String()
}

func (v *verdict) String() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.wrong.String()
}

func (v *verdict) Errorf(format string, args ...any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	fmt.Fprintf(&v.wrong, format+"\n", args...)
}

func (v *verdict) FailNow() { runtime.Goexit() }
