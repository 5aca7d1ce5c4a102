package coder_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/internal/hang"
	"github.com/agentuity/coder-go/internal/memnet"
)

// ends are the ways in which a context ends.
var ends = []struct {
	name  string
	after time.Duration
	err   error
}{
	{"deadline after 1 ms", time.Millisecond, context.DeadlineExceeded},
	{"deadline after 1 s", time.Second, context.DeadlineExceeded},
	{"deadline after 11 min", longest, context.DeadlineExceeded},
	{"cancelled after 1 ms", time.Millisecond, context.Canceled},
	{"cancelled after 1 s", time.Second, context.Canceled},
	{"cancelled after 11 min", longest, context.Canceled},
}

// longest is longer than every limit of the library's own. The longest of those is 10 min, and two ends at one instant
// could not be told apart.
const longest = 11 * time.Minute

var errWhy = errors.New("the user has left")

// TestDeadlines: every method that takes a context, against every way in which the other side can let it wait, ends with
// its context, to the instant, and says so; or earlier, with what the Hub answered or a limit of the library's own.
func TestDeadlines(t *testing.T) {
	clearEnv(t)
	t.Setenv("AGENTUITY_CATALYST_URL", hang.Address)
	calls, err := hang.Calls()
	require.NoError(t, err, "every method of Client and HubConn must be in the table")
	require.Greater(t, len(calls), 60)
	for _, onConn := range []bool{false, true} {
		ways := hang.Ways(time.Minute)
		if onConn {
			ways = hang.ConnWays(time.Minute)
		}
		for _, way := range ways {
			if way.Buffers { // make lateness has them
				continue
			}
			t.Run(way.Name, func(t *testing.T) {
				t.Parallel()
				for _, call := range calls {
					if call.OnConn != onConn || way.Sockets && !call.Connects && !onConn {
						continue
					}
					t.Run(call.Name, func(t *testing.T) {
						synctest.Test(t, func(t *testing.T) {
							for _, end := range ends {
								meetsDeadline(t, &call, way, end.name, end.after, end.err)
							}
						})
					})
				}
			})
		}
	}
}

// meetsDeadline makes a call and looks at how it ends.
func meetsDeadline(t *testing.T, call *hang.Call, way hang.Way, name string, after time.Duration, want error) {
	t.Helper()
	network := memnet.Listen()
	s, err := hang.NewStage(t.Context(), hang.Network{Listener: network, Dial: network.Dial}, way, call.OnConn)
	require.NoError(t, err)
	defer s.Close()
	require.NoError(t, s.Fail(t.Context()))
	if call.OnConn && !way.Keeps {
		time.Sleep(time.Second) // until the connection is made again
	}
	synctest.Wait()

	var ctx context.Context
	var leave func()
	if errors.Is(want, context.Canceled) {
		c, cancel := context.WithCancelCause(t.Context())
		timer := time.AfterFunc(after, func() { cancel(errWhy) })
		ctx, leave = c, func() { timer.Stop(); cancel(nil) }
	} else {
		ctx, leave = context.WithTimeoutCause(t.Context(), after, errWhy)
	}
	defer leave()
	began := time.Now()
	err = call.Do(ctx, s)
	took := time.Since(began)

	assert.LessOrEqual(t, took, after, "%s: it ends no later than its context", name)
	if err == nil {
		assert.True(t, mayWork(call, way, after), "%s: it works, though nobody answers", name)
	} else {
		assert.True(t, s.Met() || needsNothing(call, way), "%s: nothing has let it wait", name)
		require.NotErrorAs(t, err, new(*coder.ValidationError), "%s: the arguments are good", name)
		if took == after {
			require.ErrorIs(t, err, want, "%s: the context ended it", name)
			assert.ErrorIs(t, err, errWhy, "%s: and why is kept", name)
			if !errors.Is(want, context.Canceled) {
				assert.NotErrorIs(t, err, context.Canceled, "%s: nobody has cancelled anything: %v", name, err)
			}
		} else {
			assert.True(t, mayEndEarly(way, after), "%s: it ends after %s: %v", name, took, err)
			assert.NotErrorIs(t, err, errWhy, "%s: the context has not ended", name)
			assert.NotErrorIs(t, err, context.Canceled, "%s: nobody has cancelled anything", name)
		}
		if want, certain := unknown(call, way, after); certain {
			assert.Equal(t, want, isUnknown(err), "%s: is the outcome unknown: %v", name, err)
		}
	}
	if s.Conn != nil {
		s.Conn.Close()
	}
	s.Client.CloseIdleConnections()
	synctest.Wait()
	if way.HTTP2 && s.Open() > 0 {
		time.Sleep(time.Minute) // net/http tries for 5 s to say farewell
	}
	assert.Zero(t, s.Open(), "%s: a connection is left", name)
}

// TestDeadlines_LeftInTheMiddle: a loop over an iterator can be left while nothing more comes, and nothing stays.
func TestDeadlines_LeftInTheMiddle(t *testing.T) {
	clearEnv(t)
	calls, err := hang.Calls()
	require.NoError(t, err)
	for _, call := range calls {
		if !call.Iterates {
			continue
		}
		t.Run(call.Name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				network := memnet.Listen()
				s, err := hang.NewStage(t.Context(), hang.Network{Listener: network, Dial: network.Dial}, hang.AfterTheFirst(), call.OnConn)
				require.NoError(t, err)
				defer s.Close()
				require.NoError(t, s.Fail(t.Context()))
				var came time.Time
				for err := range call.Range(t.Context(), s) {
					require.NoError(t, err)
					time.Sleep(time.Minute) // whatever reads ahead waits now
					came = time.Now()
					break
				}
				require.False(t, came.IsZero(), "there is a first element")
				assert.Zero(t, time.Since(came), "the loop is left at once")
				if s.Conn != nil {
					s.Conn.Close()
				}
				s.Client.CloseIdleConnections()
				synctest.Wait()
				assert.Zero(t, s.Open(), "a connection is left")
			})
		})
	}
}

// TestDeadlines_Close: Close has no context, and ends by itself, at most a second later, whatever the other side does.
func TestDeadlines_Close(t *testing.T) {
	for _, way := range hang.ConnWays(time.Minute) {
		t.Run(way.Name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				network := memnet.Listen()
				s, err := hang.NewStage(t.Context(), hang.Network{Listener: network, Dial: network.Dial}, way, true)
				require.NoError(t, err)
				defer s.Close()
				require.NoError(t, s.Fail(t.Context()))
				time.Sleep(2 * time.Second) // a connection that was lost is tried again
				began := time.Now()
				require.NoError(t, s.Conn.Close())
				assert.LessOrEqual(t, time.Since(began), time.Second)
				s.Client.CloseIdleConnections()
				synctest.Wait()
				assert.Zero(t, s.Open(), "a connection is left")
			})
		})
	}
}
