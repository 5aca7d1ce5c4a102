package drift

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

// TestRecorder: what comes through a client is looked at on every channel, and reaches the program as it was.
func TestRecorder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := codertest.NewHub(codertest.WithInMemoryNetwork(), codertest.WithoutAgent())
		defer hub.Close()
		var recorder Recorder
		client, err := hub.NewClient(coder.WithHTTPClient(&http.Client{Transport: recorder.Transport(hub.HTTPClient().Transport)}))
		require.NoError(t, err)
		defer client.CloseIdleConnections()

		session, err := client.CreateSession(t.Context(), coder.CreateSessionRequest{Task: "x"})
		require.NoError(t, err)
		control := hub.Session(session.SessionID)
		conn, err := client.Connect(t.Context(), session.SessionID, &coder.HubConnectOptions{Role: coder.RoleController})
		require.NoError(t, err)
		defer conn.Close()
		heard := func(what func(coder.ServerMessage) bool) {
			for message, err := range conn.Messages(t.Context()) {
				require.NoError(t, err)
				if what(message) {
					return
				}
			}
		}
		heard(func(m coder.ServerMessage) bool { _, ok := m.(*coder.HubHydrationMessage); return ok }) // all is heard from now on
		for event, err := range client.StreamEvents(t.Context(), session.SessionID, nil) {
			require.NoError(t, err)
			if _, ok := event.Data.(*coder.SSEHydrationMessage); ok {
				require.Empty(t, recorder.Findings(), "nothing odd so far")
				control.Broadcast(codertest.Event{Event: "weather"})
			}
			if m, ok := event.Data.(*coder.BroadcastEventMessage); ok && m.Event == "weather" {
				break
			}
		}
		heard(func(m coder.ServerMessage) bool {
			broadcast, ok := m.(*coder.BroadcastEventMessage)
			return ok && broadcast.Event == "weather"
		})
		control.Set("temperature", 21)
		for range 2 {
			_, err = client.GetSession(t.Context(), session.SessionID)
			require.NoError(t, err)
		}
		assert.Equal(t, []Finding{
			{Report{"GET /hub/session/{sessionID}", "temperature", UnknownMember, ""}, 2},
			{Report{EventStream, "event", UnknownMessage, `"weather"`}, 1},
			{Report{WebSocket, "event", UnknownMessage, `"weather"`}, 1},
		}, recorder.Findings())
	})
}

func TestRecorder_Bounded(t *testing.T) {
	var r Recorder
	for i := range mostFindings + 10 {
		r.Add(Report{Path: fmt.Sprint(i)})
	}
	r.Add(Report{Path: "0"})
	found := r.Findings()
	assert.Len(t, found, mostFindings)
	assert.Equal(t, 2, found[0].Count, "one that is known is counted")
}

// TestTaps: it does not matter how a stream is cut into pieces.
func TestTaps(t *testing.T) {
	const finalFrame, textFrame, binaryFrame, continuation = 0x80, 1, 2, 0
	unknown := func(name string) string { return `{"type":"` + name + `"}` }
	frame := func(first byte, payload string) []byte {
		switch n := len(payload); {
		case n < 126:
			return append([]byte{first, byte(n)}, payload...)
		case n < 1<<16:
			return append(binary.BigEndian.AppendUint16([]byte{first, 126}, uint16(n)), payload...)
		default:
			return append(binary.BigEndian.AppendUint64([]byte{first, 127}, uint64(n)), payload...)
		}
	}
	whole := unknown("cut")
	socket := bytes.Join([][]byte{
		frame(finalFrame|textFrame, unknown("one")),
		frame(textFrame, whole[:5]), frame(finalFrame|9, "a ping"), frame(continuation, whole[5:7]),
		frame(finalFrame|continuation, whole[7:]),
		frame(finalFrame|binaryFrame, "binary"),
		frame(binaryFrame, "binary"), frame(finalFrame|continuation, unknown("of no text")),
		frame(finalFrame|textFrame, unknown("medium")+strings.Repeat(" ", 200)),
		frame(finalFrame|textFrame, unknown("large")+strings.Repeat(" ", 1<<16)),
		frame(finalFrame|8, "\x03\xe8the end"),
	}, nil)
	stream := []byte("event: one\ndata: {}\n\nevent: cut\r\ndata: {}\r\n\r\n: comment\n\nevent: medium\rdata: {}\r\r" +
		"event: mixed\r\ndata: {}\n\r\n" +
		"event: large\ndata: {}" + strings.Repeat(" ", 1<<16) + "\n\nevent: unfinished\ndata: {}\n")
	for _, size := range []int{1, 2, 7, 4096, 1 << 20} {
		for name, test := range map[string]struct {
			text []byte
			tap  func(add func(...Report)) listener
		}{
			WebSocket:   {socket, frames},
			EventStream: {stream, blocks},
		} {
			var found []string
			to := test.tap(func(reports ...Report) {
				for _, r := range reports {
					found = append(found, r.Value)
				}
			})
			for from := 0; from < len(test.text); from += size {
				to.heard(test.text[from:min(from+size, len(test.text))])
			}
			want := []string{`"one"`, `"cut"`, `"medium"`, `"mixed"`, `"large"`}
			if name == WebSocket {
				want = slices.Delete(want, 3, 4)
			}
			assert.Equal(t, want, found, "%s in pieces of %d", name, size)
		}
	}
}
