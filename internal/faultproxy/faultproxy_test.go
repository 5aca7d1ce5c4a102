package faultproxy_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go/internal/faultproxy"
	"github.com/agentuity/coder-go/internal/memnet"
	"github.com/agentuity/coder-go/internal/rawh2"
)

// stage is a client, a Proxy and a server that counts what it was asked to do.
type stage struct {
	proxy   *faultproxy.Proxy
	client  *http.Client
	url     string
	effects atomic.Int32
}

const (
	word     = "Four score and seven. "
	wholeLen = 4000 * len(word)
)

// ways are what a Proxy stands in.
var ways = []string{"plain", "TLS", "frames", "tunnel"}

func newStage(t *testing.T, way string) *stage {
	t.Helper()
	s := &stage{url: "http://hub.test"}
	hub, proxy := memnet.Listen(), memnet.Listen()
	config := faultproxy.Config{Dial: func(ctx context.Context) (net.Conn, error) { return hub.Dial(ctx, "", "") }}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if r.Method == http.MethodPost && err == nil {
			assert.Equal(t, word, string(body))
			s.effects.Add(1)
		}
		for range 4000 {
			_, _ = io.WriteString(w, word)
		}
	})}
	transport := &http.Transport{DialContext: proxy.Dial}
	var listener net.Listener = hub
	if way == "TLS" || way == "frames" {
		certified := httptest.NewUnstartedServer(nil)
		certified.StartTLS()
		certified.Close()
		trusted := x509.NewCertPool()
		trusted.AddCert(certified.Certificate())
		s.url = "https://example.com"
		transport.TLSClientConfig = &tls.Config{RootCAs: trusted}
		protocols := []string{"http/1.1"}
		if way == "frames" {
			protocols = []string{"h2", "http/1.1"}
			transport.ForceAttemptHTTP2 = true
			config.Certificate = &certified.TLS.Certificates[0]
			config.Server = &tls.Config{RootCAs: trusted, ServerName: "example.com"}
		}
		listener = tls.NewListener(hub, &tls.Config{Certificates: certified.TLS.Certificates, NextProtos: protocols})
	}
	if way == "tunnel" {
		transport.Proxy = http.ProxyURL(&url.URL{Scheme: "http", Host: "proxy.test"})
	}
	s.client = &http.Client{Transport: transport}
	var group sync.WaitGroup
	group.Go(func() { _ = server.Serve(listener) })
	s.proxy = faultproxy.Serve(proxy, config)
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		s.proxy.Close()
		_ = server.Close()
		group.Wait()
		assert.Zero(t, s.proxy.Open())
	})
	return s
}

// post makes a request that net/http cannot repeat, and returns how much of the answer came.
func (s *stage) post(ctx context.Context, t *testing.T) (int64, error) {
	t.Helper()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url, io.MultiReader(strings.NewReader(word)))
	require.NoError(t, err)
	request.ContentLength = int64(len(word))
	answer, err := s.client.Do(request)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	return io.Copy(io.Discard, answer.Body)
}

// once does it to the next exchange.
func once(fault faultproxy.Fault) faultproxy.Plan {
	var done atomic.Bool
	return func(int, int) faultproxy.Fault {
		if done.Swap(true) {
			return faultproxy.Fault{}
		}
		return fault
	}
}

// TestKinds: each kind of harm, by what the client and the server make of it.
func TestKinds(t *testing.T) {
	const untouched, harmed = false, true
	for _, test := range []struct {
		fault  faultproxy.Fault
		effect int32 // how often the server did what was asked
		fails  bool
		least  int64 // bytes of the answer that arrive
		ways   []string
	}{
		{fault: faultproxy.Fault{Kind: faultproxy.Delay, Wait: time.Hour}, effect: 1, fails: untouched},
		{fault: faultproxy.Fault{Kind: faultproxy.Drip, Wait: time.Minute, After: 200}, effect: 1, fails: untouched},
		{fault: faultproxy.Fault{Kind: faultproxy.Stall, Wait: time.Hour, After: 1000}, effect: 1, fails: untouched},
		{fault: faultproxy.Fault{Kind: faultproxy.StallRequest, Wait: time.Hour}, effect: 0, fails: harmed},
		{fault: faultproxy.Fault{Kind: faultproxy.ResetBefore}, effect: 0, fails: harmed},
		{fault: faultproxy.Fault{Kind: faultproxy.ResetRequest, After: 20}, effect: 0, fails: harmed},
		{fault: faultproxy.Fault{Kind: faultproxy.CloseIdle}, effect: 0, fails: harmed},
		{fault: faultproxy.Fault{Kind: faultproxy.ResetAfter}, effect: 1, fails: harmed},
		{fault: faultproxy.Fault{Kind: faultproxy.ResetMiddle, After: 30_000}, effect: 1, fails: harmed, least: 1},
		{fault: faultproxy.Fault{Kind: faultproxy.Truncate, After: 30_000}, effect: 1, fails: harmed, least: 1},
		{fault: faultproxy.Fault{Kind: faultproxy.Corrupt, After: 5}, effect: 1, fails: harmed},
		{fault: faultproxy.Fault{Kind: faultproxy.GoAway}, effect: 0, fails: harmed, ways: []string{"frames"}},
		{fault: faultproxy.Fault{Kind: faultproxy.RefuseStream}, effect: 0, fails: harmed, ways: []string{"frames"}},
		{fault: faultproxy.Fault{Kind: faultproxy.ResetStream}, effect: 1, fails: harmed, ways: []string{"frames"}},
	} {
		if test.ways == nil {
			test.ways = ways
		}
		for _, way := range test.ways {
			t.Run(fmt.Sprintf("%v/%s", test.fault.Kind, way), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := newStage(t, way)
					n, err := s.post(t.Context(), t)
					require.NoError(t, err)
					require.EqualValues(t, wholeLen, n)
					s.effects.Store(0)

					s.proxy.Follow(once(test.fault))
					began := time.Now()
					n, err = s.post(t.Context(), t)
					synctest.Wait()
					assert.Equal(t, map[faultproxy.Kind]int{test.fault.Kind: 1}, s.proxy.Counts())
					if test.fails {
						require.Error(t, err)
						assert.Less(t, n, int64(wholeLen))
						assert.Equal(t, test.fault.Wait, time.Since(began))
					} else {
						require.NoError(t, err)
						assert.EqualValues(t, wholeLen, n)
						assert.GreaterOrEqual(t, time.Since(began), time.Hour)
					}
					assert.GreaterOrEqual(t, n, test.least)
					if test.effect == 0 {
						assert.Zero(t, s.effects.Load())
					}

					s.proxy.Follow(nil)
					effects := s.effects.Load()
					n, err = s.post(t.Context(), t)
					if err != nil { // the connection ended while it was idle
						n, err = s.post(t.Context(), t)
					}
					require.NoError(t, err)
					require.EqualValues(t, wholeLen, n)
					assert.Equal(t, effects+1, s.effects.Load())
					assert.Equal(t, test.effect, effects)
				})
			})
		}
	}
}

// TestRefuse: a connection is gone as soon as it is there.
func TestRefuse(t *testing.T) {
	for _, way := range ways {
		t.Run(way, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t, way)
				s.proxy.Follow(faultproxy.Always(faultproxy.Fault{Kind: faultproxy.Refuse}))
				_, err := s.post(t.Context(), t)
				require.Error(t, err)
				assert.Zero(t, s.effects.Load())
				assert.Equal(t, map[faultproxy.Kind]int{faultproxy.Refuse: 1}, s.proxy.Counts())
			})
		})
	}
}

// TestStallForEver: what stalls for ever ends when the client gives up, and leaves nothing.
func TestStallForEver(t *testing.T) {
	for _, fault := range []faultproxy.Fault{{Kind: faultproxy.Stall, After: 10}, {Kind: faultproxy.Delay}, {Kind: faultproxy.StallRequest}, {Kind: faultproxy.Drip, After: 10}} {
		for _, way := range ways {
			t.Run(fmt.Sprintf("%v/%s", fault.Kind, way), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := newStage(t, way)
					_, err := s.post(t.Context(), t)
					require.NoError(t, err)
					s.proxy.Follow(faultproxy.Always(fault))
					ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
					defer cancel()
					began := time.Now()
					_, err = s.post(ctx, t)
					require.ErrorIs(t, err, context.DeadlineExceeded)
					assert.Equal(t, time.Hour, time.Since(began))
					assert.Equal(t, 1, s.proxy.Counts()[fault.Kind])
				})
			})
		}
	}
}

// TestCut: what stalls for ever ends at once, and the next connection is a good one.
func TestCut(t *testing.T) {
	for _, way := range ways {
		t.Run(way, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t, way)
				_, err := s.post(t.Context(), t)
				require.NoError(t, err)
				s.proxy.Follow(once(faultproxy.Fault{Kind: faultproxy.Stall, After: 10}))
				time.AfterFunc(time.Hour, s.proxy.Cut)
				began := time.Now()
				_, err = s.post(t.Context(), t)
				require.Error(t, err)
				assert.Equal(t, time.Hour, time.Since(began))
				_, err = s.post(t.Context(), t)
				require.NoError(t, err)
			})
		})
	}
}

// TestCut_LeavesWhatIsGood: what was not harmed stays open, so that it can be seen that nobody closes it.
func TestCut_LeavesWhatIsGood(t *testing.T) {
	for _, way := range ways {
		t.Run(way, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t, way)
				_, err := s.post(t.Context(), t)
				require.NoError(t, err)
				s.proxy.Cut()
				synctest.Wait()
				assert.Equal(t, 1, s.proxy.Open())
			})
		})
	}
}

// TestStreamsBesideHarm: a stream that is reset or refused takes nothing from its neighbours, not even of the window of
// the connection.
func TestStreamsBesideHarm(t *testing.T) {
	for _, kind := range []faultproxy.Kind{faultproxy.ResetStream, faultproxy.RefuseStream} {
		t.Run(kind.String(), func(t *testing.T) {
			s := newStage(t, "frames")
			_, err := s.post(t.Context(), t)
			require.NoError(t, err)
			s.effects.Store(0)
			var begun atomic.Int32
			s.proxy.Follow(func(_, _ int) faultproxy.Fault {
				if begun.Add(1)%2 == 0 {
					return faultproxy.Fault{Kind: kind}
				}
				return faultproxy.Fault{}
			})
			var whole atomic.Int32
			for range 20 {
				var group sync.WaitGroup
				for range 20 {
					group.Go(func() {
						if n, err := s.post(t.Context(), t); err == nil && n == int64(wholeLen) {
							whole.Add(1)
						}
					})
				}
				group.Wait()
			}
			assert.EqualValues(t, 200, whole.Load())
			assert.Equal(t, map[faultproxy.Kind]int{kind: 200}, s.proxy.Counts())
			if kind == faultproxy.RefuseStream {
				assert.EqualValues(t, 200, s.effects.Load())
			}
		})
	}
}

// TestGoAway: no stream is processed after the last one that GOAWAY names, also none that was on its way when it was sent.
func TestGoAway(t *testing.T) {
	var (
		mu      sync.Mutex
		streams []uint32
	)
	url, trust := rawh2.Serve(t, func(c *rawh2.Conn, _ int, stream uint32) bool {
		mu.Lock()
		defer mu.Unlock()
		streams = append(streams, stream)
		c.Answer(stream)
		return true
	})
	certified := httptest.NewUnstartedServer(nil)
	certified.StartTLS()
	certified.Close()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	proxy := faultproxy.Serve(listener, faultproxy.Config{
		Certificate: &certified.TLS.Certificates[0], Server: &tls.Config{RootCAs: trust, ServerName: "example.com"},
		Dial: func(ctx context.Context) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", strings.TrimPrefix(url, "https://"))
		},
		Plan: func(_, exchange int) faultproxy.Fault {
			if exchange == 2 {
				return faultproxy.Fault{Kind: faultproxy.GoAway}
			}
			return faultproxy.Fault{}
		},
	})
	defer proxy.Close()
	trusted := x509.NewCertPool()
	trusted.AddCert(certified.Certificate())
	conn, err := (&tls.Dialer{Config: &tls.Config{RootCAs: trusted, ServerName: "example.com", NextProtos: []string{"h2"}}}).
		DialContext(t.Context(), "tcp", listener.Addr().String())
	require.NoError(t, err)
	defer conn.Close()

	// The settings, their confirmation, and GET / three times, at once.
	sent := []byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + "\x00\x00\x00\x04\x00\x00\x00\x00\x00" + "\x00\x00\x00\x04\x01\x00\x00\x00\x00")
	for _, stream := range []byte{1, 3, 5} {
		sent = append(sent, "\x00\x00\x03\x01\x05\x00\x00\x00"+string(stream)+"\x82\x84\x87"...)
	}
	_, err = conn.Write(sent)
	require.NoError(t, err)
	gone, answered := false, false
	for head := make([]byte, 9); !gone || !answered; {
		_, err := io.ReadFull(conn, head)
		require.NoError(t, err)
		payload := make([]byte, int(head[1])<<8|int(head[2]))
		_, err = io.ReadFull(conn, payload)
		require.NoError(t, err)
		switch head[3] {
		case 7:
			assert.Equal(t, []byte{0, 0, 0, 1, 0, 0, 0, 0}, payload, "the last stream, and no error")
			gone = true
		case 0:
			assert.Equal(t, byte(1), head[8])
			answered = true
		}
	}
	require.NoError(t, conn.Close())
	proxy.Close()
	mu.Lock()
	defer mu.Unlock()
	assert.Equal(t, []uint32{1}, streams)
}

// TestConnect: a client that asks a proxy for a tunnel gets one, and its first bytes are not lost.
func TestConnect(t *testing.T) {
	hub, listener := memnet.Listen(), memnet.Listen()
	defer func() { _ = hub.Close() }()
	proxy := faultproxy.Serve(listener, faultproxy.Config{Dial: func(ctx context.Context) (net.Conn, error) { return hub.Dial(ctx, "", "") }})
	defer proxy.Close()
	go func() {
		conn, err := hub.Accept()
		if err == nil {
			_, _ = io.Copy(conn, conn)
		}
	}()
	conn, err := listener.Dial(t.Context(), "", "")
	require.NoError(t, err)
	defer conn.Close()
	go func() {
		_, _ = io.WriteString(conn, "CONNECT hub.test:443 HTTP/1.1\r\nHost: hub.test:443\r\n\r\nhello\n")
	}()
	reader := bufio.NewReader(conn)
	answer, err := http.ReadResponse(reader, &http.Request{Method: http.MethodConnect})
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	line, err := reader.ReadString('\n')
	require.NoError(t, err)
	assert.Equal(t, "hello\n", line)
}

// TestResetOverSockets: a reset is what TCP calls one, also where the proxy speaks TLS: no close_notify comes before it.
func TestResetOverSockets(t *testing.T) {
	for _, way := range []string{"plain", "TLS", "frames"} {
		t.Run(way, func(t *testing.T) {
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, word) }))
			scheme := "https"
			if way == "plain" {
				scheme = "http"
				server.Start()
			} else {
				server.StartTLS()
			}
			defer server.Close()
			listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
			require.NoError(t, err)
			config := faultproxy.Config{
				Dial: func(ctx context.Context) (net.Conn, error) {
					return new(net.Dialer).DialContext(ctx, "tcp", server.Listener.Addr().String())
				},
			}
			transport := &http.Transport{}
			defer transport.CloseIdleConnections()
			if way != "plain" {
				trusted := x509.NewCertPool()
				trusted.AddCert(server.Certificate())
				transport.TLSClientConfig = &tls.Config{RootCAs: trusted}
				if way == "frames" {
					config.Certificate, config.Server = &server.TLS.Certificates[0], &tls.Config{RootCAs: trusted, ServerName: "example.com"}
				}
			}
			proxy := faultproxy.Serve(listener, config)
			defer proxy.Close()
			ask := func() error {
				request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, scheme+"://"+listener.Addr().String(), strings.NewReader(word))
				require.NoError(t, err)
				answer, err := transport.RoundTrip(request)
				if err != nil {
					return err
				}
				_, err = io.Copy(io.Discard, answer.Body)
				return errors.Join(err, answer.Body.Close())
			}
			require.NoError(t, ask())
			proxy.Follow(faultproxy.Always(faultproxy.Fault{Kind: faultproxy.ResetAfter}))
			err = ask()
			var code syscall.Errno
			require.ErrorAs(t, err, &code)
			const onWindows = 10054 // WSAECONNRESET, which syscall.ECONNRESET is not
			assert.Contains(t, []syscall.Errno{syscall.ECONNRESET, onWindows}, code)
		})
	}
}

func TestSeeded(t *testing.T) {
	kinds := faultproxy.Kinds()
	one := faultproxy.Seeded(7, 0.5, time.Second, kinds...)
	again := faultproxy.Seeded(7, 0.5, time.Second, kinds...)
	other := faultproxy.Seeded(8, 0.5, time.Second, kinds...)
	seen := make(map[faultproxy.Kind]int)
	same := 0
	for connection := range 100 {
		for exchange := range 20 {
			fault := one(connection, exchange)
			assert.Equal(t, fault, again(connection, exchange))
			if fault == other(connection, exchange) && fault.Kind != faultproxy.None {
				same++
			}
			seen[fault.Kind]++
			if exchange == 0 {
				assert.Contains(t, []faultproxy.Kind{faultproxy.None, faultproxy.Refuse}, fault.Kind)
			} else {
				assert.NotEqual(t, faultproxy.Refuse, fault.Kind, "it would do nothing here")
			}
			if fault.Kind != faultproxy.None {
				assert.Positive(t, fault.Wait)
				assert.LessOrEqual(t, fault.Wait, time.Second)
			}
		}
	}
	assert.Zero(t, same)
	assert.InDelta(t, 1000, seen[faultproxy.None], 75)
	assert.InDelta(t, 50, seen[faultproxy.Refuse], 20, "of 100 connections")
	assert.Equal(t, faultproxy.Fault{}, faultproxy.Seeded(7, 1, time.Second, faultproxy.Refuse)(1, 1))
	assert.Equal(t, faultproxy.Fault{}, faultproxy.Seeded(7, 1, time.Second, faultproxy.Delay)(1, 0))
	for _, kind := range kinds {
		assert.Positive(t, seen[kind], kind)
	}
	assert.False(t, slices.Contains(kinds, faultproxy.None))
}
