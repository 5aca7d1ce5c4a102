package drift

import (
	"bytes"
	"io"
	"mime"
	"net/http"

	"github.com/agentuity/coder-go/internal/split"
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
			resp.Body = &tappedSocket{socket, frames(t.recorder.Add)}
		}
	case kind == "text/event-stream":
		resp.Body = &tappedBody{ReadCloser: resp.Body, to: blocks(t.recorder.Add)}
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
func blocks(add func(...Report)) listener {
	return &live{&split.Blocks{Most: mostHeld, Block: func(block []byte, omitted int64) {
		if omitted > 0 {
			return
		}
		reader := sse.NewReader(bytes.NewReader(block), 0)
		for event, err := reader.Next(); err == nil; event, err = reader.Next() {
			add(Event(event.Name, event.Data)...)
		}
	}}}
}

// frames are the bytes that a WebSocket server sends.
func frames(add func(...Report)) listener {
	return &live{&split.Frames{Most: mostHeld, Message: func(message []byte, binary bool, omitted int64) {
		if !binary && omitted == 0 {
			add(Frame(message)...)
		}
	}}}
}

// live is a stream that is looked at while it goes by. What has not come whole at its end is passed over.
type live struct{ in interface{ Take([]byte) } }

func (l *live) heard(text []byte) { l.in.Take(text) }

func (*live) ended() {}
