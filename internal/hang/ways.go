package hang

import (
	"context"
	"io"
	"net/http"
	"path"
	"slices"
	"time"

	"github.com/coder/websocket"

	"github.com/agentuity/coder-go/internal/faultproxy"
)

// Way is a way in which the other side lets a call wait for ever.
type Way struct {
	// Name says what happens.
	Name string
	// Sent says that the Hub may have got what the client sends, as far as the client knows.
	Sent bool
	// Later says that some requests are answered: calls may work, and may have had an effect or not.
	Later bool
	// Answers says that the Hub does answer, and that the answer is no use.
	Answers bool
	// Discovers says that the client has to find the Hub first.
	Discovers bool
	// Sockets says that only sockets go this way.
	Sockets bool
	// Keeps says that an open socket is not lost, but goes this way itself.
	Keeps bool
	// All says that other connections go it as well.
	All bool
	// Refuses says that sockets are refused, with an answer that does not end.
	Refuses bool
	// Reads says that what the client sends over an open socket is read.
	Reads bool
	// HTTP2 says that the client speaks HTTP/2.
	HTTP2 bool
	// Buffers says that it needs a network that takes some of what nobody reads, as sockets do. net/http holds mutexes of an
	// HTTP/2 connection while it writes, and a bubble of testing/synctest does not see that a mutex is waited for.
	Buffers bool

	encrypted bool            // the client begins with a handshake of TLS
	noDial    bool            // no connection comes about
	plan      faultproxy.Plan // what the network does
	answer    answer          // what the Hub does
}

// answer answers in the place of the Hub, or lets it answer.
type answer func(hub http.Handler, w http.ResponseWriter, r *http.Request)

// forAll does it to every exchange.
func forAll(kind faultproxy.Kind, after int, wait time.Duration) faultproxy.Plan {
	return faultproxy.Always(faultproxy.Fault{Kind: kind, After: after, Wait: wait})
}

// fromSecond does it to every exchange of a connection but the first.
func fromSecond(kind faultproxy.Kind) faultproxy.Plan {
	return func(_, exchange int) faultproxy.Fault {
		if exchange < 2 {
			return faultproxy.Fault{}
		}
		return faultproxy.Fault{Kind: kind}
	}
}

// firstConnection does it to the first connection, which is the socket of a HubConn.
func firstConnection(fault faultproxy.Fault) faultproxy.Plan {
	return func(connection, _ int) faultproxy.Fault {
		if connection > 0 {
			return faultproxy.Fault{}
		}
		return fault
	}
}

// endless is a number of bytes that no answer has.
const endless = 1 << 40

// Ways are the ways to let calls of a Client wait. What drips does so at this pace.
func Ways(pace time.Duration) []Way {
	return []Way{
		{Name: "the dial never completes", noDial: true},
		{Name: "the TLS handshake is not answered", encrypted: true, plan: forAll(faultproxy.StallRequest, 0, 0)},
		{Name: "the request is not read", Sent: true, plan: forAll(faultproxy.StallRequest, 0, 0)},
		{Name: "no byte of an answer", Sent: true, plan: forAll(faultproxy.Stall, 0, 0)},
		{Name: "the answer stops in its header", Sent: true, plan: forAll(faultproxy.Stall, 40, 0)},
		{Name: "the answer stops before its body", Sent: true, Refuses: true, answer: stopAfter(func(int) int { return 0 })},
		{Name: "the answer stops in the middle of its body", Sent: true, Refuses: true, answer: stopAfter(func(n int) int { return n / 2 })},
		{Name: "the answer stops before its last byte", Sent: true, Refuses: true, answer: stopAfter(func(n int) int { return n - 1 })},
		{Name: "the answer drips", Sent: true, plan: forAll(faultproxy.Drip, endless, pace)},
		{Name: "the second exchange of a connection is not answered", Sent: true, Later: true, plan: fromSecond(faultproxy.Stall)},
		{Name: "the socket is silent from the beginning", Sent: true, Sockets: true, answer: silentSockets},
		{Name: "503 for ever", Sent: true, Answers: true, answer: always(http.StatusServiceUnavailable, "")},
		{Name: "429 with a Retry-After of 50 s for ever", Answers: true, answer: always(http.StatusTooManyRequests, "50")},
		{Name: "the discovery is not answered", Discovers: true, plan: forAll(faultproxy.Stall, 0, 0)},
		{Name: "the request after the discovery is not answered", Sent: true, Discovers: true, answer: afterDiscovery},
		{Name: "HTTP/2: nothing is read", Sent: true, HTTP2: true, Buffers: true, plan: forAll(faultproxy.StallRequest, 0, 0)},
		{Name: "HTTP/2: nothing comes", Sent: true, HTTP2: true, Buffers: true, plan: forAll(faultproxy.Stall, 0, 0)},
		{Name: "HTTP/2: the answer stops in its header", Sent: true, HTTP2: true, Buffers: true, plan: forAll(faultproxy.Stall, 5, 0)},
		{Name: "HTTP/2: the answer drips", Sent: true, HTTP2: true, Buffers: true, plan: forAll(faultproxy.Drip, endless, pace)},
		{Name: "HTTP/2: no byte of an answer", Sent: true, HTTP2: true, answer: noAnswer},
		{
			Name: "HTTP/2: the answer stops before its last byte", Sent: true, Refuses: true, HTTP2: true,
			answer: stopAfter(func(n int) int { return n - 1 }),
		},
	}
}

// ConnWays are the ways to let calls of a HubConn wait: its socket goes one itself, or it is lost, and the next connection
// goes one of Ways.
func ConnWays(pace time.Duration) []Way {
	stall, drip := faultproxy.Fault{Kind: faultproxy.Stall}, faultproxy.Fault{Kind: faultproxy.Drip, After: endless, Wait: pace}
	stop := faultproxy.Fault{Kind: faultproxy.StallRequest}
	ways := []Way{
		{Name: "the socket falls silent", Sent: true, Reads: true, plan: firstConnection(stall)},
		{Name: "the socket drips", Sent: true, Reads: true, plan: firstConnection(drip)},
		{Name: "the socket is not read", Sent: true, plan: firstConnection(stop)},
		{Name: "everything falls silent", Sent: true, All: true, Reads: true, plan: faultproxy.Always(stall)},
		{Name: "nothing is read", Sent: true, All: true, plan: faultproxy.Always(stop)},
	}
	for i := range ways {
		ways[i].Keeps = true
	}
	lost := slices.DeleteFunc(Ways(pace), func(w Way) bool { return w.Discovers || w.HTTP2 || w.encrypted })
	for i := range lost {
		lost[i].Name = "the socket is lost, then " + lost[i].Name
	}
	return append(ways, lost...)
}

// AfterTheFirst is a way that lets the first element of every iterator through and then lets it wait, if it reads on: streams
// stop, and a live connection is made again.
func AfterTheFirst() Way {
	stream := stopAfter(func(n int) int { return n })
	replay := stopAfter(func(n int) int { return n - 1 })
	return Way{
		Name: "after the first element nothing more comes",
		answer: func(hub http.Handler, w http.ResponseWriter, r *http.Request) {
			switch path.Base(r.URL.Path) {
			case "events":
				stream(hub, w, r)
			case "replay":
				replay(hub, w, r)
			default:
				hub.ServeHTTP(w, r)
			}
		},
	}
}

// always answers with a status.
func always(status int, retryAfter string) answer {
	return func(_ http.Handler, w http.ResponseWriter, _ *http.Request) {
		if retryAfter != "" {
			w.Header().Set("Retry-After", retryAfter)
		}
		w.WriteHeader(status)
	}
}

// afterDiscovery lets the Hub answer where it is, and nothing else.
func afterDiscovery(hub http.Handler, w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/coder" {
		hub.ServeHTTP(w, r)
		return
	}
	noAnswer(hub, w, r)
}

// noAnswer reads the request and does no more.
func noAnswer(_ http.Handler, _ http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body) // before that the server does not see the client leave
	<-r.Context().Done()
}

// silentSockets opens sockets, and says nothing.
func silentSockets(hub http.Handler, w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Upgrade") == "" {
		hub.ServeHTTP(w, r)
		return
	}
	if conn, err := websocket.Accept(w, r, nil); err == nil {
		defer func() { _ = conn.CloseNow() }()
		for err == nil {
			_, _, err = conn.Read(context.WithoutCancel(r.Context()))
		}
	}
}

// stopAfter lets the Hub answer, as far as share says of the first piece of the body, and no further. Every answer is a success, as
// what failed need not be read.
func stopAfter(share func(size int) int) answer {
	return func(hub http.Handler, w http.ResponseWriter, r *http.Request) {
		stops := &stopping{ResponseWriter: w, request: r, share: share}
		if r.Header.Get("Upgrade") != "" { // refused, with a body that does not end
			stops.WriteHeader(http.StatusOK)
			_, _ = stops.Write([]byte(`{"sessionId":"x"}`))
			return
		}
		hub.ServeHTTP(stops, r)
	}
}

// stopping is an answer that stops.
type stopping struct {
	http.ResponseWriter
	request *http.Request
	share   func(size int) int
}

func (s *stopping) WriteHeader(int) {
	s.Header().Del("Content-Length")
	s.ResponseWriter.WriteHeader(http.StatusOK)
}

func (s *stopping) Write(piece []byte) (int, error) {
	n, err := s.ResponseWriter.Write(piece[:s.share(len(piece))])
	if err == nil {
		err = http.NewResponseController(s.ResponseWriter).Flush()
	}
	if err == nil {
		<-s.request.Context().Done()
		err = io.ErrClosedPipe
	}
	return n, err
}

// Unwrap is for http.ResponseController.
func (s *stopping) Unwrap() http.ResponseWriter { return s.ResponseWriter }
