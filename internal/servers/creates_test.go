//go:build servers

package servers

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/agentuity/coder-go"
)

const (
	shooters = 400 // clients of a kind, each with a connection of its own
	shots    = 4   // of each
	spread   = 4 * time.Millisecond
)

// createsMissTheEndOfConnections: a server closes connections that were idle for a time, and creates are sent in
// that moment. With the library's own transport none meets it. The same is done with a transport of the program's
// that keeps idle connections for longer, to show what there is to meet: then the outcome of some is unknown.
func createsMissTheEndOfConnections(t *testing.T, s *server) string {
	r := newRig(t, s, settings{})
	idle, closed := r.watchIdle(t)
	t.Logf("%s: an idle connection was closed after %v", s.name, idle)
	aim := func(answered time.Time) time.Time { return answered.Add(idle) }
	if s.ticks > 0 {
		aim = func(answered time.Time) time.Time {
			return closed.Add(answered.Sub(closed).Truncate(s.ticks) + s.closesAfter)
		}
	}
	ours, theirs := &target{kind: "ours"}, &target{kind: "theirs"}
	var wait sync.WaitGroup
	for i := range shooters {
		wait.Go(func() { ours.shoot(t, i, r.newClient(t), aim) })
		wait.Go(func() {
			own := &http.Client{Transport: coder.NewTransport()}
			theirs.shoot(t, i, r.newClient(t, coder.WithHTTPClient(own)), aim)
		})
	}
	wait.Wait()
	arrived := r.books(t).Creates
	for _, o := range []*target{ours, theirs} {
		vainly := 0
		for task, err := range o.calls {
			assert.LessOrEqual(t, arrived[task], 1, "%s arrived more than once", task)
			switch {
			case err == nil:
				assert.Equal(t, 1, arrived[task], "%s succeeded and never arrived", task)
			case assert.ErrorIs(t, err, coder.ErrOutcomeUnknown, task) && arrived[task] == 0:
				vainly++
			}
		}
		t.Logf("%s, %s: %d creates, %d unknown, %d of these had not arrived", s.name, o.kind, len(o.calls), o.unknown(), vainly)
	}
	for task, err := range ours.calls {
		assert.NoError(t, err, task)
	}
	return fmt.Sprintf("%d of %d unknown, else %d", ours.unknown(), len(ours.calls), theirs.unknown())
}

// watchIdle returns how long a connection may idle, and when one was closed. It looks at several connections without
// the client, since a machine that is busy sees the end of some late.
func (r *rig) watchIdle(t *testing.T) (idle time.Duration, closed time.Time) {
	t.Helper()
	const watchers = 5
	type end struct {
		idle   time.Duration
		closed time.Time
	}
	ends := make(chan end, watchers)
	for range watchers {
		go func() {
			heard, closed, err := r.idleConnection(t)
			assert.ErrorIs(t, err, io.EOF, "it is closed by the server")
			ends <- end{closed.Sub(heard), closed}
		}()
	}
	first := <-ends
	for range watchers - 1 {
		if other := <-ends; other.idle < first.idle {
			first = other
		}
	}
	return first.idle, first.closed
}

// idleConnection makes a create, and returns when it was answered and when its connection was closed.
func (r *rig) idleConnection(t *testing.T) (heard, closed time.Time, err error) {
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(r.url, "http://"))
	if err != nil {
		return heard, closed, err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	const body = `{"task":"Watch"}`
	_, err = fmt.Fprintf(conn, "POST /api/hub/session HTTP/1.1\r\nHost: hub\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	for part := make([]byte, 4096); err == nil; {
		heard = closed
		_, err = conn.Read(part)
		closed = time.Now()
	}
	return heard, closed, err
}

// target notes what came of calls of CreateSession, by task.
type target struct {
	kind  string
	mu    sync.Mutex
	calls map[string]error
}

func (o *target) unknown() (n int) {
	for _, err := range o.calls {
		if errors.Is(err, coder.ErrOutcomeUnknown) {
			n++
		}
	}
	return n
}

// shoot makes creates that are aimed at when the server closes the connection of the one before.
func (o *target) shoot(t *testing.T, shooter int, client *coder.Client, aim func(answered time.Time) time.Time) {
	for shot := range 1 + shots {
		task := fmt.Sprintf("%s/%d/%d", o.kind, shooter, shot)
		_, err := client.CreateSession(within(t, patience), coder.CreateSessionRequest{Task: task})
		o.mu.Lock()
		if o.calls == nil {
			o.calls = make(map[string]error)
		}
		o.calls[task] = err
		o.mu.Unlock()
		if shot < shots { // nothing to wait for: it is the idleness that is tested
			time.Sleep(time.Until(aim(time.Now())) + rand.N(2*spread) - spread)
		}
	}
}

// largeCreatesAreRefused: the server answers, or closes, before it has read the body. Nothing was made, and the client
// says nothing else.
func largeCreatesAreRefused(t *testing.T, s *server) string {
	r := newRig(t, s, settings{LargestBody: 1 << 20})
	said := make(map[string]int)
	for i := range 20 { // it depends on who is faster
		task := strings.Repeat(fmt.Sprint(i%10), (2+i)<<20)
		_, err := r.client.CreateSession(within(t, patience), coder.CreateSessionRequest{Task: task})
		assert.Error(t, err)
		assert.NotErrorIs(t, err, coder.ErrOutcomeUnknown)
		if answer := (*coder.APIError)(nil); errors.As(err, &answer) {
			said[fmt.Sprint(answer.StatusCode)]++
		} else {
			said["cut"]++
			t.Log(err)
		}
	}
	assert.Empty(t, r.books(t).Creates)
	t.Logf("%s: %v", s.name, said)
	return strings.Join(slices.Sorted(maps.Keys(said)), ", ")
}

// slowAnswersCome: Bun waits for 10 s for the answer to a request without a body, and then cuts the connection. A read
// is repeated.
func slowAnswersCome(t *testing.T, s *server) string {
	r := newRig(t, s, settings{})
	id := r.session(t, slowRead)
	var wait sync.WaitGroup
	wait.Go(func() {
		session, err := r.client.GetSession(within(t, patience), id)
		if assert.NoError(t, err) {
			assert.Equal(t, id, session.SessionID)
		}
	})
	wait.Go(func() {
		_, err := r.client.CreateSession(within(t, patience), coder.CreateSessionRequest{
			Task: "Wait", Metadata: map[string]any{"behaviour": slowCreate},
		})
		assert.NoError(t, err)
	})
	wait.Wait()
	books := r.books(t)
	assert.Equal(t, 1, books.Creates["Wait"])
	return fmt.Sprintf("create 1, read %d", books.Sessions[id].Reads)
}
