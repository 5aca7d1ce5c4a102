package coder_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
)

// sendRounds is how many runs are simulated; race_test.go has fewer.
var sendRounds = 100

// TestHubConn_Send_Simulated: senders with little time, over connections that are cut, closed, refused and stalled at any
// moment. No message comes twice; none comes whose sender was told that it certainly did not; those of one sender come in
// order; the greeting is first, then bootstrap_ready, which comes once; and Close ends it within two seconds.
func TestHubConn_Send_Simulated(t *testing.T) {
	outcomes := make(map[string]int)
	for seed := range sendRounds {
		if !t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			s := &sendSimulation{t: t, seed: uint64(seed), came: make(map[string]int), order: make(map[int][]int), outcomes: outcomes}
			s.run()
		}) {
			return
		}
	}
	for _, outcome := range []string{"sent", "unknown", "not sent"} {
		assert.Greater(t, outcomes[outcome], sendRounds/2, "or the test has lost its case: %v", outcomes)
	}
}

type sendSimulation struct {
	t        *testing.T
	seed     uint64
	mu       sync.Mutex
	came     map[string]int // messages, by sender and number
	order    map[int][]int  // numbers that came, by sender
	denied   []string       // messages that certainly did not go out
	outcomes map[string]int
}

// chance is what one goroutine draws from: no two share it, so that a seed is one run.
type chance struct{ *rand.Rand }

func (s *sendSimulation) chance(of uint64) chance { return chance{rand.New(rand.NewPCG(s.seed, of))} }

// millis is a time of less than so many milliseconds.
func (c chance) millis(n int) time.Duration { return time.Duration(c.IntN(n)) * time.Millisecond }

func (s *sendSimulation) run() {
	c := s.chance(0)
	role := []coder.HubRole{coder.RoleController, coder.RoleObserver, coder.RoleLead}[c.IntN(3)]
	large := c.IntN(3) == 0
	live(s.t, func(p *peer) { s.hub(p, role) }, func(t *testing.T, hub *liveHub) {
		conn, err := hub.client().Connect(t.Context(), "codesess_1", &coder.HubConnectOptions{
			Role: role, HeartbeatInterval: time.Second + c.millis(5000), HeartbeatTimeout: 8 * time.Second,
			MaxReconnectAttempts: 1 + c.IntN(20), HandshakeTimeout: 3 * time.Second,
		})
		if err != nil {
			return // the Hub has refused it too often
		}
		var group sync.WaitGroup
		if c.IntN(2) == 0 {
			conn.DiscardMessages()
		} else {
			group.Go(func() {
				for _, err := range conn.Messages(context.Background()) {
					if err != nil {
						return
					}
				}
			})
		}
		var senders sync.WaitGroup
		for sender := range 1 + c.IntN(8) {
			senders.Go(func() { s.send(conn, sender, large) })
		}
		if c.IntN(3) == 0 {
			time.Sleep(c.millis(10_000))
			s.end(conn)
		}
		senders.Wait()
		s.end(conn)
		group.Wait()
		s.check()
	})
}

func (s *sendSimulation) end(conn *coder.HubConn) {
	began := time.Now()
	require.NoError(s.t, conn.Close())
	assert.LessOrEqual(s.t, time.Since(began), 2*time.Second)
}

func (s *sendSimulation) check() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for message, times := range s.came {
		assert.Equal(s.t, 1, times, message)
	}
	for _, message := range s.denied {
		assert.Zero(s.t, s.came[message], message)
	}
	for _, numbers := range s.order {
		assert.IsIncreasing(s.t, numbers)
	}
}

// send sends up to twenty messages, one after the other.
func (s *sendSimulation) send(conn *coder.HubConn, sender int, large bool) {
	c := s.chance(uint64(1 + sender))
	for number := range 1 + c.IntN(20) {
		message := fmt.Sprintf("%d-%d", sender, number)
		request := &coder.EventRequest{Event: message}
		if large {
			request.Data = map[string]any{"pad": strings.Repeat("x", c.IntN(200_000))}
		}
		ctx, cancel := context.WithTimeout(context.Background(), c.millis(6000))
		var err error
		if c.IntN(3) == 0 {
			_, err = conn.SendAndWait(ctx, request)
		} else {
			err = conn.Send(ctx, request)
		}
		cancel()
		s.mu.Lock()
		switch {
		case err == nil:
			s.outcomes["sent"]++
		case errors.Is(err, coder.ErrOutcomeUnknown):
			s.outcomes["unknown"]++
		default:
			s.outcomes["not sent"]++
			s.denied = append(s.denied, message)
		}
		s.mu.Unlock()
		if c.IntN(3) == 0 {
			time.Sleep(c.millis(2000))
		}
	}
}

// hub plays one connection.
func (s *sendSimulation) hub(p *peer, role coder.HubRole) {
	c := s.chance(uint64(100 + p.n))
	p.pings = true
	hello, err := p.hear()
	if err != nil {
		return
	}
	assert.NotNil(s.t, hello["authorization"])
	if c.IntN(5) == 0 {
		_ = p.CloseNow()
		return
	}
	time.Sleep(c.millis(2000))
	if p.say(fmt.Sprintf(`{"type":"init","role":%q,"sessionId":"codesess_1"}`, role)) != nil {
		return
	}
	if role == coder.RoleController {
		ready, err := p.hear()
		if err != nil {
			return
		}
		assert.Equal(s.t, "bootstrap_ready", ready["type"])
	}
	politely := c.IntN(2) == 0
	cut := time.AfterFunc(c.millis(20_000), func() { s.cut(p, politely) })
	defer cut.Stop()
	for range c.IntN(40) {
		if c.IntN(10) == 0 {
			time.Sleep(c.millis(3000))
		}
		frame, err := p.hear()
		if err != nil {
			return
		}
		s.heard(p, frame, c.IntN(2) == 0)
	}
	if c.IntN(4) == 0 { // it reads nothing more, and says nothing
		time.Sleep(c.millis(60_000))
	}
	s.cut(p, politely)
}

func (s *sendSimulation) cut(p *peer, politely bool) {
	if politely {
		_ = p.Close(1012, "restart")
	} else {
		_ = p.CloseNow()
	}
}

func (s *sendSimulation) heard(p *peer, frame map[string]any, answers bool) {
	assert.NotEqual(s.t, "bootstrap_ready", frame["type"])
	assert.NotContains(s.t, frame, "authorization")
	if frame["type"] == "ping" {
		_ = p.say(fmt.Sprintf(`{"type":"pong","echoedTimestamp":%d}`, int64(frame["timestamp"].(float64))))
	}
	message, ok := frame["event"].(string)
	if !ok {
		return
	}
	var sender, number int
	_, err := fmt.Sscanf(message, "%d-%d", &sender, &number)
	assert.NoError(s.t, err)
	s.mu.Lock()
	s.came[message]++
	s.order[sender] = append(s.order[sender], number)
	s.mu.Unlock()
	if answers {
		_ = p.say(fmt.Sprintf(`{"id":%q,"actions":[{"action":"RETURN","result":1}]}`, frame["id"]))
	}
}
