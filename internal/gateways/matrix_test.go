//go:build gateways

package gateways

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

// property is a column of the matrix: a test, which returns what to write into the cell.
type property struct {
	name string
	test func(t testing.TB, g *gateway) string
}

var properties = []property{
	{"HTTP/2", speaksHTTP2},
	{"one create", createsArriveOnce},
	{"done, not said", createsAreNotRepeated},
	{"no body", publishesArriveOnce},
	{"GOAWAY", createsSurviveGoAway},
	{"reload", createsSurviveReloads},
	{"restart", readsSurviveARestart},
	{"ids", idsArriveAsTheyWere},
	{"events", eventsArriveAtOnce},
	{"WebSocket", socketsLive},
	{"large", largeBodiesPass},
	{"fresh", answersAreFresh},
}

const yes = "yes"

// TestMatrix fails where a property does not hold, and where docs/gateways.md says something else.
func TestMatrix(t *testing.T) {
	documented := documentedMatrix(t)
	for _, g := range selected {
		t.Run(g.name, func(t *testing.T) {
			t.Parallel()
			for _, p := range properties {
				t.Run(p.name, func(t *testing.T) {
					cell := "FAILED"
					defer func() {
						if t.Failed() {
							cell = "FAILED"
						}
						results.set(g, p, cell)
					}()
					if limit, found := g.cannot[p.name]; found {
						limit.prove(t, g)
						cell = "not possible: " + limit.reason
					} else {
						cell = p.test(t, g)
					}
					assert.Equal(t, documented[g.row()][p.name], cell, "docs/gateways.md says so")
				})
			}
		})
	}
}

var results matrix

type matrix struct {
	mu    sync.Mutex
	cells map[string]string
}

func (m *matrix) set(g *gateway, p property, cell string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.cells == nil {
		m.cells = make(map[string]string)
	}
	m.cells[g.name+"/"+p.name] = cell
}

// table returns the matrix as the table of docs/gateways.md.
func (m *matrix) table() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var text bytes.Buffer
	w := tabwriter.NewWriter(&text, 0, 0, 1, ' ', tabwriter.Debug)
	row := func(cells []string) { _, _ = fmt.Fprintln(w, "\t "+strings.Join(cells, "\t ")+"\t") }
	head, rule := []string{"gateway"}, []string{"---"}
	for _, p := range properties {
		head, rule = append(head, p.name), append(rule, "---")
	}
	row(head)
	row(rule)
	for _, g := range selected {
		cells := []string{g.row()}
		for _, p := range properties {
			cells = append(cells, m.cells[g.name+"/"+p.name])
		}
		row(cells)
	}
	_ = w.Flush()
	return text.String()
}

// speaksHTTP2: with the transport that a program has by default.
func speaksHTTP2(t testing.TB, g *gateway) string {
	r := newRig(t, g, recommended)
	assert.Equal(t, "h2", r.secure().protocol)
	r.session(t, r.secure()) // which asserts what is spoken
	return yes
}

// outage is how long a Hub is away that restarts.
const outage = 5 * time.Second

func readsSurviveARestart(t testing.TB, g *gateway) string {
	r := newRig(t, g, recommended)
	id := r.session(t, r.secure())
	r.backend.stop()
	back := time.AfterFunc(outage, func() { r.backend.start(t) })
	defer back.Stop()
	began := time.Now()
	var wait sync.WaitGroup
	for _, f := range r.fronts {
		for range 4 {
			wait.Go(func() {
				session, err := f.client.GetSession(t.Context(), id)
				if assert.NoError(t, err, f.protocol) {
					assert.Equal(t, id, session.SessionID)
				}
				assert.NoError(t, errOf(f.client.ListSessions(t.Context(), nil)), f.protocol)
			})
		}
	}
	wait.Wait()
	assert.GreaterOrEqual(t, time.Since(began), outage, "the Hub was away")
	return yes
}

func errOf[T any](_ T, err error) error { return err }

func idsArriveAsTheyWere(t testing.TB, g *gateway) string {
	for _, v := range []variant{recommended, bare} {
		r := newRig(t, g, v)
		for _, f := range r.fronts {
			victim := r.victim(t)
			for _, id := range []string{
				"a/b", "a%2Fb", "a%252Fb", "ä ?", "a..b", `a\b`, "..a", "a//b", "a;b", "a+b", "a&b=c", "a:b", "~a", "*",
				victim + "/", victim + "?", victim + "#x", victim + "%00", victim + ";x", victim + `\`, victim + " ", victim + "%20",
				"/" + victim, "x/" + victim, `x\` + victim, "%2F" + victim, " " + victim, victim + "/events",
			} {
				seen := len(r.hub.Requests())
				err := f.client.DeleteSession(within(t), id)
				assert.Error(t, err, "there is no session %q", id)
				for _, request := range r.hub.Requests()[seen:] {
					element := strings.TrimPrefix(request.Path, "/api/hub/session/")
					if arrived, _ := url.PathUnescape(element); arrived != id || strings.Contains(element, "/") {
						assert.NotEqual(t, recommended, v, "%q arrived as %q over %s", id, request.Path, f.protocol)
						t.Logf("%s, %s: %q arrives as %q over %s: %v", g.name, v, id, request.Path, f.protocol, err)
					}
				}
				if v == recommended && !errors.Is(err, coder.ErrSessionNotFound) { // it was refused
					t.Logf("%s: %q over %s: %v", g.name, id, f.protocol, err)
				}
			}
			for _, id := range []string{
				".", "..", "x/../" + victim, `x\..\` + victim, "x/./../" + victim, "../session/" + victim, victim + "/..", victim + "/.",
				"x%2F..%2F" + victim, "x/%2e%2e/" + victim, "x/..;/" + victim, "./" + victim,
			} {
				seen := len(r.hub.Requests())
				var invalid *coder.ValidationError
				err := f.client.DeleteSession(within(t), id)
				assert.ErrorAs(t, err, &invalid, id)
				assert.Len(t, r.hub.Requests(), seen, "nothing is sent for %q", id)
			}
			if v == recommended {
				assert.Contains(t, r.hub.SessionIDs(), victim, "no session but the one that was asked for is deleted")
			} else if !slices.Contains(r.hub.SessionIDs(), victim) {
				t.Logf("%s, %s: another session was deleted over %s", g.name, v, f.protocol)
			}
		}
	}
	return yes
}

// victim is a session that nobody may reach by another id than its own. It is made without the gateway.
func (r *rig) victim(t testing.TB) string {
	t.Helper()
	client, err := r.hub.NewClient()
	require.NoError(t, err)
	created, err := client.CreateSession(t.Context(), coder.CreateSessionRequest{Task: "Stay"})
	require.NoError(t, err)
	return created.SessionID
}

// quiet is a silence that is longer than the gateways wait for an answer.
const quiet = 4 * time.Second

func eventsArriveAtOnce(t testing.TB, g *gateway) string {
	r := newRig(t, g, recommended)
	var wait sync.WaitGroup
	slowest := make([]time.Duration, len(r.fronts))
	for i, f := range r.fronts {
		session := r.hub.Session(r.session(t, f))
		wait.Go(func() { slowest[i] = followEvents(t, f, session) })
	}
	wait.Wait()
	for _, took := range slowest {
		assert.Less(t, took, time.Second)
	}
	return yes
}

// followEvents emits an event, is quiet, and emits another. It returns how long the slower of them took.
func followEvents(t testing.TB, f front, session *codertest.SessionControl) (slowest time.Duration) {
	options := &coder.StreamEventsOptions{Subscribe: []string{"turn"}, MaxReconnectAttempts: -1}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var emitted time.Time
	emit := func() {
		emitted = time.Now()
		session.Emit(codertest.Event{Event: coder.EventTurnEnd})
	}
	events := 0
	for event, err := range f.client.StreamEvents(ctx, session.ID(), options) {
		if !assert.NoError(t, err, "%s, after %d events", f.protocol, events) {
			break
		}
		switch event.Data.(type) {
		case *coder.SSEHydrationMessage:
			emit()
		case *coder.BroadcastEventMessage:
			slowest = max(slowest, time.Since(emitted))
			if events++; events == 2 {
				return slowest
			}
			time.Sleep(quiet) // nothing to wait for: it is the silence that is tested
			emit()
		}
	}
	t.Errorf("%s: %d of 2 events came", f.protocol, events)
	return slowest
}

func socketsLive(t testing.TB, g *gateway) string {
	r := newRig(t, g, recommended)
	var wait sync.WaitGroup
	for _, f := range r.fronts {
		id := r.session(t, f)
		r.hub.Session(id).SetStatus("active")
		wait.Go(func() { talk(t, f, id) })
	}
	wait.Wait()
	r = newRig(t, g, bare)
	for _, f := range r.fronts[:1] {
		conn, err := f.client.Connect(within(t), r.session(t, f), &coder.HubConnectOptions{MaxReconnectAttempts: -1})
		assert.Equal(t, g.upgrades, err == nil, "without a rule for it: %v", err)
		if err == nil {
			_ = conn.Close()
		}
	}
	return yes
}

// talk prompts, is quiet, and prompts again. Only the gateway's rules, and no pings, keep the socket.
func talk(t testing.TB, f front, id string) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	conn, err := f.client.Connect(ctx, id, &coder.HubConnectOptions{
		Role: coder.RoleController, MaxReconnectAttempts: -1, HeartbeatInterval: -1, HeartbeatTimeout: -1,
	})
	if !assert.NoError(t, err, f.protocol) {
		return
	}
	defer conn.Close()
	assert.NoError(t, conn.Prompt(ctx, "Say something"), f.protocol)
	turns := 0
	for message, err := range conn.Messages(ctx) {
		if !assert.NoError(t, err, "%s, after %d turns", f.protocol, turns) {
			return
		}
		if event, ok := message.(*coder.RPCEventMessage); ok && event.EventType == coder.EventAgentEnd {
			if turns++; turns == 2 {
				return
			}
			time.Sleep(quiet) // as for events
			assert.NoError(t, conn.Prompt(ctx, "And something else"), f.protocol)
		}
	}
}

const (
	largeRequest = 3 << 20
	largeAnswer  = 20 << 20
)

func largeBodiesPass(t testing.TB, g *gateway) string {
	r := newRig(t, g, recommended)
	request := coder.CreateSessionRequest{Task: strings.Repeat("x", largeRequest)}
	for _, f := range r.fronts {
		created, err := f.client.CreateSession(within(t), request)
		if !assert.NoError(t, err, f.protocol) {
			continue
		}
		session := r.hub.Session(created.SessionID)
		for range 20 {
			session.AddReplayEntries(codertest.ReplayEntry{Type: "message", Content: strings.Repeat("y", largeAnswer/20)})
		}
		replay, err := f.client.GetReplay(within(t), created.SessionID, nil)
		if assert.NoError(t, err, f.protocol) {
			assert.GreaterOrEqual(t, len(replay.Entries), 20)
		}
	}
	if !g.limitsBodies {
		return yes
	}
	r = newRig(t, g, bare)
	for _, f := range r.fronts {
		for range 10 { // it depends on who is faster
			_, err := f.client.CreateSession(within(t), request)
			var refused *coder.APIError
			if assert.ErrorAs(t, err, &refused, f.protocol) {
				assert.Equal(t, http.StatusRequestEntityTooLarge, refused.StatusCode)
			}
			assert.ErrorContains(t, err, "larger than the Hub, or a gateway before it, takes")
			assert.NotErrorIs(t, err, coder.ErrOutcomeUnknown)
		}
	}
	assert.Empty(t, r.hub.SessionIDs())
	return yes
}

func answersAreFresh(t testing.TB, g *gateway) string {
	r := newRig(t, g, recommended)
	for _, f := range r.fronts {
		id := r.session(t, f)
		var seen []string
		for range 3 { // a session moves on each time somebody looks at it
			session, err := f.client.GetSession(within(t), id)
			require.NoError(t, err)
			seen = append(seen, session.Status)
		}
		assert.Equal(t, []string{"creating", "provisioning", "active"}, seen, f.protocol)
	}
	if g.sharesAnswers {
		answersAreShared(t, g)
	}
	return yes
}

// answersAreShared: what no client can mend. The Hub refuses the key of a stranger, and is not asked.
func answersAreShared(t testing.TB, g *gateway) {
	r := newRig(t, g, bare)
	id := r.session(t, r.fronts[0])
	_, err := r.fronts[0].client.GetSession(within(t), id)
	require.NoError(t, err)
	stranger, err := coder.NewClient(coder.WithURL("http://"+r.site.plain), coder.WithAPIKey("agc_stranger"))
	require.NoError(t, err)
	session, err := stranger.GetSession(within(t), id)
	if assert.NoError(t, err, "docs/gateways.md warns of it") {
		assert.Equal(t, id, session.SessionID)
	}
	_, err = stranger.ListSessions(within(t), nil)
	assert.ErrorIs(t, err, coder.ErrUnauthorized, "nobody had asked for the list")
}
