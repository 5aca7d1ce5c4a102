package transport

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"strings"
)

// Failure is the verdict on an attempt that did not succeed. It is the only answer to "may another
// attempt succeed?": calls, and everything that waits or reconnects, decide by it.
type Failure int

// The failures there are, in the terms of the retry table.
const (
	None         Failure = iota
	NeverSent            // no connection came about
	UnknownHost          // never sent, because the host name does not exist
	Untrusted            // never sent, for a reason that stays: the certificate, the protocol on the port, a proxy
	Unprocessed          // sent in part, or refused by the peer: it had no effect
	Lost                 // the connection failed, or fell silent, when the request may have been sent
	Limited              // 429, or 409 with a rate-limit header
	Unavailable          // 502, 503, 504, 520 to 524, 530: a gateway may say that it did not reach the Hub
	TooLate              // 408, 425: the request did not arrive in time, or too early
	Broken               // any other 5xx but 501
	Unusable             // a 2xx that is of no use, a redirect that the caller forbade
	Rejected             // everything else: 3xx, other 4xx, 501
	Ended                // the context ended before anything else was known
	NoCredential         // never sent, because what gives the key has failed
)

// Transient reports whether the same request may succeed later. A failure that is neither transient nor
// permanent is Unusable: something that is not the Hub may have answered for it; or NoCredential: only the program
// knows.
func (f Failure) Transient() bool {
	switch f {
	case NeverSent, UnknownHost, Unprocessed, Lost, Limited, Unavailable, TooLate, Broken:
		return true
	}
	return false
}

// Permanent reports whether every further attempt would fail in the same way.
func (f Failure) Permanent() bool { return f == Untrusted || f == Rejected }

// NeverSent reports whether the request certainly did not reach the Hub.
func (f Failure) NeverSent() bool {
	return f == NeverSent || f == UnknownHost || f == Untrusted || f == NoCredential
}

// doubtful reports whether a later attempt may meet the effect of this one.
func (f Failure) doubtful() bool { return f == Unavailable || f == Lost }

// Repeats reports whether a call makes another attempt after this failure. A call that is not idempotent
// does so only where the attempt certainly had no effect.
func (f Failure) Repeats(idempotent bool) bool {
	switch f {
	case NeverSent, UnknownHost, Unprocessed, Limited:
		return true
	case Broken: // transient, but seldom gone within the seconds of a call
		return false
	}
	return idempotent && f.Transient()
}

// Unknown reports whether the outcome of a call that is not idempotent is unknown after this failure.
func (f Failure) Unknown() bool {
	switch f {
	case Lost, Unusable, Unavailable, Broken, Ended:
		return true
	}
	return false
}

// Classify returns the verdict on an answer, or, where there was none, on an error. What is known of the
// attempt besides, such as whether it ever had a connection, is not in an error: see call.classify.
func Classify(status int, header http.Header, err error) Failure {
	if err != nil {
		return classifyError(err)
	}
	switch {
	case status/100 == 2:
		return None
	case status == http.StatusTooManyRequests, status == http.StatusConflict && hasRateLimit(header):
		return Limited
	case status == http.StatusRequestTimeout, status == http.StatusTooEarly:
		return TooLate
	case isUnavailable(status):
		return Unavailable
	case status >= 500 && status != http.StatusNotImplemented:
		return Broken
	default:
		return Rejected
	}
}

// isUnavailable: 520 to 524 and 530 are those of Cloudflare for an origin that was not reached or did
// not answer in time; 525 and 526 are about its certificate.
// https://developers.cloudflare.com/support/troubleshooting/http-status-codes/cloudflare-5xx-errors/
func isUnavailable(status int) bool {
	switch status {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout, 520, 521, 522, 523, 524, 530:
		return true
	}
	return false
}

func classifyError(err error) Failure {
	var (
		dns   *net.DNSError
		op    *net.OpError
		proxy *ProxyError
	)
	switch {
	case errors.Is(err, ErrTooLarge):
		return Unusable
	case errors.As(err, &proxy) && proxy.Status/100 == 4:
		return Untrusted
	case proxy != nil:
		return NeverSent
	case untrusted(err):
		return Untrusted
	case errors.As(err, &dns) && dns.IsNotFound:
		return UnknownHost
	case errors.As(err, &op) && (op.Op == "dial" || op.Op == "proxyconnect"):
		return NeverSent
	default:
		return Lost
	}
}

// classify returns the verdict on the attempt that just ended.
func (c *call) classify(resp *http.Response, err error) Failure {
	if err == nil {
		return Classify(c.outcome.Status, c.outcome.Header, nil)
	}
	if resp != nil && !c.handled { // net/http returns a redirect that the caller forbade with the error
		return Unusable
	}
	failure := Classify(0, nil, err)
	switch {
	case failure == Unusable:
		return Unusable
	case c.handled: // the connection had been there
		failure = Lost
	default:
		evidence := c.noEffect(err)
		switch {
		case evidence == None && !c.request.Idempotent:
			// What the error says is no evidence: a RoundTripper that makes attempts of its own may
			// return that of the last one.
			failure = Lost
		case evidence != None && !failure.NeverSent(): // else failure also has the cause
			failure = evidence
		}
	}
	if failure == Lost && c.Err() != nil {
		return Ended
	}
	return failure
}

// untrusted reports failures to connect that the next attempt meets again: a certificate that is not
// trusted, another protocol on the port.
func untrusted(err error) bool {
	var (
		verification *tls.CertificateVerificationError
		authority    x509.UnknownAuthorityError
		hostname     x509.HostnameError
		invalid      x509.CertificateInvalidError
		record       tls.RecordHeaderError
	)
	return errors.As(err, &verification) || errors.As(err, &authority) || errors.As(err, &hostname) ||
		errors.As(err, &invalid) || errors.As(err, &record) && !damaged(record) || errors.Is(err, http.ErrSchemeMismatch) ||
		strings.Contains(err.Error(), "unsupported protocol scheme")
}

// damaged reports whether a record looks as if TLS is spoken there: its kind or its version is one that there is. Something in it was
// changed on its way, and the next connection may be better. No other protocol begins so.
func damaged(record tls.RecordHeaderError) bool {
	const changeCipherSpec, applicationData, major = 20, 23, 3 // RFC 8446, 5.1
	kind := record.RecordHeader[0]
	return changeCipherSpec <= kind && kind <= applicationData || record.RecordHeader[1] == major
}

// IsJSON reports whether the header announces a JSON body.
func IsJSON(h http.Header) bool {
	kind := strings.ToLower(h.Get("Content-Type"))
	return strings.Contains(kind, "application/json") || strings.Contains(kind, "+json")
}
