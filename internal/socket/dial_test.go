package socket

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

const secretURL = "ws://hub.invalid/api/ws?secret=1"

func dial(t *testing.T, base http.RoundTripper) *DialError {
	t.Helper()
	l, err := Dial(t.Context(), secretURL, Options{Client: &http.Client{Transport: base}})
	require.NotNil(t, err)
	assert.Nil(t, l)
	assert.NotContains(t, err.Error(), "secret")
	return err
}

// TestDial_NeverSent: only where there is evidence, and without hooks there is none.
func TestDial_NeverSent(t *testing.T) {
	errDown := errors.New("down")
	lost := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		near, far := net.Pipe()
		go func() {
			_, _ = far.Read(make([]byte, 10))
			_ = far.Close()
		}()
		return near, nil
	}}
	for name, test := range map[string]struct {
		base      http.RoundTripper
		neverSent bool
		is        error
	}{
		"no connection":   {&http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return nil, errDown }}, true, errDown},
		"connection lost": {lost, false, nil},
		"no hooks":        {roundTrip(func(*http.Request) (*http.Response, error) { return nil, errDown }), false, errDown},
	} {
		err := dial(t, test.base)
		assert.Equal(t, test.neverSent, err.NeverSent, name)
		assert.Nil(t, err.Answer, name)
		if test.is != nil {
			require.ErrorIs(t, err, test.is, name)
		}
	}
}

// TestDial_Answer is what came in the place of a WebSocket.
func TestDial_Answer(t *testing.T) {
	for _, status := range []int{http.StatusServiceUnavailable, http.StatusSwitchingProtocols} {
		err := dial(t, roundTrip(func(r *http.Request) (*http.Response, error) {
			return &http.Response{
				StatusCode: status, Header: http.Header{"Retry-After": {"7"}}, Request: r,
				Body: io.NopCloser(strings.NewReader(strings.Repeat("x", 5000))),
			}, nil
		}))
		require.NotNil(t, err.Answer)
		assert.Equal(t, status, err.Answer.Status)
		assert.Equal(t, "7", err.Answer.Header.Get("Retry-After"))
		assert.Equal(t, strings.Repeat("x", 1024), string(err.Answer.Body))
		assert.False(t, err.NeverSent)
	}
}

// TestDial_Context bounds dialling, and not what is read and written afterwards.
func TestDial_Context(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		_, failed := Dial(ctx, secretURL, Options{Client: &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		})}})
		require.NotNil(t, failed)
		assert.Equal(t, time.Second, time.Since(began))

		ctx, cancel = context.WithCancel(t.Context())
		server := pipeServer{play: func(conn *websocket.Conn) {
			time.Sleep(time.Second)
			_ = conn.Write(context.Background(), websocket.MessageText, []byte("{}"))
			drain(conn)
		}}
		l, failed := Dial(ctx, secretURL, Options{Client: &http.Client{Transport: server}, ReadLimit: 10})
		require.Nil(t, failed)
		cancel()
		frame, err := l.Read()
		require.NoError(t, err)
		assert.Equal(t, "{}", string(frame))
		l.EndWriting()
		_ = l.EndReading(nil)
	})
}

// TestDial_Once: a request that net/http must not repeat looks as if it had a body that cannot be sent again.
func TestDial_Once(t *testing.T) {
	for _, once := range []bool{true, false} {
		_, err := Dial(t.Context(), secretURL, Options{Once: once, Client: &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			assert.Equal(t, once, r.Body != nil)
			assert.Nil(t, r.GetBody)
			assert.Zero(t, r.ContentLength)
			return nil, io.ErrUnexpectedEOF
		})}})
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	}
}
