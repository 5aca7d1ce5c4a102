package memnet_test

import (
	"context"
	"io"
	"net"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go/internal/memnet"
)

func TestDialMeetsAccept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := memnet.Listen()
		go func() {
			conn, err := l.Accept()
			if assert.NoError(t, err) {
				_, _ = io.WriteString(conn, "hello")
				_ = conn.Close()
			}
		}()
		conn, err := l.Dial(t.Context(), "tcp", "anywhere:80")
		require.NoError(t, err)
		text, err := io.ReadAll(conn)
		require.NoError(t, err)
		assert.Equal(t, "hello", string(text))
		assert.Equal(t, "pipe memory", l.Addr().Network()+" "+l.Addr().String())
	})
}

func TestDialEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := memnet.Listen().Dial(ctx, "tcp", "anywhere:80")
		assert.ErrorIs(t, err, context.DeadlineExceeded)
	})
}

func TestCloseRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := memnet.Listen()
		ended := make(chan error)
		go func() {
			_, err := l.Accept()
			ended <- err
		}()
		synctest.Wait()
		require.NoError(t, l.Close())
		require.NoError(t, l.Close(), "closing again is harmless")
		require.ErrorIs(t, <-ended, net.ErrClosed)
		_, err := l.Dial(t.Context(), "tcp", "anywhere:80")
		var opErr *net.OpError
		require.ErrorAs(t, err, &opErr)
		assert.Equal(t, "dial", opErr.Op)
		assert.ErrorIs(t, err, syscall.ECONNREFUSED)
	})
}
