package codertest

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"io"
	"maps"
	"net/http"
	"strconv"
	"strings"

	"github.com/agentuity/coder-go/codertest/internal/outbox"
)

// maxRequestBody is the longest request body the Hub reads, in bytes.
const maxRequestBody = 64 << 20

// exchange is one request and what becomes of it.
type exchange struct {
	hub      *Hub
	w        http.ResponseWriter
	r        *http.Request
	target   target
	body     []byte
	oversize bool
	out      *outbox.Outbox // of a stream of events that somebody follows, or nil
	logged   *Request
}

// answer is a whole HTTP answer, not written yet.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (h *Hub) serve(w http.ResponseWriter, r *http.Request) {
	x := h.receive(w, r)
	if fault, ok := h.faults.take(r.Method, x.target); ok {
		x.fail(fault)
		return
	}
	if x.target.channel() != nil {
		x.open(Fault{})
		return
	}
	x.send(x.handle())
}

// receive reads the request to its end, so that a fault may cut it at a known
// point, and writes it into the log.
func (h *Hub) receive(w http.ResponseWriter, r *http.Request) *exchange {
	x := &exchange{hub: h, w: w, r: r, target: locate(r.Method, r.URL.EscapedPath())}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequestBody))
	var tooLong *http.MaxBytesError
	x.oversize = errors.As(err, &tooLong)
	x.body = body
	x.logged = h.log.add(r, x.target, body)
	if err != nil && !x.oversize {
		panic(http.ErrAbortHandler)
	}
	return x
}

// handle lets the request have its effect.
func (x *exchange) handle() answer {
	if refused := x.refuse(); refused != nil {
		return refused.answer()
	}
	c := &call{id: x.target.id(), query: x.r.URL.Query(), body: x.body}
	result, err := x.target.route.serve(x.hub, c)
	if err != nil {
		return asProblem(err).answer()
	}
	return answer{status: x.target.route.status, body: encode(result)}
}

func asProblem(err error) *problem {
	var p *problem
	if !errors.As(err, &p) {
		p = &problem{status: http.StatusInternalServerError, message: err.Error()}
	}
	return p
}

func (x *exchange) refuse() *problem {
	switch {
	case !x.admitted():
		return &problem{status: http.StatusUnauthorized, message: "The API key is missing or invalid"}
	case x.oversize:
		return &problem{status: http.StatusRequestEntityTooLarge, message: "The request body is too long"}
	case x.target.route == nil:
		return x.target.refusal()
	}
	return nil
}

// send writes a whole answer.
func (x *exchange) send(a answer) {
	x.sendHeader(a)
	_, _ = x.w.Write(a.body)
}

// sendHeader announces the whole of the answer, however much of it follows.
func (x *exchange) sendHeader(a answer) {
	header := x.w.Header()
	header.Set("x-session-id", x.logged.RequestID)
	if a.body != nil {
		header.Set("Content-Type", "application/json")
		header.Set("Content-Length", strconv.Itoa(len(a.body)))
	}
	maps.Copy(header, a.header)
	x.hub.log.answered(x.logged, a.status)
	x.w.WriteHeader(a.status)
}

// admitted reports whether the request carries the Hub's key where its route
// looks for one.
func (x *exchange) admitted() bool {
	if x.hub.admits(x.r.Header) {
		return true
	}
	channel := x.target.channel()
	return channel != nil && channel.admits(x)
}

// admits reports whether the headers carry the Hub's key, in either form.
func (h *Hub) admits(header http.Header) bool {
	if h.apiKey == "" {
		return true
	}
	scheme, token, _ := strings.Cut(header.Get("Authorization"), " ")
	bearer := strings.EqualFold(scheme, "Bearer") && sameSecret(token, h.apiKey)
	return bearer || sameSecret(header.Get("x-agentuity-auth-api-key"), h.apiKey)
}

// sameSecret takes the same time wherever the two differ, length included.
func sameSecret(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}
