//go:build gateways

package gateways

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

// account notes what calls of CreateSession came to, to be compared with the Hub's books.
type account struct {
	mu    sync.Mutex
	calls map[string]error // by task
	ids   map[string]string
}

// create makes a call whose task is no other's.
func (a *account) create(ctx context.Context, f front, kind string) error {
	a.mu.Lock()
	task := fmt.Sprintf("%s/%s/%d", f.protocol, kind, len(a.calls))
	if a.calls == nil {
		a.calls, a.ids = make(map[string]error), make(map[string]string)
	}
	a.calls[task] = nil
	a.mu.Unlock()
	created, err := f.client.CreateSession(ctx, coder.CreateSessionRequest{Task: task})
	a.mu.Lock()
	defer a.mu.Unlock()
	a.calls[task] = err
	if err == nil {
		a.ids[task] = created.SessionID
	}
	return err
}

// unknown is how many calls have an unknown outcome.
func (a *account) unknown() int {
	n := 0
	for _, err := range a.calls {
		if errors.Is(err, coder.ErrOutcomeUnknown) {
			n++
		}
	}
	return n
}

// audit compares with the books: a call arrives once at most, and did so if it succeeded; whoever may have
// arrived without an answer says so, and whoever says nothing of the kind has not arrived.
func (a *account) audit(t testing.TB, hub *codertest.Hub) (vainly int) {
	t.Helper()
	arrived := make(map[string]int)
	for _, request := range hub.Requests() {
		var body struct{ Task string }
		if request.Method == http.MethodPost && request.Route == "/hub/session" && json.Unmarshal(request.Body, &body) == nil {
			arrived[body.Task]++
		}
	}
	sessions := make(map[string]bool)
	for _, id := range hub.SessionIDs() {
		sessions[id] = true
	}
	named := make(map[string]bool)
	for task, err := range a.calls {
		unknown := errors.Is(err, coder.ErrOutcomeUnknown)
		switch n := arrived[task]; {
		case n > 1:
			t.Errorf("%s arrived %d times: %v", task, n, err)
		case err == nil:
			assert.Equal(t, 1, n, "%s succeeded and never arrived", task)
			assert.True(t, sessions[a.ids[task]] && !named[a.ids[task]], "%s has a session of its own", task)
			named[a.ids[task]] = true
		case n == 1:
			assert.True(t, unknown, "%s arrived, and says: %v", task, err)
		case unknown:
			vainly++
		}
	}
	return vainly
}

// createsArriveOnce: whatever fails, over connections of the gateway that are new and that were used before.
func createsArriveOnce(t testing.TB, g *gateway) string {
	r := newRig(t, g, recommended)
	create := func(f front, a codertest.Fault) func(*account, string) error {
		return func(calls *account, kind string) error {
			ctx := within(t)
			if a.Stall { // a gateway that may wait for an hour is not waited for
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, quiet)
				defer cancel()
			}
			a.Method, a.Route = http.MethodPost, "/hub/session"
			fault := r.hub.Inject(a)
			defer fault.Remove()
			return calls.create(ctx, f, kind)
		}
	}
	var calls account
	for _, f := range r.fronts {
		for _, kind := range []struct {
			name    string
			unknown bool
			call    func(calls *account, kind string) error
		}{
			{"nothing fails", false, create(f, codertest.Fault{Skip: 1})},
			{"the Hub refuses the connection", true, func(calls *account, kind string) error {
				r.backend.stop()
				defer r.backend.start(t)
				return calls.create(within(t), f, kind)
			}},
			{"read and closed", true, create(f, codertest.Fault{Cut: codertest.CutBeforeEffect})},
			{"done and closed", true, create(f, codertest.Fault{Cut: codertest.CutAfterEffect})},
			{"the answer is cut", true, create(f, codertest.Fault{Cut: codertest.CutMidBody})},
			{"late", true, create(f, codertest.Fault{Cut: codertest.CutAfterEffect, Stall: true})},
			{"done, and 503", true, create(f, codertest.Fault{Status: 503, Effect: true, Header: http.Header{"Retry-After": {"1"}}})},
			{"restarted in the middle", true, func(calls *account, kind string) error {
				arrived := len(r.hub.Requests()) + 1
				done := make(chan error, 1)
				go func() {
					done <- create(f, codertest.Fault{Cut: codertest.CutAfterEffect, Stall: true})(calls, kind)
				}()
				// A gateway that meets a connection which has just been closed answers before it arrives.
				require.Eventually(t, func() bool { return len(r.hub.Requests()) >= arrived || len(done) > 0 }, patience, 5*time.Millisecond)
				r.backend.stop()
				r.backend.start(t)
				return <-done
			}},
			{"the gateway is away", false, func(calls *account, kind string) error {
				r.process.stop()
				done := make(chan error)
				go func() { done <- calls.create(within(t), f, kind) }()
				r.process = g.start(t, r.site)
				return <-done
			}},
		} {
			for _, warm := range []bool{false, true} {
				name := kind.name + ", cold"
				if warm {
					name = kind.name + ", warm"
					r.warmUp(t, f)
				} else {
					r.backend.stop() // which closes the connections
					r.backend.start(t)
				}
				err := kind.call(&calls, name)
				unknown := errors.Is(err, coder.ErrOutcomeUnknown)
				if warm && !kind.unknown { // the create may meet a connection whose end is not seen yet
					assert.True(t, err == nil || unknown, "%s, %s: %v", f.protocol, name, err)
				} else {
					assert.Equal(t, kind.unknown, unknown, "%s, %s: %v", f.protocol, name, err)
				}
				t.Logf("%s, %s, %s: %v", g.name, f.protocol, name, err)
			}
		}
		// Connections that the Hub has just closed: some meet it, and nobody can know.
		for range 30 {
			r.warmUp(t, f)
			r.backend.stop()
			r.backend.start(t)
			_ = calls.create(within(t), f, "closed when idle")
		}
	}
	t.Logf("%s: %d of %d unknown, %d of these had not arrived", g.name, calls.unknown(), len(calls.calls), calls.audit(t, r.hub))
	return yes
}

// warmUp makes sure that the gateway has connections to the Hub.
func (r *rig) warmUp(t testing.TB, f front) {
	t.Helper()
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() { assert.NoError(t, errOf(f.client.ListSessions(within(t), nil))) })
	}
	wait.Wait()
}

// createsAreNotRepeated: the Hub has made the session, and the gateway makes an answer up.
func createsAreNotRepeated(t testing.TB, g *gateway) string {
	var said []string
	r := newRig(t, g, recommended)
	for _, f := range r.fronts {
		before := len(r.hub.SessionIDs())
		r.hub.Inject(codertest.Fault{Method: http.MethodPost, Route: "/hub/session", Cut: codertest.CutAfterEffect, Count: -1})
		var calls account
		err := calls.create(within(t), f, "done and closed")
		calls.audit(t, r.hub)
		assert.ErrorIs(t, err, coder.ErrOutcomeUnknown)
		assert.Len(t, r.hub.SessionIDs(), before+1)
		var answer *coder.APIError
		switch {
		case errors.As(err, &answer) && answer.RetryAfter > 0:
			said = append(said, fmt.Sprintf("%d, retry after %s", answer.StatusCode, answer.RetryAfter))
		case answer != nil:
			said = append(said, fmt.Sprint(answer.StatusCode))
		case err != nil && strings.Contains(err.Error(), "REFUSED_STREAM"):
			said = append(said, "REFUSED_STREAM")
		default:
			assert.Fail(t, "the gateway says something", "%s: %v", f.protocol, err)
		}
	}
	return strings.Join(slices.Compact(said), " or ")
}

// publishesArriveOnce: a request without a body is one that net/http and gateways repeat more freely.
func publishesArriveOnce(t testing.TB, g *gateway) string {
	for protocol, n := range publish(t, g) {
		assert.Equal(t, 1, n, protocol)
	}
	return yes
}

// publishesAreRepeated by the gateway, over a connection that it had used before.
func publishesAreRepeated(t testing.TB, g *gateway) {
	for protocol, n := range publish(t, g) {
		assert.Equal(t, 2, n, "%s: if it arrives once, docs/gateways.md may say so", protocol)
	}
}

// publish publishes an agent over each of the fronts, while the Hub does so and closes the connection. It
// returns how often that has arrived, by protocol.
func publish(t testing.TB, g *gateway) (arrived map[string]int) {
	arrived = make(map[string]int)
	r := newRig(t, g, recommended)
	for i, f := range r.fronts {
		agent, err := f.client.CreateCustomAgent(within(t), coder.CreateCustomAgentRequest{
			Slug: fmt.Sprintf("agent-%d", i), DisplayName: "Agent", Instructions: "Be one.",
		})
		require.NoError(t, err)
		r.warmUp(t, f)
		fault := r.hub.Inject(codertest.Fault{
			Method: http.MethodPost, Route: "/hub/agents/{id}/publish", Cut: codertest.CutAfterEffect, Count: -1,
		})
		_, err = f.client.PublishCustomAgent(within(t), agent.ID)
		fault.Remove()
		assert.ErrorIs(t, err, coder.ErrOutcomeUnknown, f.protocol)
		arrived[f.protocol] = fault.Hits()
	}
	return arrived
}

// storm makes calls, some at a time, over HTTP/2, where there is HTTP/2. It returns how many connections
// were opened for them.
func (r *rig) storm(t testing.TB, calls *account, n, width int, now func(call int)) (opened int32) {
	t.Helper()
	var fresh atomic.Int32
	ctx := httptrace.WithClientTrace(within(t), &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) {
		if !info.Reused {
			fresh.Add(1)
		}
	}})
	var wait sync.WaitGroup
	slots := make(chan struct{}, width)
	for i := range n {
		slots <- struct{}{}
		if now != nil {
			now(i)
		}
		wait.Go(func() {
			defer func() { <-slots }()
			_ = calls.create(ctx, r.secure(), "storm")
		})
	}
	wait.Wait()
	return fresh.Load()
}

const (
	stormCalls = 800
	stormWidth = 32
)

// createsSurviveGoAway: HTTP/2 connections end all the time, and every call knows what became of it.
func createsSurviveGoAway(t testing.TB, g *gateway) string {
	r := newRig(t, g, goAway)
	r.session(t, r.secure())
	var calls account
	n, width := stormCalls, stormWidth
	var pause func(int)
	if g.closesIdle { // between calls, if anywhere
		n, width = stormCalls/8, 1
		pause = func(call int) { time.Sleep(time.Duration(call%5) * time.Millisecond) } // about as long as it waits
	}
	opened, made := int32(0), 0
	for ; opened <= stormCalls/40 && made < 20*n; made += n {
		opened += r.storm(t, &calls, n, width, pause)
	}
	assert.Greater(t, opened, int32(stormCalls/40), "connections end all the time")
	calls.audit(t, r.hub)
	for task, err := range calls.calls {
		if !g.crosses || !errors.Is(err, coder.ErrOutcomeUnknown) {
			assert.NoError(t, err, task)
		}
	}
	t.Logf("%s: %d calls, %d connections, %d unknown", g.name, made, opened, calls.unknown())
	if g.crosses {
		assert.Less(t, calls.unknown(), made/10, "it is an exception")
		return "unknown if it crosses a create"
	}
	assert.Len(t, r.hub.SessionIDs(), made+1)
	return yes
}

// createsSurviveReloads: the gateway reads its configuration again in the middle of it.
func createsSurviveReloads(t testing.TB, g *gateway) string {
	r := newRig(t, g, recommended)
	var calls account
	opened := r.stormAndReload(t, &calls, func(opened int32) bool { return opened > 1 })
	if g.http2 { // over which one connection would do
		assert.Greater(t, opened, int32(1), "a reload ends connections")
	}
	calls.audit(t, r.hub)
	for task, err := range calls.calls {
		assert.NoError(t, err, task)
	}
	return yes
}

// reloadsCut: the gateway ends what is under way. The client says what it knows of it.
func reloadsCut(t testing.TB, g *gateway) {
	r := newRig(t, g, recommended)
	var calls account
	r.stormAndReload(t, &calls, func(int32) bool { return calls.unknown() > 0 })
	assert.NotZero(t, calls.unknown(), "a reload cuts: if it does no more, docs/gateways.md may say so")
	calls.audit(t, r.hub)
	for task, err := range calls.calls {
		if err != nil {
			assert.ErrorIs(t, err, coder.ErrOutcomeUnknown, task)
		}
	}
}

// stormAndReload goes on until it has seen enough: a reload takes its time.
func (r *rig) stormAndReload(t testing.TB, calls *account, enough func(opened int32) bool) (opened int32) {
	t.Helper()
	var reloading sync.Mutex // one after the other
	for range 20 {
		var reloads sync.WaitGroup
		opened += r.storm(t, calls, stormCalls, stormWidth, func(call int) {
			if call%200 == 100 {
				reloads.Go(func() {
					reloading.Lock()
					defer reloading.Unlock()
					r.gateway.reload(t, r.process, r.site)
				})
			}
		})
		reloads.Wait()
		if enough(opened) {
			break
		}
	}
	return opened
}
