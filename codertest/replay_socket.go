package codertest

import (
	"cmp"
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/coder/websocket"

	"github.com/agentuity/coder-go/internal/cassette"
)

// closeNotRecorded closes a WebSocket over which something was sent that the recording has not.
const closeNotRecorded = 4501

// replayedSocket is a WebSocket that is played.
type replayedSocket struct {
	*replayed
	conn *websocket.Conn
	// gone ends when the client has closed the WebSocket, or lost it, or has sent what was not recorded.
	gone context.Context
	// pongs says that pings are answered.
	pongs bool
}

func (p *replayed) playSocket() {
	p.hub.conns.Add(1) // a connection that is hijacked is not counted any more
	defer p.hub.conns.Done()
	p.at = p.Lines[0].Offset
	conn, err := websocket.Accept(p.w, p.r, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		return
	}
	conn.SetReadLimit(maxFrame)
	gone, leave := context.WithCancel(context.Background())
	s := &replayedSocket{replayed: p, conn: conn, gone: gone, pongs: p.answersPings()}
	read := make(chan struct{})
	go func() {
		defer close(read)
		defer leave()
		s.read()
	}()
	s.write()
	_ = conn.CloseNow()
	<-read
}

// answersPings reports whether the recorded Hub did so, or was not asked to.
func (p *played) answersPings() bool {
	pings := false
	for _, line := range p.Lines {
		switch typeOf(&line) {
		case ping:
			pings = true
		case pong:
			return true
		}
	}
	return !pings
}

const pong = "pong"

func typeOf(line *cassette.Line) string {
	if line.Kind != cassette.Sent && line.Kind != cassette.Received {
		return ""
	}
	var m struct {
		Type string `json:"type"`
	}
	_ = json.Unmarshal(line.JSON, &m) // what is no JSON has no type
	return m.Type
}

// read takes what the client sends, until it leaves.
func (s *replayedSocket) read() {
	redaction := &cassette.Redaction{OmitTexts: s.hub.tape.omitTexts}
	for {
		_, data, err := s.conn.Read(context.Background())
		if err != nil {
			return
		}
		m := messageOf(data, redaction)
		switch {
		case m.name == ping:
			if s.pongs && s.pong(data) != nil {
				return
			}
		case !m.counts():
		case !s.hub.tape.takeMessage(s.played, m):
			const most = 123 // bytes of a close reason
			reason := "codertest.Replay: not recorded: " + m.name
			closed := make(chan struct{})
			go func() {
				defer close(closed)
				_ = s.conn.Close(closeNotRecorded, reason[:min(most, len(reason))])
			}()
			for err == nil { // the answer to the close frame has to be read
				_, _, err = s.conn.Read(context.Background())
			}
			<-closed
			return
		}
	}
}

func (s *replayedSocket) pong(data []byte) error {
	var asked struct {
		Timestamp json.RawMessage `json:"timestamp"`
	}
	_ = json.Unmarshal(data, &asked) // without a timestamp there is none to repeat
	answer, _ := json.Marshal(struct {
		Type   string          `json:"type"`
		Now    int64           `json:"timestamp"`
		Echoed json.RawMessage `json:"echoedTimestamp,omitempty"`
	}{pong, time.Now().UnixMilli(), asked.Timestamp})
	return s.conn.Write(context.Background(), websocket.MessageText, answer)
}

// write plays what the Hub has sent, each after what the program had sent before.
func (s *replayedSocket) write() {
	sent := s.messages
	left := false // the program had closed the WebSocket in the recording
	for i := range s.Lines[1:] {
		line := &s.Lines[i+1]
		switch {
		case line.Kind == cassette.Sent:
			if len(sent) == 0 || sent[0].line != i+1 { // it does not count
				continue
			}
			select {
			case <-sent[0].came:
			case <-s.gone.Done():
				return
			case <-s.hub.done:
				return
			}
			sent, s.at = sent[1:], line.Offset
			continue
		case line.Kind == cassette.Received && typeOf(line) == pong:
			continue
		case line.Kind == cassette.Close && line.By == cassette.ByProgram:
			left = true
			continue
		case left:
			continue // whatever has crossed it
		}
		pause := line.Offset - s.at
		s.at = line.Offset
		if !s.hub.rest(s.gone, pause) {
			return
		}
		switch line.Kind {
		case cassette.Received:
			kind, data := websocket.MessageText, s.hub.tape.asNow(line.Bytes())
			if line.Base64 != nil {
				kind = websocket.MessageBinary
			}
			if s.conn.Write(context.Background(), kind, data) != nil {
				return
			}
		case cassette.Close:
			_ = s.conn.Close(websocket.StatusCode(cmp.Or(line.Code, int(websocket.StatusNoStatusRcvd))), fitting(line.Reason))
			return
		case cassette.End:
			if line.How != cassette.Left {
				return // cut
			}
		}
	}
	select { // the recording has ended before, or the program has
	case <-s.gone.Done():
	case <-s.hub.done:
	}
}

// longestReason is how many bytes of a reason a close frame holds.
const longestReason = 123

// fitting is as much of a reason as a close frame holds.
func fitting(reason string) string {
	if len(reason) > longestReason {
		reason = strings.ToValidUTF8(reason[:longestReason], "")
	}
	return reason
}
