package hang

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
	"github.com/agentuity/coder-go/internal/faultproxy"
)

// SessionID is the session of every Stage, the first of its Hub, in the arguments of calls.
const SessionID = "codesess_000000000001"

// Address is the URL of the Hub of every Stage, for the variable AGENTUITY_CATALYST_URL: clients that discover need it.
const Address = "http://hub.invalid"

// Network is what the client and the proxy before the Hub talk over.
type Network struct {
	Listener net.Listener
	Dial     func(ctx context.Context, network, address string) (net.Conn, error)
}

// Stage is a client, a network that fails, and a Hub.
type Stage struct {
	Client *coder.Client
	Conn   *coder.HubConn // if there is one

	proxy   *faultproxy.Proxy
	way     Way
	hub     *codertest.Hub
	doors   *doors
	secured *http.Server // the Hub over TLS
	serving sync.WaitGroup
	failed  atomic.Bool // the network and the Hub go the way
	met     atomic.Bool // and somebody has met that
	open    atomic.Int32
}

// Open tells how many connections the client has not closed.
func (s *Stage) Open() int { return int(s.open.Load()) }

// NewStage returns a Stage on which everything works, until Fail. With connected it has a live connection.
func NewStage(ctx context.Context, network Network, way Way, connected bool) (*Stage, error) {
	s := &Stage{way: way, doors: &doors{Listener: network.Listener}}
	s.hub = codertest.NewHub(codertest.WithInMemoryNetwork(), codertest.WithoutAgent(), codertest.WithMiddleware(s.around))
	s.furnish()
	dial := s.hub.HTTPClient().Transport.(*http.Transport).DialContext
	config := faultproxy.Config{Dial: func(ctx context.Context) (net.Conn, error) { return dial(ctx, "", "") }}
	transport := coder.NewTransport()
	transport.Proxy = nil
	if way.HTTP2 {
		if err := s.encrypt(&config, transport); err != nil {
			return nil, err
		}
	}
	s.proxy = faultproxy.Serve(s.doors, config)
	transport.DialContext = func(ctx context.Context, net, address string) (net.Conn, error) {
		if s.way.noDial && s.failed.Load() {
			s.met.Store(true)
			<-ctx.Done()
			return nil, ctx.Err()
		}
		conn, err := network.Dial(ctx, net, address)
		if err != nil {
			return nil, err
		}
		s.open.Add(1)
		return &counted{Conn: conn, closed: sync.OnceFunc(func() { s.open.Add(-1) })}, nil
	}
	options := []coder.Option{coder.WithAPIKey("key"), coder.WithHTTPClient(&http.Client{Transport: transport})}
	if address := Address; !way.Discovers {
		if way.encrypted || way.HTTP2 {
			address = strings.Replace(address, "http:", "https:", 1)
		}
		options = append(options, coder.WithURL(address))
	}
	var err error
	switch s.Client, err = coder.NewClient(options...); {
	case err != nil:
	case connected:
		err = s.connect(ctx)
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// Met tells whether a call has met what Fail has begun.
func (s *Stage) Met() bool { return s.met.Load() || len(s.proxy.Counts()) > 0 }

// furnish gives every list more elements than one, and the session its past.
func (s *Stage) furnish() {
	for i := range 3 {
		text := fmt.Sprint(i)
		s.hub.AddSession(codertest.Session{
			Task:    "Sort list " + text,
			Entries: []codertest.ReplayEntry{{Type: coder.EntryMessage, Content: "One"}, {Type: coder.EntryMessage, Content: "Two"}},
			Events:  []codertest.Event{{Event: coder.EventTurnStart}, {Event: coder.EventTurnEnd}},
		})
		s.hub.AddUser(codertest.User{UserID: text, DisplayName: text})
	}
}

// connect opens the live connection, and returns when neither side has anything more to say.
func (s *Stage) connect(ctx context.Context) (err error) {
	if s.Conn, err = s.Client.Connect(ctx, SessionID, &coder.HubConnectOptions{Role: coder.RoleController}); err != nil {
		return err
	}
	if err := s.Conn.Send(ctx, &coder.PingMessage{}); err != nil {
		return err
	}
	for message, err := range s.Conn.Messages(ctx) {
		if err != nil {
			return err
		}
		if _, answered := message.(*coder.PongMessage); answered {
			return nil
		}
	}
	return errors.New("the connection is closed")
}

// Fail lets the network and the Hub go the way from now on.
func (s *Stage) Fail(ctx context.Context) error {
	s.failed.Store(true)
	s.proxy.Follow(s.way.plan)
	switch {
	case s.Conn == nil:
		return nil
	case !s.way.Keeps:
		s.doors.slam()
		return nil
	case !s.way.Reads: // the network reads once more than it passes on
		return s.Conn.Send(ctx, &coder.PingMessage{})
	}
	return nil
}

// Close ends everything.
func (s *Stage) Close() {
	if s.Conn != nil {
		s.Conn.Close()
	}
	if s.Client != nil {
		s.Client.CloseIdleConnections()
	}
	s.proxy.Close()
	if s.secured != nil {
		_ = s.secured.Close()
	}
	s.hub.Close()
	s.serving.Wait()
}

// around stands before the Hub.
func (s *Stage) around(hub http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.failed.Load() && s.way.answer != nil {
			if !s.way.HTTP2 || r.ProtoMajor == 2 || r.Header.Get("Upgrade") != "" {
				s.met.Store(true)
			}
			s.way.answer(hub, w, r)
			return
		}
		hub.ServeHTTP(w, r)
	})
}

// counted is a connection of the client.
type counted struct {
	net.Conn
	closed func()
}

func (c *counted) Close() error {
	defer c.closed()
	return c.Conn.Close()
}

// doors remembers the connections that it accepts.
type doors struct {
	net.Listener
	mu   sync.Mutex
	open []net.Conn
}

func (d *doors) Accept() (net.Conn, error) {
	conn, err := d.Listener.Accept()
	if err == nil {
		d.mu.Lock()
		d.open = append(d.open, conn)
		d.mu.Unlock()
	}
	return conn, err
}

// slam closes all connections.
func (d *doors) slam() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, conn := range d.open {
		conn.Close()
	}
}
