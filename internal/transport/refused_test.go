package transport

import (
	"bufio"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
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
	front, client := rawHTTP2(t, func(c *rawConn, _ int, stream uint32) bool {
		assert.Error(t, forward(), "there is no answer")
		c.reset(stream, refusedStream)
		return true
	})
	tr := newTransport(client, Policy{MinBackoff: time.Millisecond})
	o := tr.Do(t.Context(), &Request{Method: http.MethodPost, URL: front, Body: []byte(`{"task":"x"}`)})
	require.Error(t, o.Err)
	assert.True(t, o.Unknown, "%v", o.Err)
	assert.EqualValues(t, 1, made.Load(), "one call makes one")
	assert.Equal(t, SentYes, o.Sent)
}
