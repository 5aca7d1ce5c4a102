package coder_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
)

// internet answers requests by their URL, without a network.
type internet func(url string, r *http.Request) (status int, header http.Header, body string)

func (f internet) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	status, header, body := f(r.URL.String(), r)
	if status == 0 {
		return nil, &net.OpError{Op: "dial", Err: errors.New("no route")}
	}
	if header == nil {
		header = http.Header{}
	}
	header.Set("Content-Type", "application/json")
	return &http.Response{
		StatusCode: status, Header: header, Request: r, ContentLength: int64(len(body)),
		Body: io.NopCloser(strings.NewReader(body)),
	}, nil
}

func over(f internet) coder.Option { return coder.WithHTTPClient(&http.Client{Transport: f}) }

func TestURL_WhereItComesFrom(t *testing.T) {
	discovered := internet(func(url string, _ *http.Request) (int, http.Header, string) {
		return 200, nil, `{"url":"` + strings.NewReplacer("https://", "https://hub-for.", "/coder", "/").Replace(url) + `"}`
	})
	for name, test := range map[string]struct {
		env  map[string]string
		opts []coder.Option
		want string
	}{
		"option":                    {map[string]string{"AGENTUITY_CODER_URL": "http://env"}, []coder.Option{coder.WithURL("http://option/p/")}, "http://option/p"},
		"variable":                  {map[string]string{"AGENTUITY_CODER_URL": " wss://env/p/api/ws "}, nil, "https://env/p"},
		"discovery":                 {nil, nil, "https://hub-for.catalyst-usc.agentuity.cloud"},
		"region, option":            {map[string]string{"AGENTUITY_REGION": "use"}, []coder.Option{coder.WithRegion("eu-1")}, "https://hub-for.catalyst-eu-1.agentuity.cloud"},
		"region, variable":          {map[string]string{"AGENTUITY_REGION": "use"}, nil, "https://hub-for.catalyst-use.agentuity.cloud"},
		"region, local":             {nil, []coder.Option{coder.WithRegion("l")}, "https://hub-for.catalyst.agentuity.io"},
		"Catalyst, variable":        {map[string]string{"AGENTUITY_CATALYST_URL": "https://c/", "AGENTUITY_TRANSPORT_URL": "https://t"}, nil, "https://hub-for.c"},
		"Catalyst, other variable":  {map[string]string{"AGENTUITY_TRANSPORT_URL": "https://t"}, nil, "https://hub-for.t"},
		"a blank URL is not set":    {nil, []coder.Option{coder.WithURL(" ")}, "https://hub-for.catalyst-usc.agentuity.cloud"},
		"what is not asked is read": {map[string]string{"AGENTUITY_REGION": "bad region", "AGENTUITY_CODER_URL": "http://env"}, nil, "http://env"},
	} {
		t.Run(name, func(t *testing.T) {
			clearEnv(t)
			for k, v := range test.env {
				t.Setenv(k, v)
			}
			c := newClient(t, append([]coder.Option{coder.WithAPIKey(testKey), over(discovered)}, test.opts...)...)
			got, err := c.URL(t.Context())
			require.NoError(t, err)
			assert.Equal(t, test.want, got)
		})
	}
}

func TestURL_DiscoveryRequest(t *testing.T) {
	clearEnv(t)
	c := newClient(t, coder.WithAPIKey(testKey), coder.WithOrgID("org_1"), over(func(url string, r *http.Request) (int, http.Header, string) {
		assert.Equal(t, "Bearer "+testKey, r.Header.Get("Authorization"))
		assert.Equal(t, "org_1", r.Header.Get("x-agentuity-orgid"))
		if strings.HasSuffix(url, "/coder") {
			return 200, nil, `{"url":"https://hub.example/base/","other":1}`
		}
		assert.Equal(t, "https://hub.example/base/api/hub/session/x", url)
		return 200, nil, `{"sessionId":"x"}`
	}))
	_, err := c.GetSession(t.Context(), "x")
	require.NoError(t, err)
}

func TestURL_DiscoveryFailures(t *testing.T) {
	region := func(r string) http.Header { return http.Header{"X-Agentuity-Region": {r}} }
	for name, test := range map[string]struct {
		env    string
		answer internet
		asked  int
		is     error
		says   string
	}{
		"refused": {"", func(string, *http.Request) (int, http.Header, string) { return 401, nil, `{"error":"no"}` }, 1, coder.ErrUnauthorized, "401"},
		"in an envelope": {"", func(string, *http.Request) (int, http.Header, string) {
			return 200, nil, `{"success":true,"data":{"url":"https://h"}}`
		}, 1, nil, `"url" is missing`},
		"no URL": {"", func(string, *http.Request) (int, http.Header, string) { return 200, nil, `{"url":"nowhere"}` }, 1, nil, "absolute"},
		"not encrypted": {"", func(string, *http.Request) (int, http.Header, string) {
			return 200, nil, `{"url":"http://hub.example"}`
		}, 1, nil, "not encrypted"},
		"a password": {"", func(string, *http.Request) (int, http.Header, string) {
			return 200, nil, `{"url":"https://u:hunter2@h"}`
		}, 1, nil, "password"},
		"another region for ever": {"", func(string, *http.Request) (int, http.Header, string) {
			return 421, region("eu"), ""
		}, 2, coder.ErrMisdirected, "421"},
		"a region that is no region": {"", func(string, *http.Request) (int, http.Header, string) {
			return 421, region("evil.example/"), ""
		}, 1, coder.ErrMisdirected, "421"},
		"a region that is a host": {"", func(string, *http.Request) (int, http.Header, string) {
			return 421, region("x.evil.example"), ""
		}, 1, coder.ErrMisdirected, "421"},
		"a region that ends the host": {"", func(string, *http.Request) (int, http.Header, string) {
			return 421, region("evil/"), ""
		}, 1, coder.ErrMisdirected, "421"},
		"a region with another status": {"", func(string, *http.Request) (int, http.Header, string) {
			return 403, region("eu"), ""
		}, 1, coder.ErrForbidden, "403"},
		"no region": {"", func(string, *http.Request) (int, http.Header, string) { return 421, nil, "" }, 1, coder.ErrMisdirected, "421"},
		"another region than the one given": {"https://catalyst.example", func(string, *http.Request) (int, http.Header, string) {
			return 421, region("eu"), ""
		}, 1, coder.ErrMisdirected, "421"},
	} {
		t.Run(name, func(t *testing.T) {
			clearEnv(t)
			t.Setenv("AGENTUITY_CATALYST_URL", test.env)
			asked := 0
			c := newClient(t, coder.WithAPIKey(testKey), over(func(url string, r *http.Request) (int, http.Header, string) {
				asked++
				return test.answer(url, r)
			}))
			_, err := c.CreateSession(t.Context(), coder.CreateSessionRequest{Task: "x"})
			require.Error(t, err)
			if test.is != nil {
				require.ErrorIs(t, err, test.is)
			}
			require.NotErrorIs(t, err, coder.ErrOutcomeUnknown, "nothing was created")
			assert.Regexp(t, `^coder: CreateSession: the Hub was not found: `, err.Error())
			assert.Contains(t, err.Error(), test.says)
			assert.NotContains(t, err.Error(), "hunter2")
			assert.Equal(t, test.asked, asked)
		})
	}
}

func TestURL_FollowsARegion(t *testing.T) {
	clearEnv(t)
	c := newClient(t, coder.WithAPIKey(testKey), over(func(url string, _ *http.Request) (int, http.Header, string) {
		if url == "https://catalyst-usc.agentuity.cloud/coder" {
			return 421, http.Header{"X-Agentuity-Region": {"eu"}}, ""
		}
		assert.Equal(t, "https://catalyst-eu.agentuity.cloud/coder", url)
		return 200, nil, `{"url":"http://127.0.0.1:3500"}`
	}))
	got, err := c.URL(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "http://127.0.0.1:3500", got, "a Hub on this machine need not be encrypted")
}

func TestURL_ConcurrentCallsShareADiscovery(t *testing.T) {
	clearEnv(t)
	synctest.Test(t, func(t *testing.T) {
		var discoveries, calls atomic.Int32
		fail := true
		c := newClient(t, coder.WithAPIKey(testKey), over(func(url string, r *http.Request) (int, http.Header, string) {
			if !strings.HasSuffix(url, "/coder") {
				calls.Add(1)
				return 200, nil, `{"sessionId":"x"}`
			}
			discoveries.Add(1)
			select {
			case <-time.After(time.Second):
			case <-r.Context().Done():
			}
			if fail {
				return 403, nil, `{}`
			}
			return 200, nil, `{"url":"https://hub.example"}`
		}))

		_, err := c.GetSession(t.Context(), "x")
		require.ErrorIs(t, err, coder.ErrForbidden)
		fail = false

		var wg sync.WaitGroup
		for range 200 {
			wg.Go(func() {
				_, err := c.GetSession(t.Context(), "x")
				assert.NoError(t, err)
			})
		}
		early, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		_, err = c.GetSession(early, "x")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		var failed *coder.RequestError
		require.ErrorAs(t, err, &failed)
		assert.Equal(t, coder.SentNo, failed.Sent)
		wg.Wait()
		assert.EqualValues(t, 2, discoveries.Load(), "one that failed and was not remembered, one for all")
		assert.EqualValues(t, 200, calls.Load())
	})
}

func TestURL_IsDiscoveredAgain(t *testing.T) {
	clearEnv(t)
	synctest.Test(t, func(t *testing.T) {
		discoveries := 0
		c := newClient(t, coder.WithAPIKey(testKey), over(func(url string, _ *http.Request) (int, http.Header, string) {
			switch {
			case strings.HasSuffix(url, "/coder"):
				discoveries++
				return 200, nil, []string{`{"url":"https://old.example"}`, `{"url":"https://new.example"}`}[discoveries-1]
			case strings.HasPrefix(url, "https://old.example/"):
				return 0, nil, ""
			}
			return 200, nil, `{"sessionId":"x"}`
		}))
		_, err := c.GetSession(t.Context(), "x")
		var failed *coder.RequestError
		require.ErrorAs(t, err, &failed)
		_, err = c.GetSession(t.Context(), "x")
		require.NoError(t, err)
		assert.Equal(t, 2, discoveries)
	})
}

// TestURL_StreamsAndWaitsFollow: what lives longer than a Hub finds the next one by itself.
func TestURL_StreamsAndWaitsFollow(t *testing.T) {
	for name, live := range map[string]func(context.Context, *coder.Client) error{
		"StreamEvents": func(ctx context.Context, c *coder.Client) (last error) {
			for _, err := range c.StreamEvents(ctx, "x", nil) {
				last = err
			}
			return last
		},
		"WaitForSession": func(ctx context.Context, c *coder.Client) error {
			_, err := c.WaitForSession(ctx, "x", nil)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			clearEnv(t)
			synctest.Test(t, func(t *testing.T) {
				discoveries := 0
				c := newClient(t, coder.WithAPIKey(testKey), over(func(url string, _ *http.Request) (int, http.Header, string) {
					switch {
					case strings.HasSuffix(url, "/coder"):
						discoveries++
						return 200, nil, []string{`{"url":"https://old.example"}`, `{"url":"https://new.example"}`}[discoveries-1]
					case strings.HasPrefix(url, "https://old.example/"):
						return 0, nil, ""
					}
					return 401, nil, `{}`
				}))
				require.ErrorIs(t, live(t.Context(), c), coder.ErrUnauthorized, "the new one has been asked")
				assert.Equal(t, 2, discoveries)
			})
		})
	}
}
