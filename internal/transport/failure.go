package transport

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"strings"
)

// failure is why an attempt did not succeed, in the terms of the retry table.
type failure int

const (
	none        failure = iota
	neverSent           // no connection was had
	unknownHost         // neverSent, because the host name does not exist
	insecure            // neverSent, for a reason that stays: certificate, wrong protocol on the port
	lost                // the connection failed, or fell silent, after the request may have gone out
	unusable            // a 2xx body beyond the limit, a redirect the caller forbade
	limited             // 429, or 409 with a rate-limit header
	refusing            // 503 that is the Hub's own refusal
	unavailable         // any other 503, 502, 504
	broken              // any other 5xx but 501
	rejected            // everything else
	ended               // the context ended before anything else was known
)

// doubtful: a later attempt may meet the effect of this one.
func (f failure) doubtful() bool { return f == refusing || f == unavailable || f == lost }

// unknown: a call that may not be repeated ends with its outcome unknown.
func (f failure) unknown() bool {
	switch f {
	case lost, unusable, unavailable, broken, ended:
		return true
	}
	return false
}

// classify names the failure of the attempt that just ended.
func (c *call) classify(resp *http.Response, err error) failure {
	if err != nil {
		return c.classifyError(resp, err)
	}
	switch status := c.outcome.Status; {
	case status/100 == 2:
		return none
	case status == http.StatusTooManyRequests,
		status == http.StatusConflict && hasRateLimit(c.outcome.Header):
		return limited
	case status == http.StatusServiceUnavailable:
		if c.outcome.Header.Get("Retry-After") != "" || IsJSON(c.outcome.Header) {
			return refusing
		}
		return unavailable
	case status == http.StatusBadGateway, status == http.StatusGatewayTimeout:
		return unavailable
	case status >= 500 && status != http.StatusNotImplemented:
		return broken
	default:
		return rejected
	}
}

func (c *call) classifyError(resp *http.Response, err error) failure {
	if c.handled {
		if errors.Is(err, ErrTooLarge) {
			return unusable
		}
		if c.Err() != nil {
			return ended
		}
		return lost
	}
	if resp != nil {
		return unusable
	}
	if !c.neverSent(err) {
		if c.Err() != nil {
			return ended
		}
		return lost
	}
	switch dns := (*net.DNSError)(nil); {
	case Permanent(err):
		return insecure
	case errors.As(err, &dns) && dns.IsNotFound:
		return unknownHost
	default:
		return neverSent
	}
}

// neverSent asks for evidence that nothing went out. For calls that may be repeated some errors
// are evidence enough.
func (c *call) neverSent(err error) bool {
	if c.traced && c.conns.sent() == SentNo {
		return true
	}
	if !c.request.Repeatable {
		return false
	}
	var op *net.OpError
	return errors.As(err, &op) && (op.Op == "dial" || op.Op == "proxyconnect") || Permanent(err)
}

// Permanent tells failures to connect that the next attempt meets again: a certificate that is not
// trusted, another protocol on the port.
func Permanent(err error) bool {
	var (
		verification *tls.CertificateVerificationError
		authority    x509.UnknownAuthorityError
		hostname     x509.HostnameError
		invalid      x509.CertificateInvalidError
		record       tls.RecordHeaderError
	)
	return errors.As(err, &verification) || errors.As(err, &authority) || errors.As(err, &hostname) ||
		errors.As(err, &invalid) || errors.As(err, &record) || errors.Is(err, http.ErrSchemeMismatch) ||
		strings.Contains(err.Error(), "unsupported protocol scheme")
}

// IsJSON tells whether the headers announce a JSON body.
func IsJSON(h http.Header) bool {
	kind := strings.ToLower(h.Get("Content-Type"))
	return strings.Contains(kind, "application/json") || strings.Contains(kind, "+json")
}
