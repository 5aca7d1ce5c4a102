//go:build parity

package parity

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
)

// patience is how long a test waits for something that must come.
const patience = 5 * time.Second

// notice is something that a client of a live channel has noticed.
type notice struct {
	Kind  string `json:"kind"` // init, message, lost, closed, end, error, answer or failure
	Value any    `json:"value"`
	Valid *bool  `json:"valid"` // by the original's schemas, if it has looked
}

// follower is a client of a live channel.
type follower interface {
	next(patience time.Duration) (notice, bool)
	send(message object)
	request(message object, patience time.Duration)
	close()
}

// channelOptions are those of both clients. The JSON is that of the original.
type channelOptions struct {
	URL              string   `json:"url"`
	APIKey           string   `json:"apiKey,omitzero"`
	OrgID            string   `json:"orgId,omitzero"`
	SessionID        string   `json:"sessionId,omitzero"`
	Role             string   `json:"role,omitzero"`
	Agent            string   `json:"agent,omitzero"`
	ParentSessionID  string   `json:"parentSessionId,omitzero"`
	Task             string   `json:"task,omitzero"`
	Label            string   `json:"label,omitzero"`
	Subscribe        []string `json:"subscribe,omitzero"`
	Origin           string   `json:"origin,omitzero"`
	DriverMode       string   `json:"driverMode,omitzero"`
	DriverInstanceID string   `json:"driverInstanceId,omitzero"`
	DriverVersion    string   `json:"driverVersion,omitzero"`

	Reconnect            *bool `json:"reconnect,omitzero"`     // of streams of events
	AutoReconnect        *bool `json:"autoReconnect,omitzero"` // of sockets
	MaxReconnectAttempts int   `json:"maxReconnectAttempts,omitzero"`
	ReconnectDelayMs     int   `json:"reconnectDelayMs"`
	HeartbeatIntervalMs  int   `json:"heartbeatIntervalMs,omitzero"`
	HeartbeatTimeoutMs   int   `json:"heartbeatTimeoutMs,omitzero"`
}

func (o channelOptions) client(t *testing.T) *coder.Client {
	t.Helper()
	client, err := coder.NewClient(coder.WithURL(o.URL), coder.WithAPIKey(o.APIKey), coder.WithOrgID(o.OrgID),
		coder.WithHTTPClient(httpClient), coder.WithRetryPolicy(coder.RetryPolicy{MaxAttempts: 1}))
	require.NoError(t, err)
	return client
}

func ms(n int) time.Duration { return time.Duration(n) * time.Millisecond }

// originalFollower is one of the original's, in its process.
type originalFollower struct {
	t    *testing.T
	name string
}

// streamOrder is what node/streams.mjs is told to do.
type streamOrder struct {
	Op       string          `json:"op"`
	Name     string          `json:"name"`
	Kind     string          `json:"kind,omitzero"`
	Options  *channelOptions `json:"options,omitzero"`
	Message  object          `json:"message,omitzero"`
	Patience int64           `json:"patience,omitzero"`
}

func (f *originalFollower) order(o streamOrder) json.RawMessage {
	f.t.Helper()
	o.Name = f.name
	answer, err := followers.do(o)
	require.NoError(f.t, err)
	return answer
}

func openOriginal(t *testing.T, kind string, o channelOptions) *originalFollower {
	f := &originalFollower{t, kind + " of " + t.Name() + strconv.FormatInt(time.Now().UnixNano(), 36)}
	f.order(streamOrder{Op: "open", Kind: kind, Options: &o})
	return f
}

var statusInText = regexp.MustCompile(`failed: (\d{3})`)

func (f *originalFollower) next(wait time.Duration) (notice, bool) {
	f.t.Helper()
	var n *notice
	require.NoError(f.t, json.Unmarshal(f.order(streamOrder{Op: "next", Patience: wait.Milliseconds()}), &n))
	if n == nil {
		return notice{}, false
	}
	value, _ := n.Value.(object)
	switch n.Kind {
	case "error", "failure":
		if status := statusInText.FindStringSubmatch(value["message"].(string)); status != nil {
			value["status"], _ = strconv.ParseFloat(status[1], 64)
		}
		delete(value, "name")
		delete(value, "message")
	case "close":
		n.Kind = "lost"
		if code := coder.CloseCode(value["closeCode"].(float64)); code.Terminal() {
			n.Kind = "closed"
		}
	}
	return *n, true
}

func (f *originalFollower) send(message object) { f.order(streamOrder{Op: "send", Message: message}) }

func (f *originalFollower) request(message object, wait time.Duration) {
	f.order(streamOrder{Op: "request", Message: message, Patience: wait.Milliseconds()})
}

func (f *originalFollower) close() { f.order(streamOrder{Op: "close"}) }

// goFollower is one of this module's.
type goFollower struct {
	ctx     context.Context
	cancel  context.CancelFunc
	ended   chan struct{}
	notices chan notice
	conn    chan *coder.HubConn // has it once it stands
}

func newGoFollower(t *testing.T, follow func(*goFollower)) *goFollower {
	f := &goFollower{ended: make(chan struct{}), notices: make(chan notice, 1<<14), conn: make(chan *coder.HubConn, 1)}
	f.ctx, f.cancel = context.WithCancel(t.Context())
	go func() {
		defer close(f.ended)
		follow(f)
	}()
	return f
}

func (f *goFollower) note(kind string, value any) { f.notices <- notice{Kind: kind, Value: value} }

// openEvents ranges over the events of a session.
func openEvents(t *testing.T, o channelOptions) *goFollower {
	client := o.client(t)
	return newGoFollower(t, func(f *goFollower) {
		options := &coder.StreamEventsOptions{
			Subscribe: o.Subscribe, MaxReconnectAttempts: o.MaxReconnectAttempts, ReconnectDelay: ms(o.ReconnectDelayMs),
		}
		if o.Reconnect != nil && !*o.Reconnect {
			options.MaxReconnectAttempts = -1
		}
		for event, err := range client.StreamEvents(f.ctx, o.SessionID, options) {
			if err != nil {
				f.note("error", eventsFailure(err, o.SessionID))
				return
			}
			switch m := event.Data.(type) {
			case *coder.ReconnectedMessage:
				f.note("lost", nil)
			case *coder.UnknownMessage:
				f.note("unknown", string(m.Raw))
			default:
				f.note("message", object{"event": event.Event, "data": heard(m)})
			}
		}
		f.note("end", nil)
	})
}

// eventsFailure is an error of a stream of events in the original's words.
func eventsFailure(err error, session string) object {
	out := object{"code": err.Error()}
	if strings.Contains(err.Error(), "/hub/session/"+url.PathEscape(session)+"/events") {
		out["sessionId"] = session
	}
	var api *coder.APIError
	switch refused := errors.As(err, &api); {
	case errors.Is(err, coder.ErrReconnectsExceeded):
		out["code"] = "max_reconnects_exceeded"
	case refused && (api.StatusCode == http.StatusUnauthorized || api.StatusCode == http.StatusForbidden):
		out["code"], out["status"] = "auth_failed", float64(api.StatusCode)
	case refused:
		out["code"], out["status"] = "connection_failed", float64(api.StatusCode)
	case errors.Is(err, io.ErrUnexpectedEOF):
		out["code"] = "unexpected end"
	}
	return out
}

// openSocket connects, and ranges over the messages.
func openSocket(t *testing.T, o channelOptions) *goFollower {
	client := o.client(t)
	return newGoFollower(t, func(f *goFollower) {
		options := coder.HubConnectOptions{
			Role: coder.HubRole(o.Role), Agent: o.Agent, ParentSessionID: o.ParentSessionID,
			Task: o.Task, Label: o.Label, Subscribe: o.Subscribe, Origin: o.Origin, DriverMode: o.DriverMode,
			DriverInstanceID: o.DriverInstanceID, DriverVersion: o.DriverVersion, MaxReconnectAttempts: o.MaxReconnectAttempts,
			ReconnectDelay: ms(o.ReconnectDelayMs), HeartbeatInterval: ms(o.HeartbeatIntervalMs), HeartbeatTimeout: ms(o.HeartbeatTimeoutMs),
		}
		if o.AutoReconnect != nil && !*o.AutoReconnect {
			options.MaxReconnectAttempts = -1
		}
		connect := func() (*coder.HubConn, error) { return client.Connect(f.ctx, o.SessionID, &options) }
		if o.SessionID == "" {
			connect = func() (*coder.HubConn, error) { return client.ConnectNew(f.ctx, &options) }
		}
		conn, err := connect()
		if err != nil {
			f.note("error", socketFailure(err))
			return
		}
		defer func() { _ = conn.Close() }()
		f.conn <- conn
		f.admitted(conn)
		for m, err := range conn.Messages(f.ctx) {
			var failed *coder.HubConnError
			switch {
			case f.ctx.Err() != nil:
				return
			case errors.As(err, &failed) && failed.Code == coder.ConnLost && failed.CloseCode.Terminal():
				f.note("closed", object{"closeCode": float64(failed.CloseCode), "closeReason": failed.CloseReason})
			case err != nil:
				f.note("error", socketFailure(err))
			default:
				if _, ok := m.(*coder.ReconnectedMessage); ok {
					f.note("lost", nil)
					f.admitted(conn)
					continue
				}
				f.note("message", heard(m))
			}
		}
	})
}

func (f *goFollower) admitted(conn *coder.HubConn) {
	if init := conn.Init(); init != nil {
		f.note("init", heard(init))
	}
}

// socketFailure is an error of a connection as the original describes it.
func socketFailure(err error) object {
	var e *coder.HubConnError
	if !errors.As(err, &e) {
		return object{"code": err.Error()}
	}
	out := object{"code": string(cmp.Or(e.Code, "no code"))}
	for name, value := range map[string]string{
		"sessionId": e.SessionID, "serverCode": e.ServerCode, "serverMessage": e.ServerMessage,
		"serverMessageType": e.ServerMessageType, "closeReason": e.CloseReason,
	} {
		if value != "" {
			out[name] = value
		}
	}
	if e.CloseCode != 0 {
		out["closeCode"] = float64(e.CloseCode)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		out["code"] = "response_timeout"
	}
	return out
}

func (f *goFollower) next(wait time.Duration) (notice, bool) {
	select {
	case n := <-f.notices:
		return n, true
	case <-time.After(wait):
		return notice{}, false
	}
}

func (f *goFollower) connected() *coder.HubConn {
	conn := <-f.conn
	f.conn <- conn
	return conn
}

func (f *goFollower) send(message object) {
	if err := f.connected().Send(f.ctx, clientMessage(message)); err != nil {
		f.note("failure", socketFailure(err))
	}
}

func (f *goFollower) request(message object, wait time.Duration) {
	go func() {
		ctx, cancel := context.WithTimeout(f.ctx, wait)
		defer cancel()
		answer, err := f.connected().SendAndWait(ctx, clientMessage(message).(coder.HubRequest))
		if err != nil {
			f.note("failure", socketFailure(err))
			return
		}
		f.note("answer", heard(answer))
	}()
}

func (f *goFollower) close() {
	select {
	case conn := <-f.conn:
		_ = conn.Close()
	default:
	}
	f.cancel()
	<-f.ended
}
