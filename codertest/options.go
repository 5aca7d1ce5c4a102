package codertest

import "time"

// Option configures a Hub that NewHub starts.
type Option func(*config)

type config struct {
	apiKey    string // empty: anybody may use the Hub
	inMemory  bool
	keepAlive time.Duration
	queue     int
	pace      time.Duration
	replay    int
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
// testing/synctest bubble keeps its fake time. Only [Hub.HTTPClient] and the
// clients of [Hub.NewClient] reach the Hub then. They do so whatever host a URL
// names. The default is a loopback socket.
func WithInMemoryNetwork() Option {
	return func(c *config) { c.inMemory = true }
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
// also cuts a connection for which 64 MiB wait. A connection begins with up to 4
// messages at once, those of WithEventReplay not counted. The Hub's agent says
// some 30 at once if it does not rest.
func WithStreamQueue(messages int) Option {
	return func(c *config) { c.queue = messages }
}

// WithAgentPace sets how long the agent of the Hub rests between two steps,
// such as two pieces of a message. The default is not to rest: a whole turn
// happens before the Hub reads another message.
func WithAgentPace(rest time.Duration) Option {
	return func(c *config) { c.pace = rest }
}

// WithEventReplay makes the Hub send past events of agents to a controller that
// connects. After the hydration it is sent up to this many events of the history,
// the newest ones, oldest first, each as a frame rpc_event that no broadcast
// wraps. They are the events of the categories agent, turn, message, thinking,
// tool and task, whoever has made them happen. The default is 0.
func WithEventReplay(events int) Option {
	return func(c *config) { c.replay = events }
}
