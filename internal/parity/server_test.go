//go:build parity

package parity

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
)

// answer is what the recording server says. A missing status is 200, a missing content type JSON.
type answer struct {
	status      int
	contentType string
	header      map[string]string
	body        string
	chunked     bool // without a length
}

func ok(body string) answer { return answer{body: body} }

// recorded is a request as it arrived.
type recorded struct {
	method string
	target string // escaped path and query, byte by byte
	header http.Header
	body   []byte
}

// recorder answers every request from a script and remembers them. After its last answer the
// script goes on with that one.
type recorder struct {
	*httptest.Server
	mu     sync.Mutex
	script []answer
	seen   []recorded
}

func newRecorder() *recorder {
	r := new(recorder)
	r.Server = httptest.NewServer(http.HandlerFunc(r.serve))
	return r
}

// load begins a new recording.
func (r *recorder) load(script ...answer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.script, r.seen = script, nil
}

func (r *recorder) requests() []recorded {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.seen)
}

func (r *recorder) serve(w http.ResponseWriter, request *http.Request) {
	body, _ := io.ReadAll(request.Body)
	r.mu.Lock()
	a := answer{status: http.StatusInternalServerError}
	if len(r.script) > 0 {
		a = r.script[min(len(r.seen), len(r.script)-1)]
	}
	r.seen = append(r.seen, recorded{request.Method, request.RequestURI, request.Header.Clone(), body})
	r.mu.Unlock()

	if a.status == 0 {
		a.status = http.StatusOK
	}
	if a.contentType == "" {
		a.contentType = "application/json"
	}
	w.Header().Set("Content-Type", a.contentType)
	for name, value := range a.header {
		w.Header().Set(name, value)
	}
	w.WriteHeader(a.status)
	if a.chunked {
		_ = http.NewResponseController(w).Flush()
	}
	_, _ = io.WriteString(w, a.body)
}
