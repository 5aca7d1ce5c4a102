package transport

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptrace"
	"time"

	"github.com/hashicorp/go-retryablehttp"

	"github.com/agentuity/coder-go/internal/backoff"
)

// Outcome is what came of a call. Err is nil exactly when the Hub's answer was read; Status is
// then its status. With Ended set the rest says what the last attempt came to.
type Outcome struct {
	Status int // 0: no answer. Also set when a 2xx body was larger than the limit.
	Header http.Header
	Body   Body    // of a 2xx answer, read whole
	Stream *Stream // the body of a 2xx answer, where it was asked for; the caller closes it
	Text   []byte  // of any other answer, at most ErrorBodyLimit
	// Unreduced is what Request.Reduce failed with. Body is then the beginning of what it has read.
	Unreduced error
	Err       error // never a *url.Error
	Ended     error // the context's error, when that ended the call
	Attempts  int
	Began     time.Time // of the last attempt
	// Failure is what [Classify] made of the last attempt.
	Failure Failure
	// Sent tells whether a request that the Hub has not plainly refused reached it.
	Sent Sent
	// Doubtful: an attempt before the last had an unknown outcome, so that the last may have
	// met the effect of it.
	Doubtful bool
	// Unknown: the call is not idempotent, and may or may not have taken effect.
	Unknown bool
}

// Sent says whether a request reached the Hub.
type Sent int

// The answers there are.
const (
	SentUnknown Sent = iota
	SentNo
	SentYes
)

// call is the state of one call and, so that the hooks of go-retryablehttp find it, its context.
type call struct {
	context.Context
	transport   *Transport
	request     Request
	conns       connTrace
	body        *countedBody       // of the attempt, if the call is not idempotent
	cancel      context.CancelFunc // of the attempt's context, a child of this one
	loopRequest *retryablehttp.Request
	traced      bool
	watch       watch

	attempts int
	began    time.Time // of the attempt
	handled  bool      // the attempt was answered, and read has run
	renewed  bool      // the credential, after a 401

	counted   int       // failures that count against MaxAttempts
	backoffs  int       // waits so far
	windowEnd time.Time // set by the first failure that may outlast MaxAttempts

	outcome Outcome
}

type callKey struct{}

// Value makes the call known to callOf.
func (c *call) Value(key any) any {
	if key == (callKey{}) {
		return c
	}
	return c.Context.Value(key)
}

func callOf(ctx context.Context) *call { return ctx.Value(callKey{}).(*call) }

// begin starts an attempt.
func (c *call) begin(req *http.Request) {
	if c.attempts > 0 {
		// What a jar, or a RoundTripper, has added is not added to.
		req.Header = req.Header.Clone()
		req.Header.Del("Cookie")
	}
	c.attempts++
	c.began = time.Now()
	c.handled = false
	c.conns.reset()
	if c.request.Body != nil && !c.request.Idempotent {
		c.body = new(countedBody)
		c.body.rest.Reset(c.request.Body)
		req.Body = c.body
	}
}

// read is the response handler: it reads the body inside the loop, so that a body that is cut
// is an attempt that failed.
func (c *call) read(resp *http.Response) error {
	c.handled = true
	c.outcome.Status = resp.StatusCode
	c.outcome.Header = resp.Header
	c.outcome.Text = nil
	switch {
	case resp.StatusCode/100 != 2:
		defer resp.Body.Close()
		// All of the time allowed may pass before it counts as silent: more cannot count as progress.
		body := c.watch.over(resp.Body, c.cancel, errorBodyTime, ErrorBodyLimit+1)
		c.outcome.Text = readText(body)
		return nil
	case c.request.Stream:
		c.outcome.Stream = &Stream{c.watch.over(resp.Body, c.cancel, c.transport.silence, 1), c.transport.secret}
		return nil
	}
	defer resp.Body.Close()
	body := c.watch.over(resp.Body, c.cancel, c.transport.silence, leastProgress)
	var err error
	if c.outcome.Unreduced = nil; c.request.Reduce != nil {
		c.outcome.Body, c.outcome.Unreduced, err = reduceBody(body, c.announced(resp), c.transport.maxBody, c.request.Reduce)
	} else {
		c.outcome.Body, err = readBody(body, c.announced(resp), c.transport.maxBody)
	}
	return err
}

// announced is the length of the body; what a HEAD is answered has none.
func (c *call) announced(resp *http.Response) int64 {
	if c.request.Method == http.MethodHead {
		return 0
	}
	return resp.ContentLength
}

// next decides whether there is another attempt, and waits for its time. go-retryablehttp asks
// twice when an answer came: before and after its body was read.
func (c *call) next(resp *http.Response, err error) bool {
	if err == nil && !c.handled {
		return false // on to read
	}
	if !c.handled {
		c.outcome.Status, c.outcome.Header, c.outcome.Text = 0, nil, nil
		if resp != nil { // a refused redirect: net/http returns the answer as well as the error
			_ = resp.Body.Close()
		}
	}
	if err != nil && c.conns.again.Load() && c.Err() == nil {
		err = errAgain // and not that the attempt was cancelled, which nobody has asked for
	}
	failure := c.classify(resp, err)
	c.log(err)
	c.record(failure, err)
	over := c.over(failure)
	c.transport.TooMany(c, c.outcome.Status, c.outcome.Header)
	if failure == None {
		c.observe(over)
		return false
	}
	if c.Err() != nil { // also while the body of an error was read
		c.outcome.Ended = c.Err()
		c.observe(over)
		return false
	}
	header := c.loopRequest.Header
	if c.refused() {
		c.renewed = true
		header, over.Again = c.authorize(true)
		if c.observe(over); !over.Again {
			return false
		}
	} else {
		over.Wait, over.Again = c.wait(failure)
		if c.observe(over); !over.Again {
			return false
		}
		c.outcome.Doubtful = c.outcome.Doubtful || failure.doubtful()
		if !backoff.Sleep(c, over.Wait) || !c.admitAgain() {
			c.outcome.Ended = c.Err()
			return false
		}
		if c.request.Authorize != nil {
			var again bool
			if header, again = c.authorize(false); !again {
				return false
			}
		}
	}
	c.watch.forget()
	c.traced = true
	c.cancel()
	c.loopRequest.Request = c.loopRequest.WithContext(c.attempt()).Request
	c.loopRequest.Header = header
	return true
}

// refused reports whether the credential is to be asked for once more.
func (c *call) refused() bool {
	return c.request.Authorize != nil && !c.renewed && c.handled && c.outcome.Status == http.StatusUnauthorized &&
		c.transport.policy.MaxAttempts > 1
}

// authorize returns the header of the next attempt, and whether there is one. After a 401 there is none with the
// same credential.
func (c *call) authorize(refused bool) (http.Header, bool) {
	header := c.loopRequest.Header.Clone() // the attempt before may still be reading its own
	changed, err := c.request.Authorize(c, header, refused)
	switch {
	case err == nil:
		return header, changed || !refused
	case c.Err() != nil:
		c.outcome.Ended = c.Err()
	default:
		c.outcome.Err, c.outcome.Failure = c.transport.secret.Error(err), NoCredential
	}
	return nil, false
}

// attempt returns the context of the next attempt.
func (c *call) attempt() context.Context {
	ctx, cancel := context.WithCancel(c)
	c.cancel = cancel
	if c.traced {
		hooks := &httptrace.ClientTrace{
			GetConn: c.conns.getConn, GotConn: c.conns.gotConn, WroteRequest: c.conns.wroteRequest,
		}
		if !c.request.Idempotent && c.request.Body == nil {
			c.conns.sendOnce(hooks, cancel)
		}
		ctx = httptrace.WithClientTrace(ctx, hooks)
	}
	return ctx
}

// record keeps what the attempt came to.
func (c *call) record(f Failure, err error) {
	o := &c.outcome
	o.Failure = f
	o.Err = c.transport.secret.Error(withoutURL(err))
	o.Unknown = !c.request.Idempotent && f.Unknown()
	if c.handled && err != nil && f != Unusable {
		o.Status, o.Header = 0, nil // a body that is cut is no answer
	}
	// net/http repeats some requests by itself, and then the last may have met the first.
	o.Doubtful = o.Doubtful || c.conns.wrote.Load() > 1
	switch {
	case f.NeverSent(), f == Unprocessed, f == Limited:
		if !o.Doubtful || !c.request.Idempotent { // else an earlier attempt went out and was lost
			o.Sent = SentNo
		}
	case c.handled:
		o.Sent = SentYes
	case c.traced:
		o.Sent = c.conns.sent()
	default:
		o.Sent = SentUnknown
	}
}

// ErrUnanswered is the cause of a context that has ended since a request took too long, for no reason of the program's.
var ErrUnanswered = errors.New("the Hub has not answered in time")

// over describes the attempt, if anybody wants to know.
func (c *call) over(f Failure) Attempt {
	if c.request.Observe == nil {
		return Attempt{}
	}
	a := Attempt{
		Scheme: c.loopRequest.URL.Scheme, Host: c.loopRequest.URL.Host, Number: c.attempts,
		Status: c.outcome.Status, Err: c.outcome.Err, Failure: f,
		Duration: time.Since(c.began), Sent: int64(len(c.request.Body)),
	}
	if f.NeverSent() {
		a.Sent = 0
	}
	if f == Ended && errors.Is(context.Cause(c.Context), ErrUnanswered) {
		a.Failure, a.Err = Lost, ErrUnanswered
	}
	if c.handled && c.outcome.Stream == nil {
		a.Received = c.watch.total
	}
	return a
}

func (c *call) observe(a Attempt) {
	if c.request.Observe != nil {
		c.request.Observe(c.Context, a)
	}
}

// log writes the attempt's line.
func (c *call) log(err error) {
	logger := c.transport.logger
	if !logger.Enabled(c, slog.LevelDebug) {
		return
	}
	attrs := []slog.Attr{
		slog.String("method", c.request.Method),
		slog.String("path", c.transport.secret.Line(c.request.Path)),
		slog.Int("status", c.outcome.Status),
		slog.Duration("duration", time.Since(c.began)),
		slog.Int("attempt", c.attempts),
	}
	if id := c.outcome.Header.Get(RequestIDHeader); id != "" {
		attrs = append(attrs, slog.String("request_id", c.transport.secret.Line(id)))
	}
	if err != nil {
		attrs = append(attrs, slog.String("error", c.transport.secret.Line(withoutURL(err).Error())))
	}
	logger.LogAttrs(c, slog.LevelDebug, "coder hub request", attrs...)
}

// RequestIDHeader is where a Hub names the trace of a request in its response.
const RequestIDHeader = "X-Session-Id"
