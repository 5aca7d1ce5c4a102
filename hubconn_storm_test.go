package coder_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
)

// TestHubConn_Storm: a thousand connections that end in every way there is, with garbage in between, while
// several goroutines send. Nothing panics, nothing is left, no message comes twice, and every loss
// is told.
func TestHubConn_Storm(t *testing.T) {
	const connections = 1000
	for _, seed := range []uint64{1, 2} {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			var mu sync.Mutex
			heard := make(map[string]int)
			admitted := 0
			live(t, func(p *peer) {
				mu.Lock()
				r := rand.New(rand.NewPCG(seed, uint64(p.n)))
				mu.Unlock()
				if p.n > 1 && p.n < connections && !stormBeforeInit(p, r) {
					return
				}
				if !p.admit() {
					return
				}
				mu.Lock()
				admitted++
				number := admitted
				mu.Unlock()
				reading := make(chan struct{})
				go func() {
					defer close(reading)
					for {
						frame, err := p.hear()
						if err != nil {
							return
						}
						if command, ok := frame["command"].(map[string]any); ok {
							mu.Lock()
							heard[command["message"].(string)]++
							mu.Unlock()
						}
						if id, ok := frame["id"].(string); ok && len(id)%2 == 0 {
							_ = p.say(fmt.Sprintf(`{"id":%q,"actions":[]}`, id))
						}
					}
				}()
				defer func() { <-reading }()
				defer func() { _ = p.CloseNow() }()
				if stormAfterInit(p, r, number, p.n >= connections) {
					<-reading
				}
			}, func(t *testing.T, hub *liveHub) {
				conn := connected(t, hub, func(o *coder.HubConnectOptions) { o.MaxReconnectAttempts = 1 << 30 })
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				// Long waits, and longer pauses: what is sent in quiet times shows nothing.
				pause := func(i int) {
					select {
					case <-time.After(time.Duration(i%11) * 3 * time.Second):
					case <-ctx.Done():
					}
				}
				var senders sync.WaitGroup
				sent := make(map[string]bool)
				for s := range 5 {
					senders.Go(func() {
						for i := 0; ctx.Err() == nil; i++ {
							text := fmt.Sprint(s, "-", i)
							short, stop := context.WithTimeout(ctx, time.Duration(i%7)*3*time.Second)
							if err := conn.Prompt(short, text); err == nil || errorsIs(err, coder.ErrOutcomeUnknown) {
								mu.Lock()
								sent[text] = true
								mu.Unlock()
							}
							_, _ = conn.SendAndWait(short, &coder.EventRequest{Event: "x"})
							stop()
							pause(i)
						}
					})
				}
				// These would wait for ever: the connection outlives them, so that they must not have to.
				patient := make(chan struct{})
				var waiting sync.WaitGroup
				for s := range 3 {
					waiting.Go(func() {
						for i := 0; ctx.Err() == nil; i++ {
							text := fmt.Sprint("patient ", s, "-", i)
							if err := conn.Prompt(context.Background(), text); err == nil || errorsIs(err, coder.ErrOutcomeUnknown) {
								mu.Lock()
								sent[text] = true
								mu.Unlock()
							}
							pause(i)
						}
					})
				}
				go func() {
					waiting.Wait()
					close(patient)
				}()
				connection, message, losses := 1, 0, 0
				for m, err := range conn.Messages(ctx) {
					require.NoError(t, err)
					switch m := m.(type) {
					case *coder.ReconnectedMessage:
						losses++
						connection++
						message = 0
						assert.Positive(t, m.Attempt)
						assert.Error(t, m.Cause)
					case *coder.PresenceEventMessage:
						message++
						require.Equal(t, fmt.Sprint(connection, "-", message), m.SessionID, "in order, each once, and none of another connection")
					case *coder.PongMessage:
						cancel()
					}
					if ctx.Err() != nil {
						break
					}
				}
				senders.Wait()
				select {
				case <-patient:
				case <-time.After(time.Hour):
					assert.Fail(t, "a sender still waits although there is a connection")
				}
				require.NoError(t, conn.Close())
				<-patient
				mu.Lock()
				defer mu.Unlock()
				assert.Equal(t, admitted-1, losses, "every loss is told")
				assert.GreaterOrEqual(t, len(hub.seen()), connections)
				assert.Greater(t, len(heard), 100)
				for text, times := range heard {
					assert.Equal(t, 1, times, "%s came twice", text)
					assert.True(t, sent[text], "the sender of %s was told that it had not gone out", text)
				}
			})
		})
	}
}

// stormBeforeInit returns false if the connection is to end.
func stormBeforeInit(p *peer, r *rand.Rand) bool {
	switch r.IntN(8) {
	case 0:
		return false
	case 1:
		_ = p.Close([]websocket.StatusCode{1000, 1001, 1011, 3999, 4408, 4429}[r.IntN(6)], "not now")
		return false
	case 2:
		p.listen() // until the handshake times out
		return false
	case 3:
		go stormGarbage(p, r.IntN(8)) // which nobody reads as anything
	}
	return true
}

// stormAfterInit returns true if the connection is to stay.
func stormAfterInit(p *peer, r *rand.Rand, number int, last bool) bool {
	for i := range r.IntN(30) {
		if r.IntN(10) == 0 {
			stormGarbage(p, r.IntN(8))
		}
		if r.IntN(20) == 0 {
			time.Sleep(time.Duration(r.IntN(20)) * time.Second)
		}
		if p.say(fmt.Sprintf(`{"type":"presence","event":"presence_update","sessionId":"%d-%d","timestamp":1}`, number, i+1)) != nil {
			return false
		}
	}
	if last {
		return p.say(`{"type":"pong","timestamp":1,"echoedTimestamp":1}`) == nil
	}
	switch r.IntN(5) {
	case 0: // cut
	case 1:
		_ = p.Close([]websocket.StatusCode{1000, 1001, 1011, 4408, 4429}[r.IntN(5)], "gone")
	case 2:
		time.Sleep(time.Minute) // silent
	case 3:
		w, _ := p.Writer(context.Background(), websocket.MessageText)
		_, _ = w.Write([]byte(`{"type":"pres`)) // and no more
	case 4:
		_ = p.Write(context.Background(), websocket.MessageText, make([]byte, r.IntN(100_000)))
	}
	return false
}

func stormGarbage(p *peer, kind int) {
	garbage := []string{``, `{`, `null`, `[{}]`, `{"type":"presence"}`, "\xff\xfe", `{"type":{"a":1},"id":7}`, `{"id":"x","actions":{}}`}
	_ = p.Write(context.Background(), []websocket.MessageType{websocket.MessageText, websocket.MessageBinary}[kind%2], []byte(garbage[kind]))
}
