//go:build servers

package servers

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/agentuity/coder-go"
)

const (
	storms     = 5 // clients, each with connections of its own
	stormCalls = 64
	rounds     = 5
)

// createsMissTheEndOfConnections: a server closes connections that were idle for a time, and creates are sent at
// that time. With the library's own transport none meets it. The same is done with a transport that keeps idle
// connections for longer, to show what there is to meet.
func createsMissTheEndOfConnections(t *testing.T, s *server) string {
	r := newRig(t, s, settings{})
	var ours, theirs *outcome
	var wait sync.WaitGroup
	wait.Go(func() { ours = r.storm(t, s, "ours") })
	wait.Go(func() {
		theirs = r.storm(t, s, "theirs", coder.WithHTTPClient(&http.Client{Transport: coder.NewTransport()}))
	})
	wait.Wait()
	arrived := r.books(t).Creates
	for _, o := range []*outcome{ours, theirs} {
		for task, err := range o.calls {
			assert.LessOrEqual(t, arrived[task], 1, "%s arrived more than once", task)
			if err == nil {
				assert.Equal(t, 1, arrived[task], "%s succeeded and never arrived", task)
			}
			if arrived[task] == 1 && err != nil || o == theirs && err != nil {
				assert.ErrorIs(t, err, coder.ErrOutcomeUnknown, task)
			}
		}
		t.Logf("%s: %s: %d creates, %d unknown", s.name, o.kind, len(o.calls), o.unknown())
	}
	for task, err := range ours.calls {
		assert.NoError(t, err, task)
	}
	return fmt.Sprintf("0 of %d unknown (else %d of %d)", len(ours.calls), theirs.unknown(), len(theirs.calls))
}

// outcome is what came of calls of CreateSession, by task.
type outcome struct {
	kind  string
	mu    sync.Mutex
	calls map[string]error
}

func (o *outcome) unknown() (n int) {
	for _, err := range o.calls {
		if errors.Is(err, coder.ErrOutcomeUnknown) {
			n++
		}
	}
	return n
}

// storm makes creates in rounds: many connections are used at once, are idle, and are used again about when the
// server closes them.
func (r *rig) storm(t *testing.T, s *server, kind string, options ...coder.Option) *outcome {
	o := &outcome{kind: kind, calls: make(map[string]error)}
	var wait sync.WaitGroup
	for i := range storms {
		client := r.newClient(t, options...)
		wait.Go(func() {
			for round := range rounds + 1 {
				var calls sync.WaitGroup
				for n := range stormCalls {
					calls.Go(func() {
						if round > 0 {
							earliest, latest := s.closesIdle[0], s.closesIdle[1]
							time.Sleep(earliest - 20*time.Millisecond + rand.N(latest-earliest+40*time.Millisecond)) // it is the idleness that is tested
						}
						task := fmt.Sprintf("%s/%d/%d/%d", kind, i, round, n)
						_, err := client.CreateSession(within(t, patience), coder.CreateSessionRequest{Task: task})
						o.mu.Lock()
						defer o.mu.Unlock()
						o.calls[task] = err
					})
				}
				calls.Wait()
			}
		})
	}
	wait.Wait()
	return o
}
