package coder_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/http/cookiejar"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

// TestRetries_Table is the table of the package documentation, row by row: a failure that stays, and
// what the Hub then sees of a call that may be repeated and of one that may not.
func TestRetries_Table(t *testing.T) {
	const window, four, one = "for the window", "4 times", "once"
	html := http.Header{"Content-Type": {"text/html"}}
	for _, row := range []struct {
		name         string
		fault        codertest.Fault
		get, create  string
		unknown      bool // the outcome of the create
		is           error
		requestError bool
	}{
		{"429", codertest.Fault{Status: 429}, four, four, false, coder.ErrRateLimited, false},
		{"503 with JSON", codertest.Fault{Status: 503}, window, one, true, coder.ErrUnavailable, false},
		{"503 with Retry-After", codertest.Fault{Status: 503, Body: []byte("x"), Header: http.Header{"Retry-After": {"1"}, "Content-Type": {"text/plain"}}}, window, one, true, coder.ErrUnavailable, false},
		{"503 with HTML", codertest.Fault{Status: 503, Header: html, Body: []byte("<html>")}, window, one, true, coder.ErrUnavailable, false},
		{"503, empty", codertest.Fault{Status: 503, Header: http.Header{"Content-Type": {}}, Body: []byte{}}, window, one, true, coder.ErrUnavailable, false},
		{"502", codertest.Fault{Status: 502}, window, one, true, coder.ErrUnavailable, false},
		{"504", codertest.Fault{Status: 504}, window, one, true, coder.ErrUnavailable, false},
		{"lost before the effect", codertest.Fault{Cut: codertest.CutBeforeEffect}, four, one, true, nil, true},
		{"lost after the effect", codertest.Fault{Cut: codertest.CutAfterEffect}, four, one, true, nil, true},
		{"cut in the body", codertest.Fault{Cut: codertest.CutMidBody}, four, one, true, nil, true},
		{"silent in the body", codertest.Fault{Cut: codertest.CutMidBody, Stall: true}, four, one, true, nil, true},
		{"no answer", codertest.Fault{Stall: true}, four, one, true, nil, true},
		{"409 with a rate limit", codertest.Fault{Status: 409, Header: http.Header{"X-Ratelimit-Retry-After": {"1"}}}, four, four, false, coder.ErrConflict, false},
		{"409", codertest.Fault{Status: 409}, one, one, false, coder.ErrConflict, false},
		{"500", codertest.Fault{Status: 500}, one, one, true, nil, false},
		{"501", codertest.Fault{Status: 501}, one, one, false, nil, false},
		{"400", codertest.Fault{Status: 400}, one, one, false, coder.ErrInvalidRequest, false},
		{"418", codertest.Fault{Status: 418}, one, one, false, nil, false},
		{"302", codertest.Fault{Status: 302, Header: http.Header{"Location": {"https://elsewhere.invalid"}}}, one, one, false, nil, false},
	} {
		row.fault.Count = -1
		for _, class := range []string{"GetSession", "CreateSession"} {
			t.Run(row.name+"/"+class, func(t *testing.T) {
				bubble(t, func(t *testing.T, hub *codertest.Hub) {
					c := hubClient(t, hub)
					id := newSession(t, c)
					c.CloseIdleConnections() // else net/http repeats a GET that a used connection lost
					before := len(hub.Requests())
					hub.Inject(row.fault)
					began := time.Now()

					want, unknown := row.get, false
					var err error
					if class == "GetSession" {
						_, err = c.GetSession(t.Context(), id)
					} else {
						want, unknown = row.create, row.unknown
						_, err = c.CreateSession(t.Context(), coder.CreateSessionRequest{Task: "x"})
					}
					require.Error(t, err)
					requests, took := len(hub.Requests())-before, time.Since(began)
					switch want {
					case one:
						assert.Equal(t, 1, requests)
					case four:
						assert.Equal(t, 4, requests)
					case window:
						assert.Greater(t, requests, 8, "it goes on beyond MaxAttempts")
						assert.InDelta(t, 30, took.Seconds(), 2, "and ends with the window")
					}
					assert.Equal(t, unknown, errors.Is(err, coder.ErrOutcomeUnknown))
					if row.is != nil {
						require.ErrorIs(t, err, row.is)
					}
					var failed *coder.RequestError
					var api *coder.APIError
					if row.requestError {
						require.ErrorAs(t, err, &failed)
						assert.Equal(t, requests, failed.Attempts)
						assert.NotEqual(t, coder.SentNo, failed.Sent)
					} else {
						require.ErrorAs(t, err, &api)
						assert.Equal(t, requests, api.Attempts)
					}
					c.CloseIdleConnections()
				})
			})
		}
	}
}

// TestRetries_Succeed: the failure passes, and the call succeeds as if nothing had been.
func TestRetries_Succeed(t *testing.T) {
	for name, fault := range map[string]codertest.Fault{
		"429": {Status: 429, Count: 3}, "503": {Status: 503, Count: 9}, "502": {Status: 502, Count: 9},
		"lost": {Cut: codertest.CutAfterEffect, Count: 3}, "cut": {Cut: codertest.CutMidBody, Count: 3},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, hub *codertest.Hub) {
				c := hubClient(t, hub)
				id := newSession(t, c)
				in := hub.Inject(fault)
				s, err := c.GetSession(t.Context(), id)
				require.NoError(t, err)
				assert.Equal(t, id, s.SessionID)
				assert.Equal(t, fault.Count, in.Hits())
			})
		})
	}
}

func TestRetries_NeverSentForTheWindow(t *testing.T) {
	for _, class := range []string{"GetSession", "CreateSession"} {
		t.Run(class, func(t *testing.T) {
			do := func(t *testing.T, c *coder.Client) error {
				if class == "GetSession" {
					_, err := c.GetSession(t.Context(), "codesess_000000000001")
					return err
				}
				_, err := c.CreateSession(t.Context(), coder.CreateSessionRequest{Task: "x"})
				return err
			}
			t.Run("a Hub that restarts for 15 s", func(t *testing.T) {
				bubble(t, func(t *testing.T, hub *codertest.Hub) {
					newSession(t, hubClient(t, hub))
					c, restart, _ := unreachable(t, hub, refused)
					time.AfterFunc(15*time.Second, restart)
					require.NoError(t, do(t, c))
					c.CloseIdleConnections()
				})
			})
			t.Run("a Hub that stays away", func(t *testing.T) {
				bubble(t, func(t *testing.T, hub *codertest.Hub) {
					c, _, dials := unreachable(t, hub, refused)
					began := time.Now()
					err := do(t, c)
					var failed *coder.RequestError
					require.ErrorAs(t, err, &failed)
					assert.Equal(t, coder.SentNo, failed.Sent)
					require.NotErrorIs(t, err, coder.ErrOutcomeUnknown)
					require.ErrorIs(t, err, syscall.ECONNREFUSED, "the cause stays reachable")
					assert.InDelta(t, 30, time.Since(began).Seconds(), 0.1, "our own waits are trimmed to the window")
					assert.Greater(t, dials.Load(), int32(8))
				})
			})
			t.Run("an unknown host", func(t *testing.T) {
				bubble(t, func(t *testing.T, hub *codertest.Hub) {
					c, _, dials := unreachable(t, hub, &net.DNSError{IsNotFound: true})
					err := do(t, c)
					var failed *coder.RequestError
					require.ErrorAs(t, err, &failed)
					assert.Equal(t, coder.SentNo, failed.Sent)
					assert.EqualValues(t, 4, dials.Load())
				})
			})
		})
	}
}

func TestRetryPolicy(t *testing.T) {
	for name, test := range map[string]struct {
		policy   coder.RetryPolicy
		fault    codertest.Fault
		requests int
		took     time.Duration // at most; at least half of it
	}{
		"one attempt, window or not": {coder.RetryPolicy{MaxAttempts: 1}, codertest.Fault{Status: 503}, 1, 0},
		"two attempts":               {coder.RetryPolicy{MaxAttempts: 2}, codertest.Fault{Status: 429}, 2, 100 * time.Millisecond},
		"no window":                  {coder.RetryPolicy{UnavailableWindow: -1}, codertest.Fault{Status: 502}, 4, 700 * time.Millisecond},
		"own backoff":                {coder.RetryPolicy{MinBackoff: time.Second, MaxBackoff: 2 * time.Second}, codertest.Fault{Status: 429}, 4, 5 * time.Second},
		"Retry-After": {
			coder.RetryPolicy{},
			codertest.Fault{Status: 429, Header: http.Header{"Retry-After": {"20"}}}, 4, 60300 * time.Millisecond,
		},
		"Retry-After beyond the cap": {
			coder.RetryPolicy{},
			codertest.Fault{Status: 429, Header: http.Header{"Retry-After": {"61"}}}, 1, 0,
		},
		"Retry-After beyond the window": {
			coder.RetryPolicy{},
			codertest.Fault{Status: 503, Header: http.Header{"Retry-After": {"31"}}}, 1, 0,
		},
		"Retry-After 0 is no tight loop": {
			coder.RetryPolicy{},
			codertest.Fault{Status: 429, Header: http.Header{"Retry-After": {"0"}}}, 4, 700 * time.Millisecond,
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, hub *codertest.Hub) {
				c := hubClient(t, hub, coder.WithRetryPolicy(test.policy))
				test.fault.Count = -1
				in := hub.Inject(test.fault)
				began := time.Now()
				_, err := c.GetSession(t.Context(), "x")
				var api *coder.APIError
				require.ErrorAs(t, err, &api)
				took := time.Since(began)
				assert.Equal(t, test.requests, in.Hits())
				assert.LessOrEqual(t, took, test.took)
				assert.GreaterOrEqual(t, took, test.took/2)
				if asked := test.fault.Header.Get("Retry-After"); asked != "" {
					seconds, _ := strconv.Atoi(asked)
					assert.Equal(t, time.Duration(seconds)*time.Second, api.RetryAfter)
				}
			})
		})
	}
}

func TestRetries_RetryAfterAsADate(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub) {
		c := hubClient(t, hub)
		id := newSession(t, c)
		began := time.Now()
		date := began.Add(7 * time.Second).UTC().Format(http.TimeFormat)
		hub.Inject(codertest.Fault{Status: 503, Header: http.Header{"Retry-After": {date}}})
		_, err := c.GetSession(t.Context(), id)
		require.NoError(t, err)
		assert.InDelta(t, 7, time.Since(began).Seconds(), 0.2)
	})
}

// TestRetries_TheContextEndsEveryWait, whatever the call waits for, at once, and the error says both what
// ended it and what came before.
func TestRetries_TheContextEndsEveryWait(t *testing.T) {
	for name, fault := range map[string]codertest.Fault{
		"between attempts": {Status: 429, Header: http.Header{"Retry-After": {"50"}}},
		"for the headers":  {Stall: true},
		"for the body":     {Cut: codertest.CutMidBody, Stall: true},
	} {
		for _, create := range []bool{false, true} {
			t.Run(name+" create="+strconv.FormatBool(create), func(t *testing.T) {
				bubble(t, func(t *testing.T, hub *codertest.Hub) {
					c := hubClient(t, hub)
					id := newSession(t, c)
					hub.Inject(fault)
					why := errors.New("the user has left")
					ctx, cancel := context.WithTimeoutCause(t.Context(), 3*time.Second, why)
					ended := context.DeadlineExceeded
					if fault.Status != 0 { // a deadline would keep the wait from being begun
						var leave context.CancelCauseFunc
						ctx, leave = context.WithCancelCause(t.Context())
						time.AfterFunc(3*time.Second, func() { leave(why) })
						ended = context.Canceled
					}
					defer cancel()
					began := time.Now()
					var err error
					if create {
						_, err = c.CreateSession(ctx, coder.CreateSessionRequest{Task: "x"})
					} else {
						_, err = c.GetSession(ctx, id)
					}
					require.ErrorIs(t, err, ended)
					require.ErrorIs(t, err, why)
					assert.Equal(t, 3*time.Second, time.Since(began))
					var failed *coder.RequestError
					require.ErrorAs(t, err, &failed)
					var api *coder.APIError
					assert.Equal(t, fault.Status != 0, errors.As(err, &api), "what the last attempt said")
					assert.Equal(t, create && fault.Stall, errors.Is(err, coder.ErrOutcomeUnknown))
				})
			})
		}
	}
}

// TestRetries_WaitsAndTheDeadline: what the server asks for and the deadline does not leave is not begun; waits of
// our own are cut, so that a last attempt fits.
func TestRetries_WaitsAndTheDeadline(t *testing.T) {
	away := &net.OpError{Op: "dial", Err: refused}
	for name, test := range map[string]struct {
		fault    codertest.Fault
		dials    error
		policy   coder.RetryPolicy
		deadline time.Duration
		took     time.Duration
		attempts int
		ended    bool // the error matches DeadlineExceeded
	}{
		"a server's wait beyond it": {
			codertest.Fault{Status: 429, Header: http.Header{"Retry-After": {"50"}}}, nil,
			coder.RetryPolicy{}, 3 * time.Second, 0, 1, false,
		},
		"a server's wait as a fraction": {
			codertest.Fault{Status: 429, Header: http.Header{"Retry-After": {"3.2"}}}, nil,
			coder.RetryPolicy{}, 3 * time.Second, 0, 1, false,
		},
		"a server's wait within it": {
			codertest.Fault{Status: 429, Header: http.Header{"Retry-After": {"2"}}}, nil,
			coder.RetryPolicy{MinBackoff: time.Nanosecond}, 3 * time.Second, 2 * time.Second, 2, false,
		},
		"a wait of our own beyond it": {
			codertest.Fault{Status: 429}, nil,
			coder.RetryPolicy{MinBackoff: time.Hour, MaxBackoff: time.Hour}, 3 * time.Second, 3 * time.Second, 2, true,
		},
		"no connection": {
			codertest.Fault{}, away,
			coder.RetryPolicy{MinBackoff: time.Hour, MaxBackoff: time.Hour, UnavailableWindow: 24 * time.Hour},
			3 * time.Second, 3 * time.Second, 2, true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, hub *codertest.Hub) {
				test.fault.Count = -1
				c := hubClient(t, hub, coder.WithRetryPolicy(test.policy))
				if test.dials != nil {
					c, _, _ = unreachable(t, hub, refused, coder.WithRetryPolicy(test.policy))
				} else {
					hub.Inject(test.fault)
				}
				ctx, cancel := context.WithTimeout(t.Context(), test.deadline)
				defer cancel()
				began := time.Now()
				_, err := c.GetSession(ctx, "x")
				assert.InDelta(t, test.took.Seconds(), time.Since(began).Seconds(), 0.001)
				assert.Equal(t, test.ended, errors.Is(err, context.DeadlineExceeded), "%v", err)
				var (
					api    *coder.APIError
					failed *coder.RequestError
				)
				switch {
				case errors.As(err, &failed):
					assert.Equal(t, test.attempts, failed.Attempts)
				case assert.ErrorAs(t, err, &api):
					assert.Equal(t, test.attempts, api.Attempts)
					assert.Positive(t, api.RetryAfter)
				}
			})
		})
	}
}

// TestRetries_RefusedThenUnreachable: a create that the Hub refused, and could then not be reached with,
// had no effect.
func TestRetries_RefusedThenUnreachable(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub) {
		base := hub.HTTPClient().Transport.(*http.Transport).Clone()
		dial := base.DialContext
		var dials atomic.Int32
		base.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
			if dials.Add(1) > 1 {
				return nil, &net.OpError{Op: "dial", Net: network, Err: refused}
			}
			return dial(ctx, network, address)
		}
		base.DisableKeepAlives = true
		c := hubClient(t, hub, coder.WithHTTPClient(&http.Client{Transport: base}))
		hub.Inject(codertest.Fault{Status: 429})
		_, err := c.CreateSession(t.Context(), coder.CreateSessionRequest{Task: "x"})
		var failed *coder.RequestError
		require.ErrorAs(t, err, &failed)
		assert.Equal(t, coder.SentNo, failed.Sent)
		require.NotErrorIs(t, err, coder.ErrOutcomeUnknown)
		assert.Greater(t, dials.Load(), int32(8))
	})
}

// TestRetries_CookiesDoNotPileUp: a jar adds its cookies to every attempt.
func TestRetries_CookiesDoNotPileUp(t *testing.T) {
	attempts := 0
	s := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		attempts++
		http.SetCookie(w, &http.Cookie{Name: "route", Value: strconv.Itoa(attempts), Path: "/"})
		if attempts < 4 {
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		answerJSON(http.StatusOK, `{"sessionId":"x"}`)(w, r)
	})
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	c := s.client(t, coder.WithHTTPClient(&http.Client{Jar: jar}), coder.WithRetryPolicy(coder.RetryPolicy{MinBackoff: time.Microsecond}))
	_, err = c.GetSession(t.Context(), "x")
	require.NoError(t, err)
	assert.Equal(t, "route=3", s.seen()[3].header.Get("Cookie"))
}

// distrusted is a network in which no certificate can be verified.
type distrusted struct{ requests atomic.Int32 }

func (d *distrusted) RoundTrip(*http.Request) (*http.Response, error) {
	d.requests.Add(1)
	return nil, &tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}
}

// TestWaits_EndWithDistrust: what rides out a Hub that is away does not wait for a certificate.
func TestWaits_EndWithDistrust(t *testing.T) {
	for name, wait := range map[string]func(context.Context, *coder.Client) error{
		"WaitForSession": func(ctx context.Context, c *coder.Client) error {
			_, err := c.WaitForSession(ctx, "x", nil)
			return err
		},
		"StreamEvents": func(ctx context.Context, c *coder.Client) (last error) {
			for _, err := range c.StreamEvents(ctx, "x", nil) {
				last = err
			}
			return last
		},
		"Connect": func(ctx context.Context, c *coder.Client) error {
			_, err := c.Connect(ctx, "x", nil)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, hub *codertest.Hub) {
				network := new(distrusted)
				err := wait(t.Context(), hubClient(t, hub, coder.WithURL("https://hub.test"), coder.WithHTTPClient(&http.Client{Transport: network})))
				require.ErrorAs(t, err, new(*tls.CertificateVerificationError))
				require.NotErrorIs(t, err, coder.ErrReconnectsExceeded)
				assert.EqualValues(t, 1, network.requests.Load())
			})
		})
	}
}
