package codertest

import (
	"cmp"
	"slices"

	"github.com/agentuity/coder-go"
)

// placeholderKey stands in for the key of a Hub that has none, so that a real
// key in the environment stays there.
const placeholderKey = "codertest"

// NewClient returns a client of the Hub. It is configured with the Hub's URL,
// its API key (or a made-up one, if the Hub takes any: the client never picks
// one up from the environment) and an HTTP client that reaches the Hub on
// whichever network it is, with the transport of coder.NewTransport. The
// options come after that, and win. Close closes its idle connections.
func (h *Hub) NewClient(opts ...coder.Option) (*coder.Client, error) {
	own := []coder.Option{
		coder.WithURL(h.URL()),
		coder.WithAPIKey(cmp.Or(h.apiKey, placeholderKey)),
		coder.WithHTTPClient(h.newHTTPClient(coder.NewTransport())),
	}
	return coder.NewClient(slices.Concat(own, opts)...)
}
