package coder_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
)

// TestHubConn_Write_NoSenderIsForgotten: the Hub neither speaks nor reads, so that one frame is being
// written and others queue when the connection is given up. The write succeeds while it is being closed,
// and the writer may take the next frame although it cannot write it any more. What the writer does then
// depends on chance, hence the rounds.
func TestHubConn_Write_NoSenderIsForgotten(t *testing.T) {
	const senders = 10
	for range 60 {
		heard := make(map[string]int)
		live(t, func(p *peer) {
			p.admit()
			if p.n == 1 {
				time.Sleep(30*time.Second + 500*time.Millisecond)
			}
			for {
				frame, err := p.hear()
				if err != nil {
					return
				}
				heard[frame["command"].(map[string]any)["message"].(string)]++
			}
		}, func(t *testing.T, hub *liveHub) {
			conn := connected(t, hub, func(o *coder.HubConnectOptions) {
				o.HeartbeatInterval, o.HeartbeatTimeout = 29*time.Second, 30*time.Second
			})
			var returned atomic.Int32
			for i := range senders {
				go func() {
					assert.NoError(t, conn.Steer(context.Background(), fmt.Sprint(i)))
					returned.Add(1)
				}()
			}
			time.Sleep(45 * time.Second)
			assert.EqualValues(t, senders, returned.Load(), "the others wait for ever")
			assert.Len(t, hub.seen(), 2)
			require.NoError(t, conn.Close())
			synctest.Wait()
			assert.Len(t, heard, senders)
			for text, times := range heard {
				assert.Equal(t, 1, times, text)
			}
		})
		if t.Failed() {
			return
		}
	}
}

// deaf is a connection whose writes fail once it is told so. Reads go on.
type deaf struct {
	net.Conn
	broken *atomic.Bool
}

var errBrokenPipe = errors.New("broken pipe")

func (d *deaf) Write(p []byte) (int, error) {
	if d.broken.Load() {
		return 0, errBrokenPipe
	}
	return d.Conn.Write(p)
}

// deafClient is a client whose connections are deaf when broken says so.
func deafClient(hub *liveHub, broken *atomic.Bool) *coder.Client {
	return clientOver(hub, func(conn net.Conn) net.Conn { return &deaf{conn, broken} })
}

// slow is a connection whose writes take a while, so that other goroutines can do something meanwhile.
type slow struct{ net.Conn }

func (s slow) Write(p []byte) (int, error) {
	time.Sleep(time.Millisecond)
	return s.Conn.Write(p)
}

// clientOver is a client over connections that were wrapped.
func clientOver(hub *liveHub, wrap func(net.Conn) net.Conn) *coder.Client {
	return hub.client(coder.WithHTTPClient(&http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := hub.dial(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return wrap(conn), nil
		},
	}}))
}

// TestHubConn_Write_FailsBeforeThereIsNoRoom: a write fails, and the reader learns of it although it
// waits for room.
func TestHubConn_Write_FailsBeforeThereIsNoRoom(t *testing.T) {
	live(t, func(p *peer) {
		p.admit()
		go p.listen()
		time.Sleep(time.Second)
		for i := range 2000 {
			time.Sleep(500 * time.Microsecond)
			if p.say(fmt.Sprintf(`{"type":"x","n":%d}`, i)) != nil {
				return
			}
		}
	}, func(t *testing.T, hub *liveHub) {
		var broken atomic.Bool
		conn, err := deafClient(hub, &broken).Connect(t.Context(), "codesess_1", &coder.HubConnectOptions{
			Role: coder.RoleController, MaxReconnectAttempts: -1,
		})
		require.NoError(t, err)
		defer func() { assert.NoError(t, conn.Close()) }()
		waiting, sending := make(chan error, 1), make(chan error, 1)
		go func() {
			_, err := conn.SendAndWait(context.Background(), &coder.EventRequest{})
			waiting <- err
		}()
		time.Sleep(1100 * time.Millisecond)
		broken.Store(true)
		go func() { sending <- conn.Abort(context.Background()) }()
		time.Sleep(time.Minute)
		synctest.Wait()
		require.NotEmpty(t, waiting, "SendAndWait still waits")
		err = <-waiting
		assert.Equal(t, coder.ConnLost, connError(t, err).Code)
		require.ErrorIs(t, err, errBrokenPipe)
		require.ErrorIs(t, err, coder.ErrOutcomeUnknown)
		err = <-sending
		require.ErrorIs(t, err, errBrokenPipe)
		require.NotErrorIs(t, err, coder.ErrOutcomeUnknown, "nothing has gone out")
		assert.Equal(t, coder.StateClosed, conn.State())
	})
}

// TestHubConn_Write_FailsAndTheCloseCodeIsRead: why the Hub closed the connection says more than the
// failed write.
func TestHubConn_Write_FailsAndTheCloseCodeIsRead(t *testing.T) {
	live(t, func(p *peer) {
		p.admit()
		time.Sleep(10*time.Second + 500*time.Millisecond) // the ping after 10 s fails
		_ = p.Close(4404, "gone")
	}, func(t *testing.T, hub *liveHub) {
		var broken atomic.Bool
		conn, err := deafClient(hub, &broken).Connect(t.Context(), "codesess_1", &coder.HubConnectOptions{Role: coder.RoleController})
		require.NoError(t, err)
		synctest.Wait() // until bootstrap_ready is out
		broken.Store(true)
		_, err = messages(t, conn)
		assert.Equal(t, coder.CloseSessionNotFound, connError(t, err).CloseCode)
		require.ErrorIs(t, err, coder.ErrSessionNotFound)
		assert.Len(t, hub.seen(), 1, "another attempt would be of no use")
		require.NoError(t, conn.Close())
	})
}

// TestHubConn_Write_LostIsNoEndedContext: the contexts inside are no caller's.
func TestHubConn_Write_LostIsNoEndedContext(t *testing.T) {
	for name, play := range map[string]func(*peer){
		"heartbeat": func(p *peer) {
			_, r, _ := p.Reader(context.Background())
			_, _ = r.Read(make([]byte, 10))
			time.Sleep(5 * time.Minute)
		},
		"cut in a write": func(p *peer) {
			_, r, _ := p.Reader(context.Background())
			_, _ = r.Read(make([]byte, 10))
		},
		"closed in a write": func(p *peer) {
			_, r, _ := p.Reader(context.Background())
			_, _ = r.Read(make([]byte, 10))
			_ = p.Close(1001, "restart")
		},
		"ping in a write": func(p *peer) {
			_, r, _ := p.Reader(context.Background())
			_, _ = r.Read(make([]byte, 10))
			go func() { _ = p.Ping(context.Background()) }()
			time.Sleep(5 * time.Minute)
		},
	} {
		t.Run(name, func(t *testing.T) {
			live(t, func(p *peer) {
				if p.admit(); p.n == 1 {
					play(p)
					return
				}
				p.listen()
			}, func(t *testing.T, hub *liveHub) {
				// A Hub that closes still reads, and could read all of the message before we see its close frame.
				conn, err := clientOver(hub, func(conn net.Conn) net.Conn { return slow{conn} }).
					Connect(t.Context(), "codesess_1", &coder.HubConnectOptions{Role: coder.RoleController})
				require.NoError(t, err)
				waiting := make(chan error, 1)
				go func() {
					synctest.Wait()
					_, err := conn.SendAndWait(context.Background(), &coder.EventRequest{})
					waiting <- err
				}()
				failed := conn.Prompt(context.Background(), strings.Repeat("x", 100_000))
				again := next(t, conn).(*coder.ReconnectedMessage)
				for what, err := range map[string]error{"Prompt": failed, "Cause": again.Cause} {
					assert.Equal(t, coder.ConnLost, connError(t, err).Code, what)
					require.NotErrorIs(t, err, context.Canceled, what)
					require.NotErrorIs(t, err, context.DeadlineExceeded, what)
				}
				require.ErrorIs(t, failed, coder.ErrOutcomeUnknown)
				require.NoError(t, conn.Close())
				require.ErrorIs(t, <-waiting, coder.ErrConnClosed)
			})
		})
	}
}

// TestHubConn_Write_PingDuringALongUpload: it is answered in the middle of the message. The library
// gives the answer 5 s, and the upload takes 25.
func TestHubConn_Write_PingDuringALongUpload(t *testing.T) {
	live(t, func(p *peer) {
		p.admit()
		var pings sync.WaitGroup
		pings.Go(func() {
			for range 3 {
				time.Sleep(3 * time.Second)
				assert.NoError(t, p.Ping(context.Background()))
			}
		})
		_, r, err := p.Reader(context.Background())
		if !assert.NoError(t, err) {
			return
		}
		size := 0
		for part := make([]byte, 4096); err == nil; {
			var n int
			time.Sleep(500 * time.Millisecond)
			n, err = r.Read(part)
			size += n
		}
		assert.Greater(t, size, 200_000)
		pings.Wait()
		p.listen()
	}, func(t *testing.T, hub *liveHub) {
		conn := connected(t, hub)
		began := time.Now()
		require.NoError(t, conn.Prompt(t.Context(), strings.Repeat("x", 200_000)))
		assert.Greater(t, time.Since(began), 20*time.Second)
		synctest.Wait()
		assert.Equal(t, coder.StateConnected, conn.State())
		assert.Len(t, hub.seen(), 1)
	})
}
