package transport

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/url"
	"time"

	"github.com/hashicorp/go-retryablehttp"

	"github.com/agentuity/coder-go/internal/gate"
	"github.com/agentuity/coder-go/internal/quote"
)

// ErrorBodyLimit is how much of the body of an answer other than 2xx is read.
const ErrorBodyLimit = 64 << 10

// Config is what a Transport is made of. All fields but Around and Gate are required, HTTPClient may be the zero client.
type Config struct {
	HTTPClient http.Client    // copied; a nil Transport means NewHTTPTransport
	Policy     Policy         // zero fields take their defaults
	Logger     *slog.Logger   // one debug line an attempt
	Redactor   quote.Redactor // for errors, and for what is logged of an answer
	MaxBody    int64          // limit of a 2xx body in bytes
	Silence    time.Duration  // a body that yields nothing for so long is a lost connection
	Gate       *gate.Gate     // what attempts pass before they are made; nil: one of its own
	// Around is put around each RoundTripper that requests go over, those of [Transport.RoundTripper] included. nil:
	// nothing is.
	Around func(http.RoundTripper) http.RoundTripper
}

// Transport makes calls. It is safe for concurrent use.
type Transport struct {
	reads   *retryablehttp.Client
	creates *retryablehttp.Client
	streams *retryablehttp.Client // without a time limit on the body
	base    roundTrippers
	policy  Policy
	logger  *slog.Logger
	secret  quote.Redactor
	maxBody int64
	silence time.Duration
	gate    *gate.Gate
}

// New returns a Transport. It starts nothing.
func New(cfg Config) *Transport {
	if given := cfg.HTTPClient.Transport; given != nil { // is used as it is
		return newOver(cfg, roundTrippers{reads: given, creates: given, streams: unlimited(given)})
	}
	return newOver(cfg, ours(NewHTTPTransport()))
}

// unlimited returns a transport without a limit of connections, for those that stay open: the first of them would keep
// all calls waiting where the limit is 1.
func unlimited(given http.RoundTripper) http.RoundTripper {
	t, ok := given.(*http.Transport)
	if !ok || t.MaxConnsPerHost == 0 {
		return given
	}
	t = t.Clone()
	t.MaxConnsPerHost = 0
	return t
}

func newOver(cfg Config, base roundTrippers) *Transport {
	if around := cfg.Around; around != nil {
		base = roundTrippers{reads: around(base.reads), creates: around(base.creates), streams: around(base.streams)}
	}
	client := cfg.HTTPClient
	client.CheckRedirect = redirectRule(cfg.HTTPClient.CheckRedirect)
	over := func(base http.RoundTripper) *retryablehttp.Client {
		client.Transport = roundTripperOnly{base}
		return loopOver(client)
	}
	t := &Transport{
		base:    base,
		reads:   over(base.reads),
		creates: over(base.creates),
		policy:  cfg.Policy.WithDefaults(),
		logger:  cfg.Logger,
		secret:  cfg.Redactor,
		maxBody: cfg.MaxBody,
		silence: cfg.Silence,
		gate:    cfg.Gate,
	}
	if t.gate == nil {
		t.gate = gate.New(0)
	}
	client.Timeout = 0
	t.streams = over(base.streams)
	return t
}

// RoundTripper returns what connections that stay open go over.
func (t *Transport) RoundTripper() http.RoundTripper { return t.base.streams }

func loopOver(client http.Client) *retryablehttp.Client {
	return &retryablehttp.Client{
		HTTPClient:     &client,
		RetryMax:       math.MaxInt,
		RequestLogHook: func(_ retryablehttp.Logger, req *http.Request, _ int) { callOf(req.Context()).begin(req) },
		CheckRetry: func(ctx context.Context, resp *http.Response, err error) (bool, error) {
			return callOf(ctx).next(resp, err), nil
		},
		// CheckRetry has waited already: only it has the context.
		Backoff:      func(_, _ time.Duration, _ int, _ *http.Response) time.Duration { return 0 },
		ErrorHandler: retryablehttp.PassthroughErrorHandler,
	}
}

// CloseIdleConnections closes the idle connections of the underlying transports.
func (t *Transport) CloseIdleConnections() {
	for _, base := range []http.RoundTripper{t.base.reads, t.base.creates, t.base.streams} {
		if closer, ok := base.(interface{ CloseIdleConnections() }); ok {
			closer.CloseIdleConnections()
		}
	}
}

// roundTripperOnly hides every other method of a RoundTripper. go-retryablehttp calls
// CloseIdleConnections after each failed call and each cancelled wait, which would make all
// other users of the same connections dial anew.
type roundTripperOnly struct{ base http.RoundTripper }

// RoundTrip takes away a Location that is no URL: net/http would fail on it with an error that
// quotes it, whatever secrets it holds, and hide the status.
func (t roundTripperOnly) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := t.base.RoundTrip(req)
	if err == nil && resp != nil && resp.StatusCode/100 == 3 {
		if _, bad := req.URL.Parse(resp.Header.Get("Location")); bad != nil {
			resp.Header.Del("Location")
		}
	}
	return resp, err
}

// Request is one call.
type Request struct {
	Method string
	URL    string      // whole, escaped
	Path   string      // what logs may show: no query, no host
	Header http.Header // belongs to the call from here on
	Body   []byte      // nil: no body
	// Idempotent says that the call has the same effect once or twice. A call that has not is
	// made again only when the attempt before it certainly had no effect.
	Idempotent bool
	// Stream leaves the body of a 2xx answer unread, as Outcome.Stream. What is lost later is the
	// reader's to notice: only the way to the headers is repeated.
	Stream bool
	// Reduce, unless it is nil, reads a large 2xx body while it arrives, and returns what is kept of it as the outcome's body.
	// An error of the reader is that of the attempt, and any other is the outcome's Unreduced. It is called anew for each
	// attempt that has brought more than a megabyte; smaller bodies are kept as they are.
	Reduce func(body io.Reader) (kept []byte, err error)
	// Attempts replaces the policy's MaxAttempts. 0: the policy's.
	Attempts int
	// Authorize sets the credential in the header of each attempt, before it. nil: the header has what it
	// needs. An error ends the call. It is asked once more after a 401, and told so; if it then sets another
	// credential, there is another attempt: what was answered 401 had no effect. That one counts against nothing,
	// but the policy must allow a second request at all.
	Authorize func(ctx context.Context, header http.Header, refused bool) (changed bool, err error)
	// Observe is called with each attempt when it is over, and it is known whether another one follows. nil: nobody
	// wants to know.
	Observe func(ctx context.Context, a Attempt)
}

// Attempt is an attempt that is over.
type Attempt struct {
	Scheme, Host   string
	Number         int   // from 1
	Status         int   // 0: no answer, or a cut one
	Err            error // nil: an answer
	Failure        Failure
	Duration       time.Duration
	Sent, Received int64 // bytes of the bodies
	Again          bool  // another one follows
	Wait           time.Duration
}

// Do makes the call. The context bounds all of it, waits included. The caller releases the
// outcome's body.
func (t *Transport) Do(ctx context.Context, r *Request) *Outcome {
	if !t.admit(ctx, r) {
		return &Outcome{Err: ctx.Err(), Ended: ctx.Err(), Sent: SentNo, Failure: Ended}
	}
	if r.Authorize != nil {
		if _, err := r.Authorize(ctx, r.Header, false); err != nil {
			return &Outcome{Err: t.secret.Error(err), Ended: ctx.Err(), Sent: SentNo, Failure: NoCredential}
		}
	}
	c := &call{Context: ctx, transport: t, request: *r}
	// A plain read does without the trace, which costs more than it tells, until it has failed.
	c.traced = r.Method != http.MethodGet
	var body any // a nil []byte in an interface would not be nil
	if r.Body != nil {
		body = r.Body
	}
	req, err := retryablehttp.NewRequestWithContext(c.attempt(), r.Method, r.URL, body)
	if err != nil {
		c.cancel()
		return &Outcome{Err: t.secret.Error(withoutURL(err)), Sent: SentNo, Failure: Rejected}
	}
	if r.Header != nil {
		req.Header = r.Header
	}
	if !r.Idempotent {
		// With GetBody net/http repeats a POST by itself when an HTTP/2 connection dies, even
		// one that was sent whole.
		req.GetBody = nil
	}
	req.SetResponseHandler(c.read)
	c.loopRequest = req
	loop := t.reads
	switch {
	case r.Stream:
		loop = t.streams
	case !r.Idempotent:
		loop = t.creates
	}
	_, _ = loop.Do(req) //nolint:bodyclose // call.read has read and closed it, and call.next has seen the error
	c.outcome.Attempts, c.outcome.Began = c.attempts, c.began
	if c.outcome.Stream == nil {
		c.cancel()
	}
	return &c.outcome
}

// admit waits while the gate is held. It returns false if the context has ended. What connects has passed the gate already.
func (t *Transport) admit(ctx context.Context, r *Request) bool {
	return ctx.Err() == nil && (r.Stream || t.gate.Call(ctx))
}

// admitAgain is admit for another attempt.
func (c *call) admitAgain() bool {
	if c.outcome.Status == http.StatusTooManyRequests && !c.request.Stream {
		return c.transport.gate.Again(c)
	}
	return c.transport.admit(c, &c.request)
}

// BodyOf returns the body of the request that has this context, which must not be changed, and nil if it has none or is
// none of a call. Reading it from the request would count as sending it. unread reports whether nothing of it has been
// read for this attempt: then nobody has received the request.
func BodyOf(ctx context.Context) (body []byte, unread func() bool) {
	c, ok := ctx.Value(callKey{}).(*call)
	if !ok {
		return nil, func() bool { return false }
	}
	counted := c.body
	return c.request.Body, func() bool { return counted != nil && counted.unread() }
}

// withoutURL takes the *url.Error of net/http apart: its text holds the query and user info.
func withoutURL(err error) error {
	if err == nil { // which spares the variable below
		return nil
	}
	for {
		var ue *url.Error
		if !errors.As(err, &ue) || ue.Err == nil {
			return err
		}
		err = ue.Err
	}
}
