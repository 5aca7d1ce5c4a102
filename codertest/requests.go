package codertest

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/agentuity/coder-go/internal/quote"
)

// Request is one request the Hub has received. The fields hold everything as it
// came, except for credentials: [WithAPIKey] checks whether these are right.
// String, Format and LogValue show method, path and status only.
type Request struct {
	// Time is when the Hub had read the request.
	Time time.Time
	// Method is the HTTP method.
	Method string
	// Path is the path as it was escaped on the wire, /api included.
	Path string
	// RawQuery is the query, without the question mark. The values of api_key, apiKey
	// and token are replaced by "[API key]", escaped.
	RawQuery string
	// Route is the pattern of the Hub's route, such as
	// /hub/session/{id}/archive, or empty if it has none for the request.
	Route string
	// Header holds the header fields. In Authorization, Proxy-Authorization and
	// X-Agentuity-Auth-Api-Key the credentials are replaced by "[API key]".
	Header http.Header
	// Body is the request body, or nil if there was none.
	Body []byte
	// RequestID is the header x-session-id of the response.
	RequestID string
	// Status is the status of the response, or 0 if there is none: the request
	// is still being served, or the response was cut before the first byte.
	Status int
}

// String returns the method, the path and the status. The query is left out:
// some clients put a key there.
func (r Request) String() string {
	status := "no answer"
	if r.Status != 0 {
		status = fmt.Sprint(r.Status)
	}
	return fmt.Sprintf("%s %s: %s", r.Method, r.Path, status)
}

// Format prints String for every verb, %+v and %#v included.
func (r Request) Format(state fmt.State, _ rune) { _, _ = io.WriteString(state, r.String()) }

// LogValue returns what String shows, as a group.
func (r Request) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("method", r.Method),
		slog.String("path", r.Path),
		slog.Int("status", r.Status),
		slog.String("requestId", r.RequestID),
	)
}

// Requests returns every request the Hub has received so far, in the order in
// which it had read them. The result is the caller's own.
func (h *Hub) Requests() []Request { return h.log.all() }

type requestLog struct {
	mu      sync.Mutex
	entries []*Request
	count   int  // of all requests
	most    *int // of entries; nil: all
}

func (l *requestLog) add(r *http.Request, t target, body []byte) *Request {
	entry := &Request{
		Method:   r.Method,
		Path:     r.URL.EscapedPath(),
		RawQuery: withoutKeys(r.URL.RawQuery),
		Header:   withoutCredentials(r.Header),
	}
	if len(body) > 0 {
		entry.Body = body
	}
	if t.route != nil {
		entry.Route = t.route.Pattern
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	entry.Time = time.Now()
	l.count++
	entry.RequestID = fmt.Sprintf("trace_%06d", l.count)
	l.entries = append(l.entries, entry)
	if l.most != nil && len(l.entries) > *l.most {
		l.entries = slices.Delete(l.entries, 0, len(l.entries)-*l.most)
	}
	return entry
}

// withoutCredentials returns a copy of a header that may be printed.
func withoutCredentials(header http.Header) http.Header {
	safe := header.Clone()
	for _, name := range []string{"Authorization", "Proxy-Authorization", "X-Agentuity-Auth-Api-Key"} {
		for i, value := range safe[name] {
			// A key may have blanks in it: only what is a scheme for certain stays.
			scheme, _, _ := strings.Cut(value, " ")
			switch strings.ToLower(scheme) {
			case "bearer", "basic":
				safe[name][i] = scheme + " " + quote.Mask
			default:
				safe[name][i] = quote.Mask
			}
		}
	}
	return safe
}

// withoutKeys returns a query that may be printed.
func withoutKeys(query string) string {
	parameters := strings.Split(query, "&")
	for i, parameter := range parameters {
		name, _, found := strings.Cut(parameter, "=")
		decoded, err := url.QueryUnescape(name)
		if found && (err != nil || slices.Contains(keyParameters, decoded)) {
			parameters[i] = name + "=" + url.QueryEscape(quote.Mask)
		}
	}
	return strings.Join(parameters, "&")
}

func (l *requestLog) answered(entry *Request, status int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	entry.Status = status
}

func (l *requestLog) all() []Request {
	l.mu.Lock()
	defer l.mu.Unlock()
	requests := make([]Request, len(l.entries))
	for i, entry := range l.entries {
		requests[i] = *entry
		requests[i].Header = entry.Header.Clone()
		requests[i].Body = slices.Clone(entry.Body)
	}
	return requests
}
