package coder_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
)

// longAnswer returns the frames of an answer of 12 kB in 300 pieces, and the text. As the recorded agents do, one that
// repeats itself sends all of the text so far twice with each piece; in RPC mode the newer one does not.
func longAnswer(repeats bool) (frames [][]byte, text string) {
	event := func(e string) {
		frames = append(frames, []byte(`{"type":"broadcast","event":"rpc_event","category":"rpc","sessionId":"codesess_1",`+
			`"timestamp":1768473737514,"data":{"event":`+e+`}}`))
	}
	message := func(role, text string) string {
		quoted, _ := json.Marshal(text)
		return fmt.Sprintf(`{"role":%q,"content":[{"type":"text","text":%s}],"stopReason":"stop","timestamp":1768473737514,`+
			`"api":"openai-completions","provider":"stub","model":"stub-1","usage":{"input":11,"output":3000,"totalTokens":3011,"cost":{"total":0}}}`, role, quoted)
	}
	event(`{"type":"agent_start"}`)
	event(`{"type":"turn_start"}`)
	event(`{"type":"message_start","message":` + message("user", "Be long") + `}`)
	event(`{"type":"message_end","message":` + message("user", "Be long") + `}`)
	event(`{"type":"message_start","message":` + message("assistant", "") + `}`)
	const piece = "Some \"words\" of the answer, a few more.\n"
	for range 300 {
		text += piece
		delta, _ := json.Marshal(piece)
		update := `{"type":"message_update",`
		if repeats {
			update += `"message":` + message("assistant", text) + `,`
		}
		update += `"assistantMessageEvent":{"type":"text_delta","contentIndex":0,"delta":` + string(delta)
		if repeats {
			update += `,"partial":` + message("assistant", text)
		}
		event(update + `}}`)
	}
	event(`{"type":"message_end","message":` + message("assistant", text) + `}`)
	event(`{"type":"turn_end","message":` + message("assistant", text) + `,"toolResults":[]}`)
	event(`{"type":"agent_end","messages":[` + message("user", "Be long") + `,` + message("assistant", text) + `]}`)
	return frames, text
}

// BenchmarkAsk reads an answer of 12 kB, as each version sends it: with Ask, with Ask that feeds a Conversation, and with what
// one would write by hand: a bare socket, and encoding/json.
//
//	go test -run ^$ -bench Ask -benchtime 100x .
func BenchmarkAsk(b *testing.B) {
	for _, version := range []struct {
		name    string
		repeats bool
	}{{"repeats", true}, {"pieces", false}} {
		frames, text := longAnswer(version.repeats)
		bytes := 0
		for _, f := range frames {
			bytes += len(f)
		}
		report := func(b *testing.B) {
			kilobytes := float64(len(text)) / 1000 * float64(b.N)
			b.ReportMetric(float64(bytes)/float64(len(text)), "B/char")
			b.ReportMetric(float64(b.Elapsed().Microseconds())/kilobytes, "µs/kB")
			b.ReportMetric(0, "ns/op")
		}
		hub := newLiveHub(b, func(p *peer) {
			if !p.admit() {
				return
			}
			p.listenTo(func(frame map[string]any) {
				if frame["type"] != "rpc_command" {
					return
				}
				for _, f := range frames {
					_ = p.Write(b.Context(), websocket.MessageText, f)
				}
			})
		})
		hub.rest = emptyHistory
		for _, conversation := range []bool{false, true} {
			b.Run(fmt.Sprintf("%s/conversation=%t", version.name, conversation), func(b *testing.B) {
				conn, err := hub.client().Connect(b.Context(), "codesess_1", &coder.HubConnectOptions{Role: coder.RoleController})
				require.NoError(b, err)
				defer conn.Close()
				b.ReportAllocs()
				for b.Loop() {
					read := 0
					options := &coder.AskOptions{OnText: func(delta string) { read += len(delta) }}
					if conversation {
						var c coder.Conversation
						options.OnMessage = func(m coder.ServerMessage) { c.Apply(m) }
					}
					answer, err := conn.Ask(b.Context(), "Be long", options)
					if err != nil || len(answer.Text) != len(text) || read != len(text) {
						b.Fatal(err, read)
					}
				}
				report(b)
			})
		}
		b.Run(version.name+"/handwritten", func(b *testing.B) {
			ws, _, err := websocket.Dial(b.Context(), "http://hub.invalid"+prefix+"/api/ws?role=controller",
				&websocket.DialOptions{HTTPClient: &http.Client{Transport: &http.Transport{DialContext: hub.dial}}})
			require.NoError(b, err)
			defer func() { _ = ws.CloseNow() }()
			ws.SetReadLimit(-1)
			require.NoError(b, ws.Write(b.Context(), websocket.MessageText, []byte(`{"authorization":"`+testKey+`","org_id":"org_2f9c1d"}`)))
			_, _, err = ws.Read(b.Context()) // init
			require.NoError(b, err)
			require.NoError(b, ws.Write(b.Context(), websocket.MessageText, []byte(`{"type":"bootstrap_ready"}`)))
			b.ReportAllocs()
			for b.Loop() {
				require.NoError(b, ws.Write(b.Context(), websocket.MessageText, []byte(`{"type":"rpc_command","command":{"type":"prompt","message":"Be long"}}`)))
				var whole strings.Builder
				for over := false; !over; {
					_, data, err := ws.Read(b.Context())
					require.NoError(b, err)
					var m struct {
						Data struct {
							Event struct {
								Type   string
								Update struct{ Type, Delta string } `json:"assistantMessageEvent"`
							}
						}
					}
					require.NoError(b, json.Unmarshal(data, &m))
					switch m.Data.Event.Type {
					case "message_update":
						whole.WriteString(m.Data.Event.Update.Delta)
					case "agent_end":
						over = true
					}
				}
				require.Equal(b, len(text), whole.Len())
			}
			report(b)
		})
	}
}
