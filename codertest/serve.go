package codertest

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"io"
	"maps"
	"net/http"
	"strconv"
	"strings"

	"github.com/agentuity/coder-go/codertest/internal/outbox"
	"github.com/agentuity/coder-go/codertest/internal/world"
)

// maxRequestBody is the longest request body the Hub reads, in bytes.
const maxRequestBody = 64 << 20

// exchange is one request and what becomes of it.
type exchange struct {
	hub      *Hub
	life     context.Context // ends when the Hub goes down
	w        http.ResponseWriter
	r        *http.Request
	target   target
	body     []byte
	oversize bool
	out      *outbox.Outbox // of a stream of events that has begun, or nil
	logged   *Request
}

// answer is an HTTP answer that has not been written yet.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (h *Hub) serve(w http.ResponseWriter, r *http.Request) {
	life, down := h.restarts.enter()
	if down != nil {
		down.answer(w)
		return
	}
	x := &exchange{hub: h, life: life, w: w, r: r, target: h.locate(r.Method, r.URL.EscapedPath())}
	r.Pattern = x.target.pattern()
	if x.target.channel() == nil {
		x.whileUp(func() { x.receive(); x.answer() })
		return
	}
	x.whileUp(x.receive)
	x.answer()
}

// answer answers a request, as a Fault says if there is one for it.
func (x *exchange) answer() {
	fault, failing := x.hub.faults.take(x.r.Method, x.target)
	switch {
	case failing:
		x.fail(fault)
	case x.target.channel() != nil:
		x.open(Fault{})
	default:
		x.send(x.handle())
	}
}

// receive reads the request to its end, so that a Fault acts at a known point, and
// adds it to the log.
func (x *exchange) receive() {
	body, err := io.ReadAll(http.MaxBytesReader(x.w, x.r.Body, maxRequestBody))
	var tooLong *http.MaxBytesError
	x.oversize = errors.As(err, &tooLong)
	x.body = body
	x.logged = x.hub.log.add(x.r, x.target, body)
	if err != nil && !x.oversize {
		panic(http.ErrAbortHandler)
	}
}

// handle lets the request have its effect.
func (x *exchange) handle() answer {
	if refused := x.refuse(); refused != nil {
		return problemAnswer(refused)
	}
	r := x.target.route
	if r.answer != nil {
		return r.answer(x)
	}
	body, err := x.hub.world.Serve(&r.Route, &world.Call{ID: x.target.id(), Query: x.r.URL.Query(), Body: x.body})
	x.survive(err)
	if err != nil {
		return problemAnswer(err)
	}
	return answer{status: r.Status, body: body}
}

// discover answers with the URL of the Hub.
func (x *exchange) discover() answer {
	body := struct {
		URL string `json:"url"`
	}{x.hub.URL()}
	return answer{status: http.StatusOK, body: world.Encode(body)}
}

// problemAnswer is the answer that tells of an error.
func problemAnswer(err error) answer {
	var p *world.Problem
	if !errors.As(err, &p) {
		p = &world.Problem{Status: http.StatusInternalServerError, Message: err.Error()}
	}
	body := struct {
		Success bool   `json:"success"`
		Code    string `json:"code,omitzero"`
		Message string `json:"message"`
	}{Code: p.Code, Message: p.Message}
	return answer{status: p.Status, header: p.Header, body: world.Encode(body)}
}

// refuse returns why the request may have no effect, or nil.
func (x *exchange) refuse() *world.Problem {
	switch {
	case !x.admitted():
		return &world.Problem{Status: http.StatusUnauthorized, Message: "The API key is missing or invalid"}
	case x.oversize:
		return &world.Problem{Status: http.StatusRequestEntityTooLarge, Message: "The request body is too long"}
	case x.target.route == nil:
		return x.target.problem()
	}
	return nil
}

// send writes a whole answer.
func (x *exchange) send(a answer) {
	x.sendHeader(a)
	_, _ = x.w.Write(a.body)
}

// sendHeader writes the header of the whole answer, even if only a part of the
// answer follows.
func (x *exchange) sendHeader(a answer) {
	x.survive(nil)
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

// admitted reports whether the request has the Hub's key in one of the places where
// its route looks for one.
func (x *exchange) admitted() bool {
	if x.hub.admits(x.r.Header) {
		return true
	}
	channel := x.target.channel()
	return channel != nil && channel.admits(x)
}

// admits reports whether the header has the Hub's key, in one of its two forms.
func (h *Hub) admits(header http.Header) bool {
	key := h.key()
	if key == "" {
		return true
	}
	scheme, token, _ := strings.Cut(header.Get("Authorization"), " ")
	bearer := strings.EqualFold(scheme, "Bearer") && sameSecret(token, key)
	return bearer || sameSecret(header.Get("x-agentuity-auth-api-key"), key)
}

// sameSecret compares in a time that does not depend on where the two differ.
func sameSecret(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}
