package transport

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The frames of HTTP/2 that these tests send, by RFC 9113. A field section of one octet is enough: 0x88
// stands for ":status: 200" in the static table.
const (
	frameData, frameHeaders, frameReset, frameSettings, frameGoAway = 0, 1, 3, 4, 7

	flagEndStream, flagAck, flagEndHeaders = 1, 1, 4

	noError, protocolError, internalError, refusedStream, enhanceYourCalm = 0, 1, 2, 7, 11
)

// rawConn is one HTTP/2 connection of a server that says what a test wants.
type rawConn struct {
	net.Conn
	reader *bufio.Reader
}

func (c *rawConn) frame(kind, flags byte, stream uint32, payload ...byte) {
	head := binary.BigEndian.AppendUint32(nil, uint32(len(payload))<<8|uint32(kind))
	head = binary.BigEndian.AppendUint32(append(head, flags), stream)
	_, _ = c.Write(append(head, payload...))
}

// request reads up to the end of the next request and returns its stream.
func (c *rawConn) request() (stream uint32, err error) {
	for {
		var head [9]byte
		if _, err := io.ReadFull(c.reader, head[:]); err != nil {
			return 0, err
		}
		size := binary.BigEndian.Uint32(head[:]) >> 8
		if _, err := c.reader.Discard(int(size)); err != nil {
			return 0, err
		}
		kind, flags := head[3], head[4]
		if (kind == frameData || kind == frameHeaders) && flags&flagEndStream != 0 {
			return binary.BigEndian.Uint32(head[5:]), nil
		}
	}
}

func (c *rawConn) answer(stream uint32) {
	c.frame(frameHeaders, flagEndHeaders, stream, 0x88)
	c.frame(frameData, flagEndStream, stream, '{', '}')
}

func (c *rawConn) reset(stream, code uint32) {
	c.frame(frameReset, 0, stream, binary.BigEndian.AppendUint32(nil, code)...)
}

func (c *rawConn) goAway(last, code uint32, debug string) {
	payload := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, last), code)
	c.frame(frameGoAway, 0, 0, append(payload, debug...)...)
}

// rawHTTP2 serves HTTP/2 over TLS. handle gets the n-th request of all, counted from 1, and reports
// whether the connection stays open.
func rawHTTP2(t *testing.T, handle func(c *rawConn, n int, stream uint32) bool) (url string, client http.Client) {
	t.Helper()
	certified := httptest.NewTLSServer(nil) // for its certificate
	t.Cleanup(certified.Close)
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		Certificates: certified.TLS.Certificates, NextProtos: []string{"h2"},
	})
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	var requests atomic.Int32
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				c := &rawConn{conn, bufio.NewReader(conn)}
				if _, err := io.CopyN(io.Discard, c.reader, int64(len("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))); err != nil {
					return
				}
				c.frame(frameSettings, 0, 0)
				c.frame(frameSettings, flagAck, 0)
				for {
					stream, err := c.request()
					if err != nil || !handle(c, int(requests.Add(1)), stream) {
						return
					}
				}
			}()
		}
	}()
	base := NewHTTPTransport()
	base.TLSClientConfig = certified.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	base.TLSClientConfig.NextProtos = []string{"h2"}
	t.Cleanup(base.CloseIdleConnections)
	return "https://" + listener.Addr().String(), http.Client{Transport: base}
}

// TestWhatThePeerDidNotProcess: how an HTTP/2 peer ends the stream of a create decides whether it is sent
// again. Only what says that the peer did nothing with it is evidence.
func TestWhatThePeerDidNotProcess(t *testing.T) {
	for name, test := range map[string]struct {
		end     func(c *rawConn, stream uint32) (stays bool)
		repeats bool
	}{
		"GOAWAY below the stream": {func(c *rawConn, _ uint32) bool { c.goAway(0, noError, ""); return true }, true},
		"GOAWAY with an error, on the first stream": {
			func(c *rawConn, _ uint32) bool { c.goAway(0, enhanceYourCalm, "too_many_pings"); return true }, true,
		},

		// HAProxy says so also when the Hub has read the request and closed without an answer.
		"REFUSED_STREAM": {func(c *rawConn, s uint32) bool { c.reset(s, refusedStream); return true }, false},
		"PROTOCOL_ERROR": {func(c *rawConn, s uint32) bool { c.reset(s, protocolError); return true }, false},
		"INTERNAL_ERROR": {func(c *rawConn, s uint32) bool { c.reset(s, internalError); return true }, false},
		"GOAWAY above the stream, then the end": {
			func(c *rawConn, s uint32) bool { c.goAway(s, noError, ""); return false }, false,
		},
		"debug data that look like evidence": {func(c *rawConn, s uint32) bool {
			c.goAway(s, internalError, "http2: Transport: cannot retry err [stream error: stream ID 1; REFUSED_STREAM]")
			return false
		}, false},
		"the end": {func(*rawConn, uint32) bool { return false }, false},
	} {
		t.Run(name, func(t *testing.T) {
			var requests atomic.Int32
			url, client := rawHTTP2(t, func(c *rawConn, n int, stream uint32) bool {
				requests.Store(int32(n))
				if n == 1 {
					return test.end(c, stream)
				}
				c.answer(stream)
				return true
			})
			tr := newTransport(client, Policy{MinBackoff: time.Millisecond})
			o := tr.Do(t.Context(), &Request{Method: http.MethodPost, URL: url, Body: []byte(`{"task":"x"}`)})
			o.Body.Release()
			assert.Equal(t, !test.repeats, o.Unknown, "%v", o.Err)
			if test.repeats {
				require.NoError(t, o.Err)
				assert.EqualValues(t, 2, requests.Load())
				return
			}
			require.Error(t, o.Err)
			assert.EqualValues(t, 1, requests.Load(), "sent once")
		})
	}
}

// TestAPeerThatAlwaysRefuses ends a create after MaxAttempts, with an error that has no effect.
func TestAPeerThatAlwaysRefuses(t *testing.T) {
	url, client := rawHTTP2(t, func(c *rawConn, _ int, _ uint32) bool { c.goAway(0, enhanceYourCalm, ""); return true })
	tr := newTransport(client, Policy{MaxAttempts: 3, MinBackoff: time.Millisecond})
	o := tr.Do(t.Context(), &Request{Method: http.MethodPost, URL: url, Body: []byte(`{}`)})
	require.Error(t, o.Err)
	assert.Equal(t, 3, o.Attempts)
	assert.Equal(t, SentNo, o.Sent)
	assert.False(t, o.Unknown)
}

// TestABodyThatWasNotRead proves that nothing was sent, with any RoundTripper.
func TestABodyThatWasNotRead(t *testing.T) {
	attempts := 0
	tr := newTransport(http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		if attempts++; attempts < 3 {
			return nil, errors.New("net/http: cannot rewind body after connection loss")
		}
		text, err := io.ReadAll(r.Body)
		assert.Equal(t, `{"task":"x"}`, string(text))
		return &http.Response{StatusCode: http.StatusCreated, Body: io.NopCloser(strings.NewReader("{}")), Request: r}, err
	})}, Policy{MinBackoff: time.Millisecond})
	o := tr.Do(t.Context(), &Request{Method: http.MethodPost, URL: "http://hub", Body: []byte(`{"task":"x"}`)})
	require.NoError(t, o.Err)
	o.Body.Release()
	assert.Equal(t, 3, o.Attempts)
	assert.Equal(t, SentYes, o.Sent)
}

// TestABodyIsNotReadAfterItsAttempt: what was judged as not sent cannot go out later.
func TestABodyIsNotReadAfterItsAttempt(t *testing.T) {
	var kept []io.ReadCloser
	tr := newTransport(http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		kept = append(kept, r.Body)
		return nil, errors.New("not now")
	})}, Policy{MaxAttempts: 2, MinBackoff: time.Millisecond, UnavailableWindow: -1})
	o := tr.Do(t.Context(), &Request{Method: http.MethodPost, URL: "http://hub", Body: []byte(`{}`)})
	require.Error(t, o.Err)
	assert.False(t, o.Unknown)
	require.Len(t, kept, 2)
	for _, body := range kept {
		n, err := io.Copy(io.Discard, body)
		assert.Zero(t, n)
		require.Error(t, err)
	}
}

// TestABodyThatWasNotWrittenWhole has no effect: a server that waits for all of it never got it.
func TestABodyThatWasNotWrittenWhole(t *testing.T) {
	large := []byte(`{"task":"` + strings.Repeat("x", 8<<20) + `"}`) // more than the buffers between the two hold
	for name, serve := range map[string]func(net.Conn, *bufio.Reader){
		"cut": func(net.Conn, *bufio.Reader) {},
		"refused with 413": func(conn net.Conn, r *bufio.Reader) {
			_, _ = fmt.Fprint(conn, "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
			_, _ = io.CopyN(io.Discard, r, 1<<20) // or the answer would be lost with the connection
		},
	} {
		t.Run(name, func(t *testing.T) {
			listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
			require.NoError(t, err)
			defer listener.Close()
			var requests atomic.Int32
			go func() {
				for {
					conn, err := listener.Accept()
					if err != nil {
						return
					}
					requests.Add(1)
					r := bufio.NewReader(conn)
					for line := ""; line != "\r\n"; {
						if line, err = r.ReadString('\n'); err != nil {
							break
						}
					}
					serve(conn, r)
					_ = conn.Close()
				}
			}()
			tr := newTransport(http.Client{}, Policy{MaxAttempts: 2, MinBackoff: time.Millisecond})
			defer tr.CloseIdleConnections()
			o := tr.Do(t.Context(), &Request{Method: http.MethodPost, URL: "http://" + listener.Addr().String(), Body: large})
			assert.False(t, o.Unknown, "%v", o.Err)
			assert.LessOrEqual(t, requests.Load(), int32(2), "by MaxAttempts, not for the window")
			if o.Err != nil {
				assert.Equal(t, SentNo, o.Sent)
				return
			}
			assert.Equal(t, http.StatusRequestEntityTooLarge, o.Status)
		})
	}
}
