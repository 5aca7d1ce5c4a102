package promises

import (
	"bytes"
	"io"
	"mime"
	"net/http"
	"sync"
)

// Wire is a transport that notes what the client does not show: it passes everything on as it is.
type Wire struct {
	// Base makes the requests.
	Base http.RoundTripper

	mu       sync.Mutex
	opened   int // WebSockets
	answers  int
	undated  int
	blocks   int // of streams of events
	numbered int // of those, with an id
}

// RoundTrip makes a request.
func (w *Wire) RoundTrip(request *http.Request) (*http.Response, error) {
	answer, err := w.Base.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	switch answer.StatusCode {
	case http.StatusSwitchingProtocols:
		w.opened++
	default:
		w.answers++
		if answer.Header.Get("Date") == "" {
			w.undated++
		}
	}
	if kind, _, _ := mime.ParseMediaType(answer.Header.Get("Content-Type")); kind == "text/event-stream" {
		answer.Body = &streamBody{ReadCloser: answer.Body, wire: w}
	}
	return answer, nil
}

// sockets is how many WebSockets were opened. Without a Wire that is not known: -1.
func (w *Wire) sockets() int {
	if w == nil {
		return -1
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.opened
}

// CloseIdleConnections passes it on.
func (w *Wire) CloseIdleConnections() {
	if base, ok := w.Base.(interface{ CloseIdleConnections() }); ok {
		base.CloseIdleConnections()
	}
}

// streamBody looks at the beginnings of the lines that are read.
type streamBody struct {
	io.ReadCloser
	wire *Wire
	line []byte // its first bytes
}

func (b *streamBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.wire.mu.Lock()
	defer b.wire.mu.Unlock()
	for _, c := range p[:n] {
		switch {
		case c == '\n' || c == '\r':
			switch {
			case bytes.HasPrefix(b.line, []byte("data:")):
				b.wire.blocks++
			case bytes.HasPrefix(b.line, []byte("id:")):
				b.wire.numbered++
			}
			b.line = b.line[:0]
		case len(b.line) < len("data:"):
			b.line = append(b.line, c)
		}
	}
	return n, err
}
