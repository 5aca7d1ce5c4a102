// Package rawh2 is an HTTP/2 server for tests, which ends streams and connections as a test wants. With it
// the same matrix is played with the transport of net/http and with that of golang.org/x/net.
package rawh2

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"io"
	"net"
	"net/http/httptest"
	"sync/atomic"
	"testing"
)

// The frames that tests send, by RFC 9113.
const (
	frameData, frameHeaders, frameReset, frameSettings, frameGoAway = 0, 1, 3, 4, 7

	flagEndStream, flagAck, flagEndHeaders = 1, 1, 4
)

// The error codes of RFC 9113, 7.
const (
	NoError         = 0
	ProtocolError   = 1
	InternalError   = 2
	RefusedStream   = 7
	EnhanceYourCalm = 11
)

// Conn is one connection of the server.
type Conn struct {
	net.Conn
	reader *bufio.Reader
}

func (c *Conn) frame(kind, flags byte, stream uint32, payload ...byte) {
	head := binary.BigEndian.AppendUint32(nil, uint32(len(payload))<<8|uint32(kind))
	head = binary.BigEndian.AppendUint32(append(head, flags), stream)
	_, _ = c.Write(append(head, payload...))
}

// request reads up to the end of the next request and returns its stream.
func (c *Conn) request() (stream uint32, err error) {
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

// Answer sends 200 and an empty JSON object. A field section of one octet is enough: 0x88 stands for
// ":status: 200" in the static table.
func (c *Conn) Answer(stream uint32) {
	c.frame(frameHeaders, flagEndHeaders, stream, 0x88)
	c.frame(frameData, flagEndStream, stream, '{', '}')
}

// Reset ends a stream with RST_STREAM.
func (c *Conn) Reset(stream, code uint32) {
	c.frame(frameReset, 0, stream, binary.BigEndian.AppendUint32(nil, code)...)
}

// GoAway says that no stream above last is or will be processed.
func (c *Conn) GoAway(last, code uint32, debug string) {
	payload := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, last), code)
	c.frame(frameGoAway, 0, 0, append(payload, debug...)...)
}

// Serve serves HTTP/2 over TLS until the test is over. handle gets the n-th request of all, counted from 1, and
// reports whether the connection stays open. It returns the URL, and the certificates to trust.
func Serve(t testing.TB, handle func(c *Conn, n int, stream uint32) bool) (url string, trust *x509.CertPool) {
	t.Helper()
	certified := httptest.NewTLSServer(nil) // for its certificate
	t.Cleanup(certified.Close)
	trust = x509.NewCertPool()
	trust.AddCert(certified.Certificate())
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		Certificates: certified.TLS.Certificates, NextProtos: []string{"h2"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	var requests atomic.Int32
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go serve(&Conn{conn, bufio.NewReader(conn)}, &requests, handle)
		}
	}()
	return "https://" + listener.Addr().String(), trust
}

func serve(c *Conn, requests *atomic.Int32, handle func(c *Conn, n int, stream uint32) bool) {
	defer c.Close()
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
}

// Ending is a way in which a peer ends the stream of a request, before an answer.
type Ending struct {
	Name string
	// End ends it, and reports whether the connection stays open.
	End func(c *Conn, stream uint32) (stays bool)
	// Unprocessed says that the peer has promised not to have processed the request, so that it may be
	// sent again.
	Unprocessed bool
}

// Endings is the matrix.
var Endings = []Ending{
	{"GOAWAY below the stream", func(c *Conn, _ uint32) bool { c.GoAway(0, NoError, ""); return true }, true},
	{"GOAWAY with an error, on the first stream", func(c *Conn, _ uint32) bool {
		c.GoAway(0, EnhanceYourCalm, "too_many_pings")
		return true
	}, true},

	// By RFC 9113, 8.7 it says the same. HAProxy sends it also when the server behind it has read the request.
	{"REFUSED_STREAM", func(c *Conn, s uint32) bool { c.Reset(s, RefusedStream); return true }, false},
	{"PROTOCOL_ERROR", func(c *Conn, s uint32) bool { c.Reset(s, ProtocolError); return true }, false},
	{"INTERNAL_ERROR", func(c *Conn, s uint32) bool { c.Reset(s, InternalError); return true }, false},
	{"GOAWAY above the stream, then the end", func(c *Conn, s uint32) bool { c.GoAway(s, NoError, ""); return false }, false},
	{"debug data that look like evidence", func(c *Conn, s uint32) bool {
		c.GoAway(s, InternalError, "http2: Transport: cannot retry err [stream error: stream ID 1; REFUSED_STREAM]")
		return false
	}, false},
	{"the end", func(*Conn, uint32) bool { return false }, false},
}
