package coder

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/agentuity/coder-go/internal/transport"
)

// Option configures a [Client]. An option with an empty value (an empty string, nil, 0) counts as not given,
// unless its comment says otherwise.
type Option func(*config)

type config struct {
	apiKey, url, region, orgID string
	credential                 func(context.Context) (string, error)
	hasCredential              bool
	userAgent                  string
	logger                     *slog.Logger
	httpClient                 *http.Client
	retry                      RetryPolicy
	maxResponseSize            int64
	connectRate                int
	observer                   Observer
	recorder                   *Recorder
}

// WithAPIKey sets the API key. Default: the environment variable AGENTUITY_SDK_KEY, else
// AGENTUITY_CLI_KEY. A key issued by a Hub (it starts with "agc_") is sent in the header
// x-agentuity-auth-api-key, any other as a bearer token.
func WithAPIKey(key string) Option { return func(c *config) { c.apiKey = key } }

// WithCredential sets a function that returns the API key, for keys that rotate. The function is called before every
// request: the first of a call, each repetition, each time a stream or a [HubConn] connects, and for discovery. The client
// does not cache the key: a function that needs time to get the key should cache it. Concurrent requests share one call
// of the function. The key is used and kept secret as that of [WithAPIKey] is.
//
// After a 401 the function is called once more. If it then returns another key, the request is sent again, creates
// included, since a request that got a 401 had no effect. This attempt does not count against MaxAttempts, but a
// [RetryPolicy] with MaxAttempts 1 forbids it. A [HubConn] does the same if the Hub refuses the key in another way,
// and if the Hub closes the connection with [CloseAuthRequired] later on.
//
// The context of the function has the values of the first of the requests that share the call, and ends when all of
// them have ended. If the function fails, or returns a key that is empty or not valid in a header, nothing is sent.
// The call then ends with a [*RequestError] or [*HubConnError] that wraps the function's own error and, after a 401,
// matches [ErrUnauthorized]. [IsTransient] is false for it, since only the program knows whether to try again. For
// streams and connections that had been established, it is one more failed attempt to reconnect.
//
// Default: the key of [WithAPIKey], else that of the environment. WithCredential must not be combined with WithAPIKey, and
// the key of the environment is not read. A nil function is an error.
func WithCredential(key func(context.Context) (string, error)) Option {
	return func(c *config) { c.credential, c.hasCredential = key, true }
}

// WithURL sets the URL of the Hub, so that it need not be discovered. Default: the environment variable
// AGENTUITY_CODER_URL, else discovery. Forms that people copy from elsewhere are accepted: blanks around the
// URL, trailing slashes, ws:// and wss://, a trailing /api/ws or /api/hub. A path prefix is kept.
func WithURL(url string) Option { return func(c *config) { c.url = url } }

// WithRegion sets the region that discovery asks. Default: the environment variable
// AGENTUITY_REGION, else "usc". It has no meaning when the URL of the Hub is given.
func WithRegion(region string) Option { return func(c *config) { c.region = region } }

// WithOrgID sets the organization that requests are made for. Default: what the key implies.
func WithOrgID(orgID string) Option { return func(c *config) { c.orgID = orgID } }

// WithLogger sets a logger that receives one debug record for every attempt of a request: method, path, status,
// duration, attempt and request id; one for every attempt of a HubConn to connect and every end of such a connection;
// and one for each 429 after which all calls wait. Records never hold a body or a secret. Default: no logging.
func WithLogger(logger *slog.Logger) Option { return func(c *config) { c.logger = logger } }

// WithHTTPClient sets the HTTP client. It is copied, never changed. Its Transport (nil: that of
// [NewTransport]) and Jar are used. Its CheckRedirect can forbid a redirect that this package would follow.
// Its Timeout bounds each attempt of a call, but no stream. Default: an [http.Client] of the Client's own.
func WithHTTPClient(client *http.Client) Option { return func(c *config) { c.httpClient = client } }

// WithRecorder records the traffic of the client: see [NewRecorder]. Several clients may share one Recorder.
// Default: nothing is recorded.
func WithRecorder(recorder *Recorder) Option { return func(c *config) { c.recorder = recorder } }

// WithUserAgent puts text before the User-Agent of this package, for example "billing-bot/1.4".
func WithUserAgent(text string) Option { return func(c *config) { c.userAgent = text } }

// WithObserver sets functions that are called for every call, attempt and live connection, and for what an agent does
// in [HubConn.Ask] and [Client.RunSession]. Default: none, which costs nothing.
//
// Package github.com/agentuity/coder-go/otelcoder makes an Observer that reports to OpenTelemetry.
func WithObserver(observer Observer) Option { return func(c *config) { c.observer = observer } }

// WithRetryPolicy sets how failed requests are repeated. Default: the zero [RetryPolicy], whose
// fields all have defaults.
func WithRetryPolicy(policy RetryPolicy) Option { return func(c *config) { c.retry = policy } }

// WithConnectRate sets the largest number of live connections that the client opens in any second, a fifth of them at once.
// It counts the connections of [Client.StreamEvents] and of each [HubConn], reconnects included, and those of methods that
// listen to a session while they wait for it. So a Hub that restarts is not overrun by thousands of clients that reconnect.
// With the default, 10,000 streams take 63 s to open, and after a Hub was away for 10 s all of them are back within 80 s.
// Other calls do not wait for live connections. Default: 200. Negative: no limit.
func WithConnectRate(perSecond int) Option { return func(c *config) { c.connectRate = perSecond } }

// WithMaxResponseSize sets the largest response accepted, in bytes. A larger one is a [*ResponseError] that
// matches [ErrResponseTooLarge]. Default: 256 MiB. Negative: no limit.
func WithMaxResponseSize(bytes int64) Option {
	return func(c *config) { c.maxResponseSize = bytes }
}

const (
	defaultConnectRate     = 200
	defaultMaxResponseSize = 256 << 20
	unlimited              = 1 << 62 // leaves room for one byte more
)

// RetryPolicy says how often and how fast a request is repeated. The table of the package documentation says
// which requests are repeated. A zero field has its default. The policy RetryPolicy{MaxAttempts: 1} repeats
// nothing.
type RetryPolicy struct {
	// MaxAttempts is the largest number of requests a call makes, the first included. Failures that
	// UnavailableWindow covers do not count. 1, or negative, means one request, whatever the window. Default:
	// 4.
	MaxAttempts int
	// MinBackoff is the wait after the first failure. It doubles with each further failure, and up to half of
	// each wait is subtracted at random. Default: 100 ms.
	MinBackoff time.Duration
	// MaxBackoff is the longest of these waits. Default: 5 s.
	MaxBackoff time.Duration
	// UnavailableWindow is how long 502, 503, 504, 520 to 524, 530 and requests that could not be sent
	// are repeated, counted from the first such failure of the call: a Hub that restarts is away for 5
	// to 15 seconds. Negative: no window, MaxAttempts holds for these failures too. Default: 30 s.
	UnavailableWindow time.Duration
	// MaxRetryAfter is the longest wait the Hub may ask for. If it asks for more, the call ends at
	// once with an [*APIError] whose RetryAfter is set. Negative: no wait is accepted. Default: 60 s.
	MaxRetryAfter time.Duration
}

func (c *config) validate() error {
	switch {
	case c.hasCredential && c.credential == nil:
		return invalid("NewClient", "WithCredential", "must not be nil")
	case c.hasCredential && c.apiKey != "":
		return invalid("NewClient", "WithCredential", "must not be combined with WithAPIKey")
	}
	for _, text := range []struct{ field, value string }{
		{"the API key", c.apiKey}, {"WithOrgID", c.orgID}, {"WithUserAgent", c.userAgent},
	} {
		if !standsInHeader(text.value) {
			return invalid("NewClient", text.field, noHeaderText)
		}
	}
	switch p := c.retry; {
	case p.MinBackoff < 0:
		return invalid("NewClient", "WithRetryPolicy: MinBackoff", "must not be negative")
	case p.MaxBackoff < 0:
		return invalid("NewClient", "WithRetryPolicy: MaxBackoff", "must not be negative")
	}
	return nil
}

const noHeaderText = "contains a character that cannot stand in a header (often a line break at the end)"

func standsInHeader(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' })
}

// NewTransport returns the HTTP transport that a client uses by default. Adapt it, and pass it on with
// [WithHTTPClient]. It keeps up to 64 idle connections a host for 30 s, allows 10 s to connect and 10 s for
// the TLS handshake, resumes TLS sessions, waits 2 min for the headers of a response, and sends HTTP/2 pings
// every 15 s, which notice a connection that died silently.
//
// A client with the default transport also uses two copies of it. Creates go over a copy that keeps idle connections for
// only 3 s: Node and Bun close theirs after 5 to 12 s, and a create must not be sent over a connection that the server is
// closing. Event streams go over a copy without a timeout for the headers, since IdleTimeout covers them, and with a read
// buffer of 2 KiB and a write buffer of 512 B, which each open stream holds. A transport of the program is used for
// everything as it is, with one exception: event streams and WebSockets, which stay open, go over a copy without
// MaxConnsPerHost, since they would otherwise use up that limit and keep all calls waiting. Only an [*http.Transport] is
// copied, not a RoundTripper that wraps one.
func NewTransport() *http.Transport { return transport.NewHTTPTransport() }
