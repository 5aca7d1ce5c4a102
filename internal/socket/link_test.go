package socket

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// pipeServer is the server's side of connections that are made without a network: one end of a pipe each.
type pipeServer struct {
	play func(*websocket.Conn)
	near func(net.Conn) io.ReadWriteCloser // the client's end; nil: as it is
}

// pipeEnd is what websocket.Accept takes a connection from.
type pipeEnd struct {
	*httptest.ResponseRecorder
	conn net.Conn
}

func (e pipeEnd) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return e.conn, bufio.NewReadWriter(bufio.NewReader(e.conn), bufio.NewWriter(e.conn)), nil
}

func (s pipeServer) RoundTrip(r *http.Request) (*http.Response, error) {
	near, far := net.Pipe()
	end := pipeEnd{httptest.NewRecorder(), far}
	conn, err := websocket.Accept(end, r, nil)
	if err != nil {
		return nil, err
	}
	go func() {
		defer func() { _ = conn.CloseNow() }()
		s.play(conn)
	}()
	answer := end.Result()
	answer.Body = near
	if s.near != nil {
		answer.Body = s.near(near)
	}
	return answer, nil
}

// drain reads until the connection ends.
func drain(conn *websocket.Conn) {
	for {
		if _, _, err := conn.Read(context.Background()); err != nil {
			return
		}
	}
}

// asleep neither reads nor writes.
func asleep(*websocket.Conn) { time.Sleep(30 * time.Minute) }

// openLink opens a link that nobody reads or writes yet.
func openLink(t *testing.T, server pipeServer) *Link {
	t.Helper()
	l, err := Dial(t.Context(), "ws://hub.invalid", Options{Client: &http.Client{Transport: server}, ReadLimit: -1})
	require.Nil(t, err)
	t.Cleanup(func() {
		l.Cut()
		_ = l.ws.CloseNow()
		time.Sleep(time.Hour) // until the server's side is no longer asleep
	})
	return l
}

// TestLink_Read_FramesAreTheCallers: what Read returned does not change when it is called again, however large it is.
func TestLink_Read_FramesAreTheCallers(t *testing.T) {
	sizes := []int{0, 1, firstPiece - 1, firstPiece, firstPiece + 1, 2 * firstPiece, 3*firstPiece + 7}
	for size := 50 << 10; size < 2<<20; size += size / 3 {
		sizes = append(sizes, size, 10)
	}
	synctest.Test(t, func(t *testing.T) {
		l := openLink(t, pipeServer{play: func(conn *websocket.Conn) {
			for i, size := range sizes {
				_ = conn.Write(context.Background(), websocket.MessageText, bytes.Repeat([]byte{byte(i)}, size))
			}
			drain(conn)
		}})
		var frames [][]byte
		for _, size := range sizes {
			frame, err := l.Read()
			require.NoError(t, err)
			require.Len(t, frame, size)
			frames = append(frames, frame)
		}
		for i, frame := range frames {
			require.Equal(t, bytes.Repeat([]byte{byte(i)}, sizes[i]), frame, "frame %d of %d bytes", i, sizes[i])
		}
	})
}

// TestLink_Read_Memory: a frame takes little more than twice its size while it is read, and nothing afterwards.
func TestLink_Read_Memory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size = 16 << 20
		frame := bytes.Repeat([]byte("x"), size)
		l := openLink(t, pipeServer{play: func(conn *websocket.Conn) {
			_ = conn.Write(context.Background(), websocket.MessageText, frame)
			drain(conn)
		}})
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		got, err := l.Read()
		runtime.ReadMemStats(&after)
		require.NoError(t, err)
		require.Len(t, got, size)
		assert.LessOrEqual(t, float64(after.TotalAlloc-before.TotalAlloc)/size, 2.2)
		assert.LessOrEqual(t, cap(got), size+size/8)
	})
}

// A failing is a connection whose writes fail once it is told so. Reads go on.
type failing struct {
	net.Conn
	broken *atomic.Bool
}

var errBrokenPipe = errors.New("broken pipe")

func (f failing) Write(p []byte) (int, error) {
	if f.broken.Load() {
		return 0, errBrokenPipe
	}
	return f.Conn.Write(p)
}

// readToTheEnd is the reader's part of a link that is open.
func readToTheEnd(l *Link) error {
	for {
		if _, err := l.Read(); err != nil {
			return l.EndReading(err)
		}
	}
}

// writeToTheEnd is the writer's part of a link, with nothing to write.
func writeToTheEnd(l *Link) {
	<-l.Closing()
	l.EndWriting()
}

// TestLink_EndReading returns why the link is closed, whatever else failed because of it.
func TestLink_EndReading(t *testing.T) {
	errDone := errors.New("done")
	closeWith := func(code websocket.StatusCode) func(*websocket.Conn) {
		return func(conn *websocket.Conn) { _ = conn.Close(code, "because") }
	}
	for name, test := range map[string]struct {
		play  func(*websocket.Conn)
		act   func(l *Link, broken *atomic.Bool) // after a second
		want  error
		after time.Duration
	}{
		"closed by us": {drain, func(l *Link, _ *atomic.Bool) { l.Close(1000, "bye", errDone) }, errDone, 0},
		"closed twice": {drain, func(l *Link, _ *atomic.Bool) {
			l.Close(1000, "bye", errDone)
			l.Close(1001, "bye", io.ErrClosedPipe)
		}, errDone, 0},
		"closed by us, no answer":   {asleep, func(l *Link, _ *atomic.Bool) { l.Close(1000, "bye", errDone) }, errDone, closeGrace},
		"closed by the other side":  {closeWith(4404), nil, websocket.CloseError{Code: 4404, Reason: "because"}, -time.Second},
		"cut by the other side":     {func(*websocket.Conn) {}, nil, eofError{}, -time.Second},
		"cut by us":                 {asleep, func(l *Link, _ *atomic.Bool) { l.Cut() }, errCut, 0},
		"a frame that is too large": {func(c *websocket.Conn) { _ = c.Write(context.Background(), 1, make([]byte, 2000)); drain(c) }, nil, ErrTooLarge, -time.Second},
		"silence":                   {asleep, nil, errSilent, 9*time.Second + closeGrace},
		"a write that moves no byte": {func(c *websocket.Conn) {
			for c.Write(context.Background(), websocket.MessageText, []byte("{}")) == nil {
				time.Sleep(time.Second)
			}
		}, func(l *Link, _ *atomic.Bool) { _, _ = l.Write([]byte("{}")) }, errStalled, 10*time.Second + closeGrace + 1}, // 1 ns: when a write began is never 0
		"a write fails":              {asleep, breakWrite, errBrokenPipe, closeGrace},
		"a write fails, then closed": {asleep, func(l *Link, b *atomic.Bool) { breakWrite(l, b); l.Close(1000, "bye", errDone) }, errDone, 0},
		"a write fails, closed later": {asleep, func(l *Link, b *atomic.Bool) {
			breakWrite(l, b)
			time.Sleep(200 * time.Millisecond) // the writer has left: nobody can send a close frame
			l.Close(1000, "bye", errDone)
		}, errDone, 200 * time.Millisecond},
		"closed, then a write fails": {asleep, func(l *Link, b *atomic.Bool) { b.Store(true); l.Close(1000, "bye", errDone) }, errDone, 0},
		"a write fails, the other side has closed": {func(c *websocket.Conn) {
			time.Sleep(1500 * time.Millisecond)
			_ = c.Close(4404, "because")
		}, breakWrite, websocket.CloseError{Code: 4404, Reason: "because"}, 500 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var broken atomic.Bool
				l := openLink(t, pipeServer{play: test.play, near: func(near net.Conn) io.ReadWriteCloser { return failing{near, &broken} }})
				l.ws.SetReadLimit(1000)
				began := time.Now()
				l.Open(10 * time.Second)
				go writeToTheEnd(l)
				if test.act != nil {
					time.AfterFunc(time.Second, func() { test.act(l, &broken) })
				}
				err := readToTheEnd(l)
				require.ErrorIs(t, err, test.want)
				assert.Equal(t, time.Second+test.after, time.Since(began))
				assert.Equal(t, closed, l.state)
				<-l.Closing()

				l.Open(time.Second) // there is no way back
				l.Close(1000, "too late", errDone)
				assert.Equal(t, closed, l.state)
				_, err = l.Write([]byte("{}"))
				require.Error(t, err)
				time.Sleep(time.Minute) // and no timer is left that does something
				_, err = l.Read()
				require.Error(t, err)
			})
		})
	}
}

func breakWrite(l *Link, broken *atomic.Bool) {
	broken.Store(true)
	_, _ = l.Write([]byte("{}"))
}

// TestLink_Close sends a close frame once the writer is done with what it writes.
func TestLink_Close(t *testing.T) {
	for _, opened := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			var frame error
			l := openLink(t, pipeServer{play: func(conn *websocket.Conn) { _, _, frame = conn.Read(context.Background()) }})
			if opened {
				l.Open(time.Minute)
			}
			var group sync.WaitGroup
			group.Go(func() { writeToTheEnd(l) })
			l.Close(4401, "because", io.ErrClosedPipe)
			require.ErrorIs(t, readToTheEnd(l), io.ErrClosedPipe)
			group.Wait()
			synctest.Wait()
			code, reason, ok := CloseFrame(frame)
			assert.True(t, ok, "%v", frame)
			assert.Equal(t, 4401, code)
			assert.Equal(t, "because", reason)
		})
	}
}

// TestLink_OnClosing tells the writer once that it must stop, whatever the reason, and whether the link was open or not.
func TestLink_OnClosing(t *testing.T) {
	for name, act := range map[string]func(*Link){
		"Close":              func(l *Link) { l.Close(1000, "", io.ErrClosedPipe) },
		"a write that fails": func(l *Link) { _ = l.conn.Load().Close(); _, _ = l.Write([]byte("{}")) },
		"the end of reading": func(l *Link) { go func() { _ = l.EndReading(io.EOF) }() },
	} {
		for _, opened := range []bool{true, false} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var told atomic.Int32
					l := openLink(t, pipeServer{play: drain})
					l.onClosing = func() {
						<-l.Closing()
						told.Add(1)
						l.EndWriting()
					}
					if opened {
						l.Open(time.Minute)
					}
					synctest.Wait()
					assert.Zero(t, told.Load())
					act(l)
					_ = l.EndReading(io.EOF)
					assert.Equal(t, int32(1), told.Load())
				})
			})
		}
	}
}

// TestLink_Pause: while the reader does not read, the other side is not silent. Its time begins anew.
func TestLink_Pause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := openLink(t, pipeServer{play: asleep})
		l.Open(10 * time.Second)
		time.Sleep(9 * time.Second)
		l.Pause()
		time.Sleep(time.Minute)
		assert.Equal(t, open, l.state)
		l.Resume()
		time.Sleep(9 * time.Second)
		assert.Equal(t, open, l.state)
		go l.EndWriting()
		require.ErrorIs(t, readToTheEnd(l), errSilent)
	})
}

// TestLink_Pause_WhileWriting: a server may wait for our reader before it reads. Its time begins anew here
// too.
func TestLink_Pause_WhileWriting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := openLink(t, pipeServer{play: asleep})
		l.Open(10 * time.Second)
		l.Pause()
		var group sync.WaitGroup
		group.Go(func() {
			_, err := l.Write([]byte("{}"))
			assert.ErrorIs(t, err, errStalled)
			l.EndWriting()
		})
		time.Sleep(time.Minute)
		assert.Equal(t, open, l.state)
		l.Resume()
		began := time.Now()
		heard := make(chan struct{})
		group.Go(func() {
			for {
				select {
				case <-time.After(time.Second):
					l.heardNow() // so that only the write is at fault
				case <-heard:
					return
				}
			}
		})
		require.ErrorIs(t, readToTheEnd(l), errStalled)
		assert.Equal(t, 10*time.Second+closeGrace, time.Since(began))
		close(heard)
		group.Wait()
	})
}

// TestLink_EndReading_Waits for the writer, so that it has left this link before it gets another one.
func TestLink_EndReading_Waits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := openLink(t, pipeServer{play: drain})
		time.AfterFunc(time.Minute, l.EndWriting)
		began := time.Now()
		_ = l.EndReading(io.EOF)
		assert.Equal(t, time.Minute, time.Since(began))
	})
}

// TestLink_Write tells whether some of a frame went out.
func TestLink_Write(t *testing.T) {
	for _, some := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			l := openLink(t, pipeServer{play: func(conn *websocket.Conn) {
				if some {
					_, r, _ := conn.Reader(context.Background())
					_, _ = r.Read(make([]byte, 10))
				}
				asleep(conn)
			}})
			time.AfterFunc(time.Second, l.Cut)
			sent, err := l.Write(make([]byte, 100_000))
			require.ErrorIs(t, err, errCut, "the context is nobody's")
			require.NotErrorIs(t, err, context.Canceled)
			assert.Equal(t, some, sent)
			<-l.Closing()
		})
	}
}

// TestLink_Read_NoContext: the library's own time limit for a control frame is no caller's.
func TestLink_Read_NoContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var server net.Conn
		l := openLink(t, pipeServer{
			play: asleep,
			near: func(near net.Conn) io.ReadWriteCloser {
				ours, theirs := net.Pipe()
				server = theirs
				_ = near.Close()
				return ours
			},
		})
		l.Open(time.Minute)
		go writeToTheEnd(l)
		go func() { _, _ = server.Write([]byte{0x89, 4}) }() // the head of a ping, and no more
		err := readToTheEnd(l)
		require.NotErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorIs(t, err, errCut)
	})
}

// A cutting is a connection that the other side ends after so many bytes, as a server does that is killed.
type cutting struct {
	net.Conn
	left int
}

func (c *cutting) Read(p []byte) (int, error) {
	if c.left == 0 {
		return 0, io.EOF
	}
	n, err := c.Conn.Read(p[:min(len(p), c.left)])
	c.left -= n
	return n, err
}

// TestLink_Read_CutFrame: a frame that was cut anywhere is no frame.
func TestLink_Read_CutFrame(t *testing.T) {
	const size, head = 10_000, 4
	for left := range size + head {
		synctest.Test(t, func(t *testing.T) {
			l := openLink(t, pipeServer{
				play: func(conn *websocket.Conn) {
					_ = conn.Write(context.Background(), websocket.MessageText, bytes.Repeat([]byte("x"), size))
				},
				near: func(conn net.Conn) io.ReadWriteCloser { return &cutting{conn, left} },
			})
			frame, err := l.Read()
			require.Error(t, err, "cut after %d bytes: %d bytes were read", left, len(frame))
		})
	}
}
