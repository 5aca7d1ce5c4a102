package drift

import (
	"bytes"
	"encoding/binary"
	"io"
	"mime"
	"net/http"
	"slices"

	"github.com/agentuity/coder-go/internal/sse"
)

// mostHeld is the size of the largest answer, event and message that is looked at.
const mostHeld = 64 << 20

// tap is the RoundTripper of a Recorder.
type tap struct {
	recorder *Recorder
	inner    http.RoundTripper
}

// RoundTrip asks for no compressed frames: they could not be read here.
func (t *tap) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Header.Get("Sec-Websocket-Extensions") != "" {
		req = req.Clone(req.Context())
		req.Header.Del("Sec-Websocket-Extensions")
	}
	resp, err := t.inner.RoundTrip(req)
	if err != nil || resp.Body == nil {
		return resp, err
	}
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	socket, isSocket := resp.Body.(io.ReadWriteCloser)
	switch {
	case resp.StatusCode == http.StatusSwitchingProtocols:
		if isSocket {
			resp.Body = &tappedSocket{socket, &frames{add: t.recorder.Add}}
		}
	case kind == "text/event-stream":
		resp.Body = &tappedBody{ReadCloser: resp.Body, to: &blocks{add: t.recorder.Add}}
	default:
		resp.Body = &tappedBody{ReadCloser: resp.Body, to: &answer{add: func(body []byte) {
			t.recorder.Add(Answer(req.Method, req.URL.EscapedPath(), resp.StatusCode, body)...)
		}}}
	}
	return resp, nil
}

// CloseIdleConnections is what [http.Client.CloseIdleConnections] calls.
func (t *tap) CloseIdleConnections() {
	if inner, ok := t.inner.(interface{ CloseIdleConnections() }); ok {
		inner.CloseIdleConnections()
	}
}

// listener is told what is read. It must not keep the text.
type listener interface {
	heard(text []byte)
	ended() // nothing follows: the whole was read
}

type tappedBody struct {
	io.ReadCloser
	to listener
}

func (b *tappedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.to.heard(p[:n])
	if err == io.EOF {
		b.to.ended()
	}
	return n, err
}

type tappedSocket struct {
	io.ReadWriteCloser
	to listener
}

func (s *tappedSocket) Read(p []byte) (int, error) {
	n, err := s.ReadWriteCloser.Read(p)
	s.to.heard(p[:n])
	return n, err
}

// answer is a body that is looked at when it was read whole.
type answer struct {
	text []byte
	add  func(body []byte)
	done bool
}

func (a *answer) heard(text []byte) {
	if len(a.text) <= mostHeld {
		a.text = append(a.text, text...)
	}
}

func (a *answer) ended() {
	if !a.done && len(a.text) <= mostHeld {
		a.add(a.text)
	}
	a.text, a.done = nil, true
}

// blocks are an event stream, looked at block by block.
type blocks struct {
	text []byte // from the beginning of a block
	add  func(...Report)
	lost bool // a block was too large
}

func (b *blocks) heard(text []byte) {
	if b.lost {
		return
	}
	from := max(0, len(b.text)-len("\r\n\r")) // there was no empty line before
	if b.text = append(b.text, text...); len(b.text) > mostHeld {
		b.text, b.lost = nil, true
		return
	}
	end := 0
	for _, empty := range []string{"\n\n", "\r\r", "\r\n\r\n"} {
		if i := bytes.LastIndex(b.text[from:], []byte(empty)); i >= 0 {
			end = max(end, from+i+len(empty))
		}
	}
	if end == 0 {
		return
	}
	reader := sse.NewReader(bytes.NewReader(b.text[:end]), 0)
	for event, err := reader.Next(); err == nil; event, err = reader.Next() {
		b.add(Event(event.Name, event.Data)...)
	}
	b.text = slices.Delete(b.text, 0, end)
}

func (b *blocks) ended() {}

// frames are the bytes that a WebSocket server sends.
type frames struct {
	text    []byte
	message []byte // the text message under way
	add     func(...Report)
	lost    bool // a frame was too large
}

func (f *frames) heard(text []byte) {
	if f.lost {
		return
	}
	f.text = append(f.text, text...)
	for f.next() {
	}
}

func (f *frames) ended() {}

const (
	finalFrame   = 0x80
	opcode       = 0x0f
	continuation = 0x0
	textFrame    = 0x1
	length7      = 0x7f
)

// next takes a frame off the text. It returns false if there is no whole one.
func (f *frames) next() bool {
	header := 2
	if len(f.text) < header {
		return false
	}
	size := uint64(f.text[1] & length7)
	switch {
	case size == 126 && len(f.text) >= 4:
		header, size = 4, uint64(binary.BigEndian.Uint16(f.text[2:]))
	case size == 127 && len(f.text) >= 10:
		header, size = 10, binary.BigEndian.Uint64(f.text[2:])
	case size >= 126:
		return false
	}
	if size > mostHeld || len(f.message) > mostHeld {
		f.text, f.message, f.lost = nil, nil, true
		return false
	}
	end := header + int(size)
	if len(f.text) < end {
		return false
	}
	first, payload := f.text[0], f.text[header:end]
	if kind := first & opcode; kind == textFrame || kind == continuation {
		if f.message = append(f.message, payload...); first&finalFrame != 0 {
			f.add(Frame(f.message)...)
			f.message = nil
		}
	}
	f.text = f.text[end:]
	return true
}
