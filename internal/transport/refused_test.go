package transport

import (
	"bufio"
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go/internal/rawh2"
)

// TestARefusedStreamThatHadAnEffect has a gateway that, as HAProxy does, answers REFUSED_STREAM over HTTP/2
// when the server behind it has read a request and closes the connection without an answer. It has made
// what was asked for, and a second attempt would make another.
func TestARefusedStreamThatHadAnEffect(t *testing.T) {
	var made atomic.Int32
	origin := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		made.Add(1)
		panic(http.ErrAbortHandler)
	}))
	defer origin.Close()
	target, err := url.Parse(origin.URL)
	require.NoError(t, err)
	forward := func() error {
		conn, err := net.Dial("tcp", target.Host)
		if err != nil {
			return err
		}
		defer conn.Close()
		request, _ := http.NewRequest(http.MethodPost, origin.URL, http.NoBody)
		if err := request.Write(conn); err != nil {
			return err
		}
		_, err = http.ReadResponse(bufio.NewReader(conn), request)
		return err
	}
	front, client := overHTTP2(t, func(c *rawh2.Conn, _ int, stream uint32) bool {
		assert.Error(t, forward(), "there is no answer")
		c.Reset(stream, rawh2.RefusedStream)
		return true
	})
	tr := newTransport(client, Policy{MinBackoff: time.Millisecond})
	o := tr.Do(t.Context(), &Request{Method: http.MethodPost, URL: front, Body: []byte(`{"task":"x"}`)})
	require.Error(t, o.Err)
	assert.True(t, o.Unknown, "%v", o.Err)
	assert.EqualValues(t, 1, made.Load(), "one call makes one")
	assert.Equal(t, SentYes, o.Sent)
}

// TestNetHTTPRepeatsNothingWithoutABody: package net/http by itself sends a request without a body again when
// an HTTP/2 peer ends its stream in certain ways. One that is not idempotent may have had its effect.
func TestNetHTTPRepeatsNothingWithoutABody(t *testing.T) {
	for name, end := range map[string]func(c *rawh2.Conn, stream uint32) (stays bool){
		"REFUSED_STREAM": func(c *rawh2.Conn, s uint32) bool { c.Reset(s, rawh2.RefusedStream); return true },
		"PROTOCOL_ERROR": func(c *rawh2.Conn, s uint32) bool { c.Reset(s, rawh2.ProtocolError); return true },
		"the end":        func(*rawh2.Conn, uint32) bool { return false },
	} {
		t.Run(name, func(t *testing.T) {
			var requests atomic.Int32
			url, client := overHTTP2(t, func(c *rawh2.Conn, n int, stream uint32) bool {
				requests.Store(int32(n))
				if n == 1 {
					return end(c, stream)
				}
				c.Answer(stream)
				return true
			})
			tr := newTransport(client, Policy{MinBackoff: time.Millisecond})
			o := tr.Do(t.Context(), &Request{Method: http.MethodPost, URL: url})
			o.Body.Release()
			assert.EqualValues(t, 1, requests.Load(), "sent once")
			require.Error(t, o.Err)
			assert.True(t, o.Unknown, "%v", o.Err)
			assert.Equal(t, SentYes, o.Sent)
			require.NotErrorIs(t, o.Err, context.Canceled, "nobody has cancelled it")
			require.NoError(t, o.Ended)

			requests.Store(0)
			o = tr.Do(t.Context(), &Request{Method: http.MethodPost, URL: url})
			o.Body.Release()
			require.NoError(t, o.Err, "the next call has what it needs")
		})
	}
}

// TestNetHTTPRepeatsNothingWithoutTLS: the same over HTTP/2 without TLS, where the connection does not tell its
// protocol. The connection only looks so: there is TLS below.
func TestNetHTTPRepeatsNothingWithoutTLS(t *testing.T) {
	var requests atomic.Int32
	address, client := overHTTP2(t, func(c *rawh2.Conn, n int, stream uint32) bool {
		requests.Store(int32(n))
		c.Reset(stream, rawh2.RefusedStream)
		return true
	})
	base := client.Transport.(*http.Transport)
	base.Protocols = new(http.Protocols)
	base.Protocols.SetUnencryptedHTTP2(true)
	config := base.TLSClientConfig
	base.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := (&tls.Dialer{Config: config}).DialContext(ctx, network, addr)
		return struct{ net.Conn }{conn}, err
	}
	tr := newTransport(client, Policy{MinBackoff: time.Millisecond})
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	o := tr.Do(ctx, &Request{Method: http.MethodPost, URL: strings.Replace(address, "https:", "http:", 1)})
	o.Body.Release()
	require.Error(t, o.Err)
	assert.EqualValues(t, 1, requests.Load(), "sent once")
	assert.True(t, o.Unknown, "%v", o.Err)
}

// TestGotConnAlsoStops: the pool of HTTP/2 passes over GetConn for a connection that was dialed for another
// request.
func TestGotConnAlsoStops(t *testing.T) {
	c := &call{Context: t.Context(), traced: true, request: Request{Method: http.MethodPost}}
	ctx := c.attempt()
	hooks := httptrace.ContextClientTrace(ctx)
	hooks.GetConn("")
	hooks.WroteHeaderField(":method", nil)
	hooks.GotConn(httptrace.GotConnInfo{})
	require.NoError(t, ctx.Err())
	hooks.WroteRequest(httptrace.WroteRequestInfo{})
	require.NoError(t, ctx.Err())
	hooks.GotConn(httptrace.GotConnInfo{})
	require.Error(t, ctx.Err())
	assert.True(t, c.conns.again.Load())
}
