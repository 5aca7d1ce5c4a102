package main

import (
	"encoding/base64"
	"errors"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestHidden: what errors say of the environment's values is replaced, and nothing else is.
func TestHidden(t *testing.T) {
	for name, tc := range map[string]struct {
		env      map[string]string
		text     string
		want     string // the whole text
		withheld string // or what it must not have
	}{
		"a host": {
			env: account(), text: "dial tcp: lookup " + testHost + ": no such host", want: "dial tcp: lookup $AGENTUITY_CODER_URL: no such host",
		},
		"a host in capitals": {
			env: account(), text: "lookup HUB.SECRET.EXAMPLE: no such host", want: "lookup $AGENTUITY_CODER_URL: no such host",
		},
		"a URL": {
			env:  map[string]string{"AGENTUITY_CODER_URL": "https://" + testHost + "/tenant-7"},
			text: `Get "https://` + testHost + `/tenant-7/api/hub": EOF`, want: `Get "$AGENTUITY_CODER_URL/api/hub": EOF`,
		},
		"a path": {
			env:  map[string]string{"AGENTUITY_CODER_URL": "https://" + testHost + "/tenant-7"},
			text: "no route for /tenant-7/api", want: "no route for /$AGENTUITY_CODER_URL/api",
		},
		"a path that the routes have": {
			env:  map[string]string{"AGENTUITY_CODER_URL": "https://" + testHost + "/hub"},
			text: "GetSession: GET /hub/sessions: the hub fails", want: "GetSession: GET /hub/sessions: the hub fails",
		},
		"a host that is a word": {
			env:  map[string]string{"HTTP_PROXY": "http://proxy:3128"},
			text: "the proxy refused: proxys, a proxy", want: "the proxy refused: proxys, a proxy",
		},
		"a host that is a word where it is a host": {
			env:  map[string]string{"HTTP_PROXY": "http://proxy:3128"},
			text: "proxyconnect tcp: dial tcp: lookup proxy: no such host, proxy:3128, http://proxy/",
			want: "proxyconnect tcp: dial tcp: lookup $HTTP_PROXY: no such host, $HTTP_PROXY, http://$HTTP_PROXY/",
		},
		"a short host where it is one": {
			env: map[string]string{"AGENTUITY_CODER_URL": "http://hub:80"}, text: "lookup hub: no such hub", want: "lookup $AGENTUITY_CODER_URL: no such hub",
		},
		"a host in the middle of a word": {
			env: map[string]string{"AGENTUITY_CODER_URL": "http://acme"}, text: "acme: acmecorp, subacme, acme2", want: "$AGENTUITY_CODER_URL: acmecorp, subacme, acme2",
		},
		"names that have each other's": {
			env:  map[string]string{"HTTP_PROXY": "http://http:x1y2z3@https-host", "HTTPS_PROXY": "http://HTTP_PROXY"},
			text: "the URL http://https-host", want: "the URL $HTTP_PROXY",
		},
		"a user that is a word": {
			env:  map[string]string{"HTTP_PROXY": "http://server:S3CR3T-pw@127.0.0.1:1"},
			text: "the server answers; http://server:S3CR3T-pw@127.0.0.1:1/", want: "the server answers; $HTTP_PROXY/",
		},
		"users and passwords of any URL": {
			env: account(), text: `parse "http://me:p%zz@other.example": bad; x://a:b@c`, want: `parse "http://***@other.example": bad; x://***@c`,
		},
		"a password": {
			env: map[string]string{"HTTPS_PROXY": "http://me:Tr0ub4dor@127.0.0.1:1"}, text: "xTr0ub4dorx", want: "x$HTTPS_PROXYx",
		},
		"a password with escapes, in both forms": {
			env:  map[string]string{"HTTPS_PROXY": "http://me:p%40ss-w0rd@127.0.0.1:1"},
			text: "p@ss-w0rd and p%40ss-w0rd", want: "$HTTPS_PROXY and $HTTPS_PROXY",
		},
		"a password in a header": {
			env:      map[string]string{"https_proxy": "http://me:x@127.0.0.1:1"},
			text:     "Proxy-Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("me:x")),
			withheld: base64.StdEncoding.EncodeToString([]byte("me:x")),
		},
		"a short password": {
			env: map[string]string{"HTTPS_PROXY": "http://me:x1@127.0.0.1:1"}, text: "the user me:x1@127.0.0.1", withheld: "x1",
		},
		"a password that is a word": {
			env:  map[string]string{"HTTPS_PROXY": "http://me:connection@127.0.0.1:1"},
			text: "the connection is lost, me:connection@", want: "the connection is lost, me:$HTTPS_PROXY@",
		},
		"a key": {
			env: account(), text: "bearer" + testKey + "x", want: "bearer$AGENTUITY_SDK_KEYx",
		},
		"a key that is not used": {
			env: map[string]string{"AGENTUITY_SDK_KEY": testKey, "AGENTUITY_CLI_KEY": "sk_older_K3Y"}, text: "sk_older_K3Y", want: "$AGENTUITY_CLI_KEY",
		},
		"a key with a line break in it": {
			env: map[string]string{"AGENTUITY_SDK_KEY": "sk_one_S3CR3T\nsk_two_S3CR3T"}, text: `"sk_two_S3CR3T" sk_one_S3CR3T`, withheld: "S3CR3T",
		},
		"a key in quotation marks": {
			env: map[string]string{"AGENTUITY_SDK_KEY": `"sk_one_S3CR3T"`}, text: "sk_one_S3CR3T", withheld: "S3CR3T",
		},
		"a key behind Bearer": {
			env: map[string]string{"AGENTUITY_SDK_KEY": "Bearer sk_one_S3CR3T"}, text: "the Bearer sk_one_S3CR3T", withheld: "S3CR3T",
		},
		"a host that nothing is sent to through a proxy": {
			env: map[string]string{"NO_PROXY": "localhost,.corp.secret.example, 10.1.2.3/8"}, text: "x.corp.secret.example at 10.1.2.3 on localhost",
			want: "x.$NO_PROXY at $NO_PROXY on localhost",
		},
		"a host without a scheme": {
			env: map[string]string{"AGENTUITY_CODER_URL": testHost + ":8080"}, text: "at " + testHost, want: "at $AGENTUITY_CODER_URL",
		},
		"a query": {
			env: map[string]string{"AGENTUITY_CODER_URL": "https://h.example/?token=S3CR3T-token"}, text: "S3CR3T-token", withheld: "S3CR3T",
		},
		"an organization": {
			env: account(), text: "of " + testOrg + ".", want: "of $AGENTUITY_ORGID.",
		},
	} {
		t.Run(name, func(t *testing.T) {
			environ(t, tc.env)
			got := newDoctor(false, nil).foreign(tc.text)
			if tc.withheld != "" {
				assert.NotContains(t, got, tc.withheld)
				return
			}
			assert.Equal(t, tc.want, got)
		})
	}
}

// TestOwnWordsStay: values that are words of the doctor's own advice.
func TestOwnWordsStay(t *testing.T) {
	plain := account()
	_, want := examined(t, plain, noSuchHost)
	env := account()
	env["HTTP_PROXY"] = "http://name:spelling@exist:1/check"
	env["https_proxy"] = "http"
	env["HTTPS_PROXY"] = "ok"
	env["AGENTUITY_CLI_KEY"] = "connection"
	env["AGENTUITY_REGION"] = "environment"
	env["NO_PROXY"] = "whether,company,server,needed"
	_, got := examined(t, env, noSuchHost)
	assert.Equal(t, want, got)
	assert.Contains(t, got, "check the spelling in AGENTUITY_CODER_URL")
}

func noSuchHost(s *scene) {
	s.between.resolve = failing(&net.DNSError{Err: "no such host", Name: testHost, IsNotFound: true})
}

// TestNoSecretInJSON lets a proxy repeat the user and the password that it was sent, in every form.
func TestNoSecretInJSON(t *testing.T) {
	env := account()
	env["HTTP_PROXY"] = "http://S3CR3T-user:S3CR3T%2Fpw@proxy.secret.example:3128"
	basic := base64.StdEncoding.EncodeToString([]byte("S3CR3T-user:S3CR3T/pw"))
	for _, args := range [][]string{{"-json"}, {"-v"}, {"-json", "-write"}} {
		_, out := examined(t, env, func(s *scene) {
			s.between.proxy = func(*http.Request) (*url.URL, error) { return url.Parse(os.Getenv("HTTP_PROXY")) }
			honest := s.between.transport
			s.between.transport = roundTrip(func(r *http.Request) (*http.Response, error) {
				if strings.Contains(r.URL.Path, "/hub/agents") || r.URL.Query().Get("limit") == "1" {
					return nil, errors.New("proxy: " + os.Getenv("HTTP_PROXY") + " Basic " + basic + " S3CR3T/pw Bearer " + testKey)
				}
				return honest.RoundTrip(r)
			})
		}, args...)
		require.Contains(t, out, "proxy: ")
		assert.NotContains(t, out, basic)
	}
}
