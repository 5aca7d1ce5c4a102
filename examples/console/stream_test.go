package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

// isWhole expects that a page shows what the console knows, and that this is what the Hub knows.
func isWhole(t *testing.T, p *tab, session *codertest.SessionControl, when string) {
	t.Helper()
	isCurrent(t, p, when)
	assert.Equal(t, booked(session), p.sees().texts(), when)
}

// isCurrent expects that a page shows what the console knows.
func isCurrent(t *testing.T, p *tab, when string) {
	t.Helper()
	seen := p.sees()
	w, leave := p.site.console.watches.use(p.session)
	defer leave()
	w.mu.Lock()
	known, err := json.Marshal(&w.conversation)
	w.mu.Unlock()
	require.NoError(t, err)
	shows, err := json.Marshal(seen.Conversation)
	require.NoError(t, err)
	assert.JSONEq(t, string(known), string(shows), when)
}

func TestStream_ShowsAnAnswerWhileItIsWritten(t *testing.T) {
	visit(t, func(t *testing.T, s *site) {
		session := s.begins()
		p := s.opens(session)
		seen := p.waits(time.Second)
		assert.Equal(t, linkLive, seen.Link.State)
		assert.Equal(t, coder.ConversationIdle, seen.Conversation.State)
		assert.Equal(t, []string{"user: Be there"}, seen.texts())

		session.Answer(codertest.AgentTurn{
			Thinking: "Let me see", Text: "one two three four five six seven eight nine ten eleven twelve thirteen fourteen",
			Tools: []codertest.AgentTool{{Name: "bash", Args: map[string]any{"command": "ls"}, Result: "a\nb"}},
		}, codertest.AgentTurn{Text: "That was it."})
		s.says(session, "prompt", "Count")
		lengths := make(map[int]bool)
		for range 100 {
			seen = p.waits(100 * time.Millisecond)
			if n := len(seen.Conversation.Messages); n == 3 {
				lengths[len(seen.Conversation.Messages[2].Text)] = true
			}
		}
		assert.Greater(t, len(lengths), 2, "the text should grow")
		assert.Equal(t, coder.ConversationIdle, seen.Conversation.State)
		answer := seen.Conversation.Messages[2]
		assert.Equal(t, "Let me see", answer.Thinking)
		require.Len(t, answer.ToolCalls, 1)
		assert.Equal(t, "a\nb", answer.ToolCalls[0].Result)
		isWhole(t, p, session, "at the end")
		assert.Equal(t, 2, p.sees().snapshots, "one at the beginning, and one when the console has attached")
		p.closes()
	}, codertest.WithAgentPace(200*time.Millisecond))
}

// TestStream_Property lets browsers come, go and fall behind, and connections and Hubs fail, in any order. In the end each page
// shows what was said, whole and once.
func TestStream_Property(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			visit(t, func(t *testing.T, s *site) {
				random := rand.New(rand.NewPCG(seed, 1))
				session := s.begins()
				pages := []*tab{s.opens(session), s.opens(session), s.opens(session)}
				open := []bool{true, true, true}
				time.Sleep(time.Second)
				for n := range 40 {
					for i, p := range pages {
						if open[i] {
							isCurrent(t, p, fmt.Sprintf("page %d, step %d", i, n))
						}
					}
					switch i := random.IntN(len(pages)); random.IntN(8) {
					case 0, 1:
						if open[i] {
							pages[i].closes()
						} else {
							pages[i].connects()
						}
						open[i] = !open[i]
					case 2: // a new page
						pages[i].closes()
						pages[i], open[i] = s.opens(session), true
					case 3:
						session.CutStreams()
					case 4:
						s.hub.Restart(time.Duration(random.IntN(3000))*time.Millisecond, codertest.Outage{
							Kind: []codertest.OutageKind{codertest.OutageRefused, codertest.OutageBadGateway}[random.IntN(2)], Crash: random.IntN(2) == 0,
						})
					default:
						session.Answer(codertest.AgentTurn{
							Text: fmt.Sprintf("answer %d: one two three four five six seven eight nine ten", n), Thinking: "well",
							Tools: []codertest.AgentTool{{Name: "read", Args: map[string]any{"path": "x"}, Result: "y"}},
						})
						// It may fail, as the Hub does. Whatever was taken is in its books.
						_, _ = s.tries(session, "say", "how", []string{"steer", "prompt"}[random.IntN(2)], "text", fmt.Sprintf("prompt %d", n), "key", newKey())
					}
					time.Sleep(time.Duration(random.IntN(1500)) * time.Millisecond)
				}
				time.Sleep(3 * time.Minute)
				for i, p := range pages {
					if !open[i] {
						p.connects()
					}
				}
				time.Sleep(time.Second)
				for i, p := range pages {
					isWhole(t, p, session, fmt.Sprintf("page %d", i))
					p.closes()
				}
				assert.NotEmpty(t, booked(session))
			}, codertest.WithAgentPace(100*time.Millisecond))
		})
	}
}

// TestStream_HubRestarts restarts the Hub at each piece of an answer.
func TestStream_HubRestarts(t *testing.T) {
	for after := 100 * time.Millisecond; after < 4*time.Second; after += 300 * time.Millisecond {
		t.Run(after.String(), func(t *testing.T) {
			visit(t, func(t *testing.T, s *site) {
				session := s.begins()
				p := s.opens(session)
				time.Sleep(time.Second)
				session.Answer(codertest.AgentTurn{Text: strings.Repeat("one two three ", 30)}, codertest.AgentTurn{Text: "That was it."})
				s.says(session, "prompt", "Count")
				time.Sleep(after)
				s.hub.Restart(2*time.Second, codertest.Outage{})
				assert.Equal(t, linkReconnecting, p.sees().Link.State)
				assert.Equal(t, linkLive, p.waits(20*time.Second).Link.State)
				p.waits(time.Minute)
				isWhole(t, p, session, "after the restart")
				p.closes()
			}, codertest.WithAgentPace(100*time.Millisecond))
		})
	}
}

// TestStream_LastEventID goes on where a browser was, and begins with a snapshot where that is not known.
func TestStream_LastEventID(t *testing.T) {
	visit(t, func(t *testing.T, s *site) {
		session := s.begins()
		p, other := s.opens(session), s.opens(session)
		p.waits(time.Second)
		s.says(session, "prompt", "Say hello")
		p.waits(500 * time.Millisecond)
		p.closes()
		p.waits(500 * time.Millisecond)
		snapshots := p.sees().snapshots
		p.connects()
		p.waits(time.Minute)
		assert.Equal(t, snapshots, p.sees().snapshots, "what it has missed is enough")
		isWhole(t, p, session, "after a short absence")

		p.closes()
		p.connects()
		p.waits(time.Second)
		isWhole(t, p, session, "after missing nothing")
		assert.Equal(t, snapshots, p.sees().snapshots)

		p.closes()
		w, leave := s.console.watches.use(session.ID())
		for range keptEvents + 1 {
			w.mu.Lock()
			w.publish("notice", notice{})
			w.mu.Unlock()
		}
		leave()
		p.connects()
		p.waits(time.Second)
		assert.Equal(t, snapshots+1, p.sees().snapshots, "it has missed more than is kept")
		isWhole(t, p, session, "after a long absence")

		p.closes()
		status, body := s.listens("/events?session=" + session.ID() + "&seen=" + p.seen)
		assert.Equal(t, http.StatusOK, status)
		assert.NotContains(t, body, "event: snapshot", "a page that was hidden says in the address what it has seen")
		_, body = s.listens("/events?session=" + session.ID())
		assert.Contains(t, body, "event: snapshot")

		for _, unknown := range []string{"nonsense", "AAAAAAAA-3", w.epoch + "-99999999", w.epoch + "--1"} {
			p.closes()
			p.seen = unknown
			before := p.sees().snapshots
			p.connects()
			p.waits(time.Second)
			assert.Equal(t, before+1, p.sees().snapshots, unknown)
			isWhole(t, p, session, unknown)
		}
		p.closes()
		other.closes()
	}, codertest.WithAgentPace(100*time.Millisecond))
}

// listens reads a stream of events until it has come to its first sign of life.
func (s *site) listens(path string) (status int, text string) {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, "http://localhost"+path, nil)
	require.NoError(s.t, err)
	answer, err := s.browser.Do(r)
	require.NoError(s.t, err)
	defer answer.Body.Close()
	buffer := make([]byte, 4096)
	for !strings.Contains(text, ": still there\n\n") {
		n, err := answer.Body.Read(buffer)
		require.NoError(s.t, err)
		text += string(buffer[:n])
	}
	return answer.StatusCode, text
}

// deaf is a browser that takes nothing.
type deaf struct {
	header http.Header
	wrote  chan struct{}
	ctx    context.Context
}

func (d *deaf) Header() http.Header { return d.header }
func (d *deaf) WriteHeader(int)     {}
func (d *deaf) Flush()              {}
func (d *deaf) Write([]byte) (int, error) {
	select {
	case d.wrote <- struct{}{}:
	default:
	}
	<-d.ctx.Done()
	return 0, d.ctx.Err()
}

// TestStream_SlowBrowser has a browser that takes nothing. Nobody waits for it.
func TestStream_SlowBrowser(t *testing.T) {
	visit(t, func(t *testing.T, s *site) {
		session := s.begins()
		ctx, cancel := context.WithCancel(t.Context())
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "/events?session="+session.ID(), nil)
		require.NoError(t, err)
		slow := &deaf{make(http.Header), make(chan struct{}, 1), ctx}
		gone := make(chan struct{})
		go func() {
			defer close(gone)
			s.console.events(slow, r)
		}()
		<-slow.wrote
		p := s.opens(session)
		time.Sleep(time.Second)
		s.says(session, "prompt", "Say hello")
		p.waits(time.Minute)
		isWhole(t, p, session, "beside a browser that takes nothing")
		p.closes()
		cancel()
		<-gone
	}, codertest.WithAgentPace(100*time.Millisecond))
}

// TestStream_LongEvents keeps no more than it should.
func TestStream_LongEvents(t *testing.T) {
	w := newWatch(nil, "codesess_1")
	w.mu.Lock()
	for range 100 {
		w.publish("notice", strings.Repeat("x", keptSize/10))
		size := 0
		for _, e := range w.kept {
			size += len(e.data)
		}
		require.Equal(t, size, w.size)
		require.LessOrEqual(t, size, keptSize+keptSize/5)
	}
	w.mu.Unlock()
	events, next, _ := w.read(w.epoch, w.first)
	assert.Equal(t, int64(100), next)
	for i, e := range events {
		assert.Equal(t, w.first+int64(i), e.number)
		assert.Equal(t, "notice", e.name)
	}
}

// TestStream_HostileText cannot end an event before its end.
func TestStream_HostileText(t *testing.T) {
	visit(t, func(t *testing.T, s *site) {
		session := s.begins()
		hostile := "a\n\nevent: snapshot\ndata: {}\n\n\r\r\u2028</script><img src=x onerror=alert(1)>"
		session.Answer(codertest.AgentTurn{Text: hostile})
		p := s.opens(session)
		time.Sleep(time.Second)
		s.says(session, "prompt", "Say it")
		seen := p.waits(time.Minute)
		assert.Equal(t, hostile, seen.Conversation.Messages[2].Text)
		p.closes()
	})
}

func TestStream_SignsOfLife(t *testing.T) {
	visit(t, func(t *testing.T, s *site) {
		_, text := s.listens("/events")
		assert.True(t, strings.HasPrefix(text, "retry: 1000\n\n"), text)
		assert.Contains(t, text, "event: sessions\ndata: {\"buckets\":[]}\n\n")
	})
}

// TestStream_Many refuses streams that are too many, until others have ended.
func TestStream_Many(t *testing.T) {
	visit(t, func(t *testing.T, s *site) {
		session := s.begins()
		pages := make([]*tab, maxStreams)
		for i := range pages {
			pages[i] = s.opens(session)
		}
		status, body, _ := s.ask("GET", "/events?session="+session.ID(), nil)
		assert.Equal(t, http.StatusServiceUnavailable, status)
		assert.Contains(t, body, "too many pages")
		pages[0].closes()
		pages[0].sees()
		pages[0].connects()
		for _, p := range pages {
			p.closes()
		}
	})
}

// TestStream_Head answers with the header only, and ends.
func TestStream_Head(t *testing.T) {
	visit(t, func(t *testing.T, s *site) {
		session := s.begins()
		status, _, _ := s.ask("HEAD", "/events?session="+session.ID(), nil)
		assert.Equal(t, http.StatusOK, status)
		synctest.Wait()
		assert.Empty(t, s.console.watches.all)
		assert.False(t, s.console.board.isRead())
	})
}

// TestStream_Memory has a long conversation as JSON once, however many browsers are sent it.
func TestStream_Memory(t *testing.T) {
	w := newWatch(nil, "codesess_1")
	w.apply(&coder.HubHydrationMessage{Entries: []coder.ConversationEntry{{Type: coder.EntryMessage, Content: strings.Repeat("x", 5<<20)}}})
	first, _, _ := w.read("", 0)
	second, _, _ := w.read("", 0)
	require.Len(t, second, 1)
	assert.Same(t, &first[0].data[0], &second[0].data[0])

	browser := &long{httptest.NewRecorder(), nil}
	s := &stream{w: browser, control: http.NewResponseController(browser)}
	s.add("snapshot", "", first[0].data)
	require.NoError(t, s.flush())
	assert.Same(t, &first[0].data[0], &browser.longest[0], "it should be sent as it is")
	assert.Equal(t, "event: snapshot\ndata: "+string(first[0].data)+"\n\n", browser.Body.String())

	w.set(link{State: linkLive})
	third, _, _ := w.read("", 0)
	assert.Contains(t, string(third[0].data), `"link":{"state":"live"}`, "what has changed since is in it")
	w.apply(&coder.HubHydrationMessage{})
	fourth, _, _ := w.read("", 0)
	assert.NotContains(t, string(fourth[0].data), "xxx")
}

// long is a browser that remembers the longest text that was written at once.
type long struct {
	*httptest.ResponseRecorder
	longest []byte
}

func (l *long) Write(p []byte) (int, error) {
	if len(p) > len(l.longest) {
		l.longest = p
	}
	return l.ResponseRecorder.Write(p)
}
