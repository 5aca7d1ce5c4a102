package coder

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/agentuity/coder-go/internal/transport"
)

// Option configures a [Client]. An option given an empty value (an empty string, nil, 0) counts
// as not given.
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

// WithCredential sets a function that returns the API key, for keys that rotate. It is asked before every request: the
// first of a call, each repetition, each time a stream or a [HubConn] connects, and for discovery. Nothing is remembered
// in between, so a function whose key takes time to get keeps it itself. Concurrent callers share one call of it. What
// it returns is used and kept secret as the key of [WithAPIKey] is.
//
// After a 401 it is asked once more, and if it then returns another key, the request is sent again, creates included,
// since what is answered 401 has no effect. That counts against no MaxAttempts, but a [RetryPolicy] with MaxAttempts 1
// forbids it. A [HubConn] is refused in other ways too, and connects again in the same manner, also when it is closed
// with [CloseAuthRequired] later on.
//
// Its context is that of the call, with the values of the first of the callers that share it; it ends when all
// of them have left. If the function fails, or returns an empty key or one that cannot stand in a header, nothing is
// sent, and the call ends with an error, a [*RequestError] or [*HubConnError], that matches the function's own, and
// [ErrUnauthorized] after a 401. [IsTransient] is false for it: only the program knows. Streams and connections that
// had been established treat it as one more failed attempt to reconnect.
//
// Default: the key of [WithAPIKey], with which it must not be combined, or of the environment, which is not read then. nil
// is an error.
func WithCredential(key func(context.Context) (string, error)) Option {
	return func(c *config) { c.credential, c.hasCredential = key, true }
}

// WithURL sets the URL of the Hub, so that it need not be discovered. Default: the environment
// variable AGENTUITY_CODER_URL, else discovery. The forms that people copy from elsewhere are
// understood: blanks around it, trailing slashes, ws:// and wss://, a trailing /api/ws or
// /api/hub. A path prefix is kept.
func WithURL(url string) Option { return func(c *config) { c.url = url } }

// WithRegion sets the region that discovery asks. Default: the environment variable
// AGENTUITY_REGION, else "usc". It has no meaning when the URL of the Hub is given.
func WithRegion(region string) Option { return func(c *config) { c.region = region } }

// WithOrgID sets the organization that requests are made for. Default: what the key implies.
func WithOrgID(orgID string) Option { return func(c *config) { c.orgID = orgID } }

// WithLogger sets a logger that receives one debug record for every attempt of a request: method,
// path, status, duration, attempt and request id; one for every attempt of a [HubConn] to
// connect and every end of such a connection; and one for each 429 after which all calls wait. Never a body or a secret.
// Default: no logging.
func WithLogger(logger *slog.Logger) Option { return func(c *config) { c.logger = logger } }

// WithHTTPClient sets the HTTP client. It is copied, never changed. Its Transport (nil: that of
// [NewTransport]) and Jar are used, its CheckRedirect can forbid a redirect that this package
// would follow, its Timeout bounds each attempt of a call but no stream. Default: a client of its own.
func WithHTTPClient(client *http.Client) Option { return func(c *config) { c.httpClient = client } }

// WithRecorder records what goes over the client's connections: see [NewRecorder]. Several clients may share one
// Recorder. Default: nothing is recorded.
func WithRecorder(recorder *Recorder) Option { return func(c *config) { c.recorder = recorder } }

// WithUserAgent puts text before the User-Agent of this package, for example "billing-bot/1.4".
func WithUserAgent(text string) Option { return func(c *config) { c.userAgent = text } }

// WithObserver sets functions that are told of every call, attempt and live connection, and of what an agent does for
// [HubConn.Ask] and [Client.RunSession]. Default: none, which costs nothing.
//
// Package github.com/agentuity/coder-go/otelcoder makes an Observer that reports to OpenTelemetry.
func WithObserver(observer Observer) Option { return func(c *config) { c.observer = observer } }

// WithRetryPolicy sets how failed requests are repeated. Default: the zero [RetryPolicy], whose
// fields all have defaults.
func WithRetryPolicy(policy RetryPolicy) Option { return func(c *config) { c.retry = policy } }

// WithConnectRate sets how many live connections the client opens at most in any second, a fifth of them at once: those of
// [Client.StreamEvents] and of each [HubConn], the first ones and all later ones, and those of the methods that listen to
// a session while they wait for it. A Hub that restarts under thousands of them is then not run over by all who come
// back. With the default, 10,000 streams take 63 s to open, and after a Hub that was away for 10 s all of them are back within 80 s.
// Other calls do not wait for them. Default: 200. Negative: no limit.
func WithConnectRate(perSecond int) Option { return func(c *config) { c.connectRate = perSecond } }

// WithMaxResponseSize sets the largest answer accepted, in bytes. A larger one is a
// [*ResponseError] that matches [ErrResponseTooLarge]. Default: 256 MiB. Negative: no limit.
func WithMaxResponseSize(bytes int64) Option {
	return func(c *config) { c.maxResponseSize = bytes }
}

const (
	defaultConnectRate     = 200
	defaultMaxResponseSize = 256 << 20
	unlimited              = 1 << 62 // leaves room for one byte more
)

// RetryPolicy says how often and how fast a request is repeated. What is repeated at all is in the
// table of the package documentation. A zero field has its default. The policy
// RetryPolicy{MaxAttempts: 1} repeats nothing.
type RetryPolicy struct {
	// MaxAttempts is the largest number of requests a call makes, the first included, save for
	// the failures that UnavailableWindow covers. 1, or negative, means one request, whatever the
	// window. Default: 4.
	MaxAttempts int
	// MinBackoff is the wait after the first failure. It doubles with each further one, and up to
	// half of each wait is taken off at random. Default: 100 ms.
	MinBackoff time.Duration
	// MaxBackoff is what the waits grow to. Default: 5 s.
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

// NewTransport returns the HTTP transport that a client uses when it is given none, to be adapted
// and passed on with [WithHTTPClient]: up to 64 idle connections a host kept for 30 s, 10 s to
// connect and for the TLS handshake, TLS sessions that are resumed, 2 min for the headers of an answer,
// and HTTP/2 with pings every 15 s, which notice a connection that died silently.
//
// A client that is given no transport sends creates over a copy of it that keeps idle connections for
// 3 s only, since Node and Bun close theirs after 5 to 12 s and a create must not meet that; and it
// streams over a copy without a limit of time for the headers, since IdleTimeout is that limit, and with buffers of 2 KiB
// and 512 B, which each open stream has. A transport of the program is used for all as it is, but its MaxConnsPerHost does not count what stays
// open, event streams and sockets: they go over a copy without that limit, or the first would keep
// all calls waiting. The copy is made of an [*http.Transport] only, not of what wraps one.
func NewTransport() *http.Transport { return transport.NewHTTPTransport() }
