package codertest

// Option configures a Hub that NewHub starts.
type Option func(*config)

type config struct {
	apiKey   string
	inMemory bool
}

// WithAPIKey makes the Hub check credentials: a request must carry key as
// "Authorization: Bearer <key>" or in the header "x-agentuity-auth-api-key",
// else it is answered 401. The default, and an empty key, let everybody in.
func WithAPIKey(key string) Option {
	return func(c *config) { c.apiKey = key }
}

// WithInMemoryNetwork serves the Hub over net.Pipe instead of a loopback
// socket. Nothing leaves the process, and a test that runs inside a
// testing/synctest bubble keeps its fake time. The Hub is then reached only
// through [Hub.HTTPClient] and the clients of [Hub.NewClient], whatever host
// their URL names. The default is a loopback socket.
func WithInMemoryNetwork() Option {
	return func(c *config) { c.inMemory = true }
}
