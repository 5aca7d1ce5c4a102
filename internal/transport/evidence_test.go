package transport

import (
	"bufio"
	"context"
	"crypto/tls"
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

	"github.com/agentuity/coder-go/internal/rawh2"
)

// overHTTP2 serves HTTP/2 as handle wants, and returns a client that trusts the server.
func overHTTP2(t *testing.T, handle func(c *rawh2.Conn, n int, stream uint32) bool) (url string, client http.Client) {
	t.Helper()
	url, trust := rawh2.Serve(t, handle)
	base := NewHTTPTransport()
	base.TLSClientConfig = &tls.Config{RootCAs: trust, NextProtos: []string{"h2"}}
	t.Cleanup(base.CloseIdleConnections)
	return url, http.Client{Transport: base}
}

// TestWhatThePeerDidNotProcess: how an HTTP/2 peer ends the stream of a create decides whether it is sent
// again. Only what says that the peer did nothing with it is evidence. internal/xnet does the same with the
// transport of golang.org/x/net.
func TestWhatThePeerDidNotProcess(t *testing.T) {
	for _, ending := range rawh2.Endings {
		t.Run(ending.Name, func(t *testing.T) {
			var requests atomic.Int32
			url, client := overHTTP2(t, func(c *rawh2.Conn, n int, stream uint32) bool {
				requests.Store(int32(n))
				if n == 1 {
					return ending.End(c, stream)
				}
				c.Answer(stream)
				return true
			})
			tr := newTransport(client, Policy{MinBackoff: time.Millisecond})
			o := tr.Do(t.Context(), &Request{Method: http.MethodPost, URL: url, Body: []byte(`{"task":"x"}`)})
			o.Body.Release()
			assert.Equal(t, !ending.Unprocessed, o.Unknown, "%v", o.Err)
			if ending.Unprocessed {
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
	url, client := overHTTP2(t, func(c *rawh2.Conn, _ int, _ uint32) bool { c.GoAway(0, rawh2.EnhanceYourCalm, ""); return true })
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

// TestBodyOf: whoever stands between sees the body without reading it, and whether anybody has.
func TestBodyOf(t *testing.T) {
	for name, test := range map[string]struct {
		body       []byte
		idempotent bool
		reads      bool
		before     bool
	}{
		"a create":            {[]byte("{}"), false, true, true},
		"a create, not sent":  {[]byte("{}"), false, false, true},
		"an empty create":     {[]byte{}, false, true, false},
		"a create of nothing": {nil, false, true, false},
		"one to be repeated":  {[]byte("{}"), true, true, false}, // there is no need to know
	} {
		tr := newTransport(http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			body, unread := BodyOf(r.Context())
			assert.Equal(t, string(test.body), string(body), name)
			assert.Equal(t, test.before, unread(), name)
			if test.reads && r.Body != nil {
				n, err := r.Body.Read(make([]byte, 1))
				assert.Equal(t, min(len(test.body), 1), n, "%s: %v", name, err)
				assert.False(t, unread(), name)
				return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Request: r}, nil
			}
			return nil, errors.New("not now")
		})}, once)
		o := tr.Do(t.Context(), &Request{Method: http.MethodPost, URL: "http://hub", Body: test.body, Idempotent: test.idempotent})
		o.Body.Release()
	}
	body, unread := BodyOf(t.Context())
	assert.Nil(t, body)
	assert.False(t, unread(), "it is none of a call")
}

// TestABodyIsNoEvidence: of a RoundTripper that shows no connections it is not known what it has sent, unless that is nothing; and
// a create without a body is sent when its head is.
func TestABodyIsNoEvidence(t *testing.T) {
	for body, read := range map[string]int{`{"task":"x"}`: 1, "": 0} {
		attempts := 0
		tr := newTransport(http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			attempts++
			_, _ = io.ReadFull(r.Body, make([]byte, read))
			return nil, errors.New("reset")
		})}, Policy{MaxAttempts: 2, MinBackoff: time.Millisecond, UnavailableWindow: -1})
		o := tr.Do(t.Context(), &Request{Method: http.MethodPost, URL: "http://hub", Body: []byte(body)})
		require.Error(t, o.Err)
		assert.True(t, o.Unknown, "%q", body)
		assert.Equal(t, SentUnknown, o.Sent)
		assert.Equal(t, 1, attempts)
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
		test := func(t *testing.T, encrypted bool) {
			listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
			require.NoError(t, err)
			defer listener.Close()
			url, client := "http://"+listener.Addr().String(), http.Client{}
			if encrypted {
				certified := httptest.NewTLSServer(nil)
				defer certified.Close()
				listener = tls.NewListener(listener, &tls.Config{Certificates: certified.TLS.Certificates, MinVersion: tls.VersionTLS13})
				url, client = "https://"+listener.Addr().String(), *certified.Client()
			}
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
			tr := newTransport(client, Policy{MaxAttempts: 2, MinBackoff: time.Millisecond})
			defer tr.CloseIdleConnections()
			o := tr.Do(t.Context(), &Request{Method: http.MethodPost, URL: url, Body: large})
			assert.False(t, o.Unknown, "%v", o.Err)
			assert.LessOrEqual(t, requests.Load(), int32(2), "by MaxAttempts, not for the window")
			if o.Err != nil {
				assert.Equal(t, SentNo, o.Sent)
				return
			}
			assert.Equal(t, http.StatusRequestEntityTooLarge, o.Status)
		}
		t.Run(name, func(t *testing.T) { test(t, false) })
		t.Run(name+", encrypted", func(t *testing.T) { test(t, true) })
	}
}
