package codertest

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/agentuity/coder-go/codertest/internal/world"
	"github.com/agentuity/coder-go/internal/cassette"
)

func (h *ReplayHub) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequestBody))
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	what := newAsked(r, body, h.tape)
	x, why := h.tape.take(what, body)
	if x == nil {
		refuse(w, what.String()+": "+why)
		return
	}
	if why := x.incomplete(); why != "" {
		h.tape.noteMissing(what.String() + ": " + why)
		refuse(w, what.String()+": "+why)
		return
	}
	(&replayed{hub: h, played: x, w: w, r: r, at: x.Request.Offset}).play()
}

// refuse answers a request that the recording has no answer to.
func refuse(w http.ResponseWriter, why string) {
	body := world.Encode(struct {
		Success bool   `json:"success"`
		Code    string `json:"code"`
		Message string `json:"message"`
	}{Code: "NOT_RECORDED", Message: "codertest.Replay: " + why})
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusNotImplemented)
	_, _ = w.Write(body)
}

// incomplete says what the recording lacks of an answer that a program would take for whole.
func (p *played) incomplete() string {
	end, _ := p.Ended()
	for _, line := range p.Lines {
		partial := line.Omitted > 0 && !line.Broken
		if partial && (line.Kind == cassette.Received || line.Kind == cassette.Piece && (end.How == cassette.Whole || p.isLive())) {
			return fmt.Sprintf("the recording has all but %d bytes of its answer: record with a larger MaxBody", line.Omitted)
		}
	}
	return ""
}

// replayed is an exchange that is played.
type replayed struct {
	hub *ReplayHub
	*played
	w  http.ResponseWriter
	r  *http.Request
	at int64 // the offset of what was played last
}

// play answers. It leaves with a panic where the connection breaks.
func (p *replayed) play() {
	answer, answered := p.Answered()
	if answered && answer.Status == http.StatusSwitchingProtocols {
		p.playSocket()
		return
	}
	whole, live := false, p.isLive()
	if end, ended := p.Ended(); ended {
		whole = end.How == cassette.Whole
	}
	for _, line := range p.Lines {
		if !p.rest(&line) {
			panic(http.ErrAbortHandler)
		}
		switch line.Kind {
		case cassette.Answer:
			p.header(&line)
			p.flush(live || !whole)
		case cassette.Piece:
			if _, err := p.w.Write(p.body(&line)); err != nil {
				panic(http.ErrAbortHandler)
			}
			p.flush(live || !whole)
		case cassette.End:
			if line.How == cassette.Left {
				p.hang()
			}
			if line.How != cassette.Whole {
				panic(http.ErrAbortHandler)
			}
			return
		}
	}
	p.hang() // the recording has ended before
	panic(http.ErrAbortHandler)
}

// rest waits until a line is due.
func (p *replayed) rest(line *cassette.Line) bool {
	pause := line.Offset - p.at
	p.at = line.Offset
	return p.hub.rest(p.r.Context(), pause)
}

// hang waits until the client leaves.
func (p *replayed) hang() {
	select {
	case <-p.r.Context().Done():
	case <-p.hub.done:
	}
}

func (p *replayed) flush(needed bool) {
	if needed {
		_ = http.NewResponseController(p.w).Flush()
	}
}

// header writes the header of an answer, but for what is about the connection.
func (p *replayed) header(line *cassette.Line) {
	header := p.w.Header()
	for name, values := range line.Header {
		switch name {
		case "Connection", "Transfer-Encoding", "Upgrade":
			continue
		case "Content-Length":
			if p.r.Method != http.MethodHead { // what was taken out has changed it
				continue
			}
		}
		for _, value := range values {
			if name == "Location" {
				value = p.location(value)
			}
			if value != cassette.Mask {
				header.Add(name, value)
			}
		}
	}
	p.w.WriteHeader(line.Status)
}

// location is where a redirect leads. To the recorded Hub is to this one.
func (p *replayed) location(to string) string {
	u, err := url.Parse(to)
	from, errFrom := url.Parse(p.Request.URL)
	if err != nil || errFrom != nil || u.Host != from.Host {
		return to
	}
	u.Scheme, u.Host = "", ""
	return u.String()
}

// body is what a line has, with what is different now.
func (p *replayed) body(line *cassette.Line) []byte {
	data := p.hub.tape.asNow(line.Bytes())
	if p.path == discovery {
		if value, _ := anyJSON(data); value != nil {
			if object, ok := value.(map[string]any); ok {
				if text, ok := object["url"].(string); ok && strings.Contains(text, "://") {
					object["url"] = p.hub.URL()
					return []byte(comparableValue(object))
				}
			}
		}
	}
	return data
}
