package codertest

import (
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/agentuity/coder-go/codertest/internal/world"
)

// Option configures a Hub that NewHub starts.
type Option func(*config)

type config struct {
	apiKey    string // empty: anybody may use the Hub
	inMemory  bool
	listener  net.Listener
	around    []func(http.Handler) http.Handler
	keepAlive time.Duration
	queue     int
	pace      time.Duration
	replay    int
	logLimit  *int     // nil: there is none
	speed     *float64 // of a ReplayHub; nil: as the clock says

	noAgent     bool
	version     string
	dialect     AgentDialect
	agentErrors []AgentError
}

// The defaults of WithKeepAlive and WithStreamQueue.
const (
	defaultKeepAlive = 15 * time.Second
	defaultQueue     = 4096
)

// WithAPIKey makes the Hub check credentials: a request must carry key as
// "Authorization: Bearer <key>" or in the header "x-agentuity-auth-api-key",
// else it is answered 401. The default, and an empty key, let everybody in.
func WithAPIKey(key string) Option {
	return func(c *config) { c.apiKey = key }
}

// WithInMemoryNetwork serves the Hub over net.Pipe instead of a loopback
// socket. Nothing leaves the process, and a test that runs inside a
// testing/synctest bubble keeps its fake time. Then only [Hub.HTTPClient] and
// the clients of [Hub.NewClient] reach the Hub, whatever host a URL names. The
// default is a loopback socket.
func WithInMemoryNetwork() Option {
	return func(c *config) { c.inMemory, c.listener = true, nil }
}

// WithListener serves the Hub on a listener of the program, such as one with a
// fixed address. The Hub owns the listener from then on: Close closes it.
// [Hub.URL] has the address of the listener, or the loopback address if it
// listens on all addresses. The default, and nil, is a free loopback port. If
// both WithListener and [WithInMemoryNetwork] are given, the later one counts.
func WithListener(listener net.Listener) Option {
	return func(c *config) { c.listener, c.inMemory = listener, false }
}

// WithMiddleware puts a handler around that of the Hub, for its own server and for
// [Hub.Handler]: to log requests, to add headers, or to answer in the Hub's place. If
// there are several, the first one sees a request first. The Hub sets the Pattern of
// the request that it gets, as an [http.ServeMux] does: "GET /api/hub/session/{id}".
// It is empty until the handler of the Hub has been called. The Hub needs a
// ResponseWriter that [http.ResponseController] can flush and hijack: if the
// middleware wraps it, the wrapper must have a method Unwrap. The default is none.
func WithMiddleware(around func(http.Handler) http.Handler) Option {
	return func(c *config) { c.around = append(c.around, around) }
}

// WithKeepAlive sets how long a stream of events may be silent before the Hub
// sends a comment to keep it alive. The default is 15 s; with 0 or less the
// Hub sends none.
func WithKeepAlive(silence time.Duration) Option {
	return func(c *config) { c.keepAlive = silence }
}

// WithStreamQueue sets how many messages may wait for one live connection whose
// client reads more slowly than they come. The Hub cuts the connection at the
// next one, so that a slow client delays nobody else. The default is 4096. It
// also cuts a connection for which 64 MiB wait. Up to 4 messages are sent at
// once when a client connects, not counting those of [WithEventReplay]. The
// Hub's agent sends some 40 messages at once if it does not rest.
func WithStreamQueue(messages int) Option {
	return func(c *config) { c.queue = messages }
}

// WithoutAgent removes the Hub's own agent: as long as no program leads a
// session, nobody works on its task, and commands fail.
func WithoutAgent() Option {
	return func(c *config) { c.noAgent = true }
}

// WithAgentVersion sets which version of the recorded agent the Hub's own agent
// behaves as: 0.74.2, which is the default, or 1.6.0. It panics if there is no
// recording of the version.
func WithAgentVersion(version string) Option {
	switch version {
	case world.AgentVersionOld, world.AgentVersionNew:
	default:
		panic(fmt.Sprintf("codertest: the agent was recorded in the versions %s and %s, and not in %q",
			world.AgentVersionOld, world.AgentVersionNew, version))
	}
	return func(c *config) { c.version = version }
}

// AgentDialect is how the Hub's own agent reports what it does.
type AgentDialect int

const (
	// DialectRPC is the agent's RPC mode, which the driver in a sandbox uses. It
	// answers each command. It is the default.
	DialectRPC AgentDialect = iota
	// DialectExtension is what the agent's extension reports from a terminal. It
	// knows the commands prompt, steer, follow_up and abort, and answers none: a
	// call that waits for an answer, such as [coder.HubConn.GetState], waits until
	// its context ends. Its questions to the user do not reach the Hub.
	DialectExtension
)

// WithAgentDialect sets how the Hub's own agent reports what it does. The default
// is [DialectRPC].
func WithAgentDialect(dialect AgentDialect) Option {
	return func(c *config) { c.dialect = dialect }
}

// WithAgentErrors says how the first model calls of each session end, one after
// the other: a retry is a further call, and so is the summary that a compaction
// needs. All others succeed. The waits before retries, 2, 4 and 8 seconds, are
// those of the recorded agent, whatever [WithAgentPace] says.
// [SessionControl.FailModel] does the same for one session, at any time.
func WithAgentErrors(errs ...AgentError) Option {
	return func(c *config) { c.agentErrors = append(c.agentErrors, errs...) }
}

// WithAgentPace sets how long the Hub's agent rests before each step: before it
// takes a prompt, before each piece of a message, and while a tool runs. Reports
// that need no model and no tool come at once. The default is not to rest: a
// whole run happens before the Hub reads another message, unless the agent asks
// something or waits for a retry.
func WithAgentPace(rest time.Duration) Option {
	return func(c *config) { c.pace = rest }
}

// WithEventReplay makes the Hub send past events of agents to a controller that
// connects. After the hydration the controller gets up to this many events of the
// history, the newest ones, oldest first, each as a frame rpc_event that is not
// wrapped in a broadcast. They are the events of the categories agent, turn,
// message, thinking, tool and task, whoever caused them. The default is 0.
func WithEventReplay(events int) Option {
	return func(c *config) { c.replay = events }
}

// WithLogLimit limits how many of the newest requests are kept for [Hub.Requests], and how many of the newest messages of
// each session for [SessionControl.Frames]: for a Hub that runs for days. The default is no limit, for tests. It panics if
// most is negative.
func WithLogLimit(most int) Option {
	if most < 0 {
		panic("codertest: the limit of a log must not be negative")
	}
	return func(c *config) { c.logLimit = &most }
}

// WithReplayPace sets how fast a [ReplayHub] plays a recording: at 1 as fast as it was recorded, at
// 2 twice as fast, and at 0 without waits. The default is 1 in a testing/synctest bubble, where
// time costs nothing, and 0 elsewhere. It panics if speed is negative. A [Hub] ignores it.
func WithReplayPace(speed float64) Option {
	if speed < 0 {
		panic("codertest: the speed of a replay must not be negative")
	}
	return func(c *config) { c.speed = &speed }
}
