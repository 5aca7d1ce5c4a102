package coder

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"reflect"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/agentuity/coder-go/internal/flight"
	"github.com/agentuity/coder-go/internal/gate"
	"github.com/agentuity/coder-go/internal/quote"
	"github.com/agentuity/coder-go/internal/transport"
	"github.com/agentuity/coder-go/internal/wire"
)

// Version is the version of this package, that of its newest release. The User-Agent header has the version of the module in
// the program's build information or, without one, this constant.
const Version = "0.1.0"

// builtVersion is the version of this package in the build information of the program.
var builtVersion = sync.OnceValue(func() string {
	info, _ := debug.ReadBuildInfo()
	return versionIn(info)
})

// versionIn is the version of this package in a program; Version if it is not told, as within this repository.
func versionIn(info *debug.BuildInfo) string {
	if info == nil {
		return Version
	}
	for _, module := range info.Deps {
		if module.Path != "github.com/agentuity/coder-go" {
			continue
		}
		if module.Replace != nil {
			module = module.Replace
		}
		if version, ok := strings.CutPrefix(module.Version, "v"); ok {
			return version
		}
	}
	return Version
}

// silence is how long a body may yield nothing before its connection counts as lost.
const silence = 60 * time.Second

// Client calls one Hub. It is immutable and safe for concurrent use. Make it with [NewClient] and share it:
// it keeps connections open between calls.
type Client struct {
	transport *transport.Transport
	hub       *hubResolver
	ensures   *flight.Group[*sharedSession]
	doubts    *doubts
	// maxResponseSize bounds what is held of an answer at a time.
	maxResponseSize int64
	gate            *gate.Gate
	looks           *semaphore.Weighted // of sessions that are looked at because their streams were lost
	retry           RetryPolicy         // without zero fields
	sockets         *http.Client        // opens live connections
	logger          *slog.Logger
	observer        Observer
	// The key is in closures, so that printing a Client, with any verb, cannot reach it.
	header     func(body bool) http.Header // without a key that rotates
	secret     quote.Redactor              // takes the key out of what comes from outside
	hello      func() []byte               // the first message of a live connection; nil: none
	orgID      func() string
	credential *credential // of a key that rotates; nil: it does not
}

// NewClient returns a client. It reads the environment, makes no request and starts no goroutine.
//
// The Hub's URL comes from [WithURL], else from AGENTUITY_CODER_URL, else from discovery with the first call.
// The key comes from [WithAPIKey] or [WithCredential], else from AGENTUITY_SDK_KEY, else from
// AGENTUITY_CLI_KEY. With an explicit URL the key may be missing, as for a Hub on this machine.
//
// Errors: a [*ValidationError] for an option or variable that cannot be used; an error that matches
// [ErrMissingAPIKey] if the Hub must be discovered and there is no key.
func NewClient(opts ...Option) (*Client, error) {
	var cfg config
	for _, opt := range opts {
		if opt != nil {
			opt(&cfg)
		}
	}
	if !cfg.hasCredential {
		cfg.apiKey = firstOf(cfg.apiKey, os.Getenv("AGENTUITY_SDK_KEY"), os.Getenv("AGENTUITY_CLI_KEY"))
	}
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	hub, err := newHubResolver(&cfg)
	if err != nil {
		return nil, err
	}
	if cfg.logger == nil {
		cfg.logger = slog.New(slog.DiscardHandler)
	}
	switch {
	case cfg.maxResponseSize == 0:
		cfg.maxResponseSize = defaultMaxResponseSize
	case cfg.maxResponseSize < 0:
		cfg.maxResponseSize = unlimited
	}
	var httpClient http.Client
	if cfg.httpClient != nil {
		httpClient = *cfg.httpClient
	}
	secret := quote.NewRedactor(strings.TrimSpace(cfg.apiKey))
	var rotating *credential
	if cfg.hasCredential {
		rotating, secret = newCredential(cfg.credential)
	}
	var around func(http.RoundTripper) http.RoundTripper
	if cfg.recorder != nil {
		around = cfg.recorder.around(secret)
	}
	admission := gate.New(cmp.Or(cfg.connectRate, defaultConnectRate))
	calls := transport.New(transport.Config{
		Around:     around,
		Gate:       admission,
		HTTPClient: httpClient,
		Policy:     transport.Policy(cfg.retry),
		Logger:     cfg.logger,
		Redactor:   secret,
		MaxBody:    cfg.maxResponseSize,
		Silence:    silence,
	})
	return &Client{
		hub:             hub,
		ensures:         new(flight.Group[*sharedSession]),
		doubts:          new(doubts),
		maxResponseSize: cfg.maxResponseSize,
		gate:            admission,
		looks:           semaphore.NewWeighted(mostLooks),
		retry:           RetryPolicy(transport.Policy(cfg.retry).WithDefaults()),
		header:          headers(&cfg),
		secret:          secret,
		hello:           hello(cfg.apiKey, cfg.orgID),
		orgID:           func() string { return cfg.orgID },
		credential:      rotating,
		logger:          cfg.logger,
		observer:        cfg.observer,
		sockets: &http.Client{
			Transport: calls.RoundTripper(), Jar: httpClient.Jar,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		transport: calls,
	}, nil
}

// headers returns the function that makes the headers of a request.
func headers(cfg *config) func(body bool) http.Header {
	agent := fmt.Sprintf("agentuity-coder-go/%s (%s; %s/%s)", builtVersion(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	if cfg.userAgent != "" {
		agent = cfg.userAgent + " " + agent
	}
	type header struct {
		name  string
		value []string
	}
	fixed := []header{{"Accept", []string{"application/json"}}, {"User-Agent", []string{agent}}}
	if cfg.apiKey != "" {
		name, value := keyHeader(cfg.apiKey)
		fixed = append(fixed, header{name, []string{value}})
	}
	if cfg.orgID != "" {
		fixed = append(fixed, header{"X-Agentuity-Orgid", []string{cfg.orgID}})
	}
	contentType := []string{"application/json"}
	return func(body bool) http.Header {
		h := make(http.Header, len(fixed)+1)
		for _, f := range fixed {
			h[f.name] = f.value
		}
		if body {
			h["Content-Type"] = contentType
		}
		return h
	}
}

// keyHeader is where a key is sent.
func keyHeader(key string) (name, value string) {
	if strings.HasPrefix(key, "agc_") {
		return hubKeyHeader, key
	}
	return authorizationHeader, "Bearer " + key
}

const (
	authorizationHeader = "Authorization"
	hubKeyHeader        = "X-Agentuity-Auth-Api-Key"
)

// hello returns the function that makes the message in which a live connection names its key.
func hello(key, orgID string) func() []byte {
	return func() []byte {
		if key == "" && orgID == "" {
			return nil
		}
		frame, _ := wire.Marshal(struct { // texts that can stand in a header have a JSON form
			Authorization string `json:"authorization,omitzero"`
			OrgID         string `json:"org_id,omitzero"`
		}{key, orgID})
		return frame
	}
}

// CloseIdleConnections closes the connections that no call uses at the moment. The client stays usable. If
// its transport, from [WithHTTPClient], is shared with others, their idle connections are closed as well.
func (c *Client) CloseIdleConnections() { c.transport.CloseIdleConnections() }

// Format prints the client without its secrets, for every verb of package fmt.
func (c *Client) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, c.describe()) }

// LogValue returns what package slog logs for a client.
func (c *Client) LogValue() slog.Value { return slog.StringValue(c.describe()) }

func (c *Client) describe() string {
	switch {
	case c == nil || c.hub == nil:
		return "coder.Client(nil)"
	case c.hub.fixed != "":
		return "coder.Client(" + c.hub.fixed + ")"
	default:
		return "coder.Client(discovered Hub)"
	}
}

// send makes the call. Invalid arguments are reported before anything is sent.
func (c *Client) send(ctx context.Context, r *request) *response {
	if ctx == nil {
		return &response{request: r, err: noContext(r.op)}
	}
	if err := r.check(); err != nil {
		return &response{request: r, err: err}
	}
	var body []byte
	if ctx.Err() == nil { // do not encode for a caller that has left
		var err error
		if body, err = r.encode(); err != nil {
			return &response{request: r, err: err}
		}
	}
	if c.observer.Call == nil {
		return c.sendBody(ctx, r, body)
	}
	return c.sendObserved(ctx, r, func(ctx context.Context) *response { return c.sendBody(ctx, r, body) })
}

// sendObserved makes a call of which the observer is told. What decodes the answer says what became of it.
func (c *Client) sendObserved(ctx context.Context, r *request, send func(context.Context) *response) (a *response) {
	ctx, observed := c.observe(ctx, r.op, r.method, r.route, r.sessionID)
	defer func() {
		if a == nil {
			observed.over(CallResult{Err: errPanicked, SessionID: r.sessionID})
		}
	}()
	a = send(ctx)
	a.observed = observed
	return a
}

// sendBody is send for a request that is encoded.
func (c *Client) sendBody(ctx context.Context, r *request, body []byte) *response {
	if ctx.Err() != nil {
		return &response{request: r, err: (&response{request: r, secret: c.secret}).requestError(SentNo, contextError(ctx, ctx.Err(), nil))}
	}
	base, err := c.hubURL(ctx, r.op)
	if err != nil {
		return &response{request: r, err: err}
	}
	a := c.exchangeBody(ctx, r, base+"/api"+r.path+r.query, body)
	if o := a.outcome; o.Err != nil && o.Sent == transport.SentNo && o.Ended == nil && o.Failure != transport.NoCredential {
		c.hub.forget(base)
	}
	return a
}

// exchange makes a call that needs no Hub.
func (c *Client) exchange(ctx context.Context, r *request, url string) *response {
	if c.observer.Call == nil {
		return c.exchangeBody(ctx, r, url, nil)
	}
	return c.sendObserved(ctx, r, func(ctx context.Context) *response { return c.exchangeBody(ctx, r, url, nil) })
}

func (c *Client) exchangeBody(ctx context.Context, r *request, url string, body []byte) *response {
	header := c.header(body != nil)
	if r.accept != "" {
		header["Accept"] = []string{r.accept}
		// net/http would ask for gzip, and gateways that compress hold events back.
		header["Accept-Encoding"] = []string{"identity"}
	}
	request := &transport.Request{
		Method:     r.method,
		URL:        url,
		Path:       r.path,
		Header:     header,
		Body:       body,
		Idempotent: r.idempotent,
		Stream:     r.stream,
		Attempts:   r.attempts,
		Reduce:     r.reduce,
	}
	if c.credential != nil {
		request.Authorize = c.credential.authorize
	}
	if told := c.observer.Attempt; told != nil {
		request.Observe = func(ctx context.Context, a transport.Attempt) {
			told(ctx, AttemptInfo{
				Operation: r.op, Method: r.method, Route: r.route, Scheme: a.Scheme, Host: a.Host, Attempt: a.Number,
				StatusCode: a.Status, Err: a.Err, Failure: attemptFailures[a.Failure], Duration: a.Duration, Sent: a.Sent, Received: a.Received, Again: a.Again, Wait: a.Wait,
			})
		}
	}
	outcome := c.transport.Do(ctx, request)
	a := &response{request: r, ctx: ctx, outcome: outcome, secret: c.secret}
	a.err = a.failure(ctx)
	return a
}

// Do makes a request that this package has no method for. The path is escaped, and relative to /api:
// "/hub/skills?x=1". A nil in means no body; []byte and json.RawMessage are sent as they are; anything else
// is encoded as JSON. A nil out ignores the response, and a *json.RawMessage gets it as it came. Into
// anything else the response is decoded by the rules of JSON v2, except that names match in any letter case,
// and that whole numbers which a float64 cannot hold become json.Number in an any.
//
// GET, HEAD, PUT, PATCH, DELETE and OPTIONS are retried as idempotent, all other methods as creates
// (see the retry table of the package documentation).
//
// Errors: [*ValidationError] for a method, path or body that cannot be sent; [*ResponseError] for a response
// that is not JSON if out is not nil; otherwise those of every method.
func (c *Client) Do(ctx context.Context, method, path string, in, out any) error {
	r, err := rawRequest(method, path)
	if err != nil {
		return err
	}
	if v := reflect.ValueOf(out); out != nil && (v.Kind() != reflect.Pointer || v.IsNil()) {
		return invalid("Do", "out", "must be nil or a pointer")
	}
	r.in = in
	a := c.send(ctx, r)
	defer func() { _ = a.over(errPanicked) }() // if decoding panics
	err = a.err
	if err == nil {
		defer a.outcome.Body.Release()
		if out != nil {
			err = a.decodeRaw(out)
		}
	}
	return a.over(err)
}
